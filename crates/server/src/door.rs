//! Who may come in.

use crate::network::Network;
use anyhow::{Context, Result};
use chat_noise::cpace::Phrase;
use chat_proto::{PASSPHRASE, SEALED_ONLY};
use chat_sys::files;
use std::net::IpAddr;
use std::path::Path;

/// What a connection needs to join.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// The passphrase of the room.
    pub phrase: Option<Phrase>,
    /// Only encrypted connections, also without a passphrase.
    pub sealed_only: bool,
    /// Only addresses in one of these networks, if there are any.
    pub allow: Vec<Network>,
    /// No address in one of these networks.
    pub deny: Vec<Network>,
}

impl Door {
    /// With the passphrase in this file, if there is one.
    ///
    /// # Errors
    /// If the file with the passphrase can't be read, or others may read it, or it is empty. Names the file.
    pub fn load(file: Option<&Path>, sealed_only: bool) -> Result<Self> {
        Ok(Self {
            phrase: file
                .map(|file| files::read_passphrase(file, Phrase::new))
                .transpose()?,
            sealed_only,
            ..Self::default()
        })
    }

    /// The door, for addresses in some of the first networks and none of the second ones.
    #[must_use]
    pub fn with_networks(mut self, allow: &[Network], deny: &[Network]) -> Self {
        self.allow = allow.to_vec();
        self.deny = deny.to_vec();
        self
    }

    /// Whether this address may connect at all. What is denied is so although it is allowed too.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let has = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        (self.allow.is_empty() || has(&self.allow)) && !has(&self.deny)
    }

    /// Whether plain users are turned away.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed_only || self.phrase.is_some()
    }

    /// The end of the greeting then.
    #[must_use]
    pub fn clause(&self) -> &'static str {
        match self.phrase {
            Some(_) => PASSPHRASE,
            None => SEALED_ONLY,
        }
    }
}

/// Writes a passphrase to this file, in place of the one in it, for its owner alone.
///
/// # Errors
/// If it can't be written. Names the file, which then has what it had.
pub(crate) fn write(path: &Path, phrase: &str) -> Result<()> {
    let about = || format!("passphrase file {}", path.display());
    files::replace(path, format!("{phrase}\n").as_bytes()).with_context(about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_so_although_it_is_allowed() {
        let networks = |words: &[&str]| words.iter().map(|word| word.parse().unwrap()).collect::<Vec<_>>();
        for (allow, deny, inside, outside) in [
            (&[][..], &[][..], &["10.0.0.1", "::1"][..], &[][..]),
            (
                &["10.0.0.0/8", "fd00::/8"],
                &[],
                &["10.9.9.9", "::ffff:10.9.9.9", "fd12::1"],
                &["127.0.0.1", "::1", "11.0.0.1"],
            ),
            (
                &[],
                &["10.0.0.7", "2001:db8::/32"],
                &["10.0.0.8", "2001:db9::1"],
                &["10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1"],
            ),
            (
                &["10.0.0.0/8"],
                &["10.1.0.0/16"],
                &["10.2.0.1"],
                &["10.1.0.1", "192.168.0.1"],
            ),
        ] {
            let door = Door::default().with_networks(&networks(allow), &networks(deny));
            for (addresses, is_admitted) in [(inside, true), (outside, false)] {
                for address in addresses {
                    assert_eq!(
                        door.admits(address.parse().unwrap()),
                        is_admitted,
                        "{allow:?} {deny:?} {address}"
                    );
                }
            }
        }
    }
}
