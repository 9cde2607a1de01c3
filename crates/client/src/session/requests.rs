//! What the user types.

use super::event::{Event, Ignoring};
use super::legacy::decoder::SAFE_TEXT_MAX;
use super::outbox::Message;
use super::private::LOST;
use super::recipients::Target;
use super::state::Session;
use crate::command::{
    BELL_USAGE, Bell, Command, JOINS_USAGE, Joins, VERIFY_USAGE, help_files, help_operators, words_of,
};
use crate::format::name;
use chat_noise::operator::Code;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::order::{MUTE_MINUTES_MAX, MUTE_USAGE, Order, SLOW_SECONDS_MAX, SLOW_USAGE};
use chat_proto::rich::FromClient;
use chat_proto::text::{ROWS_MAX, Text};
use chat_proto::who::Who;
use chat_proto::{AWAY_MAX, TEXT_MAX};
use std::path::Path;

impl Session {
    /// The user typed this.
    pub fn request(&mut self, command: &Command<'_>, now: Now) {
        match command {
            Command::Say(text) => self.send(text, now),
            Command::Msg(who, text) => {
                self.send_private(who, text, now);
            }
            Command::Who(addresses) => {
                let users = self.list_users(now);
                self.events.push_back(Event::Users(users, *addresses));
            }
            Command::Away(text) => self.say_away(text.as_ref()),
            Command::Nick(nick) => self.change_nick(nick),
            Command::Topic => self.show_topic(),
            Command::Help => {
                self.events.push_back(Event::Help);
                if self.is_operator() {
                    self.help_operators();
                }
            }
            Command::Quit => self.end_input(now),
            Command::Reply(text) => self.reply(text, now),
            Command::Query(who) => self.set_query(*who, now),
            Command::Ignore(who) => self.ignore(*who, now),
            Command::Unignore(who) => self.unignore(who),
            Command::Verify(who, None) => self.verify(who, now),
            Command::Verify(who, Some(true)) => self.confirm(who, now),
            Command::Verify(who, Some(false)) => self.unconfirm(who),
            Command::Op(code) => self.prove_operator(code),
            Command::Order(order) => self.order(order),
            Command::HelpOperators => self.help_operators(),
            Command::Send(who, path) => self.send_file(who, self.files.path(path), now),
            Command::Files => self.list_files(),
            Command::Accept(number, name) => self.accept_file(*number, *name),
            Command::Decline(number) => self.decline_file(*number),
            Command::Cancel(number) => self.cancel_file(*number),
            Command::HelpFiles => {
                let lines = help_files().map(|line| Event::Notice(Text::from(line)));
                self.events.extend(lines);
            }
            Command::OnScreen(_) => self.fail("only the full screen has that command".into()),
            Command::Nothing => {}
            Command::Incomplete(usage) => self.fail(format!("usage: {}", with_choices(usage))),
            Command::Unknown(name, nearest) => self.fail_unknown(name, *nearest),
        }
        self.settle(now);
    }

    /// `/whois`: answers with [`Event::Answer`], at once or when the server has told what it knows of that user.
    pub fn request_whois(&mut self, typed: &str, now: Now) {
        self.look_up(typed, now);
        self.settle(now);
    }

    /// `--file`: offers a file.
    pub fn offer_file(&mut self, typed: &str, path: &Path, now: Now) {
        self.send_file(typed, path.to_owned(), now);
        self.settle(now);
    }

    /// A line of the input can't be sent, or not as it is.
    pub fn bad_line(&mut self, why: &str) {
        self.fail(why.to_owned());
    }

    /// The user of `/query` or `--to`, who alone receives the lines that are no commands.
    pub fn query(&self) -> Option<&Who> {
        self.recipients.query()
    }

    /// Sends a line that is no command.
    fn send(&mut self, text: &Text<'_>, now: Now) {
        let sent_to = match &self.recipients.target {
            Target::Everybody => return self.send_to_all(text),
            Target::NotFound => {
                let reason = Text::new("the last /query failed; /query alone writes to everybody again");
                return self.refused(text.clone().into_owned(), reason);
            }
            Target::User(peer) => self.send_to(peer.clone(), text, now),
            Target::Named(typed) => self.send_private(&typed.clone(), text, now),
        };
        if let Some(peer) = sent_to {
            self.recipients.target = Target::User(peer);
        }
    }

    fn send_to_all(&mut self, text: &Text<'_>) {
        let bytes = text.as_str().len();
        if bytes > TEXT_MAX {
            return self.fail(too_long());
        }
        if text.has_too_many_rows() {
            return self.fail(format!("not sent: a message has at most {ROWS_MAX} lines"));
        }
        if self.is_legacy() && text.is_blank() {
            let reason = Text::new("an original server takes no empty message");
            return self.refused(text.clone().into_owned(), reason);
        }
        if self.is_legacy() && bytes > SAFE_TEXT_MAX {
            self.warn(format!(
                "{bytes} bytes: an original server takes {SAFE_TEXT_MAX}, and may lose or damage the rest"
            ));
        }
        let seq = self.next_seq();
        let text = text.clone().into_owned();
        self.outbox.push(Message::new(seq, text));
    }

    /// `/reply`: writes to the sender of the last private message.
    fn reply(&mut self, text: &Text<'_>, now: Now) {
        let Some(writer) = self.recipients.writer.clone() else {
            return self.fail("nobody has written to you privately yet".into());
        };
        if let Some(writer) = self.send_to(writer, text, now) {
            self.recipients.writer = Some(writer);
        }
    }

    /// `/query`: lines go to this user alone from now on, or to everybody again.
    fn set_query(&mut self, typed: Option<&str>, now: Now) {
        let resolved = |typed| {
            let peer = self.resolve(typed)?;
            if self.is_away() && peer.is_unasked() {
                // It is not known again.
                return Err(LOST.to_owned());
            }
            let doubt = peer.find(self.roster()).and_then(|profile| self.doubt(profile));
            doubt.map_or(Ok(peer), Err)
        };
        let target = match typed.map(|typed| (typed, resolved(typed))) {
            None => Target::Everybody,
            Some((_, Ok(peer))) => Target::User(peer),
            Some((typed, Err(reason))) => {
                // A script and a quick typist have the next line ready, whatever the error says.
                self.recipients.target = Target::NotFound;
                return self.fail(format!("can't query {}: {reason}", Text::new(typed)));
            }
        };
        self.recipients.target = target;
        let who = self.query().cloned();
        if let Some(who) = &who {
            self.private.turn_to(now, who.id);
        }
        self.events.push_back(Event::Query(who));
    }

    /// What only operators may ask for. Users are named as this client shows them, so nobody else is meant.
    fn order(&mut self, order: &Order<'_>) {
        if self.is_legacy() || !self.is_ready() {
            return self.fail("not sent: only a server of this program has operators".into());
        }
        let (Order::Kick(typed, _) | Order::Ban(typed, _) | Order::Mute(typed, _)) = order else {
            return self.send_line(&FromClient::Room(order.clone()));
        };
        let who = match self.resolve(typed) {
            Ok(peer) => peer.who.to_string(),
            Err(why) => return self.fail(format!("{}: {why}", Text::new(typed))),
        };
        self.send_line(&FromClient::Room(match order {
            Order::Ban(_, reason) => Order::Ban(&who, reason.borrow()),
            Order::Kick(_, reason) => Order::Kick(&who, reason.borrow()),
            Order::Mute(_, minutes) => Order::Mute(&who, *minutes),
            other => other.clone(),
        }));
    }

    fn help_operators(&mut self) {
        let lines = help_operators().map(|line| Event::Notice(Text::from(line)));
        self.events.extend(lines);
    }

    /// `/topic`.
    fn show_topic(&mut self) {
        if self.is_legacy() {
            return self.fail("an original server has no topic".into());
        }
        let topic = self.topics.current();
        self.events.push_back(Event::Topic(topic));
    }

    /// `/away`: with a text this user is away; without one, away or back.
    fn say_away(&mut self, text: Option<&Text<'_>>) {
        if self.is_legacy() || !self.is_ready() {
            return self.fail("not sent: only a server of this program tells who is away".into());
        }
        if text.is_some_and(|text| text.as_str().chars().count() > AWAY_MAX) {
            return self.fail(format!("not sent: it may have {AWAY_MAX} characters at most"));
        }
        let text = match text {
            Some(text) => text.borrow(),
            None if self.away.own.is_some() => Text::new(""),
            None => Text::new("away"),
        };
        self.send_line(&FromClient::Away(text));
    }

    /// `/op`: proves the code. It never leaves this client.
    pub(super) fn prove_operator(&mut self, code: &Code) {
        match self.operators.channel.filter(|_| self.is_ready()) {
            Some(hash) => self.send_line(&FromClient::Op(code.tag(&hash))),
            None => self.fail("not sent: the code is proven on an encrypted connection only".into()),
        }
    }

    /// `/nick`.
    fn change_nick(&mut self, typed: &str) {
        let refusal = match Nick::parse(typed) {
            _ if self.is_legacy() => "an original server has no nicks".into(),
            _ if !self.is_ready() => "not connected yet".into(),
            Err(error) => error.to_string(),
            Ok(nick) if self.me.as_ref().and_then(|me| me.nick.as_ref()) == Some(&nick) => {
                return self.notice_unchanged_nick();
            }
            Ok(nick) => {
                self.pending_nicks += 1;
                self.nick_chosen(&nick);
                return self.send_line(&FromClient::Nick(nick.as_str()));
            }
        };
        self.failures.nicks += 1;
        self.error(refusal);
    }

    /// `/ignore`: hides what a user says, or lists the ignored.
    fn ignore(&mut self, typed: Option<&str>, now: Now) {
        let Some(typed) = typed else {
            let names: Vec<String> = self.ignored.users().iter().map(Who::to_string).collect();
            return self.tell_ignored(match names.is_empty() {
                true => "nobody is ignored".into(),
                false => format!("ignored: {}", names.join(", ")),
            });
        };
        let peer = match self.resolve(typed) {
            Ok(peer) => peer,
            Err(reason) => return self.fail(format!("{}: {reason}", Text::new(typed))),
        };
        if self.me.as_ref().is_some_and(|me| me.id == peer.who.id) {
            return self.fail("that is you: only other users can be ignored".into());
        }
        let who = peer.who.clone();
        if peer.is_unasked() {
            // By its key it stays ignored on its next connection.
            self.private.ask_about(now, who.id);
        }
        self.ignored.add(peer);
        self.tell_ignored(format!("{who} is hidden until /unignore {}", name(&who)));
    }

    /// `/unignore`: shows it again.
    fn unignore(&mut self, typed: &str) {
        let meant = self.ignored.remove(typed);
        let names: Vec<String> = meant.iter().map(Who::to_string).collect();
        match names.len() {
            0 => self.fail(format!("{} is not ignored", Text::new(typed))),
            1 => self.tell_ignored(format!("{} is shown again", names.concat())),
            _ => self.tell_ignored(format!("{} are shown again", names.join(", "))),
        }
    }

    fn tell_ignored(&mut self, note: String) {
        let users = self.ignored.users();
        let note = Text::from(note);
        self.events.push_back(Event::Ignoring(Ignoring { note, users }));
    }

    fn fail_unknown(&mut self, name: &str, nearest: Option<&str>) {
        let hint = match nearest {
            Some(nearest) => format!("the nearest is /{nearest}"),
            None => "/help lists all".into(),
        };
        self.fail(format!(
            "no command /{}: {hint}; // begins a message with a slash",
            Text::new(name)
        ));
    }
}

/// Why a long text is not sent.
pub fn too_long() -> String {
    format!("not sent: a message has at most {TEXT_MAX} bytes")
}

/// A usage, with the words that a choice among some has.
fn with_choices(usage: &str) -> String {
    match usage {
        BELL_USAGE => format!("{usage}; WHEN is {}", words_of::<Bell>().join(", ")),
        JOINS_USAGE => format!("{usage}; WHICH is {}", words_of::<Joins>().join(", ")),
        VERIFY_USAGE => format!("{usage}; ANSWER is yes or no"),
        MUTE_USAGE => format!("{usage}; MINUTES is 1 to {MUTE_MINUTES_MAX}"),
        SLOW_USAGE => format!("{usage}; SECONDS is 1 to {SLOW_SECONDS_MAX}, or off"),
        usage => usage.to_owned(),
    }
}
