//! The encrypted channel of one user.

use crate::line::split_line;
use chat_noise::handshake::{Client, VERB};
use chat_noise::key::KeyPair;
use chat_noise::record::{Channel, RECORD_MAX};
use chat_proto::LINE_MAX;
use std::fmt;
use std::time::Duration;

/// The first line of each user.
const HELLO: &str = "HELLO 1 - - -";

/// The channel, or the handshake for it.
pub struct Sealed {
    secret: [u8; 32],
    /// The incomplete line of the server.
    partial: Vec<u8>,
    client: Option<Client>,
    channel: Option<Channel>,
}

impl Sealed {
    /// A user with a key that no other has.
    #[must_use]
    pub fn new(user: usize) -> Self {
        let mut secret = [1; 32];
        for (byte, digit) in secret.iter_mut().skip(8).zip(user.to_le_bytes()) {
            *byte = digit;
        }
        Self {
            secret,
            partial: Vec::new(),
            client: None,
            channel: None,
        }
    }

    /// Encrypts this. Before the handshake is over, nothing is to be said.
    pub fn say(&mut self, said: &[u8], out: &mut Vec<u8>) {
        if let Some(channel) = &mut self.channel {
            for said in said.chunks(LINE_MAX) {
                channel.sealer.seal(Duration::ZERO, [said], out);
            }
        }
    }

    /// Bytes arrived. Answers of the handshake go to `out`. Returns the lines of the server, those before the channel too. A
    /// server that breaks the handshake is not heard any more.
    pub fn receive(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Vec<u8> {
        let mut said = Vec::new();
        while self.channel.is_none() {
            let Some((line, rest)) = split_line(bytes) else {
                self.partial.extend_from_slice(bytes);
                return said;
            };
            self.partial.extend_from_slice(line);
            bytes = rest;
            let line = std::mem::take(&mut self.partial);
            self.take_line(&line, out, &mut said);
        }
        if let Some(channel) = &mut self.channel {
            // What does not open is missing in the results.
            let _ = channel.opener.open(bytes, RECORD_MAX, &mut said);
        }
        said
    }

    fn take_line(&mut self, line: &[u8], out: &mut Vec<u8>, said: &mut Vec<u8>) {
        if line.starts_with(VERB.as_bytes()) {
            let met = self.client.take().and_then(|client| client.read(line).ok());
            let Some(met) = met else { return };
            let (line, established) = met.finish(HELLO, Duration::ZERO);
            out.extend_from_slice(format!("{line}\n").as_bytes());
            self.channel = Some(established.channel);
            return;
        }
        said.extend_from_slice(line);
        said.push(b'\n');
        if self.client.is_none() {
            let key = KeyPair::from_secret(self.secret);
            let [byte, ..] = self.secret;
            let (client, line) = Client::begin(line, &key, None, &mut |bytes| bytes.fill(byte));
            out.extend_from_slice(format!("{line}\n").as_bytes());
            self.client = Some(client);
        }
    }
}

/// Shows nothing of it.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}
