//! What the command lines of both programs share: numbers, hints at errors, and documents that are generated from them.
//!
//! The documents are manual pages and shell completions.
#![warn(missing_docs)]

mod arguments;

use clap::{Command, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::io::{self, Write};

pub use arguments::{Tip, exit, number, try_parse};

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

/// A section of the manual page that clap does not know. Its lines are printed verbatim.
#[derive(Debug)]
pub struct Section {
    /// Its heading, in capitals.
    pub heading: &'static str,
    /// Its lines.
    pub lines: Vec<String>,
}

impl Document {
    /// Writes the document about `program`.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(self, mut program: Command, sections: &[Section], to: &mut impl Write) -> io::Result<()> {
        let shell = match self {
            Self::Man => return write_manual(program, sections, to),
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

/// Renders clap's page, and then the sections: clap would reflow their lines.
fn write_manual(program: Command, sections: &[Section], to: &mut impl Write) -> io::Result<()> {
    let page = Man::new(program.after_help("").after_long_help(""));
    page.render(to)?;
    for Section { heading, lines } in sections {
        let mut roff = Roff::new();
        roff.control("SH", [*heading]);
        roff.control("nf", []);
        for line in lines {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
        roff.to_writer(to)?;
    }
    Ok(())
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
    fn a_section_is_printed_verbatim() {
        let lines = vec!["  0  well".into(), ".not a request".into(), "'nor this".into()];
        let section = Section {
            heading: "EXIT STATUS",
            lines,
        };
        let text = written(Document::Man, &[section]);
        let (_, section) = text.split_once(".SH \"EXIT STATUS\"\n.nf\n").unwrap();
        assert_eq!(section, "  0  well\n\\&.not a request\n\\*(Aqnor this\n.fi\n");
        assert_eq!(text.matches("well").count(), 1);
    }
}
