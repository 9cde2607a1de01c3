//! One user: a connection, and what is known of who is behind it.

use crate::address::Address;
use crate::connection::Connection;
use crate::room::probe::Probe;
use crate::room::rendezvous::Progress;
use crate::transcript::Dialect;
use chat_proto::id::UserId;
use chat_proto::nick::Nick;
use chat_proto::opaque::{PublicKey, Token};
use chat_proto::rich::Profile;
use std::net::SocketAddr;

/// A connection and the user behind it.
#[derive(Debug)]
pub struct Member {
    /// The address the user is seen at.
    pub(crate) address: Address,
    /// The user as lines name one, with the nick: so that a message need not format it again. Nicks are looked up in
    /// the index and hardly ever wanted otherwise, so that none is kept beside it.
    pub(crate) label: Box<str>,
    /// What only a connection has that has said what it is. Most have nothing else that differs, and this takes one word.
    pub(crate) client: Option<Box<Client>>,
    /// The connection.
    pub connection: Connection,
}

/// What a connection is that speaks the rich dialect.
#[derive(Debug)]
pub(crate) enum Client {
    /// It said HELLO.
    Rich(Rich),
    /// It is being probing.
    Probe(Probe),
}

/// What is known of a client that said HELLO.
#[derive(Debug)]
pub struct Rich {
    /// Where it takes private messages.
    pub udp: Option<Address>,
    /// Its key for private messages.
    pub key: Option<PublicKey>,
    /// What proves that a later connection is the same client's.
    pub resume: Token,
    /// What it asks the rendezvous with.
    pub rendezvous: Token,
    /// How far the rendezvous has got, if the client has begun it.
    pub rendezvous_progress: Option<Box<Progress>>,
    /// The number of the last message that was taken from it.
    pub seq: u64,
    /// It has said something after HELLO: one that may come back has read by then what that was answered with.
    pub has_answered: bool,
}

impl Member {
    /// Somebody of whom only the address is known.
    #[must_use]
    pub fn new(id: UserId, connection: Connection) -> Self {
        Self {
            address: id.address().into(),
            label: id.to_string().into(),
            client: None,
            connection,
        }
    }

    /// The address the user is seen at.
    #[must_use]
    pub fn id(&self) -> UserId {
        SocketAddr::from(self.address).into()
    }

    /// The user's nick, if there is one.
    #[must_use]
    pub fn nick(&self) -> Option<Nick> {
        let (nick, _) = self.label.split_once('@')?;
        Nick::parse(nick).ok()
    }

    /// The user as lines name one.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What only a client that said HELLO has.
    #[must_use]
    pub fn rich(&self) -> Option<&Rich> {
        match self.client.as_deref()? {
            Client::Rich(rich) => Some(rich),
            Client::Probe(_) => None,
        }
    }

    /// The same, to change.
    pub fn rich_mut(&mut self) -> Option<&mut Rich> {
        match self.client.as_deref_mut()? {
            Client::Rich(rich) => Some(rich),
            Client::Probe(_) => None,
        }
    }

    /// What only a connection has that is being probing, to change.
    pub fn probe_mut(&mut self) -> Option<&mut Probe> {
        match self.client.as_deref_mut()? {
            Client::Probe(probe) => Some(probe),
            Client::Rich(_) => None,
        }
    }

    /// The dialect the connection speaks, as far as is known.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        if self.client.is_some() {
            Dialect::Rich
        } else {
            Dialect::Plain
        }
    }

    /// What others need to know to write to this user privately.
    #[must_use]
    pub fn profile(&self) -> Profile<&str> {
        let rich = self.rich();
        Profile {
            who: self.label(),
            udp: rich.and_then(|rich| rich.udp).map(Into::into),
            key: rich.and_then(|rich| rich.key),
        }
    }
}
