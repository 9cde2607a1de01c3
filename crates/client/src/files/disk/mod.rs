//! The thread that owns all files: poll(2) reports a file as ready at all times, but reading and writing may block for
//! seconds.
//!
//! Requests go in by a channel. Answers come out by another one, and a descriptor becomes readable. [`super::transfers`] limits
//! the bytes in the channels: it opens at most eight files each way, and holds at most 3 MiB of each.

mod error;
mod hasher;
mod part;
mod source;
#[cfg(test)]
mod tests;

use super::request::{Answer, Handle, Request};
use chat_proto::text::Text;
use error::Failure;
use nix::sys::eventfd::{EfdFlags, EventFd};
use part::OpenPart;
use source::Source;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that stay free on a disk.
const FREE_MIN: u64 = 64 << 20;
/// At its end the program waits this long for the disk.
const END_MAX: Duration = Duration::from_secs(1);

/// The disk, for its user.
#[derive(Debug)]
pub struct Disk {
    /// Until it is dropped.
    requests: Option<Sender<(Handle, Request)>>,
    answers: Receiver<(Handle, Answer)>,
    wake: Arc<EventFd>,
}

impl Disk {
    /// Starts the thread. The directory `usual` is created for the first file that is received there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(usual: Option<PathBuf>) -> io::Result<Self> {
        Self::with_free(FREE_MIN, usual)
    }

    fn with_free(free_min: u64, usual: Option<PathBuf>) -> io::Result<Self> {
        let (requests, inbox) = channel();
        let (outbox, answers) = channel();
        let wake = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let worker = Worker {
            files: BTreeMap::new(),
            free_min,
            usual,
            outbox,
            wake: Arc::clone(&wake),
        };
        thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || worker.run(&inbox))?;
        Ok(Self {
            requests: Some(requests),
            answers,
            wake,
        })
    }

    /// Asks for something. If the thread has died, nothing answers.
    pub fn ask(&self, handle: Handle, request: Request) {
        if let Some(requests) = &self.requests {
            let _ = requests.send((handle, request));
        }
    }

    /// The next answer. Once there is none, the descriptor is readable again when there is one.
    pub fn next_answer(&self) -> Option<(Handle, Answer)> {
        self.answers.try_recv().ok().or_else(|| {
            // One may have come between the two.
            let _ = self.wake.read();
            self.answers.try_recv().ok()
        })
    }
}

impl Drop for Disk {
    /// Waits up to [`END_MAX`] for pending requests and for the parts to be closed. A later run repeats the rest.
    fn drop(&mut self) {
        self.requests = None;
        let until = Instant::now() + END_MAX;
        while self
            .answers
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
    }
}

impl AsFd for Disk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

struct Worker {
    files: BTreeMap<Handle, File>,
    free_min: u64,
    usual: Option<PathBuf>,
    outbox: Sender<(Handle, Answer)>,
    wake: Arc<EventFd>,
}

enum File {
    Source(Source),
    Part(OpenPart),
}

impl Worker {
    fn run(mut self, inbox: &Receiver<(Handle, Request)>) {
        loop {
            let next = if self.files.values().any(File::is_hashing) {
                inbox.try_recv()
            } else {
                inbox.recv().map_err(|_| TryRecvError::Disconnected)
            };
            match next {
                Ok((handle, request)) => self.carry_out(handle, request),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {}
            }
            self.hash_on();
        }
        for file in self.files.into_values() {
            if let File::Part(part) = file {
                part.close();
            }
        }
    }

    fn carry_out(&mut self, handle: Handle, request: Request) {
        let result = match request {
            Request::Open(path) => Source::open(&path).map(|(source, answer)| {
                self.files.insert(handle, File::Source(source));
                Some(answer)
            }),
            Request::OpenPart(part) => {
                if self.usual.as_ref() == Some(&part.directory) {
                    // If this fails, opening it says why.
                    let _ = std::fs::create_dir(&part.directory);
                }
                OpenPart::open(part, self.free_min).map(|part| {
                    self.files.insert(handle, File::Part(part));
                    None
                })
            }
            Request::Close => {
                if let Some(File::Part(part)) = self.files.remove(&handle) {
                    part.close();
                }
                return;
            }
            Request::Discard => {
                if let Some(File::Part(part)) = self.files.remove(&handle) {
                    part.discard();
                }
                return;
            }
            Request::RemovePart(part) => {
                if let Ok(part) = OpenPart::find(part) {
                    part.discard();
                }
                return;
            }
            Request::Finish(hash, name) => match self.files.remove(&handle) {
                Some(File::Part(part)) => part.finish(&hash, &name).map(|name| Some(Answer::Kept(name))),
                _ => return,
            },
            request => match (self.files.get_mut(&handle), request) {
                (Some(File::Source(source)), Request::Skip(bytes)) => source.skip(bytes).map(|()| None),
                (Some(File::Source(source)), Request::Read) => {
                    source.read().map(|bytes| Some(Answer::Block(bytes)))
                }
                (Some(File::Source(source)), Request::End) => {
                    source.end().map(|hash| Some(Answer::End(hash)))
                }
                (Some(File::Part(part)), Request::Restart) => part.restart().map(|()| None),
                (Some(File::Part(part)), Request::Write(bytes)) => part
                    .write(&bytes)
                    .map(|()| Some(Answer::Written(bytes.len() as u64))),
                _ => return,
            },
        };
        self.conclude(handle, result);
    }

    /// Hashes a piece of each file that is hashed, so that other requests wait for no whole file.
    fn hash_on(&mut self) {
        let hashing = self.files.iter().filter(|(_, file)| file.is_hashing());
        for handle in hashing.map(|(&handle, _)| handle).collect::<Vec<_>>() {
            let result = match self.files.get_mut(&handle) {
                Some(File::Source(source)) => source.hash_on(),
                Some(File::Part(part)) => part.hash_on(),
                None => continue,
            };
            self.conclude(handle, result);
        }
    }

    fn conclude(&mut self, handle: Handle, result: Result<Option<Answer>, Failure>) {
        let answer = match result {
            Ok(None) => return,
            Ok(Some(answer)) => answer,
            Err(Failure { reason, text }) => {
                match self.files.remove(&handle) {
                    Some(File::Part(part)) => part.close(),
                    Some(File::Source(_)) | None => {}
                }
                Answer::Failed(reason, Text::from(text))
            }
        };
        // Nobody is there any more at the end of the program.
        let _ = self.outbox.send((handle, answer));
        let _ = self.wake.write(1);
    }
}

impl File {
    fn is_hashing(&self) -> bool {
        match self {
            Self::Source(source) => source.is_hashing(),
            Self::Part(part) => part.is_hashing(),
        }
    }
}
