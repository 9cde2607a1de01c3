//! The long-lived key pair of a client or a server.

use chat_proto::opaque::{Opaque, PublicKey};
use x25519_dalek::StaticSecret;

/// An X25519 key pair (RFC 7748). Dropping it overwrites the secret.
#[derive(Clone)]
pub struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

impl KeyPair {
    /// A key pair from 32 unpredictable bytes (RFC 7748, section 6.1).
    #[must_use]
    pub fn from_secret(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let public = Opaque(x25519_dalek::PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The secret, to be stored where only its owner can read it.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }
}

/// Shows the public key only.
impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public).finish()
    }
}
