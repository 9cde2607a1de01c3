//! Where a user's files are: the settings file, and the file that remembers the last server.

use crate::address::Address;
use anyhow::{Context, Result, bail};
use chat_sys::files;
use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Read};
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
            None => files::config_directory().map_or(Self::Nowhere, |directory| {
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

/// The user's home, if it is known.
#[must_use]
pub fn home() -> Option<PathBuf> {
    env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}

/// The usual directory for received files: that of the desktop, which its language may name, else `~/Downloads`.
#[must_use]
pub fn downloads() -> Option<PathBuf> {
    let home = home()?;
    let settings = files::config_directory()?.parent()?.join("user-dirs.dirs");
    let desktop = fs::read_to_string(settings).unwrap_or_default();
    Some(desktop_downloads(&desktop, &home).unwrap_or_else(|| home.join("Downloads")))
}

/// The directory in the file of xdg-user-dirs. The home itself stands for none.
fn desktop_downloads(settings: &str, home: &Path) -> Option<PathBuf> {
    let value = settings.lines().find_map(|line| {
        let value = line.trim().strip_prefix("XDG_DOWNLOAD_DIR=\"")?;
        value.strip_suffix('"')
    })?;
    let path = match value.strip_prefix("$HOME") {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => PathBuf::from(value),
    };
    Some(path).filter(|path| path.is_absolute() && path != home)
}

/// The directory for received files that the user named: `~` is the home.
#[must_use]
pub fn named_directory(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// The file that remembers the server that was joined last.
#[derive(Clone, Debug)]
pub struct LastServer(PathBuf);

impl LastServer {
    /// The path of the file, if a state directory or a home is known.
    #[must_use]
    pub fn find() -> Option<Self> {
        let directory = files::state_directory()?;
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
        files::replace(&self.0, format!("{server}\n").as_bytes())
            .with_context(|| self.0.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desktop_names_the_directory_for_downloads() {
        let home = Path::new("/home/alice");
        for (settings, path) in [
            (
                "# c\nXDG_DESKTOP_DIR=\"$HOME/D\"\nXDG_DOWNLOAD_DIR=\"$HOME/下载\"\n",
                Some("/home/alice/下载"),
            ),
            ("XDG_DOWNLOAD_DIR=\"/data/in\"", Some("/data/in")),
            ("XDG_DOWNLOAD_DIR=\"$HOME/\"", None),
            ("XDG_DOWNLOAD_DIR=\"relative\"", None),
            ("XDG_DOWNLOAD_DIR=$HOME/x", None),
            ("", None),
        ] {
            let found = desktop_downloads(settings, home);
            assert_eq!(found.as_deref(), path.map(Path::new), "{settings}");
        }
    }
}
