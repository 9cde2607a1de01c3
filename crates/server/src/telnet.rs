//! What telnet clients send beside text (RFC 854, RFC 855, RFC 885, RFC 1184): commands, and requests to use options.
//!
//! The server uses no option, so it refuses each request. It requests nothing, so nothing that it receives is an answer,
//! and it never answers an answer (RFC 1143).

use std::borrow::Cow;

/// Requests refused on one connection. Clients have about ten options; more requests than this are a loop or an attack.
const ANSWERS_MAX: u8 = 32;

/// Interpret as command.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
/// A subnegotiation begins.
const SB: u8 = 250;
/// End of file. The first of the commands.
const EOF: u8 = 236;

/// How far a connection is in telnet's commands.
#[derive(Debug, Default)]
pub(crate) struct Telnet {
    state: State,
    /// The last byte of text was a carriage return.
    after_cr: bool,
    /// Requests refused so far. `answers <= ANSWERS_MAX`
    answers: u8,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After IAC.
    Command,
    /// An option follows, which is refused with this command.
    Refuse(u8),
    /// An option follows that the client does not use anyway.
    Unused,
    /// In a subnegotiation, after so many bytes. Without an end it would swallow all text, so it ends after 255 of them.
    Subnegotiation(u8),
    /// After IAC in a subnegotiation.
    SubnegotiationCommand(u8),
}

/// What bytes from a telnet client are.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// The text, in which CR LF ends a line where the client sent CR NUL.
    pub(crate) text: Cow<'a, [u8]>,
    /// What to send to the client.
    pub(crate) answers: Vec<u8>,
}

impl<'a> From<&'a [u8]> for Received<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self {
            text: Cow::Borrowed(text),
            answers: Vec::new(),
        }
    }
}

impl Telnet {
    /// Whether the client has requested an option, so that it surely is a telnet client.
    pub(crate) fn negotiates(&self) -> bool {
        self.answers > 0
    }

    /// Tells text from commands in the next bytes of a connection.
    pub(crate) fn receive<'a>(&mut self, bytes: &'a [u8]) -> Received<'a> {
        let mut answers = Vec::new();
        let is_text = matches!(self.state, State::Text) && !bytes.contains(&IAC) && !bytes.contains(&0);
        let text = if is_text {
            self.after_cr = bytes.last().map_or(self.after_cr, |&last| last == b'\r');
            Cow::Borrowed(bytes)
        } else {
            let mut text = Vec::with_capacity(bytes.len() + 1);
            for &byte in bytes {
                self.step(byte, &mut text, &mut answers);
            }
            Cow::Owned(text)
        };
        Received { text, answers }
    }

    /// Adds what this byte is.
    fn step(&mut self, byte: u8, text: &mut Vec<u8>, answers: &mut Vec<u8>) {
        use State::{Command, Refuse, Subnegotiation, SubnegotiationCommand, Text, Unused};
        self.state = match (self.state, byte) {
            (Text, IAC) => Command,
            (Command, IAC) => {
                self.after_cr = false;
                text.push(IAC);
                Text
            }
            (Command | SubnegotiationCommand(_), DO) => Refuse(WONT),
            (Command | SubnegotiationCommand(_), WILL) => Refuse(DONT),
            (Command | SubnegotiationCommand(_), DONT | WONT) => Unused,
            (Command | SubnegotiationCommand(_), SB) => Subnegotiation(0),
            (Subnegotiation(length), IAC) => SubnegotiationCommand(length),
            (Subnegotiation(length), _) | (SubnegotiationCommand(length), IAC) => {
                length.checked_add(1).map_or(Text, Subnegotiation)
            }
            (Command | SubnegotiationCommand(_), EOF..SB) | (Unused, _) => Text,
            (Refuse(refusal), option) => {
                if self.answers < ANSWERS_MAX {
                    self.answers += 1;
                    answers.extend([IAC, refusal, option]);
                }
                Text
            }
            (Text | Command | SubnegotiationCommand(_), _) => {
                if let Command = self.state {
                    // No command: the byte before was text. Programs that are no telnet send it.
                    text.push(IAC);
                }
                let ends_line = byte == 0 && self.after_cr;
                self.after_cr = byte == b'\r';
                text.push(if ends_line { b'\n' } else { byte });
                Text
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text and the answers of a stream that comes in these pieces.
    fn receive(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let mut telnet = Telnet::default();
        let (mut text, mut answers) = (Vec::new(), Vec::new());
        for piece in pieces {
            let received = telnet.receive(piece);
            text.extend_from_slice(&received.text);
            answers.extend(received.answers);
        }
        (text, answers)
    }

    #[test]
    fn every_split_of_the_same_bytes_gives_the_same_text() {
        let cases: [(&[u8], &[u8], &[u8]); 13] = [
            (b"hello\r\n", b"hello\r\n", b""),
            (b"one\r\0two\r\n\0", b"one\r\ntwo\r\n\0", b""),
            // What PuTTY begins with: window size, terminal speed and type, environment, echo, no go-ahead.
            (
                b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03hi\r\n",
                b"hi\r\n",
                b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x03",
            ),
            // Ctrl-C: interrupt process, and DO timing mark.
            (b"a\xff\xf4\xff\xfd\x06b", b"ab", b"\xff\xfc\x06"),
            // Ctrl-D, Ctrl-Z and Ctrl-\ on Linux: end of file, suspend, abort; and the end of a record.
            (b"a\xff\xec\xff\xed\xff\xee\xff\xefb", b"ab", b""),
            (b"a\xff\xfe\x01\xff\xfc\x01b", b"ab", b""),
            (b"a\xff\xffb", b"a\xffb", b""),
            (b"a\xff\xfa\x1f\0\x50\0\n\xff\xf0b", b"ab", b""),
            (b"a\xff\xfa\x1f\xff\xff\0\n\xff\xf0b", b"ab", b""),
            (b"a\xff\xfa\x18\xff\xfd\x01b", b"ab", b"\xff\xfc\x01"),
            (b"a\xff\xfd\xffb", b"ab", b"\xff\xfc\xff"),
            (b"a\xff\xfd\nb", b"ab", b"\xff\xfc\n"),
            (b"caf\xff\xe9\n", b"caf\xff\xe9\n", b""),
        ];
        for (stream, text, answers) in cases {
            let expected = (text.to_vec(), answers.to_vec());
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(
                        receive(&pieces),
                        expected,
                        "{} cut at {first} and {second}",
                        stream.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn at_most_32_requests_are_answered() {
        let (text, answers) = receive(&[&b"\xff\xfd\x01\xff\xfb\x03".repeat(1000), b"hi"]);
        assert_eq!(text, b"hi");
        assert_eq!(answers, b"\xff\xfc\x01\xff\xfe\x03".repeat(16));
    }

    #[test]
    fn a_subnegotiation_without_an_end_swallows_255_bytes() {
        let (text, _) = receive(&[b"\xff\xfa\x1f", &[b'x'; 255], b"hello"]);
        assert_eq!(text, b"hello");
    }

    proptest! {
        #[test]
        fn no_stream_panics_grows_or_depends_on_its_pieces(
            stream in prop::collection::vec(prop_oneof![235u8..=255, Just(0), Just(b'\r'), any::<u8>()], 0..600),
            size in 1usize..20,
        ) {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            let (text, answers) = receive(&pieces);
            prop_assert!(text.len() <= stream.len());
            prop_assert!(answers.len() <= 3 * usize::from(ANSWERS_MAX));
            prop_assert_eq!((text, answers), receive(&[&stream]));
        }
    }
}
