//! A simulated network: responses that are heard at given times, and the queries that follow.

use super::*;
use crate::message::{Fingerprint, Txt};
use chat_proto::opaque::Opaque;
use chat_proto::text::Text;
use proptest::prelude::*;

const INTERFACE: u32 = 2;
const FINGERPRINT: Fingerprint = Opaque([7; 16]);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A browser whose first query on one interface is due after 50 ms.
fn browser() -> Browser {
    let mut browser = Browser::new(ms(30));
    browser.set_interfaces(&[INTERFACE], ms(0));
    browser
}

fn label(name: &str) -> Label {
    Label::new(name).unwrap()
}

fn host(number: u8) -> Label {
    label(&format!("chat-{number}"))
}

fn record(name: Name, ttl: u32, data: Data) -> Record {
    let is_unique = name != Name::Rooms;
    Record {
        name,
        ttl,
        is_unique,
        data,
    }
}

fn pointer(name: &str, ttl: u32) -> Record {
    record(Name::Rooms, ttl, Data::Ptr(Name::Room(label(name))))
}

fn service(name: &str, number: u8) -> Record {
    let data = Data::Srv {
        port: 9000,
        host: host(number),
    };
    record(Name::Room(label(name)), 120, data)
}

fn about() -> About {
    About {
        version: 1,
        fingerprint: Some(FINGERPRINT),
        ..About::default()
    }
}

fn text(name: &str, about: &About) -> Record {
    record(Name::Room(label(name)), 4500, Data::Txt(Txt::new(about)))
}

fn address(number: u8, ip: &str) -> Record {
    let data = match ip.parse().unwrap() {
        IpAddr::V4(ip) => Data::A(ip),
        IpAddr::V6(ip) => Data::Aaaa(ip),
    };
    record(Name::Host(host(number)), 120, data)
}

/// All records of a room at 10.0.0.NUMBER.
fn room(name: &str, number: u8) -> Vec<Record> {
    let ip = format!("10.0.0.{number}");
    vec![
        pointer(name, 4500),
        service(name, number),
        text(name, &about()),
        address(number, &ip),
    ]
}

fn response(records: &[Record]) -> Vec<u8> {
    let message = Message {
        is_response: true,
        answers: records.to_vec(),
        ..Message::default()
    };
    message.build()
}

impl Browser {
    fn hear(&mut self, records: &[Record], at: u64) {
        self.receive(&response(records), from(5353), INTERFACE, ms(at));
    }

    fn names(&self) -> Vec<String> {
        self.rooms().iter().map(|room| room.name.to_string()).collect()
    }

    /// What is asked until then, at each deadline.
    fn asked_until(&mut self, end: u64) -> Vec<String> {
        let mut asked = Vec::new();
        while let Some(at) = self.deadline().filter(|at| *at <= ms(end)) {
            for query in self.tick(at) {
                asked.push(format!("{} {}", at.as_millis(), shown(&query.bytes)));
            }
            assert!(self.deadline().is_none_or(|next| next > at), "it does not spin");
        }
        asked
    }
}

fn from(port: u16) -> SocketAddr {
    ([10, 0, 0, 9], port).into()
}

/// The questions, then the known answers, then `TC` if more follow.
fn shown(bytes: &[u8]) -> String {
    let message = Message::parse(bytes).unwrap();
    let name = |name: &Name| match name {
        Name::Rooms => "all".to_owned(),
        Name::Room(label) | Name::Host(label) => label.to_string(),
        Name::Services => panic!("no room"),
    };
    let kind = |kind| match kind {
        Kind::PTR => "PTR",
        Kind::SRV => "SRV",
        Kind::TXT => "TXT",
        Kind::A => "A",
        Kind::AAAA => "AAAA",
        _ => panic!("{kind:?}"),
    };
    let questions = message.questions.iter().map(|question| {
        assert!(!question.wants_unicast, "QM");
        format!("{} {}?", name(&question.name), kind(question.kind))
    });
    let answers = message.answers.iter().map(|answer| match &answer.data {
        Data::Ptr(room) => format!("{} {}", name(room), answer.ttl),
        other => panic!("{other:?}"),
    });
    let more = message.is_truncated.then(|| "TC".to_owned());
    questions.chain(answers).chain(more).collect::<Vec<_>>().join(" ")
}

#[test]
fn queries_become_rare_and_name_what_is_known() {
    let mut browser = browser();
    assert_eq!(browser.asked_until(49), [""; 0]);
    assert_eq!(browser.asked_until(60), ["50 all PTR?"]);
    browser.hear(&room("Lab 3", 7), 60);
    assert_eq!(
        browser.asked_until(20_000),
        [
            "1050 all PTR? Lab 3 4499",
            "3050 all PTR? Lab 3 4497",
            "7050 all PTR? Lab 3 4493",
            "15050 all PTR? Lab 3 4485",
        ]
    );
}

#[test]
fn a_room_has_a_name_addresses_and_what_it_asks_for() {
    let mut browser = browser();
    let name = "李雷's room. 3";
    let mut records = room(name, 7);
    let closed = About {
        has_passphrase: true,
        is_sealed: true,
        ..about()
    };
    records[2] = text(name, &closed);
    for ip in [
        "fe80::7",
        "2001:db8::7",
        "127.0.0.1",
        "::ffff:10.0.0.8",
        "::",
        "ff02::1",
    ] {
        records.push(address(7, ip));
    }
    browser.hear(&records, 60);
    let room = browser.rooms().remove(0);
    assert_eq!(room.name.as_str(), name);
    let addresses = ["10.0.0.7:9000", "[2001:db8::7]:9000", "[fe80::7%2]:9000"];
    assert_eq!(room.addresses, addresses.map(|address| address.parse().unwrap()));
    assert_eq!(room.about, closed);
}

#[test]
fn what_a_packet_leaves_out_is_asked_for() {
    let mut browser = browser();
    browser.asked_until(50);
    browser.hear(&[pointer("Lab 3", 4500)], 60);
    assert_eq!(browser.names(), [""; 0]);
    assert_eq!(browser.asked_until(100), ["80 Lab 3 SRV? Lab 3 TXT?"]);
    browser.hear(&[service("Lab 3", 7)], 100);
    browser.hear(&[text("Lab 3", &about())], 101);
    assert_eq!(
        browser.asked_until(1500),
        ["1050 all PTR? Lab 3 4499", "1080 chat-7 A? chat-7 AAAA?"]
    );
    browser.hear(&[address(7, "10.0.0.7")], 1500);
    assert_eq!(browser.names(), ["Lab 3"]);
    assert_eq!(browser.asked_until(3000), [""; 0]);
}

#[test]
fn a_goodbye_removes_a_room_after_a_second() {
    let mut browser = browser();
    browser.hear(&[room("Lab 3", 7), room("Lab 4", 8)].concat(), 60);
    browser.asked_until(2000);
    browser.hear(&[pointer("lab 3", 0), pointer("Lab 5", 0)], 2000);
    browser.asked_until(2999);
    assert_eq!(browser.names(), ["Lab 3", "Lab 4"]);
    browser.asked_until(3000);
    assert_eq!(browser.names(), ["Lab 4"]);
}

#[test]
fn records_are_refreshed_before_they_expire() {
    let mut browser = browser();
    browser.hear(&room("Lab 3", 7), 0);
    let asked = browser.asked_until(119_999);
    let of = |what: &str| {
        let times = asked.iter().filter(|line| line.contains(what));
        times
            .map(|line| line.split(' ').next().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("SRV?"), ["96000", "102000", "108000", "114000"]);
    assert_eq!(of("A?"), ["96000", "102000", "108000", "114000"]);
    assert_eq!(browser.names(), ["Lab 3"]);
    browser.asked_until(120_000);
    assert_eq!(browser.names(), [""; 0]);
    browser.hear(&room("Lab 3", 7)[1..], 125_000);
    assert_eq!(browser.names(), ["Lab 3"]);
    for at in (200_000..4_500_000).step_by(100_000) {
        browser.hear(&room("Lab 3", 7)[1..], at);
    }
    assert_eq!(browser.names(), ["Lab 3"]);
    browser.tick(ms(4_500_000));
    assert_eq!(browser.names(), [""; 0], "the pointer is over");
}

#[test]
fn a_new_address_replaces_the_old_one() {
    let mut browser = browser();
    browser.hear(&room("Lab 3", 7), 0);
    browser.hear(&[address(7, "10.0.0.70"), address(7, "10.0.0.71")], 5000);
    let addresses: Vec<_> = browser.rooms()[0].addresses.iter().map(SocketAddr::ip).collect();
    assert_eq!(
        addresses,
        ["10.0.0.70", "10.0.0.71"].map(|ip| ip.parse::<IpAddr>().unwrap())
    );
}

#[test]
fn a_room_on_two_links_is_listed_once() {
    let mut browser = browser();
    browser.set_interfaces(&[INTERFACE, 3], ms(0));
    browser.hear(&room("Lab 3", 7), 0);
    let mut other = room("Lab 3", 7);
    other[3] = address(7, "192.168.0.7");
    browser.receive(&response(&other), from(5353), 3, ms(0));
    assert_eq!(browser.rooms().len(), 1);
    assert_eq!(browser.rooms()[0].addresses.len(), 2);
    browser.set_interfaces(&[3], ms(1));
    let addresses = &browser.rooms()[0].addresses;
    assert_eq!(*addresses, ["192.168.0.7:9000".parse().unwrap()]);
    browser.set_interfaces(&[], ms(2));
    assert_eq!((browser.names(), browser.deadline()), (vec![], None));
    browser.set_interfaces(&[INTERFACE], ms(3));
    assert_eq!(browser.asked_until(100), ["53 all PTR?"], "as on the first day");
}

#[test]
fn only_responses_from_the_port_of_mdns_count() {
    let mut browser = browser();
    let packet = response(&room("Lab 3", 7));
    browser.receive(&packet, from(5354), INTERFACE, ms(0));
    browser.receive(&packet, from(5353), 9, ms(0));
    let mut query = packet.clone();
    query[2] = 0;
    browser.receive(&query, from(5353), INTERFACE, ms(0));
    assert_eq!(browser.names(), [""; 0]);
    browser.receive(&packet, from(5353), INTERFACE, ms(0));
    assert_eq!(browser.names(), ["Lab 3"]);
}

#[test]
fn other_names_and_later_versions_are_no_rooms() {
    let mut browser = browser();
    for data in [
        Data::Ptr(Name::Rooms),
        Data::Ptr(Name::Host(host(7))),
        Data::A([10, 0, 0, 7].into()),
    ] {
        browser.hear(&[record(Name::Rooms, 120, data)], 0);
    }
    assert!(browser.found.is_empty());
    let mut records = room("Lab 3", 7);
    records.remove(2);
    let mut packet = response(&[records, vec![text("Lab 3", &about())]].concat());
    let version = packet.windows(9).position(|bytes| bytes == b"txtvers=1").unwrap();
    packet[version + 8] = b'2';
    browser.receive(&packet, from(5353), INTERFACE, ms(0));
    assert_eq!((browser.names(), browser.dropped()), (vec![], 1));
}

#[test]
fn what_is_beyond_a_limit_is_dropped_and_counted() {
    let mut browser = browser();
    browser.set_interfaces(&(2..50).collect::<Vec<_>>(), ms(0));
    assert_eq!((browser.searched.len(), browser.dropped()), (INTERFACES_MAX, 16));
    for number in 0..100 {
        browser.hear(&room(&format!("Lab {number}"), number), 0);
    }
    assert_eq!((browser.rooms().len(), browser.dropped()), (ROOMS_MAX, 16 + 36));
    assert!(browser.is_full());
    for number in 100..120 {
        browser.hear(&[address(1, &format!("10.0.0.{number}"))], 0);
    }
    assert_eq!(browser.rooms()[1].addresses.len(), ADDRESSES_MAX);
    assert_eq!(browser.dropped(), 16 + 36 + 13);
    browser.receive(b"junk", from(5353), INTERFACE, ms(0));
    assert_eq!(browser.dropped(), 16 + 36 + 13 + 1);
}

#[test]
fn addresses_without_a_service_do_not_keep_the_browser_awake() {
    let mut browser = browser();
    browser.hear(&room("Lab", 7), 0);
    let gone = Record {
        ttl: 0,
        ..service("Lab", 7)
    };
    browser.hear(&[gone], 100);
    // Its addresses would be refreshed from 96 s on; `asked_until` checks that the deadline moves on.
    browser.asked_until(130_000);
    assert_eq!(browser.names(), [""; 0]);
    browser.hear(&[service("Lab", 7), address(7, "10.0.0.7")], 130_000);
    assert_eq!(browser.names(), ["Lab"]);
}

#[test]
fn rooms_that_stay_incomplete_give_way() {
    let mut browser = browser();
    let empty: Vec<_> = (0..ROOMS_MAX).map(|n| pointer(&format!("{n}"), 4500)).collect();
    browser.hear(&room("First", 1), 0);
    browser.hear(&empty, 0);
    browser.hear(&room("Lab", 7), 100);
    assert_eq!(browser.names(), ["First", "Lab"]);
    assert_eq!(browser.found.len(), ROOMS_MAX);
}

#[test]
fn many_known_answers_take_several_packets_of_an_ethernet_frame() {
    let mut browser = browser();
    for number in 0..64 {
        browser.hear(&room(&format!("{number:0>63}"), number), 0);
    }
    let queries = browser.tick(ms(50));
    assert_eq!(queries.len(), 64_usize.div_ceil(RECORDS_PER_PACKET));
    for (place, query) in queries.iter().enumerate() {
        assert!(query.bytes.len() <= 1232, "{}", query.bytes.len());
        let message = Message::parse(&query.bytes).unwrap();
        assert_eq!(message.questions.len(), usize::from(place == 0));
        assert_eq!(message.is_truncated, place + 1 < queries.len());
    }
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), 0..300usize, any::<u8>(), 0..5000u64), 1..20))
    {
        let mut browser = browser();
        let mut now = 0;
        for (bytes, place, byte, later) in packets {
            now += later;
            // Any bytes, and a good packet with one other byte and another end.
            browser.receive(&bytes, from(5353), INTERFACE, ms(now));
            let mut good = response(&room("Lab 3", 7));
            if let Some(changed) = good.get_mut(place) {
                *changed = byte;
            }
            good.extend(bytes);
            browser.receive(&good, from(5353), INTERFACE, ms(now));
            for query in browser.tick(ms(now)) {
                prop_assert!(Message::parse(&query.bytes).is_some() && query.bytes.len() <= 1232);
            }
            prop_assert!(browser.deadline().is_none_or(|next| next > ms(now)));
            for room in browser.rooms() {
                prop_assert!(!room.addresses.is_empty() && room.addresses.len() <= ADDRESSES_MAX);
                prop_assert_eq!(Text::new(room.name.as_str()), room.name.text());
            }
        }
    }
}
