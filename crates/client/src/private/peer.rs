//! A conversation with one peer: encrypts for it and decrypts from it, over whichever path works.

use super::event::{Event, MessageId, Output, Path, Received, Why};
use super::keys::SessionKeys;
use super::packet::{Body, Packet};
use super::path::{Choice, Paths};
use super::probe::PingKind;
use super::random::{Random, random};
use super::receiver::{Arrival, Receiver, Shown};
use super::seal::seal;
use super::sender::{Ack, Routes, Sender, Settled};
use super::window::{Place, Window};
use chat_proto::id::UserId;
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

/// Offers of addresses that are accepted in each [`OFFER_PERIOD`], from all peers together. Each
/// makes this client ping up to four addresses.
const OFFERS_MAX: u32 = 4;

const OFFER_PERIOD: Duration = Duration::from_secs(60);

/// Exists from the first datagram that is sent or decrypted. Once a message was sent or decrypted,
/// it stays until the program ends, because the numbers of segments must not restart while the keys
/// live. While the peer is away it takes about 1 KB.
pub(super) struct Peer {
    keys: SessionKeys,
    /// When it was made.
    pub(super) since: Duration,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) paths: Paths,
    /// The number of the next control packet: one that carries no segment.
    pub(super) next_control: u64,
    /// The numbers of the control packets that arrived.
    controls: Window,
    /// One past the highest number that arrived, of segments and of control packets.
    segments_end: u64,
    controls_end: u64,
    /// When a message was last sent or shown.
    last_message: Option<Duration>,
    /// When a copy of a segment was last relayed.
    relayed: Option<Duration>,
    /// When the server may be asked again to punch.
    punch_at: Duration,
    /// The peer may offer its addresses, once for each punch.
    may_offer: bool,
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
    pub(super) random: &'a mut Random,
    pub(super) outputs: &'a mut VecDeque<Output>,
    /// The user that has the peer's key, in the roster.
    pub(super) user: UserId,
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

/// The way by which a datagram came. Its answer takes the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Address(SocketAddr),
    Relay,
}

impl Source {
    fn path(self) -> Path {
        match self {
            Self::Address(_) => Path::Direct,
            Self::Relay => Path::Relayed,
        }
    }
}

impl Peer {
    pub(super) fn new(now: Duration, keys: SessionKeys, next_control: u64) -> Self {
        Self {
            keys,
            since: now,
            sender: Sender::default(),
            receiver: Receiver::default(),
            paths: Paths::default(),
            next_control,
            controls: Window::default(),
            segments_end: 0,
            controls_end: 0,
            last_message: None,
            relayed: None,
            punch_at: Duration::ZERO,
            may_offer: false,
        }
    }

    /// No message was sent to it or decrypted from it.
    pub(super) fn is_silent(&self) -> bool {
        !self.sender.has_sent() && self.segments_end == 0
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
        if !context.local.is_empty() && !self.paths.is_validated(context.now) {
            let offer = Body::Addresses(context.local.to_vec());
            self.answer(context, Source::Relay, offer);
        }
    }

    pub(super) fn send(&mut self, now: Duration, id: MessageId, text: &str) {
        self.sender.push(now, id, text.as_bytes());
        self.last_message = Some(now);
    }

    /// The peer has left. Unconfirmed messages fail, and held ones are shown.
    pub(super) fn leave(&mut self, outputs: &mut VecDeque<Output>, user: UserId, why: Why) {
        settle(outputs, self.sender.fail_all(why));
        show(outputs, user, self.receiver.flush());
        self.paths = Paths::default();
        self.last_message = None;
        self.relayed = None;
        self.punch_at = Duration::ZERO;
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
                if !self.is_new_control(number) {
                    return;
                }
                let is_newest = raise(&mut self.controls_end, number);
                self.note_source(context.now, source, bytes, is_newest);
                self.receive_control(context, source, body, &mut ack);
            }
        }
        let (settled, overtaken) = self.sender.acknowledge(context.now, ack);
        settle(context.outputs, settled);
        if let Some(sent) = overtaken {
            self.paths.missed(context.now, sent);
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

    /// Whether a control packet arrives for the first time.
    fn is_new_control(&mut self, number: u64) -> bool {
        match self.controls.place(number) {
            Place::LongPast | Place::Seen => return false,
            Place::New => {}
            Place::Beyond => self.controls.slide_to_hold(number),
        }
        self.controls.mark(number);
        true
    }

    fn acknowledge_segment(&mut self, context: &mut Context<'_>, source: Source, of: u64) {
        let passed = self.receiver.passed();
        self.answer(context, source, Body::Ack { of, passed });
    }

    /// Sends all that is due, and gives up on all that is overdue.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        settle(context.outputs, self.sender.expire(context.now));
        self.pass_gap(context);
        // Pings go before segments, because a failed probe changes the path; and after, because a
        // failed path is probed.
        self.ping(context);
        self.transmit(context);
        self.ask_to_punch(context);
        self.ping(context);
    }

    pub(super) fn deadline(&self, context: &Context<'_>) -> Option<Duration> {
        let (routes, _) = self.routes(context);
        let deadlines = [
            self.sender.deadline(routes),
            self.receiver.deadline(),
            self.paths.deadline(self.keep_until()),
            self.wants_path(context.now).then_some(self.punch_at),
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

    fn wants_path(&self, now: Duration) -> bool {
        !self.sender.is_idle() && !self.paths.is_validated(now)
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
        while let Some(ping) = self.paths.poll(context.now, keep_until, || {
            u64::from_be_bytes(random(context.random))
        }) {
            let bytes = self.seal_control(context, Body::Ping(ping.token));
            let ttl = (ping.kind == PingKind::PunchProbe).then_some(context.punch_ttl);
            let to = ping.to;
            context.outputs.push_back(Output::Datagram { to, ttl, bytes });
        }
    }

    fn transmit(&mut self, context: &mut Context<'_>) {
        loop {
            let (routes, to) = self.routes(context);
            let jitter = || u8::from_be_bytes(random(context.random));
            let Some(copy) = self.sender.transmit(context.now, routes, jitter) else {
                return;
            };
            let body = Body::Data {
                floor: copy.floor,
                parts: copy.parts,
            };
            let bytes = self.seal(context, copy.number, body);
            match (copy.path, to) {
                (Path::Direct, Some(to)) => context.send_to(to, bytes),
                _ => {
                    self.relayed = Some(context.now);
                    context.relay(bytes);
                }
            }
            if let Some(sent) = copy.timed_out {
                self.paths.missed(context.now, sent);
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
        let bytes = self.seal_control(context, body);
        match source {
            Source::Address(to) if self.paths.may_answer(to, bytes.len()) => context.send_to(to, bytes),
            Source::Relay if context.has_relay => context.relay(bytes),
            Source::Address(_) | Source::Relay => {}
        }
    }

    fn seal_control(&mut self, context: &mut Context<'_>, body: Body) -> Vec<u8> {
        let number = self.next_control;
        self.next_control += 1;
        self.seal(context, number, body)
    }

    fn seal(&self, context: &mut Context<'_>, number: u64, body: Body) -> Vec<u8> {
        let (cumulative, selective) = self.receiver.acks();
        let packet = Packet {
            number,
            cumulative,
            selective,
            body,
        };
        seal(&self.keys, random(context.random), &packet.to_bytes())
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
        outputs.push_back(Output::Event(Event::Received(Received {
            from,
            text: Text::from_bytes(&message.text).into_owned(),
            path: message.path,
            sealed: true,
            after_gap: message.after_gap,
        })));
    }
}
