//! Several lines pasted at once, which are shown before they are sent.

use super::style::{Role, Row, Span};
use crate::command::Command;
use chat_proto::text::Text;

/// Lines that are pasted at most; who has more to say has a file to send.
const LINES_MAX: usize = 500;

/// What becomes of pasted text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pasted {
    /// It belongs into the line.
    Inline(String),
    /// It is several lines, to be confirmed.
    Lines(Paste),
    /// It can't be sent; why.
    Refused(String),
}

/// Lines that wait for the user's yes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paste {
    lines: Vec<String>,
    /// What stood in the line and says to whom they go, if it says so: `/msg bob ` or `/reply `.
    to: String,
}

impl Paste {
    /// What becomes of this text, pasted between `head` and `tail`.
    pub(super) fn read(text: &str, head: &str, tail: &str) -> Pasted {
        // Terminals write line ends of their own.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end_matches('\n');
        if !text.contains('\n') {
            return Pasted::Inline(text.to_owned());
        }
        let Some((to, head)) = addressee(head) else {
            return Pasted::Refused("several lines can't be pasted into a command".into());
        };
        let whole = [head, text, tail].concat();
        let mut lines: Vec<String> = whole.lines().map(|line| Text::new(line).to_string()).collect();
        lines.retain(|line| !line.trim().is_empty());
        if lines.len() > LINES_MAX {
            let count = lines.len();
            return Pasted::Refused(format!(
                "{count} lines were pasted, and at most {LINES_MAX} go at once; `chat-client < FILE` sends a file"
            ));
        }
        let to = to.to_owned();
        Pasted::Lines(Self { lines, to })
    }

    /// What to submit for each line.
    pub(super) fn submissions(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(|line| self.submission(line))
    }

    /// The lines as one.
    pub(super) fn joined(&self) -> String {
        self.submission(&self.lines.join(" "))
    }

    /// What is pasted is text, whatever it begins with.
    fn submission(&self, line: &str) -> String {
        match self.to.as_str() {
            "" if line.starts_with('/') => format!("/{line}"),
            to => format!("{to}{line}"),
        }
    }

    /// The lines as they will be sent, over at most `height` rows, one row each, and what is left out.
    pub(super) fn rows(&self, height: usize) -> Vec<Row> {
        let shown = if self.lines.len() <= height {
            self.lines.len()
        } else {
            height.saturating_sub(1)
        };
        let mut rows: Vec<Row> = self
            .lines
            .iter()
            .take(shown)
            .map(|line| {
                Row(vec![
                    Span::new(Role::Prompt, "| "),
                    Span::new(Role::Text, line.as_str()),
                ])
            })
            .collect();
        if shown < self.lines.len() && height > 0 {
            rows.push(Row::of(
                Role::Faint,
                format!("| and {} more", self.lines.len() - shown),
            ));
        }
        rows
    }

    /// What is asked.
    pub(super) fn question(&self) -> String {
        format!(
            "send {} lines? y: yes  n: no  j: join into one ",
            self.lines.len()
        )
    }
}

/// What says to whom a line goes, and the rest of it. `None`: the line is a command that takes no text.
fn addressee(head: &str) -> Option<(&str, &str)> {
    if !head.starts_with('/') || head.starts_with("//") {
        return Some(("", head));
    }
    // How many words say to whom, in a line with some text after them.
    let words = match Command::parse(&format!("{head}x")) {
        Command::Msg(..) => 2,
        Command::Reply(_) => 1,
        _ => return None,
    };
    let mut rest = head;
    for _ in 0..words {
        let word = rest.trim_start();
        rest = word.get(word.find(char::is_whitespace)?..)?;
    }
    let text = rest.trim_start();
    Some((head.get(..head.len() - text.len())?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, head: &str, tail: &str) -> Paste {
        match Paste::read(text, head, tail) {
            Pasted::Lines(paste) => paste,
            other => panic!("{other:?}"),
        }
    }

    fn submissions(text: &str, head: &str, tail: &str) -> Vec<String> {
        lines(text, head, tail).submissions().collect()
    }

    #[test]
    fn one_line_is_no_more_than_typed() {
        for text in ["hello", "hello\n", "hello\r\n", "hello\r"] {
            assert_eq!(Paste::read(text, "", ""), Pasted::Inline("hello".into()));
        }
    }

    #[test]
    fn several_lines_join_what_was_typed_around_them() {
        assert_eq!(submissions("a\r\nb\r\n\r\nc", "x ", " y"), ["x a", "b", "c y"]);
        assert_eq!(submissions("a\rb", "", ""), ["a", "b"]);
    }

    #[test]
    fn what_is_pasted_is_text() {
        let pasted = submissions("/quit\n/etc\n//x", "", "");
        assert_eq!(pasted, ["//quit", "//etc", "///x"]);
        for (line, text) in pasted.iter().zip(["/quit", "/etc", "//x"]) {
            assert_eq!(Command::parse(line), Command::Say(Text::new(text)));
        }
    }

    #[test]
    fn what_was_meant_for_one_goes_to_nobody_else() {
        assert_eq!(submissions("a\nb", "/msg bob ", ""), ["/msg bob a", "/msg bob b"]);
        assert_eq!(
            submissions("a\nb", "/m msg see: ", ""),
            ["/m msg see: a", "/m msg b"]
        );
        assert_eq!(submissions("a\nb", "/r ", ""), ["/r a", "/r b"]);
        assert_eq!(submissions("a\nb", "/reply so ", ""), ["/reply so a", "/reply b"]);
        for head in ["/nick ", "/msg ", "/query ", "/xyzzy ", "/"] {
            assert!(
                matches!(Paste::read("a\nb", head, ""), Pasted::Refused(_)),
                "{head}"
            );
        }
    }

    #[test]
    fn too_much_is_refused() {
        let Pasted::Refused(why) = Paste::read(&"x\n".repeat(501), "", "") else {
            panic!("501 lines are too many");
        };
        assert!(
            why.contains("at most 500"),
            "who is refused is told how much goes: {why}"
        );
        assert_eq!(lines(&"x\n".repeat(500), "", "").lines.len(), 500);
    }

    #[test]
    fn what_drives_a_terminal_is_made_visible() {
        assert_eq!(submissions("a\x1b[2J\nb\u{202E}", "", ""), ["a␛[2J", "b"]);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let paste = lines("a\nb\nc\nd", "", "");
        let rows = |height| {
            paste
                .rows(height)
                .iter()
                .map(|row| row.0.iter().map(Span::as_str).collect())
                .collect::<Vec<String>>()
        };
        assert_eq!(rows(4), ["| a", "| b", "| c", "| d"]);
        assert_eq!(rows(3), ["| a", "| b", "| and 2 more"]);
        assert_eq!(rows(1), ["| and 4 more"]);
        assert_eq!(rows(0), [""; 0]);
        assert_eq!(paste.joined(), "a b c d");
    }
}
