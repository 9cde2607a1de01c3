//! Which part of the scrollback is looked at.
//!
//! A place is an entry and so many of its rows below the edge of the view. Nothing needs the height of all entries:
//! only those near the view are ever laid out, however many there are.

use super::scrollback::Scrollback;

/// Where the lower edge of the view is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The serial of the entry at the edge.
    pub(super) serial: u64,
    /// How many of its rows are below the edge.
    pub(super) below: usize,
}

/// How the view stands.
#[derive(Debug, Default)]
pub(super) struct Scroll {
    /// Its lower edge, unless it follows the end.
    place: Option<Place>,
    /// Every entry before this one has been in view.
    seen: u64,
    /// At the end, nothing before this entry is shown.
    floor: u64,
}

/// What a view shows: how many rows, and how high an entry is.
pub(super) struct Height<'a> {
    /// Rows of the view.
    pub(super) view: usize,
    /// Rows of an entry, at least one.
    pub(super) entry: &'a dyn Fn(u64) -> usize,
}

/// A move of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScrollAction {
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
}

impl Scroll {
    /// Whether the view follows the end.
    pub(super) fn at_end(&self) -> bool {
        self.place.is_none()
    }

    /// The lower edge, and the first entry that may be shown. `None`: there is nothing.
    pub(super) fn edge(&self, lines: &Scrollback) -> Option<(Place, u64)> {
        let last = lines.end().checked_sub(1).filter(|&last| last >= lines.begin())?;
        match self.place {
            // What the edge stood at may have been driven out.
            Some(Place { serial, .. }) if serial < lines.begin() => {
                let place = Place {
                    serial: lines.begin(),
                    below: 0,
                };
                Some((place, lines.begin()))
            }
            Some(place) => Some((place, lines.begin())),
            None => Some((
                Place {
                    serial: last,
                    below: 0,
                },
                self.floor.max(lines.begin()),
            )),
        }
    }

    /// How many entries have never been in view.
    pub(super) fn unseen(&self, lines: &Scrollback) -> u64 {
        match self.place {
            Some(place) => lines.end().saturating_sub(self.seen.max(place.serial + 1)),
            None => 0,
        }
    }

    /// The view is being shown.
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

    /// Shows this entry, whole, at the lower edge if there is enough before it.
    pub(super) fn show(&mut self, serial: u64, lines: &Scrollback, height: &Height<'_>) {
        self.place = Some(Place { serial, below: 0 });
        self.fill(lines, height);
    }

    /// Clears the view: what is there is shown again only to who scrolls up.
    pub(super) fn clear(&mut self, lines: &Scrollback) {
        self.place = None;
        self.floor = lines.end();
    }

    /// Up by so many rows.
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

    /// Down by so many rows; at the end it follows the end again.
    pub(super) fn down(&mut self, rows: usize, lines: &Scrollback, height: &Height<'_>) {
        let Some(Place {
            mut serial,
            mut below,
        }) = self
            .edge(lines)
            .map(|(place, _)| place)
            .filter(|_| !self.at_end())
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

    /// Goes down as far as rows are missing above.
    fn fill(&mut self, lines: &Scrollback, height: &Height<'_>) {
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
            // Of an entry with fewer rows than are below the edge, none is in view.
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
    fn what_fits_does_not_scroll() {
        let mut lines = Scrollback::new(10);
        let mut scroll = Scroll::default();
        scroll.up(3, &lines, &HEIGHT);
        assert!(scroll.at_end());
        lines.push(Entry::note("x"));
        scroll.up(3, &lines, &HEIGHT);
        assert!(scroll.at_end());
    }

    #[test]
    fn new_entries_leave_the_view_where_it_is_and_are_counted() {
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
        // What the view stood at is driven out.
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
    fn a_cleared_view_shows_nothing_before_it() {
        let (mut lines, mut scroll) = (lines(), Scroll::default());
        scroll.clear(&lines);
        lines.push(Entry::note("new"));
        assert_eq!(scroll.edge(&lines).unwrap().1, 10);
        scroll.up(1, &lines, &HEIGHT);
        assert_eq!(scroll.edge(&lines).unwrap().1, lines.begin());
    }
}
