//! The times of lines that follow each other: one that was just said is not said again.
//!
//! Of a short message to everybody the time would be a sixth, and in a crowded room most lines that are sent at once have the
//! same.

use crate::rich::FromServer;

/// The time that was said last in one direction of the rich dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In milliseconds since 1970; none before the first.
    last: Option<u64>,
}

impl Times {
    /// What a line means from here on that says no time, for [`FromServer::History`].
    #[must_use]
    pub fn last(self) -> Option<u64> {
        self.last
    }

    /// Leaves the time out of a line that is about to be said, if it is that of the line before.
    pub fn shorten<W>(&mut self, said: &mut FromServer<'_, W>) {
        if let Some(time) = said.time_mut() {
            *time = time.and_then(|time| self.shorten_time(time));
        }
    }

    /// The time of a line that is about to be sent, unless it is that of the line before.
    pub fn shorten_time(&mut self, time: u64) -> Option<u64> {
        (self.last.replace(time) != Some(time)).then_some(time)
    }

    /// Gives a line that was heard the time that it does not say, and answers it: the time of what happened, or for any other
    /// line the last one before it. `None` if no time was said yet.
    pub fn restore<W>(&mut self, heard: &mut FromServer<'_, W>) -> Option<u64> {
        if let FromServer::History(before) = heard {
            self.last = *before;
        } else if let Some(time) = heard.time_mut() {
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

    /// What happened at each of these times, one thing after another, with lines between that have none.
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
        fn whoever_listens_from_anywhere_on_hears_each_time(told in story(), from in any::<prop::sample::Index>()) {
            let from = from.index(told.len() + 1);
            let mut teller = Times::default();
            let mut listener = Times::default();
            for (place, line) in told.into_iter().enumerate() {
                if place == from {
                    listener.restore(&mut Line::History(teller.last()));
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
    fn a_time_is_said_when_it_is_another_also_when_the_clock_was_set_back() {
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
