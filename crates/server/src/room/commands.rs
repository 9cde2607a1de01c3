//! What the lines of users mean: the room's answers to both dialects.

use crate::connection::Stage;
use crate::event::{Departure, Event};
use crate::member::{Member, Rich};
use crate::room::Room;
use crate::roster::{Slot, token_for};
use crate::transcript::{Dialect, Start};
use chat_proto::id::UserId;
use chat_proto::line::Line;
use chat_proto::nick::{Nick, NickError};
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::plain::{Request, ServerLine};
use chat_proto::rich::{ErrorCode, FromClient, FromServer, Hello, Reason, RichError};
use chat_proto::text::Text;
use chat_proto::who::WHO_MAX;
use chat_proto::{LINE_MAX, TEXT_MAX};
use std::borrow::Cow;
use std::fmt::Display;
use std::net::SocketAddr;

/// What a user is told who asks for help.
const HELP: [&str; 6] = [
    "type to talk to everybody",
    "/nick NAME  take a name",
    "/who  who is here",
    "/msg WHO TEXT  write to one user, in the clear; WHO is a nick or an ip:port",
    "/me ACTION  say what you do; //TEXT  say something that begins with a slash",
    "/quit  leave",
];

impl Room {
    /// Takes one line.
    pub(crate) fn take_line(&mut self, now: Now, slot: Slot, line: Line<'_>) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        if let Some(rate) = self.limits.rate {
            member.connection.usage.count(rate, now.monotonic);
        }
        let first = !std::mem::replace(&mut member.connection.has_spoken, true);
        let rich = member.rich().is_some();
        let probing = matches!(member.connection.stage, Stage::Probing(_));
        let Line::Whole(bytes) = line else {
            if !self.arrive(now, slot) {
                return;
            }
            let text = format!("a line has at most {LINE_MAX} bytes; yours was not sent");
            return self.refuse(slot, ErrorCode::TooLong, None, &text);
        };
        // Nearly every line is UTF-8, and to see that takes less than to replace what is not.
        let line = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        if rich {
            return self.take_rich(now, slot, &line);
        }
        if probing {
            return self.take_probing(now, slot, &line);
        }
        if first {
            match FromClient::parse(&line) {
                Ok(FromClient::Hello(hello)) => return self.take_hello(now, slot, &hello),
                Ok(FromClient::Probe(_, nick)) => return self.take_probe(now, slot, nick),
                _ => {}
            }
        }
        if self.arrive(now, slot) {
            self.take_plain(now, slot, &line);
        }
    }

    /// Takes what was pending when silence or the end of the connection ended the line.
    pub(crate) fn take_last_line(&mut self, now: Now, slot: Slot, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.take_line(now, slot, Line::Whole(bytes));
        }
    }

    fn take_plain(&mut self, now: Now, slot: Slot, line: &str) {
        match Request::parse(line) {
            Request::Say(text) => self.say(now, slot, None, &text),
            Request::Nick(name) => self.rename(now, slot, name),
            Request::Who => self.list(slot),
            Request::Msg(name, text) => match self.announced(self.roster.find(name)) {
                Some(to) => self.whisper(slot, to, None, &text),
                None => self.refuse_nobody(slot, None, name),
            },
            Request::Help => self.notices(slot, &HELP),
            Request::Quit => self.leave(now, slot, Departure::Quit, Some((Reason::Quit, "goodbye"))),
            Request::Nothing => {}
            Request::Incomplete(usage) => {
                self.refuse(
                    slot,
                    ErrorCode::Malformed,
                    None,
                    &format!("it is written {usage}"),
                );
            }
            Request::Unknown(name) => {
                let name = excerpt(name);
                let text = format!("no such command: /{name}; /help says which there are; nothing was sent");
                self.refuse(slot, ErrorCode::Malformed, None, &text);
            }
        }
    }

    fn take_rich(&mut self, now: Now, slot: Slot, line: &str) {
        if let Some(rich) = self.roster.get_mut(slot).and_then(Member::rich_mut)
            && !std::mem::replace(&mut rich.has_answered, true)
        {
            self.departed.arrive(rich.resume);
        }
        match FromClient::parse(line) {
            Ok(FromClient::Say(seq, text)) => self.say(now, slot, Some(seq), &text),
            Ok(FromClient::Nick(name)) => self.rename(now, slot, name),
            Ok(FromClient::Whisper(id, seq, text)) => match self.announced(self.roster.with_id(id)) {
                Some(to) => self.whisper(slot, to, Some(seq), &text),
                None => self.refuse_nobody(slot, Some(seq), &id.to_string()),
            },
            Ok(FromClient::Relay(id, bytes)) => self.relay(slot, id, bytes),
            Ok(FromClient::Punch(id)) => self.punch(slot, id),
            Ok(FromClient::Ping(number)) => self.tell(slot, &FromServer::Pong(number)),
            Ok(FromClient::Quit) => self.leave(now, slot, Departure::Quit, Some((Reason::Quit, "goodbye"))),
            Ok(FromClient::Confirm(nonce)) => self.confirm(now, slot, nonce),
            // A PONG has done its work by coming.
            Ok(FromClient::Pong(_) | FromClient::Hello(_) | FromClient::Probe(..))
            | Err(RichError::UnknownVerb) => {}
            Err(RichError::Malformed) => {
                self.refuse(slot, ErrorCode::Malformed, None, "that line can't be read");
            }
        }
    }

    /// A client says what it is.
    fn take_hello(&mut self, now: Now, slot: Slot, hello: &Hello<'_>) {
        if !self.takes_a_place(now, slot, hello.resume) {
            return;
        }
        let [resume, rendezvous] = [(self.tokens)(), (self.tokens)()].map(|secret| token_for(slot, secret));
        let seq = hello.resume.map_or(0, |token| self.resume(now, token, resume));
        self.roster.seat(slot);
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let was_announced = member.connection.arrives_at().is_none();
        if was_announced {
            // It came too late to arrive under its name. What it was sent of the plain transcript
            // ends where a line ends.
            member
                .connection
                .outbox
                .cut_short(self.transcript.ring(Dialect::Plain), Vec::new());
        }
        let ip = member.id().address().ip();
        let udp = hello
            .udp_port
            .filter(|&port| port != 0)
            .map(|port| SocketAddr::new(ip, port).into());
        self.roster.enrich(
            slot,
            Rich {
                udp,
                key: hello.key,
                resume,
                rendezvous,
                rendezvous_progress: None,
                seq,
                has_answered: false,
            },
        );
        let refused = hello.nick.and_then(|name| self.take_nick(slot, name).err());
        if let Some((code, text)) = refused.as_ref().filter(|_| hello.insists) {
            return self.turn_down(now, slot, *code, text);
        }
        self.welcome(slot, seq, resume, rendezvous);
        if let Some((code, text)) = refused {
            self.refuse(slot, code, None, &text);
        }
        if was_announced {
            self.reintroduce(now, slot)
        } else {
            self.announce(now, slot)
        }
    }

    /// A client that insists on a nick can't have it. Nobody hears of one that was not announced.
    fn turn_down(&mut self, now: Now, slot: Slot, code: ErrorCode, text: &str) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        if member.connection.stage != Stage::Here {
            let peer = member.id().address();
            self.events.push(Event::TurnDown { peer });
        }
        self.refuse(slot, code, None, text);
        let farewell = "you are not here without that nick";
        self.leave(now, slot, Departure::Nick, Some((Reason::Nick, farewell)));
    }

    /// Whether there is a place for a client, that of its ghost if no other. One that waited for nothing is turned
    /// away, and its ghost stays as it is.
    pub(crate) fn takes_a_place(&mut self, now: Now, slot: Slot, resume: Option<Token>) -> bool {
        let Some(member) = self.roster.get(slot) else {
            return false;
        };
        if !matches!(member.connection.stage, Stage::Waiting(_)) {
            return true;
        }
        let ghost = resume.and_then(|token| self.ghost(token));
        let refusal = self.refusal(member.id(), ghost);
        if let Some(why) = refusal {
            self.turn_out(now, slot, why);
        }
        refusal.is_none()
    }

    /// The connection that this token resumes, if it is still here.
    fn ghost(&self, token: Token) -> Option<Slot> {
        self.roster.resumed_by(&self.departed.latest(token))
    }

    /// Ends the connection that this token resumes, if it is still here, and gives the number of the last message
    /// that was taken from it. `next` is what resumes the new one, if it arrives.
    fn resume(&mut self, now: Now, token: Token, next: Token) -> u64 {
        if let Some(ghost) = self.ghost(token) {
            let farewell = "you are here again over a newer connection";
            self.leave(
                now,
                ghost,
                Departure::Replaced,
                Some((Reason::Replaced, farewell)),
            );
        }
        self.departed.come_back(token, next)
    }

    /// The first lines of the rich dialect: who the client is, who is here, what was said before.
    fn welcome(&mut self, slot: Slot, seq: u64, resume: Token, rendezvous: Token) {
        let Start {
            offset: history,
            times,
        } = self.transcript.history_start();
        let live = self.transcript.ring(Dialect::Rich).head();
        self.pressure.reader_at(Dialect::Rich, history);
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let welcome = FromServer::Welcome {
            who: member.label(),
            resume,
            rendezvous,
            seq,
        };
        let welcome = format!("{welcome}\n").into_bytes();
        let outbox = &mut member.connection.outbox;
        outbox.follow(history);
        outbox.say(history, welcome);
        outbox.list(history);
        let past = FromServer::<&str>::History(times.last());
        outbox.say(history, format!("{past}\n").into_bytes());
        outbox.say(live, format!("{}\n", FromServer::<&str>::Live).into_bytes());
    }

    /// Says to everybody what has become known of a user who was announced before saying HELLO.
    fn reintroduce(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let bare = member.id().to_string();
        let user = FromServer::User(member.profile());
        self.transcript.append(None, user);
        if let Some(nick) = member.nick() {
            let line = ServerLine::IsNow(bare.as_str(), member.label());
            self.transcript.append(
                Some(&line),
                FromServer::Nick(Some(now.unix_ms), bare.as_str(), nick.clone()),
            );
            self.events.push(Event::Nick {
                who: bare.into(),
                nick,
            });
        }
    }

    /// A message to everybody.
    fn say(&mut self, now: Now, slot: Slot, seq: Option<u64>, text: &Text<'_>) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        if let (Some(rich), Some(seq)) = (member.rich_mut(), seq) {
            if seq <= rich.seq {
                return;
            }
            rich.seq = seq;
        }
        if text.as_str().len() > TEXT_MAX {
            let text = format!("a message has at most {TEXT_MAX} bytes; yours was not sent");
            return self.refuse(slot, ErrorCode::TooLong, seq, &text);
        }
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let who = member.label();
        // Where only clients are, nobody reads the other ring.
        let plain = self
            .roster
            .has_plain()
            .then(|| ServerLine::From(who, text.borrow()));
        self.transcript.append(
            plain.as_ref(),
            FromServer::Said(Some(now.unix_ms), who, text.borrow()),
        );
    }

    /// The user in a slot. Who has not been announced is nobody yet: a port scan, or a client that is about
    /// to say HELLO and could not read a line of the plain dialect.
    fn announced(&self, slot: Option<Slot>) -> Option<Slot> {
        let here = |member: &Member| member.connection.stage == Stage::Here;
        slot.filter(|&slot| self.roster.get(slot).is_some_and(here))
    }

    /// A message to one user, through the server, in the clear.
    fn whisper(&mut self, slot: Slot, to: Slot, seq: Option<u64>, text: &Text<'_>) {
        let (Some(from), Some(target)) = (self.roster.get(slot), self.roster.get(to)) else {
            return;
        };
        let name = target.label().to_owned();
        if text.as_str().len() > TEXT_MAX {
            let text = format!("a message has at most {TEXT_MAX} bytes; yours was not sent");
            return self.refuse(slot, ErrorCode::TooLong, seq, &text);
        }
        if !target.connection.is_reading() {
            let text = format!("{name} does not read; your message was not sent");
            return self.refuse(slot, ErrorCode::Unreachable, seq, &text);
        }
        let line = match target.dialect() {
            Dialect::Plain => ServerLine::PrivateFrom(from.label(), text.borrow()).to_string(),
            Dialect::Rich => FromServer::Whisper(from.label(), text.borrow()).to_string(),
        };
        self.put(to, line);
        match seq {
            Some(seq) => self.tell(slot, &FromServer::Whispered(seq)),
            None => self.notices(slot, &[format!("private to {name}: {text}")]),
        }
    }

    /// Passes a sealed datagram from one rich client to another.
    fn relay(&mut self, slot: Slot, id: UserId, bytes: Cow<'_, [u8]>) {
        let (Some(from), Some(to)) = (self.roster.get(slot), self.roster.with_id(id)) else {
            return;
        };
        let line = FromServer::Relay(from.label(), bytes).to_string();
        self.pass_on(to, line);
    }

    /// Puts a line before another client, unless it speaks no rich dialect or does not read. Nobody is told: those
    /// who relay count on nothing.
    fn pass_on(&mut self, to: Slot, line: String) {
        if self
            .roster
            .get(to)
            .is_some_and(|member| member.rich().is_some() && member.connection.is_reading())
        {
            self.put(to, line);
        }
    }

    /// A private conversation begins: both sides are told where the other is.
    fn punch(&mut self, slot: Slot, id: UserId) {
        let Some(to) = self.roster.with_id(id) else { return };
        for (slot, other) in [(slot, to), (to, slot)] {
            let Some(other) = self.roster.get(other) else {
                return;
            };
            let Some(udp) = other.profile().udp else { continue };
            let line = FromServer::Punch(other.label(), udp).to_string();
            self.pass_on(slot, line);
        }
    }

    /// A user takes another nick.
    fn rename(&mut self, now: Now, slot: Slot, name: &str) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let before = member.label().to_owned();
        if let Err((code, text)) = self.take_nick(slot, name) {
            return self.refuse(slot, code, None, &text);
        }
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let Some(nick) = member.nick() else {
            return;
        };
        if member.label() == before {
            // A client counts the answers to what it asked.
            return match member.dialect() {
                Dialect::Rich => self.tell(slot, &FromServer::Nick(None, &*before, nick)),
                Dialect::Plain => self.notices(slot, &[format!("you are {before} already")]),
            };
        }
        let line = ServerLine::IsNow(&*before, member.label());
        self.transcript.append(
            Some(&line),
            FromServer::Nick(Some(now.unix_ms), &*before, nick.clone()),
        );
        self.events.push(Event::Nick {
            who: before.into(),
            nick,
        });
    }

    /// Gives a user a nick, if it is one and nobody else has it.
    fn take_nick(&mut self, slot: Slot, name: &str) -> Result<(), (ErrorCode, String)> {
        let nick = self.free_nick(slot, name)?;
        self.roster.rename(slot, nick);
        Ok(())
    }

    /// The nick, if it is one that this user can have.
    pub(crate) fn free_nick(&self, slot: Slot, name: &str) -> Result<Nick, (ErrorCode, String)> {
        let nick = Nick::parse(name).map_err(|error: NickError| (ErrorCode::BadNick, error.to_string()))?;
        match self
            .roster
            .holder(&nick.key())
            .and_then(|holder| Some((holder, self.roster.get(holder)?)))
        {
            Some((holder, member)) if holder != slot => {
                let text = format!("the nick {nick} is taken by {}", member.label());
                Err((ErrorCode::NickTaken, text))
            }
            _ => Ok(nick),
        }
    }

    /// Something went wrong with what a user asked for.
    pub(crate) fn refuse(&mut self, slot: Slot, code: ErrorCode, seq: Option<u64>, text: &str) {
        let line = match self.roster.get(slot).map(Member::dialect) {
            Some(Dialect::Rich) => FromServer::<&str>::Error(code, seq, Text::new(text)).to_string(),
            _ => ServerLine::<&str>::Notice(Text::new(text)).to_string(),
        };
        self.put(slot, line);
    }

    fn refuse_nobody(&mut self, slot: Slot, seq: Option<u64>, name: &str) {
        let text = format!("nobody here is {}; /who lists who is", excerpt(name));
        self.refuse(slot, ErrorCode::NoSuchUser, seq, &text);
    }

    /// Tells one user something to read.
    pub(crate) fn notices<T: Display>(&mut self, slot: Slot, texts: &[T]) {
        for text in texts {
            let text = Text::from(text.to_string());
            let line = match self.roster.get(slot).map(Member::dialect) {
                Some(Dialect::Rich) => FromServer::<&str>::Notice(text).to_string(),
                _ => ServerLine::<&str>::Notice(text).to_string(),
            };
            self.put(slot, line);
        }
    }

    /// The last line to a user, and why it is the last.
    pub(crate) fn say_goodbye(&mut self, slot: Slot, reason: Reason, text: &str) {
        let line = goodbye(self.roster.get(slot).map(Member::dialect), reason, text);
        self.put(slot, line);
    }

    /// Tells one rich client something.
    pub(crate) fn tell(&mut self, slot: Slot, line: &FromServer<'_, &str>) {
        self.put(slot, line.to_string());
    }

    /// Puts a line before one user, after all that was said so far.
    fn put(&mut self, slot: Slot, mut line: String) {
        if let Some(member) = self.roster.get_mut(slot) {
            line.push('\n');
            let head = self.transcript.ring(member.dialect()).head();
            member.connection.outbox.say(head, line.into_bytes());
        }
    }
}

/// The last line to a user, in the user's dialect.
pub(crate) fn goodbye(dialect: Option<Dialect>, reason: Reason, text: &str) -> String {
    match dialect {
        Some(Dialect::Rich) => FromServer::<&str>::Goodbye(reason, Text::new(text)).to_string(),
        _ => ServerLine::<&str>::Notice(Text::new(text)).to_string(),
    }
}

/// The beginning of what somebody typed, to be repeated in an answer: made safe to show, it could be three
/// times as long as any line may be. Any user's name is shown whole.
fn excerpt(typed: &str) -> &str {
    let end = typed
        .char_indices()
        .nth(WHO_MAX)
        .map_or(typed.len(), |(end, _)| end);
    typed.get(..end).unwrap_or_default()
}
