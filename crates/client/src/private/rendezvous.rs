//! The client's side of the rendezvous: it asks the server from which address its datagrams arrive.

use super::random::{Random, random};
use chat_proto::opaque::{Opaque, Token};
use chat_proto::rendezvous::{Nonce, Reply, Request};
use chat_proto::rich::FromClient;
use std::net::SocketAddr;
use std::time::Duration;

/// How often the client asks. This also keeps the router's mapping. (One was seen alive at 25 s and
/// dead at 33 s.)
const REFRESH: Duration = Duration::from_secs(20);

/// The waits between requests without a reply. After the last of them, `REFRESH` applies.
const RETRY: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The exchange with one server over one connection.
#[derive(Debug)]
pub(super) struct Rendezvous {
    server: SocketAddr,
    token: Token,
    /// The last request's, until it is answered.
    nonce: Option<Nonce>,
    due: Duration,
    unanswered: usize,
    confirmed: Option<SocketAddr>,
}

impl Rendezvous {
    pub(super) fn new(now: Duration, server: SocketAddr, token: Token) -> Self {
        Self {
            server,
            token,
            nonce: None,
            due: now,
            unanswered: 0,
            confirmed: None,
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.due
    }

    /// The request to send, if one is due, and its destination.
    pub(super) fn request(&mut self, now: Duration, source: &mut Random) -> Option<(SocketAddr, Vec<u8>)> {
        if now < self.due {
            return None;
        }
        self.due = now + RETRY.get(self.unanswered).copied().unwrap_or(REFRESH);
        self.unanswered += 1;
        let nonce = Opaque(random(source));
        self.nonce = Some(nonce);
        let token = self.token;
        Some((self.server, Request { token, nonce }.to_bytes().to_vec()))
    }

    /// The line with which the client confirms a new address over TCP, if the datagram replies to
    /// the last request.
    pub(super) fn reply(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<FromClient<'static>> {
        let reply = Reply::parse(datagram).filter(|_| from == self.server)?;
        self.nonce.take_if(|nonce| *nonce == reply.echo)?;
        self.unanswered = 0;
        self.due = now + REFRESH;
        let is_new = self.confirmed.replace(reply.observed) != Some(reply.observed);
        is_new.then_some(FromClient::Confirm(reply.nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::rendezvous::answer;

    fn source() -> Random {
        let mut count = 0;
        Box::new(move |bytes| {
            count += 1;
            bytes.fill(count);
        })
    }

    fn server() -> SocketAddr {
        "192.0.2.1:9000".parse().unwrap()
    }

    fn outside(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    fn new() -> Rendezvous {
        Rendezvous::new(Duration::ZERO, server(), Opaque([7; 16]))
    }

    /// One exchange with the server's side. Returns the client's line.
    fn exchange(
        client: &mut Rendezvous,
        random: &mut Random,
        seen: SocketAddr,
        nonce: u8,
    ) -> Option<FromClient<'static>> {
        let now = client.deadline();
        let (to, request) = client.request(now, random).unwrap();
        assert_eq!(to, server());
        assert_eq!(Request::parse(&request).unwrap().token, Opaque([7; 16]));
        let reply = answer(&request, seen, Opaque([nonce; 16])).unwrap();
        assert_eq!(
            client.reply(now, outside(1), &reply),
            None,
            "from another address"
        );
        let confirm = client.reply(now, server(), &reply);
        assert_eq!(client.reply(now, server(), &reply), None, "repeated");
        confirm
    }

    #[test]
    fn a_new_address_is_confirmed_with_the_servers_nonce() {
        let (mut client, mut random) = (new(), source());
        let confirm = exchange(&mut client, &mut random, outside(40_001), 9);
        assert_eq!(confirm, Some(FromClient::Confirm(Opaque([9; 16]))));
        assert_eq!(client.deadline(), REFRESH);
        assert_eq!(exchange(&mut client, &mut random, outside(40_001), 8), None);
        let confirm = exchange(&mut client, &mut random, outside(40_002), 7);
        assert_eq!(confirm, Some(FromClient::Confirm(Opaque([7; 16]))));
    }

    #[test]
    fn without_a_reply_the_client_retries_and_then_refreshes() {
        let (mut client, mut random) = (new(), source());
        let mut times = Vec::new();
        for _ in 0..6 {
            let now = client.deadline();
            times.push(now.as_millis());
            client.request(now, &mut random).unwrap();
            assert_eq!(client.request(now, &mut random), None);
        }
        assert_eq!(times, [0, 500, 1500, 3500, 23_500, 43_500]);
    }

    #[test]
    fn a_reply_to_another_request_is_ignored() {
        let (mut client, mut random) = (new(), source());
        client.request(Duration::ZERO, &mut random).unwrap();
        let reply = Reply {
            echo: Opaque([200; 16]),
            nonce: Opaque([9; 16]),
            observed: outside(1),
        };
        assert_eq!(client.reply(Duration::ZERO, server(), &reply.to_bytes()), None);
    }
}
