//! The handshake: three lines, and then records.
//!
//! ```text
//! client  SEAL 1 <session> <e>            flags, and with a passphrase its share of CPace
//! server  SEAL 1 <e ee s es>              flags, and its share of CPace
//! client  SEAL 1 <s se>, or <s se psk>    the client's first line
//! ```
//!
//! Both sides mix the greeting in as it was sent and as it came. So who changes what the server offers breaks the
//! handshake.

use crate::cpace::{Added, Exchange, Phrase, Role, Share};
use crate::key::KeyPair;
use crate::primitives::{Cipher, Primitives};
use crate::record::{Channel, Opener, Sealer};
use crate::{Random, random};
use chat_proto::LINE_MAX;
use chat_proto::opaque::{Opaque, PublicKey, Token, decode, encode};
use snow::{Builder, HandshakeState};
use std::time::Duration;

/// What each line of a handshake begins with: the verb and the version.
pub const VERB: &str = "SEAL 1 ";

const OPEN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
const WITH_PHRASE: &str = "Noise_XXpsk3_25519_ChaChaPoly_SHA256";

/// Separates this protocol from all others.
const PROLOGUE: &[u8] = b"chat-seal-1\0";

/// The same for CPace ("CI").
const CPACE_CHANNEL: &[u8] = b"chat-cpace-1";

/// The place of the passphrase's key in the pattern: the third message. The second must not depend on it, or hanging up
/// after that would be a free guess.
const PSK_PLACE: usize = 3;

/// In the flags of the server: its key is of this run only.
const EPHEMERAL_KEY: u8 = 1;

/// In the flags of the client: it can encrypt records by AES-256-GCM. In those of the server: both sides do.
const AES_RECORDS: u8 = 2;

/// Bytes of a message, at most: one line carries it.
const MESSAGE_MAX: usize = LINE_MAX;

/// Why a handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This is no line of the handshake.
    Malformed,
    /// The other side does not prove what it has to: its key, or the passphrase; or the greeting was changed on the way.
    Unproven,
}

/// A completed handshake.
#[derive(Debug)]
pub struct Established {
    /// The key that the other side has proven to have.
    pub peer: PublicKey,
    /// The channel.
    pub channel: Channel,
    /// The handshake hash (Noise, section 11.2), which is different on every other channel.
    pub hash: [u8; 32],
}

/// The client's side, its first line sent.
pub struct Client {
    state: HandshakeState,
    exchange: Option<Exchange>,
    /// For records.
    offered: Cipher,
}

impl Client {
    /// Begins a handshake. `greeting` is the server's line without its end. Returns the line to send.
    ///
    /// # Panics
    /// If the greeting is longer than a line.
    #[must_use]
    pub fn begin(
        greeting: &[u8],
        key: &KeyPair,
        phrase: Option<&Phrase>,
        source: Random<'_>,
    ) -> (Self, String) {
        Self::begin_with(Cipher::best(), greeting, key, phrase, source)
    }

    fn begin_with(
        cipher: Cipher,
        greeting: &[u8],
        key: &KeyPair,
        phrase: Option<&Phrase>,
        source: Random<'_>,
    ) -> (Self, String) {
        let session = Opaque(random(source));
        let exchange =
            phrase.map(|phrase| Exchange::new(Role::Initiator, phrase, CPACE_CHANNEL, &session.0, source));
        let mut state = begin(greeting, session, key, exchange.is_some(), source, true);
        let share = exchange.as_ref().map(Exchange::share);
        let mut payload = share.as_ref().map_or_else(Vec::new, |share| share.to_vec());
        if cipher == Cipher::AesGcm {
            payload.push(AES_RECORDS);
        }
        let message = write(&mut state, &payload).expect("no key of the other side is in the first message");
        let line = format!("{VERB}{session} {}", encode(&message));
        let client = Self {
            state,
            exchange,
            offered: cipher,
        };
        (client, line)
    }

    /// Reads the server's answer.
    ///
    /// # Errors
    /// [`Failure`]; the connection is to be closed.
    pub fn read(mut self, line: &[u8]) -> Result<Met, Failure> {
        let message = message(line)?;
        let payload = read(&mut self.state, &message)?;
        let (flags, share) = payload.split_first().ok_or(Failure::Malformed)?;
        if let Some(exchange) = self.exchange {
            set_phrase(&mut self.state, exchange, share)?;
        }
        Ok(Met {
            server: peer(&self.state)?,
            is_kept: flags & EPHEMERAL_KEY == 0,
            cipher: agreed(self.offered, *flags),
            state: self.state,
        })
    }
}

/// The client's side, once the server has proven its key. Nothing of the client is known to the server before
/// [`Met::finish`], so this is the time to compare the key.
pub struct Met {
    /// The server's key.
    pub server: PublicKey,
    /// Whether the server keeps it for its next run.
    pub is_kept: bool,
    cipher: Cipher,
    state: HandshakeState,
}

impl Met {
    /// Ends the handshake. `first` is the client's first line, without its end. Returns the line to send.
    #[must_use]
    pub fn finish(mut self, first: impl AsRef<[u8]>, now: Duration) -> (String, Established) {
        let message =
            write(&mut self.state, first.as_ref()).expect("the keys of the server were used before");
        let line = format!("{VERB}{}", encode(&message));
        let established = established(self.state, self.cipher, self.server, now);
        (line, established)
    }
}

/// What a server offers and has.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The greeting, without its line feed.
    pub greeting: &'a [u8],
    /// The server's key.
    pub key: &'a KeyPair,
    /// Whether it keeps that key for its next run.
    pub is_kept: bool,
    /// The passphrase of the room.
    pub phrase: Option<&'a Phrase>,
}

/// The server's side, its answer sent.
pub struct Server {
    state: HandshakeState,
    cipher: Cipher,
}

impl Server {
    /// Reads the client's first line. Returns the line to send.
    ///
    /// # Errors
    /// [`Failure`]; the connection is to be closed.
    pub fn begin(offer: &Offer<'_>, line: &[u8], source: Random<'_>) -> Result<(Self, String), Failure> {
        Self::begin_with(Cipher::best(), offer, line, source)
    }

    fn begin_with(
        best: Cipher,
        offer: &Offer<'_>,
        line: &[u8],
        source: Random<'_>,
    ) -> Result<(Self, String), Failure> {
        let fields = fields(line)?;
        let (session, sent) = fields.split_once(' ').ok_or(Failure::Malformed)?;
        let session: Token = session.parse().map_err(|_| Failure::Malformed)?;
        let exchange = offer
            .phrase
            .map(|phrase| Exchange::new(Role::Responder, phrase, CPACE_CHANNEL, &session.0, source));
        let mut state = begin(
            offer.greeting,
            session,
            offer.key,
            exchange.is_some(),
            source,
            false,
        );
        let received = read(&mut state, &decode(sent).map_err(|_| Failure::Malformed)?)?;
        let share_len = if exchange.is_some() { size_of::<Share>() } else { 0 };
        let (share, flags) = received.split_at_checked(share_len).ok_or(Failure::Malformed)?;
        let cipher = match *flags {
            [] => Cipher::ChaChaPoly,
            [flags] => agreed(best, flags),
            _ => return Err(Failure::Malformed),
        };
        let kept = if offer.is_kept { 0 } else { EPHEMERAL_KEY };
        let aes = if cipher == Cipher::AesGcm { AES_RECORDS } else { 0 };
        let mut payload = vec![kept | aes];
        if let Some(exchange) = exchange {
            payload.extend_from_slice(&exchange.share());
            set_phrase(&mut state, exchange, share)?;
        }
        let line = format!("{VERB}{}", encode(&write(&mut state, &payload)?));
        Ok((Self { state, cipher }, line))
    }

    /// Reads the client's second line, and gives its first line of the rich dialect too.
    ///
    /// # Errors
    /// [`Failure::Unproven`] is a guess of the passphrase, where there is one. The connection is to be closed.
    pub fn finish(mut self, line: &[u8], now: Duration) -> Result<(Vec<u8>, Established), Failure> {
        let first = read(&mut self.state, &message(line)?)?;
        let peer = peer(&self.state)?;
        Ok((first, established(self.state, self.cipher, peer, now)))
    }
}

fn begin(
    greeting: &[u8],
    session: Token,
    key: &KeyPair,
    has_phrase: bool,
    source: Random<'_>,
    initiates: bool,
) -> HandshakeState {
    // The session has a fixed length, so no two pairs have the same prologue.
    let prologue = [PROLOGUE, greeting, &session.0].concat();
    let pattern = if has_phrase { WITH_PHRASE } else { OPEN };
    let pattern = pattern.parse().expect("the name of a pattern");
    let builder = Builder::with_resolver(pattern, Box::new(Primitives::new(source)))
        .local_private_key(key.secret())
        .and_then(|builder| builder.prologue(&prologue))
        .expect("each is set once");
    let state = if initiates {
        builder.build_initiator()
    } else {
        builder.build_responder()
    };
    state.expect("everything that the pattern needs was given")
}

/// Mixes the passphrase in for the third message.
fn set_phrase(state: &mut HandshakeState, exchange: Exchange, share: &[u8]) -> Result<(), Failure> {
    let share: &Share = share.try_into().map_err(|_| Failure::Malformed)?;
    let key = exchange
        .finish(share, Added::default())
        .ok_or(Failure::Unproven)?;
    let (key, _) = key.split_at(32);
    state.set_psk(PSK_PLACE, key).map_err(|_| Failure::Malformed)
}

/// Fails if the other side's ephemeral key gives every secret the same result.
fn write(state: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut message = vec![0; MESSAGE_MAX];
    let length = match state.write_message(payload, &mut message) {
        Err(snow::Error::Dh) => return Err(Failure::Unproven),
        written => written.expect("it is this side's turn, and a line has room for it"),
    };
    message.truncate(length);
    Ok(message)
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut payload = vec![0; MESSAGE_MAX];
    let length = state
        .read_message(message, &mut payload)
        .map_err(|error| match error {
            snow::Error::Decrypt | snow::Error::Dh => Failure::Unproven,
            _ => Failure::Malformed,
        })?;
    payload.truncate(length);
    Ok(payload)
}

fn peer(state: &HandshakeState) -> Result<PublicKey, Failure> {
    let key = state.get_remote_static().and_then(|key| key.try_into().ok());
    key.map(Opaque).ok_or(Failure::Malformed)
}

/// The cipher for records: AES-256-GCM if this side and, by its flags, the other one want it. The flags are part of the
/// handshake, so nobody can change them.
fn agreed(own: Cipher, flags: u8) -> Cipher {
    match own {
        Cipher::AesGcm if flags & AES_RECORDS != 0 => Cipher::AesGcm,
        _ => Cipher::ChaChaPoly,
    }
}

fn established(mut state: HandshakeState, cipher: Cipher, peer: PublicKey, now: Duration) -> Established {
    let mut hash = [0; 32];
    hash.copy_from_slice(state.get_handshake_hash());
    let (client, server) = state.dangerously_get_raw_split();
    let (own, other) = if state.is_initiator() {
        (client, server)
    } else {
        (server, client)
    };
    Established {
        peer,
        channel: Channel {
            sealer: Sealer::new(cipher, own, now),
            opener: Opener::new(cipher, other),
        },
        hash,
    }
}

/// The message of a line that has no other field.
fn message(line: &[u8]) -> Result<Vec<u8>, Failure> {
    decode(fields(line)?).map_err(|_| Failure::Malformed)
}

fn fields(line: &[u8]) -> Result<&str, Failure> {
    let line = std::str::from_utf8(line).map_err(|_| Failure::Malformed)?;
    line.strip_prefix(VERB).ok_or(Failure::Malformed)
}

#[cfg(test)]
mod tests;
