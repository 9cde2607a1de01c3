//! Decodes the bytes of a terminal into keys and pastes.
//!
//! The bytes may be cut anywhere. An incomplete sequence is kept until its rest arrives; `sequence` knows the sequences.

use super::colour::Rgb;
use super::key::{Code, Key};
use super::sequence::{First, first};
use chat_proto::now::Now;
use std::time::Duration;

/// The timeout of an Escape and of Alt with a key that also begins a sequence: the first is the key Esc afterwards. It
/// exceeds the jitter of a remote shell, and is too short to notice.
const ESCAPE_WAIT: Duration = Duration::from_millis(150);
/// The timeout of a sequence from its beginning; afterwards it is discarded. It exceeds the stall of a slow link.
const SEQUENCE_WAIT: Duration = Duration::from_secs(3);
/// The silence after which an Escape that came alone ends a paste, rather than begin its mark.
const PASTE_ESCAPE_WAIT: Duration = Duration::from_secs(1);
/// The silence that ends a paste without marks, and shows that a line end with other keys is none.
const UNMARKED_WAIT: Duration = Duration::from_millis(50);
/// The longest paste, in bytes: far more than a message. The rest is discarded.
const PASTE_MAX: usize = 1024 * 1024;

const PASTE_END: &[u8] = b"\x1b[201~";

/// A key or a paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// The text may have several lines.
    Paste(String),
}

/// Decodes the bytes of a terminal.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// An incomplete sequence, or during a paste the possible beginning of its end.
    pending: Vec<u8>,
    /// The time of the first pending byte.
    begun: Duration,
    /// The time of the last byte.
    last: Duration,
    /// The last byte was a carriage return: a line feed belongs to it.
    after_return: bool,
    /// The paste so far. `pasted.len() <= PASTE_MAX`.
    pasted: Option<Vec<u8>>,
    /// Escape came alone during the paste.
    escaped: bool,
    /// Keys with one line end among them, which may be the beginning of a paste without marks. `held.len() <= PASTE_MAX`.
    held: Vec<Input>,
    /// The text so far of a paste without marks. `unmarked.len() <= PASTE_MAX`.
    unmarked: Option<String>,
    /// The last report of the focus that was not taken. It is no input: it may come between the keys of a person.
    focus: Option<bool>,
    /// The background, if the terminal said it since it was taken.
    background: Option<Rgb>,
}

impl Decoder {
    /// Adds the bytes of one read, and returns the complete items. More than one line end is a paste, because nobody
    /// types so fast. A line end that comes with other keys waits for the next read: a slow link cuts a paste anywhere.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Now) -> Vec<Input> {
        let inputs = self.decode(bytes, now);
        self.held.extend(inputs);
        let is_line_end = |input: &&Input| matches!(input, Input::Key(key) if key.code == Code::Enter);
        if self.unmarked.is_none() && self.held.len() <= PASTE_MAX {
            match self.held.iter().filter(is_line_end).count() {
                1 if self.held.len() > 1 => return Vec::new(),
                0 | 1 => return std::mem::take(&mut self.held),
                _ => {}
            }
        }
        let text = self.unmarked.get_or_insert_default();
        for input in self.held.drain(..) {
            append(text, &input);
        }
        Vec::new()
    }

    /// Whether the terminal has the focus, if it reported that since the last call.
    pub(super) fn take_focus(&mut self) -> Option<bool> {
        self.focus.take()
    }

    fn decode(&mut self, bytes: &[u8], now: Now) -> Vec<Input> {
        self.last = now.monotonic;
        let mut inputs = Vec::new();
        if self.pasted.is_some() && is_cancel(bytes) {
            self.end_paste(&mut inputs);
            self.pending.clear();
            return inputs;
        }
        if self.pasted.is_some()
            && let First::Focus(focused, length) = first(bytes)
            && length == bytes.len()
        {
            // It came alone, so it is not of the paste.
            self.focus = Some(focused);
            return inputs;
        }
        self.escaped = bytes == b"\x1b";
        let before = self.pending.len();
        let mut all = std::mem::take(&mut self.pending);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        while let Some(length) = self.step(rest, &mut inputs) {
            rest = rest.get(length..).unwrap_or_default();
        }
        if before == 0 || rest.len() < all.len() {
            self.begun = now.monotonic;
        }
        self.pending = rest.to_vec();
        inputs
    }

    /// Decodes the first item, and returns its length; `None` if it is incomplete.
    fn step(&mut self, bytes: &[u8], inputs: &mut Vec<Input>) -> Option<usize> {
        if self.pasted.is_some() {
            return self.paste(bytes, inputs);
        }
        let first_byte = *bytes.first()?;
        if std::mem::replace(&mut self.after_return, first_byte == b'\r') && first_byte == b'\n' {
            return Some(1);
        }
        match first(bytes) {
            First::Input(key, length) => {
                inputs.push(Input::Key(key));
                Some(length)
            }
            First::PasteBegin(length) => {
                self.pasted = Some(Vec::new());
                Some(length)
            }
            First::Focus(focused, length) => {
                self.focus = Some(focused);
                Some(length)
            }
            First::Background(colour, length) => {
                self.background = Some(colour);
                Some(length)
            }
            First::Skip(length) => Some(length),
            First::More => None,
        }
    }

    /// Decodes pasted bytes.
    fn paste(&mut self, bytes: &[u8], inputs: &mut Vec<Input>) -> Option<usize> {
        let end = bytes
            .windows(PASTE_END.len())
            .position(|window| window == PASTE_END);
        // The last bytes may be the beginning of the end.
        let is_begun = |&kept: &usize| bytes.ends_with(PASTE_END.get(..kept).unwrap_or_default());
        let kept = (1..PASTE_END.len()).rev().find(is_begun).unwrap_or_default();
        let text = end.unwrap_or(bytes.len() - kept);
        let pasted = self.pasted.get_or_insert_default();
        let room = PASTE_MAX - pasted.len();
        pasted.extend_from_slice(bytes.get(..text.min(room)).unwrap_or_default());
        if end.is_none() {
            return (text > 0).then_some(text);
        }
        self.end_paste(inputs);
        Some(text + PASTE_END.len())
    }

    fn end_paste(&mut self, inputs: &mut Vec<Input>) {
        if let Some(pasted) = self.pasted.take() {
            inputs.push(Input::Paste(String::from_utf8_lossy(&pasted).into_owned()));
        }
    }

    /// The background of the terminal, if it said it since the last call. It is no input: what is typed meanwhile waits for
    /// nothing.
    pub(super) fn take_background(&mut self) -> Option<Rgb> {
        self.background.take()
    }

    /// The time to call [`Decoder::time_out`].
    pub(super) fn deadline(&self) -> Option<Duration> {
        let waits = self.unmarked.is_some() || !self.held.is_empty();
        let silence = waits.then_some(self.last + UNMARKED_WAIT);
        self.sequence_deadline().into_iter().chain(silence).min()
    }

    fn sequence_deadline(&self) -> Option<Duration> {
        match self.pending.as_slice() {
            [] => None,
            _ if self.pasted.is_some() => self.escaped.then_some(self.last + PASTE_ESCAPE_WAIT),
            [0x1b] | [0x1b, 0x1b | b']' | b'P' | b'_' | b'^' | b'X'] => Some(self.last + ESCAPE_WAIT),
            _ => Some(self.begun + SEQUENCE_WAIT),
        }
    }

    /// Ends incomplete items after their timeout. Only a lone Escape and a paste are input; a sequence is discarded.
    pub(super) fn time_out(&mut self, now: Now) -> Vec<Input> {
        let is_due = |deadline: Duration| now.monotonic >= deadline;
        let mut inputs = Vec::new();
        if self.sequence_deadline().is_some_and(is_due) {
            let pending = std::mem::take(&mut self.pending);
            self.end_paste(&mut inputs);
            if inputs.is_empty() && pending.iter().all(|&byte| byte == 0x1b) {
                inputs.extend(pending.iter().map(|_| Input::Key(Code::Esc.into())));
            }
        }
        if is_due(self.last + UNMARKED_WAIT) {
            let unmarked = self.unmarked.take().map(Input::Paste);
            inputs.splice(0..0, self.held.drain(..).chain(unmarked));
        }
        inputs
    }
}

/// Whether these bytes are Esc or Ctrl-C in a form that no paste has. An Escape may begin a mark.
fn is_cancel(bytes: &[u8]) -> bool {
    let ctrl_c = Key::from(Code::Char('c')).ctrl();
    matches!(first(bytes), First::Input(key, length)
        if length == bytes.len() && (key == ctrl_c || key == Code::Esc.into()))
}

/// Appends what a key or a paste writes.
fn append(text: &mut String, input: &Input) {
    let mut written = [0; 4];
    let written = match input {
        Input::Paste(pasted) => pasted,
        Input::Key(key) => match key.code {
            Code::Enter => "\n",
            Code::Tab => "\t",
            _ => key
                .character()
                .map_or("", |character| character.encode_utf8(&mut written)),
        },
    };
    if text.len() + written.len() <= PASTE_MAX {
        text.push_str(written);
    }
}

#[cfg(test)]
mod tests;
