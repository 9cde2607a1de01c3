//! A bare TCP connection that sends bytes and reads lines.

use super::{DEADLINE, Journal};
use chat_noise::handshake::{self, Offer, Server};
use chat_noise::key::KeyPair;
use chat_noise::record::{Channel, RECORD_MAX};
use chat_proto::LINE_MAX;
use chat_proto::id::UserId;
use chat_proto::opaque::PublicKey;
use socket2::{Domain, SockRef, Socket, Type};
use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Reads only while the test waits for input. A test that does not wait is a slow reader.
pub struct Wire {
    pub name: String,
    pub journal: Journal,
    stream: TcpStream,
    received: Vec<u8>,
    /// Encrypts what is sent and received, once there is one.
    channel: Option<Channel>,
    end: Option<End>,
    id: String,
    /// How long a send may block.
    send_timeout: Duration,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
}

impl Wire {
    #[track_caller]
    pub fn connect(name: &str, server: SocketAddr, journal: &Journal) -> Self {
        let stream = TcpStream::connect(reachable(server))
            .unwrap_or_else(|error| journal.fail(&format!("{name} can't connect: {error}")));
        Self::over(name, stream, journal)
    }

    /// Connects with a small receive buffer, so that little fits between the server and the reader.
    #[track_caller]
    pub fn connect_narrow(name: &str, server: SocketAddr, journal: &Journal) -> Self {
        let server = reachable(server);
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket
            .connect(&server.into())
            .unwrap_or_else(|error| journal.fail(&format!("{name} can't connect: {error}")));
        Self::over(name, socket.into(), journal)
    }

    pub fn over(name: &str, stream: TcpStream, journal: &Journal) -> Self {
        stream.set_nodelay(true).unwrap();
        let id = UserId::from(stream.local_addr().unwrap()).to_string();
        journal.note(name, format!("- connects as {id}"));
        Self {
            name: name.to_owned(),
            journal: journal.clone(),
            stream,
            received: Vec::new(),
            channel: None,
            end: None,
            id,
            send_timeout: DEADLINE,
        }
    }

    /// The id by which the server knows this connection.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sends exactly these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.try_send(bytes.as_ref()) {
            self.fail(&format!("{} can't send: {error}", self.name));
        }
    }

    /// From here on, a send that blocks for long fails.
    pub fn limit_send_time(&mut self) {
        self.send_timeout = Duration::from_millis(500);
    }

    /// Sends these bytes, or returns why the other side does not accept them.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.journal
            .note(&self.name, format!("> {}", bytes.escape_ascii()));
        self.stream.set_write_timeout(Some(self.send_timeout))?;
        let bytes = self.encrypted(bytes);
        self.stream.write_all(&bytes)
    }

    /// What the socket is to carry.
    fn encrypted<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(channel) = &mut self.channel else {
            return bytes.into();
        };
        let mut records = Vec::new();
        for record in bytes.chunks(LINE_MAX) {
            channel.sealer.seal(Duration::ZERO, [record], &mut records);
        }
        records.into()
    }

    /// Sends this greeting of a server and encrypts the connection, with this secret key. The client's first line can be
    /// read next. Returns the key that the client has proven.
    #[track_caller]
    pub fn greet(&mut self, greeting: &str, secret: [u8; 32]) -> PublicKey {
        self.line(greeting);
        let offer = Offer {
            greeting: greeting.as_bytes(),
            key: &KeyPair::from_secret(secret),
            is_kept: true,
            phrase: None,
        };
        let line = self.expect("SEAL 1 ");
        let mut random = |bytes: &mut [u8]| bytes.fill(9);
        let begun = Server::begin(&offer, line.as_bytes(), &mut random);
        let (server, line) = begun.unwrap_or_else(|why| self.fail(&format!("no handshake: {why:?}")));
        self.line(&line);
        let line = self.expect("SEAL 1 ");
        let (first, established) = server
            .finish(line.as_bytes(), Duration::ZERO)
            .unwrap_or_else(|why| self.fail(&format!("no handshake: {why:?}")));
        let rest = std::mem::take(&mut self.received);
        self.received = [&first, b"\n".as_slice()].concat();
        self.channel = Some(established.channel);
        self.take(&rest);
        established.peer
    }

    /// Encrypts the connection as a client whose secret key this is, after this greeting, with this as its first line.
    #[track_caller]
    pub fn seal(&mut self, greeting: &str, secret: [u8; 32], first: impl AsRef<[u8]>) {
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let key = KeyPair::from_secret(secret);
        let (client, line) = handshake::Client::begin(greeting.as_bytes(), &key, None, &mut random);
        self.line(&line);
        let line = self.expect("SEAL 1 ");
        let met = client
            .read(line.as_bytes())
            .unwrap_or_else(|why| self.fail(&format!("no handshake: {why:?}")));
        let (line, established) = met.finish(first.as_ref(), Duration::ZERO);
        self.line(&line);
        self.channel = Some(established.channel);
    }

    /// Bytes arrived.
    fn take(&mut self, bytes: &[u8]) {
        match &mut self.channel {
            Some(channel) => {
                let opened = channel.opener.open(bytes, RECORD_MAX, &mut self.received);
                if opened.is_err() {
                    self.fail(&format!("{} receives what was changed on the way", self.name));
                }
            }
            None => self.received.extend_from_slice(bytes),
        }
    }

    /// Sends many bytes; the journal records only their number. Returns whether all of them were accepted.
    pub fn send_bulk(&mut self, bytes: &[u8]) -> bool {
        self.journal.note(&self.name, format!("> {} bytes", bytes.len()));
        self.stream.set_write_timeout(Some(self.send_timeout)).unwrap();
        let bytes = self.encrypted(bytes);
        self.stream.write_all(&bytes).is_ok()
    }

    /// The address of the other end.
    pub fn peer(&self) -> UserId {
        self.stream.peer_addr().unwrap().into()
    }

    /// Sends a line.
    #[track_caller]
    pub fn line(&mut self, text: &str) {
        self.send(format!("{text}\n"));
    }

    /// Waits for the next line, which must be UTF-8; `None` once the connection has ended.
    #[track_caller]
    pub fn next_line(&mut self) -> Option<String> {
        self.next_line_within(DEADLINE)
            .unwrap_or_else(|| self.fail(&format!("{} receives no further line", self.name)))
    }

    /// The next line; `Some(None)` at the end, `None` after this time.
    #[track_caller]
    pub fn next_line_within(&mut self, limit: Duration) -> Option<Option<String>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Some(Some(self.utf8(&line[..end])));
            }
            if self.end.is_some() {
                if !self.received.is_empty() {
                    let rest = String::from_utf8_lossy(&self.received).into_owned();
                    self.fail(&format!(
                        "{}: the last line has no line feed: {rest:?}",
                        self.name
                    ));
                }
                return Some(None);
            }
            if !self.read_before(until) {
                return None;
            }
        }
    }

    /// Reads once; `false` if nothing arrived in time.
    fn read_before(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended(End::Closed),
            Ok(count) => self.take(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.ended(End::Reset),
        }
        true
    }

    fn ended(&mut self, end: End) {
        self.journal.note(&self.name, format!("- {end:?}"));
        self.end = Some(end);
    }

    #[track_caller]
    fn utf8(&self, line: &[u8]) -> String {
        match std::str::from_utf8(line) {
            Ok(line) => {
                self.journal.note(&self.name, line);
                line.to_owned()
            }
            Err(_) => self.fail(&format!(
                "{} receives invalid UTF-8: {}",
                self.name,
                line.escape_ascii()
            )),
        }
    }

    /// Reads up to a line that contains this text, and returns that line.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        self.until(text).pop().unwrap_or_default()
    }

    /// Reads up to and including a line that contains this text, and returns all lines.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.next_line_within(left) {
                Some(Some(line)) => lines.push(line),
                Some(None) => self.fail(&format!("{} receives the end instead of {text:?}", self.name)),
                None => self.fail(&format!("{} does not receive {text:?}", self.name)),
            }
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// Reads one line, which must be this one.
    #[track_caller]
    pub fn expect_next(&mut self, line: &str) {
        let heard = self.next_line();
        if heard.as_deref() != Some(line) {
            self.fail(&format!("{} receives {heard:?} instead of {line:?}", self.name));
        }
    }

    /// Reads to the end of the connection, and returns the lines.
    #[track_caller]
    pub fn until_end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.next_line() {
            lines.push(line);
        }
        lines
    }

    /// How the connection ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Waits for bytes without a line feed, as a legacy server sends text.
    #[track_caller]
    pub fn expect_text(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let until = Instant::now() + DEADLINE;
        loop {
            let found = self.received.windows(text.len()).position(|bytes| bytes == text);
            if let Some(at) = found {
                let heard: Vec<u8> = self.received.drain(..at + text.len()).collect();
                self.journal.note(&self.name, String::from_utf8_lossy(&heard));
                return;
            }
            if self.end.is_some() || !self.read_before(until) {
                let heard = String::from_utf8_lossy(&self.received);
                let text = text.escape_ascii();
                self.fail(&format!("{} receives {heard:?} without \"{text}\"", self.name));
            }
        }
    }

    /// Closes the sending side, and can still read.
    pub fn half_close(&mut self) {
        self.journal.note(&self.name, "- half closes");
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the connection in order. It reads to the end first: the system resets a connection that is closed with
    /// unread data.
    #[track_caller]
    pub fn close(mut self) {
        self.half_close();
        while self.end.is_none() {
            self.received.clear();
            if !self.read_before(Instant::now() + DEADLINE) {
                self.fail(&format!("{} is not disconnected", self.name));
            }
        }
    }

    /// Resets the connection.
    pub fn reset(self) {
        self.journal.note(&self.name, "- resets");
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    #[track_caller]
    pub fn fail(&self, reason: &str) -> ! {
        self.journal.fail(reason)
    }
}

/// An address that reaches the server, also if it listens on all addresses.
fn reachable(mut server: SocketAddr) -> SocketAddr {
    if server.ip().is_unspecified() {
        server.set_ip(match server {
            SocketAddr::V4(_) => [127, 0, 0, 1].into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    server
}
