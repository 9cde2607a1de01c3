//! Where a user's files are: the settings file, and the file that remembers the last server.
//!
//! As in the XDG Base Directory Specification: `$XDG_CONFIG_HOME`, else `~/.config`;
//! `$XDG_STATE_HOME`, else `~/.local/state`. A relative path there is ignored.

use crate::address::Address;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The longest settings file, in bytes: some hundred times what all keys take. The limit keeps the
/// client from reading without end a file that was named by mistake.
const FILE_MAX: usize = 64 * 1024;

/// The path of the settings file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigPath {
    /// The usual path; the file may be missing.
    Usual(PathBuf),
    /// The path that the user named.
    Named(PathBuf),
    /// Neither a configuration directory nor a home is known.
    #[default]
    Nowhere,
}

impl ConfigPath {
    /// The path that the user named, else the usual one.
    #[must_use]
    pub fn find(named: Option<&Path>) -> Self {
        match named {
            Some(path) => Self::Named(path.to_owned()),
            None => directory("XDG_CONFIG_HOME", ".config").map_or(Self::Nowhere, |directory| {
                Self::Usual(directory.join("config.toml"))
            }),
        }
    }

    /// Reads the file; empty if it is missing at the usual path.
    ///
    /// # Errors
    /// If it can't be read or is too long.
    pub fn read(&self) -> Result<Vec<u8>> {
        let (path, may_be_missing) = match self {
            Self::Usual(path) => (path, true),
            Self::Named(path) => (path, false),
            Self::Nowhere => return Ok(Vec::new()),
        };
        let mut content = Vec::new();
        match fs::File::open(path) {
            Err(error) if may_be_missing && is_missing(&error) => return Ok(content),
            opened => opened.and_then(|file| file.take(FILE_MAX as u64 + 1).read_to_end(&mut content)),
        }
        .with_context(|| format!("can't read the {self}"))?;
        if content.len() > FILE_MAX {
            bail!("the {self} is longer than {FILE_MAX} bytes");
        }
        Ok(content)
    }
}

/// Whether nothing is at the path, or a directory on the way there is missing.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual(path) | Self::Named(path) => write!(f, "settings file {}", path.display()),
            Self::Nowhere => f.write_str("no settings file: neither XDG_CONFIG_HOME nor HOME is set"),
        }
    }
}

/// The file that remembers the server that was joined last.
#[derive(Clone, Debug)]
pub struct LastServer(PathBuf);

impl LastServer {
    /// The path of the file, if a state directory or a home is known.
    #[must_use]
    pub fn find() -> Option<Self> {
        let directory = directory("XDG_STATE_HOME", ".local/state")?;
        Some(Self(directory.join("last-server")))
    }

    /// The server, if the file holds a valid one.
    #[must_use]
    pub fn read(&self) -> Option<Address> {
        fs::read_to_string(&self.0).ok()?.parse().ok()
    }

    /// Writes the server to the file.
    ///
    /// # Errors
    /// If that fails; names the file.
    pub fn write(&self, server: &Address) -> Result<()> {
        self.replace(server).with_context(|| self.0.display().to_string())
    }

    /// Replaces the file at once, so that another client reads the old server or the new one.
    fn replace(&self, server: &Address) -> io::Result<()> {
        if let Some(directory) = self.0.parent() {
            // The mode that the specification demands for new directories.
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let new = self.0.with_extension(std::process::id().to_string());
        let written = fs::File::create(&new)
            .and_then(|mut file| writeln!(file, "{server}"))
            .and_then(|()| fs::rename(&new, &self.0));
        if written.is_err() {
            // Else each run would leave one more file behind.
            let _ = fs::remove_file(&new);
        }
        written
    }
}

/// This program's directory below the one that `variable` names, else below the home directory.
fn directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join("chat"))
}
