//! `--fingerprint`: asks a server for its key, and tells it nothing.

use crate::address::Address;
use crate::net::connect::resolve;
use crate::net::secure::{Secure, Trust};
use crate::private::random;
use crate::session::Outcome;
use crate::session::greeting::{self, Greeting};
use anyhow::{Context, Result, bail};
use chat_noise::key::KeyPair;
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use chat_sys::clock::Clock;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The key of a server, if one of its addresses answers within `patience`.
///
/// # Errors
/// If none answers, or the server does not encrypt or does not prove its key.
pub fn ask(server: &Address, patience: Duration) -> Result<PublicKey> {
    let addresses = resolve(&server.host, server.port())?;
    let connect = |address| TcpStream::connect_timeout(&address, patience);
    let connected = addresses.into_iter().map(connect).reduce(Result::or);
    let mut stream = connected
        .context("the name has no address")?
        .with_context(|| format!("can't connect to {server}"))?;
    // For all of it: a server that sends something now and then gets no more time.
    let until = Instant::now() + patience;
    let trust = Trust {
        key_only: true,
        ..Trust::default()
    };
    let mut secure = Secure::new(
        KeyPair::from_secret(random::secret()?),
        trust,
        Box::new(random::system),
    );
    secure.connected();
    let (clock, mut buffer) = (Clock::start(), [0; 4096]);
    let mut greeted = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("the server does not answer");
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut buffer).context("the server does not answer")?;
        if count == 0 {
            bail!("the server closed the connection");
        }
        let received = secure.receive(clock.now(), buffer.get(..count).unwrap_or_default());
        if let Some(proven) = received.proven {
            return Ok(proven.key);
        }
        if let Some(refusal) = received.refusal {
            bail!("{refusal}");
        }
        if !greeted.contains(&b'\n') {
            greeted.extend_from_slice(&received.bytes);
            if let Some(rejection) = rejection(&greeted) {
                bail!("{rejection}");
            }
        }
        stream.write_all(&secure.take_out())?;
    }
}

/// Why a server that began like this rejects the connection, if it does.
fn rejection(greeted: &[u8]) -> Option<Outcome> {
    match greeting::read(greeted) {
        Greeting::Full => Some(Outcome::Full),
        Greeting::Rejected(reason) => {
            let reason = Text::from_bytes(greeted.get(reason)?).into_owned();
            Some(Outcome::Rejected(reason))
        }
        Greeting::More | Greeting::Ours { .. } | Greeting::Legacy => None,
    }
}
