//! Runs the actions of keys, submits lines, and handles pastes.

use super::complete::{Completion, Names};
use super::decoder;
use super::entry::Entry;
use super::history::Search;
use super::input::Edit;
use super::key::{Code, Key};
use super::keys::{Action, action};
use super::link::Link;
use super::page::Page;
use super::paste::{Paste, Pasted};
use super::screen::{Effect, Mode, Screen};
use super::scroll::ScrollAction;
use crate::command::{self, Command};
use crate::session::Session;
use chat_proto::now::Now;
use chat_proto::text::ROW_END;

/// The least number of arrows that are the wheel. A person's come alone, or two of them over a slow link.
const WHEEL_ARROWS: usize = 3;

/// Scrolls if these are the arrows of a mouse wheel: several equal ones in one read, and nothing else.
///
/// On the alternate screen, some terminals send arrows for the wheel whether they are asked to or not, and so does one
/// around tmux, to which the client's request does not get. xterm sends 5 for a notch in one write, VTE a tenth of its
/// rows. The client does not ask for them (mode 1007), because for a touchpad VTE and foot send single ones, which look
/// like the key and would replace the line by an older one. Tried in xterm 379, and in tmux 3.3a, which passes the
/// reports of the setting `mouse` on whether its own mouse is on or off.
fn turned(inputs: &[decoder::Input]) -> Option<ScrollAction> {
    let rows = inputs.len();
    let are = |code: Code| {
        let arrow = decoder::Input::Key(code.into());
        rows >= WHEEL_ARROWS && inputs.iter().all(|input| *input == arrow)
    };
    match (are(Code::Up), are(Code::Down)) {
        (true, _) => Some(ScrollAction::Up(rows)),
        (_, true) => Some(ScrollAction::Down(rows)),
        _ => None,
    }
}

impl Screen {
    /// Handles the keys and pastes that came in one read. A question is answered only by a key that came alone:
    /// others were typed before the user saw the question, or are the rest of a paste.
    pub(super) fn handle(&mut self, inputs: Vec<decoder::Input>, session: &mut Session, now: Now) {
        self.stale |= !inputs.is_empty();
        // Whoever types looks, also if the terminal did not report it. The wheel turns without the focus too.
        let wheel = [Code::WheelUp, Code::WheelDown].map(|code| decoder::Input::Key(code.into()));
        self.focused |= inputs.iter().any(|input| !wheel.contains(input));
        if matches!(self.mode, Mode::Typing)
            && let Some(turned) = turned(&inputs)
        {
            return self.scroll_by(turned);
        }
        let alone = inputs.len() == 1;
        for input in inputs {
            let asks = matches!(self.mode, Mode::Confirming(_) | Mode::Leaving);
            match input {
                decoder::Input::Key(key) if self.press_in_any_mode(key) => {}
                _ if asks && !alone => self.effects.push(Effect::Ring),
                decoder::Input::Key(key) => self.press(key, session, now),
                decoder::Input::Paste(text) => self.paste(&text),
            }
        }
    }

    /// Handles the keys that work in every mode; `false` if this is none.
    fn press_in_any_mode(&mut self, key: Key) -> bool {
        self.effects.push(match action(key) {
            Some(Action::Suspend) => Effect::Suspend,
            Some(Action::Redraw) => Effect::Redraw,
            _ => return false,
        });
        true
    }

    fn press(&mut self, key: Key, session: &mut Session, now: Now) {
        match std::mem::replace(&mut self.mode, Mode::Typing) {
            Mode::Typing => self.press_typing(key, session, now),
            Mode::Searching(search) => self.press_searching(search, key, session, now),
            Mode::Confirming(paste) => self.press_confirming(paste, key, session, now),
            Mode::Reading(page) => self.press_reading(page, key),
            Mode::Leaving => self.press_leaving(key, session, now),
            Mode::Doubting => self.press_doubting(key, session, now),
        }
    }

    fn press_typing(&mut self, key: Key, session: &mut Session, now: Now) {
        let completion = self.completion.take();
        match action(key) {
            None => self.write(key),
            Some(Action::Submit) => self.submit_line(session, now),
            Some(Action::NewLine) => self.insert(&ROW_END.to_string()),
            Some(Action::Complete) => self.complete(completion, session, false),
            Some(Action::CompleteBack) => self.complete(completion, session, true),
            Some(Action::DeleteOrLeave) if self.input.is_empty() => self.mode = Mode::Leaving,
            Some(Action::Clear) => self.clear_line(),
            Some(Action::Cancel) => self.cancel(),
            Some(Action::Search) => self.search_on_or_begin(true),
            Some(Action::SearchNewer) => self.search_on_or_begin(false),
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
            // Handled in any mode.
            Some(Action::Redraw | Action::Suspend) => {}
        }
    }

    fn write(&mut self, key: Key) {
        if let Some(character) = key.character() {
            self.insert(character.encode_utf8(&mut [0; 4]));
        }
    }

    fn insert(&mut self, text: &str) {
        if !self.input.insert(text) {
            self.effects.push(Effect::Ring);
        }
    }

    fn clear_line(&mut self) {
        if self.input.is_empty() {
            // However often Ctrl-C is pressed, one hint is enough.
            let hint = Entry::note("/quit or Ctrl-D leaves the room");
            if self.lines.iter().next_back() != Some(&hint) {
                self.push(hint);
            }
        } else {
            // Up brings the line back.
            let line = self.input.take();
            self.history.add(&line);
        }
    }

    fn cancel(&mut self) {
        self.search = None;
        self.scroll_by(ScrollAction::Bottom);
    }

    fn complete(&mut self, completion: Option<Completion>, session: &Session, backwards: bool) {
        self.completion = match completion {
            Some(completion) if !completion.is_only_directory() => {
                Some(completion.next(&mut self.input, backwards))
            }
            _ => {
                let names = self.names(session);
                let list = |directory: &str| (self.list)(&session.typed_path(directory));
                Completion::begin(&mut self.input, &names, list, backwards)
            }
        };
        if self.completion.is_none() {
            self.effects.push(Effect::Ring);
        }
    }

    /// All other users, the most likely ones first.
    fn names(&self, session: &Session) -> Names {
        let mut users: Vec<_> = session
            .roster()
            .users()
            .map(|profile| &profile.who)
            .filter(|who| !self.is_me(who))
            .map(|who| (self.contacts.rank(who.id), self.name(who), who.id))
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
            is_operator: session.is_operator(),
        }
    }
}

// Searching.
impl Screen {
    /// Finds the next match of `/search`, while one is shown and nothing is typed; else searches the lines typed before.
    fn search_on_or_begin(&mut self, older: bool) {
        if self.search.is_none() || !self.input.is_empty() {
            self.mode = Mode::Searching(Search::default());
        } else if self.search_on(older).is_err() {
            self.effects.push(Effect::Ring);
        }
    }

    fn press_searching(&mut self, mut search: Search, key: Key, session: &mut Session, now: Now) {
        match (action(key), key.character()) {
            (_, Some(character)) => search.push(character, &self.history),
            (Some(Action::Edit(Edit::DeleteBack)), _) => search.pop(&self.history),
            (Some(Action::Search), _) => search.older(&self.history),
            (Some(Action::SearchNewer), _) => search.newer(&self.history),
            (Some(Action::Cancel | Action::Clear), _) => return,
            (action, _) => {
                if let Some(line) = search.found(&self.history) {
                    self.input.set(line);
                }
                // Enter only takes over the line: the user reads it before sending it.
                if action != Some(Action::Submit) {
                    self.press_typing(key, session, now);
                }
                return;
            }
        }
        self.mode = Mode::Searching(search);
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
            // The question must be answered first.
            Mode::Confirming(_) | Mode::Reading(_) | Mode::Leaving | Mode::Doubting => {
                return self.effects.push(Effect::Ring);
            }
        }
        self.completion = None;
        match Paste::read(text, self.input.head(), self.input.tail()) {
            Pasted::Inline(text) => {
                if !self.input.insert(&text) {
                    let length = text.len();
                    self.error(format!("not pasted: {length} bytes are too many for a message"));
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
            (Code::Char('e' | 'E'), None) if paste.fits() => self.input.set(&paste.joined()),
            // No other key answers, above all not Enter.
            _ => self.mode = Mode::Confirming(paste),
        }
    }

    /// Submits the typed line. Up brings it back, also if it failed: if it stayed, the next line would be typed behind it.
    fn submit_line(&mut self, session: &mut Session, now: Now) {
        let line = self.input.take();
        self.scroll_by(ScrollAction::Bottom);
        if !line.is_empty() && !line.starts_with("/search") {
            self.search = None;
        }
        if line.is_empty() && matches!(self.link, Link::Lost { retry_at: Some(_) }) {
            self.effects.push(Effect::RetryNow);
        }
        self.submit(&line, session, now);
        // Whoever sits here next shall not find the code.
        if !matches!(Command::parse(&line), Command::Op(_)) {
            self.history.add(&line);
        }
    }

    /// Sends a line or runs its command; `false` if that failed.
    fn submit(&mut self, line: &str, session: &mut Session, now: Now) -> bool {
        let before = session.failures();
        match Command::parse(line) {
            Command::Say(_) | Command::Msg(..) | Command::Reply(_) if !session.has_room() => {
                self.error("not sent: too many messages are waiting; try again later");
                return false;
            }
            Command::Help if session.is_operator() => {
                self.read(command::help(true).chain(command::help_operators()));
            }
            Command::Help => self.read(command::help(true)),
            Command::HelpOperators => self.read(command::help_operators()),
            Command::HelpFiles => self.read(command::help_files()),
            Command::OnScreen(command) => {
                let done = self.run(&command, session, now).map_err(|why| self.error(why));
                return done.is_ok() && session.failures() == before;
            }
            Command::Quit => self.leave(session, now),
            command => session.request(&command, now),
        }
        session.failures() == before
    }

    /// Leaves once all messages are acknowledged and files are complete; at once if asked again. While the server is gone,
    /// only files go on.
    fn leave(&mut self, session: &mut Session, now: Now) {
        let file = session.awaited_file();
        let waits = file.is_some() || !session.is_lost() && session.under_way() > 0;
        if session.is_ending() || !waits {
            return session.leave(now);
        }
        session.end_input(now);
        if session.outcome().is_none() {
            let what = file.unwrap_or_else(|| "all your messages have arrived".into());
            self.note(format!("leaving once {what}; /quit again leaves at once"));
        }
    }

    /// Sends the lines, until one fails: Up brings that one back.
    fn send_paste(&mut self, paste: &Paste, session: &mut Session, now: Now) {
        self.input.take();
        let lines = paste.submissions();
        let sent = lines
            .iter()
            .take_while(|line| self.submit(line, session, now))
            .count();
        if let Some(failed) = lines.get(sent) {
            self.history.add(failed);
            if sent > 0 {
                self.error(format!("only {sent} of {} lines were sent", lines.len()));
            }
        }
    }
}

// Reading a page.
impl Screen {
    fn press_reading(&mut self, mut page: Page, key: Key) {
        let (columns, height) = (self.size.columns, self.page());
        let screenful = isize::try_from(height).unwrap_or(isize::MAX);
        let by = match (key.code, action(key)) {
            (Code::Char('q' | 'Q'), None) | (_, Some(Action::Submit | Action::Cancel | Action::Clear)) => {
                return;
            }
            (_, Some(Action::Older)) => -1,
            (_, Some(Action::Newer)) => 1,
            (_, Some(Action::Scroll(ScrollAction::PageUp))) => -screenful,
            (Code::Char(' '), None) | (_, Some(Action::Scroll(ScrollAction::PageDown))) => screenful,
            (_, Some(Action::Scroll(ScrollAction::Top))) => isize::MIN,
            (_, Some(Action::Scroll(ScrollAction::Bottom))) => isize::MAX,
            _ => {
                // Somebody types without looking.
                self.effects.push(Effect::Ring);
                0
            }
        };
        page.move_by(by, columns, height);
        self.mode = Mode::Reading(page);
    }
}

// Leaving.
impl Screen {
    /// Nothing is sent to a server that may be none, unless the user says so.
    fn press_doubting(&mut self, key: Key, session: &mut Session, now: Now) {
        match (key.code, action(key)) {
            (Code::Char('y' | 'Y'), None) => session.trust_silent_server(now),
            (Code::Char('n' | 'N'), None) | (_, Some(Action::DeleteOrLeave | Action::Clear)) => {
                session.leave(now);
            }
            _ => self.mode = Mode::Doubting,
        }
    }

    fn press_leaving(&mut self, key: Key, session: &mut Session, now: Now) {
        match (key.code, action(key)) {
            (Code::Char('y' | 'Y'), None) | (_, Some(Action::DeleteOrLeave)) => self.leave(session, now),
            (Code::Char('n' | 'N'), None) | (_, Some(Action::Cancel | Action::Clear | Action::Submit)) => {}
            // Typing on means no.
            _ => self.press_typing(key, session, now),
        }
    }
}
