//! `--status`: asks a running server for its figures, and prints them.

use anyhow::{Context, Result, anyhow, bail};
use chat_proto::opaque::{Opaque, Token};
use chat_proto::status::{self, QUESTION_LEN, Status, Traffic};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// For how long each address of the host has time to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A question is repeated after this time, since datagrams get lost.
const REPEAT: Duration = Duration::from_millis(500);

/// For how long looking the host up and asking may take.
const DEADLINE: Duration = Duration::from_secs(8);

/// Asks the server at this host and port, and prints the answer, for people or as JSON.
///
/// # Errors
/// If there is no answer, or the server shuts down.
pub fn run(host: String, port: u16, as_json: bool, to: &mut impl Write) -> Result<()> {
    let place = format!("{host} port {port}");
    let (sender, receiver) = mpsc::channel();
    // Looking a name up can't be stopped.
    thread::spawn(move || sender.send(ask(&host, port)));
    let answer = receiver.recv_timeout(DEADLINE);
    let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", DEADLINE.as_secs())));
    let status = answer.with_context(|| format!("no status of {place}"))?;
    to.write_all(if as_json { json(&status) } else { text(&status) }.as_bytes())?;
    if status.closing {
        bail!("the server shuts down");
    }
    Ok(())
}

fn ask(host: &str, port: u16) -> Result<Status> {
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    addresses.dedup();
    let mut refused = Err(anyhow!("the host has no address"));
    for address in addresses.into_iter().take(2) {
        match ask_at(address) {
            Ok(status) => return Ok(status),
            Err(error) => refused = Err(error),
        }
    }
    refused
}

fn ask_at(address: SocketAddr) -> Result<Status> {
    let own: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own)?;
    socket.connect(address)?;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| anyhow!("the system has no randomness"))?;
    let nonce: Token = Opaque(bytes);
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        socket.send(&status::question(&nonce)).map_err(explain)?;
        if let Some(status) = wait(&socket, &nonce, Instant::now() + REPEAT)? {
            return Ok(status);
        }
    }
    bail!(
        "no answer: it may be another program or an older chat-server, a firewall may block UDP, or the server may not \
         take connections from here"
    )
}

/// The answer, if it comes in time. Other datagrams are skipped.
fn wait(socket: &UdpSocket, nonce: &Token, until: Instant) -> Result<Option<Status>> {
    // With one byte more than the longest answer, a longer datagram is not mistaken for one.
    let mut buffer = [0; QUESTION_LEN + 1];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(count) => {
                let datagram = buffer.get(..count).unwrap_or_default();
                if let Some(status) = status::parse_answer(nonce, datagram) {
                    return Ok(Some(status));
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(explain(error)),
        }
    }
}

fn explain(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::ConnectionRefused => anyhow!("no server there, or another program has its UDP port"),
        _ => error.into(),
    }
}

/// A figure in a line.
fn text(status: &Status) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(lines, "{:<19} {value}", format!("{name}:"));
    };
    let flags = [
        (status.closing, "shutting down"),
        (
            status.users.is_some_and(|users| users >= status.max_users),
            "full",
        ),
        (status.locked, "locked"),
        (status.passphrase, "passphrase"),
        (status.sealed, "encrypted connections only"),
    ];
    let flags: Vec<_> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|&(_, flag)| flag)
        .collect();
    let open = if flags.is_empty() {
        "open".to_owned()
    } else {
        flags.join(", ")
    };
    let limit = status.max_users;
    let users = status.users.map(|users| format!("{users} of {limit}"));
    line("users", users.unwrap_or_else(|| format!("at most {limit}")));
    line("room", open);
    line("up", uptime(status.uptime));
    line("version", status.version.clone());
    if let Some(traffic) = status.traffic {
        line("bytes received", traffic.received.to_string());
        line("bytes sent", traffic.sent.to_string());
        line("refusals", traffic.refused.to_string());
        line("slow readers", traffic.slow.to_string());
        line("asked for status", traffic.asked.to_string());
    }
    lines
}

/// As days, hours, minutes and seconds, without those that are zero at the left.
fn uptime(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let shown = parts
        .iter()
        .skip_while(|(count, unit)| *count == 0 && *unit != "s");
    let shown: Vec<_> = shown.map(|(count, unit)| format!("{count} {unit}")).collect();
    shown.join(" ")
}

/// One object. Nothing in it needs to be escaped.
fn json(status: &Status) -> String {
    let Status {
        version,
        uptime,
        users,
        max_users,
        closing,
        locked,
        passphrase,
        sealed,
        traffic,
    } = status;
    let users = users.map_or_else(|| "null".to_owned(), |users| users.to_string());
    let mut object = format!(
        "{{\"ok\":{},\"version\":\"{version}\",\"uptime\":{uptime},\"users\":{users},\"max_users\":{max_users},\
         \"closing\":{closing},\"locked\":{locked},\"passphrase\":{passphrase},\"sealed\":{sealed}",
        !closing
    );
    if let Some(traffic) = traffic {
        let Traffic {
            received,
            sent,
            refused,
            slow,
            asked,
        } = traffic;
        let _ = write!(
            object,
            ",\"received\":{received},\"sent\":{sent},\"refused\":{refused},\"slow\":{slow},\"asked\":{asked}"
        );
    }
    object + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            uptime: 93_784,
            users: Some(2),
            max_users: 2,
            closing: false,
            locked: true,
            passphrase: false,
            sealed: false,
            traffic: Some(Traffic {
                received: 1,
                sent: 2,
                refused: 3,
                slow: 4,
                asked: 5,
            }),
        }
    }

    #[test]
    fn a_person_reads_a_figure_in_a_line() {
        let expected = "\
users:              2 of 2
room:               full, locked
up:                 1 d 2 h 3 min 4 s
version:            0.1.0
bytes received:     1
bytes sent:         2
refusals:           3
slow readers:       4
asked for status:   5
";
        assert_eq!(text(&status()), expected);
        let open = Status {
            users: Some(0),
            locked: false,
            uptime: 0,
            traffic: None,
            ..status()
        };
        assert_eq!(
            text(&open),
            "users:              0 of 2\nroom:               open\nup:                 0 s\nversion:            0.1.0\n"
        );
    }

    #[test]
    fn a_longer_datagram_is_no_answer() {
        let open = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (server, socket) = (open(), open());
        socket.connect(server.local_addr().unwrap()).unwrap();
        let nonce = Opaque([7; 16]);
        for (uptime, length) in [(1, QUESTION_LEN + 1), (2, 2 * QUESTION_LEN), (3, QUESTION_LEN)] {
            let status = Status { uptime, ..status() };
            let mut answer = status::answer(&nonce, &status).unwrap();
            answer.resize(length, b' ');
            server.send_to(&answer, socket.local_addr().unwrap()).unwrap();
        }
        let until = Instant::now() + Duration::from_secs(10);
        let answer = wait(&socket, &nonce, until).unwrap().unwrap();
        assert_eq!(answer.uptime, 3);
    }

    #[test]
    fn a_program_reads_one_object() {
        let expected = "{\"ok\":true,\"version\":\"0.1.0\",\"uptime\":93784,\"users\":2,\"max_users\":2,\"closing\":false,\
             \"locked\":true,\"passphrase\":false,\"sealed\":false,\"received\":1,\"sent\":2,\"refused\":3,\"slow\":4,\"asked\":5}\n";
        assert_eq!(json(&status()), expected);
        let closing = Status {
            closing: true,
            traffic: None,
            ..status()
        };
        assert!(json(&closing).starts_with("{\"ok\":false,"));
        assert!(json(&closing).ends_with("\"sealed\":false}\n"));
    }
}
