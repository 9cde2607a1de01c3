//! The state of the full screen.

use super::clock::Clock;
use super::complete::Completion;
use super::contacts::Contacts;
use super::entry::Entry;
use super::history::{History, Search};
use super::input::Input;
use super::link::Link;
use super::lookalikes::Lookalikes;
use super::page::Page;
use super::paste::Paste;
use super::scroll::Scroll;
use super::scrollback::Scrollback;
use super::unread::Unread;
use crate::command::{Bell, Joins};
use crate::files::listing;
use crate::session::{Session, UnderWay};
use crate::settings::Settings;
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::Who;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// The longest input line, in bytes: longer than any message, so that the user can shorten one that is too long.
const INPUT_MAX: usize = 4 * chat_proto::TEXT_MAX;

/// How long a message may be unacknowledged before it is shown as waiting; less would flicker.
const WAITING_SHOWN: Duration = Duration::from_millis(400);

/// An action outside the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ring the bell.
    Ring,
    /// Notify the desktop of a message; name and text are safe to show.
    Notify { from: String, text: String },
    /// Redraw the whole terminal.
    Redraw,
    /// Suspend the program.
    Suspend,
    /// Try at once to reconnect.
    RetryNow,
}

/// The size of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The state of the full screen.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) size: Size,
    pub(super) clock: Clock,
    /// The server's address, as typed.
    pub(super) room: String,
    pub(super) link: Link,
    /// Since when the server owes an answer, and the seconds that are shown.
    pub(super) unanswered: Option<(Duration, u64)>,
    /// What is tried to make the first connection.
    pub(super) connecting: Option<String>,
    /// The reason of the last disconnection, until the client is in the room again.
    pub(super) lost: Option<String>,
    pub(super) me: Option<Who>,
    /// All ids of this client so far: after a reconnection the history contains the earlier ones.
    pub(super) own_ids: Vec<UserId>,

    /// What the room is about.
    pub(super) topic: Option<Text<'static>>,
    pub(super) lines: Scrollback,
    pub(super) scroll: Scroll,
    /// Whether the terminal has the focus, as far as it reports that.
    pub(super) focused: bool,
    pub(super) unread: Unread,
    /// The width of the longest name in view.
    pub(super) longest_name: usize,
    /// The date of the last entry.
    pub(super) day: Option<Date>,
    /// An entry with a time was shown.
    pub(super) is_dated: bool,
    /// Fingerprints of the entries from before a reconnection, which the history may repeat, and how often each occurs.
    pub(super) known: HashMap<u64, usize>,
    pub(super) search: Option<Found>,

    pub(super) input: Input,
    pub(super) history: History,
    pub(super) completion: Option<Completion>,
    pub(super) mode: Mode,
    /// The recipient of `/query`.
    pub(super) query: Option<Who>,

    pub(super) contacts: Contacts,
    pub(super) lookalikes: Lookalikes,
    pub(super) joins: Joins,
    pub(super) bell: Bell,
    /// Words that make a message a mention.
    pub(super) highlights: Vec<String>,
    /// The last path of a private message.
    pub(super) path: Option<(Who, String)>,
    pub(super) waiting: Waiting,
    /// The files that move, with the peer of each.
    pub(super) files: Vec<UnderWay>,
    /// The names in a directory, for completion; those of directories end in a slash.
    pub(super) list: fn(&Path) -> Vec<String>,
    /// The seconds to the next reconnection, as the last frame shows them.
    pub(super) countdown: Option<u64>,

    pub(super) effects: Vec<Effect>,
    /// Something changed since the last frame.
    pub(super) stale: bool,
}

/// The match of `/search` in view.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) needle: String,
    /// The serial of the entry.
    pub(super) serial: u64,
    /// Its number among the matches, the last one being 1, and the number of all.
    pub(super) place: (usize, usize),
}

/// The client's own unacknowledged messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) count: usize,
    /// The time of the last acknowledgement, or of the first message.
    pub(super) since: Duration,
    /// They are shown as waiting.
    pub(super) shown: bool,
}

impl Waiting {
    pub(super) fn tick(&mut self, count: usize, joined: bool, now: Now) {
        if count < self.count || self.count == 0 {
            self.since = now.monotonic;
        }
        self.count = count;
        self.shown = count > 0 && (!joined || now.monotonic >= self.since + WAITING_SHOWN);
    }

    pub(super) fn deadline(self) -> Option<Duration> {
        (self.count > 0 && !self.shown).then_some(self.since + WAITING_SHOWN)
    }

    /// The number shown as waiting.
    pub(super) fn visible(self) -> usize {
        if self.shown { self.count } else { 0 }
    }
}

/// The mode, which decides the effect of keys.
#[derive(Debug)]
pub(super) enum Mode {
    /// Edit the line.
    Typing,
    /// Search the lines typed before.
    Searching(Search),
    /// Answer whether to send pasted lines.
    Confirming(Paste),
    /// Read a page.
    Reading(Page),
    /// Answer whether to leave.
    Leaving,
    /// Answer whether to go on with a server that says nothing.
    Doubting,
}

impl Screen {
    pub(super) fn new(settings: &Settings, zone: TimeZone, size: Size) -> Self {
        Self {
            size,
            clock: Clock::new(zone, settings.timestamps),
            room: settings.server.joined(),
            link: Link::Joining,
            connecting: None,
            unanswered: None,
            lost: None,
            me: None,
            own_ids: Vec::new(),
            topic: None,
            lines: Scrollback::new(settings.scrollback),
            scroll: Scroll::default(),
            focused: true,
            unread: Unread::default(),
            longest_name: 0,
            day: None,
            is_dated: false,
            known: HashMap::new(),
            search: None,
            input: Input::new(INPUT_MAX),
            history: History::default(),
            completion: None,
            mode: Mode::Typing,
            query: None,
            contacts: Contacts::default(),
            lookalikes: Lookalikes::default(),
            joins: settings.joins,
            bell: settings.bell,
            highlights: settings.highlight.split_whitespace().map(str::to_owned).collect(),
            path: None,
            waiting: Waiting::default(),
            files: Vec::new(),
            list: listing::names,
            countdown: None,
            effects: Vec::new(),
            stale: true,
        }
    }

    /// Takes over a new size of the terminal.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
        self.stale = true;
    }

    pub(super) fn set_focused(&mut self, focused: bool) {
        self.stale |= focused != self.focused;
        self.focused = focused;
    }

    /// Whether the user sees what comes.
    pub(super) fn is_looking(&self) -> bool {
        self.focused && self.scroll.at_end() && !matches!(self.mode, Mode::Reading(_))
    }

    pub(super) fn set_link(&mut self, link: Link) {
        self.link = link;
        self.connecting = None;
        self.stale = true;
    }

    pub(super) fn set_connecting(&mut self, doing: String) {
        self.connecting = Some(doing);
        self.stale = true;
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.push(Entry::note(text));
    }

    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.push(Entry::error(text));
    }

    /// The effects since the last call.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// The time at which the screen changes without an event.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let unanswered = self.unanswered;
        let unanswered = unanswered.map(|(since, seconds)| since + Duration::from_secs(seconds + 1));
        let link = self.link.deadline(self.countdown);
        [self.waiting.deadline(), link, unanswered]
            .into_iter()
            .flatten()
            .min()
    }

    /// Updates everything that depends on the time or the session.
    pub(super) fn tick(&mut self, session: &Session, now: Now) {
        // Today needs no line with the date.
        self.day = self.day.or_else(|| self.clock.date(now.unix_ms));
        let before = self.waiting;
        let count = session.unsent_count();
        self.waiting.tick(count, self.link == Link::Joined, now);
        self.stale |= self.waiting.visible() != before.visible();
        self.stale |= self.query.as_ref() != session.query();
        self.query = session.query().cloned();
        let unanswered = session.unanswered_since().map(|since| {
            let elapsed = now.monotonic.saturating_sub(since);
            (since, elapsed.as_secs())
        });
        self.stale |= unanswered != self.unanswered;
        self.unanswered = unanswered;
        let files = session.files_under_way();
        self.stale |= files != self.files;
        self.files = files;
        let left = self.link.seconds_left(now);
        self.stale |= left != self.countdown;
        self.countdown = left;
    }

    /// The name of a user on the screen.
    pub(super) fn name(&self, who: &Who) -> String {
        self.lookalikes.name(who)
    }

    pub(super) fn is_me(&self, who: &Who) -> bool {
        self.me.as_ref().is_some_and(|me| me.id == who.id)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.lines.push(entry);
        self.stale = true;
    }
}
