//! Rows of text: spans with roles, which the theme styles.

use super::url::Url;
use crate::direction::is_reordered;
use crate::format::{expand_tabs, name};
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::borrow::Cow;
use std::rc::Rc;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The role of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The text of a message.
    Text,
    /// This user's own name in a message.
    Mention,
    /// A URL in a message.
    Link,
    /// Times, joins, leaves and signs.
    Faint,
    /// Another user's name, in the colour of this number.
    User(u8),
    /// The same before a message that names this user.
    Mentioner(u8),
    /// The mark of such a message.
    Mark,
    /// The line above unseen messages.
    New,
    /// This user's own name.
    Own,
    /// A private message.
    Private,
    /// A note of the client or the server.
    Note,
    Error,
    /// A match of `/search`.
    Match,
    /// The status line.
    Status,
    /// This user's own name there.
    StatusOwn,
    /// What matters little there.
    StatusFaint,
    /// The count of messages that name this user, there.
    StatusMark,
    /// Private messages there.
    StatusPrivate,
    /// An urgent part of the status line.
    Alert,
    Prompt,
}

impl Role {
    /// The role of a user's name. The colour follows the nick, where there is one, so that it stays the same when the
    /// user comes back.
    pub(super) fn user(who: &Who) -> Self {
        Self::User(colour_of(who))
    }

    /// The role of the name of a user whose message names this one.
    pub(super) fn mentioner(who: &Who) -> Self {
        Self::Mentioner(colour_of(who))
    }
}

fn colour_of(who: &Who) -> u8 {
    // FNV-1a over the text form: the same in every run and every Rust version.
    let hash = name(who)
        .to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let [.., colour] = (hash ^ (hash >> 32)).to_be_bytes();
    colour
}

/// A piece of a row. Its text is safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) role: Role,
    text: Text<'static>,
    /// What it links to.
    pub(super) url: Option<Rc<Url>>,
}

impl Span {
    /// A span of any text. Unsafe characters are replaced, tabs expanded.
    pub(super) fn new(role: Role, text: impl Into<String>) -> Self {
        let text = Text::from(text.into());
        let text = match expand_tabs(text.as_str()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(expanded) => Text::from(expanded),
        };
        Self {
            role,
            text,
            url: None,
        }
    }

    /// The same span with another text.
    pub(super) fn with_text(&self, text: impl Into<String>) -> Self {
        Self {
            url: self.url.clone(),
            ..Self::new(self.role, text)
        }
    }

    pub(super) fn as_str(&self) -> &str {
        self.text.as_str()
    }
}

/// What the client says about users. Where a terminal reorders text, each name is a span of its own: it ends at its
/// address, and at the next name of a list.
pub(super) fn name_spans(role: Role, text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = text;
    while is_reordered(rest)
        && let Some((end, _)) = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| matches!(c, '@' | ',' | ';'))
    {
        let (name, after) = rest.split_at(end);
        spans.push(Span::new(role, name));
        rest = after;
    }
    spans.push(Span::new(role, rest));
    spans
}

/// One row of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<Span>);

impl Row {
    /// A row of one span.
    pub(super) fn of(role: Role, text: impl Into<String>) -> Self {
        Self(vec![Span::new(role, text)])
    }

    /// The width in columns.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|span| span.as_str().width()).sum()
    }
}

/// The whole screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) rows: Vec<Row>,
    /// The cursor's column and row.
    pub(super) cursor: Option<(usize, usize)>,
}

/// As much of a text as fits so many columns; `~` replaces the rest.
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
        span.with_text(text)
    });
    Row(spans.collect())
}

/// How many of `count` lines get a row of `height`, if a row that counts the others must fit too.
pub(super) fn rows_shown(count: usize, height: usize) -> usize {
    if count <= height {
        count
    } else {
        height.saturating_sub(1)
    }
}
