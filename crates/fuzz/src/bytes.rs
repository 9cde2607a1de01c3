//! Bytes as a source of decisions.

/// What is left of an input. When it is used up, every answer is the first one.
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

    /// One of so many, which are at least one and at most 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = self.below(choices.len());
        *choices.get(place).expect("at least one choice")
    }

    /// Bytes of any content: their number in one byte, then they.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    /// A line made of a pattern in which `{name}` stands for what `blank` makes of it.
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
