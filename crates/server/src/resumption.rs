//! Clients that may reconnect, by the token that each would send. It counts only with the key that it was given to.

use crate::network::Network;
use chat_proto::opaque::{PublicKey, Token};
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

/// How many are remembered at least.
const RESUMABLE_MIN: usize = 1024;

/// What is known of clients whose connections are gone.
///
/// Memory: 112 bytes for each of at most 2 x `--max-users` or [`RESUMABLE_MIN`].
#[derive(Debug)]
pub(crate) struct Resumption {
    /// The latest last.
    clients: VecDeque<Former>,
    max: usize,
}

/// A client whose connection is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Former {
    pub(crate) token: Token,
    /// The key that it has proven to have.
    pub(crate) key: PublicKey,
    pub(crate) progress: Progress,
    /// Where it connected from.
    pub(crate) network: Network,
    /// The server was killed after it was given this token: messages from this number on may be lost.
    pub(crate) lost_from: Option<u64>,
}

/// What is known of a client that resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// The number of the last message accepted from it.
    pub(crate) seq: u64,
    /// The number of the first message of the room that it may be sent.
    pub(crate) first: u64,
    /// As [`Former::lost_from`].
    pub(crate) lost_from: Option<u64>,
}

/// What the token of a connection that is gone resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A client whose last accepted message has the number `seq`, and the first message that it may be sent `first`: what
    /// was said before it joined is not for it, but for what it was sent as a newcomer.
    Resumable { seq: u64, first: u64 },
    /// A client that has reconnected and was given this token. It may not have received it, until it uses it.
    Replaced(Token),
    /// The same for a client that the server did not know: its numbers may be of an earlier run of the server.
    Adopted(Token),
}

impl Former {
    /// The connection from this network with this key and token is gone.
    pub(crate) fn new(network: Network, key: PublicKey, token: Token, progress: Progress) -> Self {
        Self {
            token,
            key,
            progress,
            network,
            lost_from: None,
        }
    }

    /// Whether it has said nothing, as far as is known.
    fn is_silent(&self) -> bool {
        !matches!(self.progress, Progress::Resumable { seq: 1.., .. })
    }
}

impl Progress {
    fn led_to(self, token: Token) -> bool {
        [Self::Replaced(token), Self::Adopted(token)].contains(&self)
    }
}

impl Resumption {
    /// For a room of this size. All may be disconnected at once, and once more while they resume.
    pub(crate) fn new(max_users: usize) -> Self {
        Self {
            clients: VecDeque::new(),
            max: max_users.saturating_mul(2).max(RESUMABLE_MIN),
        }
    }

    /// The token of the latest connection that this one leads to.
    fn latest(&self, key: PublicKey, token: Token) -> Token {
        match self.find(key, &token).map(|client| client.progress) {
            Some(Progress::Replaced(next) | Progress::Adopted(next)) => next,
            Some(Progress::Resumable { .. }) | None => token,
        }
    }

    /// A client reconnected with `token` and is given `next`. Returns what is known of it, if anything is. The connection
    /// before this one must be gone.
    pub(crate) fn resume(
        &mut self,
        network: Network,
        key: PublicKey,
        token: Token,
        next: Token,
    ) -> Option<Resumed> {
        let latest = self.latest(key, token);
        let known = self.find(key, &token);
        let progress = |client: Former| client.progress;
        let found = match (known.map(progress), self.find(key, &latest).map(progress)) {
            // It has not received the token that it was given, so it knows nothing of this run of the server.
            (Some(Progress::Adopted(_)), _) => None,
            (_, Some(Progress::Resumable { seq, first })) => Some((seq, first)),
            // The token may be from an earlier run. Its client, too, may have to reconnect once more.
            _ => None,
        };
        // The client will not send an older token than the one it has just sent.
        self.clients.retain(|other| {
            let is_spent = [latest, token].contains(&other.token) || other.progress.led_to(token);
            other.key != key || !is_spent
        });
        let lost_from = known.and_then(|client| client.lost_from);
        self.remember(Former {
            token,
            key,
            progress: found.map_or(Progress::Adopted(next), |_| Progress::Replaced(next)),
            network,
            lost_from,
        });
        found.map(|(seq, first)| Resumed {
            seq,
            first,
            lost_from,
        })
    }

    /// The client with this key came without a token, so it does not know of its connections before: it will not resume them.
    pub(crate) fn forget(&mut self, key: PublicKey) {
        self.clients.retain(|client| client.key != key);
    }

    /// The client has received this token, so it will not send the one before.
    pub(crate) fn confirm(&mut self, token: Token) {
        self.clients.retain(|client| !client.progress.led_to(token));
    }

    /// All of them, the latest last.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Former> {
        self.clients.iter()
    }

    fn find(&self, key: PublicKey, token: &Token) -> Option<Former> {
        let mut latest_first = self.clients.iter().rev();
        let found = latest_first.find(|other| other.token == *token && other.key == key);
        found.copied()
    }

    /// Remembers a client, as the latest.
    pub(crate) fn remember(&mut self, client: Former) {
        if self.clients.len() >= self.max {
            self.forget_one(client.network);
        }
        self.clients.push_back(client);
    }

    /// Begins with the clients of an earlier run of the server, the latest last. There may be far more than are remembered, so
    /// the choice of [`Self::forget_one`] is made for all at once: the latest of each network stay, and the silent go first.
    pub(crate) fn restore(&mut self, clients: &[Former]) {
        let mut later: HashMap<(bool, Network), usize> = HashMap::new();
        let latest_first = clients.iter().rev().zip(1..);
        let mut ranked: Vec<(bool, usize, usize, &Former)> = latest_first
            .map(|(client, age)| {
                let rank = later.entry((client.is_silent(), client.network)).or_default();
                *rank += 1;
                (client.is_silent(), *rank, age, client)
            })
            .collect();
        ranked.sort_unstable_by_key(|&(is_silent, rank, age, _)| (is_silent, rank, age));
        ranked.truncate(self.max);
        ranked.sort_unstable_by_key(|&(.., age, _)| Reverse(age));
        self.clients = ranked.into_iter().map(|(.., client)| *client).collect();
    }

    /// Makes room for a client of this network: the oldest of that network is forgotten, or else the oldest of the
    /// network with the most. So whoever connects again and again makes the server forget nobody else. Those who have
    /// said nothing go first: no message of theirs could be broadcast twice, and others may share their network.
    fn forget_one(&mut self, network: Network) {
        let oldest = |of: &dyn Fn(&Former) -> bool| self.clients.iter().position(of);
        let of_most = |of: &dyn Fn(&Former) -> bool| {
            let mut counts: HashMap<Network, usize> = HashMap::new();
            for client in self.clients.iter().filter(|client| of(client)) {
                *counts.entry(client.network).or_default() += 1;
            }
            let (most, _) = counts.into_iter().max_by_key(|&(_, count)| count)?;
            oldest(&|client| client.network == most && of(client))
        };
        let place = oldest(&|client| client.network == network && client.is_silent())
            .or_else(|| of_most(&Former::is_silent))
            .or_else(|| oldest(&|client| client.network == network))
            .or_else(|| of_most(&|_| true));
        if let Some(place) = place {
            self.clients.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;
    use std::net::Ipv4Addr;

    const KEY: PublicKey = Opaque([8; 32]);
    const OTHER: PublicKey = Opaque([9; 32]);
    const A: Token = Opaque([1; 16]);
    const B: Token = Opaque([2; 16]);
    const C: Token = Opaque([3; 16]);
    const D: Token = Opaque([4; 16]);

    fn home() -> Network {
        "10.0.0.1".parse().unwrap()
    }

    fn elsewhere() -> Network {
        "10.0.0.2".parse().unwrap()
    }

    #[test]
    fn a_token_is_valid_until_the_next_one_is_used() {
        let mut resumption = Resumption::new(10);
        disconnected(&mut resumption, home(), KEY, A, 7);
        assert_eq!(
            (
                resumption.latest(KEY, A),
                resume(&mut resumption, home(), KEY, A, B)
            ),
            (A, Some(7))
        );
        // B is lost on its way.
        disconnected(&mut resumption, home(), KEY, B, 8);
        assert_eq!(
            (
                resumption.latest(KEY, A),
                resume(&mut resumption, home(), KEY, A, C)
            ),
            (B, Some(8))
        );
        disconnected(&mut resumption, home(), KEY, C, 9);
        assert_eq!(
            (
                resumption.latest(KEY, C),
                resume(&mut resumption, home(), KEY, C, D)
            ),
            (C, Some(9))
        );
        disconnected(&mut resumption, home(), KEY, D, 10);
        assert_eq!(resumption.latest(KEY, A), A, "C was used");
        assert_eq!(resume(&mut resumption, home(), KEY, C, B), Some(10));
        assert_eq!(resumption.clients.len(), 1);
    }

    #[test]
    fn a_confirmed_token_replaces_the_one_before() {
        let mut resumption = Resumption::new(10);
        disconnected(&mut resumption, home(), KEY, A, 7);
        resume(&mut resumption, home(), KEY, A, B);
        resumption.confirm(B);
        assert_eq!((resumption.latest(KEY, A), resumption.clients.len()), (A, 0));
    }

    #[test]
    fn an_unknown_token_can_be_resumed_twice() {
        let mut resumption = Resumption::new(10);
        assert_eq!(resume(&mut resumption, home(), KEY, A, B), None);
        assert_eq!(resumption.latest(KEY, A), B);
        // B is lost on its way.
        disconnected(&mut resumption, home(), KEY, B, 0);
        assert_eq!(
            resume(&mut resumption, home(), KEY, A, C),
            None,
            "it knows nothing of this run"
        );
        disconnected(&mut resumption, home(), KEY, C, 0);
        assert_eq!(resume(&mut resumption, home(), KEY, C, D), Some(0));
    }

    #[test]
    fn a_token_counts_only_with_its_key() {
        let mut resumption = Resumption::new(10);
        disconnected(&mut resumption, home(), KEY, A, 7);
        resume(&mut resumption, home(), KEY, A, B);
        disconnected(&mut resumption, home(), KEY, B, 8);
        assert_eq!(resumption.latest(OTHER, A), A, "it does not lead to B");
        assert_eq!(resume(&mut resumption, elsewhere(), OTHER, A, C), None);
        assert_eq!(resume(&mut resumption, elsewhere(), OTHER, B, D), None);
        // The owner loses nothing by that.
        assert_eq!(resumption.latest(KEY, A), B);
        assert_eq!(resume(&mut resumption, home(), KEY, A, C), Some(8));
    }

    #[test]
    fn what_may_be_lost_belongs_to_the_token_of_before() {
        let mut resumption = Resumption::new(10);
        let lost_from = Some(40);
        resumption.remember(Former {
            lost_from,
            ..Former::new(home(), KEY, A, resumable(7))
        });
        let resumed = |seq| {
            Some(Resumed {
                seq,
                first: 0,
                lost_from,
            })
        };
        assert_eq!(resumption.resume(home(), KEY, A, B), resumed(7));
        // B is lost on its way.
        disconnected(&mut resumption, home(), KEY, B, 8);
        assert_eq!(resumption.resume(home(), KEY, A, C), resumed(8));
        disconnected(&mut resumption, home(), KEY, C, 9);
        assert_eq!(resume(&mut resumption, home(), KEY, C, D), Some(9));
    }

    #[test]
    fn a_client_that_comes_without_a_token_is_forgotten() {
        let mut resumption = Resumption::new(10);
        disconnected(&mut resumption, home(), KEY, A, 7);
        disconnected(&mut resumption, home(), OTHER, B, 8);
        resumption.forget(KEY);
        assert_eq!(resume(&mut resumption, home(), KEY, A, C), None);
        assert_eq!(resume(&mut resumption, home(), OTHER, B, C), Some(8));
    }

    fn disconnected(resumption: &mut Resumption, network: Network, key: PublicKey, token: Token, seq: u64) {
        resumption.remember(Former::new(network, key, token, resumable(seq)));
    }

    fn resumable(seq: u64) -> Progress {
        Progress::Resumable { seq, first: 0 }
    }

    /// The number of the last message accepted from a client that resumes.
    fn resume(
        resumption: &mut Resumption,
        network: Network,
        key: PublicKey,
        token: Token,
        next: Token,
    ) -> Option<u64> {
        let resumed = resumption.resume(network, key, token, next)?;
        assert_eq!(resumed.lost_from, None);
        Some(resumed.seq)
    }

    fn numbered(number: u64) -> Token {
        let mut token = A;
        token.0[..8].copy_from_slice(&number.to_be_bytes());
        token
    }

    #[test]
    fn the_number_of_remembered_clients_is_limited() {
        for (users, max) in [(10, RESUMABLE_MIN), (5000, 10_000)] {
            let mut resumption = Resumption::new(users);
            for number in 0..12_000 {
                disconnected(&mut resumption, home(), KEY, numbered(number), number);
            }
            assert_eq!(resumption.clients.len(), max);
            assert_eq!(
                resume(&mut resumption, home(), KEY, numbered(11_999), A),
                Some(11_999)
            );
        }
    }

    #[test]
    fn clients_that_said_nothing_are_forgotten_first() {
        let mut resumption = Resumption::new(10);
        disconnected(&mut resumption, home(), KEY, A, 7);
        for number in 0..1000 {
            // Behind the same router, and from everywhere; with tokens of their own, and with made-up ones.
            let host = u32::try_from(number).unwrap();
            let networks = [home(), Network::of(Ipv4Addr::from_bits(host).into())];
            for (network, number) in networks.into_iter().zip([2 * number, 2 * number + 1]) {
                resume(
                    &mut resumption,
                    network,
                    KEY,
                    numbered(1_000_000 + number),
                    numbered(number),
                );
                disconnected(&mut resumption, network, KEY, numbered(number), 0);
            }
        }
        assert_eq!(resume(&mut resumption, home(), KEY, A, B), Some(7));
    }

    #[test]
    fn clients_of_one_address_are_forgotten_for_each_other() {
        let mut resumption = Resumption::new(10);
        disconnected(&mut resumption, home(), KEY, A, 7);
        for number in 0..5000 {
            disconnected(&mut resumption, elsewhere(), KEY, numbered(number), number + 1);
        }
        // Nor for newcomers, while one address has more.
        for host in 1..100 {
            let host = Network::of(Ipv4Addr::new(10, 9, 0, host).into());
            disconnected(&mut resumption, host, KEY, numbered(9000), 1);
        }
        assert_eq!(resume(&mut resumption, home(), KEY, A, B), Some(7));
    }

    #[test]
    fn an_earlier_run_may_have_remembered_far_more_clients() {
        let host = |number: u64| Network::of(Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into());
        let mut clients = vec![Former::new(home(), KEY, A, resumable(7))];
        // Many of one network that said something, and more than there is time to forget one by one.
        clients.extend((0..5000).map(|number| Former::new(elsewhere(), KEY, numbered(number), resumable(1))));
        clients.extend(
            (5000..200_000).map(|number| Former::new(host(number), KEY, numbered(number), resumable(0))),
        );
        clients.push(Former::new(home(), KEY, B, resumable(0)));
        let mut resumption = Resumption::new(10);
        resumption.restore(&clients);
        assert_eq!(resumption.clients.len(), RESUMABLE_MIN);
        assert_eq!(resume(&mut resumption, home(), KEY, A, C), Some(7));
        assert_eq!(
            resume(&mut resumption, elsewhere(), KEY, numbered(4999), C),
            Some(1)
        );
        let mut resumption = Resumption::new(5000);
        resumption.restore(&clients);
        assert_eq!(resumption.clients.len(), 10_000);
        assert_eq!(resumption.clients.front().map(|client| client.token), Some(A));
        assert_eq!(resumption.clients.back().map(|client| client.token), Some(B));
    }
}
