//! The commands of the full screen.

use super::find::find;
use super::keys;
use super::page::Page;
use super::screen::{Found, Mode, Screen};
use super::scroll::ScrollAction;
use crate::command::{Bell, Joins, ScreenCommand};
use crate::session::Session;
use chat_proto::now::Now;
use chat_proto::text::Text;

impl Screen {
    /// Runs a command of the full screen. The error says why it failed.
    pub(super) fn run(
        &mut self,
        command: &ScreenCommand<'_>,
        session: &mut Session,
        now: Now,
    ) -> Result<(), String> {
        match command {
            ScreenCommand::Whois(typed) => session.request_whois(typed, now),
            ScreenCommand::Joins(which) => self.set_joins(*which),
            ScreenCommand::Bell(when) => self.set_bell(*when),
            ScreenCommand::Search(text) => self.search(*text)?,
            ScreenCommand::Clear => self.scroll.clear(&self.lines),
            ScreenCommand::Keys => self.read(keys::help()),
        }
        Ok(())
    }

    /// Shows a page from its top.
    pub(super) fn read(&mut self, lines: impl Iterator<Item = String>) {
        self.mode = Mode::Reading(Page::new(lines, self.lines.end()));
    }

    fn set_joins(&mut self, which: Option<Joins>) {
        self.joins = which.unwrap_or(self.joins);
        self.note(match self.joins {
            Joins::Fold => "joins and leaves are folded into one line",
            Joins::All => "each join and leave has a line",
            Joins::None => "joins and leaves are not shown",
        });
    }

    fn set_bell(&mut self, when: Option<Bell>) {
        self.bell = when.unwrap_or(self.bell);
        self.note(match self.bell {
            Bell::Off => "the bell is off",
            Bell::Mention => "the bell rings when a message names you or is private",
            Bell::Private => "the bell rings at private messages",
            Bell::All => "the bell rings at every message",
        });
    }

    /// Scrolls to the last line with this text, or from the one found to the next one further back.
    fn search(&mut self, text: Option<&str>) -> Result<(), String> {
        let Some(text) = text else {
            return self.search_on(true);
        };
        self.search = None;
        self.find(Text::new(text).to_string(), |_| Some(0))
    }

    /// Scrolls from the line found to the next older or newer one.
    pub(super) fn search_on(&mut self, older: bool) -> Result<(), String> {
        let found = self
            .search
            .as_ref()
            .ok_or("nothing to search for: /search TEXT")?;
        let serial = found.serial;
        self.find(found.needle.clone(), |matches| match older {
            true => matches.iter().position(|&other| other < serial),
            false => matches.iter().rposition(|&other| other > serial),
        })
    }

    /// Scrolls to one of the matches, of which the last is the first.
    fn find(&mut self, needle: String, choose: impl Fn(&[u64]) -> Option<usize>) -> Result<(), String> {
        let look = self.look();
        let is_match = |&serial: &u64| {
            let entry = self.lines.get(serial);
            let line = entry.and_then(|entry| entry.said(&look));
            line.is_some_and(|line| find(&line, &needle).is_some())
        };
        let serials = self.lines.begin()..self.lines.end();
        let matches: Vec<u64> = serials.rev().filter(is_match).collect();
        let chosen = choose(&matches).and_then(|place| Some((place, *matches.get(place)?)));
        let Some((place, serial)) = chosen else {
            return Err(format!("'{needle}' was not found"));
        };
        let place = (place + 1, matches.len());
        self.search = Some(Found {
            needle,
            serial,
            place,
        });
        self.scroll_by(ScrollAction::Show(serial));
        Ok(())
    }
}
