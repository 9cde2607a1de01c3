//! Everything that was sent and received in one test, in order. A failure prints it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Entries kept at the beginning, and again at the end, of a long journal.
const KEPT: usize = 300;

/// Shared by everything that sends or receives in a test.
#[derive(Clone)]
pub struct Journal {
    start: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

struct Entry {
    at: Duration,
    actor: String,
    what: String,
}

impl Journal {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            entries: Arc::default(),
        }
    }

    /// Records that an actor sent or received something.
    pub fn note(&self, actor: &str, what: impl Into<String>) {
        let entry = Entry {
            at: self.start.elapsed(),
            actor: actor.to_owned(),
            what: what.into(),
        };
        self.entries.lock().unwrap().push(entry);
    }

    /// Fails the test with a reason, and prints the journal.
    #[track_caller]
    pub fn fail(&self, reason: &str) -> ! {
        panic!("{reason}\n\nwhat happened:\n{self}");
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap();
        let left_out = KEPT..entries.len().saturating_sub(KEPT).max(KEPT);
        for (number, Entry { at, actor, what }) in entries.iter().enumerate() {
            if number == left_out.start && !left_out.is_empty() {
                writeln!(f, "  ... {} more ...", left_out.len())?;
            }
            if left_out.contains(&number) {
                continue;
            }
            let mut shown: String = what.chars().take(200).collect();
            if shown.len() < what.len() {
                shown += &format!(" ... ({} bytes)", what.len());
            }
            writeln!(f, "{:8.3} {actor:>16} {shown}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
