//! Clients that may come back, by the token that each would bring.

use chat_proto::opaque::Token;
use std::collections::VecDeque;

/// How many are remembered; of more, the latest.
const DEPARTED_MAX: usize = 1024;

/// What is known of the clients whose connections have gone.
///
/// Memory: 41 KiB at most.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    /// The latest last.
    clients: VecDeque<(Token, Fate)>,
}

/// What a token is good for whose connection has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The number of the last message that was taken.
    Left(u64),
    /// The client came back and was given this token. Until it brings that one, it may not have got it.
    Back(Token),
}

impl Departed {
    /// The token of the last connection that this one began.
    pub(crate) fn latest(&self, token: Token) -> Token {
        match self.fate(&token) {
            Some(Fate::Back(next)) => next,
            Some(Fate::Left(_)) | None => token,
        }
    }

    /// The connection with this token has gone; the number of the last message that was taken from it.
    pub(crate) fn leave(&mut self, token: Token, seq: u64) {
        self.remember(token, Fate::Left(seq));
    }

    /// A client came back with `token` and is given `next`. The number of the last message that was taken from it,
    /// 0 if that is not known. To be called when the connection before this one has gone.
    pub(crate) fn come_back(&mut self, token: Token, next: Token) -> u64 {
        let latest = self.latest(token);
        let seq = match self.fate(&latest) {
            Some(Fate::Left(seq)) => seq,
            // Of an earlier run of the server, perhaps. Its client too may have to come back once more.
            Some(Fate::Back(_)) | None => 0,
        };
        // What leads to the token that the client has brought has served: it will not bring an older one.
        self.clients
            .retain(|(other, fate)| *other != latest && *other != token && *fate != Fate::Back(token));
        self.remember(token, Fate::Back(next));
        seq
    }

    /// The client has got this token: it will not bring the one before.
    pub(crate) fn arrive(&mut self, token: Token) {
        self.clients.retain(|(_, fate)| *fate != Fate::Back(token));
    }

    fn fate(&self, token: &Token) -> Option<Fate> {
        let found = self.clients.iter().rev().find(|(other, _)| other == token);
        found.map(|(_, fate)| *fate)
    }

    fn remember(&mut self, token: Token, fate: Fate) {
        if self.clients.len() == DEPARTED_MAX {
            self.clients.pop_front();
        }
        self.clients.push_back((token, fate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;

    const A: Token = Opaque([1; 16]);
    const B: Token = Opaque([2; 16]);
    const C: Token = Opaque([3; 16]);
    const D: Token = Opaque([4; 16]);

    #[test]
    fn a_token_serves_until_the_next_one_has() {
        let mut departed = Departed::default();
        departed.leave(A, 7);
        assert_eq!((departed.latest(A), departed.come_back(A, B)), (A, 7));
        // B is lost on its way.
        departed.leave(B, 8);
        assert_eq!((departed.latest(A), departed.come_back(A, C)), (B, 8));
        departed.leave(C, 9);
        assert_eq!((departed.latest(C), departed.come_back(C, D)), (C, 9));
        departed.leave(D, 10);
        assert_eq!(departed.latest(A), A, "C has served");
        assert_eq!(departed.come_back(C, B), 10);
        assert_eq!(departed.clients.len(), 1);
    }

    #[test]
    fn a_token_has_served_when_the_client_has_got_the_next() {
        let mut departed = Departed::default();
        departed.leave(A, 7);
        departed.come_back(A, B);
        departed.arrive(B);
        assert_eq!((departed.latest(A), departed.clients.len()), (A, 0));
    }

    #[test]
    fn a_token_that_nobody_had_leads_on_as_well() {
        let mut departed = Departed::default();
        assert_eq!(departed.come_back(A, B), 0);
        assert_eq!(departed.latest(A), B);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut departed = Departed::default();
        for number in 0..2000_u64 {
            let mut token = A;
            token.0[..8].copy_from_slice(&number.to_be_bytes());
            departed.leave(token, number);
        }
        assert_eq!(departed.clients.len(), DEPARTED_MAX);
        assert_eq!(
            departed.clients.back().map(|(_, fate)| *fate),
            Some(Fate::Left(1999))
        );
    }
}
