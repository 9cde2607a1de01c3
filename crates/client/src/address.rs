//! The address of a server, as a person writes it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The default port of a server.
pub const PORT: u16 = 9000;

/// The default host: this machine.
const HOST: &str = "127.0.0.1";

/// A server's host, and its TCP port if given.
///
/// Written `HOST`, `HOST:PORT`, `HOST PORT`, or `PORT` for a server on this machine. An IPv6 address may have brackets, and needs them before `:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: Option<u16>,
}

impl Address {
    /// The TCP port, or the default.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(PORT)
    }

    /// For the status line: always with the port.
    pub fn joined(&self) -> String {
        let port = self.port();
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }
}

/// `HOST PORT`, as on the command line.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.port())
    }
}

/// Why a text is not the address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// No host, or more than a host and a port.
    Host,
    /// The port is invalid.
    Port,
    /// There is a nick before the host.
    Nick,
    /// Numbers that are no complete IPv4 address. The system would take 1.2.3 for 1.2.0.3.
    Ipv4,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "expected a name or an address, such as 192.0.2.7 or [2001:db8::7]:9000",
            Self::Port => "a port is a number from 1 to 65535",
            Self::Nick => "expected a host without a user: the nick goes into `--nick NICK`",
            Self::Ipv4 => "an IPv4 address has four numbers from 0 to 255, such as 192.0.2.7",
        })
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(word), None, _) => one_word(word),
            (Some(host), Some(port), None) => address(bare(host), Some(port)),
            _ => Err(AddressError::Host),
        }
    }
}

fn one_word(word: &str) -> Result<Address, AddressError> {
    // Digits alone are no host: the system would take 9000 for the address 0.0.35.40.
    if is_number(word) {
        return address(HOST, Some(word));
    }
    match word.rsplit_once(':') {
        // Before the last colon of an IPv6 address without brackets, there are more colons.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => address(bare(host), Some(port)),
        _ => address(bare(word), None),
    }
}

fn address(host: &str, port: Option<&str>) -> Result<Address, AddressError> {
    let is_ipv6 = || {
        let (address, _scope) = host.split_once('%').unwrap_or((host, ""));
        address.parse::<Ipv6Addr>().is_ok()
    };
    if host.contains('@') {
        return Err(AddressError::Nick);
    }
    if host.is_empty() || is_number(host) || host.contains(['[', ']']) || host.contains(':') && !is_ipv6() {
        return Err(AddressError::Host);
    }
    if host.split('.').all(is_ipv4_number) && host.parse::<Ipv4Addr>().is_err() {
        return Err(AddressError::Ipv4);
    }
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(AddressError::Port),
    };
    Ok(Address {
        host: host.to_owned(),
        port,
    })
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the system would take this for a part of an IPv4 address.
fn is_ipv4_number(word: &str) -> bool {
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    is_number(word) || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn bare(host: &str) -> &str {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (text, host, port) in [
            ("example", "example", None),
            ("192.0.2.7", "192.0.2.7", None),
            ("192.0.2.7:9001", "192.0.2.7", Some(9001)),
            (" 192.0.2.7  9001 ", "192.0.2.7", Some(9001)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:9001", "::1", Some(9001)),
            ("::1 9001", "::1", Some(9001)),
            ("[::1] 9001", "::1", Some(9001)),
            ("fe80::1%eth0", "fe80::1%eth0", None),
            ("1.example", "1.example", None),
            ("0xyz", "0xyz", None),
            ("[fe80::1%eth0]:9", "fe80::1%eth0", Some(9)),
            ("9001", "127.0.0.1", Some(9001)),
            (" 9001 ", "127.0.0.1", Some(9001)),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text:?}");
            assert_eq!(
                address.to_string().parse(),
                Ok(Address {
                    port: Some(port.unwrap_or(PORT)),
                    ..address.clone()
                })
            );
            assert_eq!(
                address.joined().parse::<Address>().map(|again| again.host),
                Ok(address.host)
            );
        }
    }

    #[test]
    fn other_texts_are_no_address() {
        use AddressError::{Host, Ipv4, Nick, Port};
        for (text, error) in [
            ("", Host),
            (" ", Host),
            (":9000", Host),
            ("[]:9000", Host),
            ("a b c", Host),
            ("host 9000 more", Host),
            ("a:b:c", Host),
            ("[::1", Host),
            ("host:", Port),
            ("host:0", Port),
            ("host:65536", Port),
            ("host port", Port),
            ("host -1", Port),
            ("0", Port),
            ("70000", Port),
            ("-5", Port),
            ("9000 9001", Host),
            ("9000:9001", Host),
            ("alice@host", Nick),
            ("alice@host:9000", Nick),
            ("alice@[::1]", Nick),
            ("1.2.3", Ipv4),
            ("1.2.3:9000", Ipv4),
            ("127.1 9000", Ipv4),
            ("192.0.2.256", Ipv4),
            ("192.0.2.07", Ipv4),
            ("1.2.3.4.5", Ipv4),
            ("0x7f000001", Ipv4),
            ("0x7f.1", Ipv4),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
        }
    }
}
