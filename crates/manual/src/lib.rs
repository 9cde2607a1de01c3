//! What the command lines of both programs share: numbers, hints at errors, and documents that are generated from them.
//!
//! The documents are manual pages and shell completions.
#![warn(missing_docs)]

mod arguments;
mod page;

use clap::{Command, ValueEnum};
use clap_complete::Shell;
use std::io::{self, Write};

pub use arguments::{Tip, exit, number, try_parse};
pub use page::Section;

/// A document about a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// The manual page, for man(1)
    Man,
    /// Completions for bash
    CompleteBash,
    /// Completions for zsh
    CompleteZsh,
    /// Completions for fish
    CompleteFish,
}

impl Document {
    /// Writes the document about `program`.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(self, mut program: Command, sections: &[Section], to: &mut impl Write) -> io::Result<()> {
        let shell = match self {
            Self::Man => return page::page(program, sections).to_writer(to),
            Self::CompleteBash => Shell::Bash,
            Self::CompleteZsh => Shell::Zsh,
            Self::CompleteFish => Shell::Fish,
        };
        // The generator returns no errors, so it writes to memory first.
        let mut script = Vec::new();
        let name = program.get_name().to_owned();
        clap_complete::generate(shell, &mut program, name, &mut script);
        to.write_all(&script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn written(document: Document, sections: &[Section]) -> String {
        let program = Command::new("example")
            .about("Does something")
            .after_help("Exit status:\n  0  well")
            .arg(Arg::new("how").long("how").help("In which way"));
        let mut text = Vec::new();
        document.write(program, sections, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_document_names_the_options() {
        for document in Document::value_variants() {
            let text = written(*document, &[]);
            assert!(
                text.contains("how") && text.contains("example"),
                "{document:?}: {text}"
            );
        }
    }

    #[test]
    fn a_page_has_no_artefacts() {
        let program = Command::new("example")
            .version("1.2.3")
            .about("Does something")
            .after_help("Exit status:\n  0   well\n  10  it is\n      too late")
            .arg(
                Arg::new("port")
                    .index(2)
                    .value_name("PORT")
                    .help("Its port [default: 9000]"),
            )
            .arg(Arg::new("place").index(1).value_name("PLACE").help("Where"))
            .arg(
                Arg::new("words")
                    .long("words")
                    .value_name("WORDS")
                    .default_value("")
                    .help("Of `me`"),
            )
            .arg(
                Arg::new("rate")
                    .short('r')
                    .long("rate")
                    .value_name("N")
                    .default_value("50")
                    .help("How fast"),
            )
            .arg(
                Arg::new("mouse")
                    .long("mouse")
                    .value_name("BOOL")
                    .num_args(0..=1)
                    .default_value("false")
                    .value_parser(clap::value_parser!(bool))
                    .help("With it")
                    .help_heading("Settings (also keys)"),
            )
            .disable_help_flag(true)
            .disable_version_flag(true);
        let help = program.get_after_help().unwrap().to_string();
        let sections = [
            Section::new(
                "FILES",
                [("~/.config", ".not a request"), ("/dev/null", "'nor this")],
            ),
            Section::exit_statuses(&help),
        ];
        let mut text = Vec::new();
        Document::Man.write(program, &sections, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (_, text) = text.split_once(".TH ").unwrap();
        let expected = r#"EXAMPLE 1 DATE "example 1.2.3" "User Commands"
.SH NAME
example \- Does something
.SH SYNOPSIS
\fBexample\fR [\fIOPTION\fR]... [\fIPLACE\fR] [\fIPORT\fR]
.SH DESCRIPTION
Does something
.SH OPTIONS
.TP
\fIPLACE\fR
Where.
.TP
\fIPORT\fR
Its port. Default: 9000.
.TP
\fB\-\-words\fR \fIWORDS\fR
Of \fBme\fR.
.TP
\fB\-r\fR, \fB\-\-rate\fR \fIN\fR
How fast. Default: 50.
.SS "Settings (also keys)"
.TP
\fB\-\-mouse\fR[=\fIBOOL\fR]
With it.
.SH FILES
.PD 0
.TP 11n
\fB~/.config\fR
\&.not a request
.TP 11n
\fB/dev/null\fR
\*(Aqnor this
.PD
.SH "EXIT STATUS"
.PD 0
.TP 4n
\fB0\fR
well
.TP 4n
\fB10\fR
it is too late
.PD
"#;
        assert_eq!(text, expected.replace("DATE", page::DATE));
    }
}
