//! Carries out what clients have ready, and what follows from it.

use crate::truth::{PersonNo, words};
use crate::world::{OPERATOR, Scheduled, World};
use chat_client::session::Event;
use std::hash::Hash;

impl World {
    /// The client closes its connection.
    pub(crate) fn hang_up(&mut self, person: PersonNo) {
        let client = self.people[person].client.as_mut();
        if let Some(link) = client.and_then(|client| client.link.take()) {
            let stream = &mut self.links[link].up;
            stream.has_ended = true;
            let at = stream.at.max(self.sim.now);
            self.schedule(at, Scheduled::UpEnd(link));
        }
    }

    /// Carries out what a client has ready.
    pub(crate) fn pump(&mut self, person: PersonNo) {
        let now = self.sim.clock();
        loop {
            let Some(client) = &mut self.people[person].client else {
                return;
            };
            client.secure.send(now, &client.session.take_bytes());
            client
                .session
                .set_channel(client.secure.hash(), client.secure.has_phrase());
            let (bytes, link, run, udp) = (client.secure.take_out(), client.link, client.run, client.udp);
            let datagram = client.session.next_datagram();
            let event = client.session.next_event();
            if bytes.is_empty() && datagram.is_none() && event.is_none() {
                break;
            }
            if let Some(link) = link.filter(|_| !bytes.is_empty()) {
                self.stream(link, true, bytes);
            }
            if let Some(datagram) = datagram {
                self.watch_datagram(&datagram.bytes);
                self.transmit(udp, datagram.to, datagram.ttl, &datagram.bytes);
            }
            if let Some(event) = event {
                self.show(person, run, &event);
            }
        }
        self.follow(person);
    }

    fn show(&mut self, person: PersonNo, run: usize, event: &Event) {
        (self.sim.now, person, format!("{event:?}")).hash(&mut self.trace);
        self.note(|| format!("person {person} run {run}: {event:?}"));
        self.ledger.shown(run, event);
    }

    /// Only what may be in the clear is read from datagrams.
    fn watch_datagram(&self, bytes: &[u8]) {
        for word in words(bytes) {
            self.ledger.may_be_in_the_clear(word);
        }
    }

    /// What a person does when the connection is lost, or the program has ended.
    fn follow(&mut self, person: PersonNo) {
        let Some(client) = &self.people[person].client else {
            return;
        };
        let (is_over, run) = (client.session.outcome().is_some(), client.run);
        let is_cut = client.session.is_lost() && client.link.is_some();
        if !is_over && !is_cut {
            return;
        }
        self.hang_up(person);
        let at = self.sim.now + self.rng.ms(300, 3000);
        if is_over {
            self.people[person].client = None;
            self.new_key(person);
            let at = at + self.rng.ms(0, 15_000);
            self.schedule(at, Scheduled::Start(person));
        } else {
            self.schedule(at, Scheduled::Connect(person, run));
        }
    }

    /// A connection breaks. Both sides notice, sooner or later.
    pub(crate) fn cut(&mut self, person: PersonNo) {
        let client = self.people[person].client.as_ref();
        let Some(link) = client.and_then(|client| client.link) else {
            return;
        };
        self.note(|| format!("the connection of person {person} breaks"));
        for is_up in [true, false] {
            let at = self.sim.now + self.rng.ms(1, 4000);
            let what = match is_up {
                true => Scheduled::UpEnd(link),
                false => Scheduled::DownEnd(link),
            };
            let stream = self.links[link].stream(is_up);
            stream.spoil = None;
            self.schedule(at, what);
        }
    }

    /// The next run of a client has the same key, or could not use the one that is kept.
    pub(crate) fn new_key(&mut self, person: PersonNo) {
        let is_locked = self.ledger.truth.lock.is_some();
        // With another key, who runs the room could not come back to unlock it.
        if self.rng.chance(500) && !(is_locked && person == OPERATOR) {
            self.rng.fill(&mut self.people[person].secret);
        }
    }
}
