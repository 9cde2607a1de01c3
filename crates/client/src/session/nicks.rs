//! The client takes the nick that the user wishes once it is free.

use super::event::Event;
use super::state::Session;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::time::Duration;

impl Session {
    /// Somebody lost this nick.
    pub(super) fn nick_freed(&mut self, nick: &Nick, now: Now) {
        if let Some(wish) = &mut self.wish
            && wish
                .nick
                .skeletons()
                .any(|look| nick.skeletons().any(|other| other == look))
        {
            wish.freed(now.monotonic);
        }
    }

    /// The user asks for this nick.
    pub(super) fn nick_chosen(&mut self, nick: &Nick) {
        self.wish = self
            .wish
            .take()
            .filter(|wish| wish.is_asked || wish.nick == *nick);
        if let Some(wish) = &mut self.wish {
            wish.is_dropped |= wish.nick != *nick;
        }
    }

    /// The client has a nick. If it is the wished one, which the user did not ask for just now, says so: `true`.
    pub(super) fn end_wish(&mut self, nick: &Nick) -> bool {
        match self.wish.take().filter(|wish| wish.is_asked) {
            Some(wish) => {
                if wish.nick == *nick {
                    let text = format!("the nick {nick} is free, and yours now");
                    self.events.push_back(Event::Notice(Text::from(text)));
                }
                true
            }
            None => false,
        }
    }

    /// The server rejected a nick. Whether it was the wished one, which the user did not ask for just now.
    pub(super) fn wish_rejected(&mut self) -> bool {
        let now = self.clocks.last_received;
        let Some(wish) = self.wish.as_mut().filter(|wish| wish.is_asked) else {
            return false;
        };
        wish.rejected_again(now);
        self.wish.take_if(|wish| wish.is_dropped);
        true
    }

    /// When to look whether the wished nick is free.
    pub(super) fn wish_deadline(&self) -> Option<Duration> {
        let may_ask = self.is_ready() && self.pending_nicks == 0 && !self.is_ending();
        self.wish
            .as_ref()
            .filter(|wish| may_ask && !wish.is_asked)
            .and_then(|wish| wish.ask_at)
    }

    /// Asks for the wished nick, if it is time to and nobody has it.
    pub(super) fn ask_for_wish(&mut self, now: Now) {
        if self.wish_deadline().is_none_or(|at| now.monotonic < at) {
            return;
        }
        let Some(mut wish) = self.wish.take() else { return };
        wish.ask_at = None;
        if !self.is_taken(&wish.nick) {
            wish.is_asked = true;
            self.send_line(&FromClient::Nick(wish.nick.as_str()));
        }
        self.wish = Some(wish);
    }

    /// Whether a user here has this nick, or one that looks like it.
    fn is_taken(&self, nick: &Nick) -> bool {
        let mut users = self.roster().users();
        users.any(|user| user.who.nick.as_ref().is_some_and(|other| other.looks_like(nick)))
    }
}
