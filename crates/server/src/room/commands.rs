//! What lines mean, in both dialects: each becomes an operation of the room.

use super::{PROBE_TIME, Room, away, handshake, locking, mutes, orders, topic};
use crate::compact::Timestamp;
use crate::event::{Departure, Event, Refusal};
use crate::member::{Client, Member, Probe, Rich, Stage};
use crate::network::Network;
use crate::outbox::List;
use crate::quota::USER_BYTES;
use crate::rate::Usage;
use crate::resumption::Resumed;
use crate::roster::{Roster, Slot, token_for};
use crate::topic::Topic;
use crate::transcript::{Dialect, History, Transcript};
use chat_noise::handshake::VERB;
use chat_proto::id::UserId;
use chat_proto::line::Line;
use chat_proto::now::Now;
use chat_proto::opaque::{PublicKey, Token};
use chat_proto::plain::{Request, ServerLine};
use chat_proto::rich::{ErrorCode, FromClient, FromServer, Hello, RichError};
use chat_proto::text::{ROWS_MAX, Text};
use chat_proto::who::WHO_MAX;
use chat_proto::{LINE_MAX, TEXT_MAX};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The answer to `/help`.
const HELP: [&str; 6] = [
    "type to talk to everybody",
    "/nick NAME  take a nick",
    "/who  list the users",
    "/msg WHO TEXT  write to one user, unencrypted; WHO is a nick or an ip:port",
    "/me ACTION  say what you do; //TEXT  say something that begins with a slash",
    "/quit  leave",
];

/// A request that can't be fulfilled: the error for programs and for people.
type Error = (ErrorCode, String);

/// Processes one line.
pub(super) fn process(room: &mut Room, now: Now, slot: Slot, line: Line<'_>) {
    let has_plain = room.roster.has_plain();
    let Some(mut member) = room.roster.get_mut(slot) else {
        return;
    };
    let is_first = member.speak();
    // Nearly every line is UTF-8, and to check that is cheaper than to replace what is not.
    let line = match line {
        Line::Whole(bytes) => {
            Some(str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed))
        }
        Line::TooLong => None,
    };
    // The rate is for what a user says: a handshake has two lines and a time limit.
    if let Stage::Sealing(..) = member.stage {
        return seal(room, now, slot, line.as_deref().unwrap_or_default());
    }
    if let Some(line) = line.as_deref().filter(|line| is_first && line.starts_with(VERB)) {
        return handshake::begin(room, now, slot, line.as_bytes());
    }
    member.count_line(room.limits.rate, now.monotonic);
    match (member.client.as_deref_mut(), line.as_deref()) {
        (Some(Client::Rich(rich)), Some(line)) => {
            if !std::mem::replace(&mut rich.has_answered, true) {
                room.resumption.confirm(rich.resume);
            }
            return match FromClient::parse(line) {
                Ok(FromClient::Say(seq, text)) => {
                    say(room, now, slot, Some(seq), &text, has_plain);
                }
                Ok(command) => rich_command(room, now, slot, command),
                Err(RichError::UnknownVerb) => {}
                Err(RichError::Malformed) => {
                    member.refuse(&room.transcript, ErrorCode::Malformed, None, "malformed line");
                }
            };
        }
        // A probe may send nothing that reaches others.
        (Some(Client::Probe(_)), Some(line)) => {
            if let Ok(command @ (FromClient::Ping(_) | FromClient::Quit)) = FromClient::parse(line) {
                rich_command(room, now, slot, command);
            }
            return;
        }
        (None, Some(line)) if is_first && is_of_a_client(line) => {
            return handshake::reject_outdated(room, now, slot);
        }
        (None, _) if member.must_seal => return room.turn_away(now, slot, Refusal::Plain),
        (None, Some(_)) | (_, None) => {}
    }
    if member.stage != Stage::Joined {
        room.join_plain(now, slot);
        match room.roster.staying_mut(slot) {
            Some(joined) => member = joined,
            None => return,
        }
    }
    let Some(line) = line else {
        let text = format!("not sent: a line has at most {LINE_MAX} bytes");
        return member.refuse(&room.transcript, ErrorCode::TooLong, None, &text);
    };
    match Request::parse(&line) {
        Request::Say(text) => say(room, now, slot, None, &text, has_plain),
        request => plain_command(room, now, slot, request),
    }
}

/// Whether this is the first line of a client, which belongs on an encrypted channel.
fn is_of_a_client(line: &str) -> bool {
    matches!(
        FromClient::parse(line),
        Ok(FromClient::Hello(_) | FromClient::Probe(..))
    )
}

/// The second line of a handshake.
fn seal(room: &mut Room, now: Now, slot: Slot, line: &str) {
    let Some((first, key)) = handshake::finish(room, now, slot, line.as_bytes()) else {
        return;
    };
    match FromClient::parse(&String::from_utf8_lossy(&first)) {
        Ok(FromClient::Hello(request)) => hello(room, now, slot, key, &request),
        Ok(FromClient::Probe(_, nick)) => probe(room, now, slot, nick),
        _ => handshake::reject(room, now, slot),
    }
}

fn plain_command(room: &mut Room, now: Now, slot: Slot, request: Request<'_>) {
    let malformed = |text| (ErrorCode::Malformed, text);
    match request {
        Request::Nick(name) => rename(room, now, slot, name),
        Request::Who => list_users(room, now, slot),
        Request::Msg(name, text) => {
            let to = room.roster.find(name);
            whisper(room, slot, to, name, None, &text);
        }
        Request::Topic => topic::show(room, slot),
        Request::Help => answer(room, slot, |member, transcript| {
            HELP.iter().for_each(|text| member.notice(transcript, *text));
        }),
        Request::Quit => room.leave(now, slot, Departure::Quit),
        Request::Incomplete(usage) => refuse(room, slot, &malformed(format!("usage: {usage}"))),
        Request::Operators(name) => {
            let text = format!("only operators may /{name}, and they need chat-client");
            refuse(room, slot, &(ErrorCode::NotOperator, text));
        }
        Request::Unknown(name) => {
            let name = excerpt(name);
            let text = format!("not sent: no such command: /{name}; /help lists the commands");
            refuse(room, slot, &malformed(text));
        }
        Request::Say(_) | Request::Nothing => {}
    }
}

fn rich_command(room: &mut Room, now: Now, slot: Slot, command: FromClient<'_>) {
    match command {
        FromClient::Nick(name) => rename(room, now, slot, name),
        FromClient::Whisper(id, seq, text) => {
            let to = room.roster.with_id(id);
            whisper(room, slot, to, &id.to_string(), Some(seq), &text);
        }
        FromClient::Relay(id, bytes) => relay(room, slot, id, bytes),
        FromClient::Punch(id) => punch(room, slot, id),
        FromClient::Whois(id) => describe(room, slot, id),
        FromClient::Room(order) => orders::carry_out(room, now, slot, &order),
        FromClient::Away(text) => away::set(room, now, slot, &text),
        FromClient::Op(tag) => orders::prove(room, now, slot, tag),
        FromClient::Confirm(nonce) => confirm_address(room, now, slot, nonce),
        FromClient::Ping(number) => answer(room, slot, |member, transcript| {
            member.tell(transcript, &FromServer::Pong(number));
        }),
        FromClient::Quit => room.leave(now, slot, Departure::Quit),
        // A PONG did its work by being received, and SAY is processed already.
        FromClient::Pong(_) | FromClient::Say(..) | FromClient::Hello(_) | FromClient::Probe(..) => {}
    }
}

/// Answers a request whose user the room may have changed meanwhile.
fn answer(room: &mut Room, slot: Slot, with: impl FnOnce(&mut Member, &Transcript)) {
    if let Some(member) = room.roster.get_mut(slot) {
        with(member, &room.transcript);
    }
}

fn refuse(room: &mut Room, slot: Slot, (code, text): &Error) {
    answer(room, slot, |member, transcript| {
        member.refuse(transcript, *code, None, text);
    });
}

/// Broadcasts a message. The number of one that is refused is not accepted: if the client does not learn of that, it sends
/// the message again.
fn say(room: &mut Room, now: Now, slot: Slot, seq: Option<u64>, text: &Text<'_>, has_plain: bool) {
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let last = member.rich().map(|rich| rich.seq);
    if seq.zip(last).is_some_and(|(seq, last)| seq <= last) {
        return;
    }
    let admitted = check_length(text).and_then(|()| mutes::admit(&room.bans, &mut room.slow, now, member));
    if let Err((code, text)) = admitted {
        return member.refuse(&room.transcript, code, seq, &text);
    }
    if let (Some(Client::Rich(rich)), Some(seq)) = (member.client.as_deref_mut(), seq) {
        rich.seq = seq;
    }
    room.transcript
        .append_message(now, member.label(), text, has_plain);
}

fn check_length(text: &Text<'_>) -> Result<(), Error> {
    let text = if text.as_str().len() > TEXT_MAX {
        format!("not sent: a message has at most {TEXT_MAX} bytes")
    } else if text.has_too_many_rows() {
        format!("not sent: a message has at most {ROWS_MAX} lines")
    } else {
        return Ok(());
    };
    Err((ErrorCode::TooLong, text))
}

/// Sends an unencrypted message to one user.
fn whisper(room: &mut Room, slot: Slot, to: Option<Slot>, name: &str, seq: Option<u64>, text: &Text<'_>) {
    let result = send_whisper(room, slot, to, name, text);
    answer(room, slot, |member, transcript| match (result, seq) {
        (Ok(_), Some(seq)) => member.tell(transcript, &FromServer::Whispered(seq)),
        (Ok(to), None) => member.notice(transcript, format!("private to {to}: {text}")),
        (Err((code, text)), seq) => member.refuse(transcript, code, seq, &text),
    });
}

/// Returns the name of the user it was sent to.
fn send_whisper(
    room: &mut Room,
    slot: Slot,
    to: Option<Slot>,
    name: &str,
    text: &Text<'_>,
) -> Result<String, Error> {
    // A connection that is not announced may be a client that is about to send HELLO.
    let target = to.and_then(|to| room.roster.get(to));
    let Some(target) = target.filter(|target| target.stage == Stage::Joined) else {
        let text = format!("no such user: {}; /who lists the users", excerpt(name));
        return Err((ErrorCode::NoSuchUser, text));
    };
    check_length(text)?;
    let name = target.label().to_owned();
    if !target.is_reading() {
        let text = format!("not sent: {name} does not read its messages");
        return Err((ErrorCode::Unreachable, text));
    }
    let from = room.roster.get(slot).map(Member::label).unwrap_or_default();
    let line = match target.dialect() {
        Dialect::Plain => ServerLine::PrivateFrom(from, text.borrow()).to_string(),
        Dialect::Rich => FromServer::Whisper(from, text.borrow()).to_string(),
    };
    if let Some(target) = to.and_then(|to| room.roster.get_mut(to)) {
        target.pass_on(&room.transcript, line);
    }
    Ok(name)
}

/// Passes a sealed datagram on.
fn relay(room: &mut Room, slot: Slot, id: UserId, bytes: Cow<'_, [u8]>) {
    if let (Some(from), Some(to)) = (room.roster.get(slot), room.roster.with_id(id)) {
        let line = FromServer::Relay(from.label(), bytes).to_string();
        room.pass_on(to, line);
    }
}

/// A private conversation begins: tells both sides the other's address.
fn punch(room: &mut Room, slot: Slot, id: UserId) {
    let Some(to) = room.roster.with_id(id) else { return };
    for (slot, other) in [(slot, to), (to, slot)] {
        let Some(other) = room.roster.get(other) else {
            return;
        };
        let Some(udp) = other.profile().udp else { continue };
        let line = FromServer::Punch(other.label(), udp).to_string();
        room.pass_on(slot, line);
    }
}

/// Tells a client how a user is reached privately. Of one that has left, it was told that.
fn describe(room: &mut Room, slot: Slot, id: UserId) {
    let user = room.roster.with_id(id).and_then(|user| room.roster.get(user));
    if let Some(user) = user.filter(|user| user.stage == Stage::Joined) {
        let line = FromServer::User(user.profile()).to_string();
        answer(room, slot, |member, transcript| member.put(transcript, line));
    }
}

/// A client proves that it receives datagrams at an address. If it is a new one, everybody is told.
fn confirm_address(room: &mut Room, now: Now, slot: Slot, nonce: Token) {
    if let Some(member) = room.roster.get_mut(slot)
        && let Some(address) = super::rendezvous::confirm(member, nonce)
    {
        let line = FromServer::Address(Some(now.unix_ms), member.label(), address);
        room.transcript.append(None, line);
    }
}

/// A user takes another nick.
fn rename(room: &mut Room, now: Now, slot: Slot, name: &str) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let before = member.label().to_owned();
    let result = room.rename(now, slot, name);
    if result == Ok(true) {
        return room.announce_nick(now, slot, &before);
    }
    answer(room, slot, |member, transcript| match (result, member.nick()) {
        (Err((code, text)), _) => member.refuse(transcript, code, None, &text),
        // A client counts the answers to its requests.
        (Ok(_), Some(nick)) if member.rich().is_some() => {
            member.tell(transcript, &FromServer::Nick(None, &before, nick));
        }
        (Ok(_), _) => member.notice(transcript, format!("you are {before} already")),
    });
}

/// Begins the user list.
fn list_users(room: &mut Room, now: Now, slot: Slot) {
    let (users, max) = (room.users, room.limits.max_users);
    if let Some(member) = room.roster.get(slot) {
        let address = member.id().address().ip();
        room.bytes.count(now.monotonic, address, users * USER_BYTES);
    }
    let noun = if users == 1 { "user is" } else { "users are" };
    answer(room, slot, |member, transcript| {
        member.notice(transcript, format!("{users} {noun} here, of at most {max}:"));
        member
            .outbox
            .push_list(transcript.ring(member.dialect()).head(), List::Users(0));
    });
}

/// A client with this key says `HELLO`. The same key again is the same client.
fn hello(room: &mut Room, now: Now, slot: Slot, key: PublicKey, hello: &Hello<'_>) {
    let resumed = room.roster.with_key(&key);
    if resumed.is_some_and(|other| begun(&room.roster, slot) < begun(&room.roster, other)) {
        // It was delayed on its way: the client has made another connection since.
        return room.leave(now, slot, Departure::Replaced);
    }
    if !room.admit(now, slot, resumed) {
        return;
    }
    if let Some(resumed) = resumed {
        room.leave(now, resumed, Departure::Replaced);
    }
    room.holds.release(key);
    let (resume, rendezvous) = ((room.tokens)(), token_for(slot, (room.tokens)()));
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let network = Network::of(member.id().address().ip());
    let accepted = match hello.resume {
        Some(token) => room.resumption.resume(network, key, token, resume),
        None => {
            room.resumption.forget(key);
            None
        }
    };
    let seq = accepted.map_or(0, |resumed| resumed.seq);
    let was_announced = member.stage == Stage::Joined;
    if was_announced {
        member.end_plain(&room.transcript);
    }
    let ip = member.id().address().ip();
    let udp_port = hello.udp_port.filter(|&port| port != 0);
    let history = history(room, accepted, hello);
    let rich = Rich {
        udp: udp_port.map(|port| SocketAddr::new(ip, port).into()),
        resume,
        rendezvous,
        progress: None,
        seq,
        first: accepted.map_or(history.position.next, |resumed| resumed.first),
        has_answered: false,
        is_operator: false,
        away: None,
    };
    room.roster.upgrade(slot, Client::Rich(rich));
    orders::recognise(room, slot);
    if orders::shuts_out(room, now, slot, hello.nick, was_announced || resumed.is_some()) {
        return;
    }
    let error = hello.nick.and_then(|name| room.name(now, slot, name).err());
    if let Some(error) = error.as_ref().filter(|_| hello.insists) {
        return reject_nick(room, now, slot, error);
    }
    welcome(room, slot, [resume, rendezvous], seq, history);
    if let Some(error) = error {
        refuse(room, slot, &error);
    }
    if was_announced {
        reintroduce(room, now, slot);
    } else {
        room.join(now, slot);
        orders::announce(room, slot);
    }
}

/// When the handshake of this connection began.
fn begun(roster: &Roster, slot: Slot) -> Option<Timestamp> {
    let secure = roster.get(slot)?.secure.as_deref();
    secure.map(|secure| secure.begun)
}

/// Rejects a client that insists on a nick which is not available.
fn reject_nick(room: &mut Room, now: Now, slot: Slot, error: &Error) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    if member.stage != Stage::Joined {
        let (peer, why) = (member.id().address(), Refusal::Nick);
        room.events.push(Event::Refuse { peer, why });
    }
    refuse(room, slot, error);
    room.leave(now, slot, Departure::Nick);
}

/// The history of a client: from message `next` on if it resumes, as only a client that was here before may ask for more than
/// newcomers are sent, and only for what was said since. After a kill of the server, other messages have the numbers of those
/// that are lost, and nobody knows how many these were.
fn history(room: &mut Room, resumed: Option<Resumed>, hello: &Hello<'_>) -> History {
    let transcript = &mut room.transcript;
    let Some(next) = hello.next else {
        return transcript.history(None);
    };
    match (resumed, room.lost_from) {
        (Some(resumed), _) => {
            let next = next.min(resumed.lost_from.unwrap_or(next));
            let mut history = transcript.history(Some(next.max(resumed.first)));
            if resumed.lost_from.is_some() {
                history.position.missed = None;
            }
            history
        }
        // It may have joined after what was kept, and must not be sent again what it has.
        (None, Some(lost_from)) if hello.resume.is_some() => {
            transcript.history_of_newcomer(next.min(lost_from))
        }
        (None, _) => transcript.history(None),
    }
}

/// Sends the first lines of the rich dialect: who the client is, the users, and the history.
fn welcome(room: &mut Room, slot: Slot, [resume, rendezvous]: [Token; 2], seq: u64, history: History) {
    let live = room.transcript.ring(Dialect::Rich).head();
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let welcome = FromServer::Welcome {
        who: member.label(),
        resume,
        rendezvous,
        seq,
        carries_files: room.carries_files,
    };
    let welcome = format!("{welcome}\n").into_bytes();
    let begins = FromServer::<&str>::History(history.before, Some(history.position));
    let outbox = &mut member.outbox;
    outbox.subscribe(live);
    outbox.push(live, welcome);
    outbox.push_list(live, List::Users(0));
    if let Some(topic) = room.topic.as_ref().map(Topic::line) {
        outbox.push(live, format!("{topic}\n").into_bytes());
    }
    outbox.push(live, format!("{begins}\n").into_bytes());
    if !history.messages.is_empty() {
        outbox.push_list(live, List::History(history.messages));
    }
    outbox.push(live, format!("{}\n", FromServer::<&str>::Live).into_bytes());
}

/// Tells everybody what is new of a user who was announced before its `HELLO`.
fn reintroduce(room: &mut Room, now: Now, slot: Slot) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let bare = member.id().to_string();
    room.announce_profile(slot);
    room.announce_nick(now, slot, &bare);
}

/// A client says `PROBE`. If it was announced before, it leaves the room.
fn probe(room: &mut Room, now: Now, slot: Slot, nick: Option<&str>) {
    if !room.admit(now, slot, None) {
        return;
    }
    let rendezvous = token_for(slot, (room.tokens)());
    let is_locked = locking::keeps_out(room, slot);
    let locked = is_locked.then(|| {
        (
            ErrorCode::Locked,
            "the room is locked: nobody new comes in".into(),
        )
    });
    let error = locked.or_else(|| room.available_nick(now, slot, nick?).err());
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let was_announced = member.stage == Stage::Joined;
    if was_announced {
        member.end_plain(&room.transcript);
    }
    member.stage = Stage::Probing((now.monotonic + PROBE_TIME).into());
    let (who, peer): (Box<str>, _) = (member.label().into(), member.id().address());
    let usage = Usage::default();
    room.roster
        .upgrade(slot, Client::Probe(Probe { rendezvous, usage }));
    if was_announced {
        room.announce_leave(now, who.clone(), Departure::Probe);
    }
    room.events.push(Event::Probe { peer });
    answer(room, slot, |member, transcript| {
        member.tell(transcript, &FromServer::Probed(now.unix_ms, &who, rendezvous));
    });
    if let Some(error) = error {
        refuse(room, slot, &error);
    }
}

/// The start of what a user typed, for an answer: made safe to show, all of it could be three times as long as a line
/// may be. It holds any user's name.
fn excerpt(typed: &str) -> &str {
    let end = typed
        .char_indices()
        .nth(WHO_MAX)
        .map_or(typed.len(), |(end, _)| end);
    typed.get(..end).unwrap_or_default()
}
