//! The client under test on a terminal of its own, and the screen that a person would see.

use super::{DEADLINE, Journal, Process, client_command};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

const LOOK_UP_MS: u16 = 20;

/// A running `chat-client` on a pseudo-terminal, behind a terminal emulator.
pub struct Terminal {
    pub process: Process,
    name: String,
    /// The other end of the pseudo-terminal.
    master: File,
    /// Tells the reading thread to stop.
    hung_up: Arc<AtomicBool>,
    emulator: Arc<(Mutex<vt100::Parser>, Condvar)>,
    written: Arc<Mutex<Vec<u8>>>,
    journal: Journal,
}

impl Terminal {
    pub fn start(
        name: &str,
        server: SocketAddr,
        options: &[&str],
        size: (u16, u16),
        journal: &Journal,
    ) -> Self {
        Self::start_on("xterm-256color", name, server, options, size, journal)
    }

    /// On a terminal of this kind.
    pub fn start_on(
        term: &str,
        name: &str,
        server: SocketAddr,
        options: &[&str],
        size: (u16, u16),
        journal: &Journal,
    ) -> Self {
        let mut command = client_command();
        command
            .args([server.ip().to_string(), server.port().to_string()])
            .args(options)
            .env("TERM", term);
        Self::start_command(name, command, size, journal)
    }

    /// Runs this command.
    pub fn start_command(
        name: &str,
        mut command: Command,
        (columns, rows): (u16, u16),
        journal: &Journal,
    ) -> Self {
        let (master, slave) = pseudo_terminal();
        set_size(&master, columns, rows);
        command
            .env_remove("NO_COLOR")
            .env("TZ", "UTC")
            // Ctrl-Z must suspend the client and not the test.
            .process_group(0)
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        let process = Process::start_as_set_up(name, journal, &mut command);
        let emulator = Arc::new((Mutex::new(emulator(columns, rows)), Condvar::new()));
        let hung_up = Arc::default();
        let written = Arc::default();
        feed(
            &emulator,
            &written,
            master.try_clone().unwrap(),
            Arc::clone(&hung_up),
        );
        Self {
            process,
            hung_up,
            name: name.to_owned(),
            master,
            emulator,
            written,
            journal: journal.clone(),
        }
    }

    /// Every byte that was written to the terminal so far.
    pub fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    /// Presses keys.
    pub fn keys(&mut self, bytes: &str) {
        self.journal
            .note(&self.name, format!("< {}", bytes.escape_debug()));
        self.master
            .write_all(bytes.as_bytes())
            .expect("the terminal is there");
    }

    /// Answers the question about a paste, if there is one. Only a key that comes alone is an answer.
    pub fn answer(&mut self, key: &str) {
        // Ctrl-L draws everything, so that the screen shows what was read before it.
        let before = self.written.lock().unwrap().len();
        self.keys("\x0c");
        let asks = |screen: &vt100::Screen| rows_of(screen).iter().any(|row| row.contains("? y: yes"));
        let is_asked = self.wait("redrawn screen", |screen| {
            let written = self.written.lock().unwrap();
            let new = String::from_utf8_lossy(&written[before..]).into_owned();
            let frame = new.split_once("\x1b[2J")?.1;
            frame.contains("\x1b[?2026l").then(|| asks(screen))
        });
        if is_asked {
            self.keys(key);
            self.wait("end of the question", |screen| (!asks(screen)).then_some(()));
        }
    }

    /// Pastes text, between the marks of bracketed paste.
    pub fn paste(&mut self, bytes: &[u8]) {
        self.journal
            .note(&self.name, format!("< pastes {}", bytes.escape_ascii()));
        let marked = [b"\x1b[200~", bytes, b"\x1b[201~"].concat();
        self.master.write_all(&marked).expect("the terminal is there");
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.emulator
            .0
            .lock()
            .unwrap()
            .set_size(cells(rows), cells(columns));
        set_size(&self.master, columns, rows);
        // This is not the client's controlling terminal, so the system does not send the signal.
        self.process.signal(Signal::SIGWINCH);
    }

    /// The rows of the screen.
    pub fn rows(&self) -> Vec<String> {
        rows_of(self.emulator.0.lock().unwrap().screen())
    }

    /// Waits until `find` returns something for the screen.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, find: impl Fn(&vt100::Screen) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let (emulator, changed) = &*self.emulator;
        let mut emulator = emulator.lock().unwrap();
        loop {
            if let Some(found) = find(emulator.screen()) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let screen = rows_of(emulator.screen()).join("\n  |");
                self.journal
                    .fail(&format!("no {what} on the screen of {}:\n  |{screen}", self.name));
            }
            emulator = changed.wait_timeout(emulator, left).unwrap().0;
        }
    }

    /// Waits for a row that contains this text.
    #[track_caller]
    pub fn expect(&self, text: &str) -> String {
        self.wait(text, |screen| {
            rows_of(screen).into_iter().find(|row| row.contains(text))
        })
    }

    /// Waits until this is the row with the cursor.
    #[track_caller]
    pub fn expect_line(&self, line: &str) {
        self.wait(line, |screen| {
            let (row, _) = screen.cursor_position();
            (rows_of(screen).get(usize::from(row)).map(String::as_str) == Some(line)).then_some(())
        });
    }

    /// Waits until the client begins to draw.
    #[track_caller]
    pub fn wait_until_drawing(&self) {
        self.wait("other", |screen| screen.alternate_screen().then_some(()));
    }

    /// Waits until the terminal has the modes of a shell.
    #[track_caller]
    pub fn expect_restored(&self) {
        self.wait("ordinary screen", |screen| {
            let ordinary = !screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor();
            ordinary.then_some(())
        });
        assert!(self.is_cooked(), "the terminal of {} is still raw", self.name);
    }

    /// Whether the terminal is in canonical mode with echo, as a shell leaves it.
    pub fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.master).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Closes the window without a signal.
    pub fn hang_up(self) -> Process {
        self.journal.note(&self.name, "< hangs up");
        self.hung_up.store(true, Ordering::SeqCst);
        self.process
    }
}

/// Both ends of a pseudo-terminal: that of the window, and that of the program. Children of other tests must not inherit
/// either, or the terminal would never hang up.
pub fn pseudo_terminal() -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a pseudo-terminal");
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname_r(&master).unwrap();
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits());
    let slave = options.open(name).unwrap();
    (File::from(OwnedFd::from(master)), slave)
}

fn set_size(master: &File, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master, size).unwrap();
}

fn emulator(columns: u16, rows: u16) -> vt100::Parser {
    vt100::Parser::new(cells(rows), cells(columns), 0)
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has rows and columns")
}

fn rows_of(screen: &vt100::Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    screen
        .rows(0, columns.get())
        .map(|row| row.trim_end().to_owned())
        .collect()
}

/// Copies the client's output to the emulator. The window stays open while this thread holds its end, so the thread
/// checks regularly whether to stop.
fn feed(
    emulator: &Arc<(Mutex<vt100::Parser>, Condvar)>,
    written: &Arc<Mutex<Vec<u8>>>,
    mut master: File,
    hung_up: Arc<AtomicBool>,
) {
    let (emulator, written) = (Arc::clone(emulator), Arc::clone(written));
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while !hung_up.load(Ordering::SeqCst) {
            let mut ready = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::from(LOOK_UP_MS)) == Ok(0) {
                continue;
            }
            let Ok(length @ 1..) = master.read(&mut buffer) else {
                return;
            };
            // First, so that it has all that led to what the screen shows.
            written.lock().unwrap().extend_from_slice(&buffer[..length]);
            let (emulator, changed) = &*emulator;
            emulator.lock().unwrap().process(&buffer[..length]);
            changed.notify_all();
        }
    });
}
