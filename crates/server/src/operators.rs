//! Who runs the room: keys that the operator of the server named, and users who proved the code.

use crate::guesses::Guesses;
use anyhow::{Context, Result, bail};
use chat_noise::operator::{Code, is_proven};
use chat_proto::opaque::{PublicKey, Token};
use chat_sys::files;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Operators at most. Each key takes 32 bytes, and a room with more has none.
const KEYS_MAX: usize = 1024;

/// The operators, as keys: who reconnects stays one.
#[derive(Debug, Default)]
pub struct Operators {
    /// What makes a user an operator, if anything does.
    code: Option<Code>,
    /// Of those whom the operator of the server named.
    keys: HashSet<PublicKey>,
    /// Of those who proved a code.
    proven: HashSet<PublicKey>,
    guesses: Guesses,
}

/// Why a code is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is none.
    NoCode,
    /// It is wrong.
    Wrong,
    /// Too many wrong ones came from that network: the next one is read after this time.
    Wait(Duration),
}

impl Operators {
    /// Those with these keys, and who proves this code.
    #[must_use]
    pub fn new(code: Option<Code>, keys: HashSet<PublicKey>) -> Self {
        Self {
            code,
            keys,
            ..Self::default()
        }
    }

    /// The keys of those who proved a code.
    pub(crate) fn proven(&self) -> impl Iterator<Item = PublicKey> {
        self.proven.iter().copied()
    }

    /// Those with these keys proved a code, as far as there is room.
    pub(crate) fn restore(&mut self, keys: impl IntoIterator<Item = PublicKey>) {
        let room = KEYS_MAX.saturating_sub(self.keys.len() + self.proven.len());
        self.proven.extend(keys.into_iter().take(room));
    }

    /// What proves the code on the channel with this hash.
    pub(crate) fn expected(&self, hash: &[u8; 32]) -> Option<Token> {
        Some(self.code.as_ref()?.tag(hash))
    }

    /// Whether the user with this key is one.
    pub(crate) fn has(&self, key: &PublicKey) -> bool {
        self.keys.contains(key) || self.proven.contains(key)
    }

    /// A user proves the code.
    pub(crate) fn prove(
        &mut self,
        now: Duration,
        address: IpAddr,
        key: PublicKey,
        expected: Option<&Token>,
        tag: &Token,
    ) -> Result<(), Refused> {
        let expected = expected.ok_or(Refused::NoCode)?;
        let wait = self.guesses.wait(now, address);
        if let Some(wait) = wait.filter(|_| !self.guesses.trusts(now, &key)) {
            return Err(Refused::Wait(wait));
        }
        if !is_proven(expected, tag) {
            self.guesses.count(now, address);
            return Err(Refused::Wrong);
        }
        self.guesses.trust(now, address, key);
        self.restore([key]);
        Ok(())
    }
}

/// The keys in a file: one a line, and what follows it is a note. Blank lines and lines that begin with `#` are skipped.
///
/// # Errors
/// If the file can't be read, or others may write it, or a line has no key.
pub fn read_keys(path: &Path) -> Result<HashSet<PublicKey>> {
    let about = || format!("operators file {}", path.display());
    let text = files::read_rules(path).with_context(about)?;
    let mut keys = HashSet::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        let Ok(key) = word.parse() else {
            bail!("{}, line {number}: expected a key of 43 characters", about());
        };
        keys.insert(key);
    }
    if keys.len() > KEYS_MAX {
        bail!("{}: more than {KEYS_MAX} keys", about());
    }
    Ok(keys)
}
