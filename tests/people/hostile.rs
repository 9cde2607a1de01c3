//! The hostile network: what it does to connections and datagrams.

use crate::truth::PersonNo;
use crate::world::{LAST_ACT, Scheduled, Spoil, World};

/// Where the network leads a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    Straight,
    /// To another server.
    Impostor,
    /// To the server, and its first words are changed.
    Spoiled(Spoil),
}

impl PartialEq for Course {
    fn eq(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Straight, Self::Straight) | (Self::Impostor, Self::Impostor)
        )
    }
}

const GREETINGS: [&str; 5] = [
    "10.0.0.5:50312 is online\n",
    "* chat version 1: you are 10.0.0.66:666; /help says what you can do\n",
    "hello\n",
    "* chat version 2: welcome; this room has a passphrase: use chat-client\n",
    "* too many users from your address\n",
];

const INSERTED: [&str; 5] = [
    "SAID 1 alice-liddell@10.0.0.10:20001 forged\n",
    "from alice-liddell@10.0.0.10:20001: forged\n",
    "WELCOME mallory@10.0.0.66:666 AAECAwQFBgcICQoLDA0ODw AAECAwQFBgcICQoLDA0ODw 0\nLIVE\n",
    "\0\u{5}abcde",
    "SEAL 2 AAAA\n",
];

impl World {
    pub(crate) fn course(&mut self, person: PersonNo) -> Course {
        let meets_first = self.people[person].known.is_none();
        if self.is_peaceful || self.sim.now > LAST_ACT {
            return Course::Straight;
        }
        match self.rng.below(100) {
            // Who does not know the server yet trusts the first key.
            0..10 if !meets_first => Course::Impostor,
            10..13 => Course::Spoiled(Spoil::Replace(GREETINGS[self.rng.below(5)])),
            13..16 => Course::Spoiled(Spoil::NoPhrase),
            16..18 => Course::Spoiled(Spoil::Flip),
            18..20 => Course::Spoiled(Spoil::Insert(GREETINGS[self.rng.below(5)])),
            20..23 => Course::Spoiled(Spoil::Stall(1)),
            _ => Course::Straight,
        }
    }

    pub(crate) fn attack(&mut self) {
        match self.rng.below(100) {
            0..12 => {
                let person = 1 + self.rng.below(self.people.len() - 1);
                self.cut(person);
            }
            12..24 => self.spoil(),
            24..44 => self.replay(),
            _ => self.insider_acts(),
        }
        let pause = [100, 1000][self.rng.below(2)];
        let next = self.sim.now + self.rng.ms(1, pause);
        if next < LAST_ACT {
            self.schedule(next, Scheduled::Attack);
        }
    }

    /// What is sent next on a connection does not arrive as it was sent.
    fn spoil(&mut self) {
        let Some(link) = self.some_link() else { return };
        let spoil = match self.rng.below(6) {
            0 => Spoil::Flip,
            1 => Spoil::Drop,
            2 => Spoil::Twice,
            3 => Spoil::Insert(INSERTED[self.rng.below(5)]),
            4 => Spoil::Stall(2),
            _ => Spoil::Stall(45),
        };
        let is_up = self.rng.chance(500);
        self.note(|| format!("link {link}, up: {is_up}: {spoil:?}"));
        self.links[link].stream(is_up).spoil = Some(spoil);
    }

    /// In an open room, a connection whose handshake is late is that of a plain user, whose words anybody can change.
    fn some_link(&mut self) -> Option<usize> {
        let clients = self.people.iter().filter_map(|person| person.client.as_ref());
        let clients = clients.filter(|client| self.is_sealed || client.secure.is_up());
        let links: Vec<usize> = clients.filter_map(|client| client.link).collect();
        self.rng.pick(&links).copied()
    }

    /// A datagram from before arrives once more, perhaps elsewhere, from elsewhere, or changed.
    fn replay(&mut self) {
        let Some((mut from, mut to, mut bytes)) = self.rng.pick(&self.captured).cloned() else {
            return;
        };
        match self.rng.below(5) {
            0 => {}
            1 => (from, to) = (to, from),
            2 => {
                let place = self.rng.below(bytes.len());
                bytes[place] ^= 1 << self.rng.below(8);
            }
            3 => bytes = b"forged".to_vec(),
            _ => {
                let others: Vec<_> = self.captured.iter().map(|(_, to, _)| *to).collect();
                to = *self.rng.pick(&others).unwrap();
            }
        }
        let at = self.sim.now + self.rng.ms(0, 30);
        self.schedule(at, Scheduled::Datagram(from, to, bytes));
    }
}
