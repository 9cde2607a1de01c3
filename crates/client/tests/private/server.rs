//! A model of the server, as far as private messages need it: roster, relay, punching, and
//! rendezvous.

use chat_noise::rendezvous::{Nonce, Request};
use chat_proto::id::UserId;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_proto::rich::{FromClient, FromServer, Key, Profile};
use chat_proto::who::Who;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Identifies a connection. Never reused.
pub(crate) type Conn = u64;

#[derive(Default)]
pub(crate) struct Server {
    users: BTreeMap<Conn, User>,
    /// Lines to send, each with its connection.
    pub(crate) outbox: Vec<(Conn, String)>,
}

struct User {
    profile: Profile,
    token: Opaque<16>,
    nonce: Option<(Nonce, SocketAddr)>,
}

impl Server {
    /// A client sent HELLO, or a user without a key joined.
    pub(crate) fn join(&mut self, conn: Conn, id: UserId, udp: Option<SocketAddr>, key: Option<PublicKey>) {
        let profile = Profile {
            who: id.into(),
            udp,
            key: key.map(Key::Whole),
        };
        if key.is_some() {
            self.welcome(conn, id);
        }
        self.broadcast(&FromServer::Join(None, profile.clone().brief()));
        let token = token_of(conn);
        self.users.insert(
            conn,
            User {
                profile,
                token,
                nonce: None,
            },
        );
    }

    fn welcome(&mut self, conn: Conn, id: UserId) {
        let welcome: FromServer<'_, Who> = FromServer::Welcome {
            who: id.into(),
            resume: token_of(conn),
            rendezvous: token_of(conn),
            seq: 0,
            carries_files: true,
        };
        self.outbox.push((conn, welcome.to_string()));
        for user in self.users.values() {
            let line = FromServer::Join(None, user.profile.clone().brief());
            self.outbox.push((conn, line.to_string()));
        }
        let live: FromServer<'_, Who> = FromServer::Live;
        self.outbox.push((conn, live.to_string()));
    }

    /// A connection is closed.
    pub(crate) fn leave(&mut self, conn: Conn) {
        if let Some(user) = self.users.remove(&conn) {
            self.broadcast(&FromServer::Leave(None, user.profile.who));
        }
    }

    pub(crate) fn leave_id(&mut self, id: UserId) {
        if let Some((conn, _)) = self.find(id) {
            self.leave(conn);
        }
    }

    /// The connections with this key, which a returning client resumes.
    pub(crate) fn with_key(&self, key: PublicKey) -> Vec<Conn> {
        let users = self
            .users
            .iter()
            .filter(|(_, user)| user.profile.key == Some(key.into()));
        users.map(|(conn, _)| *conn).collect()
    }

    /// Announces a user's key to one client, true or not.
    pub(crate) fn claim(&mut self, to: Conn, id: UserId, key: Key) {
        let profile = Profile {
            who: id.into(),
            udp: None,
            key: Some(key),
        };
        self.send(to, &FromServer::Join(None, profile));
    }

    /// Relays bytes to one client, under a name that may be wrong.
    pub(crate) fn claim_relay(&mut self, to: Conn, from: UserId, bytes: &[u8]) {
        self.send(to, &FromServer::Relay(from.into(), bytes.into()));
    }

    pub(crate) fn line(&mut self, conn: Conn, line: &str) {
        let Some(user) = self.users.get(&conn) else {
            return;
        };
        let who = user.profile.who.clone();
        match FromClient::parse(line).unwrap() {
            FromClient::Relay(to, bytes) => {
                if let Some((to, _)) = self.find(to) {
                    self.send(to, &FromServer::Relay(who, bytes));
                }
            }
            FromClient::Punch(to) => {
                let own = user.profile.udp;
                if let Some((to, user)) = self.find(to)
                    && let (Some(own), Some(theirs)) = (own, user.profile.udp)
                {
                    let them = user.profile.who.clone();
                    self.send(conn, &FromServer::Punch(them, theirs));
                    self.send(to, &FromServer::Punch(who, own));
                }
            }
            FromClient::Whois(id) => {
                if let Some((_, user)) = self.find(id) {
                    let profile = user.profile.clone();
                    self.send(conn, &FromServer::User(profile));
                }
            }
            FromClient::Confirm(nonce) => self.confirm(conn, nonce),
            FromClient::Whisper(to, seq, text) => {
                if let Some((to, _)) = self.find(to) {
                    self.send(to, &FromServer::Whisper(who, text));
                    self.send(conn, &FromServer::Whispered(seq));
                }
            }
            other => panic!("{other:?} does not concern private messages"),
        }
    }

    /// The reply to a rendezvous request.
    pub(crate) fn datagram(&mut self, from: SocketAddr, bytes: &[u8], nonce: Nonce) -> Option<Vec<u8>> {
        let request = Request::parse(bytes)?;
        let asker = self.users.values_mut().find(|user| request.is_of(&user.token))?;
        asker.nonce = Some((nonce, from));
        Some(request.reply(&asker.token, from, nonce))
    }

    fn confirm(&mut self, conn: Conn, nonce: Nonce) {
        let user = self.users.get_mut(&conn).unwrap();
        if let Some((expected, address)) = user.nonce.take()
            && expected == nonce
            && user.profile.udp != Some(address)
        {
            user.profile.udp = Some(address);
            let line = FromServer::Address(None, user.profile.who.clone(), address);
            self.broadcast(&line);
        }
    }

    fn find(&self, id: UserId) -> Option<(Conn, &User)> {
        let found = self.users.iter().find(|(_, user)| user.profile.who.id == id);
        found.map(|(conn, user)| (*conn, user))
    }

    fn send(&mut self, to: Conn, line: &FromServer<'_>) {
        self.outbox.push((to, line.to_string()));
    }

    fn broadcast(&mut self, line: &FromServer<'_>) {
        let line = line.to_string();
        self.outbox
            .extend(self.users.keys().map(|conn| (*conn, line.clone())));
    }
}

fn token_of(conn: Conn) -> Opaque<16> {
    Opaque((u128::from(conn) + 1).to_be_bytes())
}
