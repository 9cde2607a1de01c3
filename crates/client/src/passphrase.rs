//! The passphrase of a room, asked for at the terminal.

use crate::address::Address;
use crate::exit::Exit;
use anyhow::{Context, Result};
use chat_noise::cpace::Phrase;
use chat_proto::text::Text;
use chat_sys::signals::Signals;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Bytes of a passphrase that is typed, at most; further ones are ignored.
const TYPED_MAX: usize = 1024;

/// Signals that change nothing while the question stands.
const IGNORED: [Signal; 3] = [Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT];

/// For so long after the question, one Enter before any other key answers nothing: it may belong to the number of a room, which
/// is joined without it.
const EARLY: Duration = Duration::from_secs(1);

/// Asks at the terminal that is the standard input, which shows nothing of the answer. Without an answer, how the program
/// ends.
///
/// # Errors
/// If the terminal fails.
pub fn ask(server: &Address, signals: &Signals) -> Result<Result<Phrase, Exit>> {
    let terminal = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let hidden = Hidden::new(&terminal).context("can't ask for the passphrase of the room")?;
    // After the echo is off: whoever waits for the question may type at once.
    show(
        &terminal,
        &format!("passphrase of {}: ", Text::new(&server.to_string())),
    );
    let end = read_line(&terminal, signals);
    drop(hidden);
    show(&terminal, "\n");
    let phrase = end?.and_then(|line| Phrase::new(&line.text()).ok_or(Exit::Passphrase));
    if matches!(phrase, Err(Exit::Passphrase)) {
        show(
            &terminal,
            "chat-client: not joined: this room has a passphrase, and you gave none\n",
        );
    }
    Ok(phrase)
}

/// Shows text on the terminal, which may be open for reading only; then standard error takes it. The standard output is not
/// for questions.
fn show(mut terminal: &File, text: &str) {
    if terminal.write_all(text.as_bytes()).is_err() {
        // The question is not needed to answer it.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Reads up to Enter. A signal ends it, and so do Ctrl-C and Ctrl-D.
fn read_line(mut terminal: &File, signals: &Signals) -> Result<Result<Line, Exit>> {
    let mut line = Line::default();
    let asked = Instant::now();
    loop {
        let mut descriptors = [
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("can't poll"),
        }
        let [is_typed, _] = descriptors.map(|fd| fd.any().unwrap_or(false));
        if let Some(signal) = signals.take()?.filter(|signal| !IGNORED.contains(signal)) {
            return Ok(Err(Exit::of_signal(signal)));
        }
        if !is_typed {
            continue;
        }
        let mut typed = Zeroizing::new([0; 1]);
        if terminal.read(&mut *typed)? == 0 {
            return Ok(Err(Exit::Passphrase));
        }
        let [byte] = *typed;
        match byte {
            b'\r' | b'\n' if line.skips_enter(asked.elapsed()) => {}
            b'\r' | b'\n' => return Ok(Ok(line)),
            3 => return Ok(Err(Exit::of_signal(Signal::SIGINT))),
            4 => return Ok(Err(Exit::Passphrase)),
            byte => line.key(byte),
        }
    }
}

/// What was typed.
struct Line {
    typed: Zeroizing<Vec<u8>>,
    has_skipped: bool,
}

impl Default for Line {
    /// It never grows: a larger copy would leave the old one behind.
    fn default() -> Self {
        Self {
            typed: Zeroizing::new(Vec::with_capacity(TYPED_MAX)),
            has_skipped: false,
        }
    }
}

impl Line {
    /// Whether an Enter this long after the question answers nothing.
    fn skips_enter(&mut self, age: Duration) -> bool {
        let is_early = self.typed.is_empty() && age < EARLY;
        is_early && !std::mem::replace(&mut self.has_skipped, true)
    }

    fn key(&mut self, byte: u8) {
        match byte {
            // Backspace takes a whole character.
            8 | 127 => while self.typed.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {},
            // Ctrl-U
            21 => self.typed.clear(),
            0..b' ' => {}
            byte if self.typed.len() < TYPED_MAX => self.typed.push(byte),
            _ => {}
        }
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.typed).into_owned())
    }
}

/// The terminal gives each key at once and shows none. Dropping this restores it.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        // Without its signals: they would end the program before the terminal is restored.
        let modes = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        hidden.local_modes.remove(modes | LocalModes::IEXTEN);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // If it fails, the terminal is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_what_nobody_sees() {
        let mut line = Line::default();
        for byte in "wrong\x15grün\x7f\x7fünx\x08\x1b".bytes() {
            line.key(byte);
        }
        assert_eq!(line.text().as_str(), "grün");
        (0..2000).for_each(|_| line.key(b'x'));
        assert_eq!(line.typed.len(), TYPED_MAX);
    }

    #[test]
    fn the_enter_of_a_chosen_room_answers_nothing() {
        let [soon, late] = [Duration::from_millis(300), EARLY];
        let mut line = Line::default();
        assert!(line.skips_enter(soon));
        assert!(!line.skips_enter(soon), "the second one is meant");
        assert!(!Line::default().skips_enter(late));
        let mut line = Line::default();
        line.key(b'x');
        assert!(!line.skips_enter(soon));
    }
}
