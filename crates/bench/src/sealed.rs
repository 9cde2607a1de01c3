//! The encrypted channel of one user.

use crate::line::split_line;
use chat_noise::handshake::{Client, VERB};
use chat_noise::key::KeyPair;
use chat_noise::record::{Channel, RECORD_MAX, Sealer};
use chat_proto::LINE_MAX;
use std::fmt;
use std::time::Duration;

/// The first line of each user.
const HELLO: &str = "HELLO 1 - - -";

/// The same to a server from before the encrypted channel.
const HELLO_IN_THE_CLEAR: &str = "HELLO 1 - - - -";

/// In the length of a record: the length itself.
const LENGTH: u16 = (1 << 15) - 1;

/// Bytes of a record that say nothing.
const TAG_LEN: usize = 16;

/// The way to the server that the rich dialect takes.
pub struct Sealed {
    secret: [u8; 32],
    /// The incomplete line of the server.
    partial: Vec<u8>,
    stage: Stage,
}

enum Stage {
    /// The server is to greet. The flag says whether it does not encrypt.
    Greeting {
        clear: bool,
    },
    /// It is to answer.
    Answer(Box<Client>),
    Up(Box<Channel>),
    /// What arrives is counted only.
    Unopened(Box<Sealer>, Records),
    Clear,
    Failed,
}

/// What arrived from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    /// These lines.
    Lines(Vec<u8>),
    /// So many bytes of lines, which are not opened.
    Unopened(usize),
    /// The bytes are in the clear, as they came.
    Clear,
}

impl Sealed {
    /// A user with a key that no other has, of a server that does not encrypt if `clear`.
    #[must_use]
    pub fn new(user: usize, clear: bool) -> Self {
        let mut secret = [1; 32];
        for (byte, digit) in secret.iter_mut().skip(8).zip(user.to_le_bytes()) {
            *byte = digit;
        }
        Self {
            secret,
            partial: Vec::new(),
            stage: Stage::Greeting { clear },
        }
    }

    /// From here on, what arrives is not opened. All bytes so far must have been whole records.
    pub fn stop_opening(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Up(channel) => Stage::Unopened(Box::new(channel.sealer), Records::default()),
            stage => stage,
        };
    }

    /// Encrypts this. Before the handshake is over, nothing is to be said.
    pub fn say(&mut self, said: &[u8], out: &mut Vec<u8>) {
        let sealer = match &mut self.stage {
            Stage::Up(channel) => &mut channel.sealer,
            Stage::Unopened(sealer, _) => sealer,
            Stage::Clear => return out.extend_from_slice(said),
            Stage::Greeting { .. } | Stage::Answer(_) | Stage::Failed => return,
        };
        for said in said.chunks(LINE_MAX) {
            sealer.seal(Duration::ZERO, [said], out);
        }
    }

    /// Bytes arrived. Answers of the handshake go to `out`. The lines before the channel count as lines, too. A server that
    /// breaks the handshake is not heard any more.
    pub fn receive(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Arrived {
        let mut said = Vec::new();
        loop {
            match &mut self.stage {
                Stage::Greeting { .. } | Stage::Answer(_) => {
                    let Some((line, rest)) = split_line(bytes) else {
                        self.partial.extend_from_slice(bytes);
                        return Arrived::Lines(said);
                    };
                    self.partial.extend_from_slice(line);
                    bytes = rest;
                    let line = std::mem::take(&mut self.partial);
                    self.take_line(&line, out, &mut said);
                }
                Stage::Up(channel) => {
                    // What does not open is missing in the results.
                    let _ = channel.opener.open(bytes, RECORD_MAX, &mut said);
                    return Arrived::Lines(said);
                }
                Stage::Unopened(_, records) => return Arrived::Unopened(records.count(bytes)),
                Stage::Clear if said.is_empty() => return Arrived::Clear,
                Stage::Clear => {
                    said.extend_from_slice(bytes);
                    return Arrived::Lines(said);
                }
                Stage::Failed => return Arrived::Lines(said),
            }
        }
    }

    fn take_line(&mut self, line: &[u8], out: &mut Vec<u8>, said: &mut Vec<u8>) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Greeting { clear } => {
                said.extend_from_slice(line);
                said.push(b'\n');
                if clear {
                    out.extend_from_slice(format!("{HELLO_IN_THE_CLEAR}\n").as_bytes());
                    Stage::Clear
                } else {
                    let key = KeyPair::from_secret(self.secret);
                    let [byte, ..] = self.secret;
                    let (client, line) = Client::begin(line, &key, None, &mut |bytes| bytes.fill(byte));
                    out.extend_from_slice(format!("{line}\n").as_bytes());
                    Stage::Answer(Box::new(client))
                }
            }
            Stage::Answer(client) if line.starts_with(VERB.as_bytes()) => match client.read(line) {
                Ok(met) => {
                    let (line, established) = met.finish(HELLO, Duration::ZERO);
                    out.extend_from_slice(format!("{line}\n").as_bytes());
                    Stage::Up(Box::new(established.channel))
                }
                Err(_) => Stage::Failed,
            },
            // A line for plain users.
            stage => {
                said.extend_from_slice(line);
                said.push(b'\n');
                stage
            }
        };
    }
}

/// Counts what records say by their lengths.
#[derive(Default)]
struct Records {
    /// The first byte of a length.
    first: Option<u8>,
    /// What is missing of the record, and what it says.
    missing: usize,
    length: usize,
}

impl Records {
    /// The bytes that the records say which these bytes complete.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.missing > 0 {
                let length = self.missing.min(bytes.len());
                self.missing -= length;
                bytes = bytes.get(length..).unwrap_or_default();
                count += if self.missing == 0 { self.length } else { 0 };
                continue;
            }
            bytes = rest;
            let Some(first) = self.first.take() else {
                self.first = Some(byte);
                continue;
            };
            self.missing = usize::from(u16::from_be_bytes([first, byte]) & LENGTH);
            self.length = self.missing.saturating_sub(TAG_LEN);
        }
        count
    }
}

/// Shows nothing of it.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_however_they_are_cut() {
        let wire: Vec<u8> = [(20_u16, 4), (1 << 15 | 516, 500)]
            .into_iter()
            .flat_map(|(length, said)| [&length.to_be_bytes()[..], &vec![0; said + TAG_LEN]].concat())
            .collect();
        for size in 1..wire.len() {
            let mut records = Records::default();
            let counts = wire.chunks(size).map(|bytes| records.count(bytes));
            assert_eq!(counts.sum::<usize>(), 504);
        }
    }
}
