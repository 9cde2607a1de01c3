//! The original programs of the lab, as far as their behaviour shows from outside.

use super::{DEADLINE, Feed, Journal, Wire};
use chat_proto::id::UserId;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

/// The original server reads into a buffer of 64 bytes and ends it like a C string.
const READ_MAX: usize = 63;
const USERS_MAX: usize = 5;

/// A server that sends no greeting and no line feeds, and forwards bytes as they arrive.
pub struct LegacyServer {
    pub address: SocketAddr,
    pub journal: Journal,
    /// The input of its users, one entry for each read.
    pub heard: Feed,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl LegacyServer {
    pub fn start() -> Self {
        let journal = Journal::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Feed::new("original", "<", &journal);
        let (stop, stopped) = UnixStream::pair().unwrap();
        let room = OriginalRoom {
            listener,
            users: Vec::new(),
            heard: heard.clone(),
        };
        Self {
            address,
            journal,
            heard,
            stop: Some(stop),
            thread: Some(std::thread::spawn(move || room.run(&stopped))),
        }
    }

    /// Another user of the same server: a bare connection.
    #[track_caller]
    pub fn connect(&self, name: &str) -> Wire {
        Wire::connect(name, self.address, &self.journal)
    }

    /// Ends the server and every connection to it.
    pub fn stop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for LegacyServer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct OriginalRoom {
    listener: TcpListener,
    users: Vec<(TcpStream, String)>,
    heard: Feed,
}

impl OriginalRoom {
    fn run(mut self, stopped: &UnixStream) {
        while let Some(ready) = self.wait(stopped) {
            for &number in ready.iter().rev() {
                match number.checked_sub(1) {
                    None => self.accept(),
                    Some(user) => self.read(user),
                }
            }
        }
    }

    /// The readable descriptors: 0 for the listener, then the users. `None` when the test is over.
    fn wait(&self, stopped: &UnixStream) -> Option<Vec<usize>> {
        let listener = std::iter::once(self.listener.as_fd());
        let all = listener.chain(self.users.iter().map(|(stream, _)| stream.as_fd()));
        let mut polled: Vec<PollFd<'_>> = all
            .chain([stopped.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Some(Vec::new()),
            other => other.unwrap(),
        };
        let is_ready = |polled: &PollFd<'_>| polled.any().unwrap_or(true);
        let stop = polled.pop().as_ref().is_none_or(is_ready);
        let ready = polled.iter().enumerate().filter(|(_, polled)| is_ready(polled));
        (!stop).then(|| ready.map(|(number, _)| number).collect())
    }

    fn accept(&mut self) {
        let (mut stream, address) = self.listener.accept().unwrap();
        if self.users.len() >= USERS_MAX {
            let _ = stream.write_all(b"too many users");
            return;
        }
        self.users.push((stream, address.to_string()));
        self.broadcast(format!("{address} is online").as_bytes());
    }

    fn read(&mut self, user: usize) {
        let mut buffer = [0; READ_MAX];
        let (stream, id) = &mut self.users[user];
        match stream.read(&mut buffer) {
            Err(_) | Ok(0) => {
                self.users.remove(user);
                self.broadcast(b"a user left");
            }
            Ok(count) => {
                let said = &buffer[..count];
                self.heard
                    .push(format!("{id}: {}", String::from_utf8_lossy(said)));
                let message = [format!("from {id}: ").as_bytes(), said].concat();
                self.broadcast(&message);
            }
        }
    }

    fn broadcast(&mut self, bytes: &[u8]) {
        for (stream, _) in &mut self.users {
            // The next read notices that a user has gone.
            let _ = stream.write_all(bytes);
        }
    }
}

/// A client that sends messages without line feeds, and receives private ones on the UDP port after its TCP port.
pub struct LegacyClient {
    wire: Wire,
    udp: UdpSocket,
}

impl LegacyClient {
    #[track_caller]
    pub fn connect(name: &str, server: SocketAddr, journal: &Journal) -> Self {
        let (socket, udp) = (0..64)
            .find_map(|_| port_pair())
            .unwrap_or_else(|| journal.fail("no two adjacent ports are free"));
        socket
            .connect(&server.into())
            .unwrap_or_else(|error| journal.fail(&format!("{name} can't connect: {error}")));
        udp.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            wire: Wire::over(name, socket.into(), journal),
            udp,
        }
    }

    /// Its connection, and the UDP socket on the port after it.
    pub fn into_parts(self) -> (Wire, UdpSocket) {
        (self.wire, self.udp)
    }

    /// Sends a private message to the UDP port after the target's.
    pub fn send_private(&self, to: &str, text: &str) {
        self.send_private_bytes(to, text.as_bytes());
    }

    pub fn send_private_bytes(&self, to: &str, bytes: &[u8]) {
        self.journal.note(
            &self.name,
            format!("> to {to} privately: {}", bytes.escape_ascii()),
        );
        let to: UserId = to.parse().unwrap();
        let to = to.private_address().unwrap();
        self.udp.send_to(bytes, to).unwrap();
    }

    /// Waits for a private message. Returns the sender that it claims, and its text.
    #[track_caller]
    pub fn receive_private(&self) -> (String, String) {
        let mut buffer = [0; 65536];
        match self.udp.recv_from(&mut buffer) {
            Ok((count, source)) => {
                let from = UserId::from_private_address(source).map(|id| id.to_string());
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                self.journal
                    .note(&self.name, format!("privately from {from:?}: {text}"));
                (from.unwrap_or_default(), text)
            }
            Err(error) => self.fail(&format!("{} gets no private message: {error}", self.name)),
        }
    }
}

impl Deref for LegacyClient {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for LegacyClient {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// A UDP port and the TCP port before it, if that is free too.
fn port_pair() -> Option<(Socket, UdpSocket)> {
    let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
    let port = udp.local_addr().ok()?.port().checked_sub(1)?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())
        .ok()?;
    Some((socket, udp))
}
