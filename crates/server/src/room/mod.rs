//! The room: joins, leaves, renames, broadcasts and replies.
//!
//! Pure: bytes and the time come in through [`input`], what to write and to close goes out through [`output`].

mod acts;
mod away;
mod backpressure;
mod commands;
mod handshake;
pub mod input;
mod locking;
mod mutes;
mod orders;
pub mod output;
pub mod passphrase;
mod rendezvous;
pub mod snapshot;
pub mod status;
mod topic;
mod user_list;

use crate::bans::Bans;
use crate::compact::Timestamp;
use crate::door::Door;
use crate::event::{Departure, Event, Refusal};
use crate::guesses::Guesses;
use crate::holds::Holds;
use crate::identity::{Handshakes, Identity};
use crate::lock::Lock;
use crate::member::{Member, Stage, Unsealed};
use crate::network::Network;
use crate::new_phrase::NewPhrase;
use crate::operators::Operators;
use crate::quota::{Quota, Shared};
use crate::rate::{Rate, Usage};
use crate::resumption::Resumption;
use crate::roster::{Roster, Slot};
use crate::slow::Slow;
use crate::topic::Topic;
use crate::transcript::{Dialect, Transcript};
use backpressure::Backpressure;
use chat_proto::id::{UserId, canonical};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::plain::ServerLine;
use chat_proto::rich::{ErrorCode, FromServer, Reason};
use chat_proto::status::Traffic;
use chat_proto::text::Text;
use chat_proto::{GREETING, TOO_MANY_GUESSES, VERSION, WRONG_PASSPHRASE};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use user_list::UserList;

/// For how long what is due is still sent to a user that has left, and to everybody at a shutdown.
pub const FLUSH: Duration = Duration::from_secs(2);

/// For how long a slow reader is sent why it was disconnected.
const SLOW_FLUSH: Duration = Duration::from_secs(5);

/// Connections of rejected and former users that are still being sent the reason. One more is closed at once.
pub const LEAVING_MAX: usize = 64;

/// Connections queued for a place in a full room, for the time that a `HELLO` takes: it may resume a connection that has
/// a place. Each needs a descriptor beside those of the users. One more is rejected at once, and a client that
/// reconnects then retries.
pub const QUEUED_MAX: usize = 16;

/// For how long a probe may take a user's place.
pub const PROBE_TIME: Duration = Duration::from_secs(10);

/// What the operator decides.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Users at most.
    pub max_users: usize,
    /// Users at most from one address, or one /64 of IPv6; loopback addresses are exempt.
    pub max_per_address: usize,
    /// Lines of history for a newcomer.
    pub history: usize,
    /// How fast each may send, if there is a limit.
    pub rate: Option<Rate>,
    /// What the connections from one address, or one /64 of IPv6, share; loopback addresses are exempt.
    pub quota: Quota,
    /// A silent rich client is pinged after this time, and disconnected after three times this.
    pub ping_interval: Duration,
}

/// The whole state of the server, apart from its sockets.
pub struct Room {
    limits: Limits,
    roster: Roster,
    transcript: Transcript,
    backpressure: Backpressure,
    user_list: UserList,
    /// Makes unpredictable tokens.
    tokens: Box<dyn FnMut() -> Token>,
    handshakes: Handshakes,
    operators: Operators,
    bans: Bans,
    /// There is one while the room is locked.
    lock: Option<Lock>,
    slow: Slow,
    topic: Option<Topic>,
    door: Door,
    /// Clients may relay bytes of files.
    carries_files: bool,
    /// A passphrase that is not in its file yet.
    new_phrase: Option<NewPhrase>,
    /// Of the passphrase.
    wrong_phrases: Guesses,
    /// Room for one record, for all connections.
    scratch: Vec<u8>,
    resumption: Resumption,
    /// What networks have used of their quotas.
    bytes: Shared,
    connections: Shared,
    nicks: Shared,
    holds: Holds,
    events: Vec<Event>,
    traffic: Traffic,
    /// Questions for the status from other machines.
    inquiries: Usage,
    /// Users announced and not left.
    users: usize,
    /// Nothing is due before this time. It may be too early, never too late.
    next_deadline: Option<Duration>,
    shuts_down: bool,
    /// How many messages there were at the end of the last turn.
    said: u64,
    /// The server was killed before: messages from this number on may have been lost.
    lost_from: Option<u64>,
}

impl Room {
    /// An empty room. `tokens` makes unpredictable tokens, and `identity` is what the server proves itself with.
    #[must_use]
    pub fn new(limits: Limits, tokens: Box<dyn FnMut() -> Token>, identity: Identity) -> Self {
        Self {
            limits,
            roster: Roster::default(),
            transcript: Transcript::new(limits.history),
            backpressure: Backpressure::default(),
            user_list: UserList::default(),
            tokens,
            handshakes: Handshakes::new(identity),
            operators: Operators::default(),
            bans: Bans::default(),
            lock: None,
            slow: Slow::default(),
            topic: None,
            door: Door::default(),
            carries_files: true,
            new_phrase: None,
            wrong_phrases: Guesses::default(),
            scratch: Vec::new(),
            resumption: Resumption::new(limits.max_users),
            bytes: Shared::new(limits.quota.bytes),
            connections: Shared::new(limits.quota.connections),
            nicks: Shared::new(limits.quota.nicks),
            holds: Holds::new(limits.max_users),
            events: Vec::new(),
            traffic: Traffic::default(),
            inquiries: Usage::default(),
            users: 0,
            next_deadline: None,
            shuts_down: false,
            said: 0,
            lost_from: None,
        }
    }

    /// Says who may run the room. At first nobody may.
    pub fn set_operators(&mut self, operators: Operators) {
        self.operators = operators;
    }

    /// The room, which asks clients to relay no bytes of files if `carries_files` is false.
    #[must_use]
    pub fn with_files(mut self, carries_files: bool) -> Self {
        self.carries_files = carries_files;
        self
    }

    /// The room, with this door instead of an open one.
    #[must_use]
    pub fn with_door(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// The room, with these bans.
    #[must_use]
    pub(crate) fn with_bans(mut self, bans: Bans) -> Self {
        self.bans = bans;
        self
    }

    /// Every connection.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// How many users were announced and have not left.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users
    }

    /// Whether to accept connections now.
    #[must_use]
    pub fn accepts(&self) -> bool {
        !self.shuts_down && !self.backpressure.pauses_reads()
    }

    /// Whether the server has shut down and nobody is left to be told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shuts_down && self.roster.connections() == 0
    }

    /// A peer connected.
    ///
    /// # Errors
    /// The line to send if the connection is to be closed at once.
    pub fn accept(&mut self, now: Now, peer: SocketAddr) -> Result<Slot, Vec<u8>> {
        if !self.door.admits(peer.ip()) {
            // No place is kept for it until it has read why: it may be a crowd.
            let peer = canonical(peer);
            self.events.push(Event::Refuse {
                peer,
                why: Refusal::Denied,
            });
            return Err(rejection(Refusal::Denied));
        }
        let mut member = Member::new(peer.into(), now.monotonic);
        let id = member.id();
        if self.roster.with_id(id).is_some() {
            return self.reject(now, member, Refusal::Twice);
        }
        let address = id.address().ip();
        if self.bans.has(None, address) {
            return self.reject(now, member, Refusal::Banned);
        }
        if self.connections.next_at(address) > now.monotonic {
            return self.reject(now, member, Refusal::Often);
        }
        if let Some(why) = self
            .refusal(id, None)
            .and_then(|why| self.evict_for(now, id, why))
        {
            if !self.roster.is_resumable() || !self.queues(now, address, why) {
                return self.reject(now, member, why);
            }
            member.stage = Stage::Queued(now.monotonic.into());
            member.was_queued = true;
        }
        self.connections.count(now.monotonic, address, 1);
        member.must_seal = self.door.is_sealed();
        let greeting = self.greeting(&member) + "\n";
        member.outbox.push(0, greeting.into_bytes());
        Ok(self.add(now, member))
    }

    /// A connection was rejected because the system has no descriptor left.
    pub fn lacks_descriptor(&mut self, peer: SocketAddr) {
        let why = Refusal::Descriptors;
        self.events.push(Event::Refuse { peer, why });
    }

    /// Whether a connection from this address may queue for a place. If all may not, the network with most of the queue gives up
    /// the one that has waited longest there: a handshake that is begun and not ended waits for 10 s.
    fn queues(&mut self, now: Now, address: IpAddr, why: Refusal) -> bool {
        if self.roster.queued() < QUEUED_MAX {
            return true;
        }
        let mut queued: HashMap<Network, Vec<(Timestamp, Slot)>> = HashMap::new();
        for (slot, member) in self.roster.iter_from(0) {
            if let Stage::Queued(since) | Stage::Sealing(Unsealed::Queued, since) = member.stage {
                let network = Network::of(member.id().address().ip());
                queued.entry(network).or_default().push((since, slot));
            }
        }
        let own = queued.get(&Network::of(address)).map_or(0, Vec::len);
        let most = queued.values().max_by_key(|of_network| of_network.len());
        let most = most.filter(|of_network| of_network.len() > own + 1);
        let Some(&(_, slot)) = most.and_then(|of_network| of_network.iter().min()) else {
            return false;
        };
        self.turn_away(now, slot, why);
        true
    }

    fn add(&mut self, now: Now, member: Member) -> Slot {
        let slot = self.roster.add(member);
        self.note_deadline(slot, now);
        slot
    }

    /// Why this id can't join. If it can, also by taking the place of the connection that it resumes: `None`.
    fn refusal(&self, id: UserId, resumed: Option<Slot>) -> Option<Refusal> {
        let (max_users, max_per_address) = (self.limits.max_users, self.limits.max_per_address);
        let address = id.address().ip();
        let resumed = resumed.and_then(|slot| self.roster.get(slot));
        let freed = usize::from(resumed.is_some());
        let is_there = |member: &Member| Network::of(member.id().address().ip()) == Network::of(address);
        let freed_there = usize::from(resumed.is_some_and(is_there));
        let staying = self.roster.staying().saturating_sub(freed);
        let staying_there = self.roster.staying_from(address).saturating_sub(freed_there);
        if staying >= max_users {
            Some(Refusal::Full(max_users))
        } else if !address.is_loopback() && staying_there >= max_per_address {
            Some(Refusal::Address(max_per_address))
        } else {
            None
        }
    }

    /// Makes a place for a newcomer: the connection that has been silent for longest goes, or a probe. Whoever has sent
    /// anything stays. Returns why there still is none.
    fn evict_for(&mut self, now: Now, id: UserId, why: Refusal) -> Option<Refusal> {
        let network = Network::of(id.address().ip());
        let frees = |member: &Member| match why {
            Refusal::Address(_) => Network::of(member.id().address().ip()) == network,
            _ => true,
        };
        let evictable = |member: &Member| member.is_evictable(now.monotonic) && frees(member);
        let silent_longest = self
            .roster
            .iter_from(0)
            .filter(|(_, member)| evictable(member))
            .min_by_key(|(_, member)| member.inbox.last_received());
        let Some((slot, _)) = silent_longest else {
            return Some(why);
        };
        self.leave(now, slot, Departure::Evicted);
        self.refusal(id, None)
    }

    /// Rejects a connection, and waits until the peer has read why, unless too many are waited for.
    fn reject(&mut self, now: Now, mut member: Member, why: Refusal) -> Result<Slot, Vec<u8>> {
        let peer = member.id().address();
        self.events.push(Event::Refuse { peer, why });
        if self.roster.leaving() >= LEAVING_MAX {
            return Err(rejection(why));
        }
        member.outbox.push(0, rejection(why));
        member.stage = Stage::Leaving((now.monotonic + FLUSH).into());
        Ok(self.add(now, member))
    }

    /// The first line to a connection, without its line feed.
    fn greeting(&self, member: &Member) -> String {
        let clause = match member.must_seal {
            true => self.door.clause(),
            false if member.was_queued => "",
            false => "; /help says what you can do",
        };
        if member.was_queued {
            format!("{GREETING}{VERSION}: no place is free{clause}")
        } else {
            format!("{GREETING}{VERSION}: you are {}{clause}", member.id())
        }
    }

    /// Rejects a connection that is not announced.
    fn turn_away(&mut self, now: Now, slot: Slot, why: Refusal) {
        let Some(member) = self.roster.staying_mut(slot) else {
            return;
        };
        member.outbox.push(0, rejection(why));
        let peer = member.id().address();
        self.events.push(Event::Refuse { peer, why });
        self.handshakes.forget(slot);
        self.roster.detach(slot, now.monotonic + FLUSH);
        self.note_deadline(slot, now);
    }

    /// Gives a queued connection a place, that of the connection which it resumes if no other is free, or rejects it.
    /// Whether it has a place.
    fn admit(&mut self, now: Now, slot: Slot, resumed: Option<Slot>) -> bool {
        let Some(member) = self.roster.get(slot) else {
            return false;
        };
        if let Stage::Queued(_) = member.stage {
            if let Some(why) = self.refusal(member.id(), resumed) {
                self.turn_away(now, slot, why);
                return false;
            }
            self.roster.admit(slot);
        }
        true
    }

    /// A connection that has not sent `HELLO` joins as a plain user, or is rejected if it has no place or plain users are
    /// turned away.
    fn join_plain(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get(slot).filter(|member| member.in_handshake()) else {
            return;
        };
        if member.must_seal {
            self.turn_away(now, slot, Refusal::Plain);
        } else if self.lock.is_some() {
            self.turn_away(now, slot, Refusal::Locked);
        } else if self.admit(now, slot, None) {
            self.join(now, slot);
        }
    }

    /// Announces a user. From here on it is owed every broadcast, its own join first.
    fn join(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        member.stage = Stage::Joined;
        let rich = member.rich().is_some();
        if !rich {
            member
                .outbox
                .subscribe(self.transcript.ring(Dialect::Plain).head());
        }
        let join = FromServer::Join(Some(now.unix_ms), member.profile().brief());
        let online = ServerLine::Online(member.label());
        if self.handshakes.queue.is_empty() {
            self.transcript.append(Some(&online), join);
        } else {
            self.transcript.append_held(now, &online, join);
        }
        self.users += 1;
        self.events.push(Event::Join {
            who: member.label().into(),
            rich,
            users: self.users,
        });
        if let Some(topic) = self.topic.as_ref().filter(|_| !rich)
            && let Some(member) = self.roster.get_mut(slot)
        {
            member.notice(&self.transcript, topic.words());
        }
    }

    /// A user leaves. It is still sent what it is owed, and the others are told if it was announced.
    fn leave(&mut self, now: Now, slot: Slot, why: Departure) {
        let Some(member) = self.roster.staying_mut(slot) else {
            return;
        };
        let was_announced = member.is_announced();
        if let Some((lock, key)) = self.lock.as_mut().zip(member.key())
            && matches!(why, Departure::Kicked | Departure::Banned)
        {
            lock.remove(&key);
        }
        let who: Box<str> = member.label().into();
        member
            .outbox
            .truncate_at(self.transcript.ring(member.dialect()).head());
        if let Some((reason, text)) = farewell(why) {
            member.put(&self.transcript, member.goodbye(reason, text));
        }
        self.remember(now, slot, may_return(why));
        self.handshakes.forget(slot);
        self.roster.detach(slot, now.monotonic + FLUSH);
        if was_announced {
            self.announce_leave(now, who, why);
        }
        self.note_deadline(slot, now);
    }

    /// Remembers a client that leaves, and holds its nick if it may return.
    fn remember(&mut self, now: Now, slot: Slot, may_return: bool) {
        let member = self.roster.get(slot);
        let Some((member, client)) = member.and_then(|member| Some((member, member.resumable()?))) else {
            return;
        };
        self.resumption.remember(client);
        if let Some(nick) = member.nick().filter(|_| may_return) {
            self.holds.add(now.monotonic, client.network, client.key, nick);
        }
    }

    /// Tells everybody that a user has left.
    fn announce_leave(&mut self, now: Now, who: Box<str>, why: Departure) {
        let line = ServerLine::Offline(&*who);
        self.transcript
            .append(Some(&line), FromServer::Leave(Some(now.unix_ms), &*who));
        self.users -= 1;
        let users = self.users;
        self.events.push(Event::Leave { who, why, users });
    }

    /// Disconnects a slow reader. It is sent the rest of the line that it is in, and the reason.
    fn disconnect_slow(&mut self, now: Now, slot: Slot, behind: u64) {
        const TEXT: &str = "disconnected: you were reading too slowly";
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let farewell = member.goodbye(Reason::Slow, TEXT) + "\n";
        let ring = self.transcript.ring(member.dialect());
        member.outbox.abort_with(ring, farewell.into_bytes());
        self.leave(now, slot, Departure::Slow(behind));
        if let Some(member) = self.roster.get_mut(slot) {
            member.stage = Stage::Leaving((now.monotonic + SLOW_FLUSH).into());
        }
    }

    /// The nick, if this user may have it.
    fn available_nick(&self, now: Now, slot: Slot, name: &str) -> Result<Nick, (ErrorCode, String)> {
        let nick = Nick::parse(name).and_then(|nick| nick.check_look().map(|()| nick));
        let nick = nick.map_err(|error| (ErrorCode::BadNick, error.to_string()))?;
        let address = self.roster.get(slot).map(|member| member.id().address().ip());
        let kicked = |ip| self.bans.is_kicked(now.monotonic, None, ip, Some(&nick.key()));
        if address.is_some_and(kicked) {
            let text = format!("the nick {nick} is held for a minute: an operator has shown its user out");
            return Err((ErrorCode::NickTaken, text));
        }
        let holder = self.roster.with_look_of(&nick, slot);
        let is_same = |other: &Nick| other.key() == nick.key();
        let text = if let Some(holder) = holder.and_then(|holder| self.roster.get(holder)) {
            let is_same = holder.nick().as_ref().is_some_and(is_same);
            let relation = if is_same {
                "is taken by"
            } else {
                "looks too much like"
            };
            format!("the nick {nick} {relation} {}", holder.label())
        } else if let Some((held, left)) = self.holds.find(now.monotonic, &nick) {
            let like = if is_same(held) {
                String::new()
            } else {
                format!(" looks too much like {held}, which")
            };
            let seconds = left.as_secs() + 1;
            format!("the nick {nick}{like} is held for {seconds} s, for a user who lost the connection")
        } else {
            return Ok(nick);
        };
        Err((ErrorCode::NickTaken, text))
    }

    /// Gives a newcomer a nick, if it may have it.
    fn name(&mut self, now: Now, slot: Slot, name: &str) -> Result<(), (ErrorCode, String)> {
        let nick = self.available_nick(now, slot, name)?;
        self.roster.rename(slot, nick);
        Ok(())
    }

    /// Gives a user another nick, if the user may have it. Whether it is another one.
    fn rename(&mut self, now: Now, slot: Slot, name: &str) -> Result<bool, (ErrorCode, String)> {
        let nick = self.available_nick(now, slot, name)?;
        let Some(member) = self.roster.get(slot) else {
            return Ok(false);
        };
        if member.nick().as_ref() == Some(&nick) {
            return Ok(false);
        }
        if !self.nicks.try_count(now.monotonic, member.id().address().ip()) {
            let text =
                "nick not changed: too many changes from your address in a short time; try again in a minute";
            return Err((ErrorCode::TooOften, text.into()));
        }
        self.roster.rename(slot, nick);
        Ok(true)
    }

    /// Tells everybody that a user has another nick.
    fn announce_nick(&mut self, now: Now, slot: Slot, before: &str) {
        let member = self.roster.get(slot);
        let Some((member, nick)) = member.and_then(|member| Some((member, member.nick()?))) else {
            return;
        };
        let line = ServerLine::IsNow(before, member.label());
        self.transcript.append(
            Some(&line),
            FromServer::Nick(Some(now.unix_ms), before, nick.clone()),
        );
        let who = before.into();
        self.events.push(Event::Nick { who, nick });
    }

    /// Tells the clients how a user that was announced is reached privately.
    fn announce_profile(&mut self, slot: Slot) {
        if let Some(member) = self
            .roster
            .get(slot)
            .filter(|member| member.stage == Stage::Joined)
        {
            self.transcript.append(None, FromServer::User(member.profile()));
        }
    }

    /// Sends one rich client another one's line, unless it does not read. Nobody is told if it is not sent: senders don't rely on it.
    fn pass_on(&mut self, to: Slot, line: String) {
        if let Some(member) = self.roster.get_mut(to)
            && member.rich().is_some()
            && member.is_reading()
        {
            member.pass_on(&self.transcript, line);
        }
    }

    /// The reply to a datagram, if it gets one.
    pub fn rendezvous(&mut self, now: Now, source: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        if !self.door.admits(source.ip()) {
            return None;
        }
        rendezvous::reply(&mut self.roster, &mut self.tokens, now, source, datagram)
    }

    /// The server shuts down: everybody is told, and no more input is processed. The second call ends it at once.
    pub fn shut_down(&mut self, now: Now, signal: &'static str) {
        const TEXT: &str = "the server is shutting down";
        let again = std::mem::replace(&mut self.shuts_down, true);
        let until = now.monotonic + if again { Duration::ZERO } else { FLUSH };
        let users = self.users;
        self.events.push(Event::Stop { signal, users });
        let goodbye = FromServer::Goodbye(Reason::Shutdown, Text::new(TEXT));
        self.transcript
            .append::<&str>(Some(&ServerLine::Notice(Text::new(TEXT))), goodbye);
        for slot in 0..self.roster.end() {
            let Some(member) = self.roster.get_mut(slot) else {
                continue;
            };
            if let Stage::Leaving(earlier) = &mut member.stage {
                *earlier = Timestamp::from(until).min(*earlier);
                continue;
            }
            member
                .outbox
                .truncate_at(self.transcript.ring(member.dialect()).head());
            // The next run of the server may be told.
            self.remember(now, slot, true);
            self.roster.detach(slot, until);
        }
        self.expire_deadline();
    }

    /// When [`input::tick`] or [`output::end_turn`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let serves = !self.handshakes.queue.is_empty() && !self.backpressure.blocks(&self.transcript);
        let handshakes = serves.then_some(Duration::ZERO);
        let held = self.transcript.held_until();
        let deadlines = [self.next_deadline, self.backpressure.deadline(), handshakes, held];
        deadlines.into_iter().flatten().min()
    }

    /// Everything has to be looked at again, because what it waited for may have happened.
    fn expire_deadline(&mut self) {
        self.next_deadline = Some(Duration::ZERO);
    }

    fn note_deadline(&mut self, slot: Slot, now: Now) {
        if self.handshakes.queue.has(slot) {
            // Its time limits wait for its turn too.
            return;
        }
        let member = self.roster.get(slot);
        if let Some(deadline) = member.and_then(|member| self.deadline_of(member, now)) {
            self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        }
    }

    /// When something is due for this member, as far as time alone decides.
    fn deadline_of(&self, member: &Member, now: Now) -> Option<Duration> {
        let stage_end = member.stage_ends_at();
        if !member.is_staying() {
            return stage_end;
        }
        if self.backpressure.pauses_reads() {
            // The end of the pause sets the deadlines anew.
            return None;
        }
        let rate = self.limits.rate;
        let rate_allows = rate.map_or(Duration::ZERO, |rate| member.usage.next_at(rate));
        let network_allows = self.bytes.next_at(member.id().address().ip());
        let allowed = rate_allows.max(network_allows);
        // Without room for an answer, the next line waits for the peer to read, which output::deliver notices.
        let processes = member.is_answerable();
        let has_input = member.inbox.is_waiting() || member.ended.is_some() || rate_allows > now.monotonic;
        let next_line = (processes && has_input).then_some(allowed);
        let silence = member.silence_ends_line_at().filter(|_| processes);
        let pulse = member.rich().map(|_| match member.pinged {
            Some(pinged) => pinged.get() + 2 * self.limits.ping_interval,
            None => member.inbox.last_received() + self.limits.ping_interval,
        });
        let silence = silence.map(|at| at.max(allowed));
        [stage_end, next_line, silence, pulse].into_iter().flatten().min()
    }
}

/// The line that tells a peer why its connection is rejected.
fn rejection(why: Refusal) -> Vec<u8> {
    let line: ServerLine<'_, &str> = match why {
        Refusal::Address(_) => ServerLine::Notice(Text::new("too many users from your address")),
        Refusal::Twice => ServerLine::Notice(Text::new("a user with your address and port is here already")),
        Refusal::Often => ServerLine::Notice(Text::new(
            "too many connections from your address in a short time; try again in a minute",
        )),
        Refusal::Banned => ServerLine::Notice(Text::new(BANNED)),
        Refusal::Denied => ServerLine::Notice(Text::new(DENIED)),
        Refusal::Locked => ServerLine::Notice(Text::new(LOCKED)),
        Refusal::Full(_)
        | Refusal::Kicked
        | Refusal::Nick
        | Refusal::Foreign
        | Refusal::Handshake
        | Refusal::Code
        | Refusal::Outdated
        | Refusal::Descriptors => ServerLine::TooManyUsers,
        Refusal::Plain => ServerLine::Notice(Text::new(
            "not joined: this room takes encrypted connections only; use chat-client",
        )),
        Refusal::Passphrase => return format!("{WRONG_PASSPHRASE}\n").into_bytes(),
        Refusal::Guesses => return format!("{TOO_MANY_GUESSES}\n").into_bytes(),
    };
    format!("{line}\n").into_bytes()
}

/// What those read whose address may not connect.
const DENIED: &str = "not let in: your address may not connect here";

/// What users read who are shown out.
const KICKED: &str = "an operator has shown you out: you may come back in a minute";
const BANNED: &str = "banned: you may not come back to this room, until an operator lifts the ban";

/// What newcomers read.
const LOCKED: &str = "not joined: the room is locked, so nobody new comes in; ask an operator to unlock it";

/// Whether a client that leaves so may want to resume: its connection broke.
fn may_return(why: Departure) -> bool {
    match why {
        Departure::Closed
        | Departure::Reset
        | Departure::TimedOut
        | Departure::Silent
        | Departure::Altered
        | Departure::Slow(_) => true,
        Departure::Quit
        | Departure::Replaced
        | Departure::Probe
        | Departure::Nick
        | Departure::Evicted
        | Departure::Kicked
        | Departure::Banned
        | Departure::Locked
        | Departure::Handshake
        | Departure::Outdated
        | Departure::Foreign => false,
    }
}

/// The last line to a user that leaves. There is none after the end of its input, and that to a slow reader replaces
/// what it is owed.
fn farewell(why: Departure) -> Option<(Reason, &'static str)> {
    match why {
        Departure::Quit => Some((Reason::Quit, "goodbye")),
        Departure::Silent => Some((
            Reason::Silent,
            "disconnected: nothing received from you for too long",
        )),
        Departure::Replaced => Some((Reason::Replaced, "disconnected: you have reconnected")),
        Departure::Probe => Some((Reason::Other, "disconnected: the probe took too long")),
        Departure::Nick => Some((
            Reason::Nick,
            "disconnected: the nick that you require is not available",
        )),
        Departure::Kicked => Some((Reason::Kicked, KICKED)),
        Departure::Banned => Some((Reason::Banned, BANNED)),
        Departure::Locked => Some((Reason::Locked, LOCKED)),
        Departure::Evicted => Some((
            Reason::Other,
            "disconnected: the room is full, and you have sent nothing",
        )),
        Departure::Foreign => Some((
            Reason::Other,
            "disconnected: your first line belongs to another protocol",
        )),
        Departure::Handshake => Some((
            Reason::Other,
            "disconnected: the handshake for an encrypted channel failed",
        )),
        Departure::Outdated => Some((
            Reason::Other,
            "disconnected: this client does not encrypt, and this server requires that; use a newer chat-client",
        )),
        Departure::Altered => Some((
            Reason::Other,
            "disconnected: what you sent was changed on the way",
        )),
        Departure::Closed | Departure::Reset | Departure::TimedOut | Departure::Slow(_) => None,
    }
}
