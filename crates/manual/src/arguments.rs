//! Parsing of command lines, with errors that say what to do.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Error};
use std::ffi::OsString;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process;

/// Options that a program lacks and people try, and what to write instead.
pub type Tip = (&'static [&'static str], &'static str);

/// A parser of numbers, whose error names the range.
pub fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number: Option<u64> = text.parse().ok();
        let in_range = number.filter(|number| range.contains(number));
        in_range
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
    }
}

/// Parses a command line. A negative number is a value, which is out of range, and no unknown option. An unknown option
/// gets one of these tips, or else clap's.
///
/// # Errors
/// If the command line is wrong.
pub fn try_parse(
    command: &mut Command,
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    tips: &[Tip],
) -> Result<ArgMatches, Error> {
    let parsed = std::mem::take(command).mut_args(|arg| {
        if arg.get_action().takes_values() {
            arg.allow_negative_numbers(true)
        } else {
            arg
        }
    });
    *command = parsed;
    command
        .try_get_matches_from_mut(words)
        .map_err(|error| with_tip(error, tips))
}

/// Prints an error of the command line, the help or the version, and exits.
pub fn exit(error: &Error) -> ! {
    let printed = error.print();
    let mut status = error.exit_code();
    if let Err(failure) = printed
        && !error.use_stderr()
    {
        status = 1;
        // The reader of a closed pipe needs no word.
        if failure.kind() != io::ErrorKind::BrokenPipe {
            let _ = writeln!(io::stderr(), "can't print the help: {failure}");
        }
    }
    process::exit(status)
}

fn with_tip(mut error: Error, tips: &[Tip]) -> Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let tip = tips
        .iter()
        .find(|(options, _)| options.contains(&unknown.as_str()));
    let tip = tip.map(|(_, tip)| StyledStr::from(*tip));
    let is_long = unknown.starts_with("--");
    // clap proposes to pass the option as a value, which is none.
    error.remove(ContextKind::Suggested);
    if tip.is_none() && is_long {
        return error;
    }
    // clap proposes similar options, which are others.
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::SuggestedValue);
    if let Some(tip) = tip {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, value_parser};

    #[test]
    fn a_number_out_of_range_is_an_error_with_the_range() {
        let port = number::<u16>(1..=65535);
        assert_eq!(port("1"), Ok(1));
        assert_eq!(port("65535"), Ok(65535));
        for wrong in ["0", "65536", "-5", "", "x", "1.5", "99999999999999999999"] {
            assert_eq!(
                port(wrong),
                Err("expected a number from 1 to 65535".into()),
                "{wrong}"
            );
        }
        assert!(number::<u8>(0..=1000)("999").is_err());
    }

    fn complaint(words: &[&str]) -> String {
        let mut command = Command::new("example")
            .arg(Arg::new("place"))
            .arg(Arg::new("nick").long("nick").value_parser(value_parser!(String)))
            .arg(Arg::new("rate").long("rate").value_parser(number::<u32>(0..=9)));
        let words = [&["example"], words].concat();
        let tips: [Tip; 1] = [(&["-p", "--name"], "write it so")];
        try_parse(&mut command, words, &tips).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_option_gets_its_tip() {
        for words in [
            ["-p", "9000"].as_slice(),
            &["--name", "x"],
            &["-p9000"],
            &["--name=x"],
        ] {
            let complaint = complaint(words);
            assert!(complaint.contains("tip: write it so"), "{complaint}");
            assert_eq!(complaint.matches("tip:").count(), 1, "{complaint}");
        }
        assert!(complaint(&["--nik", "x"]).contains("'--nick'"));
        for unknown in ["-x", "--zzz", "--zzz=1"] {
            assert!(!complaint(&[unknown]).contains("tip:"), "{unknown}");
        }
    }

    #[test]
    fn a_negative_number_is_a_value() {
        let complaint = complaint(&["--rate", "-5"]);
        assert!(complaint.contains("expected a number from 0 to 9"), "{complaint}");
    }
}
