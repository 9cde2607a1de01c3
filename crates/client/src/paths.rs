//! Where the system keeps what belongs to a user: the settings file, and the server that was joined last.
//!
//! By the XDG Base Directory Specification: `$XDG_CONFIG_HOME`, else `~/.config`; `$XDG_STATE_HOME`, else
//! `~/.local/state`. A path there that is not absolute does not count.

use crate::address::Address;
use crate::settings::{FileError, line_at};
use anyhow::{Context, Result, anyhow, bail};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The longest settings file, in bytes: some hundred times what all keys take, so that one named by mistake is not
/// read without end.
const FILE_MAX: usize = 64 * 1024;

/// The settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Where it is looked for, and may be missing.
    Usual(PathBuf),
    /// The one that the user named.
    Named(PathBuf),
    /// There is neither a configuration directory nor a home.
    Nowhere,
}

impl Source {
    /// The file that the user named, else the usual one.
    #[must_use]
    pub fn find(named: Option<&Path>) -> Self {
        match named {
            Some(path) => Self::Named(path.to_owned()),
            None => directory("XDG_CONFIG_HOME", ".config").map_or(Self::Nowhere, |directory| {
                Self::Usual(directory.join("config.toml"))
            }),
        }
    }

    /// What the file says; nothing, if it is the usual one and is not there.
    ///
    /// # Errors
    /// If it can't be read, is no text, or is too long.
    pub fn read(&self) -> Result<String> {
        let (path, may_be_missing) = match self {
            Self::Usual(path) => (path, true),
            Self::Named(path) => (path, false),
            Self::Nowhere => return Ok(String::new()),
        };
        let file = match fs::File::open(path) {
            Err(error) if may_be_missing && is_missing(&error) => return Ok(String::new()),
            opened => opened.with_context(|| self.to_string())?,
        };
        let mut bytes = Vec::new();
        let length = file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes);
        if length.with_context(|| self.to_string())? > FILE_MAX {
            bail!("{self}: longer than {FILE_MAX} bytes, that can't be meant");
        }
        String::from_utf8(bytes).map_err(|error| {
            let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
            anyhow!("{self}, line {line}: this is not UTF-8")
        })
    }

    /// An error in the file, with its name before it.
    #[must_use]
    pub fn explain(&self, error: &FileError) -> anyhow::Error {
        anyhow!("{self}, {error}")
    }
}

/// The error if nothing of that name is there, or not even a directory.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual(path) | Self::Named(path) => write!(f, "settings file {}", path.display()),
            Self::Nowhere => f.write_str("no settings file: neither XDG_CONFIG_HOME nor HOME is set"),
        }
    }
}

/// Where the server is kept that was joined last, for those who want that.
#[derive(Clone, Debug)]
pub struct LastServer(PathBuf);

impl LastServer {
    /// The place for it, if the user has one.
    #[must_use]
    pub fn find() -> Option<Self> {
        let directory = directory("XDG_STATE_HOME", ".local/state")?;
        Some(Self(directory.join("last-server")))
    }

    /// The server; none, if none was kept, or what is there is none.
    #[must_use]
    pub fn read(&self) -> Option<Address> {
        fs::read_to_string(&self.0).ok()?.parse().ok()
    }

    /// Keeps this one.
    ///
    /// # Errors
    /// If it can't be written; names the file.
    pub fn write(&self, server: &Address) -> Result<()> {
        self.replace(server).with_context(|| self.0.display().to_string())
    }

    /// Another client that reads it meanwhile finds the old one or the new one, whole.
    fn replace(&self, server: &Address) -> io::Result<()> {
        if let Some(directory) = self.0.parent() {
            // As the specification wants directories that have to be made.
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let new = self.0.with_extension(std::process::id().to_string());
        let written = fs::File::create(&new)
            .and_then(|mut file| writeln!(file, "{server}"))
            .and_then(|()| fs::rename(&new, &self.0));
        if written.is_err() {
            // Nobody would ever look for it, and each run would leave another one.
            let _ = fs::remove_file(&new);
        }
        written
    }
}

/// This program's directory in the one that a variable names, else in one below the home.
fn directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join("chat"))
}
