//! What systemd, or another service manager, is told about the server: sd_notify(3), sd_watchdog_enabled(3).

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The status is sent at most this often.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The service manager that started the server, if one did and wants to be told.
#[derive(Debug, Default)]
pub struct ServiceManager {
    manager: Option<(UnixDatagram, SocketAddr)>,
    reports: Reports,
    /// An error that the log has not shown yet, and whether it has shown one.
    error: Option<io::Error>,
    has_failed: bool,
}

impl ServiceManager {
    /// The service manager that the environment names.
    #[must_use]
    pub fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let mut this = Self::default();
        match connect(&name) {
            Ok(manager) => this.manager = Some(manager),
            Err(error) => this.fail(error),
        }
        let variable = |name: &str| env::var(name).ok();
        this.reports.watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        this
    }

    /// The server listens.
    pub fn is_ready(&mut self) {
        self.send("READY=1");
    }

    /// The server shuts down.
    pub fn is_stopping(&mut self) {
        self.send("STOPPING=1");
    }

    /// One turn of the loop is done.
    pub fn turn(&mut self, now: Duration, users: usize) {
        if self.manager.is_some() {
            for report in self.reports.due(now, users) {
                self.send(&report.to_string());
            }
        }
    }

    /// When [`Self::turn`] has something to send, with this many users.
    #[must_use]
    pub fn deadline(&self, users: usize) -> Option<Duration> {
        self.manager.as_ref().and(self.reports.deadline(users))
    }

    /// The first error, once.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    fn send(&mut self, message: &str) {
        if let Some((socket, address)) = &self.manager
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            self.error = Some(error);
        }
    }
}

/// A socket that never blocks, and the address in `NOTIFY_SOCKET`: a path, or an abstract name after `@`.
fn connect(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::other(
            "NOTIFY_SOCKET is neither a path nor begins with @",
        )),
    }?;
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// After how much silence this process is restarted, if the service manager watches it.
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    let is_mine = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    let micros = micros?.parse().ok().filter(|&micros| micros > 0 && is_mine)?;
    Some(Duration::from_micros(micros))
}

/// When what is reported; pure.
#[derive(Debug, Default)]
struct Reports {
    watchdog: Option<Duration>,
    /// When the watchdog was reset last.
    reset: Option<Duration>,
    /// How many users were reported last, and when.
    users: Option<(usize, Duration)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Report {
    Users(usize),
    Alive,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(1) => f.write_str("STATUS=1 user"),
            Self::Users(users) => write!(f, "STATUS={users} users"),
            Self::Alive => f.write_str("WATCHDOG=1"),
        }
    }
}

impl Reports {
    /// What is to be sent now, and counts as sent.
    fn due(&mut self, now: Duration, users: usize) -> Vec<Report> {
        let mut due = Vec::new();
        if self.status_at(users).is_some_and(|at| at <= now) {
            self.users = Some((users, now));
            due.push(Report::Users(users));
        }
        if self.reset_at().is_some_and(|at| at <= now) {
            self.reset = Some(now);
            due.push(Report::Alive);
        }
        due
    }

    fn deadline(&self, users: usize) -> Option<Duration> {
        let times = [self.status_at(users), self.reset_at()];
        times.into_iter().flatten().min()
    }

    fn status_at(&self, users: usize) -> Option<Duration> {
        match self.users {
            None => Some(Duration::ZERO),
            Some((told, at)) => (told != users).then_some(at + STATUS_EVERY),
        }
    }

    /// At half of the time that the watchdog allows, as sd_watchdog_enabled(3) recommends.
    fn reset_at(&self) -> Option<Duration> {
        let half = self.watchdog? / 2;
        Some(self.reset.map_or(Duration::ZERO, |reset| reset + half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_status_is_sent_when_it_changed_and_at_most_once_a_second() {
        let mut reports = Reports::default();
        assert_eq!(reports.due(at(0), 0), [Report::Users(0)]);
        assert_eq!(reports.deadline(0), None);
        assert_eq!(reports.due(at(999), 1), []);
        assert_eq!(reports.deadline(1), Some(at(1000)));
        assert_eq!(reports.due(at(1000), 2), [Report::Users(2)]);
        assert_eq!(reports.due(at(9000), 2), []);
        assert_eq!(Report::Users(1).to_string(), "STATUS=1 user");
    }

    #[test]
    fn the_watchdog_is_reset_at_half_of_its_time() {
        let mut reports = Reports {
            watchdog: watchdog(Some("3000000".to_owned()), None),
            users: Some((0, at(0))),
            ..Reports::default()
        };
        assert_eq!(reports.due(at(10), 0), [Report::Alive]);
        assert_eq!(reports.deadline(0), Some(at(1510)));
        assert_eq!(reports.due(at(1509), 0), []);
        assert_eq!(reports.due(at(1510), 0), [Report::Alive]);
    }

    #[test]
    fn the_watchdog_of_another_process_is_none() {
        let micros = || Some("3000000".to_owned());
        let own = std::process::id().to_string();
        assert_eq!(watchdog(micros(), Some(own)), Some(at(3000)));
        assert_eq!(watchdog(micros(), Some("1".to_owned())), None);
        for wrong in ["0", "soon", ""] {
            assert_eq!(watchdog(Some(wrong.to_owned()), None), None);
        }
        assert_eq!(watchdog(None, None), None);
    }
}
