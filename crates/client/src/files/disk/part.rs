//! A file that is received.
//!
//! Until it is complete, it is a hidden file in the same directory, and only its user may read it. It is written in order.
//! No existing file is changed: no link is followed, and no name is overwritten.

use super::error::Failure;
use super::hasher::{Hasher, Step};
use crate::files::message::{Hash, Reason};
use crate::files::name::FileName;
use crate::files::request::{Answer, Part};
use nix::sys::resource::{Resource, getrlimit};
use rustix::fs::{AtFlags, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

/// Parts of files with one name, size and time that may be there at once.
const PARTS_MAX: u32 = 99;
/// Numbers that are tried for a name that is taken.
const NAMES_MAX: u32 = 9999;

/// Invariant: the file has `length` bytes, unless a write failed, and its hash is the hasher's, unless that is behind; both
/// unless another program writes to it.
pub(super) struct OpenPart {
    directory: OwnedFd,
    /// Its name until it is whole.
    name: String,
    file: File,
    size: u64,
    length: u64,
    hasher: Hasher,
    /// Its length and hash are not told yet.
    is_untold: bool,
    /// When this program last wrote to it, by the file system's clock.
    written: Option<(i64, i64)>,
    /// Somebody wrote to it later. Over a network, that may be the server with another clock.
    is_doubtful: bool,
}

impl OpenPart {
    /// Opens or creates it, and reserves what is missing.
    pub(super) fn open(part: Part, free_min: u64) -> Result<Self, Failure> {
        let limit = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |limits| limits.0);
        if part.size > limit {
            let hint = "it is larger than this program may write; see ulimit -f";
            return Err(Failure::new(Reason::CannotWrite, hint));
        }
        let part = Self::find(part)?;
        match part.reserve(free_min) {
            Ok(()) => Ok(part),
            Err(failure) => {
                part.close();
                Err(failure)
            }
        }
    }

    /// Opens or creates it.
    pub(super) fn find(part: Part) -> Result<Self, Failure> {
        let Part {
            directory,
            name,
            size,
            modified,
        } = part;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&directory, flags, Mode::empty()).map_err(|error| {
            let error = Failure::writing(error);
            Failure::new(error.reason, format!("{}: {}", directory.display(), error.text))
        })?;
        for number in 1..=PARTS_MAX {
            let number = if number == 1 {
                String::new()
            } else {
                format!(".{number}")
            };
            let name = format!(".{name}.{size}.{modified}{number}.chat-part");
            if let Some((file, length)) = claim(&directory, &name, size)? {
                return Ok(Self {
                    directory,
                    name,
                    file,
                    size,
                    length,
                    hasher: Hasher::new(length),
                    is_untold: true,
                    written: None,
                    is_doubtful: false,
                });
            }
        }
        Err(Failure::new(Reason::CannotWrite, "too many parts of such a file"))
    }

    /// Checks that there is room for the rest, and takes it.
    fn reserve(&self, free_min: u64) -> Result<(), Failure> {
        let disk = rustix::fs::fstatvfs(&self.directory).map_err(Failure::writing)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        // Blocks that the part has reserved are not free any more.
        let has =
            rustix::fs::fstat(&self.file).map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
        let needed = self.size.saturating_sub(has.max(self.length));
        // File systems without a size, such as some over a network, have no blocks.
        if disk.f_blocks > 0 && needed.saturating_add(free_min) > free {
            let text = format!("no space left: {} MiB are free", free >> 20);
            return Err(Failure::new(Reason::DiskFull, text));
        }
        if self.size == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, self.size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) | Ok(()) => Ok(()),
            Err(Errno::FBIG) => {
                let text = "it is too large for the file system";
                Err(Failure::new(Reason::CannotWrite, text))
            }
            Err(error) => Err(Failure::writing(error)),
        }
    }

    pub(super) fn is_hashing(&self) -> bool {
        self.is_untold
    }

    pub(super) fn hash_on(&mut self) -> Result<Option<Answer>, Failure> {
        if self.hasher.is_behind() {
            match self.hasher.step(&self.file).map_err(Failure::writing)? {
                Step::Told(bytes) => return Ok(Some(Answer::Progress(bytes))),
                Step::Silent => return Ok(None),
                Step::Done => {}
            }
        }
        self.is_untold = false;
        Ok(Some(Answer::Part(self.length, self.hasher.hash())))
    }

    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        rustix::fs::ftruncate(&self.file, 0).map_err(Failure::writing)?;
        self.length = 0;
        self.hasher = Hasher::new(0);
        self.reserve(0)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.look();
        self.file.write_all(bytes).map_err(Failure::writing)?;
        self.written = self.modified();
        self.length += bytes.len() as u64;
        self.hasher.add(bytes);
        Ok(())
    }

    fn modified(&self) -> Option<(i64, i64)> {
        let metadata = self.file.metadata().ok()?;
        Some((metadata.mtime(), metadata.mtime_nsec()))
    }

    /// Notes whether another program wrote to it.
    fn look(&mut self) {
        self.is_doubtful |= self.written.is_some() && self.written != self.modified();
    }

    /// Makes it the file: its bytes are on the disk before it has its name, and its name is when this returns.
    pub(super) fn finish(mut self, hash: &Hash, name: &FileName) -> Result<FileName, Failure> {
        if self.length != self.size || self.hasher.hash() != *hash {
            self.discard();
            return Err(Failure::new(Reason::Damaged, "what arrived is not what was sent"));
        }
        let result = match self.is_as_written() {
            Ok(true) => self.give_name(name),
            Ok(false) => {
                self.discard();
                let text = "another program changed or removed it before it was complete";
                return Err(Failure::new(Reason::CannotWrite, text));
            }
            Err(failure) => Err(failure),
        };
        if result.is_err() {
            self.close();
        }
        result
    }

    /// Puts its bytes on the disk. Whether they are those that were written, as far as one can tell.
    fn is_as_written(&mut self) -> Result<bool, Failure> {
        rustix::fs::fdatasync(&self.file).map_err(Failure::writing)?;
        self.look();
        if !self.is_in_place() || self.file.metadata().map_err(Failure::writing)?.len() != self.size {
            return Ok(false);
        }
        if !self.is_doubtful {
            return Ok(true);
        }
        // Other files wait meanwhile, which is rare.
        let mut hasher = Hasher::new(self.size);
        while hasher.is_behind() {
            hasher.step(&self.file).map_err(Failure::writing)?;
        }
        Ok(hasher.hash() == self.hasher.hash())
    }

    fn give_name(&self, name: &FileName) -> Result<FileName, Failure> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(0o666 & !umask())).map_err(Failure::writing)?;
        for number in 1..=NAMES_MAX {
            let name = if number == 1 {
                name.clone()
            } else {
                name.numbered(number)
            };
            match self.rename(name.as_str()) {
                Ok(()) => {
                    // Some file systems have nothing to sync here.
                    let _ = rustix::fs::fsync(&self.directory);
                    return Ok(name);
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(Failure::writing(error)),
            }
        }
        Err(Failure::new(Reason::CannotWrite, "too many files have that name"))
    }

    fn rename(&self, name: &str) -> Result<(), Errno> {
        let (directory, part) = (&self.directory, self.name.as_str());
        match rustix::fs::renameat_with(directory, part, directory, name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(directory, part, directory, name, AtFlags::empty())?;
                let _ = rustix::fs::unlinkat(directory, part, AtFlags::empty());
                Ok(())
            }
            result => result,
        }
    }

    /// The part's name is still that of this file.
    fn is_in_place(&self) -> bool {
        is_named(&self.directory, &self.name, &self.file)
    }

    /// What arrived stays; what was reserved does not.
    pub(super) fn close(self) {
        if self.length == 0 {
            return self.discard();
        }
        let _ = rustix::fs::ftruncate(&self.file, self.length);
    }

    pub(super) fn discard(self) {
        if self.is_in_place() {
            let _ = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// Opens or creates a part, and its length. `None` if that name is another program's, or no part.
fn claim(directory: &OwnedFd, name: &str, size: u64) -> Result<Option<(File, u64)>, Failure> {
    let flags = OFlags::RDWR
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC
        | OFlags::APPEND;
    let only_user = Mode::RUSR | Mode::WUSR;
    let new = flags | OFlags::CREATE | OFlags::EXCL;
    let file = match rustix::fs::openat(directory, name, new, only_user) {
        Err(Errno::EXIST) => match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            // A link, a directory, a socket, a device, or the file of another user; or it is gone already.
            Err(_) => return Ok(None),
        },
        file => file.map_err(Failure::writing)?,
    };
    let file = File::from(file);
    let stat = rustix::fs::fstat(&file).map_err(Failure::writing)?;
    let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let is_part = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
        && stat.st_nlink == 1
        && stat.st_uid == nix::unistd::geteuid().as_raw()
        && length <= size;
    let is_own = is_part
        // Some file systems have no locks.
        && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
        // The previous owner of the lock may have given it its name.
        && is_named(directory, name, &file);
    Ok(is_own.then_some((file, length)))
}

fn is_named(directory: &OwnedFd, name: &str, file: &File) -> bool {
    let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
    let named = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(identity);
    named.is_ok() && named == rustix::fs::fstat(file).map(identity)
}

/// The process's umask. umask(2) reads it only by changing it for a moment, for all threads.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o077)
}
