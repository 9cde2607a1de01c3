//! Clients that may reconnect, by the token that each would send.

use chat_proto::opaque::Token;
use std::collections::VecDeque;

/// How many are remembered; the oldest is forgotten first.
const RESUMABLE_MAX: usize = 1024;

/// What is known of clients whose connections are gone.
///
/// Memory: 41 KiB at most.
#[derive(Debug, Default)]
pub(crate) struct Resumption {
    /// The latest last.
    clients: VecDeque<(Token, State)>,
}

/// What the token of a connection that is gone resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A client whose last accepted message has this number.
    Resumable(u64),
    /// A client that has reconnected and was given this token. It may not have received it, until it uses it.
    Replaced(Token),
}

impl Resumption {
    /// The token of the latest connection that this one leads to.
    pub(crate) fn latest(&self, token: Token) -> Token {
        match self.state(&token) {
            Some(State::Replaced(next)) => next,
            Some(State::Resumable(_)) | None => token,
        }
    }

    /// The connection with this token is gone; `seq` is the number of the last message accepted from it.
    pub(crate) fn disconnected(&mut self, token: Token, seq: u64) {
        self.remember(token, State::Resumable(seq));
    }

    /// A client reconnected with `token` and is given `next`. Returns the number of the last message accepted from it, 0
    /// if that is not known. The connection before this one must be gone.
    pub(crate) fn resume(&mut self, token: Token, next: Token) -> u64 {
        let latest = self.latest(token);
        let seq = match self.state(&latest) {
            Some(State::Resumable(seq)) => seq,
            // The token may be from an earlier run of the server. Its client, too, may have to reconnect once more.
            Some(State::Replaced(_)) | None => 0,
        };
        // The client will not send an older token than the one it has just sent.
        self.clients
            .retain(|(other, state)| *other != latest && *other != token && *state != State::Replaced(token));
        self.remember(token, State::Replaced(next));
        seq
    }

    /// The client has received this token, so it will not send the one before.
    pub(crate) fn confirm(&mut self, token: Token) {
        self.clients.retain(|(_, state)| *state != State::Replaced(token));
    }

    fn state(&self, token: &Token) -> Option<State> {
        let found = self.clients.iter().rev().find(|(other, _)| other == token);
        found.map(|(_, state)| *state)
    }

    fn remember(&mut self, token: Token, state: State) {
        if self.clients.len() == RESUMABLE_MAX {
            self.clients.pop_front();
        }
        self.clients.push_back((token, state));
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
    fn a_token_is_valid_until_the_next_one_is_used() {
        let mut resumption = Resumption::default();
        resumption.disconnected(A, 7);
        assert_eq!((resumption.latest(A), resumption.resume(A, B)), (A, 7));
        // B is lost on its way.
        resumption.disconnected(B, 8);
        assert_eq!((resumption.latest(A), resumption.resume(A, C)), (B, 8));
        resumption.disconnected(C, 9);
        assert_eq!((resumption.latest(C), resumption.resume(C, D)), (C, 9));
        resumption.disconnected(D, 10);
        assert_eq!(resumption.latest(A), A, "C was used");
        assert_eq!(resumption.resume(C, B), 10);
        assert_eq!(resumption.clients.len(), 1);
    }

    #[test]
    fn a_confirmed_token_replaces_the_one_before() {
        let mut resumption = Resumption::default();
        resumption.disconnected(A, 7);
        resumption.resume(A, B);
        resumption.confirm(B);
        assert_eq!((resumption.latest(A), resumption.clients.len()), (A, 0));
    }

    #[test]
    fn an_unknown_token_can_be_resumed_twice() {
        let mut resumption = Resumption::default();
        assert_eq!(resumption.resume(A, B), 0);
        assert_eq!(resumption.latest(A), B);
    }

    #[test]
    fn the_number_of_remembered_clients_is_limited() {
        let mut resumption = Resumption::default();
        for number in 0..2000_u64 {
            let mut token = A;
            token.0[..8].copy_from_slice(&number.to_be_bytes());
            resumption.disconnected(token, number);
        }
        assert_eq!(resumption.clients.len(), RESUMABLE_MAX);
        assert_eq!(
            resumption.clients.back().map(|(_, state)| *state),
            Some(State::Resumable(1999))
        );
    }
}
