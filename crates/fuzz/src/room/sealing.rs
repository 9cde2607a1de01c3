//! The client's side of an encrypted connection to the room.

use super::receiver::Receiver;
use chat_noise::handshake::{Client, VERB};
use chat_noise::key::KeyPair;
use chat_noise::record::{Channel, RECORD_MAX};
use chat_proto::LINE_MAX;
use chat_proto::rich::FromClient;
use std::time::Duration;

/// How far a connection is.
#[derive(Default)]
pub(super) enum Line {
    /// Everything is sent as it is.
    #[default]
    Clear,
    /// A handshake is to begin, or under way.
    Sealing(Box<Sealing>),
    /// Everything is encrypted.
    Sealed(Box<Channel>),
}

/// A handshake.
pub(super) struct Sealing {
    key: KeyPair,
    /// `None` before the greeting.
    client: Option<Client>,
    /// What is said afterwards, the first line first.
    said: Vec<u8>,
    /// The incomplete line of the server.
    partial: Vec<u8>,
}

impl Line {
    /// Prepares a handshake, with this secret key, after which this is said. The greeting is what was received so far.
    pub(super) fn begin(secret: [u8; 32], greeting: &[u8], said: &[u8], sent: &mut impl Extend<u8>) -> Self {
        let mut sealing = Sealing {
            key: KeyPair::from_secret(secret),
            client: None,
            said: said.to_vec(),
            partial: Vec::new(),
        };
        if !greeting.is_empty() {
            sealing.greeted(greeting, sent);
        }
        Self::Sealing(Box::new(sealing))
    }

    /// Says this: what is to be sent is appended to `sent`.
    pub(super) fn say(&mut self, now: Duration, said: &[u8], sent: &mut impl Extend<u8>) {
        match self {
            Self::Clear => sent.extend(said.iter().copied()),
            Self::Sealing(sealing) => sealing.said.extend_from_slice(said),
            Self::Sealed(channel) => {
                let mut records = Vec::new();
                for said in said.chunks(LINE_MAX) {
                    channel.sealer.seal(now, [said], &mut records);
                }
                sent.extend(records);
            }
        }
    }

    /// Bytes arrived.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        mut bytes: &[u8],
        to: &mut Receiver,
        sent: &mut impl Extend<u8>,
    ) {
        while let Self::Sealing(sealing) = self {
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                return sealing.partial.extend_from_slice(bytes);
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            sealing.partial.extend_from_slice(line);
            let line = std::mem::take(&mut sealing.partial);
            if sealing.client.is_some() && line.starts_with(VERB.as_bytes()) {
                *self = sealing.finish(now, line.trim_ascii_end(), sent);
            } else {
                to.receive(&line);
                if sealing.client.is_none() {
                    sealing.greeted(line.trim_ascii_end(), sent);
                }
            }
        }
        match self {
            Self::Sealed(channel) => {
                let mut opened = Vec::new();
                let intact = channel.opener.open(bytes, RECORD_MAX, &mut opened);
                assert_eq!(intact, Ok(()), "a record of the server does not open");
                to.receive(&opened);
            }
            _ => to.receive(bytes),
        }
    }
}

impl Sealing {
    fn greeted(&mut self, greeting: &[u8], sent: &mut impl Extend<u8>) {
        let (client, line) = Client::begin(greeting, &self.key, None, &mut |bytes| bytes.fill(7));
        self.client = Some(client);
        sent.extend(format!("{line}\n").into_bytes());
    }

    fn finish(&mut self, now: Duration, line: &[u8], sent: &mut impl Extend<u8>) -> Line {
        let client = self.client.take().expect("a handshake under way");
        let met = client.read(line).expect("an answer to the handshake");
        let end = self.said.iter().position(|&byte| byte == b'\n');
        let (first, rest) = self.said.split_at(end.expect("a whole line") + 1);
        let first = std::str::from_utf8(first).expect("a line of a client");
        let (line, established) = met.finish(first.trim_end_matches('\n'), now);
        sent.extend(format!("{line}\n").into_bytes());
        let mut sealed = Line::Sealed(Box::new(established.channel));
        sealed.say(now, rest, sent);
        sealed
    }
}

/// Whether this begins with the first line of a client.
pub(super) fn is_clients(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let first = std::str::from_utf8(line).map(FromClient::parse);
    line.len() < bytes.len() && matches!(first, Ok(Ok(FromClient::Hello(_) | FromClient::Probe(..))))
}
