//! A room of the LAN, how it is joined, and whether its key is the remembered one.

use crate::address::Address;
use crate::known_servers::KnownServers;
use chat_discovery::browser::Room;
use chat_noise::key;
use nix::net::if_::if_indextoname;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// A room, and what is remembered of its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the room says of itself.
    pub room: Room,
    /// What to join, as a person would write it: where a key is remembered, else the best address.
    pub address: Address,
    /// The key.
    pub key: KeyState,
}

/// How the key that a room announces compares with the remembered keys. Joining proves the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing, or the room does not say which one it has.
    New,
    /// It is this one, perhaps at another address.
    Known,
    /// At one of its addresses it was another one.
    Changed,
}

impl Found {
    /// Looks up what is remembered of a room.
    #[must_use]
    pub fn new(room: Room, known: Option<&KnownServers>) -> Self {
        let mut addresses = room.addresses.iter().map(|address| written(*address));
        // An unreadable file is reported when a room is joined.
        let remembered = |address: &Address| known?.recall(address).ok().flatten();
        let mut met = addresses
            .clone()
            .filter_map(|address| Some((key::fingerprint(&remembered(&address)?.key), address)));
        let claimed = room.about.fingerprint;
        // Anybody may add an address to what a room announces.
        let first = met
            .clone()
            .find(|(key, _)| Some(*key) == claimed)
            .or_else(|| met.next());
        let (key, address) = match (first, claimed) {
            (Some((key, address)), Some(claimed)) if key == claimed => (KeyState::Known, Some(address)),
            (Some((_, address)), Some(_)) => (KeyState::Changed, Some(address)),
            (Some((_, address)), None) => (KeyState::New, Some(address)),
            (None, Some(claimed)) if known.is_some_and(|known| known.has(claimed)) => {
                (KeyState::Known, addresses.next())
            }
            (None, _) => (KeyState::New, addresses.next()),
        };
        let address =
            address.unwrap_or_else(|| written(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).into()));
        Self { room, address, key }
    }

    /// What the room asks for, and what is known of its key, in words.
    #[must_use]
    pub fn marks(&self) -> Vec<&'static str> {
        let about = self.room.about;
        let key = match self.key {
            KeyState::New => None,
            KeyState::Known => Some("known"),
            KeyState::Changed => Some("changed"),
        };
        let marks = [
            about.has_passphrase.then_some("passphrase"),
            about.is_sealed.then_some("sealed"),
            key,
        ];
        marks.into_iter().flatten().collect()
    }
}

/// `HOST PORT MARKS NAME`, with `-` for no marks. The name is last, because it may have blanks.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = self.marks();
        let marks = if marks.is_empty() {
            "-".to_owned()
        } else {
            marks.join(",")
        };
        write!(f, "{} {marks} {}", self.address, self.room.name)
    }
}

/// An address as a person writes it: a link-local one names its interface.
fn written(address: SocketAddr) -> Address {
    let host = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let name = if_indextoname(v6.scope_id())
                .ok()
                .and_then(|name| name.into_string().ok())
                .filter(|name| !name.is_empty());
            let name = name.unwrap_or_else(|| v6.scope_id().to_string());
            format!("{}%{name}", v6.ip())
        }
        address => address.ip().to_string(),
    };
    Address {
        host,
        port: Some(address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::secure::Proven;
    use chat_discovery::message::{About, Label};
    use chat_proto::opaque::Opaque;

    fn room(addresses: &[&str], key: Option<u8>) -> Room {
        Room {
            name: Label::new("Lab 3").unwrap(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            about: About {
                fingerprint: key.map(|key| key::fingerprint(&Opaque([key; 32]))),
                is_sealed: true,
                ..About::default()
            },
        }
    }

    #[test]
    fn a_room_is_joined_where_its_key_is_remembered() {
        let directory = std::env::temp_dir().join(format!("chat-found-{}", std::process::id()));
        let known = KnownServers::at(directory.join("known-servers"));
        let addresses = ["192.0.2.7:9000", "[2001:db8::7]:9000"];
        let found = |key| {
            let found = Found::new(room(&addresses, key), Some(&known));
            (found.address.to_string(), found.key, found.to_string())
        };
        let shown = |marks: &str, host: &str| format!("{host} 9000 {marks} Lab 3");
        assert_eq!(
            found(Some(1)),
            (
                "192.0.2.7 9000".into(),
                KeyState::New,
                shown("sealed", "192.0.2.7")
            )
        );
        let of = |key| Proven {
            key: Opaque([key; 32]),
            is_kept: true,
            has_phrase: false,
        };
        known.meet(&"2001:db8::7 9000".parse().unwrap(), of(1));
        let at = "2001:db8::7";
        assert_eq!(
            found(Some(1)),
            (format!("{at} 9000"), KeyState::Known, shown("sealed,known", at))
        );
        assert_eq!(
            found(Some(2)),
            (
                format!("{at} 9000"),
                KeyState::Changed,
                shown("sealed,changed", at)
            )
        );
        assert_eq!(
            found(None),
            (format!("{at} 9000"), KeyState::New, shown("sealed", at))
        );
        known.meet(&"192.0.2.7 9000".parse().unwrap(), of(2));
        assert_eq!(found(Some(1)).0, format!("{at} 9000"), "the key decides");
        assert_eq!(found(Some(2)).0, "192.0.2.7 9000");
        let elsewhere = |key| Found::new(room(&["192.0.2.9:9000"], key), Some(&known)).key;
        assert_eq!(
            [Some(1), Some(3), None].map(elsewhere),
            [KeyState::Known, KeyState::New, KeyState::New]
        );
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_link_local_address_names_its_interface() {
        // Every system has it, and it is the first.
        let found = Found::new(room(&["[fe80::7%1]:9000"], None), None);
        assert_eq!(found.address.to_string(), "fe80::7%lo 9000");
        let found = Found::new(room(&["[fe80::7%4000000]:9000"], None), None);
        assert_eq!(found.address.to_string(), "fe80::7%4000000 9000");
    }
}
