//! Pieces of a row: what is drawn, and what it is.

use chat_proto::id::UserId;
use chat_proto::text::Text;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What a piece of a row is. How that looks is the theme's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// What people say.
    Text,
    /// What people say to this user by name.
    Mention,
    /// What stands around it and matters less: times, joins and leaves.
    Faint,
    /// A user's name, in a colour of its own; which.
    User(u8),
    /// This user's own name.
    Own,
    /// What passes between two users.
    Private,
    /// The program speaks.
    Note,
    /// Something went wrong.
    Error,
    /// What is searched for.
    Match,
    /// The status line.
    Status,
    /// What the status line wants to be seen.
    Alert,
    /// What stands before the line that is being typed.
    Prompt,
}

impl Role {
    /// The role of a user's name: the same id always has the same colour.
    pub(super) fn user(id: UserId) -> Self {
        // FNV-1a over the text form: the same in every run, unlike the standard hasher.
        let hash = id
            .to_string()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let [.., colour] = (hash ^ (hash >> 32)).to_be_bytes();
        Self::User(colour)
    }
}

/// A piece of a row. Holds only what is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// What it is.
    pub(super) role: Role,
    text: Text<'static>,
}

impl Span {
    /// A piece made of any text: what is not safe to show is replaced.
    pub(super) fn new(role: Role, text: impl Into<String>) -> Self {
        let text = Text::from(text.into());
        Self { role, text }
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

/// One row of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<Span>);

impl Row {
    /// A row of one piece.
    pub(super) fn of(role: Role, text: impl Into<String>) -> Self {
        Self(vec![Span::new(role, text)])
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|span| span.as_str().width()).sum()
    }
}

/// What is to stand on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Every row of it.
    pub(super) rows: Vec<Row>,
    /// The cursor's column and row.
    pub(super) cursor: Option<(usize, usize)>,
}

/// As much of a text as goes into so many columns; where something is left out, that shows.
pub(super) fn clip(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut clipped = String::new();
    for grapheme in text.graphemes(true) {
        if clipped.width() + grapheme.width() > room {
            break;
        }
        clipped.push_str(grapheme);
    }
    if columns > 0 {
        clipped.push('~');
    }
    clipped
}

pub(super) fn clip_row(row: Row, columns: usize) -> Row {
    let mut left = columns;
    let spans = row.0.into_iter().map(|span| {
        let text = clip(span.as_str(), left);
        left -= text.width().min(left);
        Span::new(span.role, text)
    });
    Row(spans.collect())
}
