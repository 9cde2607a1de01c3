//! Decisions taken from the bytes of an input.

/// The rest of an input. At its end, every decision is the first choice.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// A number below this one, which is between 1 and 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = self.below(choices.len());
        *choices.get(place).expect("at least one choice")
    }

    /// Arbitrary bytes: one byte with their number, then the bytes.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    /// A line made from a pattern; `blank` returns the replacement of each `{name}`.
    pub(crate) fn line(
        &mut self,
        mut pattern: &str,
        mut blank: impl FnMut(&str, &mut Self) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut line = Vec::new();
        while let Some((before, after)) = pattern.split_once('{') {
            let (name, after) = after.split_once('}').expect("both braces");
            line.extend(before.bytes());
            line.extend(blank(name, self));
            pattern = after;
        }
        line.extend(pattern.bytes());
        line
    }
}
