//! Connections of other protocols, by their first bytes.
//!
//! A web page can make a browser send a request here, whose headers and body would all be messages; scanners send the
//! first bytes of whatever they look for. None of them is a user.

/// As much of a connection as is looked at.
pub(crate) const HEAD_MAX: usize = chat_proto::LINE_MAX;

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Those of a person or of a client.
    Chat,
    /// The line may become that of another protocol.
    Open,
    /// Those of another protocol.
    Foreign,
}

/// How the requests of HTTP begin. A browser sends others only after it has asked with `OPTIONS`. A request that names
/// its path is recognised before its end: the path may be longer than a line.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
];

/// What follows a method of HTTP.
const TARGETS: [&[u8]; 4] = [b"/", b"* ", b"http://", b"https://"];

/// The first bytes of other protocols of text: SSH, VNC, SMTP, LMTP, IRC, FTP and POP3, XMPP, the PROXY protocol, rsync,
/// Redis, the debugger of Java, WebLogic, Gnutella. Each has capitals or signs with which no sentence begins.
const BEGINNINGS: [&[u8]; 19] = [
    b"SSH-",
    b"RFB 0",
    b"EHLO ",
    b"HELO ",
    b"LHLO ",
    b"CAP LS",
    b"CAP REQ",
    b"NICK ",
    b"USER ",
    b"PASS ",
    b"<?xml",
    b"<stream:",
    b"PROXY TCP",
    b"PROXY UNKNOWN",
    b"@RSYNCD:",
    b"*1\r\n$",
    b"JDWP-Handshake",
    b"t3 12",
    b"GNUTELLA",
];

/// A telnet client that negotiates begins with this byte, which no text has: "interpret as command" (RFC 854).
const IAC: u8 = 0xff;

/// Looks at the first bytes of a connection, up to [`HEAD_MAX`] of them.
#[must_use]
pub(crate) fn judge(head: &[u8]) -> Verdict {
    let end = head.iter().position(|&byte| byte == b'\n');
    let line = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
    let is_binary = !line.starts_with(&[IAC]) && line.iter().any(|&byte| is_binary(byte));
    if is_binary || begins(head) || is_request(line, end.is_some()) {
        Verdict::Foreign
    } else if end.is_none() && may_go_on(line) {
        Verdict::Open
    } else {
        Verdict::Chat
    }
}

/// A control character that no key of a terminal in its line mode sends: TLS, RDP, STUN, DNS, SMB, databases and
/// brokers all have one before their first line feed.
fn is_binary(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\x07'..=b'\r' | b'\x1b')
}

fn begins(head: &[u8]) -> bool {
    let names_target = |method: &[u8]| {
        let target = head.strip_prefix(method);
        target.is_some_and(|target| TARGETS.iter().any(|begun| target.starts_with(begun)))
    };
    BEGINNINGS.iter().any(|begun| head.starts_with(begun))
        || METHODS.iter().any(|method| names_target(method))
}

/// A request of HTTP, RTSP or SIP, whatever its method: three words, the last of which is a version.
fn is_request(line: &[u8], ended: bool) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&byte| byte == b' ');
    let (method, _target, version) = (words.next(), words.next(), words.next());
    let is_version = |version: &[u8]| {
        let number = [b"HTTP/".as_slice(), b"RTSP/", b"SIP/"]
            .iter()
            .find_map(|name| version.strip_prefix(*name));
        number.is_some_and(|number| number.first().is_some_and(u8::is_ascii_digit))
    };
    ended && method.is_some_and(is_capitals) && version.is_some_and(is_version) && words.next().is_none()
}

/// Whether a line without an end may become that of another protocol.
fn may_go_on(line: &[u8]) -> bool {
    let first = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    is_capitals(first) || BEGINNINGS.iter().any(|begun| begun.starts_with(line))
}

fn is_capitals(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_uppercase)
}
