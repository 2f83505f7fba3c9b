//! Fingerprints: 128 bits that stand for a broker's whole state, and tables that keep the order of insertion.
//!
//! Two different states with one fingerprint would hide one of them. With 10^7 states of a broker and 128 bits that
//! chance is below 10^-24; whole worlds are compared exactly, as tuples of small numbers.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexMap;

/// A table whose entries are numbered in the order in which they came.
pub type Numbered<K, V> = IndexMap<K, V, BuildHasherDefault<Mixer>>;

/// A running fingerprint of text and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint {
    a: u64,
    b: u64,
    word: u64,
    filled: u32,
    length: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self { a: 0x9E37_79B9_7F4A_7C15, b: 0xD1B5_4A32_D192_ED03, word: 0, filled: 0, length: 0 }
    }
}

impl Fingerprint {
    /// Takes in bytes; where one piece ends and the next begins is the caller's to mark.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for byte in bytes {
            self.word = self.word << 8 | u64::from(*byte);
            self.filled += 1;
            if self.filled == 8 {
                self.mix();
            }
        }
    }

    /// Takes in a number, and so marks the end of a piece.
    pub fn number(&mut self, number: u64) {
        self.mix();
        self.word = number;
        self.mix();
    }

    fn mix(&mut self) {
        let product = u128::from(self.a ^ self.word) * 0xA076_1D64_78BD_642F_u128;
        self.a = (product as u64) ^ self.b.rotate_left(29);
        self.b =
            ((product >> 64) as u64).wrapping_add(self.b ^ self.word).wrapping_mul(0xE703_7ED1_A0B4_28DB);
        self.word = 0;
        self.filled = 0;
    }

    /// The fingerprint of everything so far.
    pub fn value(mut self) -> u128 {
        let length = self.length;
        self.number(length);
        u128::from(self.a) << 64 | u128::from(self.b)
    }
}

impl fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// A fast hasher for tables: what it is given are numbers of the search's own making.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn of(pieces: &[&str]) -> u128 {
        let mut fingerprint = Fingerprint::default();
        pieces.iter().for_each(|piece| fingerprint.write_str(piece).expect("it takes everything"));
        fingerprint.value()
    }

    #[test]
    fn a_fingerprint_depends_on_every_byte_and_not_on_the_pieces() {
        assert_eq!(of(&["the same", " text"]), of(&["the ", "same text"]));
        for other in ["the same texu", "the same tex", "The same text", "the same text\0"] {
            assert_ne!(of(&["the same text"]), of(&[other]), "{other}");
        }
    }
}
