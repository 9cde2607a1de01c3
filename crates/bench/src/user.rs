//! A user of the crowd.

use crate::audit::Audit;
use crate::dialect::Dialect;
use crate::reader::Reader;
use crate::sealed::{Arrived, Sealed};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// A socket and its buffers.
#[derive(Debug)]
pub struct User {
    /// `None` once the server has closed it.
    socket: Option<Socket>,
    /// The receiving side.
    pub reader: Reader,
    /// The encrypted channel, if the dialect has one.
    sealed: Option<Sealed>,
    /// Bytes to send, and how many of them are sent.
    out: Vec<u8>,
    sent: usize,
    /// The messages sent, including those in `out`.
    pub said: u32,
    /// The registered interest, which is only changed when it differs.
    pub waits_to_write: bool,
}

impl User {
    /// Connects. Blocks until the connection is established.
    ///
    /// # Errors
    /// If the connection is refused.
    pub fn connect(server: SocketAddr, sealed: Option<Sealed>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        // Close with a reset: connections in TIME_WAIT would use up all ports after a few runs.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.connect(&SockAddr::from(server))?;
        Ok(Self {
            socket: Some(socket),
            reader: Reader::default(),
            sealed,
            out: Vec::new(),
            sent: 0,
            said: 0,
            waits_to_write: false,
        })
    }

    /// The socket, while it is open.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Whether there are unsent bytes.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sent < self.out.len()
    }

    /// The buffer for bytes to send.
    pub fn out(&mut self) -> &mut Vec<u8> {
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        &mut self.out
    }

    /// Says this, which was appended to [`User::out`] from here on.
    pub fn seal(&mut self, from: usize) {
        if let Some(sealed) = &mut self.sealed {
            let said = self.out.split_off(from);
            sealed.say(&said, &mut self.out);
        }
    }

    /// Bytes arrived: answers are queued.
    pub fn take(&mut self, now: u64, bytes: &[u8], audit: &mut Audit) {
        self.out();
        let Some(sealed) = &mut self.sealed else {
            return self.reader.receive(now, bytes, audit, &mut self.out);
        };
        let opened;
        let bytes = match sealed.receive(bytes, &mut self.out) {
            Arrived::Clear => bytes,
            Arrived::Lines(lines) => {
                opened = lines;
                &opened
            }
            Arrived::Unopened(count) => return self.reader.skip(now, count, audit),
        };
        let mut replies = Vec::new();
        self.reader.receive(now, bytes, audit, &mut replies);
        sealed.say(&replies, &mut self.out);
    }

    /// Begins the phase of messages. Only one reader needs to open them.
    pub fn start(&mut self, dialect: Dialect, opens: bool) {
        self.reader.start(dialect);
        if let Some(sealed) = self.sealed.as_mut().filter(|_| !opens) {
            sealed.stop_opening();
        }
    }

    /// Reads once; nothing if no bytes are there or the connection has ended.
    pub fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> &'b [u8] {
        let Some(socket) = &self.socket else { return &[] };
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => self.socket = None,
            Ok(count) => return buffer.get(..count).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.socket = None,
        }
        &[]
    }

    /// Sends as much as the socket accepts.
    pub fn send(&mut self) {
        let Some(socket) = &self.socket else { return };
        let rest = self.out.get(self.sent..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(socket.as_raw_fd(), rest, flags) {
            Ok(count) => self.sent += count,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.socket = None,
        }
    }
}
