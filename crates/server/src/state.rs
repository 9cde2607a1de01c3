//! What a room keeps over a restart, as the bytes of a file.
//!
//! The file is text: a first line with the version, one line for each thing that is kept, and a last line with the
//! SHA-256 of all before it. So a torn or changed file is recognised, and one of another program or version. After an orderly
//! end `final` follows, which the next server can take off on a full disk too.

use crate::bans::{Ban, Kind};
use crate::network::Network;
use crate::resumption::{Former, Progress};
use crate::topic::Topic;
use chat_noise::sha256;
use chat_proto::TOPIC_MAX;
use chat_proto::nick::Nick;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_proto::order::SLOW_SECONDS_MAX;
use chat_proto::rich::FromServer;
use chat_proto::text::Text;
use std::fmt::{self, Write};
use std::str::FromStr;
use std::time::Duration;

/// The first word of the file, and the version behind it.
const MAGIC: &str = "chat-state ";
const VERSION: &str = "2";

/// Behind the last line, if the server has ended in order.
pub(crate) const FINAL: &str = "final\n";

/// The largest count of messages: far more than there can be, and far below an overflow.
const SAID_MAX: u64 = 1 << 62;

/// What is kept of a room.
///
/// Memory: at most 256 KiB of messages, 112 bytes for each of 3 x `--max-users` or 1,024 clients, a nick for each of 2 x
/// `--max-users`, 32 bytes for each operator and each user of a locked room, and 4,096 bans and mutes.
#[derive(Default)]
pub struct State {
    /// The server has ended in order, so it had nothing more to keep.
    pub(crate) is_final: bool,
    /// How many messages there were.
    pub(crate) said: u64,
    /// When the server was killed last, messages from this number on may have been lost.
    pub(crate) lost_from: Option<u64>,
    /// The time before the first of the messages below.
    pub(crate) before: Option<u64>,
    /// The last of these messages, as lines of the rich dialect.
    pub(crate) messages: Vec<u8>,
    pub(crate) topic: Option<Topic>,
    pub(crate) slow: Option<Duration>,
    /// Who may come back, if the room is locked.
    pub(crate) lock: Option<Vec<PublicKey>>,
    /// Those who proved the code.
    pub(crate) operators: Vec<PublicKey>,
    pub(crate) bans: Vec<Ban>,
    /// With the time in milliseconds since 1970 when each is over, if it has one.
    pub(crate) mutes: Vec<(Option<u64>, Ban)>,
    /// Clients that may come back, the latest last.
    pub(crate) clients: Vec<Former>,
    /// Their nicks. As text: to parse them would take most of the time that a snapshot takes.
    pub(crate) nicks: Vec<(PublicKey, Network, Box<str>)>,
}

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoState {
    /// They begin otherwise.
    Foreign,
    /// They are of another version.
    Version,
    /// Their end is missing, or they were changed.
    Torn,
    /// This line can't be read.
    Line(usize),
}

impl fmt::Display for NoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it is no state of chat-server"),
            Self::Version => f.write_str("it is of another version of chat-server"),
            Self::Torn => f.write_str("it is damaged: its checksum is wrong"),
            Self::Line(number) => write!(f, "its line {number} can't be read"),
        }
    }
}

/// How much it is.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.messages.iter().filter(|&&byte| byte == b'\n').count();
        let (clients, bans) = (self.clients.len(), self.bans.len());
        let end = if self.is_final { "ended" } else { "killed" };
        write!(f, "messages={messages} clients={clients} bans={bans} {end}")
    }
}

impl State {
    /// Leaves the bans out, which another file keeps. Returns how many there were.
    pub fn leave_bans_out(&mut self) -> usize {
        std::mem::take(&mut self.bans).len()
    }

    /// The content of its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{MAGIC}{VERSION}\n");
        // Writing to a string can't fail.
        let _ = self.write(&mut text);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.messages);
        seal(&mut bytes);
        if self.is_final {
            bytes.extend_from_slice(FINAL.as_bytes());
        }
        bytes
    }

    fn write(&self, to: &mut String) -> fmt::Result {
        let (lost_from, before) = (Or(self.lost_from), Or(self.before));
        writeln!(to, "said {} {lost_from} {before}", self.said)?;
        if let Some(topic) = &self.topic {
            writeln!(to, "{}", topic.line())?;
        }
        if let Some(interval) = self.slow {
            writeln!(to, "slow {}", interval.as_secs())?;
        }
        if let Some(keys) = &self.lock {
            writeln!(to, "locked")?;
            keys.iter().try_for_each(|key| writeln!(to, "member {key}"))?;
        }
        let mut operators = self.operators.iter();
        operators.try_for_each(|key| writeln!(to, "operator {key}"))?;
        let mut bans = self.bans.iter();
        bans.try_for_each(|ban| write!(to, "ban {}", ban.to_line()))?;
        let mut mutes = self.mutes.iter();
        mutes.try_for_each(|(until, ban)| write!(to, "mute {} {}", Or(*until), ban.to_line()))?;
        for client in &self.clients {
            let Former {
                token, key, network, ..
            } = client;
            let lost = Or(client.lost_from);
            match client.progress {
                Progress::Resumable { seq, first } => {
                    writeln!(to, "client {token} {key} {network} {lost} seq {seq} {first}")
                }
                Progress::Replaced(next) => writeln!(to, "client {token} {key} {network} {lost} next {next}"),
                Progress::Adopted(next) => writeln!(to, "client {token} {key} {network} {lost} new {next}"),
            }?;
        }
        let mut nicks = self.nicks.iter();
        nicks.try_for_each(|(key, network, nick)| writeln!(to, "nick {key} {network} {nick}"))
    }

    /// The state in a file with this content.
    ///
    /// # Errors
    /// Why there is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoState> {
        if !bytes.starts_with(MAGIC.as_bytes()) && !MAGIC.as_bytes().starts_with(bytes) {
            return Err(NoState::Foreign);
        }
        let sealed = bytes.strip_suffix(FINAL.as_bytes());
        let (body, hash) = unseal(sealed.unwrap_or(bytes)).ok_or(NoState::Torn)?;
        if sha256(&[body]) != hash {
            return Err(NoState::Torn);
        }
        let text = str::from_utf8(body).map_err(|_| NoState::Torn)?;
        let mut lines = (1..).zip(text.split_terminator('\n'));
        let version = lines.next().and_then(|(_, line)| line.strip_prefix(MAGIC));
        if version != Some(VERSION) {
            return Err(NoState::Version);
        }
        let mut state = Self {
            is_final: sealed.is_some(),
            ..Self::default()
        };
        for (number, line) in lines {
            state.read(line).ok_or(NoState::Line(number))?;
        }
        Ok(state)
    }

    /// Adds what this line holds.
    fn read(&mut self, line: &str) -> Option<()> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "SAID" => {
                self.messages.extend_from_slice(line.as_bytes());
                self.messages.push(b'\n');
            }
            "TOPIC" => self.topic = Some(topic(line)?),
            "said" => {
                let mut words = rest.splitn(3, ' ');
                let said = words.next()?.parse().ok();
                self.said = said.filter(|&said| said <= SAID_MAX)?;
                self.lost_from = or(words.next()?)?;
                self.before = or(words.next()?)?;
            }
            "slow" => {
                let seconds = rest.parse().ok();
                let seconds = seconds.filter(|seconds| (1..=SLOW_SECONDS_MAX).contains(seconds))?;
                self.slow = Some(Duration::from_secs(seconds.into()));
            }
            "locked" => self.lock = Some(Vec::new()),
            "member" => self.lock.as_mut()?.push(rest.parse().ok()?),
            "operator" => self.operators.push(rest.parse().ok()?),
            "ban" => self.bans.push(rest.parse().ok()?),
            "mute" => {
                let (until, rest) = rest.split_once(' ')?;
                let mut mute: Ban = rest.parse().ok()?;
                mute.kind = Kind::Mute(None);
                self.mutes.push((or(until)?, mute));
            }
            "client" => self.clients.push(client(rest)?),
            "nick" => {
                let mut words = rest.splitn(3, ' ');
                let (key, network, nick) = (words.next()?, words.next()?, words.next()?);
                let nick = Nick::parse(nick).ok()?;
                self.nicks
                    .push((key.parse().ok()?, network.parse().ok()?, nick.as_str().into()));
            }
            _ => return None,
        }
        Some(())
    }
}

fn topic(line: &str) -> Option<Topic> {
    let Ok(FromServer::Topic(who, text)) = FromServer::parse(line) else {
        return None;
    };
    let is_topic = |text: &Text<'_>| !text.is_blank() && text.as_str().chars().count() <= TOPIC_MAX;
    Some(Topic {
        who: who.to_string().into(),
        text: Some(text).filter(is_topic)?.into_owned(),
    })
}

fn client(words: &str) -> Option<Former> {
    let mut words = words.split(' ');
    let client = Former {
        token: words.next()?.parse().ok()?,
        key: words.next()?.parse().ok()?,
        network: words.next()?.parse().ok()?,
        lost_from: or(words.next()?)?,
        progress: match (words.next()?, words.next()?) {
            ("seq", seq) => Progress::Resumable {
                seq: seq.parse().ok()?,
                first: words.next()?.parse().ok()?,
            },
            ("next", next) => Progress::Replaced(next.parse().ok()?),
            ("new", next) => Progress::Adopted(next.parse().ok()?),
            _ => return None,
        },
    };
    words.next().is_none().then_some(client)
}

/// Adds the last line.
fn seal(bytes: &mut Vec<u8>) {
    let hash = Opaque(sha256(&[bytes]));
    bytes.extend_from_slice(format!("end {hash}\n").as_bytes());
}

/// What is before the last line, and the hash in that.
fn unseal(bytes: &[u8]) -> Option<(&[u8], [u8; 32])> {
    const LAST: usize = "end \n".len() + 43;
    let (body, last) = bytes.split_at_checked(bytes.len().checked_sub(LAST)?)?;
    let last = str::from_utf8(last).ok()?;
    let hash: Opaque<32> = last.strip_prefix("end ")?.strip_suffix('\n')?.parse().ok()?;
    body.ends_with(b"\n").then_some((body, hash.0))
}

/// A value, or `-` for none.
struct Or<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn or<T: FromStr>(word: &str) -> Option<Option<T>> {
    if word == "-" {
        return Some(None);
    }
    word.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINES: [&str; 13] = [
        "said 4611686018427387904 40 1700000000000",
        "TOPIC alice@10.0.0.7:40100 meeting at 3",
        "slow 3600",
        "locked",
        "member mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk",
        "operator mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk",
        "ban 2001:db8::/64 # bob@[2001:db8::1]:1: rude, by alice@10.0.0.7:5002 at 2026-11-27T06:25:00Z",
        "mute 1700000000000 mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk # 10.0.0.9:1:",
        "client AAECAwQFBgcICQoLDA0ODw mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 10.0.0.1 - seq 7 40",
        "client AAECAwQFBgcICQoLDA0ODw mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 10.0.0.1 40 next 8PHy8_T19vf4-fr7_P3-_w",
        "client AAECAwQFBgcICQoLDA0ODw mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk fd00::/64 40 new 8PHy8_T19vf4-fr7_P3-_w",
        "nick mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 127.0.0.1 Алиса",
        "SAID - alice@10.0.0.7:40100 ",
    ];

    /// A file with these lines and a right checksum.
    fn file(lines: &[&str]) -> Vec<u8> {
        let mut bytes = format!("chat-state {VERSION}\n{}\n", lines.join("\n")).into_bytes();
        seal(&mut bytes);
        bytes
    }

    fn again(bytes: &[u8]) -> Result<Vec<u8>, NoState> {
        State::parse(bytes).map(|state| state.to_bytes())
    }

    #[test]
    fn a_state_is_written_as_it_was_read() {
        let whole = file(&LINES);
        assert_eq!(again(&whole), Ok(whole.clone()));
        let last = [&whole[..], FINAL.as_bytes()].concat();
        assert_eq!(again(&last), Ok(last.clone()));
        let empty = State::default().to_bytes();
        assert_eq!(again(&empty), Ok(empty.clone()));
    }

    #[test]
    fn a_torn_or_changed_file_is_refused() {
        let whole = file(&LINES);
        for cut in 0..whole.len() {
            assert!(State::parse(&whole[..cut]).is_err(), "{cut} bytes");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[cut] ^= 1 << bit;
                assert!(State::parse(&changed).is_err(), "bit {bit} of byte {cut}");
            }
        }
        for (bytes, why) in [
            ([&whole[..], b"\n"].concat(), NoState::Torn),
            ([&whole[..], &whole[..]].concat(), NoState::Torn),
            ([&whole[..], b"final"].concat(), NoState::Torn),
            ([&whole[..], b"final\nfinal\n"].concat(), NoState::Torn),
            (b"# bans\n10.0.0.9\n".to_vec(), NoState::Foreign),
            (Vec::new(), NoState::Torn),
        ] {
            assert_eq!(again(&bytes), Err(why));
        }
    }

    #[test]
    fn another_version_and_a_bad_line_are_refused() {
        let mut other = b"chat-state 1\nsaid 1 - -\n".to_vec();
        seal(&mut other);
        assert_eq!(again(&other), Err(NoState::Version));
        for line in [
            "",
            "member mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk",
            "said 4611686018427387905 - -",
            "said 1 -",
            "slow 0",
            "slow 3601",
            "TOPIC alice@10.0.0.7:40100",
            "ban 127.0.0.1",
            "mute soon 10.0.0.9",
            "client AAECAwQFBgcICQoLDA0ODw mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 10.0.0.1 - seq 7",
            "client AAECAwQFBgcICQoLDA0ODw mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 10.0.0.1 - seq 7 8 9",
            "client AAECAwQFBgcICQoLDA0ODw mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 10.0.0.1 - old 7",
            "nick mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk 10.0.0.1 server",
            "later 7",
        ] {
            assert_eq!(again(&file(&["slow 30", line])), Err(NoState::Line(3)), "{line}");
        }
    }

    #[test]
    fn a_line_within_a_text_is_no_line_of_the_file() {
        let text = Text::new("hi\nfinal\nend x").into_owned();
        let topic = Topic {
            who: "alice@10.0.0.7:40100".into(),
            text: text.clone(),
        };
        let state = State {
            topic: Some(topic),
            ..State::default()
        };
        let state = State::parse(&state.to_bytes()).unwrap();
        assert_eq!(state.topic.map(|topic| topic.text), Some(text));
        assert!(!state.is_final);
    }

    fn client() -> impl Strategy<Value = Former> {
        let progress = prop_oneof![
            any::<(u64, u64)>().prop_map(|(seq, first)| Progress::Resumable { seq, first }),
            any::<[u8; 16]>().prop_map(|next| Progress::Replaced(Opaque(next))),
            any::<[u8; 16]>().prop_map(|next| Progress::Adopted(Opaque(next))),
        ];
        let fields = (
            any::<[u8; 16]>(),
            any::<[u8; 32]>(),
            network(),
            any::<Option<u64>>(),
            progress,
        );
        fields.prop_map(|(token, key, network, lost_from, progress)| Former {
            token: Opaque(token),
            key: Opaque(key),
            network,
            lost_from,
            progress,
        })
    }

    fn network() -> impl Strategy<Value = Network> {
        any::<std::net::IpAddr>().prop_map(Network::of)
    }

    /// A ban as an operator makes it.
    fn ban() -> impl Strategy<Value = Ban> {
        let fields = (any::<[u8; 32]>(), any::<u32>(), any::<u16>(), "\\PC{0,40}");
        fields.prop_map(|(key, address, port, reason)| {
            let address = std::net::Ipv4Addr::from(address | 0x8000_0000);
            let reason = Text::new(reason.trim());
            Ban {
                kind: Kind::Ban,
                key: Some(Opaque(key)),
                network: Some(Network::of(address.into())),
                who: format!("{address}:{port}").into(),
                note: format!("{reason}, by alice@10.0.0.7:5002").into(),
            }
        })
    }

    proptest! {
        #[test]
        fn every_state_round_trips(
            clients in prop::collection::vec(client(), 0..20),
            bans in prop::collection::vec(ban(), 0..5),
            mutes in prop::collection::vec((any::<Option<u64>>(), ban()), 0..5),
            keys in prop::collection::vec(any::<[u8; 32]>(), 0..5),
            nicks in prop::collection::vec((any::<[u8; 32]>(), network(), "[a-z][a-z0-9._-]{0,9}x"), 0..5),
            topic in prop::option::of("\\PC{1,50}"), said in 0..SAID_MAX, flags in any::<[bool; 3]>()) {
            let keys: Vec<PublicKey> = keys.into_iter().map(Opaque).collect();
            let topic = topic.map(|text| Text::new(&text).into_owned()).filter(|text| !text.is_blank());
            let state = State {
                is_final: flags[0],
                said,
                lost_from: flags[2].then_some(said / 2),
                before: flags[1].then_some(said),
                messages: b"SAID 7 10.0.0.1:1 hi\n".to_vec(),
                topic: topic.map(|text| Topic { who: "alice@10.0.0.7:40100".into(), text }),
                slow: flags[2].then_some(Duration::from_secs(30)),
                lock: flags[0].then(|| keys.clone()),
                operators: keys,
                bans,
                mutes,
                clients,
                nicks: nicks.into_iter().filter_map(|(key, network, nick)| Some((Opaque(key), network, Nick::parse(&nick).ok()?.as_str().into()))).collect(),
            };
            let bytes = state.to_bytes();
            prop_assert_eq!(again(&bytes), Ok(bytes));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in prop::collection::vec("[a-zA-Z]{0,9} \\PC{0,60}", 0..9)) {
            prop_assert!(State::parse(&bytes).is_err());
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let _ = State::parse(&file(&lines));
        }
    }
}
