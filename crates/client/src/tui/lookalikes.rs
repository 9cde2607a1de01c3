//! Nicks that look alike. A server of ours lets only one of them in; after others, their users are shown with their ids.

use crate::format;
use chat_proto::nick::{Nick, NickKey, Skeleton};
use chat_proto::who::Who;
use std::collections::{HashMap, HashSet};

/// Nicks that are remembered, so that a hostile server can't fill the memory: about 300 bytes each.
const NICKS_MAX: usize = 16_384;

/// The nicks of all users so far, by their looks.
#[derive(Debug, Default)]
pub(super) struct Lookalikes {
    nicks: HashSet<Nick>,
    first: HashMap<Skeleton, NickKey>,
    /// Looks of several nicks.
    shared: HashSet<Skeleton>,
}

impl Lookalikes {
    /// A user is about to be shown.
    pub(super) fn note(&mut self, who: &Who) {
        let Some(nick) = who.nick.as_ref().filter(|nick| !self.nicks.contains(nick)) else {
            return;
        };
        if self.nicks.len() >= NICKS_MAX {
            *self = Self::default();
        }
        let key = nick.key();
        for look in nick.skeletons() {
            let first = self.first.entry(look.clone()).or_insert_with(|| key.clone());
            if *first != key {
                self.shared.insert(look);
            }
        }
        self.nicks.insert(nick.clone());
    }

    /// The name of a user on the screen: the short one, unless it looks like another user's.
    pub(super) fn name(&self, who: &Who) -> String {
        let is_shared = !self.shared.is_empty()
            && who
                .nick
                .iter()
                .flat_map(Nick::skeletons)
                .any(|look| self.shared.contains(&look));
        if is_shared {
            who.to_string()
        } else {
            format::name(who)
        }
    }
}
