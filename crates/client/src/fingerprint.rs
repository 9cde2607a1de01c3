//! `--fingerprint`: asks a server for its key, and tells it nothing.

use crate::address::Address;
use crate::net::connect::resolve;
use crate::net::secure::{Secure, Trust};
use crate::private::random;
use anyhow::{Context, Result, bail};
use chat_noise::key::KeyPair;
use chat_proto::opaque::PublicKey;
use chat_sys::clock::Clock;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

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
    stream.set_read_timeout(Some(patience))?;
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
    loop {
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
        stream.write_all(&secure.take_out())?;
    }
}
