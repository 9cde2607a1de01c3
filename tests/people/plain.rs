//! A person at `nc`: it reads and writes in the clear, and nobody knows a key of it.

use crate::truth::{Aim, Meant, PersonNo, mark};
use crate::world::{Plain, World};

impl World {
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
