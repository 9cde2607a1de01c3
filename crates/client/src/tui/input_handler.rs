//! What each key does.

use super::complete::{Completion, Names};
use super::decoder;
use super::entry::Entry;
use super::history::Search;
use super::input::Edit;
use super::key::{Code, Key};
use super::keys::{Action, action};
use super::paste::{Paste, Pasted};
use super::screen::{Effect, Mode, Screen};
use super::scroll::ScrollAction;
use crate::format::name;
use crate::session::Session;
use chat_proto::now::Now;

/// What Ctrl-C says when there is nothing to clear.
const HOW_TO_LEAVE: &str = "/quit or Ctrl-D leaves";

impl Screen {
    /// The user did something.
    pub(super) fn typed(&mut self, input: decoder::Input, session: &mut Session, now: Now) {
        self.stale = true;
        match input {
            decoder::Input::Key(key) => self.press(key, session, now),
            decoder::Input::Paste(text) => self.paste(&text),
        }
    }

    fn press(&mut self, key: Key, session: &mut Session, now: Now) {
        // These mean the same whatever is going on.
        match action(key) {
            Some(Action::Suspend) => return self.effects.push(Effect::Suspend),
            Some(Action::Redraw) => return self.effects.push(Effect::Redraw),
            _ => {}
        }
        match std::mem::replace(&mut self.mode, Mode::Typing) {
            Mode::Typing => self.press_typing(key, session, now),
            Mode::Searching(search) => self.press_searching(search, key, session, now),
            Mode::Confirming(paste) => self.press_confirming(paste, key, session, now),
            Mode::Leaving => self.press_leaving(key, session, now),
        }
    }

    fn press_typing(&mut self, key: Key, session: &mut Session, now: Now) {
        let completion = self.completion.take();
        match action(key) {
            None => self.write(key),
            Some(Action::Submit) => self.submit_line(session, now),
            Some(Action::Complete) => self.complete(completion, session, false),
            Some(Action::CompleteBack) => self.complete(completion, session, true),
            Some(Action::DeleteOrLeave) if self.input.is_empty() => self.mode = Mode::Leaving,
            Some(Action::Clear) => self.clear_line(),
            Some(Action::Cancel) => self.cancel(),
            Some(Action::Search) => self.mode = Mode::Searching(Search::default()),
            Some(Action::Older) => {
                if let Some(line) = self.history.older(self.input.text()) {
                    self.input.set(line);
                }
            }
            Some(Action::Newer) => {
                if let Some(line) = self.history.newer() {
                    self.input.set(&line);
                }
            }
            Some(Action::Edit(edit)) => self.input.edit(edit),
            Some(Action::DeleteOrLeave) => self.input.edit(Edit::Delete),
            Some(Action::Scroll(scroll)) => self.scroll_by(scroll),
            // Handled whatever the mode is.
            Some(Action::Redraw | Action::Suspend) => {}
        }
    }

    fn write(&mut self, key: Key) {
        let written = key
            .character()
            .map(|character| self.input.insert(character.encode_utf8(&mut [0; 4])));
        if written == Some(false) {
            self.effects.push(Effect::Ring);
        }
    }

    fn clear_line(&mut self) {
        if self.input.is_empty() {
            // Once is enough, however often it is pressed.
            let hint = Entry::note(HOW_TO_LEAVE);
            let last = self
                .lines
                .end()
                .checked_sub(1)
                .and_then(|last| self.lines.get(last));
            if last != Some(&hint) {
                self.push(hint);
            }
        } else {
            // What is cleared by mistake is one press of Up away.
            let line = self.input.take();
            self.history.add(&line);
        }
    }

    fn cancel(&mut self) {
        self.search = None;
        self.scroll_by(ScrollAction::Bottom);
    }

    fn complete(&mut self, completion: Option<Completion>, session: &Session, backwards: bool) {
        let completion = if let Some(mut completion) = completion {
            completion.next(&mut self.input, backwards);
            Some(completion)
        } else {
            let names = self.names(session);
            Completion::begin(&mut self.input, &names, backwards)
        };
        if completion.is_none() {
            self.effects.push(Effect::Ring);
        }
        self.completion = completion;
    }

    /// Everybody who is here but the user, the likelier ones first.
    fn names(&self, session: &Session) -> Names {
        let mut users: Vec<_> = session
            .roster()
            .users()
            .map(|profile| &profile.who)
            .filter(|who| !self.is_me(who))
            .map(|who| (self.contacts.rank(who.id), name(who), who.id))
            .collect();
        users.sort();
        let mut correspondents: Vec<_> = users
            .iter()
            .filter_map(|(_, name, id)| Some((self.contacts.correspondent_rank(*id)?, name.clone())))
            .collect();
        correspondents.sort();
        Names {
            speakers: users.into_iter().map(|(_, name, _)| name).collect(),
            correspondents: correspondents.into_iter().map(|(_, name)| name).collect(),
        }
    }
}

// A search in the lines typed before.
impl Screen {
    fn press_searching(&mut self, mut search: Search, key: Key, session: &mut Session, now: Now) {
        match (action(key), key.character()) {
            (_, Some(character)) => search.push(character, &self.history),
            (Some(Action::Edit(Edit::DeleteBack)), _) => search.pop(&self.history),
            (Some(Action::Search), _) => search.older(&self.history),
            (Some(Action::Cancel | Action::Clear), _) => return,
            (action, _) => {
                self.take_found(&search);
                // Enter only takes the line, so that what was found can be looked at before it is sent.
                if action != Some(Action::Submit) {
                    self.press_typing(key, session, now);
                }
                return;
            }
        }
        self.mode = Mode::Searching(search);
    }

    fn take_found(&mut self, search: &Search) {
        if let Some(line) = search.found(&self.history) {
            self.input.set(line);
        }
    }
}

// Pasting.
impl Screen {
    fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Typing => {}
            Mode::Searching(search) => {
                text.chars()
                    .filter(|character| !character.is_control())
                    .for_each(|character| search.push(character, &self.history));
                return;
            }
            // The question is answered first.
            Mode::Confirming(_) | Mode::Leaving => return self.effects.push(Effect::Ring),
        }
        self.completion = None;
        match Paste::read(text, self.input.head(), self.input.tail()) {
            Pasted::Inline(text) => {
                if !self.input.insert(&text) {
                    self.error(format!(
                        "{} bytes were pasted: that is too much for a message",
                        text.len()
                    ));
                }
            }
            Pasted::Lines(paste) => self.mode = Mode::Confirming(paste),
            Pasted::Refused(reason) => self.error(reason),
        }
    }

    fn press_confirming(&mut self, paste: Paste, key: Key, session: &mut Session, now: Now) {
        match (key.code, action(key)) {
            (Code::Char('y' | 'Y'), None) => self.send_paste(&paste, session, now),
            (Code::Char('n' | 'N'), None) | (_, Some(Action::Cancel | Action::Clear)) => {}
            (Code::Char('j' | 'J'), None) => self.input.set(&paste.joined()),
            // Anything else, Enter above all, is no answer.
            _ => self.mode = Mode::Confirming(paste),
        }
    }

    /// Sends the lines; from the first on that can't be sent, they stay.
    fn send_paste(&mut self, paste: &Paste, session: &mut Session, now: Now) {
        self.input.take();
        let lines: Vec<String> = paste.submissions().collect();
        let sent = lines
            .iter()
            .take_while(|line| self.submit(line, session, now))
            .count();
        if let Some(left) = lines.get(sent).filter(|_| sent < lines.len()) {
            self.input.set(left);
        }
        if (1..lines.len()).contains(&sent) {
            self.error(format!("{} of {} lines were sent", sent, lines.len()));
        }
    }
}

// Leaving.
impl Screen {
    fn press_leaving(&mut self, key: Key, session: &mut Session, now: Now) {
        match (key.code, action(key)) {
            (Code::Char('y' | 'Y'), None) | (_, Some(Action::DeleteOrLeave)) => self.leave(session, now),
            (Code::Char('n' | 'N'), None) | (_, Some(Action::Cancel | Action::Clear | Action::Submit)) => {}
            // Who goes on typing stays.
            _ => self.press_typing(key, session, now),
        }
    }
}
