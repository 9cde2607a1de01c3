//! A sliding window over the numbers that arrived.

/// Numbers in a window.
pub(super) const WINDOW: u64 = 1024;

const WORDS: usize = 16;

/// Which of the numbers `base..base + 1024` arrived.
///
/// `base + 1024` does not overflow: numbers count datagrams from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    base: u64,
    /// A ring: bit `n % 1024` stands for number `n`. All bits outside the window are clear.
    bits: [u64; WORDS],
}

/// A number's place relative to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// More than a window before it.
    LongPast,
    /// Before the window, or in it and marked.
    Seen,
    /// In the window and not marked.
    New,
    /// After the window.
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

    /// Slides to the first unmarked number.
    pub(super) fn slide_over_marked(&mut self) {
        while self.has(self.base) {
            self.step();
        }
    }

    /// Bit i tells whether `base + 1 + i` is marked.
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
    fn places_change_at_the_edges_of_the_window() {
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
    fn a_window_slides_to_the_first_gap() {
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
        fn it_agrees_with_a_set_of_all_numbers(
            numbers in prop::collection::vec(0u64..4000, 1..300), slides in prop::collection::vec(0u64..4000, 1..10)) {
            let mut window = Window::default();
            let mut marked = BTreeSet::new();
            for (turn, &number) in numbers.iter().enumerate() {
                if window.place(number) == Place::New {
                    prop_assert!(marked.insert(number), "{} was marked before", number);
                    window.mark(number);
                }
                if let Some(&to) = slides.get(turn / 5) {
                    window.slide_to(to);
                }
                for number in window.base()..window.base() + WINDOW {
                    prop_assert_eq!(window.place(number) == Place::Seen, marked.contains(&number));
                }
            }
        }
    }
}
