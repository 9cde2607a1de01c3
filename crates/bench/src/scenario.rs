//! The scenarios of `chat-load`, and their results.

use crate::args::{Args, Scenario};
use crate::audit::Audit;
use crate::crowd::Crowd;
use crate::histogram::Histogram;
use crate::process::{Memory, Process, own_cpu};
use crate::report::Report;
use anyhow::ensure;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// The time before the measurement begins.
const WARM_UP: Duration = Duration::from_millis(300);

/// The deadline for all joins to reach all users.
const GATHERING: Duration = Duration::from_secs(30);

/// The users that connect at once when memory is measured.
const IDLE_AT_ONCE: usize = 250;

/// After this much silence, nothing further is expected.
const QUIET: Duration = Duration::from_secs(1);

/// The deadline for messages to arrive.
const DRAINING: Duration = Duration::from_secs(10);

/// In a flood, one in this many messages is timed.
const TIMED_EVERY: u32 = 64;

/// A message that takes longer is given up, and the next is sent.
const STALL: u64 = 1_000_000_000;

/// Runs a scenario.
///
/// # Errors
/// If the server cannot be reached, ends, or rejects a user.
pub fn run(args: &Args) -> anyhow::Result<Report> {
    let run = Run::begin(args)?;
    match args.scenario {
        Scenario::Joins => run.joins(),
        Scenario::Idle => run.idle(),
        Scenario::Flat => run.flat(None),
        Scenario::Deaf => run.flat(Some(0)),
        Scenario::Turns => run.turns(),
        Scenario::Paced => run.paced(None),
        Scenario::Flood => run.paced(Some(0)),
    }
}

struct Run<'a> {
    args: &'a Args,
    crowd: Crowd,
    server: Process,
    senders: Range<u16>,
    report: Report,
    /// Before the first user.
    before: Memory,
    /// The nanoseconds from the first connection until all joins had reached all users.
    gathered: u64,
}

/// The counters at one time; two of these make a span.
#[derive(Clone, Copy)]
struct Reading {
    at: u64,
    deliveries: u64,
    server: u64,
    own: u64,
}

impl<'a> Run<'a> {
    fn begin(args: &'a Args) -> anyhow::Result<Self> {
        let first = u16::from(args.scenario == Scenario::Deaf);
        let senders = first..first + args.senders;
        ensure!(senders.end <= args.users, "more senders than users");
        let (timed, every) = match args.scenario {
            Scenario::Flood => (first + 1..senders.end, 1),
            Scenario::Flat | Scenario::Deaf => (senders.clone(), TIMED_EVERY),
            _ => (senders.clone(), 1),
        };
        let audit = Audit::new(args.dialect, args.size - 1, timed, every);
        let server = Process::find(args.pid)?;
        let before = server.memory()?;
        let mut crowd = Crowd::new(args.users.into(), audit)?.in_the_clear(args.clear);
        let cpu = server.cpu()?;
        // Few users connect at once: the memory of many pending connections would be measured too.
        let at_once = if args.scenario == Scenario::Idle {
            IDLE_AT_ONCE
        } else {
            args.users.into()
        };
        let address = SocketAddr::new(args.address, args.port);
        crowd.gather(args.users.into(), at_once, address, GATHERING)?;
        let gathered = crowd.heard_at;
        let mut report = Report::default();
        report.add("scenario", format!("{:?}", args.scenario).to_lowercase());
        report.add("dialect", format!("{:?}", args.dialect).to_lowercase());
        report.add("users", args.users);
        report.add("senders", args.senders);
        report.add("size", args.size);
        if args.scenario == Scenario::Joins {
            report.add_ratio("join_cpu_us", (server.cpu()? - cpu) / 1000, args.users.into());
        }
        Ok(Self {
            args,
            crowd,
            server,
            senders,
            report,
            before,
            gathered,
        })
    }

    fn joins(mut self) -> anyhow::Result<Report> {
        self.report.add_ms("gathered_ms", self.gathered);
        self.report.add("joins", self.crowd.joins);
        self.report.add("peak_kb", self.server.memory()?.peak);
        Ok(self.report)
    }

    fn idle(mut self) -> anyhow::Result<Report> {
        self.crowd.turn(WARM_UP)?;
        let memory = self.server.memory()?;
        let grown = memory.own.saturating_sub(self.before.own) * 1024;
        self.report
            .add("bytes_per_user", grown / u64::from(self.args.users));
        self.report.add("own_kb", memory.own);
        self.report.add("before_kb", self.before.own);
        self.report.add("resident_kb", memory.resident);
        let before = self.reading()?;
        while self.crowd.now() < before.at + self.window() {
            self.crowd.turn(Duration::from_millis(50))?;
        }
        let after = self.reading()?;
        self.report
            .add_ratio("server_cpu", after.server - before.server, after.at - before.at);
        Ok(self.report)
    }

    fn flat(mut self, deaf: Option<usize>) -> anyhow::Result<Report> {
        self.crowd.start(deaf)?;
        let began = self.crowd.now();
        let senders = self.senders.clone();
        self.measure(|crowd| {
            for sender in senders.clone() {
                crowd.say_much(sender.into())?;
            }
            crowd.turn(Duration::from_millis(20))?;
            Ok(())
        })?;
        if deaf.is_some() {
            let left = self.crowd.audit.first_left.unwrap_or(began);
            self.report.add_ms("let_go_ms", left - began);
        }
        Ok(self.report)
    }

    fn turns(mut self) -> anyhow::Result<Report> {
        self.crowd.start(None)?;
        let readers = self.crowd.readers() as u64 - u64::from(!self.args.dialect.echoes());
        let mut senders = self.senders.clone().cycle();
        let (mut due, mut sent_at, mut stalls) = (0, 0, 0);
        self.measure(|crowd| {
            let stalled = crowd.now() > sent_at + STALL;
            if crowd.audit.arrivals >= due || stalled {
                stalls += u64::from(stalled && due > 0);
                due = crowd.audit.arrivals + readers;
                sent_at = crowd.now();
                crowd.say(senders.next().unwrap_or_default().into())?;
            }
            crowd.turn(Duration::from_millis(20))?;
            Ok(())
        })?;
        self.report.add("stalls", stalls);
        Ok(self.report)
    }

    fn paced(mut self, flooder: Option<usize>) -> anyhow::Result<Report> {
        self.crowd.start(None)?;
        self.crowd.tick(self.args.rate)?;
        let talkers = self.senders.clone().skip(usize::from(flooder.is_some()));
        let mut talkers = talkers.cycle();
        self.measure(|crowd| {
            if let Some(flooder) = flooder {
                crowd.say_much(flooder)?;
            }
            for _ in 0..crowd.turn(Duration::from_millis(20))? {
                crowd.say(talkers.next().unwrap_or_default().into())?;
            }
            Ok(())
        })?;
        Ok(self.report)
    }

    /// Repeats a step, first to warm up and then to measure, and waits for messages in transit.
    fn measure(&mut self, mut act: impl FnMut(&mut Crowd) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let began = self.crowd.now();
        while u128::from(self.crowd.now() - began) < WARM_UP.as_nanos() {
            act(&mut self.crowd)?;
        }
        self.crowd.audit.latency = Histogram::default();
        let before = self.reading()?;
        while self.crowd.now() < before.at + self.window() {
            act(&mut self.crowd)?;
        }
        let after = self.reading()?;
        let latency = self.crowd.audit.latency.clone();
        self.crowd.drain(QUIET, DRAINING)?;
        self.conclude(before, after, &latency)
    }

    fn conclude(&mut self, before: Reading, after: Reading, latency: &Histogram) -> anyhow::Result<()> {
        let outcome = self.crowd.outcome();
        let (time, deliveries) = (after.at - before.at, after.deliveries - before.deliveries);
        let cpu = after.server - before.server;
        let report = &mut self.report;
        report.add("deliveries", deliveries);
        report.add_ratio("per_s", deliveries * 1_000_000, time / 1000);
        report.add_ratio("cpu_us", cpu / 1000, deliveries);
        report.add_ms("p50_ms", latency.permille(500));
        report.add_ms("p99_ms", latency.permille(990));
        report.add_ms("max_ms", latency.max());
        report.add("timed", latency.count());
        report.add("lost", outcome.missing);
        report.add("duplicated", outcome.duplicated);
        report.add("reordered", outcome.reordered);
        report.add("damaged", outcome.damaged);
        report.add("closed", self.crowd.closed());
        report.add("peak_kb", self.server.memory()?.peak);
        report.add_ratio("server_cpu", cpu, time);
        report.add_ratio("load_cpu", after.own - before.own, time);
        Ok(())
    }

    fn reading(&self) -> anyhow::Result<Reading> {
        Ok(Reading {
            at: self.crowd.now(),
            deliveries: self.crowd.audit.deliveries(),
            server: self.server.cpu()?,
            own: own_cpu(),
        })
    }

    fn window(&self) -> u64 {
        let window = Duration::try_from_secs_f64(self.args.seconds).unwrap_or_default();
        u64::try_from(window.as_nanos()).unwrap_or_default()
    }
}
