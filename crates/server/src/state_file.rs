//! The file that keeps the state of the room, so that it survives a restart.
//!
//! A thread of its own writes the file: a disk may take longer than the room can wait.

use crate::log::Log;
use crate::state::{FINAL, NoState, State};
use anyhow::{Context, Result, bail};
use chat_sys::files::OwnFile;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The file is written at most once in this time: what was said in it is lost if the server is killed.
const INTERVAL: Duration = Duration::from_secs(1);

/// After a failure, such as a full disk, the next attempt is made after this time.
const RETRY: Duration = Duration::from_secs(3);

/// While the file is written, the loop looks this often whether that is done, if nothing else wakes it.
const LOOK: Duration = Duration::from_millis(100);

/// The largest file that is read: room for a million users, as the run before may have had more than this one.
const BYTES_MAX: u64 = 1 << 30;

/// A file that no other server may use, and what was found in it.
pub(crate) struct Opened {
    file: OwnFile,
    /// There may have been no file. Or it was a state and is none, for this reason.
    found: Option<Result<State, NoState>>,
}

/// Opens the file.
///
/// # Errors
/// If another server uses it, or it can be no file of this server, or others may use it. Then it is left as it is: it may be
/// any file of the operator, or hold bans that an empty room would lack.
pub(crate) fn open(path: &Path) -> Result<Opened> {
    let about = || format!("state file {}", path.display());
    let Some(file) = OwnFile::open(path).with_context(about)? else {
        bail!(
            "{}: another server uses it; each needs a file of its own",
            about()
        );
    };
    let found = match file.read(BYTES_MAX) {
        Ok(bytes) => match State::parse(&bytes) {
            Err(why @ NoState::Foreign) => bail!("{}: {why}", about()),
            parsed => Some(parsed),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(about),
    };
    Ok(Opened { file, found })
}

impl Opened {
    /// Begins to write, after a first time here, so that a directory that can't be written shows at the start. A full disk does
    /// not keep the room from opening. Returns what was found as well, for the room.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn begin(self, log: &mut Log) -> Result<(StateFile, State)> {
        let Self { file, found } = self;
        let about = || format!("state file {}", file.path().display());
        let empty = State {
            is_final: true,
            ..State::default()
        };
        let has_file = matches!(found, Some(Ok(_)));
        let mut state = match found {
            None => empty,
            Some(Ok(state)) => {
                log.line(format_args!("state {state}"));
                state
            }
            Some(Err(why)) => {
                let aside = file.set_aside().with_context(|| format!("{}: {why}", about()))?;
                log.problem(format_args!(
                    "state refused: {why}; it is now {}",
                    aside.display()
                ));
                empty
            }
        };
        // From here on the server may be killed.
        let is_final = std::mem::replace(&mut state.is_final, false);
        let written = file.replace(&state.to_bytes());
        state.is_final = is_final;
        let is_full =
            |error: &io::Error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        let is_written = written.is_ok();
        match written {
            Err(error) if !is_full(&error) => return Err(error).with_context(about),
            // Else, after a kill, what is said until there is space would be missing unnoticed.
            Err(_) if is_final && has_file => file.shorten(FINAL.len() as u64).with_context(about)?,
            _ => {}
        }
        Ok((StateFile::start(file, !is_written)?, state))
    }
}

/// The writer of the file, as the loop sees it.
#[derive(Debug)]
pub(crate) struct StateFile {
    to_write: SyncSender<State>,
    written: Receiver<io::Result<()>>,
    writer: JoinHandle<()>,
    /// There is something that the writer was not given.
    is_changed: bool,
    /// The writer has not answered yet. It is asked again at this time.
    look_at: Option<Duration>,
    /// The writer is given nothing before this time.
    next: Duration,
    /// The last attempt failed.
    fails: bool,
}

impl StateFile {
    fn start(file: OwnFile, is_changed: bool) -> Result<Self> {
        let (to_write, states) = sync_channel::<State>(1);
        let (answers, written) = sync_channel(1);
        let write = move || {
            for state in states {
                if answers.send(file.replace(&state.to_bytes())).is_err() {
                    return;
                }
            }
        };
        let writer = thread::Builder::new().name("state".into()).spawn(write);
        Ok(Self {
            to_write,
            written,
            writer: writer.context("no thread for the state file")?,
            is_changed,
            look_at: None,
            next: Duration::ZERO,
            fails: false,
        })
    }

    /// When [`StateFile::turn`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.look_at.or(self.is_changed.then_some(self.next))
    }

    /// To be called in each turn, and whether that has changed what `take` returns. Returns an error when writing begins to
    /// fail, and `Ok` when it works again.
    pub(crate) fn turn(
        &mut self,
        now: Duration,
        is_changed: bool,
        take: impl FnOnce() -> State,
    ) -> Option<io::Result<()>> {
        self.is_changed |= is_changed;
        let news = self.look(now);
        if self.is_changed && self.look_at.is_none() && self.next <= now {
            self.write(now, take());
        }
        news
    }

    /// Whether the writer is done.
    fn look(&mut self, now: Duration) -> Option<io::Result<()>> {
        let look_at = self.look_at?;
        match self.written.try_recv() {
            Ok(result) => self.answered(now, result),
            Err(TryRecvError::Empty) => {
                self.look_at = Some(if look_at > now { look_at } else { now + LOOK });
                None
            }
            Err(TryRecvError::Disconnected) => {
                self.answered(now, Err(io::Error::other("its writer has ended")))
            }
        }
    }

    fn answered(&mut self, now: Duration, result: io::Result<()>) -> Option<io::Result<()>> {
        self.look_at = None;
        let failed = std::mem::replace(&mut self.fails, result.is_err());
        if self.fails {
            self.is_changed = true;
            self.next = now + RETRY;
        }
        (failed != self.fails).then_some(result)
    }

    fn write(&mut self, now: Duration, state: State) {
        self.is_changed = false;
        self.look_at = Some(now + LOOK);
        self.next = now + INTERVAL;
        // An error shows as the answer that is missing.
        let _ = self.to_write.try_send(state);
    }

    /// The next state is written as soon as it can be.
    pub(crate) fn hurry(&mut self) {
        self.next = Duration::ZERO;
    }

    /// Waits until this last state is written.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn finish(mut self, last: State) -> io::Result<()> {
        let wait = |file: &Self| file.written.recv().map_err(io::Error::other)?;
        let mut written = if self.look_at.is_some() {
            wait(&self)
        } else {
            Ok(())
        };
        if self.is_changed || written.is_err() {
            self.write(Duration::ZERO, last);
            written = wait(&self);
        }
        drop(self.to_write);
        // It ends now.
        let _ = self.writer.join();
        written
    }
}
