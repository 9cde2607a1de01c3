//! Output that never blocks the program.

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// A pipe that polls writable takes this many bytes without blocking: `PIPE_BUF`, pipe(7).
const CHUNK: usize = 4096;

/// Bytes that may be pending before the program must stop adding more: some thousand lines, for a reader that pauses.
const PENDING_MAX: usize = 256 * 1024;

/// Buffered text for the standard output or the standard error.
///
/// These streams may be shared with a shell, so they are not made non-blocking. A writer polls them instead, and writes
/// no more than they take without blocking. A terminal that polls writable may take a single byte, so the writer opens the
/// terminal anew, non-blocking.
#[derive(Debug)]
pub struct Writer {
    file: File,
    /// A regular file is always ready and takes everything at once.
    is_file: bool,
    pending: Vec<u8>,
}

impl Writer {
    /// A writer to the file, pipe or terminal behind a descriptor. It has a descriptor of its own.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let own = terminal(descriptor).map_or_else(|| descriptor.try_clone_to_owned(), Ok)?;
        Ok(Self::from(own))
    }

    /// Whether both write to the same terminal, pipe or file.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let inode = |writer: &Self| writer.file.metadata().map(|file| (file.dev(), file.ino()));
        matches!((inode(self), inode(other)), (Ok(one), Ok(two)) if one == two)
    }

    /// The bytes not yet written. Append to it, then call [`Self::flush`].
    pub fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Whether nothing is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether more may be added.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.pending.len() < PENDING_MAX
    }

    /// What to poll for.
    #[must_use]
    pub fn interest(&self) -> PollFlags {
        if self.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::POLLOUT
        }
    }

    /// Writes as much as goes without blocking.
    ///
    /// # Errors
    /// If the output is closed or fails. What is not written stays pending, and begins where the output was cut.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            let rest = self.pending.get(written..).unwrap_or_default();
            if rest.is_empty() || !self.is_ready() {
                break Ok(());
            }
            let chunk = if self.is_file {
                rest.len()
            } else {
                rest.len().min(CHUNK)
            };
            match self.file.write(rest.get(..chunk).unwrap_or(rest)) {
                Ok(length) => written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..written);
        result
    }

    fn is_ready(&self) -> bool {
        let mut descriptors = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        // After POLLERR or POLLHUP the write reports the error.
        self.is_file || poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

/// Opens the terminal behind a descriptor anew, so that a write never blocks, even while the terminal is stopped (Ctrl-S).
/// `None` if it is no terminal or can't be opened, for example because it belongs to another user.
fn terminal(descriptor: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    // By descriptor: a terminal of another namespace has no name here.
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let mut options = File::options();
    options.write(true).custom_flags(flags.bits());
    let opened = descriptor.is_terminal().then(|| options.open(path).ok());
    opened.flatten().map(OwnedFd::from)
}

impl From<OwnedFd> for Writer {
    fn from(descriptor: OwnedFd) -> Self {
        let file = File::from(descriptor);
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        Self {
            file,
            is_file,
            pending: Vec::new(),
        }
    }
}

impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_leaves_the_rest_pending() {
        let (reader, writer) = io::pipe().unwrap();
        let mut out = Writer::from(OwnedFd::from(writer));
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        out.pending().extend_from_slice(&text);
        let mut reader = File::from(OwnedFd::from(reader));
        let mut got = Vec::new();
        out.flush().unwrap();
        assert!(!out.is_empty() && !out.has_room());
        while !out.is_empty() {
            let mut buffer = [0; 10_000];
            let length = reader.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..length]);
            out.flush().unwrap();
        }
        drop(out);
        reader.read_to_end(&mut got).unwrap();
        assert!(got == text);
    }

    #[test]
    fn writers_to_one_pipe_are_the_same() {
        let (_reader, writer) = io::pipe().unwrap();
        let (_other_reader, other_writer) = io::pipe().unwrap();
        let out = Writer::new(writer.as_fd()).unwrap();
        assert!(out.is_same_as(&Writer::new(writer.as_fd()).unwrap()));
        assert!(!out.is_same_as(&Writer::new(other_writer.as_fd()).unwrap()));
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut out = Writer::from(OwnedFd::from(writer));
        out.flush().unwrap();
        out.pending().extend_from_slice(b"x");
        assert_eq!(out.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
