//! A person at `nc`: it reads and writes in the clear, and nobody knows a key of it.

use crate::truth::{Aim, Meant, PersonNo, mark};
use crate::world::{Plain, Scheduled, World};
use chat_proto::opaque::Opaque;
use std::net::SocketAddr;

impl World {
    /// It connects. Its user is announced soon.
    pub(crate) fn start_plain(&mut self, person: PersonNo) {
        if self.people[person].plain.is_some() {
            return;
        }
        let who = &mut self.people[person];
        let address = self.network.seen_as(SocketAddr::from((who.host, who.port())));
        let peer = self.connect_raw(person, address, None);
        let run = self.ledger.begin_run(person, Opaque([0; 32]));
        self.note(|| format!("person {person} run {run} connects with nc as {address}, peer {peer}"));
        self.people[person].plain = Some(Plain { peer, run });
    }

    pub(crate) fn do_something_plain(&mut self, person: PersonNo) {
        self.leave_plain(person);
        let Some(Plain { peer, .. }) = self.people[person].plain else {
            return;
        };
        match self.rng.below(100) {
            0..60 => {
                let word = self.ledger.truth.writes(person, Aim::Room);
                self.type_plain(person, &mark(word));
            }
            60..85 => self.write_to_somebody(person),
            85..95 => {
                let nick = self.people[person].nicks[self.rng.below(2)].clone();
                self.ledger.truth.asks_for(person, &nick);
                self.type_plain(person, &format!("/nick {nick}"));
            }
            95..97 => self.type_plain(person, "/quit"),
            _ => self.sim.reset(peer),
        }
    }

    /// Whose connection has ended connects again later.
    pub(crate) fn leave_plain(&mut self, person: PersonNo) {
        if let Some(Plain { peer, run }) = self.people[person].plain
            && (self.sim.is_closed(peer) || self.sim.peers[peer].shut)
        {
            self.ledger.end_run(run);
            self.people[person].plain = None;
            let at = self.sim.now + self.rng.ms(0, 15_000);
            self.schedule(at, Scheduled::Start(person));
        }
    }

    /// To whoever has that address now.
    fn write_to_somebody(&mut self, person: PersonNo) {
        let here = self.ledger.truth.here();
        let others: Vec<_> = here
            .map(|(id, stay)| (id, stay.owner.person))
            .filter(|(_, other)| ![0, person].contains(other))
            .collect();
        let Some(&(id, other)) = self.rng.pick(&others) else {
            return;
        };
        let meant = Meant {
            person: other,
            key: None,
            may_be_clear: true,
        };
        let word = self.ledger.truth.writes(person, Aim::Private(Some(meant)));
        self.type_plain(person, &format!("/msg {id} {}", mark(word)));
    }

    fn type_plain(&mut self, person: PersonNo, line: &str) {
        if let Some(plain) = self.people[person].plain {
            self.note(|| format!("person {person} types {line} at nc"));
            self.sim.inject(plain.peer, format!("{line}\n").as_bytes());
        }
    }
}
