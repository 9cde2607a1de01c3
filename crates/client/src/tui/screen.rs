//! The state of the full screen: all that is on it, and what the user set.

use super::clock::Clock;
use super::complete::Completion;
use super::contacts::Contacts;
use super::entry::Entry;
use super::history::{History, Search};
use super::input::Input;
use super::link::Link;
use super::paste::Paste;
use super::scroll::Scroll;
use super::scrollback::Scrollback;
use crate::command::Bell;
use crate::session::Session;
use crate::settings::Settings;
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::who::Who;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::time::Duration;

/// The longest line that can be typed, in bytes: longer than any message, so that one that is too long can be made
/// shorter instead of being cut.
const INPUT_MAX: usize = 4 * chat_proto::TEXT_MAX;

/// How long a message may be under way before it is shown as waiting: sooner it would only flicker.
const WAITING_SHOWN: Duration = Duration::from_millis(400);

/// What shall be done besides drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ring.
    Ring,
    /// Draw everything anew, whatever stands there.
    Redraw,
    /// Stop the program, as the shell can.
    Suspend,
    /// Not wait with the next try of a lost connection.
    RetryNow,
}

/// How many columns and rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Columns.
    pub(super) columns: usize,
    /// Rows.
    pub(super) rows: usize,
}

/// All that is on the screen, and what the user set.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) size: Size,
    pub(super) clock: Clock,
    /// The server's address, as it was typed.
    pub(super) room: String,
    pub(super) link: Link,
    /// Why the connection was lost, or the last one after it, since the client was in the room.
    pub(super) lost: Option<String>,
    pub(super) me: Option<Who>,
    /// Every id that was this client's, over reconnections: it is in what the server tells of the past.
    pub(super) own_ids: Vec<UserId>,

    pub(super) lines: Scrollback,
    pub(super) scroll: Scroll,
    /// The day of the last line, so that the next day is announced.
    pub(super) day: Option<Date>,
    /// Events that were shown before the connection was lost, which the server may tell of again; how often each.
    pub(super) known: HashMap<u64, usize>,
    /// What is searched for, and the entry where it was found last.
    pub(super) search: Option<(String, u64)>,

    pub(super) input: Input,
    pub(super) history: History,
    pub(super) completion: Option<Completion>,
    pub(super) mode: Mode,
    /// The recipient of `/query`.
    pub(super) query: Option<Who>,

    pub(super) contacts: Contacts,
    /// Joins and leaves are folded.
    pub(super) quiet: bool,
    pub(super) bell: Bell,
    /// The last path of a private message.
    pub(super) path: Option<(Who, String)>,
    pub(super) waiting: Waiting,
    /// The seconds to the next try that the last frame shows.
    pub(super) countdown: Option<u64>,

    pub(super) effects: Vec<Effect>,
    /// Something changed since the last frame.
    pub(super) stale: bool,
}

/// The client's own messages that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) count: usize,
    /// Since when none of them came back.
    pub(super) since: Duration,
    /// They are shown as waiting.
    pub(super) shown: bool,
}

impl Waiting {
    pub(super) fn tick(&mut self, count: usize, here: bool, now: Now) {
        if count < self.count || self.count == 0 {
            self.since = now.monotonic;
        }
        self.count = count;
        self.shown = count > 0 && (!here || now.monotonic >= self.since + WAITING_SHOWN);
    }

    pub(super) fn deadline(self) -> Option<Duration> {
        (self.count > 0 && !self.shown).then_some(self.since + WAITING_SHOWN)
    }

    /// How many are shown as waiting.
    pub(super) fn visible(self) -> usize {
        if self.shown { self.count } else { 0 }
    }
}

/// What keys are for at the moment.
#[derive(Debug)]
pub(super) enum Mode {
    /// For the line.
    Typing,
    /// For a search in the lines typed before.
    Searching(Search),
    /// For yes or no to what was pasted.
    Confirming(Paste),
    /// For yes or no to leaving.
    Leaving,
}

impl Screen {
    /// An empty screen.
    pub(super) fn new(settings: &Settings, zone: TimeZone, size: Size) -> Self {
        Self {
            size,
            clock: Clock::new(zone, settings.timestamps),
            room: settings.server.joined(),
            link: Link::Joining,
            lost: None,
            me: None,
            own_ids: Vec::new(),
            lines: Scrollback::new(settings.scrollback),
            scroll: Scroll::default(),
            day: None,
            known: HashMap::new(),
            search: None,
            input: Input::new(INPUT_MAX),
            history: History::default(),
            completion: None,
            mode: Mode::Typing,
            query: None,
            contacts: Contacts::default(),
            quiet: settings.quiet,
            bell: settings.bell,
            path: None,
            waiting: Waiting::default(),
            countdown: None,
            effects: Vec::new(),
            stale: true,
        }
    }

    /// The terminal has another size.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
        self.stale = true;
    }

    /// The connection is in another state.
    pub(super) fn set_link(&mut self, link: Link) {
        self.link = link;
        self.stale = true;
    }

    /// Says something to the user.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.push(Entry::note(text));
    }

    /// Tells the user that something went wrong.
    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.push(Entry::error(text));
    }

    /// What shall be done, since the last call.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether something changed since the last frame.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// When something on the screen changes though nothing happens.
    pub(super) fn deadline(&self) -> Option<Duration> {
        [self.waiting.deadline(), self.link.deadline(self.countdown)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Time went by, or the session did something.
    pub(super) fn tick(&mut self, session: &Session, now: Now) {
        // Today needs no announcement.
        self.day = self.day.or_else(|| self.clock.date(now.unix_ms));
        let before = self.waiting;
        let count = session.unsent_count();
        self.waiting.tick(count, self.link == Link::Joined, now);
        self.stale |= self.waiting.visible() != before.visible();
        self.stale |= self.query.as_ref() != session.query();
        self.query = session.query().cloned();
        let left = self.link.seconds_left(now);
        self.stale |= left != self.countdown;
        self.countdown = left;
    }

    pub(super) fn is_me(&self, who: &Who) -> bool {
        self.me.as_ref().is_some_and(|me| me.id == who.id)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.lines.push(entry);
        self.stale = true;
    }
}
