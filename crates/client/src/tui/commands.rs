//! Submitting a line, and the commands that the screen carries out by itself.

use super::entry::Entry;
use super::find::find;
use super::keys;
use super::link::Link;
use super::screen::{Effect, Screen};
use super::scroll::ScrollAction;
use crate::command::{Bell, Command, ScreenCommand};
use crate::format::name;
use crate::session::Session;
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::Who;

impl Screen {
    /// Submits what was typed. A line that can't be done stays, to be mended.
    pub(super) fn submit_line(&mut self, session: &mut Session, now: Now) {
        let line = self.input.text().to_owned();
        self.scroll_by(ScrollAction::Bottom);
        if line.is_empty() && matches!(self.link, Link::Lost { again: Some(_) }) {
            self.effects.push(Effect::Hurry);
        }
        if self.submit(&line, session, now) {
            self.history.add(&line);
            self.input.take();
        }
    }

    /// Carries out a line; `false` if it can't be done.
    pub(super) fn submit(&mut self, line: &str, session: &mut Session, now: Now) -> bool {
        let before = session.failures();
        match Command::parse(line) {
            Command::Say(_) | Command::Msg(..) | Command::Reply(_) if !session.has_room() => {
                self.error("not sent: too much is waiting to be sent already");
                return false;
            }
            Command::OnScreen(command) => return self.carry_out(&command, session),
            Command::Quit => self.leave(session, now),
            command => session.request(&command, now),
        }
        session.failures() == before
    }

    /// Leaves when all that is under way was acknowledged; at once where that can't be, or where it was asked for before.
    pub(super) fn leave(&mut self, session: &mut Session, now: Now) {
        if session.is_lost() || session.is_ending() || session.under_way() == 0 {
            return session.leave(now);
        }
        session.end_input(now);
        if session.outcome().is_none() {
            self.note("leaving once all that you said has arrived; /quit again leaves at once");
        }
    }

    fn carry_out(&mut self, command: &ScreenCommand<'_>, session: &Session) -> bool {
        match command {
            ScreenCommand::Whois(typed) => return self.with_user(typed, session, Self::whois),
            ScreenCommand::Ignore(Some(typed)) => {
                return self.with_user(typed, session, |screen, _, who| screen.ignore(who));
            }
            ScreenCommand::Ignore(None) => self.list_ignored(),
            ScreenCommand::Unignore(typed) => return self.unignore(typed),
            ScreenCommand::Quiet => self.toggle_quiet(),
            ScreenCommand::Bell(when) => self.set_bell(*when),
            ScreenCommand::Search(text) => return self.search(*text),
            ScreenCommand::Clear => self.scroll.clear(&self.lines),
            ScreenCommand::Keys => self.help_keys(),
        }
        true
    }

    /// Does something about the user that was typed, if it is clear who that is.
    fn with_user(
        &mut self,
        typed: &str,
        session: &Session,
        act: impl FnOnce(&mut Self, &Session, Who),
    ) -> bool {
        let found = session.roster().resolve(typed).map(|profile| profile.who.clone());
        match found {
            Ok(who) => act(self, session, who),
            Err(unresolved) => {
                self.error(format!("{}: {unresolved}", Text::new(typed)));
                return false;
            }
        }
        true
    }

    fn whois(&mut self, session: &Session, who: Who) {
        let Some(profile) = session.roster().get(who.id) else {
            return;
        };
        let private = if profile.key.is_some() {
            "private messages are sealed"
        } else {
            "private messages are unencrypted"
        };
        let own = if self.is_me(&who) { ", that is you" } else { "" };
        let ignored = if self.contacts.is_ignored(&who) {
            "; ignored"
        } else {
            ""
        };
        let address = profile.udp.map_or(String::new(), |udp| format!(" (UDP {udp})"));
        self.note(format!("{who}{own}: {private}{address}{ignored}"));
    }

    fn ignore(&mut self, who: Who) {
        if self.is_me(&who) {
            return self.error("that is you");
        }
        self.note(format!(
            "nothing of {who} is shown any more, until /unignore {}",
            name(&who)
        ));
        self.contacts.ignore(who);
    }

    fn list_ignored(&mut self) {
        let names: Vec<String> = self.contacts.ignored().iter().map(Who::to_string).collect();
        if names.is_empty() {
            self.note("nobody is ignored");
        } else {
            self.note(format!("ignored: {}", names.join(", ")));
        }
    }

    fn unignore(&mut self, typed: &str) -> bool {
        let meant = self.contacts.unignore(typed);
        if meant.is_empty() {
            self.error(format!("{} is not ignored", Text::new(typed)));
        }
        for who in &meant {
            self.note(format!("{who} is shown again"));
        }
        !meant.is_empty()
    }

    fn help_keys(&mut self) {
        keys::help().for_each(|line| self.note(line));
    }

    fn toggle_quiet(&mut self) {
        self.quiet = !self.quiet;
        self.note(if self.quiet {
            "joins and leaves are folded"
        } else {
            "each join and leave is shown"
        });
    }

    fn set_bell(&mut self, when: Option<Bell>) {
        self.bell = when.unwrap_or(self.bell);
        self.note(match self.bell {
            Bell::Off => "the bell is off",
            Bell::Mention => "the bell rings when you are named or written to privately",
            Bell::Private => "the bell rings when you are written to privately",
            Bell::All => "the bell rings at every message",
        });
    }

    /// Scrolls to where it was said last, before where it was found before.
    fn search(&mut self, text: Option<&str>) -> bool {
        let (needle, before) = match (text, self.search.take()) {
            (Some(text), _) => (Text::new(text).to_string(), self.lines.end()),
            (None, Some((needle, found))) => (needle, found),
            (None, None) => {
                self.error("/search TEXT scrolls to where that was said");
                return false;
            }
        };
        let mut serials = (self.lines.begin()..before).rev();
        let found = serials.find(|&serial| {
            let line = self.lines.get(serial).and_then(Entry::said);
            line.is_some_and(|line| find(&line, &needle).is_some())
        });
        match found {
            Some(serial) => {
                self.search = Some((needle, serial));
                self.scroll_by(ScrollAction::Show(serial));
            }
            None => self.error(format!("'{needle}' was not found")),
        }
        found.is_some()
    }
}
