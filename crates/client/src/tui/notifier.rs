//! Desktop notifications of mentions and private messages.

use crate::settings::Notify;
use chat_proto::now::Now;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use unicode_segmentation::UnicodeSegmentation;

/// The least time between two notifications.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest text of a notification, in characters.
const TEXT_MAX: usize = 200;

/// Notifies the user, at most once in [`PAUSE`].
#[derive(Debug)]
pub(super) struct Notifier {
    how: Notify,
    last: Option<Duration>,
    /// Waits for the last command, so that it does not stay as a zombie.
    waiting: Option<JoinHandle<()>>,
}

impl Notifier {
    /// The terminal notifies only if `is_known`.
    pub(super) fn new(how: &Notify, is_known: bool) -> Self {
        let how = match how {
            Notify::Terminal if !is_known => Notify::Off,
            how => how.clone(),
        };
        Self {
            how,
            last: None,
            waiting: None,
        }
    }

    /// Notifies of a message whose name and text are safe to show, by a sequence in `out` or by the command.
    ///
    /// # Errors
    /// If the command can't be run. It is not tried again.
    pub(super) fn notify(&mut self, from: &str, text: &str, now: Now, out: &mut Vec<u8>) -> io::Result<()> {
        let is_early = self.last.is_some_and(|last| now.monotonic < last + PAUSE);
        if is_early
            || self
                .waiting
                .as_ref()
                .is_some_and(|waiting| !waiting.is_finished())
        {
            return Ok(());
        }
        self.last = Some(now.monotonic);
        let text: String = text.graphemes(true).take(TEXT_MAX).collect();
        match &self.how {
            Notify::Off => {}
            // OSC 9. A text that began with a digit would be a command of ConEmu.
            Notify::Terminal => {
                out.extend_from_slice(format!("\x1b]9;chat: {from}: {text}\x1b\\").as_bytes())
            }
            Notify::Command(words) => match run(words, from, &text) {
                Ok(waiting) => self.waiting = Some(waiting),
                Err(error) => {
                    self.how = Notify::Off;
                    return Err(error);
                }
            },
        }
        Ok(())
    }
}

/// Runs a command with two more arguments. No shell reads them, and a text is no option. The command has neither the
/// terminal's input nor its output, and a process group of its own, so that Ctrl-Z does not stop it.
fn run(words: &[String], from: &str, text: &str) -> io::Result<JoinHandle<()>> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let text = if text.starts_with('-') {
        format!(" {text}")
    } else {
        text.to_owned()
    };
    let mut child = Command::new(program)
        .args(arguments)
        .args([from, &text])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    thread::Builder::new().spawn(move || {
        let _ = child.wait();
    })
}

/// Whether a terminal shows a notification at OSC 9, by `TERM` and `TERM_PROGRAM`. Others ignore it or, as the Linux
/// console does, print it. tmux and screen pass nothing on.
pub(super) fn is_known(term: Option<&OsStr>, program: Option<&OsStr>) -> bool {
    let [term, program] = [term, program].map(|value| value.and_then(OsStr::to_str).unwrap_or_default());
    let family = term.strip_prefix("xterm-").unwrap_or(term);
    let family = family.split('-').next().unwrap_or_default();
    let is_by_program = ["iTerm.app", "WezTerm", "ghostty"].contains(&program) && term.starts_with("xterm");
    ["kitty", "ghostty", "foot", "wezterm"].contains(&family) || is_by_program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now {
            monotonic: Duration::from_millis(ms),
            unix_ms: 0,
        }
    }

    #[test]
    fn the_terminal_notifies_at_most_every_five_seconds() {
        let mut notifier = Notifier::new(&Notify::Terminal, true);
        let mut out = Vec::new();
        for ms in [0, 1, 4_999, 5_000, 5_001] {
            notifier
                .notify("bob", &"x".repeat(1000), at(ms), &mut out)
                .unwrap();
        }
        let one = format!("\x1b]9;chat: bob: {}\x1b\\", "x".repeat(200));
        assert_eq!(String::from_utf8(out).unwrap(), one.repeat(2));
    }

    #[test]
    fn nothing_is_written_to_a_terminal_that_may_not_know_it() {
        for (how, is_known) in [(Notify::Terminal, false), (Notify::Off, true)] {
            let mut out = Vec::new();
            Notifier::new(&how, is_known)
                .notify("bob", "hi", at(0), &mut out)
                .unwrap();
            assert_eq!(out, b"");
        }
        let known = |term: &str, program: &str| is_known(Some(OsStr::new(term)), Some(OsStr::new(program)));
        for term in ["xterm-kitty", "xterm-ghostty", "foot", "foot-extra", "wezterm"] {
            assert!(known(term, ""), "{term}");
        }
        assert!(known("xterm-256color", "iTerm.app") && known("xterm-256color", "WezTerm"));
        for term in ["xterm-256color", "linux", "tmux-256color", "screen", "vt100", ""] {
            assert!(!known(term, "tmux"), "{term}");
        }
        assert!(!known("screen-256color", "iTerm.app") && !is_known(None, None));
    }

    #[test]
    fn a_command_that_can_not_be_run_is_reported_once() {
        let missing = Notify::Command(vec!["/nonexistent/command".into()]);
        let mut notifier = Notifier::new(&missing, true);
        assert!(notifier.notify("bob", "hi", at(0), &mut Vec::new()).is_err());
        assert!(notifier.notify("bob", "hi", at(9_000), &mut Vec::new()).is_ok());
    }
}
