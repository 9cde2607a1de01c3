//! Whose message of a handshake is processed next.

use crate::roster::Slot;
use std::collections::{HashSet, VecDeque};

/// Messages of handshakes processed in one turn. One costs 0.2 to 0.45 ms, so a crowd of newcomers delays those who talk by
/// 4 ms.
const TURN_MAX: usize = 8;

/// Connections whose message waits for a turn. Messages that end a handshake come first: a handshake in progress takes 1.5 KB,
/// so few are in progress at a time. Of the others, the one that has waited longest comes next: whoever connects again and
/// again, and so gets a low slot, is served after those who are here. That starves nobody: no handshake ends before it began.
///
/// Invariant: `queued` holds exactly what `queue` does, so the memory is about 20 bytes for each connection.
#[derive(Debug, Default)]
pub(crate) struct HandshakeQueue {
    queue: VecDeque<Slot>,
    queued: HashSet<Slot>,
    /// The connection whose turn it is.
    served: Option<Slot>,
    /// Messages processed in this turn.
    spent: usize,
}

impl HandshakeQueue {
    /// Whether the message of this connection, which `ends` its handshake or begins one, may be processed now; else the
    /// connection waits for its turn.
    pub(crate) fn admit(&mut self, slot: Slot, ends: bool) -> bool {
        let is_next = ends || self.queue.is_empty() || self.served == Some(slot);
        if is_next && self.spent < TURN_MAX {
            self.spent += 1;
            return true;
        }
        if !self.queued.insert(slot) {
            return false;
        }
        if ends {
            self.queue.push_front(slot);
        } else {
            self.queue.push_back(slot);
        }
        false
    }

    /// The connection to serve next in this turn.
    pub(crate) fn next(&mut self) -> Option<Slot> {
        let next = self.queue.front().copied().filter(|_| self.spent < TURN_MAX);
        if let Some(slot) = next {
            self.forget(slot);
        }
        self.served = next;
        next
    }

    /// Whether this connection waits for its turn.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.queued.contains(&slot)
    }

    /// Whether any does.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// This connection waits no more.
    pub(crate) fn forget(&mut self, slot: Slot) {
        if self.queued.remove(&slot) {
            self.queue.retain(|&other| other != slot);
        }
    }

    /// The turn is over.
    pub(crate) fn end_turn(&mut self) {
        self.spent = 0;
        self.served = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves what one turn allows, and ends it.
    fn turn(queue: &mut HandshakeQueue) -> Vec<Slot> {
        let mut served = Vec::new();
        while let Some(slot) = queue.next() {
            assert!(queue.admit(slot, false));
            served.push(slot);
        }
        queue.end_turn();
        served
    }

    #[test]
    fn whoever_waits_longest_is_next_whatever_the_slot() {
        let mut queue = HandshakeQueue::default();
        let arrivals = (100..120).filter(|&slot| queue.admit(slot, false));
        assert_eq!(arrivals.collect::<Vec<_>>(), Vec::from_iter(100..108));
        queue.end_turn();
        // A newcomer in a low slot, while others wait.
        assert!(!queue.admit(3, false) && queue.has(3));
        queue.forget(109);
        assert_eq!(turn(&mut queue), [108, 110, 111, 112, 113, 114, 115, 116]);
        assert!(!queue.admit(3, false), "it waits already");
        assert_eq!(turn(&mut queue), [117, 118, 119, 3]);
        assert!(queue.is_empty() && queue.admit(5, false));
    }

    #[test]
    fn what_ends_a_handshake_comes_before_what_begins_one() {
        let mut queue = HandshakeQueue::default();
        let begun = (0..20).filter(|&slot| queue.admit(slot, false)).count();
        assert_eq!(begun, TURN_MAX);
        assert!(!queue.admit(30, true), "nothing exceeds the limit of a turn");
        queue.end_turn();
        assert!(queue.admit(31, true), "it need not wait");
        assert_eq!(turn(&mut queue), [30, 8, 9, 10, 11, 12, 13]);
    }
}
