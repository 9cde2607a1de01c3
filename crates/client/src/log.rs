//! The log of the conversation: a file that each event of it is appended to.
//!
//! Another program may move the file away or remove it: the next line goes to a new file of the same name.

use crate::line::json::Json;
use crate::line::printer::Printer;
use crate::session::{Event, Outcome};
use chat_proto::now::Now;
use jiff::tz::TimeZone;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use std::env;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the name of the file is looked up.
const LOOK_UP: Duration = Duration::from_secs(1);

/// What is logged, and where. Lines that can't be written are lost: the memory stays small, and the conversation goes on.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    format: Format,
    file: Option<File>,
    /// When the name was looked up last, on the monotonic clock.
    looked_up: Option<Duration>,
    /// The time of the last event that has one. History up to then is logged already; a newcomer's history is not logged.
    last: Option<u64>,
    /// Lines to be written at the end of this turn.
    pending: Vec<u8>,
    /// The user knows that the log can't be written.
    is_told: bool,
}

#[derive(Debug)]
enum Format {
    Lines(Printer),
    Json(Json),
}

impl Log {
    /// A log in this file: JSON lines if its name says so, else lines for people.
    pub(crate) fn new(path: &Path, zone: TimeZone) -> Self {
        let is_json = path
            .extension()
            .is_some_and(|end| end == "json" || end == "jsonl");
        Self {
            path: below_home(path),
            format: match is_json {
                true => Format::Json(Json {
                    conversation: true,
                    history: true,
                    me: None,
                }),
                false => Format::Lines(Printer {
                    conversation: true,
                    history: true,
                    typed: false,
                    zone,
                }),
            },
            file: None,
            looked_up: None,
            last: None,
            pending: Vec::new(),
            is_told: false,
        }
    }

    /// Adds an event, if it is part of the conversation. `now` is in milliseconds since the Unix epoch.
    pub(crate) fn add(&mut self, event: &Event, now: u64) {
        if let Some((at, history)) = time(event) {
            if history && self.last.is_none_or(|last| at < last) {
                return;
            }
            self.last = self.last.max(Some(at));
        }
        if is_logged(event) {
            match &mut self.format {
                Format::Lines(printer) => printer.log(event, now, &mut self.pending),
                Format::Json(json) => json.print(event, now, &mut self.pending),
            }
        }
    }

    /// Writes what was added. Only the first failure of the run is an error, for the user.
    pub(crate) fn flush(&mut self, now: Now) -> Result<(), String> {
        let lines = std::mem::take(&mut self.pending);
        let is_due = self.looked_up.is_none_or(|then| now.monotonic >= then + LOOK_UP);
        // At the start the file is made although there is nothing to write: the user is told at once if that fails.
        let result = match lines.is_empty() && self.looked_up.is_some() {
            true => Ok(()),
            false => self.write(&lines, is_due, now.monotonic),
        };
        match result {
            Err(error) if !std::mem::replace(&mut self.is_told, true) => Err(format!(
                "can't write the log {}: {error}; lines are missing there until that works",
                self.path.display()
            )),
            _ => Ok(()),
        }
    }

    fn write(&mut self, lines: &[u8], is_due: bool, now: Duration) -> io::Result<()> {
        if is_due {
            self.looked_up = Some(now);
            if !self.file.as_ref().is_some_and(|file| is_at(file, &self.path)) {
                self.file = None;
                self.file = Some(open(&self.path)?);
            }
        }
        match &mut self.file {
            Some(file) => append(file, lines),
            // The failure is known.
            None => Ok(()),
        }
    }
}

/// The path, with the home directory in place of `~`, which no shell replaces in the settings file.
fn below_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}

/// Whether this event is part of the conversation, and no answer to its user alone.
fn is_logged(event: &Event) -> bool {
    match event {
        Event::Ended(ending) => ending.outcome != Outcome::Left,
        Event::Welcome(_)
        | Event::Missed(_)
        | Event::Said(_)
        | Event::Joined(_)
        | Event::Left(_)
        | Event::SomeoneLeft { .. }
        | Event::Renamed(_)
        | Event::Private(_)
        | Event::NotDelivered(_)
        | Event::Refused(_)
        | Event::Topic(_)
        | Event::File(_)
        | Event::Notice(_)
        | Event::Unattributed(_)
        | Event::Lost(_) => true,
        _ => false,
    }
}

/// When it happened, by the server's clock, and whether that was before the client joined.
fn time(event: &Event) -> Option<(u64, bool)> {
    match event {
        Event::Said(said) => Some((said.at, said.history)),
        Event::Joined(join) => Some((join.at, false)),
        Event::Left(leave) => Some((leave.at, false)),
        Event::Renamed(rename) => Some((rename.at, false)),
        _ => None,
    }
}

/// Opens the file, or makes one for its owner alone. Whoever can write to the directory may have left something under that
/// name: a link or a pipe to elsewhere, or a file that somebody else reads.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = File::options();
    options.append(true).create(true).mode(0o600);
    let denied = |why| Err(io::Error::new(ErrorKind::PermissionDenied, why));
    let file = match options.custom_flags(flags.bits()).open(path) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return denied("it is a symbolic link");
        }
        opened => opened?,
    };
    let about = file.metadata()?;
    match () {
        () if !about.is_file() => denied("it is no regular file"),
        () if about.uid() != geteuid().as_raw() => denied("it belongs to another user"),
        () if about.nlink() > 1 => denied("it has another name too"),
        () => Ok(file),
    }
}

/// Whether the file still has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let inode = |about: io::Result<fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
    let named = inode(fs::symlink_metadata(path));
    named.is_some() && named == inode(file.metadata())
}

/// Appends lines, whole ones only: if the disk gets full within one, its beginning is removed again.
fn append(file: &mut File, lines: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(length) => written += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let begun = lines.iter().take(written).rev();
                let begun = begun.take_while(|&&byte| byte != b'\n').count();
                if begun > 0 {
                    file.set_len(file.metadata()?.len().saturating_sub(begun as u64))?;
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{GroupMessage, Join, Leave};
    use chat_proto::text::Text;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A directory that is removed at the end, and a log in it.
    struct Scratch {
        directory: PathBuf,
        log: Log,
        /// Seconds since the start.
        now: u64,
    }

    impl Scratch {
        fn new(test: &str, name: &str) -> Self {
            let directory = env::temp_dir().join(format!("chat-log-{test}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir(&directory).unwrap();
            let log = Log::new(&directory.join(name), TimeZone::fixed(jiff::tz::offset(2)));
            let now = 0;
            Self { directory, log, now }
        }

        /// Logs an event, one second after the one before.
        fn add(&mut self, event: &Event) -> Result<(), String> {
            self.now += 1;
            self.log.add(event, NOW);
            self.flush()
        }

        fn flush(&mut self) -> Result<(), String> {
            let monotonic = Duration::from_secs(self.now);
            self.log.flush(Now {
                monotonic,
                unix_ms: NOW,
            })
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.directory.join(name)).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }

    /// 2023-11-14, 22:13:20 UTC.
    const NOW: u64 = 1_700_000_000_000;

    fn said(at: u64, text: &str, history: bool) -> Event {
        Event::Said(GroupMessage {
            at,
            who: "bob@10.0.0.9:51000".parse().unwrap(),
            text: Text::new(text).into_owned(),
            history,
            own: false,
        })
    }

    #[test]
    fn lines_have_their_date_time_and_zone_and_are_safe_to_show() {
        let mut scratch = Scratch::new("lines", "log");
        scratch.add(&said(NOW, "a\x1b[2J", false)).unwrap();
        scratch.add(&Event::Help).unwrap();
        assert_eq!(
            scratch.read("log"),
            "2023-11-15 00:13:20+02:00 from bob@10.0.0.9:51000: a␛[2J\n"
        );
        let mode = fs::metadata(scratch.directory.join("log")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn the_name_chooses_json() {
        for name in ["log.json", "log.jsonl"] {
            let mut scratch = Scratch::new(name, name);
            scratch.add(&said(NOW, "hi", false)).unwrap();
            assert_eq!(
                scratch.read(name),
                "{\"v\":1,\"time\":\"2023-11-14T22:13:20.000Z\",\"kind\":\"said\",\"from\":\"bob@10.0.0.9:51000\",\"text\":\"hi\"}\n"
            );
        }
    }

    #[test]
    fn a_file_that_was_moved_away_or_removed_is_made_again() {
        let mut scratch = Scratch::new("moved", "log");
        let path = scratch.directory.join("log");
        scratch.add(&said(NOW, "one", false)).unwrap();
        fs::rename(&path, scratch.directory.join("log.1")).unwrap();
        // The name is looked up once a second.
        scratch.log.add(&said(NOW, "two", false), NOW);
        scratch.flush().unwrap();
        scratch.add(&said(NOW, "three", false)).unwrap();
        fs::remove_file(&path).unwrap();
        scratch.add(&said(NOW, "four", false)).unwrap();
        assert!(scratch.read("log.1").ends_with(": two\n"));
        assert!(scratch.read("log").ends_with(": four\n") && !scratch.read("log").contains("three"));
    }

    #[test]
    fn a_planted_file_is_never_written() {
        let secret = Scratch::new("secret", "unused").directory.join("theirs");
        let mut scratch = Scratch::new("planted", "log");
        let path = scratch.directory.join("log");
        fs::write(scratch.directory.join("theirs"), "x").unwrap();
        symlink(&secret, &path).unwrap();
        let error = scratch.add(&said(NOW, "hi", false)).unwrap_err();
        assert!(
            error.contains("it is a symbolic link") && !secret.exists(),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        fs::hard_link(scratch.directory.join("theirs"), &path).unwrap();
        assert_eq!(open(&path).unwrap_err().to_string(), "it has another name too");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open(&path).is_err());
        assert_eq!(scratch.read("theirs"), "x");
    }

    #[test]
    fn a_failure_is_told_once_and_the_log_goes_on_later() {
        let mut scratch = Scratch::new("failure", "later/log");
        let error = scratch.flush().unwrap_err();
        assert!(error.contains("No such file or directory"), "{error}");
        scratch.add(&said(NOW, "lost", false)).unwrap();
        fs::create_dir(scratch.directory.join("later")).unwrap();
        scratch.add(&said(NOW, "kept", false)).unwrap();
        assert!(scratch.read("later/log").ends_with(": kept\n"));
        assert!(!scratch.read("later/log").contains("lost"));
    }

    #[test]
    fn history_is_logged_once() {
        let mut scratch = Scratch::new("history", "log");
        scratch.add(&said(NOW, "before", true)).unwrap();
        let who = "alice@10.0.0.7:40100".parse().unwrap();
        scratch
            .add(&Event::Joined(Join {
                at: NOW + 1,
                who,
                own: true,
            }))
            .unwrap();
        scratch.add(&said(NOW + 2, "live", false)).unwrap();
        // After a reconnection.
        scratch.add(&said(NOW + 1, "long ago", true)).unwrap();
        scratch.add(&said(NOW + 2, "at once", true)).unwrap();
        scratch.add(&said(NOW + 3, "missed", true)).unwrap();
        let who = "bob@10.0.0.9:51000".parse().unwrap();
        scratch.add(&Event::Left(Leave { at: NOW + 4, who })).unwrap();
        let log = scratch.read("log");
        let texts: Vec<&str> = log.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(texts, ["online", "live", "once", "missed", "offline"]);
    }
}
