//! The manual page of a program.

use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, roman};

/// The day of the last change to a page.
pub(crate) const DATE: &str = "2026-11-27";

/// The longest term that has its description beside it.
const BESIDE_MAX: usize = 30;

/// A section of the manual page that clap does not know.
#[derive(Debug)]
pub struct Section {
    /// Its heading, in capitals.
    pub heading: &'static str,
    /// Its terms, each with its description.
    pub entries: Vec<(String, String)>,
}

impl Section {
    /// A section with these entries.
    pub fn new(
        heading: &'static str,
        entries: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(term, text)| (term.into(), text.into()));
        let entries = entries.collect();
        Self { heading, entries }
    }

    /// The exit statuses, from the text that `--help` ends with: a heading, and then lines that begin with two blanks
    /// and a status.
    #[must_use]
    pub fn exit_statuses(help: &str) -> Self {
        let mut entries: Vec<(String, String)> = Vec::new();
        for line in help.lines().skip(1) {
            match (line.trim().split_once("  "), entries.last_mut()) {
                (Some((term, text)), _) => entries.push((term.to_owned(), text.trim_start().to_owned())),
                (None, Some((_, text))) => *text = format!("{text} {}", line.trim()),
                (None, None) => {}
            }
        }
        Self {
            heading: "EXIT STATUS",
            entries,
        }
    }
}

/// Makes the page: what clap knows of the program, and then the sections.
pub(crate) fn page(mut program: Command, sections: &[Section]) -> Roff {
    program.build();
    let name = program.get_name();
    let version = format!("{name} {}", program.get_version().unwrap_or_default());
    let about = program.get_about().map(ToString::to_string).unwrap_or_default();
    let long_about = program.get_long_about().map(ToString::to_string);

    let mut page = Roff::new();
    page.control("TH", [&name.to_uppercase(), "1", DATE, &version, "User Commands"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {about}"))]);
    page.control("SH", ["SYNOPSIS"]);
    page.text(synopsis(&program));
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut page, &long_about.unwrap_or(about));
    page.control("SH", ["OPTIONS"]);
    arguments(&program)
        .into_iter()
        .for_each(|arg| option(&mut page, arg));
    let mut options: Vec<_> = program
        .get_arguments()
        .filter(|arg| !arg.is_positional())
        .collect();
    // Nothing can end what is below a heading, so options without one come first.
    options.sort_by_key(|arg| arg.get_help_heading().is_some());
    let mut heading = None;
    for arg in options {
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            page.control("SS", heading);
        }
        option(&mut page, arg);
    }
    for section in sections {
        page.control("SH", [section.heading]);
        list(&mut page, &section.entries);
    }
    page
}

/// The arguments without a name, in their order on the command line.
fn arguments(program: &Command) -> Vec<&Arg> {
    let mut arguments: Vec<&Arg> = program.get_positionals().collect();
    arguments.sort_by_key(|arg| arg.get_index());
    arguments
}

fn synopsis(program: &Command) -> Vec<Inline> {
    let mut line = vec![
        bold(program.get_name()),
        roman(" ["),
        italic("OPTION"),
        roman("]..."),
    ];
    for arg in arguments(program) {
        line.extend([roman(" ["), italic(value_of(arg)), roman("]")]);
    }
    line
}

fn paragraphs(page: &mut Roff, text: &str) {
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if number > 0 {
            page.control("PP", []);
        }
        page.text(inlines(paragraph));
    }
}

/// An option or an argument, with its default and the values that it may have.
fn option(page: &mut Roff, arg: &Arg) {
    page.control("TP", []);
    page.text(heading(arg));
    let help = arg.get_long_help().or(arg.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    // A default that clap does not know is part of the text.
    let (help, default) = match help
        .strip_suffix(']')
        .and_then(|help| help.split_once(" [default: "))
    {
        Some((help, default)) => (help, Some(default.to_owned())),
        None => (help.as_str(), default_of(arg)),
    };
    let default = default.map_or(String::new(), |default| format!(" Default: {default}."));
    page.text(inlines(&format!("{help}.{default}")));
    let values: Vec<(String, String)> = arg
        .get_possible_values()
        .iter()
        .filter_map(|value| Some((value.get_name().to_owned(), value.get_help()?.to_string())))
        .collect();
    if !values.is_empty() {
        page.control("RS", []);
        list(page, &values);
        page.control("RE", []);
    }
}

fn heading(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let mut heading = Vec::new();
    for name in short.into_iter().chain(long) {
        if !heading.is_empty() {
            heading.push(roman(", "));
        }
        heading.push(bold(name));
    }
    let takes = arg.get_num_args().unwrap_or_default();
    if takes.takes_values() {
        let (before, after) = match takes.min_values() {
            0 => ("[=", "]"),
            _ if heading.is_empty() => ("", ""),
            _ => (" ", ""),
        };
        heading.extend([roman(before), italic(value_of(arg)), roman(after)]);
    }
    heading
}

fn value_of(arg: &Arg) -> String {
    arg.get_value_names().unwrap_or_default().join(" ")
}

/// The default, if it says anything: a switch is off.
fn default_of(arg: &Arg) -> Option<String> {
    let defaults = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy());
    let default = defaults.collect::<Vec<_>>().join(",");
    let takes_values = arg.get_action().takes_values();
    (takes_values && !["", "false"].contains(&default.as_str())).then_some(default)
}

/// Terms and their descriptions: side by side where all terms are short.
fn list(page: &mut Roff, entries: &[(String, String)]) {
    let longest = entries.iter().map(|(term, _)| term.chars().count()).max();
    let column = longest
        .filter(|&longest| longest <= BESIDE_MAX)
        .map(|longest| format!("{}n", longest + 2));
    if column.is_some() {
        page.control("PD", ["0"]);
    }
    for (term, text) in entries {
        page.control("TP", column.as_deref());
        page.text([bold(term)]);
        page.text(inlines(text));
    }
    if column.is_some() {
        page.control("PD", []);
    }
}

/// The text, with what stands between backquotes in bold.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let inline = |(number, part)| if number % 2 == 0 { roman(part) } else { bold(part) };
    parts.map(inline).collect()
}
