//! The times of lines: a line does not repeat the time of the line before.
//!
//! The time would be a sixth of a short message, and in a crowded room most lines that are sent at once have the same.

use crate::rich::FromServer;

/// The last time in one direction of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In milliseconds since 1970; none before the first.
    last: Option<u64>,
}

impl Times {
    /// The time of a line without one, for [`FromServer::History`].
    #[must_use]
    pub fn last(self) -> Option<u64> {
        self.last
    }

    /// Removes the time of a line that is about to be sent, if it is that of the line before.
    pub fn shorten<W>(&mut self, said: &mut FromServer<'_, W>) {
        if let Some(time) = said.time_mut() {
            *time = time.and_then(|time| self.shorten_time(time));
        }
    }

    /// The time of a line that is about to be sent, unless it is that of the line before.
    pub fn shorten_time(&mut self, time: u64) -> Option<u64> {
        (self.last.replace(time) != Some(time)).then_some(time)
    }

    /// Restores the time of a line that was received. Returns the time of that line, or the last one before it for a line
    /// that has none. `None` before the first time.
    pub fn restore<W>(&mut self, line: &mut FromServer<'_, W>) -> Option<u64> {
        if let FromServer::History(before, _) = line {
            self.last = *before;
        } else if let Some(time) = line.time_mut() {
            *time = time.or(self.last);
            self.last = *time;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;
    use proptest::prelude::*;

    type Line = FromServer<'static, &'static str>;

    /// Lines with these times, and some without any.
    fn story() -> impl Strategy<Value = Vec<Line>> {
        let line = prop_oneof![
            (0u64..3).prop_map(|at| Line::Said(Some(at), "a", Text::new("hi"))),
            (0u64..3).prop_map(|at| Line::Leave(Some(at), "a")),
            Just(Line::Ping(7)),
        ];
        prop::collection::vec(line, 0..20)
    }

    proptest! {
        #[test]
        fn a_reader_that_starts_anywhere_restores_each_time(told in story(), from in any::<prop::sample::Index>()) {
            let from = from.index(told.len() + 1);
            let mut teller = Times::default();
            let mut listener = Times::default();
            for (place, line) in told.into_iter().enumerate() {
                if place == from {
                    listener.restore(&mut Line::History(teller.last(), None));
                }
                let mut said = line.clone();
                teller.shorten(&mut said);
                if place >= from {
                    listener.restore(&mut said);
                    prop_assert_eq!(said, line);
                }
            }
        }
    }

    #[test]
    fn a_new_time_is_sent_also_after_the_clock_is_set_back() {
        let mut times = Times::default();
        let said: Vec<String> = [5, 5, 6, 6, 5]
            .map(|at| {
                let mut line = Line::Leave(Some(at), "a");
                times.shorten(&mut line);
                line.to_string()
            })
            .to_vec();
        assert_eq!(
            said,
            ["LEAVE 5 a", "LEAVE - a", "LEAVE 6 a", "LEAVE - a", "LEAVE 5 a"]
        );
    }

    #[test]
    fn before_the_first_time_there_is_none() {
        assert_eq!(Times::default().restore(&mut Line::Leave(None, "a")), None);
    }
}
