//! A conversation with one peer: encrypts for it and decrypts from it, over whichever path works.

use super::bulk::Channel;
use super::event::{Event, MessageId, Output, Path, Received, Why};
use super::flow::RELAY_GAP;
use super::handshake::{Identity, Sessions};
use super::packet::{BULK_HEAD_LEN, Body, Bulk, BulkAck, PING_LEN, Packet};
use super::path::{Choice, Paths, Source};
use super::probe::PingKind;
use super::random::{Random, random};
use super::receiver::{Arrival, Receiver, Shown};
use super::rendezvous::Rendezvous;
use super::sender::{Ack, Routes, Sender, Settled};
use crate::files::message::FileMessage;
use crate::files::piece::Piece;
use chat_noise::private::{BEGIN_LEN, OVERHEAD, Responder};
use chat_proto::id::UserId;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the path is kept open after a message.
const KEEP_OPEN: Duration = Duration::from_secs(600);

/// How often the server is asked to punch, while messages wait and no direct path is validated.
const PUNCH_INTERVAL: Duration = Duration::from_secs(60);

/// The same once a path was validated since, and failed.
const PUNCH_AGAIN: Duration = Duration::from_secs(5);

/// The caller asks again for a path in a shorter time than this, if it still waits.
const AWAITED_FOR: Duration = Duration::from_secs(5);

/// Offers of addresses that are accepted in each [`OFFER_PERIOD`], from all peers together. Each
/// makes this client ping up to four addresses.
const OFFERS_MAX: u32 = 4;

const OFFER_PERIOD: Duration = Duration::from_secs(60);

/// Exists from the first datagram that is sent or decrypted. Once a message was sent or decrypted,
/// it stays until the program ends, because the numbers of segments must not restart within a run.
/// While the peer is away it takes about 1 KB. Each of its sessions, four at most, takes 0.4 KB for
/// three minutes.
pub(super) struct Peer {
    pub(super) sessions: Sessions,
    /// When it was made.
    pub(super) since: Duration,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) paths: Paths,
    /// The number of the next control packet: one that carries no segment.
    pub(super) next_control: u64,
    /// Since the first piece of a file. Its numbers go on until the peer runs anew.
    bulk: Option<Box<Channel>>,
    /// One past the highest number that arrived: of segments, of control packets, and of pieces.
    segments_end: u64,
    controls_end: u64,
    bulk_end: u64,
    /// When a message or a piece was last sent or shown.
    last_message: Option<Duration>,
    /// When a copy of a segment was last relayed.
    relayed: Option<Duration>,
    /// When the server may be asked again to punch.
    punch_at: Duration,
    /// Until then the caller waits for a direct path, with pieces of files.
    awaited_until: Duration,
    /// The peer may offer its addresses, once for each punch.
    may_offer: bool,
    /// This side may offer its own, and has not yet.
    owes_offer: bool,
}

/// The limit on accepted offers, for all peers together.
#[derive(Debug, Default)]
pub(super) struct OfferLimit {
    /// When the current period began.
    since: Duration,
    accepted: u32,
}

/// What a peer needs from outside to act.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) unix_ms: u64,
    pub(super) identity: &'a mut Identity,
    /// The peer's key.
    pub(super) key: &'a PublicKey,
    pub(super) random: &'a mut Random,
    pub(super) outputs: &'a mut VecDeque<Output>,
    /// Pieces of files, which come after all other outputs.
    pub(super) bulk: &'a mut VecDeque<Output>,
    /// When the server may be given the next piece of a file.
    pub(super) relay_free: &'a mut Duration,
    /// Bytes of pieces that the peer may have under way.
    pub(super) bulk_window: u64,
    /// The user that has the peer's key, in the roster.
    pub(super) user: UserId,
    /// Where the server is asked for this client's address.
    pub(super) rendezvous: Option<&'a mut Rendezvous>,
    /// The server can punch.
    pub(super) has_server: bool,
    /// The server can relay, and the user allows it.
    pub(super) has_relay: bool,
    /// This side is behind a router, which pings have to open first.
    pub(super) punch_first: bool,
    pub(super) punch_ttl: u8,
    /// Addresses to offer to a peer behind the same router.
    pub(super) local: &'a [SocketAddr],
    /// The peer is behind the same router, so it may offer addresses.
    pub(super) is_neighbour: bool,
    pub(super) offer_limit: &'a mut OfferLimit,
    /// There is memory to hold a segment back.
    pub(super) may_hold: bool,
}

impl Peer {
    pub(super) fn new(now: Duration, slot: u32, next_control: u64) -> Self {
        Self {
            sessions: Sessions::new(slot),
            since: now,
            sender: Sender::default(),
            receiver: Receiver::default(),
            paths: Paths::default(),
            next_control,
            bulk: None,
            segments_end: 0,
            controls_end: 0,
            bulk_end: 0,
            last_message: None,
            relayed: None,
            punch_at: Duration::ZERO,
            awaited_until: Duration::ZERO,
            may_offer: false,
            owes_offer: false,
        }
    }

    /// No message was sent to it or decrypted from it.
    pub(super) fn is_silent(&self) -> bool {
        !self.sender.has_sent() && self.segments_end == 0 && self.bulk.is_none()
    }

    /// The peer owes an answer.
    fn is_busy(&self) -> bool {
        !self.sender.is_idle() || self.has_bulk()
    }

    /// The server announces the peer's address.
    pub(super) fn announce(&mut self, now: Duration, address: SocketAddr) {
        let is_talking = self.keep_until().is_some_and(|until| now < until);
        self.paths.announce(now, address, is_talking);
    }

    /// The server asks both sides to open their routers now.
    pub(super) fn punch(&mut self, context: &mut Context<'_>, address: SocketAddr) {
        self.paths.punch(context.now, address);
        self.punch_at = context.now + PUNCH_INTERVAL;
        self.may_offer = true;
        self.owes_offer = true;
    }

    /// Offers the addresses inside the network, once there are keys to seal them with.
    fn offer(&mut self, context: &mut Context<'_>) {
        if !self.owes_offer || !self.sessions.can_seal(context.now) {
            return;
        }
        self.owes_offer = false;
        if !context.local.is_empty() && !self.paths.is_validated(context.now) {
            let offer = Body::Addresses(context.local.to_vec());
            self.answer(context, Source::Relay, offer);
        }
    }

    pub(super) fn send(&mut self, now: Duration, id: MessageId, text: &str) {
        self.sender.push(now, id, text.as_bytes());
        self.last_message = Some(now);
    }

    pub(super) fn send_file(&mut self, now: Duration, id: MessageId, message: &[u8]) {
        self.sender.push_file(now, id, message);
        self.last_message = Some(now);
    }

    /// The peer has left. Unconfirmed messages fail, and held ones are shown.
    pub(super) fn leave(&mut self, outputs: &mut VecDeque<Output>, user: UserId, why: Why) {
        settle(outputs, self.sender.fail_all(why));
        show(outputs, user, self.receiver.flush());
        self.leave_bulk(outputs, user);
        self.sessions.leave();
        self.paths = Paths::default();
        self.last_message = None;
        self.relayed = None;
        self.punch_at = Duration::ZERO;
    }

    /// The user turns to this peer. The handshake takes a round trip, so it begins before the first message.
    pub(super) fn turn_to(&mut self, context: &mut Context<'_>) {
        if !self.sessions.can_seal(context.now) {
            self.begin(context);
        }
    }

    /// The peer begins a handshake, in this datagram.
    pub(super) fn receive_beginning(
        &mut self,
        context: &mut Context<'_>,
        source: Source,
        responder: Responder,
        datagram: &[u8],
    ) {
        // An answer is shorter, so it is no use for amplification.
        if let Some(answer) = self
            .sessions
            .answer(context.now, context.identity, responder, datagram)
        {
            context.send_by(source, answer);
        }
    }

    /// The peer has answered this side's beginning, in a datagram of so many bytes.
    pub(super) fn established(&mut self, context: &mut Context<'_>, source: Source, bytes: usize) {
        self.note_source(context.now, source, bytes, true);
        match source {
            Source::Address(from) => {
                if self.paths.acknowledged_from(context.now, from) {
                    self.sender.path_changed();
                }
            }
            // What was sent directly was not answered, or later.
            Source::Relay => self.relayed = Some(context.now),
        }
        // The peer does not use the new keys before something has opened under them.
        let passed = self.receiver.passed();
        self.acknowledge_segment(context, source, passed);
    }

    /// The peer runs anew: all numbers begin again.
    pub(super) fn restart(&mut self, context: &mut Context<'_>) {
        settle(context.outputs, self.sender.restart());
        show(context.outputs, context.user, self.receiver.flush());
        self.leave_bulk(context.outputs, context.user);
        self.bulk = None;
        self.receiver = Receiver::default();
        self.segments_end = 0;
        self.controls_end = 0;
        self.bulk_end = 0;
    }

    /// Processes a decrypted packet, which came in a datagram of so many bytes.
    pub(super) fn receive(
        &mut self,
        context: &mut Context<'_>,
        source: Source,
        bytes: usize,
        packet: Packet,
    ) {
        let Packet { number, body, .. } = packet;
        let mut ack = Ack {
            cumulative: packet.cumulative,
            selective: packet.selective,
            passed: packet.cumulative,
            of: None,
            path: source.path(),
        };
        match body {
            Body::Data { floor, parts } => {
                let arrival = Arrival {
                    number,
                    floor,
                    parts,
                    path: source.path(),
                };
                if !self.receive_segment(context, arrival) {
                    return;
                }
                let is_newest = raise(&mut self.segments_end, number);
                self.note_source(context.now, source, bytes, is_newest);
                self.acknowledge_segment(context, source, number);
            }
            body => {
                let is_newest = raise(&mut self.controls_end, number);
                self.note_source(context.now, source, bytes, is_newest);
                self.receive_control(context, source, body, &mut ack);
            }
        }
        let (settled, overtaken) = self.sender.acknowledge(context.now, ack);
        settle(context.outputs, settled);
        if let Some(sent) = overtaken {
            self.missed(context, sent);
        }
    }

    /// A datagram sent directly at `sent` was not answered.
    fn missed(&mut self, context: &mut Context<'_>, sent: Duration) {
        let was_validated = self.paths.is_validated(context.now);
        self.paths.missed(context.now, sent);
        if self.paths.is_validated(context.now) {
            return;
        }
        if was_validated {
            self.punch_at = self.punch_at.min(context.now + PUNCH_AGAIN);
        }
        if let Some(rendezvous) = &mut context.rendezvous {
            rendezvous.hurry();
        }
    }

    /// Returns whether the segment is to be acknowledged.
    fn receive_segment(&mut self, context: &mut Context<'_>, arrival: Arrival) -> bool {
        let (is_acknowledged, shown) = self.receiver.receive(context.now, arrival, context.may_hold);
        if !shown.is_empty() {
            self.last_message = Some(context.now);
        }
        show(context.outputs, context.user, shown);
        is_acknowledged
    }

    fn receive_control(&mut self, context: &mut Context<'_>, source: Source, body: Body, ack: &mut Ack) {
        let has_moved = match (body, source) {
            (Body::Ack { of, passed }, source) => {
                (ack.of, ack.passed) = (Some(of), passed);
                match source {
                    Source::Address(from) => self.paths.acknowledged_from(context.now, from),
                    Source::Relay => false,
                }
            }
            (Body::Ping(token), Source::Address(_)) => {
                self.answer(context, source, Body::Pong(token));
                false
            }
            (Body::Pong(token), Source::Address(_)) => self.paths.pong(context.now, token),
            (Body::Addresses(addresses), _) => {
                if self.accepts_offer(context) {
                    self.paths.offer(context.now, &addresses);
                }
                false
            }
            // Pings validate a path between two addresses. The relay has none.
            (Body::Ping(_) | Body::Pong(_) | Body::Data { .. }, _) => false,
        };
        if has_moved {
            self.sender.path_changed();
        }
    }

    /// A peer must not make this client ping addresses of its choice, so offers are rare.
    fn accepts_offer(&mut self, context: &mut Context<'_>) -> bool {
        context.is_neighbour && std::mem::take(&mut self.may_offer) && context.offer_limit.accept(context.now)
    }

    fn note_source(&mut self, now: Duration, source: Source, bytes: usize, is_newest: bool) {
        if let Source::Address(from) = source {
            self.paths.received(now, from, bytes, is_newest);
        }
    }

    fn acknowledge_segment(&mut self, context: &mut Context<'_>, source: Source, of: u64) {
        let passed = self.receiver.passed();
        self.answer(context, source, Body::Ack { of, passed });
    }

    /// Sends all that is due, and gives up on all that is overdue.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        settle(context.outputs, self.sender.expire(context.now));
        self.sessions.expire(context.now);
        self.pass_gap(context);
        self.shake_hands(context);
        self.offer(context);
        // Pings go before segments, because a failed probe changes the path; and after, because a
        // failed path is probed.
        self.ping(context);
        self.transmit(context);
        self.flush_bulk(context);
        self.ask_to_punch(context);
        self.ping(context);
    }

    pub(super) fn deadline(&self, context: &Context<'_>) -> Option<Duration> {
        let (mut routes, _) = self.routes(context);
        if !self.sessions.can_seal(context.now) {
            (routes.direct, routes.relay_after) = (false, None);
        }
        let deadlines = [
            self.sender.deadline(routes),
            self.sessions.deadline(self.is_busy()),
            self.receiver.deadline(),
            self.paths.deadline(self.keep_until()),
            self.wants_path(context.now).then_some(self.punch_at),
            self.bulk.as_ref().and_then(|channel| channel.deadline()),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn keep_until(&self) -> Option<Duration> {
        self.last_message.map(|last| last + KEEP_OPEN)
    }

    /// Shows messages that were held back for too long, and tells the peer what will not be shown.
    fn pass_gap(&mut self, context: &mut Context<'_>) {
        let before = self.receiver.passed();
        let shown = self.receiver.pass_gap(context.now);
        let passed = self.receiver.passed();
        if passed == before {
            return;
        }
        self.last_message = Some(context.now);
        show(context.outputs, context.user, shown);
        let source = match self.paths.choose(context.now, context.punch_first) {
            Choice::Validated(address) => Source::Address(address),
            _ => Source::Relay,
        };
        // This ack answers no segment: the one that it names has not arrived.
        self.acknowledge_segment(context, source, passed);
    }

    /// Begins a handshake if it is time, and sends the beginning if it is due.
    fn shake_hands(&mut self, context: &mut Context<'_>) {
        let due = self.sessions.poll(context.now);
        if self.sessions.should_begin(context.now, self.is_busy()) {
            self.begin(context);
        }
        let Some((bytes, is_first)) = due.or_else(|| self.sessions.poll(context.now)) else {
            return;
        };
        let choice = self.paths.choose(context.now, context.punch_first);
        let to = match choice {
            Choice::Validated(to) | Choice::Unvalidated(to) => Some(to),
            // In place of its pings, the beginning opens the routers.
            Choice::Punching => None,
            Choice::Dead(to) => to.filter(|_| !context.has_relay),
        };
        if let Some(to) = to {
            context.send_to(to, bytes.clone());
        }
        if context.has_relay && !(is_first && to.is_some()) {
            context.relay(bytes);
        }
    }

    fn begin(&mut self, context: &mut Context<'_>) {
        let (now, unix_ms) = (context.now, context.unix_ms);
        let (identity, random) = (&mut *context.identity, context.random.as_mut());
        self.sessions.begin(now, unix_ms, identity, context.key, random);
    }

    fn wants_path(&self, now: Duration) -> bool {
        (self.is_busy() || now < self.awaited_until) && !self.paths.is_validated(now)
    }

    /// The caller has pieces of files, and looks for a direct path.
    pub(super) fn await_path(&mut self, now: Duration) {
        self.awaited_until = now + AWAITED_FOR;
    }

    fn ask_to_punch(&mut self, context: &mut Context<'_>) {
        if !self.wants_path(context.now) || context.now < self.punch_at {
            return;
        }
        self.punch_at = context.now + PUNCH_INTERVAL;
        if context.punch_first {
            self.paths.punch_trusted(context.now);
        }
        if context.has_server {
            let line = FromClient::Punch(context.user);
            context.outputs.push_back(Output::Line(line));
        }
    }

    fn ping(&mut self, context: &mut Context<'_>) {
        let keep_until = self.keep_until();
        let can_seal = self.sessions.can_seal(context.now);
        let length = if can_seal { PING_LEN + OVERHEAD } else { BEGIN_LEN };
        while let Some(ping) = self.paths.poll(context.now, keep_until, length, || {
            u64::from_be_bytes(random(context.random))
        }) {
            let Some(bytes) = self.ping_bytes(context, ping.token) else {
                continue;
            };
            let ttl = (ping.kind == PingKind::PunchProbe).then_some(context.punch_ttl);
            let to = ping.to;
            context.outputs.push_back(Output::Datagram { to, ttl, bytes });
        }
    }

    /// A ping; without a session, the beginning of one.
    fn ping_bytes(&mut self, context: &mut Context<'_>, token: u64) -> Option<Vec<u8>> {
        if self.sessions.can_seal(context.now) {
            return self.seal_control(context, Body::Ping(token));
        }
        self.begin(context);
        let first = self.sessions.poll(context.now).map(|(bytes, _)| bytes);
        first.or_else(|| self.sessions.beginning())
    }

    fn transmit(&mut self, context: &mut Context<'_>) {
        while self.sessions.can_seal(context.now) {
            let (routes, to) = self.routes(context);
            let jitter = || u8::from_be_bytes(random(context.random));
            let Some(copy) = self.sender.transmit(context.now, routes, jitter) else {
                return;
            };
            let body = Body::Data {
                floor: copy.floor,
                parts: copy.parts,
            };
            let Some(bytes) = self.seal(context, copy.number, body) else {
                return;
            };
            match (copy.path, to) {
                (Path::Direct, Some(to)) => context.send_to(to, bytes),
                _ => {
                    self.relayed = Some(context.now);
                    context.relay(bytes);
                }
            }
            if let Some(sent) = copy.timed_out {
                self.missed(context, sent);
            }
        }
    }

    /// The paths by which a segment may go now, and the address of the direct one. After a segment
    /// had to be relayed, the next ones go both ways at once, until the peer answers directly.
    fn routes(&self, context: &Context<'_>) -> (Routes, Option<SocketAddr>) {
        let is_doubtful = self
            .relayed
            .is_some_and(|at| self.paths.last_validated() < Some(at));
        let delay = |is_validated| {
            let delay = self.sender.relay_delay(is_validated);
            if is_doubtful { Duration::ZERO } else { delay }
        };
        let (to, delay) = match self.paths.choose(context.now, context.punch_first) {
            Choice::Validated(to) => (Some(to), delay(true)),
            Choice::Unvalidated(to) => (Some(to), delay(false)),
            Choice::Punching => (None, delay(false)),
            // Without a relay there is no alternative to a dead address.
            Choice::Dead(to) => (to.filter(|_| !context.has_relay), Duration::ZERO),
        };
        let routes = Routes {
            direct: to.is_some(),
            relay_after: context.has_relay.then_some(delay),
        };
        (routes, to)
    }

    /// Sends an answer by the way of the packet that it answers.
    fn answer(&mut self, context: &mut Context<'_>, source: Source, body: Body) {
        if let Some(bytes) = self.seal_control(context, body) {
            self.reply(context, source, bytes);
        }
    }

    fn reply(&mut self, context: &mut Context<'_>, source: Source, bytes: Vec<u8>) {
        match source {
            Source::Address(to) if self.paths.may_answer(to, bytes.len()) => context.send_to(to, bytes),
            Source::Relay if context.has_relay => context.relay(bytes),
            Source::Address(_) | Source::Relay => {}
        }
    }

    fn seal_control(&mut self, context: &mut Context<'_>, body: Body) -> Option<Vec<u8>> {
        let number = self.next_control;
        self.next_control += 1;
        self.seal(context, number, body)
    }

    /// `None` without a session.
    fn seal(&mut self, context: &mut Context<'_>, number: u64, body: Body) -> Option<Vec<u8>> {
        let is_data = matches!(body, Body::Data { .. });
        let (cumulative, selective) = self.receiver.acks();
        let packet = Packet {
            number,
            cumulative,
            selective,
            body,
        };
        self.sessions.seal(context.now, &packet.to_bytes(), is_data)
    }
}

/// Pieces of files.
impl Peer {
    pub(super) fn channel(&mut self) -> &mut Channel {
        self.bulk.get_or_insert_default()
    }

    /// Whether pieces are in flight.
    pub(super) fn has_bulk(&self) -> bool {
        self.bulk
            .as_ref()
            .is_some_and(|channel| channel.outgoing.is_busy())
    }

    /// Processes a decrypted packet with a piece, which came in a datagram of so many bytes.
    pub(super) fn receive_bulk(
        &mut self,
        context: &mut Context<'_>,
        source: Source,
        length: usize,
        mut packet: Vec<u8>,
    ) -> Option<()> {
        let Bulk {
            number,
            id,
            offset,
            bytes,
        } = Bulk::parse(&packet)?;
        let size = bytes.len();
        let is_newest = raise(&mut self.bulk_end, number);
        self.note_source(context.now, source, length, is_newest);
        self.last_message = Some(context.now);
        let incoming = &mut self.channel().incoming;
        if incoming.receive(context.now, source, number, size, context.bulk_window) {
            packet.drain(..BULK_HEAD_LEN);
            context.outputs.push_back(Output::Event(Event::Bulk {
                from: context.user,
                id,
                offset,
                bytes: packet,
            }));
        }
        Some(())
    }

    /// Processes a decrypted ack of such packets.
    pub(super) fn receive_bulk_ack(
        &mut self,
        context: &mut Context<'_>,
        source: Source,
        length: usize,
        packet: &[u8],
    ) -> Option<()> {
        let ack = BulkAck::parse(packet)?;
        let is_newest = raise(&mut self.controls_end, ack.number);
        self.note_source(context.now, source, length, is_newest);
        let channel = self.bulk.as_mut()?;
        channel.is_able = true;
        let outgoing = &mut channel.outgoing;
        let mut done = Vec::new();
        let any = outgoing.acknowledged(context.now, &ack, &mut done);
        // What was in flight was sent this way, so the ack answers that.
        let answers_from = match (outgoing.way(), source) {
            (Some(Source::Address(to)), Source::Address(from)) if any && to == from => Some(from),
            _ => None,
        };
        let to = context.user;
        let acked = done.into_iter().map(|piece| Event::BulkAcked { to, piece });
        context.outputs.extend(acked.map(Output::Event));
        if answers_from.is_some_and(|from| self.paths.acknowledged_from(context.now, from)) {
            self.sender.path_changed();
        }
        Some(())
    }

    /// Sends what is due, and reports what is lost.
    fn flush_bulk(&mut self, context: &mut Context<'_>) {
        if self.bulk.is_none() {
            return;
        }
        self.take_way(context);
        let (now, window, number) = (context.now, context.bulk_window, self.next_control);
        let channel = self.channel();
        let mut lost = Vec::new();
        let silent = channel.outgoing.lose(now, &mut lost);
        let asks = channel.outgoing.should_ask(now);
        let ack = channel.incoming.ack(now, number, window);
        report_lost(context.outputs, context.user, lost);
        if let Some((source, ack)) = ack {
            self.next_control += 1;
            if let Some(bytes) = self.sessions.seal(now, &ack.to_bytes(), false) {
                self.reply(context, source, bytes);
            }
        }
        if asks {
            self.send_piece(context, Piece::NONE, &[]);
        }
        if let Some(sent) = silent {
            self.missed(context, sent);
            // Without that path, messages may be due on another one.
            self.transmit(context);
        }
    }

    /// The peer has left.
    fn leave_bulk(&mut self, outputs: &mut VecDeque<Output>, user: UserId) {
        let mut lost = Vec::new();
        if let Some(channel) = &mut self.bulk {
            channel.outgoing.take_way(None, &mut lost);
            channel.incoming.leave();
            channel.is_able = false;
        }
        report_lost(outputs, user, lost);
    }

    /// Takes the way that is best now. Pieces go to no address that was not validated.
    pub(super) fn take_way(&mut self, context: &mut Context<'_>) {
        let way = match self.paths.choose(context.now, context.punch_first) {
            _ if !self.sessions.can_seal(context.now) => None,
            Choice::Validated(to) => Some(Source::Address(to)),
            _ => context.has_relay.then_some(Source::Relay),
        };
        let mut lost = Vec::new();
        self.channel().outgoing.take_way(way, &mut lost);
        report_lost(context.outputs, context.user, lost);
    }

    /// Returns whether it is sent.
    pub(super) fn send_piece(&mut self, context: &mut Context<'_>, piece: Piece, bytes: &[u8]) -> bool {
        let Some(way) = self.channel().outgoing.way() else {
            return false;
        };
        let Piece { id, offset, .. } = piece;
        let length = BULK_HEAD_LEN + bytes.len();
        let outgoing = &mut self.bulk.get_or_insert_default().outgoing;
        let write = |datagram: &mut Vec<u8>| {
            let number = outgoing.sent(context.now, piece, OVERHEAD + length);
            let packet = Bulk {
                number,
                id,
                offset,
                bytes,
            };
            packet.write(datagram);
        };
        let Some(datagram) = self.sessions.seal_written(context.now, true, length, write) else {
            return false;
        };
        self.last_message = Some(context.now);
        if way == Source::Relay {
            *context.relay_free = context.now.max(*context.relay_free) + RELAY_GAP;
        }
        context.bulk.push_back(match way {
            Source::Address(to) => Output::Datagram {
                to,
                ttl: None,
                bytes: datagram,
            },
            Source::Relay => Output::Line(FromClient::Relay(context.user, Cow::Owned(datagram))),
        });
        true
    }
}

impl OfferLimit {
    fn accept(&mut self, now: Duration) -> bool {
        if now >= self.since + OFFER_PERIOD {
            *self = Self {
                since: now,
                accepted: 0,
            };
        }
        self.accepted += 1;
        self.accepted <= OFFERS_MAX
    }
}

impl Context<'_> {
    fn send_to(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Datagram { to, ttl: None, bytes });
    }

    fn send_by(&mut self, source: Source, bytes: Vec<u8>) {
        match source {
            Source::Address(to) => self.send_to(to, bytes),
            Source::Relay if self.has_relay => self.relay(bytes),
            Source::Relay => {}
        }
    }

    fn relay(&mut self, bytes: Vec<u8>) {
        let line = FromClient::Relay(self.user, Cow::Owned(bytes));
        self.outputs.push_back(Output::Line(line));
    }
}

/// Raises `end`, which is one past the highest number so far. Returns whether this number is the
/// highest.
fn raise(end: &mut u64, number: u64) -> bool {
    let is_newest = number >= *end;
    *end = (*end).max(number + 1);
    is_newest
}

fn settle(outputs: &mut VecDeque<Output>, settled: Vec<Settled>) {
    let events = settled.into_iter().map(|(id, state)| Event::State(id, state));
    outputs.extend(events.map(Output::Event));
}

fn show(outputs: &mut VecDeque<Output>, from: UserId, shown: Vec<Shown>) {
    for message in shown {
        if message.is_file {
            // A message of a later version says nothing to this one.
            let path = message.path;
            let file = FileMessage::parse(&message.text);
            let event = file.map(|message| Event::File { from, message, path });
            outputs.extend(event.map(Output::Event));
            continue;
        }
        outputs.push_back(Output::Event(Event::Received(Received {
            from,
            text: Text::from_bytes(&message.text).into_owned(),
            path: message.path,
            sealed: true,
            after_gap: message.after_gap,
        })));
    }
}

fn report_lost(outputs: &mut VecDeque<Output>, to: UserId, lost: Vec<Piece>) {
    let lost = lost.into_iter().map(|piece| Event::BulkLost { to, piece });
    outputs.extend(lost.map(Output::Event));
}
