//! The settings file: TOML, flat, nothing but the keys that there are.

use super::{Colours, Lines, Timestamps};
use crate::address::Address;
use crate::command::Bell;
use chat_proto::nick::{Nick, NickError};
use chat_proto::text::Text;
use serde::Deserialize;
use std::fmt;
use toml::Spanned;

/// What a settings file says, with where in the file that is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    pub(super) server: Option<Spanned<Address>>,
    pub(super) nick: Option<Spanned<NickKey>>,
    pub(super) bell: Option<Spanned<Bell>>,
    #[serde(alias = "colors")]
    pub(super) colours: Option<Spanned<Colours>>,
    pub(super) timestamps: Option<Spanned<Timestamps>>,
    pub(super) quiet: Option<Spanned<bool>>,
    pub(super) scrollback: Option<Spanned<Lines>>,
    pub(super) direct_only: Option<Spanned<bool>>,
    pub(super) no_unencrypted: Option<Spanned<bool>>,
    pub(super) last_server: Option<Spanned<bool>>,
}

/// A nick as a key of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct NickKey(pub(super) Nick);

impl TryFrom<String> for NickKey {
    type Error = NickError;

    fn try_from(text: String) -> Result<Self, NickError> {
        Nick::parse(&text).map(Self)
    }
}

/// Why a text is no settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The line that is wrong, the first being 1.
    pub line: usize,
    /// What is wrong with it, on one line.
    pub what: Text<'static>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for FileError {}

impl File {
    /// Reads a settings file.
    ///
    /// # Errors
    /// The first line that is no TOML, names a key that there is not, or gives one a value that it can't have.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let what = error.message().lines().collect::<Vec<_>>().join("; ");
            FileError {
                line: line_at(text.as_bytes(), at),
                what: Text::from(what),
            }
        })
    }
}

/// The line in which this byte is, the first being 1.
pub(crate) fn line_at(text: &[u8], byte: usize) -> usize {
    let before = text.iter().take(byte);
    1 + before.filter(|&&byte| byte == b'\n').count()
}
