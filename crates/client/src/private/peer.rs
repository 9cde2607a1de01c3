//! A conversation with one peer: what is sealed for it and opened from it, over whichever path works.

use super::event::{Event, MessageId, Output, Path, Received, Why};
use super::keys::SessionKeys;
use super::packet::{Body, Packet};
use super::path::{Choice, Paths};
use super::receiver::{Receiver, Shown, Verdict};
use super::seal::seal;
use super::sender::{Ack, Routes, Sender, Settled};
use super::window::{Place, Window};
use super::{Random, random};
use chat_proto::id::UserId;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a segment waits for a direct path that is not proven before a copy goes through the relay.
const UNPROVEN_PATIENCE: Duration = Duration::from_millis(400);

/// How long after a private message the path is kept open.
const TALK: Duration = Duration::from_secs(600);

/// How often the server is asked to have both routers opened, while there is something to send and no direct path.
const PUNCH_AGAIN: Duration = Duration::from_secs(60);

/// It exists from the first message that was sent or opened until the program ends, because its numbers must never begin
/// again while the keys live. While the peer is away it is about 1 KB.
pub(super) struct Peer {
    keys: SessionKeys,
    sender: Sender,
    receiver: Receiver,
    paths: Paths,
    /// The number of the next packet that is no segment.
    next_control: u64,
    /// The numbers of such packets that came.
    controls: Window,
    /// The highest number that came of each sort, and one more.
    newest_segment: u64,
    newest_control: u64,
    /// When a message was last sent or shown.
    last_message: Option<Duration>,
    /// When the server may be asked again to have the routers opened.
    punch_at: Duration,
}

/// What a peer needs to know, and may use, of what is around it.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) random: &'a mut Random,
    pub(super) outputs: &'a mut VecDeque<Output>,
    /// Who has the peer's key, in the roster; nobody gets anything otherwise.
    pub(super) label: UserId,
    /// The server can be asked to punch.
    pub(super) has_server: bool,
    /// The relay may be used.
    pub(super) has_relay: bool,
    /// This side is behind a router, which pings are to open first.
    pub(super) opens_first: bool,
    pub(super) punch_ttl: u8,
    /// Addresses to be offered to a peer behind the same router.
    pub(super) local: &'a [SocketAddr],
    /// There is memory to hold a segment back.
    pub(super) may_hold: bool,
}

/// How a datagram came, which is how it is answered.
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
    pub(super) fn new(keys: SessionKeys) -> Self {
        Self {
            keys,
            sender: Sender::default(),
            receiver: Receiver::default(),
            paths: Paths::default(),
            next_control: 0,
            controls: Window::default(),
            newest_segment: 0,
            newest_control: 0,
            last_message: None,
            punch_at: Duration::ZERO,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.sender.is_full()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.sender.bytes()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.receiver.held_bytes()
    }

    /// The server says where the peer is.
    pub(super) fn announce(&mut self, now: Duration, address: SocketAddr) {
        let is_talking = self.talk_until().is_some_and(|until| now < until);
        self.paths.announce(now, address, is_talking);
    }

    pub(super) fn unreachable(&mut self, now: Duration, address: SocketAddr) -> bool {
        self.paths.unreachable(now, address)
    }

    /// The server says that both sides are to open their routers now.
    pub(super) fn punch(&mut self, context: &mut Context<'_>, address: SocketAddr) {
        self.paths.punch(context.now, address);
        self.punch_at = context.now + PUNCH_AGAIN;
        if !context.local.is_empty() && !self.paths.is_proven(context.now) {
            let offer = Body::Addresses(context.local.to_vec());
            self.answer(context, Source::Relay, offer);
        }
    }

    pub(super) fn send(&mut self, now: Duration, id: MessageId, text: &str) {
        self.sender.push(now, id, text.as_bytes());
        self.last_message = Some(now);
    }

    /// The peer is gone. What waits for it fails; what was held back for order is shown.
    pub(super) fn leave(&mut self, outputs: &mut VecDeque<Output>, label: UserId, why: Why) {
        settle(outputs, self.sender.fail_all(why));
        show(outputs, label, self.receiver.flush());
        self.paths = Paths::default();
        self.last_message = None;
        self.punch_at = Duration::ZERO;
    }

    /// Takes a packet that opened, in a datagram of so many bytes.
    pub(super) fn receive(
        &mut self,
        context: &mut Context<'_>,
        source: Source,
        bytes: usize,
        packet: Packet,
    ) {
        let Packet {
            number,
            cumulative,
            selective,
            body,
        } = packet;
        let mut ack = Ack {
            cumulative,
            selective,
            passed: cumulative,
            of: None,
            path: source.path(),
        };
        match body {
            Body::Data { floor, parts } => {
                let verdict = self.receive_segment(context, source, number, floor, parts);
                if verdict == Verdict::Dropped {
                    return;
                }
                let newest = is_newest(&mut self.newest_segment, number);
                self.note_source(context.now, source, bytes, newest);
                self.acknowledge_segment(context, source, number);
            }
            body => {
                if !self.is_new_control(number) {
                    return;
                }
                let newest = is_newest(&mut self.newest_control, number);
                self.note_source(context.now, source, bytes, newest);
                self.receive_control(context, source, body, &mut ack);
            }
        }
        let (settled, overtaken) = self.sender.acknowledge(context.now, ack);
        settle(context.outputs, settled);
        if let Some(sent) = overtaken {
            self.paths.missed(context.now, sent);
        }
    }

    fn receive_segment(
        &mut self,
        context: &mut Context<'_>,
        source: Source,
        number: u64,
        floor: u64,
        parts: Vec<u8>,
    ) -> Verdict {
        let (now, path) = (context.now, source.path());
        let (verdict, shown) = self
            .receiver
            .segment(now, number, floor, parts, path, context.may_hold);
        if !shown.is_empty() {
            self.last_message = Some(now);
        }
        show(context.outputs, context.label, shown);
        verdict
    }

    fn receive_control(&mut self, context: &mut Context<'_>, source: Source, body: Body, ack: &mut Ack) {
        let moved = match (body, source) {
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
                self.paths.offered(context.now, &addresses);
                false
            }
            // Pings say something about a path between two addresses, and the relay has none.
            (Body::Ping(_) | Body::Pong(_) | Body::Data { .. }, _) => false,
        };
        if moved {
            self.sender.path_changed();
        }
    }

    fn note_source(&mut self, now: Duration, source: Source, bytes: usize, newest: bool) {
        if let Source::Address(from) = source {
            self.paths.heard(now, from, bytes, newest);
        }
    }

    /// Whether a packet that is no segment has not come before.
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

    /// Sends all that is due, and drops all that is overdue.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        settle(context.outputs, self.sender.expire(context.now));
        self.pass_gap(context);
        // First, because a probe that failed changes the path; and again, because a path that fails is probed.
        self.ping(context);
        self.transmit(context);
        self.ask_to_punch(context);
        self.ping(context);
    }

    pub(super) fn deadline(&self, context: &Context<'_>) -> Option<Duration> {
        let (routes, _) = self.routes(context);
        let punch = self.wants_path(context.now).then_some(self.punch_at);
        let deadlines = [
            self.sender.deadline(routes),
            self.receiver.deadline(),
            self.paths.deadline(self.talk_until()),
            punch,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn talk_until(&self) -> Option<Duration> {
        self.last_message.map(|last| last + TALK)
    }

    /// Shows what was held back for too long, and tells the peer what will not be shown any more.
    fn pass_gap(&mut self, context: &mut Context<'_>) {
        let before = self.receiver.passed();
        let shown = self.receiver.pass_gap(context.now);
        if self.receiver.passed() == before {
            return;
        }
        self.last_message = Some(context.now);
        show(context.outputs, context.label, shown);
        let source = match self.paths.choose(context.now, context.opens_first) {
            Choice::Proven(address) => Source::Address(address),
            _ => Source::Relay,
        };
        // It answers no segment: the one named has not come, or it would have been passed.
        self.acknowledge_segment(context, source, self.receiver.passed());
    }

    fn wants_path(&self, now: Duration) -> bool {
        !self.sender.is_idle() && !self.paths.is_proven(now)
    }

    fn ask_to_punch(&mut self, context: &mut Context<'_>) {
        if !self.wants_path(context.now) || context.now < self.punch_at {
            return;
        }
        self.punch_at = context.now + PUNCH_AGAIN;
        if context.opens_first {
            self.paths.open(context.now);
        }
        if context.has_server {
            context
                .outputs
                .push_back(Output::Line(FromClient::Punch(context.label)));
        }
    }

    fn ping(&mut self, context: &mut Context<'_>) {
        let talk_until = self.talk_until();
        while let Some(ping) = self.paths.poll(context.now, talk_until, || {
            u64::from_be_bytes(random(context.random))
        }) {
            let bytes = self.seal_control(context, Body::Ping(ping.token));
            let ttl = ping.is_primer.then_some(context.punch_ttl);
            context.outputs.push_back(Output::Datagram {
                to: ping.to,
                ttl,
                bytes,
            });
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
                (Path::Direct, Some(to)) => {
                    context
                        .outputs
                        .push_back(Output::Datagram { to, ttl: None, bytes })
                }
                _ => relay(context, bytes),
            }
            if let Some(sent) = copy.timed_out {
                self.paths.missed(context.now, sent);
            }
        }
    }

    /// By which paths a segment may go now, and the address of the direct one.
    fn routes(&self, context: &Context<'_>) -> (Routes, Option<SocketAddr>) {
        let (to, patience) = match self.paths.choose(context.now, context.opens_first) {
            Choice::Proven(to) => (Some(to), self.sender.direct_patience()),
            Choice::Untried(to) => (Some(to), UNPROVEN_PATIENCE),
            Choice::Opening => (None, UNPROVEN_PATIENCE),
            // Without a relay there is nothing better to do than to go on trying.
            Choice::Dead(to) => (to.filter(|_| !context.has_relay), Duration::ZERO),
        };
        let relay_after = context.has_relay.then_some(patience);
        (
            Routes {
                direct: to.is_some(),
                relay_after,
            },
            to,
        )
    }

    /// Sends something back the way that what it answers came.
    fn answer(&mut self, context: &mut Context<'_>, source: Source, body: Body) {
        let bytes = self.seal_control(context, body);
        match source {
            Source::Address(to) if self.paths.may_answer(to, bytes.len()) => {
                context
                    .outputs
                    .push_back(Output::Datagram { to, ttl: None, bytes });
            }
            Source::Relay if context.has_relay => relay(context, bytes),
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
        let nonce = random(context.random);
        seal(
            &self.keys.outgoing,
            self.keys.outgoing_id,
            nonce,
            &packet.to_bytes(),
        )
    }
}

/// Whether a number is higher than all before it, of which `end` is one past the highest.
fn is_newest(end: &mut u64, number: u64) -> bool {
    let newest = number >= *end;
    *end = (*end).max(number + 1);
    newest
}

fn relay(context: &mut Context<'_>, bytes: Vec<u8>) {
    let line = FromClient::Relay(context.label, Cow::Owned(bytes));
    context.outputs.push_back(Output::Line(line));
}

fn settle(outputs: &mut VecDeque<Output>, settled: Vec<Settled>) {
    let events = settled.into_iter().map(|(id, state)| Event::State(id, state));
    outputs.extend(events.map(Output::Event));
}

fn show(outputs: &mut VecDeque<Output>, from: UserId, shown: Vec<Shown>) {
    outputs.extend(shown.into_iter().map(
        |Shown {
             text,
             path,
             after_gap,
         }| {
            let text = Text::from_bytes(&text).into_owned();
            Output::Event(Event::Received(Received {
                from,
                text,
                path,
                sealed: true,
                after_gap,
            }))
        },
    ));
}
