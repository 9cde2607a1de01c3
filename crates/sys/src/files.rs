//! Where a user's files are, and files that hold a secret or that several programs change.
//!
//! The directories are those of the XDG Base Directory Specification: `$XDG_CONFIG_HOME`, else `~/.config`;
//! `$XDG_STATE_HOME`, else `~/.local/state`. A relative path there is ignored.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The directory for settings, if one or a home is known.
#[must_use]
pub fn config_directory() -> Option<PathBuf> {
    directory("XDG_CONFIG_HOME", ".config")
}

/// The directory for what a program remembers, if one or a home is known.
#[must_use]
pub fn state_directory() -> Option<PathBuf> {
    directory("XDG_STATE_HOME", ".local/state")
}

/// The directory of chat below the one that `variable` names, else below the home directory.
fn directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join("chat"))
}

/// Writes a file at once: whoever reads it meanwhile gets the old content or the new one. Missing directories are made, for
/// their owner alone, and so is the file.
///
/// # Errors
/// Those of the system.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content, |new| fs::rename(new, path))
}

/// Held until it is dropped.
pub type Lock = Flock<File>;

/// Keeps other programs, and other threads, from changing what they change under this lock in the same directory. Waits for
/// whoever has it.
///
/// # Errors
/// Those of the system.
pub fn lock_beside(path: &Path) -> io::Result<Lock> {
    make_directory_of(path)?;
    let directory = File::open(directory_of(path).unwrap_or(Path::new(".")))?;
    Flock::lock(directory, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

/// Adds text to the end of a file in one write, so that programs that do so at once lose nothing. Missing directories are made,
/// for their owner alone, and so is the file.
///
/// # Errors
/// Those of the system.
pub fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    make_directory_of(path)?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)
}

/// The secret that a file holds, as text of one line. Without a file, `make` makes one, and it is kept for its owner alone.
///
/// # Errors
/// Those of the system; [`ErrorKind::PermissionDenied`] if others may read the file.
pub fn keep_secret(path: &Path, make: impl FnOnce() -> String) -> io::Result<Zeroizing<String>> {
    match read_secret(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read,
    }
    match make_secret(path, &make()) {
        // Another program was quicker: its secret holds.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => read_secret(path),
    }
}

/// Writes a secret to a new file, for its owner alone.
///
/// # Errors
/// Those of the system; [`ErrorKind::AlreadyExists`] if there is such a file.
pub fn make_secret(path: &Path, secret: &str) -> io::Result<()> {
    let content = format!("{secret}\n");
    write_beside(path, content.as_bytes(), |new| fs::hard_link(new, path))
}

/// A secret that no other program uses meanwhile.
#[derive(Debug)]
pub struct OwnSecret {
    /// The open file, which is locked until it is dropped.
    file: Lock,
}

impl OwnSecret {
    /// The secret of [`keep_secret`], for one program at a time. `None` while another one has it.
    ///
    /// # Errors
    /// Those of [`keep_secret`].
    pub fn lock(path: &Path, make: impl FnOnce() -> String) -> io::Result<Option<Self>> {
        keep_secret(path, make)?;
        match Flock::lock(File::open(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Some(Self { file })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// The secret, as text of one line.
    ///
    /// # Errors
    /// Those of the system.
    pub fn read(&self) -> io::Result<Zeroizing<String>> {
        read_text(&self.file)
    }
}

/// Opens no link, and does not wait for the other side of a pipe: others may have put either there.
const AS_IT_IS: i32 = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;

/// A file that one program at a time reads and writes, for its owner alone. A lock on another file beside it, with `.lock`
/// behind its name, is held until this is dropped.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    _lock: Lock,
}

impl OwnFile {
    /// The file at this path, which need not exist; its directory must. `None` while another program has it.
    ///
    /// # Errors
    /// Those of the system; [`ErrorKind::InvalidInput`] if it is no regular file; [`ErrorKind::PermissionDenied`] if it is a link
    /// of another user, who could so make this program move any file of its own.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let found = path.symlink_metadata().ok();
        let path = match found.filter(fs::Metadata::is_symlink) {
            Some(link) if ![0, nix::unistd::geteuid().as_raw()].contains(&link.uid()) => {
                let text = "it is a link of another user";
                return Err(io::Error::new(ErrorKind::PermissionDenied, text));
            }
            // A link stays one.
            Some(_) => path.canonicalize()?,
            None => path.to_owned(),
        };
        if path.file_name().is_none() || path.symlink_metadata().is_ok_and(|about| !about.is_file()) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
        }
        let beside = with_suffix(&path, ".lock");
        let mut create = OpenOptions::new();
        create.write(true).create(true).mode(0o600);
        let lock = create.custom_flags(AS_IT_IS).open(&beside);
        let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", beside.display()));
        match Flock::lock(lock.map_err(about)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self { path, _lock: lock })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content.
    ///
    /// # Errors
    /// Those of the system; others if it has more bytes than `max`, belongs to another user, or others may use it.
    pub fn read(&self, max: u64) -> io::Result<Vec<u8>> {
        let mut open = OpenOptions::new();
        let file = open.read(true).custom_flags(AS_IT_IS).open(&self.path)?;
        let about = file.metadata()?;
        let denied = |text: &str| Err(io::Error::new(ErrorKind::PermissionDenied, text));
        if about.uid() != nix::unistd::geteuid().as_raw() {
            return denied("it belongs to another user");
        }
        if about.mode() & 0o077 != 0 {
            return denied("others may use it; it needs mode 600");
        }
        if about.len() > max {
            let text = format!("it has more than {max} bytes");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        let mut content = Vec::new();
        file.take(max).read_to_end(&mut content)?;
        Ok(content)
    }

    /// Writes it at once: after a kill or a power cut it has the old content or the new one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        // No other program has this name, so what a program left that was killed is not in the way.
        let new = with_suffix(&self.path, ".new");
        let _ = fs::remove_file(&new);
        let written = write_new(&new, content).and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            // On a full disk, what fits would take the space of others.
            let _ = fs::remove_file(&new);
        }
        written?;
        File::open(directory_of(&self.path).unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Takes this many bytes off its end. That needs no space, so it works on a full disk.
    ///
    /// # Errors
    /// Those of the system.
    pub fn shorten(&self, by: u64) -> io::Result<()> {
        let mut open = OpenOptions::new();
        let file = open.write(true).custom_flags(AS_IT_IS).open(&self.path)?;
        file.set_len(file.metadata()?.len().saturating_sub(by))?;
        file.sync_all()
    }

    /// Renames it, with `.refused` behind its name, in place of an earlier one. Returns where it is then.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = with_suffix(&self.path, ".refused");
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The bytes of a secret, at most.
const SECRET_MAX: usize = 4096;

/// The secret that a file holds, without the line ends after it.
///
/// # Errors
/// Those of the system; [`ErrorKind::PermissionDenied`] if others may read the file.
pub fn read_secret(path: &Path) -> io::Result<Zeroizing<String>> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        let text = "others may read it; `chmod 600` makes it yours alone";
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    read_text(&file)
}

fn read_text(file: &File) -> io::Result<Zeroizing<String>> {
    // It never grows: a larger copy would leave the old one behind.
    let mut content = Zeroizing::new([0; SECRET_MAX + 1]);
    let mut length = 0;
    while let Some(rest) = content.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match (&*file).read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let error = |text: String| io::Error::new(ErrorKind::InvalidData, text);
    let content = content
        .get(..length)
        .filter(|content| content.len() <= SECRET_MAX);
    let content = content.ok_or_else(|| error(format!("it is longer than {SECRET_MAX} bytes")))?;
    let content = std::str::from_utf8(content).map_err(|_| error("it is not in UTF-8".into()))?;
    // Some editors put a byte order mark in front.
    let secret = content.strip_prefix('\u{FEFF}').unwrap_or(content);
    Ok(Zeroizing::new(secret.trim_end().to_owned()))
}

/// The passphrase of a room that a file holds, as `parse` reads it.
///
/// # Errors
/// Those of [`read_secret`]; [`ErrorKind::InvalidData`] if `parse` finds none. Names the file.
pub fn read_passphrase<T>(path: &Path, parse: impl FnOnce(&str) -> Option<T>) -> io::Result<T> {
    let about = format!("passphrase file {}", path.display());
    let text =
        read_secret(path).map_err(|error| io::Error::new(error.kind(), format!("{about}: {error}")))?;
    parse(&text).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, format!("{about} is empty")))
}

/// The text of a file that says who may do what.
///
/// # Errors
/// Those of the system; [`ErrorKind::PermissionDenied`] if others may write the file.
pub fn read_rules(path: &Path) -> io::Result<String> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    if about.mode() & 0o002 != 0 {
        let text = "others may write it; `chmod o-w` forbids that";
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    fs::read_to_string(path)
}

/// Writes a new file beside `path`, which `publish` puts in its place.
fn write_beside(
    path: &Path,
    content: &[u8],
    publish: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    make_directory_of(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // A name of its own: one left by a program that was killed must not be in the way. In a container, each has the same id.
    let random = RandomState::new().build_hasher().finish();
    name.push(format!(".{}-{random:x}", std::process::id()));
    let new = path.with_file_name(name);
    let written = write_new(&new, content).and_then(|()| publish(&new));
    // Else each run would leave one more file behind. After a rename there is none.
    let _ = fs::remove_file(&new);
    written
}

/// Unless it is the current one.
fn directory_of(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|directory| !directory.as_os_str().is_empty())
}

fn make_directory_of(path: &Path) -> io::Result<()> {
    // The mode that the specification demands for new directories.
    directory_of(path).map_or(Ok(()), |directory| {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)
    })
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A directory that is removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("chat-files-{name}-{}", std::process::id()));
            fs::create_dir(&directory).unwrap();
            Self(directory)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let scratch = Scratch::new("secret");
        let path = scratch.0.join("below").join("secret");
        assert_eq!(*keep_secret(&path, || "first".into()).unwrap(), "first");
        assert_eq!(*keep_secret(&path, || "second".into()).unwrap(), "first");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn one_program_at_a_time_has_a_secret() {
        let scratch = Scratch::new("own");
        let path = scratch.0.join("secret");
        let own = OwnSecret::lock(&path, || "first".into()).unwrap().unwrap();
        assert_eq!(*own.read().unwrap(), "first");
        assert!(OwnSecret::lock(&path, String::new).unwrap().is_none());
        drop(own);
        let own = OwnSecret::lock(&path, || "second".into()).unwrap().unwrap();
        assert_eq!(*own.read().unwrap(), "first");
    }

    #[test]
    fn one_program_at_a_time_has_a_file() {
        let scratch = Scratch::new("own-file");
        let path = scratch.0.join("state");
        let own = OwnFile::open(&path).unwrap().unwrap();
        assert!(OwnFile::open(&path).unwrap().is_none());
        assert_eq!(own.read(9).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(scratch.0.join("state.new"), "half of a fi").unwrap();
        own.replace(b"one").unwrap();
        own.replace(b"two").unwrap();
        assert_eq!(
            (own.read(3).unwrap().as_slice(), mode(&path)),
            (b"two".as_slice(), 0o600)
        );
        assert_eq!(own.read(2).unwrap_err().kind(), ErrorKind::InvalidData);
        own.shorten(1).unwrap();
        assert_eq!(own.read(2).unwrap(), b"tw");
        own.replace(b"two").unwrap();
        drop(own);
        let own = OwnFile::open(&path).unwrap().unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert_eq!(own.read(9).unwrap_err().kind(), ErrorKind::PermissionDenied);
        let aside = own.set_aside().unwrap();
        assert_eq!(fs::read(aside).unwrap(), b"two");
        assert_eq!(own.read(9).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 2);
    }

    #[test]
    fn a_file_of_its_own_needs_a_directory_and_is_regular() {
        let scratch = Scratch::new("own-place");
        let error = |path: &Path| OwnFile::open(path).unwrap_err().kind();
        assert_eq!(
            error(&scratch.0.join("missing").join("state")),
            ErrorKind::NotFound
        );
        assert_eq!(error(&scratch.0), ErrorKind::InvalidInput);
        assert_eq!(error(Path::new("/dev/null")), ErrorKind::InvalidInput);
        let (path, link) = (scratch.0.join("state"), scratch.0.join("link"));
        let own = OwnFile::open(&path).unwrap().unwrap();
        own.replace(b"one").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(OwnFile::open(&link).unwrap().is_none(), "it is the same file");
        drop(own);
        let own = OwnFile::open(&link).unwrap().unwrap();
        own.replace(b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn what_others_put_beside_a_file_is_not_followed() {
        let scratch = Scratch::new("own-planted");
        let (path, lock, elsewhere) = (
            scratch.0.join("state"),
            scratch.0.join("state.lock"),
            scratch.0.join("elsewhere"),
        );
        std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
        let error = OwnFile::open(&path).unwrap_err();
        assert!(error.to_string().contains("state.lock: "), "{error}");
        assert!(!elsewhere.exists());
        fs::remove_file(&lock).unwrap();
        // To open it would wait for a reader.
        nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(OwnFile::open(&path).is_err());
        fs::remove_file(&lock).unwrap();
        let own = OwnFile::open(&path).unwrap().unwrap();
        fs::write(&elsewhere, "secret").unwrap();
        fs::set_permissions(&elsewhere, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(own.read(9).is_err(), "a link that was put there since");
        // Only root can make a link that is another user's.
        if std::os::unix::fs::lchown(&path, Some(65_534), None).is_ok() {
            drop(own);
            assert_eq!(
                OwnFile::open(&path).unwrap_err().kind(),
                ErrorKind::PermissionDenied
            );
        }
    }

    #[test]
    fn lines_are_added_to_a_file_of_its_owner_alone() {
        let scratch = Scratch::new("append");
        let path = scratch.0.join("below").join("file");
        append(&path, b"one\n").unwrap();
        append(&path, b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let scratch = Scratch::new("open");
        let path = scratch.0.join("secret");
        keep_secret(&path, || "mine".into()).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = keep_secret(&path, String::new).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(keep_secret(&scratch.0, String::new).is_err(), "a directory");
    }

    #[test]
    fn a_secret_is_read_as_a_whole_or_not_at_all() {
        let scratch = Scratch::new("whole");
        let path = scratch.0.join("secret");
        let read = |content: &[u8]| {
            let _ = fs::remove_file(&path);
            write_new(&path, content).unwrap();
            read_secret(&path).map_err(|error| error.kind())
        };
        assert_eq!(read(b"\xEF\xBB\xBFsecret\r\n"), Ok("secret".to_owned().into()));
        assert_eq!(read(&[b'x'; 4096]), Ok("x".repeat(4096).into()));
        for content in [[b'x'; 4097].as_slice(), b"\xFF"] {
            assert_eq!(read(content), Err(ErrorKind::InvalidData));
        }
    }

    #[test]
    fn rules_that_others_may_write_are_refused() {
        let scratch = Scratch::new("rules");
        let path = scratch.0.join("rules");
        replace(&path, b"one\n").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(read_rules(&path).unwrap(), "one\n");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o646)).unwrap();
        let error = read_rules(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        // A pipe would make the server wait for ever.
        assert_eq!(
            read_rules(Path::new("/dev/null")).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_new_secret_replaces_no_file() {
        let scratch = Scratch::new("new");
        let path = scratch.0.join("secret");
        make_secret(&path, "one").unwrap();
        let error = make_secret(&path, "two").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(
            (read_secret(&path).unwrap().as_str(), mode(&path)),
            ("one", 0o600)
        );
    }

    #[test]
    fn what_a_killed_program_left_is_not_in_the_way() {
        let scratch = Scratch::new("killed");
        let path = scratch.0.join("secret");
        let left = scratch.0.join(format!("secret.{}", std::process::id()));
        write_new(&left, b"half of a sec").unwrap();
        assert_eq!(*keep_secret(&path, || "made".into()).unwrap(), "made");
        replace(&path, b"other").unwrap();
        assert_eq!(*read_secret(&path).unwrap(), "other");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let scratch = Scratch::new("replace");
        let path = scratch.0.join("file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }
}
