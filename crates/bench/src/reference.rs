//! A minimal chat server: one thread around `poll(2)`.
//!
//! Each line is received and appended to one ring after its sender's address. Each turn makes one send for each
//! connection. Nothing is checked, limited, named or logged. A reader that falls too far behind delays everybody for up
//! to a second, because its bytes in the ring would be overwritten.

use crate::line::split_line;
use anyhow::Context;
use clap::Parser;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::{Domain, SockAddr, Socket, Type};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Bytes in the ring.
const RING: usize = 1 << 20;

/// The most connections accepted in one turn.
const ACCEPTS_MAX: usize = 256;

/// How long everybody waits for a slow reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// A minimal chat server around poll(2), as the baseline of measurements.
///
/// Sends each line to everybody after its sender's address, and announces joins and leaves. Understands the lines of the
/// plain dialect but no commands.
#[derive(Clone, Copy, Debug, Parser)]
#[command(name = "chat-reference", version)]
pub struct Args {
    /// The address to listen on.
    pub address: IpAddr,

    /// The port; 0 takes a free one.
    pub port: u16,

    /// The most bytes read from one connection in one turn.
    #[arg(long, value_name = "BYTES", default_value = "16384", value_parser = read_size)]
    pub read: usize,
}

/// The server.
pub struct Reference {
    listener: Socket,
    users: Vec<User>,
    ring: Box<[u8]>,
    /// The bytes appended so far.
    head: u64,
    buffer: Box<[u8]>,
    /// The most bytes read in one turn. Short lines grow by their prefix, and may overtake a reader, which is disconnected.
    reserve: u64,
    /// Since when the server does not read.
    held: Option<Instant>,
}

struct User {
    socket: Socket,
    prefix: Box<[u8]>,
    /// The incomplete line.
    partial: Vec<u8>,
    /// How much of the ring was sent: `head - RING <= cursor <= head`.
    cursor: u64,
    gone: bool,
}

impl Reference {
    /// Listens, and prints the address.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn open(args: Args) -> anyhow::Result<Self> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        let address = SocketAddr::new(args.address, args.port);
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        listener.set_reuse_address(true)?;
        listener.set_tcp_nodelay(true)?;
        listener.set_nonblocking(true)?;
        listener
            .bind(&SockAddr::from(address))
            .with_context(|| format!("can't listen at {address}"))?;
        listener.listen(4096)?;
        let address = listener.local_addr()?.as_socket().context("no IP socket")?;
        println!("listening on {address}");
        Ok(Self {
            listener,
            users: Vec::new(),
            ring: vec![0; RING].into(),
            head: 0,
            buffer: vec![0; args.read].into(),
            reserve: 8 * args.read as u64,
            held: None,
        })
    }

    /// Runs until it is killed.
    ///
    /// # Errors
    /// If `poll(2)` fails.
    pub fn run(mut self) -> anyhow::Result<Infallible> {
        let mut readable = Vec::new();
        loop {
            let newcomers = self.wait(&mut readable)?;
            if newcomers {
                self.accept();
            }
            for &place in &readable {
                self.receive(place);
            }
            self.send();
            self.reap();
        }
    }

    /// Waits for events. Returns whether there are new connections.
    fn wait(&mut self, readable: &mut Vec<usize>) -> anyhow::Result<bool> {
        let mut fds = Vec::with_capacity(self.users.len() + 1);
        let read = if self.held.is_some() {
            PollFlags::empty()
        } else {
            PollFlags::POLLIN
        };
        fds.push(PollFd::new(self.listener.as_fd(), read));
        for user in &self.users {
            let write = if user.cursor < self.head {
                PollFlags::POLLOUT
            } else {
                PollFlags::empty()
            };
            fds.push(PollFd::new(user.socket.as_fd(), read | write));
        }
        let timeout = if self.held.is_some() {
            PollTimeout::from(100_u8)
        } else {
            PollTimeout::NONE
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll failed"),
        }
        readable.clear();
        let mut places = fds.iter().enumerate().filter_map(|(place, fd)| {
            let events = fd.revents()?;
            (!events.is_empty() && events != PollFlags::POLLOUT).then_some(place)
        });
        let mut first = places.next();
        let newcomers = first.take_if(|first| *first == 0).is_some();
        readable.extend(first.into_iter().chain(places).map(|place| place - 1));
        Ok(newcomers)
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_MAX {
            let Ok((socket, peer)) = self.listener.accept() else {
                return;
            };
            let Some(peer) = peer.as_socket() else { continue };
            self.users.push(User {
                socket,
                prefix: format!("from {peer}: ").into_bytes().into(),
                partial: Vec::new(),
                cursor: self.head,
                gone: false,
            });
            self.append(format!("{peer} is online\n").as_bytes());
        }
    }

    fn receive(&mut self, place: usize) {
        let Some(user) = self.users.get_mut(place) else {
            return;
        };
        let count = match recv(user.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => 0,
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Err(_) => 0,
        };
        if count == 0 {
            user.gone = true;
            return;
        }
        let Self { ring, head, .. } = self;
        let mut bytes = self.buffer.get(..count).unwrap_or_default();
        while let Some((line, rest)) = split_line(bytes) {
            append(ring, head, &user.prefix);
            append(ring, head, &user.partial);
            append(ring, head, line);
            append(ring, head, b"\n");
            user.partial.clear();
            bytes = rest;
        }
        user.partial.extend_from_slice(bytes);
    }

    /// Sends once to each connection that is behind.
    fn send(&mut self) {
        let mut slowest = self.head;
        for user in &mut self.users {
            if user.cursor == self.head {
                continue;
            }
            if self.head - user.cursor > RING as u64 {
                user.gone = true;
                continue;
            }
            let (from, to) = (place(user.cursor), place(self.head));
            let end = if from < to { to } else { RING };
            let bytes = self.ring.get(from..end).unwrap_or_default();
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(user.socket.as_raw_fd(), bytes, flags) {
                Ok(count) => user.cursor += count as u64,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => user.gone = true,
            }
            slowest = slowest.min(user.cursor);
        }
        if self.head - slowest + self.reserve <= RING as u64 {
            self.held = None;
        } else if self.held.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            for user in &mut self.users {
                user.gone |= self.head - user.cursor + self.reserve > RING as u64;
            }
        }
    }

    fn reap(&mut self) {
        let mut place = 0;
        while let Some(user) = self.users.get(place) {
            if user.gone {
                let user = self.users.swap_remove(place);
                let who = String::from_utf8_lossy(&user.prefix);
                let who = who.trim_start_matches("from ").trim_end_matches(": ");
                self.append(format!("{who} is offline\n").as_bytes());
            } else {
                place += 1;
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        append(&mut self.ring, &mut self.head, bytes);
    }
}

fn append(ring: &mut [u8], head: &mut u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = ring.get_mut(place(*head)..).unwrap_or_default();
        let (now, later) = bytes.split_at(bytes.len().min(room.len()));
        if let Some(target) = room.get_mut(..now.len()) {
            target.copy_from_slice(now);
        }
        *head += now.len() as u64;
        bytes = later;
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset % RING as u64).unwrap_or_default()
}

fn read_size(text: &str) -> Result<usize, String> {
    let size: usize = text.parse().map_err(|_| "not a number")?;
    if (512..=256 * 1024).contains(&size) {
        Ok(size)
    } else {
        Err("between 512 and 262144".into())
    }
}
