//! The client's side of the rendezvous: it asks the server from which address its datagrams arrive.

use chat_noise::rendezvous::{REQUEST_LEN, Reply, request};
use chat_proto::opaque::Token;
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

/// The wait after a request if something is wrong with a path meanwhile: the router may have another address.
const HURRIED: Duration = Duration::from_secs(2);

/// The exchange with one server over one connection.
#[derive(Debug)]
pub(super) struct Rendezvous {
    server: SocketAddr,
    token: Token,
    /// Requests so far.
    count: u64,
    /// The last of them is not answered.
    is_waiting: bool,
    asked: Duration,
    due: Duration,
    unanswered: usize,
    confirmed: Option<SocketAddr>,
}

impl Rendezvous {
    pub(super) fn new(now: Duration, server: SocketAddr, token: Token) -> Self {
        Self {
            server,
            token,
            count: 0,
            is_waiting: false,
            asked: now,
            due: now,
            unanswered: 0,
            confirmed: None,
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.due
    }

    /// The request to send, if one is due, and its destination.
    pub(super) fn request(&mut self, now: Duration) -> Option<(SocketAddr, Vec<u8>)> {
        if now < self.due {
            return None;
        }
        self.asked = now;
        self.due = now + RETRY.get(self.unanswered).copied().unwrap_or(REFRESH);
        self.unanswered += 1;
        self.count += 1;
        self.is_waiting = true;
        Some((self.server, request(&self.token, self.count, REQUEST_LEN)))
    }

    /// A path does not answer any more.
    pub(super) fn hurry(&mut self) {
        if !self.is_waiting {
            self.due = self.due.min(self.asked + HURRIED);
        }
    }

    /// The line with which the client confirms a new address over TCP, if the datagram replies to
    /// the last request.
    pub(super) fn reply(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<FromClient<'static>> {
        if from != self.server || !self.is_waiting {
            return None;
        }
        let reply = Reply::parse(&self.token, datagram).filter(|reply| reply.count == self.count)?;
        self.is_waiting = false;
        self.unanswered = 0;
        self.due = now + REFRESH;
        let is_new = self.confirmed.replace(reply.observed) != Some(reply.observed);
        is_new.then_some(FromClient::Confirm(reply.nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_noise::rendezvous::Request;
    use chat_proto::opaque::Opaque;

    const TOKEN: Token = Opaque([7; 16]);

    fn server() -> SocketAddr {
        "192.0.2.1:9000".parse().unwrap()
    }

    fn outside(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    fn new() -> Rendezvous {
        Rendezvous::new(Duration::ZERO, server(), TOKEN)
    }

    /// One exchange with the server's side. Returns the client's line.
    fn exchange(client: &mut Rendezvous, seen: SocketAddr, nonce: u8) -> Option<FromClient<'static>> {
        let now = client.deadline();
        let (to, request) = client.request(now).unwrap();
        assert_eq!(to, server());
        let request = Request::parse(&request).unwrap();
        assert!(request.is_of(&TOKEN));
        let reply = request.reply(&TOKEN, seen, Opaque([nonce; 16]));
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
        let mut client = new();
        let confirm = exchange(&mut client, outside(40_001), 9);
        assert_eq!(confirm, Some(FromClient::Confirm(Opaque([9; 16]))));
        assert_eq!(client.deadline(), REFRESH);
        assert_eq!(exchange(&mut client, outside(40_001), 8), None);
        let confirm = exchange(&mut client, outside(40_002), 7);
        assert_eq!(confirm, Some(FromClient::Confirm(Opaque([7; 16]))));
    }

    #[test]
    fn without_a_reply_the_client_retries_and_then_refreshes() {
        let mut client = new();
        let mut times = Vec::new();
        for _ in 0..6 {
            let now = client.deadline();
            times.push(now.as_millis());
            client.request(now).unwrap();
            assert_eq!(client.request(now), None);
        }
        assert_eq!(times, [0, 500, 1500, 3500, 23_500, 43_500]);
    }

    #[test]
    fn a_path_that_fails_hurries_the_next_request_once() {
        let mut client = new();
        client.hurry();
        assert_eq!(client.deadline(), Duration::ZERO);
        exchange(&mut client, outside(1), 9);
        for _ in 0..2 {
            client.hurry();
            assert_eq!(client.deadline(), HURRIED);
        }
        client.request(HURRIED).unwrap();
        client.hurry();
        assert_eq!(client.deadline(), HURRIED + RETRY[0], "without a reply");
    }

    #[test]
    fn a_reply_to_another_request_or_with_another_token_is_ignored() {
        let mut client = new();
        let [_, second] = [0, 1].map(|_| client.request(client.deadline()).unwrap().1);
        for (token, count) in [(TOKEN, 1), (TOKEN, 3), (Opaque([8; 16]), 2)] {
            let other = request(&token, count, REQUEST_LEN);
            let reply = Request::parse(&other)
                .unwrap()
                .reply(&token, outside(1), Opaque([9; 16]));
            assert_eq!(client.reply(Duration::ZERO, server(), &reply), None);
        }
        let reply = Request::parse(&second)
            .unwrap()
            .reply(&TOKEN, outside(1), Opaque([9; 16]));
        assert!(client.reply(Duration::ZERO, server(), &reply).is_some());
    }
}
