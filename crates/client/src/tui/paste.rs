//! Pasted lines, which the user sees and confirms before they are sent.

use super::style::{Role, Row, Span, rows_shown};
use crate::command::Command;
use chat_proto::TEXT_MAX;
use chat_proto::text::{ROW_END, ROWS_MAX, Text};

/// The most lines of one paste.
const LINES_MAX: usize = 500;

/// The result of a paste.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pasted {
    /// One line, to be inserted at the cursor.
    Inline(String),
    /// Several lines, to be confirmed.
    Lines(Paste),
    /// The reason why it can't be sent.
    Refused(String),
}

/// Lines to be confirmed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paste {
    lines: Vec<String>,
    /// The beginning of the typed line, if it names a recipient: `/msg bob ` or `/reply `.
    to: String,
}

impl Paste {
    /// Reads a text that was pasted between `head` and `tail`.
    pub(super) fn read(text: &str, head: &str, tail: &str) -> Pasted {
        // Terminals send line ends of several kinds.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_matches('\n');
        if !text.contains('\n') {
            return Pasted::Inline(text.to_owned());
        }
        let Some((to, head)) = addressee(head) else {
            return Pasted::Refused("not pasted: this command takes one line".into());
        };
        let whole = [head, text, tail].concat();
        let lines: Vec<String> = whole.lines().map(|line| Text::new(line).to_string()).collect();
        if lines.len() > LINES_MAX {
            let count = lines.len();
            return Pasted::Refused(format!(
                "not pasted: {count} lines, and at most {LINES_MAX} are allowed; send a file with chat-client < FILE"
            ));
        }
        let to = to.to_owned();
        Pasted::Lines(Self { lines, to })
    }

    /// Whether one message can hold them all.
    pub(super) fn fits(&self) -> bool {
        let bytes = self.lines.iter().map(|line| line.len() + ROW_END.len_utf8());
        self.lines.len() <= ROWS_MAX && bytes.sum::<usize>() <= TEXT_MAX
    }

    /// The input lines that send the pasted ones: one, if that can hold them.
    pub(super) fn submissions(&self) -> Vec<String> {
        if self.fits() {
            return vec![self.joined()];
        }
        let lines = self.lines.iter().filter(|line| !line.trim().is_empty());
        lines.map(|line| self.submission(line)).collect()
    }

    /// All lines as rows of one message.
    pub(super) fn joined(&self) -> String {
        self.submission(&self.lines.join(&ROW_END.to_string()))
    }

    /// A pasted line is text even if it begins with a slash.
    fn submission(&self, line: &str) -> String {
        match self.to.as_str() {
            "" if line.starts_with('/') => format!("/{line}"),
            to => format!("{to}{line}"),
        }
    }

    /// The lines in at most `height` rows, and the number of those without a row.
    pub(super) fn rows(&self, height: usize) -> Vec<Row> {
        let shown = rows_shown(self.lines.len(), height);
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

    pub(super) fn question(&self) -> String {
        let count = self.lines.len();
        match self.fits() {
            true => format!("send {count} lines as one message? y: yes  n: no  e: edit "),
            false => format!("send {count} lines, one by one? y: yes  n: no "),
        }
    }
}

/// Splits a line into the part that names a recipient and the text. `None`: it is a command without a text.
fn addressee(head: &str) -> Option<(&str, &str)> {
    if !head.starts_with('/') || head.starts_with("//") {
        return Some(("", head));
    }
    // The number of words before the text.
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
        lines(text, head, tail).submissions()
    }

    #[test]
    fn one_line_is_inserted_without_a_question() {
        for text in ["hello", "hello\n", "hello\r\n", "hello\r", "\r\rhello\r\r"] {
            assert_eq!(Paste::read(text, "", ""), Pasted::Inline("hello".into()));
        }
    }

    #[test]
    fn several_lines_join_the_typed_text_around_them() {
        assert_eq!(submissions("a\r\nb\r\n\r\nc", "x ", " y"), ["x a␊b␊␊c y"]);
        assert_eq!(submissions("a\rb", "", ""), ["a␊b"]);
    }

    #[test]
    fn pasted_commands_are_text() {
        let pasted = submissions("/quit\n/etc\n//x", "", "");
        assert_eq!(pasted, ["//quit␊/etc␊//x"]);
        assert_eq!(
            Command::parse(&pasted[0]),
            Command::Say(Text::new("/quit␊/etc␊//x"))
        );
    }

    #[test]
    fn lines_that_one_message_can_not_hold_are_sent_one_by_one() {
        let many = "x\n\n".repeat(30);
        assert_eq!(submissions(&many, "", ""), ["x"; 30]);
        assert!(lines(&many, "", "").question().contains("59 lines, one by one?"));
        let long = "x".repeat(2000);
        assert_eq!(submissions(&format!("{long}\n{long}"), "", "").len(), 2);
    }

    #[test]
    fn the_lines_go_to_the_typed_recipient() {
        assert_eq!(submissions("a\nb", "/msg bob ", ""), ["/msg bob a␊b"]);
        assert_eq!(submissions("a\nb", "/m msg see: ", ""), ["/m msg see: a␊b"]);
        assert_eq!(submissions("a\nb", "/r ", ""), ["/r a␊b"]);
        assert_eq!(submissions("a\nb", "/reply so ", ""), ["/reply so a␊b"]);
        for head in ["/nick ", "/msg ", "/query ", "/xyzzy ", "/"] {
            assert!(
                matches!(Paste::read("a\nb", head, ""), Pasted::Refused(_)),
                "{head}"
            );
        }
    }

    #[test]
    fn more_than_500_lines_are_refused() {
        let Pasted::Refused(why) = Paste::read(&"x\n".repeat(501), "", "") else {
            panic!("501 lines are too many");
        };
        assert!(why.contains("at most 500"), "{why}");
        assert_eq!(lines(&"x\n".repeat(500), "", "").lines.len(), 500);
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(submissions("a\x1b[2J\nb\u{202E}", "", ""), ["a␛[2J␊b"]);
    }

    #[test]
    fn lines_without_a_row_are_counted() {
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
        assert_eq!(paste.joined(), "a␊b␊c␊d");
    }
}
