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

/// How requests of HTTP begin whose path may be longer than a line. A browser sends other methods only after it has
/// asked with `OPTIONS`.
const REQUESTS: [&[u8]; 8] = [
    b"GET /",
    b"HEAD /",
    b"POST /",
    b"PUT /",
    b"DELETE /",
    b"OPTIONS /",
    b"PATCH /",
    b"TRACE /",
];

/// The first bytes of other protocols of text: SSH, VNC, XMPP, the PROXY protocol, rsync, the debugger of Java, WebLogic,
/// Gnutella. Each has capitals or signs with which no sentence begins.
const BEGINNINGS: [&[u8]; 12] = [
    b"SSH-1.",
    b"SSH-2.",
    b"RFB 00",
    b"<?xml ver",
    b"<stream:",
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"PROXY UNKNOWN\r",
    b"@RSYNCD:",
    b"JDWP-Handshake",
    b"t3 12.",
    b"GNUTELLA CONNECT",
];

/// Looks at the first bytes of a connection, up to [`HEAD_MAX`] of them. Empty lines before them say nothing: the PROXY
/// protocol begins with two. Nor does the byte 255, which is telnet's.
#[must_use]
pub(crate) fn judge(head: &[u8]) -> Verdict {
    let begin = head.iter().position(|byte| !b"\r\n\xff".contains(byte));
    let head = head.get(begin.unwrap_or_default()..).unwrap_or_default();
    let end = head.iter().position(|&byte| byte == b'\n');
    let line = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
    let is_binary = line.iter().any(|&byte| is_binary(byte));
    let is_foreign_line = end.is_some() && (is_request(line) || is_command(line));
    if is_binary || begins(head) || is_array(head) || is_foreign_line {
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
    let mut all = BEGINNINGS.iter().chain(&REQUESTS);
    all.any(|begun| head.starts_with(begun))
}

/// A command of Redis: an array of strings, each with its length.
fn is_array(head: &[u8]) -> bool {
    let rest = head.strip_prefix(b"*").unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..).is_some_and(|rest| rest.starts_with(b"\r\n$"))
}

/// A request of HTTP, RTSP or SIP, whatever its method: three words, of which the second names a path or an address and
/// the third is a version.
fn is_request(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&byte| byte == b' ');
    let (_method, target, version) = (words.next(), words.next(), words.next());
    let is_target = |target: &[u8]| target.starts_with(b"/") || target == b"*" || target.contains(&b':');
    let is_version = |version: &[u8]| {
        let number = [b"HTTP/".as_slice(), b"RTSP/", b"SIP/"]
            .iter()
            .find_map(|name| version.strip_prefix(*name));
        number.is_some_and(|number| number.first().is_some_and(u8::is_ascii_digit))
    };
    target.is_some_and(is_target) && version.is_some_and(is_version) && words.next().is_none()
}

/// A first command of SMTP, LMTP, IRC, FTP or POP3, whose lines end in CR LF. Those of a telnet client do too, so the
/// words after it count: "USER manual?" and "PASS the salt" are what people say.
fn is_command(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").map(str::from_utf8);
    let Some(Ok(line)) = line else { return false };
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["EHLO" | "HELO" | "LHLO"] | ["CAP", "LS" | "REQ" | "END", ..] => true,
        ["EHLO" | "HELO" | "LHLO" | "NICK" | "USER" | "PASS", word] => !word.ends_with(['?', '!', '.', ',']),
        ["USER", _, _, _, name, ..] => name.starts_with(':'),
        _ => false,
    }
}

/// Whether a line without an end may become that of another protocol.
fn may_go_on(line: &[u8]) -> bool {
    let first = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    let is_count = line
        .strip_prefix(b"*")
        .is_some_and(|count| count.trim_ascii_end().iter().all(u8::is_ascii_digit));
    is_capitals(first) || is_count || BEGINNINGS.iter().any(|begun| begun.starts_with(line))
}

/// Names of methods have hyphens too, and those of RTSP underscores.
fn is_capitals(word: &[u8]) -> bool {
    let is_capital = |byte: &u8| byte.is_ascii_uppercase() || b"-_".contains(byte);
    !word.is_empty() && word.iter().all(is_capital)
}
