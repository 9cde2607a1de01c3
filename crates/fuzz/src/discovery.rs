//! A room that is announced, and a client that looks for rooms, on a link where anybody sends anything.

use crate::bytes::Bytes;
use crate::memory;
use crate::safe::assert_safe;
use chat_discovery::browser::{Browser, ROOMS_MAX};
use chat_discovery::message::{About, Data, Label, Message, Name, PACKET_MAX, PORT, Record};
use chat_discovery::responder::{Responder, Room};
use chat_discovery::sockets::{Link, Received};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What both sides may keep, whatever they are sent.
const MEMORY_MAX: usize = 1 << 20;

const LINK: Link = Link {
    index: 2,
    is_v6: false,
};

/// A packet of both sides holds one room: it fits a frame of Ethernet.
const OWN_MAX: usize = 1500;

struct World {
    now: Duration,
    responder: Responder,
    browser: Browser,
    /// The last packet that either side sent.
    last: Vec<u8>,
}

pub(crate) fn target(input: &[u8]) {
    let before = memory::in_use();
    let room = Room {
        name: Label::new("Lab 3. 二楼").expect("a name"),
        host: Label::new("chat-3f9c2a7e").expect("a name"),
        port: 9000,
        about: About::default(),
    };
    let mut world = World {
        now: Duration::ZERO,
        responder: Responder::new(room, 1),
        browser: Browser::new(Duration::ZERO),
        last: Vec::new(),
    };
    world.browser.set_interfaces(&[LINK.index], world.now);
    world.set_addresses(1);
    let mut script = Bytes(input);
    while !script.is_empty() {
        world.step(&mut script);
    }
    world.run(Duration::from_secs(60));
    assert!(memory::in_use() < before + MEMORY_MAX, "too much is kept");
    for goodbye in world.responder.goodbye() {
        check(&goodbye.packet);
    }
}

impl World {
    fn step(&mut self, script: &mut Bytes<'_>) {
        let source = (
            Ipv4Addr::new(10, 0, 0, script.byte()),
            script.one_of(&[PORT, 40_000]),
        )
            .into();
        match script.below(6) {
            0 => self.run(Duration::from_millis(10 * u64::from(script.byte()))),
            1 => self.hear(source, script.bytes()),
            2 => {
                let flags = script.one_of(&[0, 0x84, 0x02]);
                let mut packet = vec![
                    0,
                    0,
                    flags,
                    0,
                    0,
                    script.byte() % 4,
                    0,
                    script.byte(),
                    0,
                    script.byte() % 4,
                    0,
                    0,
                ];
                packet.extend(script.bytes());
                self.hear(source, &packet);
            }
            3 => {
                let mut packet = self.last.clone();
                let place = usize::from(script.byte()) * packet.len() / 256;
                let change = script.byte();
                packet
                    .iter_mut()
                    .skip(place)
                    .take(1)
                    .for_each(|byte| *byte ^= change);
                self.hear(source, &packet);
            }
            4 => self.set_addresses(script.below(4)),
            _ => {
                let names = [Name::Room(self.responder.name()), Name::Rooms];
                let host = Label::new("elsewhere").expect("a name");
                let record = Record {
                    name: names.into_iter().nth(script.below(2)).expect("two names"),
                    ttl: script.byte().into(),
                    is_unique: true,
                    data: Data::Srv { port: 1, host },
                };
                let message = Message {
                    is_response: script.below(2) == 0,
                    answers: vec![record.clone()],
                    authorities: vec![record],
                    ..Message::default()
                };
                self.hear(source, &message.build());
            }
        }
    }

    fn set_addresses(&mut self, count: usize) {
        let addresses = (1..=count).filter_map(|last| u8::try_from(last).ok());
        let addresses: Vec<IpAddr> = addresses
            .map(|last| Ipv4Addr::new(10, 0, 0, last).into())
            .collect();
        let links = (count > 0).then_some((LINK, addresses));
        self.responder.set_links(self.now, links);
    }

    fn hear(&mut self, source: SocketAddr, bytes: &[u8]) {
        let received = Received {
            link: LINK,
            source,
            bytes,
        };
        self.responder.receive(self.now, &received);
        self.browser.receive(bytes, source, LINK.index, self.now);
        let rooms = self.browser.rooms();
        assert!(rooms.len() <= ROOMS_MAX, "too many rooms");
        for room in rooms {
            assert_safe(room.name.as_str());
            assert!(!room.addresses.is_empty(), "a room without an address");
        }
        assert_safe(self.responder.name().as_str());
    }

    /// Lets time pass, in which both sides do what is due.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let deadlines = [self.responder.deadline(), self.browser.deadline()];
            let Some(next) = deadlines
                .into_iter()
                .flatten()
                .min()
                .filter(|&next| next <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            let sent = self.responder.turn(self.now);
            let asked = self.browser.tick(self.now);
            for deadline in [self.responder.deadline(), self.browser.deadline()] {
                assert!(deadline.is_none_or(|at| at > self.now), "a turn for nothing");
            }
            let own = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), PORT));
            let packets = sent.into_iter().map(|outgoing| outgoing.packet);
            for packet in packets.chain(asked.into_iter().map(|query| query.bytes)) {
                check(&packet);
                self.hear(own, &packet);
                self.last = packet;
            }
        }
        self.now = until;
    }
}

fn check(packet: &[u8]) {
    assert!(
        packet.len() <= OWN_MAX.min(PACKET_MAX),
        "a packet of {}",
        packet.len()
    );
    let message = Message::parse(packet).expect("a packet reads back");
    assert_eq!(message.build(), packet, "{message:?}");
}
