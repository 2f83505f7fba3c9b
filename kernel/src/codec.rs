//! Reading and writing the canonical binary forms: big-endian integers and byte strings, nothing else.
//!
//! The reader borrows: it never allocates, so that a length in the input can only ever fail, not cost memory.

use core::fmt;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The input ends inside a field.
    Truncated {
        /// Where the field starts, in bytes.
        offset: usize,
        /// Bytes that the field has.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// The value is complete but the input goes on.
    Trailing {
        /// Where the value ends, in bytes.
        offset: usize,
        /// Bytes after it.
        left: usize,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset, wanted, left } => {
                write!(f, "cut short at byte {offset}: the field has {wanted} bytes, {left} are left")
            }
            Self::Trailing { offset, left } => {
                write!(f, "{left} bytes too many after the end at byte {offset}")
            }
        }
    }
}

impl core::error::Error for CodecError {}

/// Reads fields one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The next `wanted` bytes.
    pub fn take(&mut self, wanted: usize) -> Result<&'a [u8], CodecError> {
        let left = self.left();
        if wanted > left {
            return Err(CodecError::Truncated { offset: self.offset, wanted, left });
        }
        let field = &self.bytes[self.offset..self.offset + wanted];
        self.offset += wanted;
        Ok(field)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        Ok(self.take(N)?.try_into().expect("take returns exactly what was asked for"))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Ends the value: nothing may follow.
    pub fn finish(self) -> Result<(), CodecError> {
        match self.left() {
            0 => Ok(()),
            left => Err(CodecError::Trailing { offset: self.offset, left }),
        }
    }
}

/// Fills an array of exactly `N` bytes, field by field.
#[derive(Clone, Debug)]
pub struct ArrayWriter<const N: usize> {
    bytes: [u8; N],
    offset: usize,
}

impl<const N: usize> ArrayWriter<N> {
    /// Starts with nothing written.
    pub fn new() -> Self {
        Self { bytes: [0; N], offset: 0 }
    }

    /// Appends a field.
    ///
    /// # Panics
    ///
    /// If the fields written do not fit: the caller's layout is wrong.
    pub fn put(mut self, field: &[u8]) -> Self {
        self.bytes[self.offset..self.offset + field.len()].copy_from_slice(field);
        self.offset += field.len();
        self
    }

    /// The array.
    ///
    /// # Panics
    ///
    /// If the fields written do not fill it: the caller's layout is wrong.
    pub fn finish(self) -> [u8; N] {
        assert_eq!(self.offset, N, "the fields of a fixed layout fill it");
        self.bytes
    }
}

impl<const N: usize> Default for ArrayWriter<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_written() {
        let bytes = ArrayWriter::<15>::new()
            .put(&[7])
            .put(&0x0102_0304u32.to_be_bytes())
            .put(&9u64.to_be_bytes())
            .put(b"ab")
            .finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.u32(), Ok(0x0102_0304));
        assert_eq!(reader.u64(), Ok(9));
        assert_eq!(reader.take(2), Ok(&b"ab"[..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_field_past_the_end_is_refused_and_says_where() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u32(), Err(CodecError::Truncated { offset: 1, wanted: 4, left: 2 }));
        assert_eq!(
            reader.take(usize::MAX),
            Err(CodecError::Truncated { offset: 1, wanted: usize::MAX, left: 2 })
        );
        assert_eq!(reader.finish(), Err(CodecError::Trailing { offset: 1, left: 2 }));
    }

    #[test]
    #[should_panic(expected = "fill it")]
    fn an_array_that_is_not_full_is_a_bug() {
        ArrayWriter::<3>::new().put(&[1]).finish();
    }
}
