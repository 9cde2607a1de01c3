//! An output that never makes the program wait.

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// What a pipe takes at once when it is ready at all, by POSIX: `PIPE_BUF` on Linux.
const CHUNK: usize = 4096;

/// What may wait to be written, in bytes, before the program must stop adding to it: some thousand
/// lines, for a reader that pauses.
const PENDING_MAX: usize = 256 * 1024;

/// Text on its way to the standard output or the standard error.
///
/// Those may be shared with other programs, so they are not made non-blocking; instead they are written to
/// only when ready, and then no more than surely goes. What surely goes to a terminal is one byte, so a terminal is
/// opened anew.
#[derive(Debug)]
pub struct Sink {
    file: File,
    /// A file takes everything at once, and is always ready.
    is_file: bool,
    pending: Vec<u8>,
}

impl Sink {
    /// A sink for what this descriptor is open for. It gets a descriptor of its own.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let own = terminal(descriptor).map_or_else(|| descriptor.try_clone_to_owned(), Ok)?;
        Ok(Self::from(own))
    }

    /// Whether both lead to the same terminal, pipe or file.
    #[must_use]
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let place = |sink: &Self| sink.file.metadata().map(|place| (place.dev(), place.ino()));
        matches!((place(self), place(other)), (Ok(one), Ok(two)) if one == two)
    }

    /// Where to add what shall be written.
    pub fn pending(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Whether nothing waits to be written.
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

    /// Writes what goes without waiting.
    ///
    /// # Errors
    /// If the output is closed or fails; what was pending is lost then.
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
        if result.is_err() {
            self.pending.clear();
        } else {
            self.pending.drain(..written);
        }
        result
    }

    fn is_ready(&self) -> bool {
        let mut descriptors = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        // An error shows itself by writing.
        self.is_file || poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

/// The terminal that this is, opened anew so that writing to it never waits, not even for one that is stopped. If that
/// can't be, as for a terminal that belongs to another user, there is none.
fn terminal(descriptor: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    // By the descriptor: a terminal of another namespace has no name here.
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let mut options = File::options();
    options.write(true).custom_flags(flags.bits());
    let opened = descriptor.is_terminal().then(|| options.open(path).ok());
    opened.flatten().map(OwnedFd::from)
}

impl From<OwnedFd> for Sink {
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

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_keeps_the_rest_and_nothing_is_lost() {
        let (reader, writer) = io::pipe().unwrap();
        let mut sink = Sink::from(OwnedFd::from(writer));
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        sink.pending().extend_from_slice(&text);
        let mut reader = File::from(OwnedFd::from(reader));
        let mut got = Vec::new();
        sink.flush().unwrap();
        assert!(!sink.is_empty() && !sink.has_room());
        while !sink.is_empty() {
            let mut buffer = [0; 10_000];
            let length = reader.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..length]);
            sink.flush().unwrap();
        }
        drop(sink);
        reader.read_to_end(&mut got).unwrap();
        assert!(got == text);
    }

    #[test]
    fn what_is_the_same_is_known_by_where_it_leads() {
        let (_reader, writer) = io::pipe().unwrap();
        let (_other_reader, other_writer) = io::pipe().unwrap();
        let sink = Sink::new(writer.as_fd()).unwrap();
        assert!(sink.is_the_same_as(&Sink::new(writer.as_fd()).unwrap()));
        assert!(!sink.is_the_same_as(&Sink::new(other_writer.as_fd()).unwrap()));
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut sink = Sink::from(OwnedFd::from(writer));
        sink.flush().unwrap();
        sink.pending().extend_from_slice(b"x");
        assert_eq!(sink.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
