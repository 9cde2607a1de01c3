//! What each key does.

use super::complete::{Completion, Names};
use super::decoder;
use super::entry::{Entry, name};
use super::history::Search;
use super::key::{Code, Key};
use super::keys::{Deed, deed};
use super::paste::{Paste, Pasted};
use super::view::ScrollDeed;
use super::{Effect, Mode, Screen};
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
        match deed(key) {
            Some(Deed::Suspend) => return self.effects.push(Effect::Suspend),
            Some(Deed::Redraw) => return self.effects.push(Effect::Redraw),
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
        match deed(key) {
            None => self.write(key),
            Some(Deed::Submit) => self.submit_line(session, now),
            Some(Deed::Complete) => self.complete(completion, session, false),
            Some(Deed::CompleteBack) => self.complete(completion, session, true),
            Some(Deed::DeleteOrLeave) if self.input.is_empty() => self.mode = Mode::Leaving,
            Some(Deed::Clear) => self.clear_line(),
            Some(Deed::Cancel) => self.cancel(),
            Some(Deed::Search) => self.mode = Mode::Searching(Search::default()),
            Some(Deed::Older) => {
                if let Some(line) = self.history.older(self.input.text()) {
                    self.input.set(line);
                }
            }
            Some(Deed::Newer) => {
                if let Some(line) = self.history.newer() {
                    self.input.set(&line);
                }
            }
            Some(deed) => self.edit(deed),
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

    fn edit(&mut self, deed: Deed) {
        let input = &mut self.input;
        match deed {
            Deed::LineStart => input.home(),
            Deed::LineEnd => input.end(),
            Deed::Left => input.left(),
            Deed::Right => input.right(),
            Deed::WordLeft => input.word_left(),
            Deed::WordRight => input.word_right(),
            Deed::DeleteBack => input.delete_back(),
            Deed::Delete | Deed::DeleteOrLeave => input.delete(),
            Deed::CutToEnd => input.cut_to_end(),
            Deed::CutToStart => input.cut_to_start(),
            Deed::CutBlankBack => input.cut_blank_back(),
            Deed::CutWordBack => input.cut_word_back(),
            Deed::CutWord => input.cut_word(),
            Deed::Yank => input.yank(),
            Deed::YankOlder => input.yank_older(),
            Deed::Transpose => input.transpose(),
            Deed::PageUp => self.scroll_by(ScrollDeed::PageUp),
            Deed::PageDown => self.scroll_by(ScrollDeed::PageDown),
            Deed::Top => self.scroll_by(ScrollDeed::Begin),
            Deed::Bottom => self.scroll_by(ScrollDeed::End),
            _ => {}
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
        self.scroll_by(ScrollDeed::End);
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
            .map(|who| (self.people.rank(who.id), name(who), who.id))
            .collect();
        users.sort();
        let mut correspondents: Vec<_> = users
            .iter()
            .filter_map(|(_, name, id)| Some((self.people.correspondent_rank(*id)?, name.clone())))
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
        match (deed(key), key.character()) {
            (_, Some(character)) => search.push(character, &self.history),
            (Some(Deed::DeleteBack), _) => search.pop(&self.history),
            (Some(Deed::Search), _) => search.older(&self.history),
            (Some(Deed::Cancel | Deed::Clear), _) => return,
            (deed, _) => {
                self.take_found(&search);
                // Enter only takes the line, so that what was found can be looked at before it is sent.
                if deed != Some(Deed::Submit) {
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
        match (key.code, deed(key)) {
            (Code::Char('y' | 'Y'), None) => self.send_paste(&paste, session, now),
            (Code::Char('n' | 'N'), None) | (_, Some(Deed::Cancel | Deed::Clear)) => {}
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
        match (key.code, deed(key)) {
            (Code::Char('y' | 'Y'), None) | (_, Some(Deed::DeleteOrLeave)) => self.leave(session, now),
            (Code::Char('n' | 'N'), None) | (_, Some(Deed::Cancel | Deed::Clear | Deed::Submit)) => {}
            // Who goes on typing stays.
            _ => self.press_typing(key, session, now),
        }
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
}
