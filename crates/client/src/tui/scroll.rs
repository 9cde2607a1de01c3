//! The part of the scrollback in view.
//!
//! A place is an entry and the number of its rows below the view. Only entries near the view are laid out, however many
//! there are.

use super::scrollback::Scrollback;

/// The lower edge of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The serial of the entry at the edge.
    pub(super) serial: u64,
    /// The number of its rows below the edge.
    pub(super) below: usize,
}

/// The position of the view.
#[derive(Debug, Default)]
pub(super) struct Scroll {
    /// The lower edge; `None` while the view follows the end.
    place: Option<Place>,
    /// All entries before this one have been in view.
    seen: u64,
    /// At the end, no entry before this one is shown, because of `/clear`.
    floor: u64,
}

/// The heights of the view and of the entries.
pub(super) struct Height<'a> {
    pub(super) view: usize,
    /// The rows of an entry, at least one.
    pub(super) entry: &'a dyn Fn(u64) -> usize,
}

/// A move of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScrollAction {
    /// Up by so many rows.
    Up(usize),
    /// Down by so many rows.
    Down(usize),
    /// Up by a page, less one row for context.
    PageUp,
    /// Down by a page, less one row for context.
    PageDown,
    /// To the first entry.
    Top,
    /// To the last entry, and follow new ones.
    Bottom,
    /// To the entry with this serial.
    Show(u64),
    /// Down by the rows that are missing above.
    Fill,
}

impl Scroll {
    /// Whether the view follows the end.
    pub(super) fn at_end(&self) -> bool {
        self.place.is_none()
    }

    /// Whether `/clear` took an entry out of view.
    pub(super) fn is_cleared(&self, serial: u64) -> bool {
        serial < self.floor
    }

    /// The lower edge, and the first entry that may be shown; `None` without entries.
    pub(super) fn edge(&self, lines: &Scrollback) -> Option<(Place, u64)> {
        let last = lines.end().checked_sub(1).filter(|&last| last >= lines.begin())?;
        let begin = lines.begin();
        Some(match self.place {
            // The entry at the edge was evicted.
            Some(Place { serial, .. }) if serial < begin => (
                Place {
                    serial: begin,
                    below: 0,
                },
                begin,
            ),
            Some(place) => (place, begin),
            None => (
                Place {
                    serial: last,
                    below: 0,
                },
                self.floor.max(begin),
            ),
        })
    }

    /// The number of entries that have never been in view.
    pub(super) fn unseen(&self, lines: &Scrollback) -> u64 {
        match self.place {
            Some(place) => lines.end().saturating_sub(self.seen.max(place.serial + 1)),
            None => 0,
        }
    }

    /// Marks the entries in view as seen.
    pub(super) fn shown(&mut self, lines: &Scrollback) {
        let edge = self.place.map_or(lines.end(), |place| place.serial + 1);
        self.seen = self.seen.max(edge);
    }

    /// Follows the end again.
    pub(super) fn follow(&mut self) {
        self.place = None;
    }

    /// To the first entry.
    pub(super) fn top(&mut self, lines: &Scrollback, height: &Height<'_>) {
        self.show(lines.begin(), lines, height);
    }

    /// Shows a whole entry, at the lower edge if the entries before it fill the view.
    pub(super) fn show(&mut self, serial: u64, lines: &Scrollback, height: &Height<'_>) {
        self.place = Some(Place { serial, below: 0 });
        self.fill(lines, height);
    }

    /// Empties the view; scrolling up shows the entries again.
    pub(super) fn clear(&mut self, lines: &Scrollback) {
        self.place = None;
        self.floor = lines.end();
    }

    /// Up by this many rows.
    pub(super) fn up(&mut self, rows: usize, lines: &Scrollback, height: &Height<'_>) {
        let Some((mut place, _)) = self.edge(lines) else {
            return;
        };
        place.below += rows;
        while place.serial > lines.begin() && place.below >= (height.entry)(place.serial) {
            place.below -= (height.entry)(place.serial);
            place.serial -= 1;
        }
        self.place = Some(place);
        self.fill(lines, height);
    }

    /// Down by this many rows; at the end the view follows it again.
    pub(super) fn down(&mut self, rows: usize, lines: &Scrollback, height: &Height<'_>) {
        if self.at_end() {
            return;
        }
        let Some((
            Place {
                mut serial,
                mut below,
            },
            _,
        )) = self.edge(lines)
        else {
            return;
        };
        let mut left = rows;
        while left > below {
            left -= below;
            serial += 1;
            if serial >= lines.end() {
                return self.follow();
            }
            below = (height.entry)(serial);
        }
        below -= left;
        let at_end = below == 0 && serial + 1 == lines.end();
        self.place = (!at_end).then_some(Place { serial, below });
    }

    /// Scrolls down by the rows that are missing above.
    pub(super) fn fill(&mut self, lines: &Scrollback, height: &Height<'_>) {
        let Some(Place { serial, below }) = self.place else {
            return;
        };
        let mut rows = (height.entry)(serial).saturating_sub(below);
        let mut above = serial;
        while rows < height.view && above > lines.begin() {
            above -= 1;
            rows += (height.entry)(above);
        }
        if rows < height.view {
            // An entry with fewer rows than are below the edge is not in view.
            let lost = below.saturating_sub((height.entry)(serial));
            self.place = Some(Place {
                serial,
                below: below - lost,
            });
            self.down(height.view - rows, lines, height);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Entry;
    use super::*;

    /// Ten entries; every third takes three rows.
    fn lines() -> Scrollback {
        let mut lines = Scrollback::new(10);
        for number in 0..10 {
            lines.push(Entry::note(number.to_string()));
        }
        lines
    }

    const HEIGHT: Height<'_> = Height {
        view: 4,
        entry: &|serial| if serial % 3 == 0 { 3 } else { 1 },
    };

    fn place(scroll: &Scroll) -> Option<(u64, usize)> {
        scroll.place.map(|place| (place.serial, place.below))
    }

    #[test]
    fn up_and_down_meet_again() {
        let (lines, mut scroll) = (lines(), Scroll::default());
        scroll.up(2, &lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((9, 2)));
        scroll.up(4, &lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((6, 1)));
        scroll.down(4, &lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((9, 2)));
        scroll.down(1, &lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((9, 1)));
        scroll.down(1, &lines, &HEIGHT);
        assert!(scroll.at_end());
    }

    #[test]
    fn the_beginning_fills_the_view() {
        let (lines, mut scroll) = (lines(), Scroll::default());
        scroll.up(1000, &lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((1, 0)));
        scroll.top(&lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((1, 0)));
        scroll.show(8, &lines, &HEIGHT);
        assert_eq!(place(&scroll), Some((8, 0)));
    }

    #[test]
    fn entries_that_fit_do_not_scroll() {
        let mut lines = Scrollback::new(10);
        let mut scroll = Scroll::default();
        scroll.up(3, &lines, &HEIGHT);
        assert!(scroll.at_end());
        lines.push(Entry::note("x"));
        scroll.up(3, &lines, &HEIGHT);
        assert!(scroll.at_end());
    }

    #[test]
    fn new_entries_leave_the_view_in_place_and_are_counted() {
        let (mut lines, mut scroll) = (lines(), Scroll::default());
        scroll.shown(&lines);
        scroll.up(1, &lines, &HEIGHT);
        let before = place(&scroll);
        for _ in 0..3 {
            lines.push(Entry::note("new"));
        }
        scroll.shown(&lines);
        assert_eq!((place(&scroll), scroll.unseen(&lines)), (before, 3));
        scroll.show(11, &lines, &HEIGHT);
        assert_eq!(scroll.unseen(&lines), 1);
        scroll.shown(&lines);
        scroll.up(5, &lines, &HEIGHT);
        assert_eq!(scroll.unseen(&lines), 1);
        // The entry at the edge is evicted.
        for _ in 0..20 {
            lines.push(Entry::note("new"));
        }
        assert_eq!(
            scroll.edge(&lines).unwrap().0,
            Place {
                serial: lines.begin(),
                below: 0
            }
        );
        scroll.up(1, &lines, &HEIGHT);
        scroll.down(1, &lines, &HEIGHT);
        scroll.follow();
        assert_eq!(scroll.unseen(&lines), 0);
    }

    #[test]
    fn a_cleared_view_shows_only_new_entries() {
        let (mut lines, mut scroll) = (lines(), Scroll::default());
        scroll.clear(&lines);
        lines.push(Entry::note("new"));
        assert_eq!(scroll.edge(&lines).unwrap().1, 10);
        scroll.up(1, &lines, &HEIGHT);
        assert_eq!(scroll.edge(&lines).unwrap().1, lines.begin());
    }
}
