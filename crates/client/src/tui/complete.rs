//! Completes commands, their arguments, names of users and paths.

use super::input::{Input, after_blank};
use crate::command::{self, Argument, COMMANDS, FILE_COMMANDS, OPERATOR_COMMANDS};

/// The names of the other users, the most likely ones first.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// All users, by when they last spoke.
    pub(super) speakers: Vec<String>,
    /// The users with whom this one exchanged private messages, by when they last did.
    pub(super) correspondents: Vec<String>,
    /// This user may run the room.
    pub(super) is_operator: bool,
}

/// A completion, until a key other than Tab is pressed.
#[derive(Debug)]
pub(super) struct Completion {
    /// The start of the completed word in the line, in bytes.
    start: usize,
    /// The candidates. The typed word is the last one, so that pressing on brings it back.
    candidates: Vec<String>,
    /// The candidate in the line.
    place: usize,
}

impl Completion {
    /// Completes the word before the cursor, or the path, if there are candidates. `list` returns the names in a directory
    /// as it was typed; those of directories end in a slash.
    pub(super) fn begin(
        input: &mut Input,
        names: &Names,
        list: impl Fn(&str) -> Vec<String>,
        backwards: bool,
    ) -> Option<Self> {
        let head = input.head();
        let path = path_start(head);
        let start = path.unwrap_or_else(|| after_blank(head));
        let word = head.get(start..).unwrap_or_default().to_owned();
        let before = head.get(..start).unwrap_or_default().trim();
        let mut candidates = match path {
            Some(_) => paths(&word, list),
            None => candidates(before, &word, names),
        };
        if candidates.is_empty() {
            return None;
        }
        candidates.push(word);
        let completion = Self {
            start,
            place: candidates.len() - 1,
            candidates,
        };
        Some(completion.next(input, backwards))
    }

    /// The only candidate is in the line, and is a directory: what is in it may follow.
    pub(super) fn is_only_directory(&self) -> bool {
        matches!(&self.candidates[..], [only, _] if self.place == 0 && only.ends_with('/'))
    }

    /// Puts the next or the previous candidate into the line.
    pub(super) fn next(mut self, input: &mut Input, backwards: bool) -> Self {
        let step = if backwards { self.candidates.len() - 1 } else { 1 };
        self.place = (self.place + step) % self.candidates.len().max(1);
        if let Some(candidate) = self.candidates.get(self.place) {
            input.replace_before(self.start, candidate);
        }
        self
    }
}

/// The candidates for a word, by the text before it.
fn candidates(before: &str, word: &str, names: &Names) -> Vec<String> {
    let mut arguments = before.split_whitespace();
    let command = arguments
        .next()
        .and_then(|first| command::entry(first.strip_prefix('/')?));
    match (before, command.map(command::Entry::argument)) {
        ("", _) if word.starts_with('/') && !word.starts_with("//") => commands(word, names.is_operator),
        ("", _) => users(word, &names.speakers, ": "),
        (_, Some(Argument::Word(words))) => words()
            .into_iter()
            .filter(|choice| choice.starts_with(word))
            .collect(),
        (_, Some(Argument::User)) if arguments.next().is_none() => {
            let likely = names.correspondents.iter();
            let others = names
                .speakers
                .iter()
                .filter(|name| !names.correspondents.contains(name));
            users(word, &likely.chain(others).cloned().collect::<Vec<_>>(), " ")
        }
        _ => users(word, &names.speakers, " "),
    }
}

/// Where the path begins, if the line is a command with one. It may have blanks.
fn path_start(head: &str) -> Option<usize> {
    let (name, rest) = head.strip_prefix('/')?.split_once(char::is_whitespace)?;
    command::entry(name).filter(|entry| entry.usage.ends_with(" WHO PATH"))?;
    let (_, path) = rest.trim_start().split_once(char::is_whitespace)?;
    Some(head.len() - path.trim_start().len())
}

/// Paths that begin as it was typed. Hidden files only after a dot.
fn paths(typed: &str, list: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    if typed == "~" {
        return vec!["~/".into()];
    }
    let (directory, begun) = match typed.rfind('/') {
        Some(slash) => typed.split_at(slash + 1),
        None => ("", typed),
    };
    let begun = begun.to_lowercase();
    let mut names = list(if directory.is_empty() { "." } else { directory });
    names.retain(|name| {
        let is_wanted = begun.starts_with('.') || !name.starts_with('.');
        is_wanted && name.to_lowercase().starts_with(&begun)
    });
    names.sort();
    names.iter().map(|name| format!("{directory}{name}")).collect()
}

fn commands(word: &str, is_operator: bool) -> Vec<String> {
    let typed = word.trim_start_matches('/').to_lowercase();
    let operators = OPERATOR_COMMANDS.iter().filter(|_| is_operator);
    let matching = COMMANDS
        .iter()
        .chain(FILE_COMMANDS)
        .chain(operators)
        .filter(|entry| {
            let alias_begins = entry
                .alias
                .is_some_and(|alias| alias.starts_with(&typed) && typed.len() > 1);
            entry.name().starts_with(&typed) || alias_begins
        });
    matching.map(|entry| format!("/{} ", entry.name())).collect()
}

fn users(word: &str, names: &[String], ending: &str) -> Vec<String> {
    // `@bob` means bob.
    let at = if word.starts_with('@') { "@" } else { "" };
    let typed = word.trim_start_matches('@').to_lowercase();
    let matching = names
        .iter()
        .filter(|name| name.to_lowercase().starts_with(&typed));
    matching.map(|name| format!("{at}{name}{ending}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::input::Edit;
    use super::*;

    fn names() -> Names {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Names {
            speakers: names(&["bob", "Alice", "barbara", "李雷", "10.0.0.7:5000"]),
            correspondents: names(&["barbara"]),
            is_operator: false,
        }
    }

    fn list(directory: &str) -> Vec<String> {
        let names: &[&str] = match directory {
            "." => &["b.txt", "Docs/", ".hidden", "a file.pdf", "download.iso"],
            "Docs/" => &["report.pdf"],
            "~/" => &["Downloads/"],
            _ => &[],
        };
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn paths_are_completed_with_their_blanks() {
        let send = |paths: &[&str]| {
            paths
                .iter()
                .map(|path| format!("/send bob {path}"))
                .collect::<Vec<_>>()
        };
        for (typed, expected) in [
            ("", &["Docs/", "a file.pdf", "b.txt", "download.iso", ""][..]),
            ("d", &["Docs/", "download.iso", "d"]),
            ("a f", &["a file.pdf", "a f"]),
            ("./", &["./"; 0]),
            (".", &[".hidden", "."]),
            ("Docs/r", &["Docs/report.pdf", "Docs/r"]),
            ("~", &["~/", "~"]),
            ("~/down", &["~/Downloads/", "~/down"]),
            ("nowhere/", &["nowhere/"; 0]),
        ] {
            assert_eq!(
                presses(&format!("/send bob {typed}"), expected.len(), false),
                send(expected),
                "{typed:?}"
            );
        }
        // Not yet a path.
        assert_eq!(presses("/send b", 1, false), ["/send barbara "]);
    }

    /// The line after each press of Tab.
    fn presses(typed: &str, presses: usize, backwards: bool) -> Vec<String> {
        let mut input = Input::new(1000);
        input.set(typed);
        let Some(mut completion) = Completion::begin(&mut input, &names(), list, backwards) else {
            return Vec::new();
        };
        let mut stood = vec![input.text().to_owned()];
        for _ in 1..presses {
            completion = completion.next(&mut input, backwards);
            stood.push(input.text().to_owned());
        }
        stood
    }

    #[test]
    fn a_nick_at_the_beginning_of_a_line_gets_a_colon() {
        assert_eq!(presses("b", 4, false), ["bob: ", "barbara: ", "b", "bob: "]);
        assert_eq!(presses("b", 3, true), ["barbara: ", "bob: ", "b"]);
        assert_eq!(presses("hi al", 1, false), ["hi Alice "]);
        assert_eq!(presses("ask @al", 1, false), ["ask @Alice "]);
        assert_eq!(presses("李", 1, false), ["李雷: "]);
        assert_eq!(presses("10.", 1, false), ["10.0.0.7:5000: "]);
        assert_eq!(presses("zoe", 1, false), [""; 0]);
    }

    #[test]
    fn an_empty_word_completes_to_the_last_speaker() {
        assert_eq!(presses("", 2, false), ["bob: ", "Alice: "]);
        assert_eq!(presses("hi ", 1, false), ["hi bob "]);
    }

    #[test]
    fn commands_and_their_arguments_are_completed() {
        assert_eq!(presses("/qu", 3, false), ["/query ", "/quit ", "/qu"]);
        assert_eq!(presses("/ex", 1, false), ["/quit "]);
        assert_eq!(presses("/msg b", 2, false), ["/msg barbara ", "/msg bob "]);
        assert_eq!(presses("/q ", 1, false), ["/q barbara "]);
        for command in ["/whois", "/ignore", "/unignore", "/verify"] {
            let typed = format!("{command} b");
            assert_eq!(presses(&typed, 1, false), [format!("{command} barbara ")]);
        }
        assert_eq!(presses("/q bob b", 1, false), ["/q bob bob "]);
        assert_eq!(presses("/reply b", 1, false), ["/reply bob "]);
        assert_eq!(presses("/clear b", 1, false), ["/clear bob "]);
        assert_eq!(presses("/msg bob hi a", 1, false), ["/msg bob hi Alice "]);
        assert_eq!(presses("/bell m", 1, false), ["/bell mention"]);
        assert_eq!(
            presses("/bell ", 4, false),
            ["/bell off", "/bell mention", "/bell private", "/bell all"]
        );
        assert_eq!(presses("//b", 1, false), [""; 0]);
    }

    #[test]
    fn commands_of_operators_are_completed_for_operators() {
        let complete = |is_operator| {
            let mut input = Input::new(100);
            input.set("/kic");
            let names = Names {
                is_operator,
                ..Names::default()
            };
            Completion::begin(&mut input, &names, list, false);
            input.text().to_owned()
        };
        assert_eq!(
            (complete(true), complete(false)),
            ("/kick ".into(), "/kic".into())
        );
        assert_eq!(presses("/kick b", 1, false), ["/kick barbara "]);
    }

    #[test]
    fn text_after_the_cursor_stays() {
        let mut input = Input::new(100);
        input.set("al ok");
        for _ in 0..3 {
            input.edit(Edit::Left);
        }
        let completion = Completion::begin(&mut input, &names(), list, false);
        assert!(completion.is_some());
        assert_eq!(input.text(), "Alice:  ok");
        assert_eq!(input.head(), "Alice: ");
    }
}
