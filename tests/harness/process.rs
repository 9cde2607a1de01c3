//! A child process and the lines it writes.

use super::{DEADLINE, Journal};
use chat_sys::signals::is_ignored;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A child process whose output is read continuously. It is killed and reaped when dropped.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    pub stdout: Feed,
    pub stderr: Feed,
    /// Stays empty, and ends with the process.
    exited: Feed,
    journal: Journal,
}

impl Process {
    /// Starts a program with pipes for its three standard streams.
    pub fn start(name: &str, journal: &Journal, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start_as_set_up(name, journal, command.stdin(Stdio::piped()))
    }

    /// Starts a program with the streams that the command has. Only pipes are read and written.
    pub fn start_as_set_up(name: &str, journal: &Journal, command: &mut Command) -> Self {
        journal.note(name, format!("$ {command:?}"));
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, stderr, exited) = (
            Feed::new(name, "|", journal),
            Feed::new(name, "!", journal),
            Feed::new(name, "$", journal),
        );
        match child.stdout.take() {
            Some(pipe) => stdout.fill_from(pipe),
            None => stdout.end(),
        }
        match child.stderr.take() {
            Some(pipe) => stderr.fill_from(pipe),
            None => stderr.end(),
        }
        let (pid, ended) = (pid_of(&child), exited.clone());
        thread::spawn(move || {
            // The process stays a zombie until `child.wait()`, so its id is not reused until then.
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
                == Err(nix::errno::Errno::EINTR)
            {}
            ended.end();
        });
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            stdout,
            stderr,
            exited,
            journal: journal.clone(),
        }
    }

    /// Writes to the standard input, if the process still reads it.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.journal
            .note(&self.name, format!("< {}", bytes.escape_ascii()));
        let stdin = self.stdin.as_mut().expect("the standard input is still open");
        if let Err(error) = stdin.write_all(bytes) {
            self.journal.note(&self.name, format!("< {error}"));
        }
    }

    /// Ends the standard input.
    pub fn end_input(&mut self) {
        self.journal.note(&self.name, "< end");
        self.stdin = None;
    }

    pub fn id(&self) -> Pid {
        pid_of(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        self.journal.note(&self.name, format!("$ {signal}"));
        kill(pid_of(&self.child), signal).unwrap_or_else(|error| panic!("{signal}: {error}"));
    }

    /// Waits for the process to end, and for the rest of its output.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let ended = self.exited.wait(|_, ended| ended.then_some(()));
        if ended.is_none() {
            self.journal.fail(&format!("{} does not end", self.name));
        }
        let status = self.child.wait().unwrap();
        self.journal.note(&self.name, format!("$ {status}"));
        self.stdout.expect_end();
        self.stderr.expect_end();
        status
    }

    /// Waits for the process to end by itself, and returns its exit status.
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| {
            self.journal
                .fail(&format!("{} was killed by {:?}", self.name, status.signal()))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The only possible error is that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of these signals, those that end a program that is started here. In the background of a script some are ignored, by the
/// tests and so by what they start.
pub fn reached_by(signals: &[Signal]) -> Vec<Signal> {
    let (ignored, reached): (Vec<_>, Vec<_>) = signals.iter().partition(|&&signal| is_ignored(signal));
    if !ignored.is_empty() {
        eprintln!("skipped: the tests run with {ignored:?} ignored");
    }
    reached
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// Lines of one source, collected in the background.
#[derive(Clone)]
pub struct Feed {
    name: String,
    journal: Journal,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// All bytes so far.
    bytes: Vec<u8>,
    ended: bool,
}

impl Feed {
    pub fn new(actor: &str, mark: &str, journal: &Journal) -> Self {
        Self {
            name: format!("{actor} {mark}"),
            journal: journal.clone(),
            state: Arc::default(),
        }
    }

    pub fn push(&self, line: impl Into<String>) {
        let line = line.into();
        self.journal.note(&self.name, line.clone());
        let (state, changed) = &*self.state;
        state.lock().unwrap().lines.push(line);
        changed.notify_all();
    }

    pub fn end(&self) {
        let (state, changed) = &*self.state;
        state.lock().unwrap().ended = true;
        changed.notify_all();
    }

    /// Collects lines until their source ends.
    pub fn fill_from(&self, source: impl Read + Send + 'static) {
        let feed = self.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line);
                feed.state.0.lock().unwrap().bytes.extend_from_slice(&line);
                feed.push(text.strip_suffix('\n').unwrap_or(&text));
                line.clear();
            }
            feed.end();
        });
    }

    /// All bytes so far, if the feed has a source.
    pub fn bytes(&self) -> Vec<u8> {
        self.state.0.lock().unwrap().bytes.clone()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.state.0.lock().unwrap().lines.clone()
    }

    /// All lines so far that contain this text.
    pub fn with(&self, text: &str) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| line.contains(text));
        lines
    }

    /// Waits until `find` returns something for the lines so far. Its second argument says whether more lines may come.
    pub fn wait<T>(&self, mut find: impl FnMut(&[String], bool) -> Option<T>) -> Option<T> {
        self.wait_for(DEADLINE, &mut find)
    }

    fn wait_for<T>(&self, limit: Duration, find: &mut dyn FnMut(&[String], bool) -> Option<T>) -> Option<T> {
        let until = Instant::now() + limit;
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap();
        loop {
            if let Some(found) = find(&state.lines, state.ended) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for a line that contains all of these texts.
    #[track_caller]
    pub fn expect_all(&self, texts: &[&str]) -> String {
        let fits = |line: &&String| texts.iter().all(|text| line.contains(text));
        self.wait(|lines, _| lines.iter().find(fits).cloned())
            .unwrap_or_else(|| self.journal.fail(&format!("no {texts:?} from {}", self.name)))
    }

    /// Waits for a line that contains this text, and returns the first such line.
    #[track_caller]
    pub fn expect(&self, text: &str) -> String {
        self.expect_all(&[text])
    }

    /// Waits for exactly this line.
    #[track_caller]
    pub fn expect_line(&self, line: &str) {
        self.wait(|lines, _| lines.iter().any(|l| l == line).then_some(()))
            .unwrap_or_else(|| self.journal.fail(&format!("no line {line:?} from {}", self.name)));
    }

    /// Waits until this many lines contain this text.
    #[track_caller]
    pub fn expect_count(&self, count: usize, text: &str) {
        let mut found = 0;
        self.wait(|lines, _| {
            found = lines.iter().filter(|line| line.contains(text)).count();
            (found >= count).then_some(())
        })
        .unwrap_or_else(|| {
            self.journal.fail(&format!(
                "{found} and not {count} times {text:?} from {}",
                self.name
            ))
        });
        assert_eq!(self.with(text).len(), count, "times {text:?} from {}", self.name);
    }

    /// Waits for the end of the source.
    #[track_caller]
    pub fn expect_end(&self) {
        self.wait(|_, ended| ended.then_some(()))
            .unwrap_or_else(|| self.journal.fail(&format!("no end of {}", self.name)));
    }
}
