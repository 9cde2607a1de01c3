//! The records that announce a room, and the packets that carry them.
//!
//! A parsed message has only what concerns rooms: records and questions of other services are left out.

use chat_proto::opaque::Opaque;
use chat_proto::text::{ROW_END, Text};
use simple_dns::rdata::{A, AAAA, NSEC, NsecTypeBitMap, PTR, RData, SRV, TXT};
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE};
use std::cmp::Ordering;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The UDP port of multicast DNS.
pub const PORT: u16 = 5353;

/// The longest packet (RFC 6762, section 17).
pub const PACKET_MAX: usize = 9000;

/// Questions in a packet; one with more is dropped, like one with more records.
const QUESTIONS_MAX: usize = 64;

/// Records in a packet.
const RECORDS_MAX: usize = 256;

/// Pointers that lead to pointers. No program writes any, and long chains of them would take the parser milliseconds.
const CHAINED_MAX: usize = 64;

/// Bytes of the data of a TXT record; a longer one is left out.
const TXT_MAX: usize = 200;

/// Bytes of a label (RFC 1035).
pub const LABEL_MAX: usize = 63;

const DOMAIN: &[u8] = b"local";
const ROOMS: [&[u8]; 3] = [b"_chat-room", b"_tcp", DOMAIN];
const SERVICES: [&[u8]; 4] = [b"_services", b"_dns-sd", b"_udp", DOMAIN];

/// The first half of a hash of the server's key.
pub type Fingerprint = Opaque<16>;

/// The name of a room, or of a host. Safe to show, at most [`LABEL_MAX`] bytes, not blank. Compared as DNS does, without the
/// case of ASCII.
#[derive(Clone, Debug)]
pub struct Label(Text<'static>);

impl Label {
    /// A name that a person chose, in its composed form. `None` if it is blank, too long, or has characters that are not
    /// shown as they are.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Self::received(name.trim().nfc().collect::<String>().as_bytes())
    }

    /// A name from the network; `None` if showing it would change it, because then it could not be asked for, or if it is not in
    /// the form of [`Self::new`], because then it would look like another one.
    fn received(bytes: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(bytes).ok()?;
        let text = Text::new(name);
        let is_shown_as_it_is = text.shown() == name && !name.contains(['\t', ROW_END]);
        let is_in_form = name.trim() == name && is_nfc(name);
        (is_shown_as_it_is && is_in_form && !text.is_blank() && name.len() <= LABEL_MAX)
            .then(|| Self(text.into_owned()))
    }

    /// What is shown.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        self.0.borrow()
    }

    /// The name as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.as_str().bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl Eq for Label {}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A domain name that concerns rooms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `_services._dns-sd._udp.local`: all kinds of services.
    Services,
    /// `_chat-room._tcp.local`: all rooms.
    Rooms,
    /// `Lab 3._chat-room._tcp.local`: one room.
    Room(Label),
    /// `chat-3f9c2a7e.local`: the host of a room.
    Host(Label),
}

impl Name {
    fn parse(name: &simple_dns::Name<'_>) -> Option<Self> {
        let labels: Vec<&[u8]> = name.as_bytes().collect();
        let is = |labels: &[&[u8]], name: &[&[u8]]| {
            labels.len() == name.len()
                && labels
                    .iter()
                    .zip(name)
                    .all(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        match labels.as_slice() {
            labels if is(labels, &SERVICES) => Some(Self::Services),
            labels if is(labels, &ROOMS) => Some(Self::Rooms),
            [room, service @ ..] if is(service, &ROOMS) => Label::received(room).map(Self::Room),
            [host, domain] if is(&[domain], &[DOMAIN]) => Label::received(host).map(Self::Host),
            _ => None,
        }
    }

    fn labels(&self) -> Vec<&[u8]> {
        match self {
            Self::Services => SERVICES.to_vec(),
            Self::Rooms => ROOMS.to_vec(),
            Self::Room(room) => [&[room.as_str().as_bytes()], ROOMS.as_slice()].concat(),
            Self::Host(host) => vec![host.as_str().as_bytes(), DOMAIN],
        }
    }

    /// From labels, because a dot in a string would split the name of a room.
    fn to_dns(&self) -> simple_dns::Name<'_> {
        let labels = self.labels().into_iter().map(simple_dns::Label::new_unchecked);
        simple_dns::Name::new_with_labels(&labels.collect::<Vec<_>>())
    }

    fn wire(&self) -> Vec<u8> {
        let labels = self.labels();
        let label = |label: &&[u8]| [&[u8::try_from(label.len()).unwrap_or(0)], *label].concat();
        labels.iter().flat_map(label).chain([0]).collect()
    }
}

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u16);

#[expect(missing_docs, reason = "the names of DNS")]
impl Kind {
    pub const A: Self = Self(1);
    pub const PTR: Self = Self(12);
    pub const TXT: Self = Self(16);
    pub const AAAA: Self = Self(28);
    pub const SRV: Self = Self(33);
    pub const NSEC: Self = Self(47);
    pub const ANY: Self = Self(255);

    /// Whether a question for this type asks for that one.
    #[must_use]
    pub fn asks_for(self, kind: Self) -> bool {
        self == Self::ANY || self == kind
    }
}

/// A question of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose records.
    pub name: Name,
    /// Which records.
    pub kind: Kind,
    /// Whether a unicast answer is preferred (QU).
    pub wants_unicast: bool,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub name: Name,
    /// For how many seconds it holds; 0 says that it no longer does.
    pub ttl: u32,
    /// Whether it replaces other records of the same name and type (the cache-flush bit).
    pub is_unique: bool,
    /// What it says.
    pub data: Data,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of DNS")]
pub enum Data {
    Ptr(Name),
    Srv {
        port: u16,
        host: Label,
    },
    Txt(Txt),
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Nsec {
        a: bool,
        aaaa: bool,
    },
    /// One of these types whose data are not those of a room, or another type.
    Other(Kind),
}

impl Data {
    /// The type of the record.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ptr(_) => Kind::PTR,
            Self::Srv { .. } => Kind::SRV,
            Self::Txt(_) => Kind::TXT,
            Self::A(_) => Kind::A,
            Self::Aaaa(_) => Kind::AAAA,
            Self::Nsec { .. } => Kind::NSEC,
            Self::Other(kind) => *kind,
        }
    }

    /// What two hosts that want the same name compare (RFC 6762, section 8.2): type, and data without compression. `None` for
    /// data that were not kept.
    #[must_use]
    pub fn rank(&self) -> Option<(Kind, Vec<u8>)> {
        let bytes = match self {
            Self::Ptr(name) => name.wire(),
            Self::Srv { port, host } => {
                let host = Name::Host(host.clone()).wire();
                [&[0; 4], port.to_be_bytes().as_slice(), &host].concat()
            }
            Self::Txt(txt) => txt.0.clone(),
            Self::A(ip) => ip.octets().to_vec(),
            Self::Aaaa(ip) => ip.octets().to_vec(),
            Self::Nsec { .. } | Self::Other(_) => return None,
        };
        Some((self.kind(), bytes))
    }

    fn parse(data: &RData<'_>) -> Self {
        let other = Self::Other(Kind(data.type_code().into()));
        match data {
            RData::PTR(PTR(name)) => Name::parse(name).map_or(other, Self::Ptr),
            RData::SRV(srv) => match Name::parse(&srv.target) {
                Some(Name::Host(host)) => Self::Srv { port: srv.port, host },
                _ => other,
            },
            RData::TXT(txt) => Txt::parse(txt).map_or(other, Self::Txt),
            RData::A(a) => Self::A(a.address.into()),
            RData::AAAA(aaaa) => Self::Aaaa(aaaa.address.into()),
            RData::NSEC(nsec) => {
                let first = nsec.type_bit_maps.iter().find(|map| map.window_block == 0);
                let has = |kind: Kind| {
                    let byte = first.and_then(|map| map.bitmap.get(usize::from(kind.0 / 8)));
                    byte.is_some_and(|byte| byte & (0x80 >> (kind.0 % 8)) != 0)
                };
                Self::Nsec {
                    a: has(Kind::A),
                    aaaa: has(Kind::AAAA),
                }
            }
            _ => other,
        }
    }

    fn to_dns<'a>(&'a self, name: &'a Name) -> Option<RData<'a>> {
        Some(match self {
            Self::Ptr(name) => RData::PTR(PTR(name.to_dns())),
            Self::Srv { port, host } => RData::SRV(SRV {
                priority: 0,
                weight: 0,
                port: *port,
                target: Name::Host(host.clone()).to_dns().into_owned(),
            }),
            Self::Txt(txt) => RData::TXT(txt.to_dns()),
            Self::A(ip) => RData::A(A {
                address: (*ip).into(),
            }),
            Self::Aaaa(ip) => RData::AAAA(AAAA {
                address: (*ip).into(),
            }),
            Self::Nsec { a, aaaa } => {
                let mut bitmap = vec![u8::from(*a) << 6];
                if *aaaa {
                    bitmap.extend([0, 0, 0x08]);
                }
                let type_bit_maps = vec![NsecTypeBitMap {
                    window_block: 0,
                    bitmap: bitmap.into(),
                }];
                RData::NSEC(NSEC {
                    next_name: name.to_dns(),
                    type_bit_maps,
                })
            }
            Self::Other(_) => return None,
        })
    }
}

/// What a room says of itself beside its name and address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The version of the protocol.
    pub version: u32,
    /// The server's key, shortened.
    pub fingerprint: Option<Fingerprint>,
    /// Whether a passphrase is needed.
    pub has_passphrase: bool,
    /// Whether only encrypted connections are taken.
    pub is_sealed: bool,
}

/// The data of a TXT record, as on the wire: strings with their lengths in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txt(Vec<u8>);

impl Txt {
    /// What to announce.
    #[must_use]
    pub fn new(about: &About) -> Self {
        let mut strings = vec!["txtvers=1".to_owned(), format!("v={}", about.version)];
        strings.extend(about.fingerprint.map(|fingerprint| format!("fp={fingerprint}")));
        strings.extend(about.has_passphrase.then(|| "pw".to_owned()));
        strings.extend(about.is_sealed.then(|| "sealed".to_owned()));
        Self::of(strings.iter().map(String::as_bytes))
    }

    fn of<'a>(strings: impl Iterator<Item = &'a [u8]>) -> Self {
        let string = |bytes: &'a [u8]| {
            u8::try_from(bytes.len())
                .ok()
                .map(|length| [&[length], bytes].concat())
        };
        Self(strings.filter_map(string).flatten().collect())
    }

    fn parse(txt: &TXT<'_>) -> Option<Self> {
        let strings = txt.iter_raw().map(|(key, value)| match value {
            Some(value) => [key, b"=", value].concat(),
            None => key.to_vec(),
        });
        let strings: Vec<_> = strings.collect();
        let txt = Self::of(strings.iter().map(Vec::as_slice));
        (txt.0.len() <= TXT_MAX).then_some(txt)
    }

    pub(crate) fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first()?;
            let (string, after) = after.split_at_checked(length.into())?;
            rest = after;
            Some(string)
        })
    }

    fn to_dns(&self) -> TXT<'_> {
        let mut txt = TXT::new();
        for string in self.strings() {
            if let Ok(string) = simple_dns::CharacterString::new(string) {
                txt.add_char_string(string);
            }
        }
        txt
    }

    /// The first value of a key: `Some(None)` if the key stands alone.
    fn value(&self, key: &str) -> Option<Option<&str>> {
        self.strings().find_map(|string| {
            let string = std::str::from_utf8(string).ok()?;
            let (name, value) = match string.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (string, None),
            };
            name.eq_ignore_ascii_case(key).then_some(value)
        })
    }

    /// What it says; `None` if it is of another version, which may mean anything.
    #[must_use]
    pub fn about(&self) -> Option<About> {
        let value = |key| self.value(key).flatten();
        if value("txtvers") != Some("1") {
            return None;
        }
        Some(About {
            version: value("v")?.parse().ok()?,
            fingerprint: value("fp").and_then(|fingerprint| fingerprint.parse().ok()),
            has_passphrase: self.value("pw").is_some(),
            is_sealed: self.value("sealed").is_some(),
        })
    }
}

/// A query or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sections of DNS")]
pub struct Message {
    /// 0, except in a query that expects a plain DNS response.
    pub id: u16,
    pub is_response: bool,
    /// More known answers follow in another packet (TC).
    pub is_truncated: bool,
    pub questions: Vec<Question>,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

impl Message {
    /// What of a packet concerns rooms. `None` if the packet is malformed, or beyond a limit.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let count = |at: usize| {
            Some(usize::from(u16::from_be_bytes([
                *bytes.get(at)?,
                *bytes.get(at + 1)?,
            ])))
        };
        // Before the parser makes room for what the header promises.
        let records = count(6)? + count(8)? + count(10)?;
        if bytes.len() > PACKET_MAX || count(4)? > QUESTIONS_MAX || records > RECORDS_MAX {
            return None;
        }
        let is_pointer = |at: u16| bytes.get(usize::from(at)).is_some_and(|&byte| byte >= 0xC0);
        let pairs = bytes.iter().zip(bytes.iter().skip(1));
        let chained = pairs
            .filter(|&(&high, &low)| high >= 0xC0 && is_pointer(u16::from_be_bytes([high, low]) & 0x3FFF));
        if chained.count() > CHAINED_MAX {
            return None;
        }
        let packet = Packet::parse(bytes).ok()?;
        if packet.opcode() != OPCODE::StandardQuery || packet.rcode() != RCODE::NoError {
            return None;
        }
        Some(Self {
            id: packet.id(),
            is_response: packet.has_flags(PacketFlag::RESPONSE),
            is_truncated: packet.has_flags(PacketFlag::TRUNCATION),
            questions: packet.questions.iter().filter_map(Question::parse).collect(),
            answers: records_of(&packet.answers),
            authorities: records_of(&packet.name_servers),
            additionals: records_of(&packet.additional_records),
        })
    }

    /// The packet. It is at most [`PACKET_MAX`] bytes long if there are at most 64 records.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut packet = Packet::new_query(self.id);
        if self.is_response {
            packet.set_flags(PacketFlag::RESPONSE | PacketFlag::AUTHORITATIVE_ANSWER);
        }
        if self.is_truncated {
            packet.set_flags(PacketFlag::TRUNCATION);
        }
        packet.questions = self.questions.iter().filter_map(Question::to_dns).collect();
        packet.answers = self.answers.iter().filter_map(Record::to_dns).collect();
        packet.name_servers = self.authorities.iter().filter_map(Record::to_dns).collect();
        packet.additional_records = self.additionals.iter().filter_map(Record::to_dns).collect();
        // Writing to memory can't fail.
        packet.build_bytes_vec_compressed().unwrap_or_default()
    }

    /// All records that it delivers, wherever they stand.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.answers.iter().chain(&self.additionals)
    }
}

fn records_of(records: &[ResourceRecord<'_>]) -> Vec<Record> {
    records.iter().filter_map(Record::parse).collect()
}

impl Question {
    fn parse(question: &simple_dns::Question<'_>) -> Option<Self> {
        matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY).then_some(())?;
        Some(Self {
            name: Name::parse(&question.qname)?,
            kind: Kind(question.qtype.into()),
            wants_unicast: question.unicast_response,
        })
    }

    fn to_dns(&self) -> Option<simple_dns::Question<'_>> {
        let kind = QTYPE::try_from(self.kind.0).ok()?;
        let class = QCLASS::CLASS(CLASS::IN);
        Some(simple_dns::Question::new(
            self.name.to_dns(),
            kind,
            class,
            self.wants_unicast,
        ))
    }
}

impl Record {
    fn parse(record: &ResourceRecord<'_>) -> Option<Self> {
        if record.class != CLASS::IN || record.rdata.type_code() == TYPE::OPT {
            return None;
        }
        Some(Self {
            name: Name::parse(&record.name)?,
            ttl: record.ttl,
            is_unique: record.cache_flush,
            data: Data::parse(&record.rdata),
        })
    }

    fn to_dns(&self) -> Option<ResourceRecord<'_>> {
        let data = self.data.to_dns(&self.name)?;
        let record = ResourceRecord::new(self.name.to_dns(), CLASS::IN, self.ttl, data);
        Some(record.with_cache_flush(self.is_unique))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement() -> Message {
        let about = About {
            version: 1,
            fingerprint: Some(Opaque([0xFB; 16])),
            has_passphrase: true,
            is_sealed: false,
        };
        let room = Name::Room(Label::new("Lab 3. 二楼").unwrap());
        let host = Label::new("chat-3f9c2a7e").unwrap();
        let record = |name: &Name, ttl, is_unique, data| Record {
            name: name.clone(),
            ttl,
            is_unique,
            data,
        };
        let at = Name::Host(host.clone());
        Message {
            is_response: true,
            answers: vec![
                record(&Name::Services, 4500, false, Data::Ptr(Name::Rooms)),
                record(&Name::Rooms, 4500, false, Data::Ptr(room.clone())),
                record(&room, 120, true, Data::Srv { port: 9000, host }),
                record(&room, 4500, true, Data::Txt(Txt::new(&about))),
            ],
            additionals: vec![
                record(&at, 120, true, Data::A([192, 168, 1, 7].into())),
                record(&at, 120, true, Data::Aaaa("fe80::1".parse().unwrap())),
                record(&at, 120, true, Data::Nsec { a: true, aaaa: true }),
            ],
            ..Message::default()
        }
    }

    #[test]
    fn a_message_survives_the_wire() {
        let message = announcement();
        assert_eq!(Message::parse(&message.build()), Some(message));
    }

    #[test]
    fn a_packet_beyond_a_limit_is_dropped() {
        let message = announcement();
        let record = message.answers.first().unwrap().clone();
        let question = Question {
            name: Name::Rooms,
            kind: Kind::PTR,
            wants_unicast: true,
        };
        for (questions, records, is_taken) in [(64, 256, true), (65, 0, false), (0, 257, false)] {
            let message = Message {
                questions: vec![question.clone(); questions],
                authorities: vec![record.clone(); records],
                ..Message::default()
            };
            let parsed = Message::parse(&message.build());
            assert_eq!(parsed.is_some(), is_taken, "{questions} {records}");
        }
        let mut packet = message.build();
        packet.resize(PACKET_MAX, 0);
        assert!(Message::parse(&packet).is_some());
        packet.push(0);
        assert_eq!(Message::parse(&packet), None);
    }

    #[test]
    fn a_long_chain_of_pointers_is_dropped() {
        for (length, is_taken) in [(CHAINED_MAX, true), (CHAINED_MAX + 1, false), (4000, false)] {
            // A record that holds the chain, and one whose name is its end.
            let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0];
            let size = u16::try_from(2 * length + 3).unwrap();
            packet.extend([0, 0, 10, 0, 1, 0, 0, 0, 9]);
            packet.extend(size.to_be_bytes());
            packet.extend([1, b'x', 0]);
            let first = packet.len();
            let pointer = |to: usize| (0xC000 | u16::try_from(to).unwrap()).to_be_bytes();
            packet.extend(pointer(first - 3));
            for place in 1..length {
                packet.extend(pointer(first + 2 * (place - 1)));
            }
            packet.extend(pointer(first + 2 * (length - 1)));
            packet.extend([0, 1, 0, 1, 0, 0, 0, 9, 0, 0]);
            assert_eq!(Message::parse(&packet).is_some(), is_taken, "{length}");
        }
    }

    #[test]
    fn other_records_and_long_texts_are_left_out() {
        let mut packet = Packet::new_reply(0);
        let mut add = |name: &'static str, data| {
            let name = simple_dns::Name::new_unchecked(name);
            packet
                .answers
                .push(ResourceRecord::new(name, CLASS::IN, 120, data));
        };
        let address = || RData::A(A { address: 1 });
        for other in [
            "a.b.local",
            "Printer._ipp._tcp.local",
            "local",
            "example.org",
            "x.y._chat-room._tcp.local",
        ] {
            add(other, address());
        }
        let text = "x".repeat(TXT_MAX);
        let long = TXT::new().with_string(&text).unwrap();
        add("Lab._chat-room._tcp.local", RData::TXT(long));
        add("host.LOCAL", address());
        let message = Message::parse(&packet.build_bytes_vec().unwrap()).unwrap();
        let data: Vec<_> = message.answers.into_iter().map(|record| record.data).collect();
        assert_eq!(data, [Data::Other(Kind::TXT), Data::A([0, 0, 0, 1].into())]);
    }

    #[test]
    fn a_name_that_is_not_shown_as_it_is_is_dropped() {
        for name in ["Lab 3", "二楼", "Bob’s", "a.b", "👩\u{200D}🔬"] {
            assert!(Label::received(name.as_bytes()).is_some(), "{name}");
        }
        let long = "x".repeat(64);
        for name in [
            "",
            " ",
            "a\nb",
            "a\tb",
            "\u{1B}[2J",
            "a\u{202E}b",
            "a\u{200B}b",
            "a␊b",
            " Lab",
            "Lab ",
            "Lab\u{A0}",
            "e\u{301}",
            &long,
        ] {
            assert_eq!(Label::received(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(Label::received(b"\xFF"), None);
        assert_eq!(Label::received(format!("a{}b", " ".repeat(40)).as_bytes()), None);
        assert_eq!(Label::new(" e\u{301} ").unwrap().as_str(), "é");
    }

    #[test]
    fn a_room_says_what_it_is() {
        let about = About {
            version: 1,
            fingerprint: Some(Opaque([0; 16])),
            has_passphrase: true,
            is_sealed: true,
        };
        assert_eq!(Txt::new(&about).about(), Some(about));
        let bare = About {
            version: 7,
            ..About::default()
        };
        assert_eq!(Txt::new(&bare).about(), Some(bare));
        let text = |strings: &[&str]| Txt::of(strings.iter().map(|string| string.as_bytes())).about();
        assert_eq!(text(&[]), None);
        assert_eq!(text(&["v=1"]), None);
        assert_eq!(text(&["txtvers=2", "v=1"]), None);
        let twice = text(&["TXTVERS=1", "V=2", "v=3", "fp=short", "PW=", "new=1"]).unwrap();
        assert_eq!(
            (twice.version, twice.fingerprint, twice.has_passphrase),
            (2, None, true)
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            let mut packet = vec![0, 0, 0x84, 0, 0, 1, 0, 2, 0, 0, 0, 0];
            packet.extend(bytes);
            if let Some(message) = Message::parse(&packet) {
                assert!(message.build().len() <= PACKET_MAX);
            }
        }

        #[test]
        fn a_damaged_message_is_a_message_or_none(at in 0usize..400, byte in proptest::num::u8::ANY, cut in 0usize..400) {
            let mut packet = announcement().build();
            let length = packet.len();
            packet[at % length] = byte;
            let _ = Message::parse(&packet);
            let _ = Message::parse(&packet[..cut % length]);
        }
    }
}
