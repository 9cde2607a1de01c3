//! Where the time, the mark, the name and the text of a line stand.
//!
//! On a wide screen each has columns of its own, and names end in the same column. On a narrow one they follow each other,
//! as in `09:03!bob: text`, and on a very narrow one there is no time.

use super::style::{Role, Span, name_spans};
use unicode_width::UnicodeWidthStr;

/// The narrowest screen with columns.
const COLUMNS_FROM: usize = 60;
/// The narrowest screen with times.
const TIMES_FROM: usize = 30;
/// The least and the greatest width of the column of names. A longer name moves its own text to the right.
const NAMES: std::ops::RangeInclusive<usize> = 6..=12;
/// Between the name and the text.
const GAP: &str = "  ";

/// The layout of all lines on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    form: Form,
    /// The columns of the time and the blank after it; 0 without times.
    time: usize,
    /// The columns of names.
    names: usize,
    pub(super) width: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `09:03 !    bob  text`
    Columns,
    /// `09:03!bob: text`
    Inline,
    /// `bob! text`
    Bare,
}

/// What stands before the text of a line.
#[derive(Debug)]
pub(super) enum Head<'a> {
    /// A message, and its mark: `!`, `<`, `>` or a blank.
    Name {
        mark: (Role, char),
        role: Role,
        name: &'a str,
    },
    /// What somebody did, with a sign that no name can begin with.
    Sign { mark: (Role, char), sign: char },
    /// A line of the client or the server.
    Note(Role, &'static str),
}

/// The mark of a line without one.
pub(super) const NO_MARK: (Role, char) = (Role::Text, ' ');

impl Layout {
    /// The layout for a screen of this width, times of this width with a blank, and the longest of these names.
    pub(super) fn new(width: usize, time: usize, longest_name: usize) -> Self {
        let form = match width {
            COLUMNS_FROM.. => Form::Columns,
            TIMES_FROM.. if time > 0 => Form::Inline,
            _ => Form::Bare,
        };
        Self {
            form,
            time,
            names: longest_name.clamp(*NAMES.start(), *NAMES.end()),
            width,
        }
    }

    /// The blanks before the second and later rows of a line. They reach to the column of the text, or make the row begin
    /// with a blank, so that no text can look like a line of its own.
    pub(super) fn indent(self) -> usize {
        match self.form {
            Form::Columns => self.text_column(),
            Form::Inline | Form::Bare if self.width < 8 => 1,
            Form::Inline | Form::Bare => 2,
        }
    }

    /// Whether a line shows its time although the line before has the same one: there it begins the line.
    pub(super) fn repeats_times(self) -> bool {
        self.form == Form::Inline
    }

    /// The columns for the text of a line of the client.
    pub(super) fn note_room(self) -> usize {
        let sign = "-- ".len();
        let before = if self.form == Form::Columns {
            self.time + sign
        } else {
            sign
        };
        self.width.saturating_sub(before)
    }

    /// The spans before the text. The time ends with a blank, or is empty.
    pub(super) fn head(self, time: &str, head: &Head<'_>) -> Vec<Span> {
        match self.form {
            Form::Columns => self.columns(time, head),
            Form::Inline => inline(time, head),
            Form::Bare => bare(head),
        }
    }

    /// The mark has a column; between it and a name is at least one blank.
    fn text_column(self) -> usize {
        self.time + 2 + self.names + GAP.len()
    }

    fn columns(self, time: &str, head: &Head<'_>) -> Vec<Span> {
        let mut spans = vec![Span::new(Role::Faint, format!("{time:0$}", self.time))];
        let mut mark = |(role, mark): (Role, char), blanks: usize| {
            spans.push(Span::new(role, mark.to_string()));
            spans.push(Span::new(Role::Text, " ".repeat(blanks)));
        };
        match *head {
            Head::Name {
                mark: own,
                role,
                name,
            } => {
                mark(own, 1 + self.names.saturating_sub(name.width()));
                spans.extend(name_spans(role, name));
                spans.push(Span::new(Role::Text, GAP));
            }
            Head::Sign { mark: own, sign } => {
                mark(own, 1 + self.names);
                spans.push(Span::new(Role::Faint, format!("{sign} ")));
            }
            Head::Note(role, sign) => spans.push(Span::new(role, sign)),
        }
        spans.retain(|span| !span.as_str().is_empty());
        spans
    }
}

fn inline(time: &str, head: &Head<'_>) -> Vec<Span> {
    let before = |(role, mark): (Role, char)| {
        vec![
            Span::new(Role::Faint, time.trim_end()),
            Span::new(role, mark.to_string()),
        ]
    };
    match *head {
        Head::Name { mark, role, name } => {
            let mut spans = before(mark);
            spans.extend(name_spans(role, name));
            spans.push(Span::new(Role::Faint, ": "));
            spans
        }
        Head::Sign { mark, sign } => {
            let mut spans = before(mark);
            spans.push(Span::new(Role::Faint, format!("{sign} ")));
            spans
        }
        Head::Note(role, sign) => vec![Span::new(role, sign)],
    }
}

fn bare(head: &Head<'_>) -> Vec<Span> {
    match *head {
        Head::Name { mark, role, name } => {
            let (role_after, after) = if mark == NO_MARK { (Role::Faint, ':') } else { mark };
            let mut spans = name_spans(role, name);
            spans.push(Span::new(role_after, after.to_string()));
            spans.push(Span::new(Role::Text, " "));
            spans
        }
        Head::Sign { mark, sign } => {
            let mut spans = vec![Span::new(Role::Faint, sign.to_string())];
            spans.extend((mark != NO_MARK).then(|| Span::new(mark.0, mark.1.to_string())));
            spans.push(Span::new(Role::Text, " "));
            spans
        }
        Head::Note(role, sign) => vec![Span::new(role, sign)],
    }
}
