//! Which numbers have come: 1,024 bits that slide.

/// Numbers that a window looks at.
pub(super) const WINDOW: u64 = 1024;

const WORDS: usize = 16;

/// Which of the numbers `base..base + 1024` have come. What came before `base` is past.
///
/// `base + 1024` does not overflow: numbers count datagrams from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    base: u64,
    /// A ring: number `n` has bit `n % 1024`, and those of `base..base + 1024` are all there are.
    bits: [u64; WORDS],
}

/// Where a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// So far behind that nothing is known of it.
    LongPast,
    /// Before the window, or in it and marked.
    Seen,
    /// In the window and not marked.
    New,
    /// Past the end of the window.
    Beyond,
}

impl Window {
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn place(&self, number: u64) -> Place {
        match number.checked_sub(self.base) {
            None if self.base - number > WINDOW => Place::LongPast,
            None => Place::Seen,
            Some(ahead) if ahead >= WINDOW => Place::Beyond,
            Some(_) if self.has(number) => Place::Seen,
            Some(_) => Place::New,
        }
    }

    /// Marks a number that is in the window.
    pub(super) fn mark(&mut self, number: u64) {
        if self.place(number) == Place::New {
            let (word, bit) = place_of(number);
            if let Some(word) = self.bits.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Slides so that `base` is at least `to`.
    pub(super) fn slide_to(&mut self, to: u64) {
        if to.saturating_sub(self.base) >= WINDOW {
            self.bits = [0; WORDS];
            self.base = to;
        }
        while self.base < to {
            self.step();
        }
    }

    /// Slides over what has come without a gap.
    pub(super) fn slide_over_marked(&mut self) {
        while self.has(self.base) {
            self.step();
        }
    }

    /// Slides as little as brings `number` into the window.
    pub(super) fn slide_to_hold(&mut self, number: u64) {
        self.slide_to((number + 1).saturating_sub(WINDOW));
    }

    /// Bit i says whether `base + 1 + i` has come.
    pub(super) fn after_base(&self) -> u64 {
        let numbers = (0..64).map(|i| (i, self.base + 1 + i));
        numbers.fold(0, |bits, (i, number)| bits | u64::from(self.has(number)) << i)
    }

    /// Whether a number in the window is marked.
    fn has(&self, number: u64) -> bool {
        let (word, bit) = place_of(number);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    fn step(&mut self) {
        let (word, bit) = place_of(self.base);
        if let Some(word) = self.bits.get_mut(word) {
            *word &= !bit;
        }
        self.base += 1;
    }
}

fn place_of(number: u64) -> (usize, u64) {
    let place = usize::try_from(number % WINDOW).unwrap_or(0);
    (place / 64, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_ends_of_the_window_are_where_they_are_said_to_be() {
        let mut window = Window::default();
        window.slide_to(5000);
        assert_eq!(window.place(5000 - WINDOW - 1), Place::LongPast);
        assert_eq!(window.place(5000 - WINDOW), Place::Seen);
        assert_eq!(window.place(4999), Place::Seen);
        assert_eq!(window.place(5000), Place::New);
        assert_eq!(window.place(5000 + WINDOW - 1), Place::New);
        assert_eq!(window.place(5000 + WINDOW), Place::Beyond);
        assert_eq!(window.place(u64::MAX), Place::Beyond);
    }

    #[test]
    fn a_window_slides_over_what_has_come_and_stops_at_the_gap() {
        let mut window = Window::default();
        for number in [0, 1, 3, 4, 66] {
            window.mark(number);
        }
        window.slide_over_marked();
        assert_eq!(window.base(), 2);
        assert_eq!(window.after_base(), 0b11 | 1 << 63);
        window.mark(2);
        window.slide_over_marked();
        assert_eq!(window.base(), 5);
    }

    proptest! {
        #[test]
        fn it_knows_what_a_set_of_all_numbers_would_know(
            numbers in prop::collection::vec(0u64..4000, 1..300), slides in prop::collection::vec(0u64..4000, 1..10)) {
            let mut window = Window::default();
            let mut came = BTreeSet::new();
            for (turn, &number) in numbers.iter().enumerate() {
                if window.place(number) == Place::New {
                    prop_assert!(came.insert(number), "{} was marked before", number);
                    window.mark(number);
                }
                if let Some(&to) = slides.get(turn / 5) {
                    window.slide_to(to);
                }
                for number in window.base()..window.base() + WINDOW {
                    prop_assert_eq!(window.place(number) == Place::Seen, came.contains(&number));
                }
            }
        }
    }
}
