//! A room in which each user says one line, and then waits.

use chat_proto::id::UserId;
use chat_proto::opaque::PublicKey;
use std::collections::HashMap;
use std::time::Duration;

/// Users that are counted at most. When there are more, the one that spoke first may speak again.
const SPEAKERS_MAX: usize = 4096;

/// Who has spoken: a user keeps its key on the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Speaker {
    Key(PublicKey),
    Id(UserId),
}

/// How slow the room is, and when each user spoke last.
///
/// Memory: about 64 bytes for each of at most [`SPEAKERS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Slow {
    interval: Option<Duration>,
    spoken: HashMap<Speaker, Duration>,
}

impl Slow {
    /// A room with this time between the lines of each user, if there is one.
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        let spoken = HashMap::new();
        Self { interval, spoken }
    }

    /// The time between the lines of each user.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// How long this user has to wait.
    pub(crate) fn wait(&self, now: Duration, speaker: Speaker) -> Option<Duration> {
        let next = *self.spoken.get(&speaker)? + self.interval?;
        Some(next.saturating_sub(now)).filter(|wait| !wait.is_zero())
    }

    /// This user says a line.
    pub(crate) fn spoke(&mut self, now: Duration, speaker: Speaker) {
        let Some(interval) = self.interval else { return };
        if self.spoken.len() >= SPEAKERS_MAX {
            self.spoken.retain(|_, spoken| *spoken + interval > now);
        }
        if self.spoken.len() >= SPEAKERS_MAX
            && let Some((&first, _)) = self.spoken.iter().min_by_key(|(_, spoken)| **spoken)
        {
            self.spoken.remove(&first);
        }
        self.spoken.insert(speaker, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;

    #[test]
    fn few_speakers_are_remembered() {
        let mut slow = Slow::new(Some(Duration::from_secs(30)));
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            Speaker::Key(Opaque(key))
        };
        for number in 0..2 * SPEAKERS_MAX {
            slow.spoke(Duration::from_millis(number as u64), key(number));
        }
        assert_eq!(slow.spoken.len(), SPEAKERS_MAX);
        let now = Duration::from_secs(10);
        assert_eq!(slow.wait(now, key(0)), None);
        assert!(slow.wait(now, key(2 * SPEAKERS_MAX - 1)).is_some());
        slow.spoke(Duration::from_secs(3600), key(0));
        assert_eq!(slow.spoken.len(), 1);
    }
}
