//! The UDP side of the server: clients learn here which address the rest of the world sees them at.
//!
//! The room's part is pure; the socket is [`Desk`]. Nothing here ever carries a message.

use crate::rate::{Rate, Usage};
use crate::room::Room;
use crate::roster::Slot;
use chat_proto::id::canonical;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rendezvous::{REQUEST_MAX, Request, answer, is_padded};
use chat_proto::rich::FromServer;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};

/// Requests a second that one token is answered; a client needs one in 20 seconds, and a few when its
/// address changes.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;

/// Requests that one token is answered at once.
const REQUESTS_AT_ONCE: u32 = 8;

/// Datagrams taken in one turn, so that a flood of them leaves time for those who talk.
const DATAGRAMS_MAX: usize = 64;

/// How far one client has got with learning its address.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests answered, against the rate.
    usage: Usage,
    /// The last nonce that was sent out, and to where.
    offered: Option<(Token, SocketAddr)>,
}

impl Room {
    /// What to send back to the source of a datagram: nothing, unless it has the token of somebody
    /// who is here and does not ask too often.
    pub fn rendezvous(&mut self, now: Now, source: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let slot = self.roster.asked_by(&Request::parse(datagram)?.token)?;
        let member = self.roster.get_mut(slot)?;
        let source = canonical(source);
        // Long replies go to nobody but who is probing: the source of a datagram is easily forged, and that of a
        // connection is not.
        let is_its_own = source.ip() == member.id().address().ip();
        if let Some(probe) = member.probe_mut() {
            if is_padded(datagram) && !is_its_own || !probe.may_probe(now) {
                return None;
            }
            return answer(datagram, source, (self.tokens)());
        }
        let progress = member.rich_mut()?.rendezvous_progress.get_or_insert_default();
        let rate = Rate::new(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE);
        if is_padded(datagram) || !progress.usage.may(rate, now.monotonic) {
            return None;
        }
        let nonce = (self.tokens)();
        progress.offered = Some((nonce, source));
        answer(datagram, source, nonce)
    }

    /// A client brings a nonce back: it is reached where that was sent. If that is news, everybody
    /// is told.
    pub(crate) fn confirm(&mut self, now: Now, slot: Slot, nonce: Token) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let Some(rich) = member.rich_mut() else { return };
        let progress = rich.rendezvous_progress.as_mut();
        let offered = progress.and_then(|progress| progress.offered.take_if(|offer| offer.0 == nonce));
        let Some((_, address)) = offered else {
            return;
        };
        if rich.udp.replace(address.into()) != Some(address.into()) {
            self.transcript.append(
                None,
                FromServer::Address(Some(now.unix_ms), member.label(), address),
            );
        }
    }
}

/// The UDP socket, on the same port number as the TCP listener.
#[derive(Debug)]
pub struct Desk(UdpSocket);

impl Desk {
    /// Opens it.
    ///
    /// # Errors
    /// If somebody else has that port. The room works without: clients behind routers then talk
    /// privately through the server.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        Ok(Self(socket.into()))
    }

    /// Answers those who wait.
    pub fn serve(&self, now: Now, room: &mut Room) {
        // One byte more than a request may have, so that a longer datagram is not taken for one.
        let mut buffer = [0; REQUEST_MAX + 1];
        for _ in 0..DATAGRAMS_MAX {
            match self.0.recv_from(&mut buffer) {
                Ok((count, source)) => {
                    let datagram = buffer.get(..count).unwrap_or_default();
                    if let Some(reply) = room.rendezvous(now, source, datagram) {
                        // A reply that is lost is asked for again.
                        let _ = self.0.send_to(&reply, source);
                    }
                }
                // Nobody waits, or the network says that an earlier reply did not arrive (ICMP). Whoever waits behind
                // that wakes the loop again.
                Err(_) => return,
            }
        }
    }
}

impl AsFd for Desk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Limits;
    use chat_proto::opaque::Opaque;
    use chat_proto::rendezvous::Reply;
    use std::time::Duration;

    #[test]
    fn the_longest_request_is_answered_at_its_length_and_a_longer_one_not_at_all() {
        let now = Now {
            monotonic: Duration::from_secs(1),
            unix_ms: 1,
        };
        let limits = Limits {
            max_users: 1,
            max_per_address: 1,
            history: 0,
            rate: None,
            ping_interval: Duration::from_secs(15),
        };
        let mut room = Room::new(limits, Box::new(|| Opaque([7; 16])));
        let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
        let slot = room.accept(now, localhost).unwrap();
        room.receive(now, slot, b"PROBE 1 -\n");
        let token = crate::roster::token_for(slot, Opaque([7; 16]));

        let desk = Desk::open(localhost).unwrap();
        let client = UdpSocket::bind(localhost).unwrap();
        for (number, length) in [(1, REQUEST_MAX + 1), (2, REQUEST_MAX)] {
            let nonce = Opaque([number; 16]);
            let mut request = Request { token, nonce }.to_bytes().to_vec();
            request.resize(length, 0);
            client.send_to(&request, desk.0.local_addr().unwrap()).unwrap();
        }
        desk.serve(now, &mut room);
        let mut buffer = [0; 2 * REQUEST_MAX];
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let count = client.recv(&mut buffer).unwrap();
        assert_eq!(count, REQUEST_MAX);
        let reply = Reply::parse(&buffer[..count]).unwrap();
        assert_eq!(reply.echo, Opaque([2; 16]));
        assert_eq!(reply.observed, client.local_addr().unwrap());
    }
}
