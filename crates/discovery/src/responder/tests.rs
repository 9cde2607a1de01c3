//! Each rule on a LAN of memory, with a clock of its own.

use super::*;
use std::net::Ipv4Addr;

const ETH0: Link = Link {
    index: 2,
    is_v6: false,
};
const ETH1: Link = Link {
    index: 3,
    is_v6: false,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn host(number: u8) -> Label {
    Label::new(&format!("chat-{number:08x}")).unwrap()
}

fn room(name: &str, number: u8) -> Room {
    Room {
        name: Label::new(name).unwrap(),
        host: host(number),
        port: 9000,
        about: About {
            version: 1,
            ..About::default()
        },
    }
}

fn ip(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, host).into()
}

fn from(host: u8) -> SocketAddr {
    (ip(host), PORT).into()
}

fn question(name: Name, kind: Kind) -> Question {
    Question {
        name,
        kind,
        wants_unicast: false,
    }
}

fn query(questions: &[Question]) -> Message {
    Message {
        questions: questions.to_vec(),
        ..Message::default()
    }
}

fn rooms() -> Message {
    query(&[question(Name::Rooms, Kind::PTR)])
}

fn named(name: &str) -> Name {
    Name::Room(Label::new(name).unwrap())
}

/// Hosts on one link, and everything they said. All hear what is multicast, the sender too.
#[derive(Default)]
struct Lan {
    now: Duration,
    hosts: Vec<Responder>,
    said: Vec<Said>,
}

/// When, which host, to whom, what.
type Said = (Duration, usize, Option<SocketAddr>, Message);

impl Lan {
    fn of(rooms: impl IntoIterator<Item = Room>) -> Self {
        let mut lan = Self::default();
        for room in rooms {
            lan.join(room);
        }
        lan
    }

    /// One host whose room has been announced.
    fn with(name: &str) -> Self {
        let mut lan = Self::of([room(name, 1)]);
        lan.run(10_000);
        lan.said.clear();
        lan
    }

    fn join(&mut self, room: Room) {
        let number = u8::try_from(self.hosts.len() + 1).unwrap();
        let mut host = Responder::new(room, number.into());
        host.set_links(self.now, [(ETH0, vec![ip(number)])]);
        self.hosts.push(host);
    }

    fn hear(&mut self, source: SocketAddr, message: &Message) {
        let bytes = message.build();
        let received = Received {
            link: ETH0,
            source,
            bytes: &bytes,
        };
        for host in &mut self.hosts {
            host.receive(self.now, &received);
        }
    }

    /// Lets so many milliseconds pass.
    fn run(&mut self, millis: u64) {
        let until = self.now + ms(millis);
        loop {
            let next = self.hosts.iter().filter_map(Responder::deadline).min();
            let Some(next) = next.filter(|&next| next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            for sender in 0..self.hosts.len() {
                for outgoing in self.hosts[sender].turn(self.now) {
                    let message = Message::parse(&outgoing.packet).unwrap();
                    if outgoing.link == ETH0 && outgoing.to.is_none() {
                        self.hear(from(u8::try_from(sender + 1).unwrap()), &message);
                    }
                    self.said.push((self.now, sender, outgoing.to, message));
                }
            }
        }
        self.now = until;
    }

    /// Asks from the port of multicast DNS, and returns what is answered within a time, and after which times.
    fn ask(&mut self, message: &Message, within: u64) -> Vec<(u64, Message)> {
        self.ask_from(from(200), message, within)
    }

    fn ask_from(&mut self, source: SocketAddr, message: &Message, within: u64) -> Vec<(u64, Message)> {
        let (asked, before) = (self.now, self.said.len());
        self.hear(source, message);
        self.run(within);
        let answers = self.said[before..].iter();
        let after = |at: Duration| u64::try_from((at - asked).as_millis()).unwrap();
        answers
            .map(|(at, _, _, message)| (after(*at), message.clone()))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.name().to_string()).collect()
    }
}

fn kinds(records: &[Record]) -> Vec<Kind> {
    records.iter().map(|record| record.data.kind()).collect()
}

const ALL: [Kind; 5] = [Kind::PTR, Kind::PTR, Kind::SRV, Kind::TXT, Kind::A];

#[test]
fn a_name_is_probed_three_times_and_announced_twice() {
    let mut lan = Lan::of([room("Lab 3", 1)]);
    lan.run(60_000);
    let [first, ..] = lan.said.as_slice() else {
        panic!("nothing was said");
    };
    assert!(first.0 <= ms(250), "at a random time");
    let times: Vec<_> = lan.said.iter().map(|(at, ..)| *at - first.0).collect();
    assert_eq!(
        times,
        [ms(0), ms(250), ms(500), ms(750), ms(1750)],
        "and then nothing"
    );
    assert_eq!(lan.hosts[0].deadline(), None, "an idle room does not wake");
    let names = [named("Lab 3"), Name::Host(host(1))];
    let asked = |name: Name| Question {
        wants_unicast: true,
        ..question(name, Kind::ANY)
    };
    for (_, _, to, probe) in &lan.said[..3] {
        assert_eq!(to, &None);
        assert_eq!(probe.questions, names.clone().map(asked));
        assert_eq!(kinds(&probe.authorities), [Kind::SRV, Kind::TXT, Kind::A]);
        assert!(probe.authorities.iter().all(|record| !record.is_unique));
    }
    for (.., announcement) in &lan.said[3..] {
        assert!(announcement.is_response && announcement.id == 0);
        assert_eq!(kinds(&announcement.answers), ALL);
        assert_eq!(kinds(&announcement.additionals), [Kind::NSEC]);
        let flush = announcement.answers.iter().map(|record| record.is_unique);
        assert_eq!(flush.collect::<Vec<_>>(), [false, false, true, true, true]);
        let ttls = announcement.answers.iter().map(|record| record.ttl);
        assert_eq!(ttls.collect::<Vec<_>>(), [4500, 4500, 120, 4500, 120]);
    }
}

/// A record as the page writes it.
fn line(record: &Record) -> String {
    let name = |name: &Name| match name {
        Name::Services => "_services._dns-sd._udp.local".to_owned(),
        Name::Rooms => "_chat-room._tcp.local".to_owned(),
        Name::Room(room) => format!("{room}._chat-room._tcp.local"),
        Name::Host(host) => format!("{host}.local"),
    };
    let (kind, data) = match &record.data {
        Data::Ptr(to) => ("PTR", name(to)),
        Data::Srv { port, host } => ("SRV", format!("0 0 {port} {host}.local")),
        Data::Txt(txt) => (
            "TXT",
            txt.strings()
                .map(String::from_utf8_lossy)
                .collect::<Vec<_>>()
                .join(" "),
        ),
        Data::A(ip) => ("A", ip.to_string()),
        Data::Aaaa(ip) => ("AAAA", ip.to_string()),
        Data::Nsec { a: true, aaaa: true } => ("NSEC", "A AAAA".to_owned()),
        data => panic!("{data:?}"),
    };
    let flush = if record.is_unique { "flush" } else { "" };
    format!(
        "    {:<29} {:>5} {flush:<5} {kind:<4} {data}\n",
        name(&record.name),
        record.ttl
    )
}

#[test]
fn the_page_shows_the_records() {
    let mut responder = Responder::new(room("Lab 3", 1), 0);
    responder.room.host = Label::new("chat-3f9c2a7e").unwrap();
    responder.room.about = About {
        version: 1,
        fingerprint: Some(chat_proto::opaque::Opaque([0; 16])),
        has_passphrase: true,
        is_sealed: true,
    };
    let addresses = [[192, 168, 1, 7].into(), "fe80::7".parse().unwrap()];
    let records: String = responder.records(&addresses).iter().map(line).collect();
    let page = include_str!("../../../proto/PROTOCOL.md");
    assert!(page.contains(&records), "{records}");
}

#[test]
fn a_taken_name_gets_a_number() {
    let mut lan = Lan::with("Lab 3");
    lan.join(room("LAB 3", 2));
    lan.run(10_000);
    lan.join(room("Lab 3", 3));
    lan.run(10_000);
    assert_eq!(lan.names(), ["Lab 3", "LAB 3 (2)", "Lab 3 (3)"]);
}

#[test]
fn a_long_name_is_shortened_for_its_number() {
    for (name, second) in [
        ("x".repeat(63), "x".repeat(59) + " (2)"),
        ("二".repeat(21), "二".repeat(19) + " (2)"),
        ("x".repeat(58) + " yyyy", "x".repeat(58) + " (2)"),
    ] {
        let mut lan = Lan::with(&name);
        lan.join(room(&name, 2));
        lan.run(10_000);
        assert_eq!(lan.names(), [name, second]);
    }
}

#[test]
fn a_defence_is_multicast_at_once() {
    let mut lan = Lan::with("Lab 3");
    lan.join(room("Lab 3", 2));
    lan.run(10_000);
    let [(probed, ..), (defended, _, to, defence), ..] = lan.said.as_slice() else {
        panic!("nothing was said");
    };
    assert_eq!((defended, to), (probed, &None));
    assert_eq!(defence.answers[0].name, named("Lab 3"));
}

#[test]
fn the_greater_records_win_a_tie() {
    let mut lan = Lan::of([room("Lab 3", 1), room("Lab 3", 2)]);
    lan.run(700);
    assert_eq!(lan.names(), ["Lab 3", "Lab 3"], "the loser waits first");
    let begun = |host: usize| lan.said.iter().filter(move |(_, sender, ..)| *sender == host);
    let [lost, won] = [begun(0).count(), begun(1).count()];
    assert!(lost < won, "{lost} {won}");
    lan.run(10_000);
    assert_eq!(lan.names(), ["Lab 3 (2)", "Lab 3"], "chat-00000002 is greater");
}

#[test]
fn the_loser_of_a_tie_waits_a_second() {
    let mut lan = Lan::of([room("Lab 3", 1)]);
    lan.run(250);
    lan.said.clear();
    let greater = Record {
        name: named("Lab 3"),
        ttl: 120,
        is_unique: false,
        data: Data::Srv {
            port: 9001,
            host: host(1),
        },
    };
    let probe = Message {
        authorities: vec![greater],
        ..query(&[question(named("Lab 3"), Kind::ANY)])
    };
    assert_eq!(lan.ask(&probe, 999), []);
    lan.run(10_000);
    assert_eq!(lan.said.len(), 5, "from the beginning");
}

#[test]
fn fifty_rooms_with_one_name_agree() {
    let mut lan = Lan::of((1..=50).map(|host| room("Lab", host)));
    lan.run(300_000);
    let names: BTreeSet<_> = lan.names().into_iter().collect();
    assert_eq!(names.len(), 50, "{names:?}");
    assert!(names.contains("Lab") && names.contains("Lab (50)"), "{names:?}");
    assert!(lan.hosts.iter().all(|host| host.announced().count() == 1));
}

#[test]
fn after_fifteen_conflicts_tries_are_five_seconds_apart() {
    let mut lan = Lan::of([room("Lab", 1)]);
    let mut tries = Vec::new();
    while tries.len() < 20 {
        lan.run(1);
        let Some((at, _, _, probe)) = lan.said.pop() else {
            continue;
        };
        lan.said.clear();
        tries.push(at);
        // Everything that it asks for is taken.
        let (name, host) = (probe.questions[0].name.clone(), host(9));
        let taken = conflicting(name, Data::Srv { port: 1, host });
        lan.hear(from(9), &taken);
    }
    let waits: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[..14].iter().all(|&wait| wait <= ms(300)), "{waits:?}");
    assert!(waits[15..].iter().all(|&wait| wait >= ms(5000)), "{waits:?}");
}

/// What another host would announce about a name.
fn conflicting(name: Name, data: Data) -> Message {
    let record = Record {
        name,
        ttl: 120,
        is_unique: true,
        data,
    };
    Message {
        is_response: true,
        answers: vec![record],
        ..Message::default()
    }
}

#[test]
fn an_announced_name_that_another_has_is_probed_again() {
    let mut lan = Lan::with("Lab 3");
    let srv = Data::Srv {
        port: 1,
        host: host(9),
    };
    let conflict = conflicting(named("Lab 3"), srv);
    lan.ask(&conflict, 10_000);
    assert_eq!(lan.said.len(), 5);
    assert_eq!(lan.names(), ["Lab 3"], "nobody defends it");
    lan.ask(&conflict, 300);
    lan.ask(&conflict, 10_000);
    assert_eq!(lan.names(), ["Lab 3 (2)"]);
}

#[test]
fn a_host_name_is_renamed_without_the_room_but_not_for_own_addresses() {
    let mut lan = Lan::of([room("Lab 3", 1)]);
    let conflict = |ip| conflicting(Name::Host(host(1)), Data::A(ip));
    lan.hear(from(1), &conflict([10, 0, 0, 1].into()));
    lan.run(10_000);
    assert_eq!(lan.hosts[0].host().as_str(), "chat-00000001");
    lan.hosts[0].set_links(lan.now, [(ETH0, vec![ip(7)])]);
    lan.run(100);
    lan.hear(from(1), &conflict([10, 0, 0, 1].into()));
    assert_eq!(
        lan.hosts[0].host().as_str(),
        "chat-00000001",
        "it had that one before"
    );
    lan.hear(from(9), &conflict([10, 0, 0, 9].into()));
    lan.run(10_000);
    assert_eq!(lan.hosts[0].host().as_str(), "chat-00000001-2");
    assert_eq!(lan.names(), ["Lab 3"]);
}

#[test]
fn a_shared_record_is_answered_at_a_random_time_with_all_that_helps() {
    let mut times = BTreeSet::new();
    for seed in 0..50 {
        let mut lan = Lan::with("Lab 3");
        lan.hosts[0].random = seed;
        let [(after, answer)] = lan.ask(&rooms(), 5000).try_into().unwrap();
        assert_eq!(kinds(&answer.answers), [Kind::PTR]);
        assert_eq!(
            kinds(&answer.additionals),
            [Kind::SRV, Kind::TXT, Kind::NSEC, Kind::A]
        );
        assert!((20..=120).contains(&after), "{after}");
        times.insert(after);
    }
    assert!(times.len() > 10, "{times:?}");
}

#[test]
fn unique_records_are_answered_at_once() {
    for (name, kind, answers, additionals) in [
        (
            named("lab 3"),
            Kind::SRV,
            vec![Kind::SRV],
            vec![Kind::NSEC, Kind::A],
        ),
        (named("Lab 3"), Kind::TXT, vec![Kind::TXT], vec![]),
        (
            named("Lab 3"),
            Kind::ANY,
            vec![Kind::SRV, Kind::TXT],
            vec![Kind::NSEC, Kind::A],
        ),
        (Name::Host(host(1)), Kind::A, vec![Kind::A], vec![Kind::NSEC]),
        (Name::Host(host(1)), Kind::AAAA, vec![Kind::NSEC], vec![]),
    ] {
        let mut lan = Lan::with("Lab 3");
        let [(after, answer)] = lan.ask(&query(&[question(name, kind)]), 5000).try_into().unwrap();
        assert_eq!(
            (kinds(&answer.answers), kinds(&answer.additionals)),
            (answers, additionals)
        );
        assert_eq!(after, 0);
    }
    let mut lan = Lan::with("Lab 3");
    for name in [named("Lab 4"), Name::Host(host(2))] {
        assert_eq!(lan.ask(&query(&[question(name, Kind::ANY)]), 5000), []);
    }
}

#[test]
fn the_type_of_service_is_answered_too() {
    let mut lan = Lan::with("Lab 3");
    let [(_, answer)] = lan
        .ask(&query(&[question(Name::Services, Kind::PTR)]), 5000)
        .try_into()
        .unwrap();
    assert_eq!(answer.answers[0].data, Data::Ptr(Name::Rooms));
    assert_eq!(answer.additionals, []);
}

/// A query for rooms that already has this one.
fn knowing(name: &str, ttl: u32) -> Message {
    let known = Record {
        name: Name::Rooms,
        ttl,
        is_unique: false,
        data: Data::Ptr(named(name)),
    };
    Message {
        answers: vec![known],
        ..rooms()
    }
}

#[test]
fn an_answer_that_is_known_with_half_its_time_is_not_sent() {
    let mut lan = Lan::with("Lab 3");
    assert_eq!(lan.ask(&knowing("Lab 3", 2250), 5000), []);
    assert_eq!(lan.ask(&knowing("Lab 3", 2249), 5000).len(), 1);
    assert_eq!(lan.ask(&knowing("Lab 4", 4500), 5000).len(), 1);
}

#[test]
fn a_truncated_query_waits_for_more_known_answers() {
    let mut lan = Lan::with("Lab 3");
    let truncated = Message {
        is_truncated: true,
        ..knowing("Lab 4", 4500)
    };
    let [(after, _)] = lan.ask(&truncated, 5000).try_into().unwrap();
    assert!((400..=500).contains(&after), "{after}");
    let rest = Message {
        questions: Vec::new(),
        ..knowing("Lab 3", 4500)
    };
    lan.hear(from(200), &truncated);
    lan.run(399);
    assert_eq!(lan.ask_from(from(201), &rest, 0), [], "from another host");
    assert_eq!(lan.ask_from(from(200), &rest, 5000), []);
}

#[test]
fn a_query_from_any_port_gets_a_plain_response() {
    let mut lan = Lan::with("Lab 3");
    let asker = SocketAddr::from((ip(200), 40_000));
    let asked = Message { id: 77, ..rooms() };
    lan.hear(asker, &asked);
    lan.run(5000);
    let [(at, _, to, answer)] = lan.said.as_slice() else {
        panic!("{:?}", lan.said);
    };
    assert_eq!((*at, *to), (ms(10_000), Some(asker)));
    assert_eq!((answer.id, &answer.questions), (77, &asked.questions));
    assert_eq!(
        kinds(&answer.additionals),
        [Kind::SRV, Kind::TXT, Kind::NSEC, Kind::A]
    );
    assert!(
        answer
            .records()
            .all(|record| record.ttl <= 10 && !record.is_unique)
    );
}

#[test]
fn a_unicast_answer_is_multicast_if_that_is_long_ago() {
    let mut lan = Lan::with("Lab 3");
    let mut asked = query(&[question(named("Lab 3"), Kind::SRV)]);
    asked.questions[0].wants_unicast = true;
    lan.ask(&asked, 100);
    lan.run(30_000);
    lan.ask(&asked, 100);
    let to: Vec<_> = lan.said.iter().map(|(_, _, to, _)| *to).collect();
    assert_eq!(to, [Some(from(200)), None]);
}

#[test]
fn a_record_is_multicast_once_a_second() {
    let mut lan = Lan::with("Lab 3");
    let begun = lan.now;
    for _ in 0..100 {
        lan.ask(&rooms(), 100);
        lan.ask(&query(&[question(named("Lab 3"), Kind::ANY)]), 0);
    }
    let mut last = BTreeMap::new();
    for (at, .., message) in &lan.said {
        for record in message.records() {
            let key = format!("{:?} {:?}", record.name, record.data.kind());
            let before = last.insert(key, *at);
            assert!(before.is_none_or(|before| before + ms(1000) <= *at), "{record:?}");
        }
    }
    assert!(lan.said.len() >= 10, "and not less often");
    assert!(lan.now - begun == ms(10_000));
}

#[test]
fn an_answer_that_comes_too_soon_is_sent_later() {
    let mut lan = Lan::with("Lab 3");
    lan.ask(&rooms(), 500);
    let [(after, _)] = lan.ask(&rooms(), 5000).try_into().unwrap();
    assert!((500..=700).contains(&after), "{after}");
}

#[test]
fn an_address_gets_ten_unicast_answers_a_second() {
    let mut lan = Lan::with("Lab 3");
    let port = |host, port| SocketAddr::from((ip(host), port));
    for source in 0..100 {
        lan.ask_from(port(200, 1000 + source), &rooms(), 1);
    }
    assert_eq!(lan.said.len(), 10);
    assert_eq!(lan.ask_from(port(201, 1000), &rooms(), 1).len(), 1);
    lan.run(1000);
    assert_eq!(lan.ask_from(port(200, 1000), &rooms(), 1).len(), 1);
}

#[test]
fn too_many_addresses_get_no_unicast_answers() {
    let mut lan = Lan::with("Lab 3");
    for host in 0..1000 {
        let ip = Ipv4Addr::from_bits(0x0A00_0000 + host);
        lan.ask_from((ip, 1000).into(), &rooms(), 0);
    }
    assert_eq!(lan.said.len(), ASKERS_MAX);
}

#[test]
fn goodbye_withdraws_all_but_the_type_of_service() {
    let mut lan = Lan::with("Lab 3");
    let [goodbye] = lan.hosts[0].goodbye().try_into().unwrap();
    let message = Message::parse(&goodbye.packet).unwrap();
    assert_eq!((goodbye.link, goodbye.to), (ETH0, None));
    assert_eq!(
        kinds(&message.answers),
        [Kind::PTR, Kind::SRV, Kind::TXT, Kind::NSEC, Kind::A]
    );
    assert!(message.answers.iter().all(|record| record.ttl == 0));
    assert_eq!(lan.hosts[0].goodbye(), []);
    let mut lan = Lan::of([room("Lab 3", 1)]);
    lan.run(700);
    assert_eq!(lan.hosts[0].goodbye(), [], "it was not announced yet");
}

#[test]
fn a_goodbye_to_a_shared_address_is_contradicted() {
    let mut lan = Lan::of([room("Lab 3", 1)]);
    lan.hosts.push(Responder::new(room("Lab 4", 1), 9));
    lan.hosts[1].set_links(lan.now, [(ETH0, vec![ip(1)])]);
    lan.run(10_000);
    assert_eq!(lan.names(), ["Lab 3", "Lab 4"], "of one host, with one name");
    lan.said.clear();
    for goodbye in lan.hosts.remove(0).goodbye() {
        let message = Message::parse(&goodbye.packet).unwrap();
        lan.hear(from(1), &message);
    }
    lan.run(1000);
    let [(.., message)] = lan.said.as_slice() else {
        panic!("{:?}", lan.said);
    };
    assert!(
        message
            .records()
            .any(|record| record.data == Data::A([10, 0, 0, 1].into()) && record.ttl == 120)
    );
    assert_eq!(lan.names(), ["Lab 4"]);
}

#[test]
fn interfaces_come_and_go() {
    let mut lan = Lan::with("Lab 3");
    let (eth0, eth1) = ((ETH0, vec![ip(1)]), (ETH1, vec![ip(9)]));
    lan.hosts[0].set_links(lan.now, [eth0.clone(), eth1.clone()]);
    lan.run(10_000);
    assert_eq!(lan.said.len(), 5, "only the new one is probed and announced");
    let addresses = |message: &Message| message.authorities.last().map(|record| record.data.clone());
    assert_eq!(addresses(&lan.said[0].3), Some(Data::A([10, 0, 0, 9].into())));
    lan.hosts[0].set_links(lan.now, [eth1]);
    lan.hosts[0].set_links(lan.now, [(ETH0, vec![ip(1)]), (ETH1, vec![ip(9)])]);
    lan.said.clear();
    lan.run(10_000);
    assert_eq!(lan.said.len(), 5, "a link that was down is probed");
    lan.hosts[0].set_links(lan.now, [(ETH0, vec![ip(1), ip(2)])]);
    lan.said.clear();
    lan.run(10_000);
    assert_eq!(lan.said.len(), 2, "one more address is only announced");
    lan.hosts[0].set_links(lan.now, [(ETH0, vec![ip(7)])]);
    lan.said.clear();
    lan.run(10_000);
    assert_eq!(lan.said.len(), 5, "another one may be another network");
    assert_eq!(lan.hosts[0].announced().collect::<Vec<_>>(), [ETH0]);
    lan.hosts[0].set_links(lan.now, []);
    assert_eq!(lan.hosts[0].deadline(), None);
}

#[test]
fn a_link_that_is_not_announced_yet_is_probed_with_another_address() {
    let mut lan = Lan::of([room("Lab 3", 1)]);
    lan.run(300);
    lan.hosts[0].set_links(lan.now, [(ETH0, vec![ip(1), ip(2)])]);
    lan.said.clear();
    lan.run(10_000);
    assert_eq!(lan.said.len(), 5);
}

#[test]
fn a_conflict_on_one_link_withdraws_the_old_name_on_the_others() {
    let mut lan = Lan::of([room("Lab 3", 1)]);
    lan.run(10_000);
    lan.hosts[0].set_links(lan.now, [(ETH0, vec![ip(1)]), (ETH1, vec![ip(9)])]);
    let srv = Data::Srv {
        port: 1,
        host: host(9),
    };
    let bytes = conflicting(named("Lab 3"), srv).build();
    let received = Received {
        link: ETH1,
        source: from(77),
        bytes: &bytes,
    };
    lan.hosts[0].receive(lan.now, &received);
    let [goodbye] = lan.hosts[0].turn(lan.now).try_into().unwrap();
    let message = Message::parse(&goodbye.packet).unwrap();
    assert_eq!(goodbye.link, ETH0);
    assert_eq!(kinds(&message.answers), [Kind::PTR, Kind::SRV, Kind::TXT]);
    assert!(message.answers.iter().all(|record| record.ttl == 0));
    lan.run(10_000);
    assert_eq!(lan.names(), ["Lab 3 (2)"]);
    assert_eq!(lan.hosts[0].announced().count(), 2);
}

#[test]
fn junk_changes_nothing() {
    let mut lan = Lan::with("Lab 3");
    let srv = Data::Srv {
        port: 1,
        host: host(9),
    };
    let conflict = conflicting(named("Lab 3"), srv);
    // Not from a responder.
    lan.hear((ip(9), 40_000).into(), &conflict);
    for bytes in [&[][..], &[0; 12], &[0xFF; 9000]] {
        let received = Received {
            link: ETH0,
            source: from(9),
            bytes,
        };
        lan.hosts[0].receive(lan.now, &received);
        let elsewhere = Received {
            link: ETH1,
            ..received
        };
        lan.hosts[0].receive(lan.now, &elsewhere);
    }
    assert_eq!(lan.hosts[0].deadline(), None);
}

#[test]
fn a_flood_of_truncated_queries_fills_no_memory() {
    let mut lan = Lan::with("Lab 3");
    let truncated = Message {
        is_truncated: true,
        ..rooms()
    };
    for port in 1..=250 {
        lan.hear((ip(port), PORT).into(), &truncated);
    }
    assert_eq!(lan.hosts[0].links[&ETH0].pending.len(), PENDING_MAX);
    assert_eq!(lan.ask(&rooms(), 5000).len(), 1);
}

#[test]
fn a_host_with_many_truncated_queries_delays_no_other() {
    let mut lan = Lan::with("Lab 3");
    let truncated = Message {
        is_truncated: true,
        ..rooms()
    };
    for _ in 0..PENDING_MAX {
        lan.hear(from(200), &truncated);
    }
    let more = Message {
        questions: Vec::new(),
        ..truncated
    };
    let service = query(&[question(named("Lab 3"), Kind::SRV)]);
    lan.hear(from(201), &service);
    for _ in 0..10 {
        lan.run(300);
        lan.hear(from(200), &more);
    }
    let at = lan.said.iter().map(|(at, ..)| *at).next();
    assert_eq!(at, Some(ms(10_000)), "{:?}", lan.said);
}
