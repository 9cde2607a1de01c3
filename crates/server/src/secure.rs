//! The encrypted side of one connection.

use crate::compact::Timestamp;
use chat_noise::record::{Altered, Channel};
use chat_proto::LINE_MAX;
use chat_proto::now::Now;
use chat_proto::opaque::{PublicKey, Token};

/// Bytes that one record of a client carries, at most: a line fits. So a connection makes the server keep no more than
/// that of an incomplete one.
const CLIENT_RECORD_MAX: usize = LINE_MAX;

/// The channel to one client, and what its socket has not taken yet.
#[derive(Debug)]
pub struct Secure {
    channel: Channel,
    /// The key that the client has proven to have.
    pub key: PublicKey,
    /// When its handshake began.
    pub begun: Timestamp,
    /// What proves the operators' code on this channel, if there is a code. The handshake hash is not kept.
    pub operator_tag: Option<Token>,
    /// The end of a record that is sent in part, which is never encrypted anew: the number of a record must not serve twice.
    /// Boxed, because most of the time there is none.
    #[allow(clippy::box_collection, reason = "there is one of these for each user")]
    unsent: Option<Box<Vec<u8>>>,
}

impl Secure {
    /// A channel on which nothing was said.
    #[must_use]
    pub fn new(key: PublicKey, channel: Channel, begun: Timestamp) -> Self {
        Self {
            channel,
            key,
            begun,
            operator_tag: None,
            unsent: None,
        }
    }

    /// Decrypts what arrived.
    ///
    /// # Errors
    /// [`Altered`]; what was decrypted before the change is in `out`.
    pub fn open(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Altered> {
        self.channel.opener.open(bytes, CLIENT_RECORD_MAX, out)
    }

    /// Whether part of a record waits for the socket.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.unsent.is_some()
    }

    /// Nothing can be sent any more.
    pub fn discard(&mut self) {
        self.unsent = None;
    }

    /// Passes to `send` what waits, or else records of `pieces`, as long as it takes whole records; and whether another one follows
    /// at once. `send` returns how many bytes it took. Returns how many bytes of `pieces` are encrypted and must not be passed
    /// again, and what `send` took or, if it took nothing, failed with.
    pub fn send<'a, E>(
        &mut self,
        now: Now,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
        scratch: &mut Vec<u8>,
        mut send: impl FnMut(&[u8], bool) -> Result<usize, E>,
    ) -> (usize, Result<usize, E>) {
        if let Some(mut unsent) = self.unsent.take() {
            let sent = send(&unsent, false);
            unsent.drain(..*sent.as_ref().unwrap_or(&0));
            self.unsent = Some(unsent).filter(|unsent| !unsent.is_empty());
            return (0, sent);
        }
        let length = pieces.clone().map(<[u8]>::len).sum();
        let (mut count, mut taken) = (0, 0);
        while count < length && self.unsent.is_none() {
            scratch.clear();
            let rest = skip(pieces.clone(), count);
            count += self.channel.sealer.seal(now.monotonic, rest, scratch);
            let sent = send(scratch, count < length);
            let unsent = scratch.get(*sent.as_ref().unwrap_or(&0)..).unwrap_or_default();
            self.unsent = (!unsent.is_empty()).then(|| Box::new(unsent.to_vec()));
            match sent {
                Ok(sent) => taken += sent,
                Err(error) if taken == 0 => return (count, Err(error)),
                // The rest of this record is sent later, and fails again if the connection broke.
                Err(_) => {}
            }
        }
        (count, Ok(taken))
    }
}

/// These pieces without their first `count` bytes.
fn skip<'a>(pieces: impl Iterator<Item = &'a [u8]>, mut count: usize) -> impl Iterator<Item = &'a [u8]> {
    pieces.map(move |piece| {
        let (skipped, rest) = piece.split_at(count.min(piece.len()));
        count -= skipped.len();
        rest
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use chat_noise::handshake::{Client, Offer, Server};
    use chat_noise::key::KeyPair;
    use chat_noise::record::RECORD_MAX;

    const NOW: Now = Now {
        monotonic: std::time::Duration::from_secs(1),
        unix_ms: 0,
    };

    /// Both ends of a channel.
    fn ends() -> (Secure, Channel) {
        let (here, there) = (KeyPair::from_secret([1; 32]), KeyPair::from_secret([2; 32]));
        let offer = Offer {
            greeting: b"* chat",
            key: &here,
            is_kept: true,
            phrase: None,
        };
        let mut random = |bytes: &mut [u8]| bytes.fill(5);
        let (client, line) = Client::begin(b"* chat", &there, None, &mut random);
        let (server, line) = Server::begin(&offer, line.as_bytes(), &mut random).unwrap();
        let (line, at_client) = client
            .read(line.as_bytes())
            .unwrap()
            .finish("HELLO", NOW.monotonic);
        let (_, at_server) = server.finish(line.as_bytes(), NOW.monotonic).unwrap();
        let begun = NOW.monotonic.into();
        let secure = Secure::new(at_server.peer, at_server.channel, begun);
        (secure, at_client.channel)
    }

    /// A channel to a client with this key.
    pub(crate) fn secure_with(key: PublicKey) -> Secure {
        Secure { key, ..ends().0 }
    }

    #[test]
    fn a_record_is_sent_in_parts_and_never_encrypted_anew() {
        let (mut secure, mut client) = ends();
        let (mut wire, mut scratch) = (Vec::new(), Vec::new());
        let mut take = |secure: &mut Secure, said: &'static [u8], max: usize| {
            let (count, sent) = secure.send(NOW, [said].into_iter(), &mut scratch, |bytes, _| {
                let taken = bytes.len().min(max);
                wire.extend_from_slice(&bytes[..taken]);
                if taken == 0 { Err("full") } else { Ok(taken) }
            });
            (count, sent, secure.is_unsent())
        };
        assert_eq!(take(&mut secure, b"one\n", 0), (4, Err("full"), true));
        // While it waits, nothing else is encrypted.
        assert_eq!(take(&mut secure, b"two\n", 10), (0, Ok(10), true));
        assert_eq!(take(&mut secure, b"two\n", 0), (0, Err("full"), true));
        assert_eq!(take(&mut secure, b"two\n", 100), (0, Ok(12), false));
        assert_eq!(take(&mut secure, b"two\n", 100), (4, Ok(22), false));
        assert_eq!(take(&mut secure, b"", 100), (0, Ok(0), false));
        let mut said = Vec::new();
        client.opener.open(&wire, RECORD_MAX, &mut said).unwrap();
        assert_eq!(said, b"one\ntwo\n");
    }

    #[test]
    fn records_follow_one_another_while_the_socket_takes_them() {
        let said = [vec![b'a'; 10], vec![b'b'; 3 * RECORD_MAX]];
        let pieces = || said.iter().map(Vec::as_slice);
        // What the socket takes in all, what is encrypted, and which records another one follows.
        for (space, encrypted, follows) in [
            (usize::MAX, 3 * RECORD_MAX + 10, vec![true, true, true, false]),
            (RECORD_MAX + 100, 2 * RECORD_MAX, vec![true, true]),
            (RECORD_MAX + 18, 2 * RECORD_MAX, vec![true, true]),
        ] {
            let (mut secure, mut client) = ends();
            let (mut wire, mut scratch, mut more) = (Vec::new(), Vec::new(), Vec::new());
            let (count, sent) = secure.send(NOW, pieces(), &mut scratch, |bytes, follows| {
                more.push(follows);
                let taken = bytes.len().min(space - wire.len());
                wire.extend_from_slice(&bytes[..taken]);
                if taken == 0 { Err("full") } else { Ok(taken) }
            });
            assert_eq!((count, sent, &more), (encrypted, Ok(wire.len()), &follows));
            let _ = secure.send(NOW, std::iter::empty(), &mut scratch, |bytes, _| {
                wire.extend_from_slice(bytes);
                Ok::<_, ()>(bytes.len())
            });
            let mut opened = Vec::new();
            client.opener.open(&wire, RECORD_MAX, &mut opened).unwrap();
            assert_eq!(opened, said.concat()[..encrypted]);
        }
    }

    #[test]
    fn a_record_of_a_client_is_no_longer_than_a_line() {
        let (mut secure, mut client) = ends();
        let (mut wire, mut said) = (Vec::new(), Vec::new());
        client
            .sealer
            .seal(NOW.monotonic, [[b'x'; LINE_MAX].as_slice()], &mut wire);
        assert_eq!(secure.open(&wire, &mut said), Ok(()));
        wire.clear();
        client
            .sealer
            .seal(NOW.monotonic, [[b'x'; LINE_MAX + 1].as_slice()], &mut wire);
        assert_eq!(secure.open(&wire, &mut said), Err(Altered));
        assert_eq!(said.len(), LINE_MAX);
    }
}
