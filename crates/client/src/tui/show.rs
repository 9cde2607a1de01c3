//! Turns the events of the session into entries.

use super::clock;
use super::entry::{Entry, Kind, Presence, State, What};
use super::find::names;
use super::link::Link;
use super::screen::{Effect, Mode, Screen};
use super::unread::Concern;
use crate::command::{Bell, Joins};
use crate::format;
use crate::session::{
    Delivery, DeliveryFailure, Direction, Event, FileNews, GroupMessage, Join, Leave, Listed, PrivateMessage,
    RefusedMessage, Rename, Topic, Transport, Welcome, about_away, about_file, about_legacy, about_missed,
    about_query, about_topic,
};
use chat_proto::text::Text;
use chat_proto::who::Who;
use jiff::civil::Date;
use std::ops::Range;

/// The blanks before a row of the list of users.
const LIST_INDENT: usize = 2;

impl Screen {
    pub(super) fn show(&mut self, event: &Event) {
        self.stale = true;
        match event {
            Event::Welcome(welcome) => {
                self.trust_server();
                self.welcome(welcome);
            }
            Event::Missed(count) => self.note(about_missed(*count)),
            Event::Live => self.live(),
            Event::Legacy { silent } => self.legacy(*silent),
            Event::Said(message) => self.said(message),
            Event::Private(message) => self.private(message),
            Event::Delivered(delivery) => self.delivered(delivery),
            Event::NotDelivered(failure) => self.not_delivered(failure),
            Event::Joined(join) => {
                self.trust_server();
                self.joined(join);
            }
            Event::Left(leave) => self.left(leave),
            Event::SomeoneLeft { at } => self.came_or_went(*at, |presence| presence.left(None)),
            Event::Renamed(rename) => self.renamed(rename),
            Event::Unattributed(line) => {
                self.happened(line.at, What::Unattributed(line.text.clone()), false);
            }
            Event::Refused(message) => self.refused(message),
            Event::Users(users, addresses) => self.users(users, *addresses),
            Event::Away(away) => self.note(about_away(away, |who| self.name(who)).as_str()),
            Event::Query(to) => self.note(about_query(to.as_ref()).as_str()),
            Event::Ignoring(ignoring) => self.note(ignoring.note.as_str()),
            Event::Code(code) => format::code(code).into_iter().for_each(|line| self.note(line)),
            Event::Verified(verification) => self.note(verification.note.as_str()),
            Event::Answer(text) => self.note(text.as_str()),
            Event::Doubt(doubt) => self.error(doubt.text.as_str()),
            Event::File(news) => self.file(news),
            // A page, which the command opens.
            Event::Help => {}
            Event::Topic(topic) => self.topic(topic),
            Event::Notice(text) => self.push(Entry {
                at: None,
                what: What::Server(text.clone()),
            }),
            Event::Error(_, text) => self.error(text.as_str()),
            Event::Warning(text) => self.note(format!("warning: {text}")),
            Event::Lost(outcome) => self.lost(outcome.to_string()),
            Event::Ended(_) => {}
        }
    }

    fn welcome(&mut self, Welcome { me, users, clear }: &Welcome) {
        let again = !self.own_ids.is_empty();
        self.me = Some(me.clone());
        self.own_ids.push(me.id);
        self.link = Link::Joined;
        self.lost = None;
        if again {
            self.remember_known();
        }
        users.iter().for_each(|who| self.lookalikes.note(who));
        let back = if again { "back: " } else { "" };
        self.note(format!(
            "{back}{}",
            format::welcome(me, users, |who| self.name(who))
        ));
        if let Some(clear) = format::in_the_clear(clear, |who| self.name(who)).filter(|_| !again) {
            self.note(clear);
        }
        if me.nick.is_none() {
            self.note("you have no nick: take one with /nick NAME");
        }
    }

    fn live(&mut self) {
        self.known.clear();
        if self.own_ids.len() == 1 {
            self.note("type to talk to all; /msg NICK TEXT for one user; /help lists more");
        }
    }

    fn legacy(&mut self, silent: bool) {
        self.link = Link::Joined;
        self.lost = None;
        self.note(format!(
            "{}; /msg IP:PORT TEXT for one user; /help lists more",
            about_legacy(silent)
        ));
        if silent {
            self.mode = Mode::Doubting;
        }
    }

    /// The server turned out to be one.
    fn trust_server(&mut self) {
        if matches!(self.mode, Mode::Doubting) {
            self.mode = Mode::Typing;
        }
    }

    fn lost(&mut self, why: String) {
        self.link = Link::Lost { retry_at: None };
        // Repeated failures for one reason are one entry.
        if self.lost.as_ref() != Some(&why) {
            self.error(format!("{why}; what you type is sent after the reconnection"));
            self.lost = Some(why);
        }
    }

    /// Remembers the entries, so that the history after a reconnection does not repeat them.
    fn remember_known(&mut self) {
        self.known.clear();
        for fingerprint in self.lines.iter().filter_map(Entry::fingerprint) {
            *self.known.entry(fingerprint).or_default() += 1;
        }
    }

    fn is_known(&mut self, entry: &Entry) -> bool {
        let fingerprint = entry.fingerprint();
        let count = fingerprint.and_then(|fingerprint| self.known.get_mut(&fingerprint));
        let Some(count) = count.filter(|count| **count > 0) else {
            return false;
        };
        *count -= 1;
        true
    }

    /// Adds an entry with a time; before it the date, if that is another. After the first entry, days only go forward: a
    /// clock that is set back starts no new day.
    fn happened(&mut self, at: u64, what: What, history: bool) {
        let entry = Entry { at: Some(at), what };
        if history && self.is_known(&entry) {
            return;
        }
        let is_dated = std::mem::replace(&mut self.is_dated, true);
        let is_news = |date: &Date| match self.day {
            Some(day) if is_dated => *date > day,
            day => day != Some(*date),
        };
        if let Some(date) = self.clock.date(at).filter(is_news) {
            self.push(Entry {
                at: None,
                what: What::Day(Text::from(clock::day(date))),
            });
            self.day = Some(date);
        }
        self.push(entry);
    }

    /// Up brings the text back, also if it was pasted.
    fn refused(&mut self, RefusedMessage { text, reason }: &RefusedMessage) {
        self.error(format!("not sent: {reason}: {text}"));
        let is_said = text.as_str().starts_with('/') && text.action().is_none();
        let slash = if is_said { "/" } else { "" };
        self.history.keep(format!("{slash}{text}"));
    }

    fn topic(&mut self, topic: &Topic) {
        self.topic = Some(topic.text.clone()).filter(|text| !text.is_blank());
        self.note(about_topic(topic).as_str());
    }

    fn users(&mut self, users: &[Listed], addresses: bool) {
        self.note(format::heading(users.len()));
        if addresses {
            return users.iter().for_each(|user| self.note(format!("  {user}")));
        }
        let cells: Vec<String> = users
            .iter()
            .map(|user| user.brief(self.name(&user.who)))
            .collect();
        let width = self.look().layout.note_room().saturating_sub(LIST_INDENT);
        for row in format::columns(&cells, width) {
            self.note(format!("  {row}"));
        }
        // Each on a line of its own: what a user says can't imitate a user of the list.
        for user in users {
            if let Some(text) = &user.away {
                self.note(format!("  {} is away: {text}", self.name(&user.who)));
            }
        }
    }
}

// Messages.
impl Screen {
    fn said(&mut self, message: &GroupMessage) {
        let GroupMessage {
            who, text, history, ..
        } = message;
        self.lookalikes.note(who);
        let own = message.own || *history && self.own_ids.contains(&who.id);
        let mentions = if own { Vec::new() } else { self.mentions(text) };
        let mentioned = !mentions.is_empty();
        let kind = match (own, mentioned) {
            (true, _) => Kind::Own,
            (_, true) => Kind::Mention(mentions),
            _ => Kind::Other,
        };
        if !own {
            self.contacts.spoke(who.id);
        }
        if !own && !history {
            let concern = if mentioned {
                Concern::Mention
            } else {
                Concern::Room
            };
            self.announce(who, text, message.at, concern);
        }
        let (who, text) = (who.clone(), text.clone());
        self.happened(message.at, What::Said { who, text, kind }, *history);
    }

    /// Where a text names this user, or has a word of the setting `highlight`. The `/me` of an action names nobody.
    fn mentions(&self, text: &Text<'_>) -> Vec<Range<usize>> {
        let nick = self.me.as_ref().and_then(|me| me.nick.as_ref());
        let nick = nick.map(|nick| nick.as_str());
        let words = nick.into_iter().chain(self.highlights.iter().map(String::as_str));
        let action = text.action().map(|action| action.as_str().len());
        let begin = action.map_or(0, |length| text.as_str().len() - length);
        let mut places: Vec<_> = words.flat_map(|word| names(text.as_str(), word)).collect();
        places.retain(|place| place.start >= begin);
        places.sort_by_key(|place| place.start);
        places
    }

    fn private(&mut self, message: &PrivateMessage) {
        let PrivateMessage { peer, transport, .. } = message;
        self.lookalikes.note(peer);
        let state = match message.direction {
            Direction::Received => State::Received,
            Direction::Sent(seq) => State::Sending(seq),
        };
        self.contacts.corresponded(peer);
        if state == State::Received {
            self.path = Some((peer.clone(), transport.to_string()));
            self.announce(peer, &message.text, message.at, Concern::Private);
        }
        let what = What::Private {
            peer: peer.clone(),
            text: message.text.clone(),
            transport: *transport,
            state,
            after_gap: message.after_gap,
        };
        self.happened(message.at, what, false);
    }

    fn delivered(&mut self, delivery: &Delivery) {
        let Delivery { seq, transport, .. } = *delivery;
        self.path = Some((delivery.peer.clone(), transport.to_string()));
        let state = delivery.after.map_or(State::Sent(seq), |_| State::Delivered);
        self.update(seq, state, Some(transport));
    }

    /// Updates the entry of a private message; `false` if it is gone.
    fn update(&mut self, number: u64, new: State, path: Option<Transport>) -> bool {
        let is_it = |entry: &Entry| {
            matches!(
                entry.what,
                What::Private {
                    state: State::Sending(seq) | State::Sent(seq),
                    ..
                } if seq == number
            )
        };
        let Some(serial) = self.lines.latest(is_it) else {
            return false;
        };
        self.lines.change(serial, |entry| {
            if let What::Private { state, transport, .. } = &mut entry.what {
                *state = new;
                *transport = path.unwrap_or(*transport);
            }
        });
        true
    }

    /// An offer is as urgent as a private message.
    fn file(&mut self, news: &FileNews) {
        let text = about_file(news, |who| self.name(who));
        self.note(text.as_str());
        if news.rings {
            self.announce(&news.who, &text, news.at, Concern::Private);
        }
    }

    fn not_delivered(&mut self, failure: &DeliveryFailure) {
        let DeliveryFailure { peer, reason, .. } = failure;
        if !self.update(failure.seq, State::Failed(reason.clone()), None) {
            self.error(format!("not delivered to {}: {reason}", self.name(peer)));
        }
    }

    /// Counts a message of another user, notifies of it, and rings.
    fn announce(&mut self, who: &Who, text: &Text<'_>, at: u64, concern: Concern) {
        if !self.is_looking() {
            self.unread.add(concern, self.lines.end(), at);
        }
        let is_notified = |effect: &Effect| matches!(effect, Effect::Notify { .. });
        if !self.focused && concern != Concern::Room && !self.effects.iter().any(is_notified) {
            let from = self.name(who);
            let text = match text.action() {
                Some(action) => format!("* {}", action.shown()),
                None => text.shown().into_owned(),
            };
            self.effects.push(Effect::Notify { from, text });
        }
        self.ring(concern);
    }

    fn ring(&mut self, concern: Concern) {
        let rings = match self.bell {
            Bell::Off => false,
            Bell::Mention => concern != Concern::Room,
            Bell::Private => concern == Concern::Private,
            Bell::All => true,
        };
        if rings && !self.effects.contains(&Effect::Ring) {
            self.effects.push(Effect::Ring);
        }
    }
}

// Joins, leaves and nicks.
impl Screen {
    fn joined(&mut self, join: &Join) {
        self.lookalikes.note(&join.who);
        if join.own {
            self.joined_as(&join.who);
        } else {
            self.came_or_went(join.at, |presence| presence.joined(join.who.clone()));
        }
    }

    fn left(&mut self, leave: &Leave) {
        let Leave { who, .. } = leave;
        // The path to a user who left means nothing any more.
        self.path.take_if(|(peer, _)| peer.id == who.id);
        self.came_or_went(leave.at, |presence| presence.left(Some(who.clone())));
    }

    /// Adds a join or a leave, by the setting to those before it on that day.
    fn came_or_went(&mut self, at: u64, add: impl FnOnce(&mut Presence)) {
        match self.joins {
            Joins::None => return,
            Joins::All => {}
            Joins::Fold => {
                let last = self.lines.end().saturating_sub(1);
                let before = self.lines.get(last).filter(|_| !self.scroll.is_cleared(last));
                let before = before.and_then(|entry| entry.at);
                if before.is_some_and(|before| self.clock.date(before) == self.clock.date(at)) {
                    return self.fold(last, at, add);
                }
            }
        }
        self.add_presence(at, add);
    }

    /// Adds a join or a leave to the entry with this serial, if it is of the same kind.
    fn fold(&mut self, serial: u64, at: u64, add: impl FnOnce(&mut Presence)) {
        let mut add = Some(add);
        self.lines.change(serial, |entry| {
            if let What::Presence(presence) = &mut entry.what
                && let Some(add) = add.take()
            {
                add(presence);
            }
        });
        if let Some(add) = add {
            self.add_presence(at, add);
        }
    }

    fn add_presence(&mut self, at: u64, add: impl FnOnce(&mut Presence)) {
        let mut presence = Presence::default();
        add(&mut presence);
        self.happened(at, What::Presence(presence), false);
    }

    fn renamed(&mut self, rename: &Rename) {
        let Rename { before, after, .. } = rename;
        self.lookalikes.note(after);
        if rename.own {
            self.me = Some(after.clone());
        }
        self.happened(rename.at, What::Renamed(before.clone(), after.clone()), false);
    }

    /// An original server announces the client's own id with its join.
    fn joined_as(&mut self, who: &Who) {
        if self.me.as_ref() != Some(who) {
            self.me = Some(who.clone());
            self.own_ids.push(who.id);
            self.note(format!("you are {who}"));
        }
    }
}
