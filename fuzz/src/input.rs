//! Reading choices out of a fuzzer's bytes: every byte string is a sequence of choices, the end of it is an end.

/// A fuzzer's bytes as a source of choices.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next byte; `None` at the end.
    pub fn choice(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// The next byte, 0 at the end.
    pub fn byte(&mut self) -> u8 {
        self.choice().unwrap_or(0)
    }

    /// A choice of one of `choices`, which is not 0.
    pub fn below(&mut self, choices: usize) -> usize {
        assert!(choices > 0, "there is something to choose from");
        if choices <= 256 {
            return usize::from(self.byte()) % choices;
        }
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % choices
    }

    /// A number: mostly small, sometimes near the end of its range, where sums overflow.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX - u64::from(self.byte()),
            254 => u64::from(u32::MAX) - u64::from(self.byte()),
            253 => u64::from_be_bytes([0; 8].map(|_: u8| self.byte())),
            small => u64::from(small),
        }
    }

    /// A number within four of `around`, or any.
    pub fn near(&mut self, around: u64) -> u64 {
        match self.byte() {
            choice @ 0..=8 => around.saturating_add(u64::from(choice)).saturating_sub(4),
            9..=200 => around,
            _ => self.number(),
        }
    }

    /// One of a slice; `None` if it is empty.
    pub fn pick<'b, T>(&mut self, of: &'b [T]) -> Option<&'b T> {
        if of.is_empty() { None } else { Some(&of[self.below(of.len())]) }
    }

    /// An array, zero past the end.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        [0; N].map(|_: u8| self.byte())
    }

    /// Up to `most` bytes, as many as the next byte says and as are left.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let wanted = usize::from(self.byte()).min(most).min(self.bytes.len());
        let (taken, rest) = self.bytes.split_at(wanted);
        self.bytes = rest;
        taken
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.bytes)
    }
}
