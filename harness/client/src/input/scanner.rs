//! Finds where a JSON value ends without reading past it, so that the elements of a long array come one by
//! one.
//!
//! The scanner only counts brackets and follows strings; whether the bytes are JSON is for serde_json to say.

use std::io::{BufRead, Error, ErrorKind};

/// Longest value that is read: well above what an event may hold, so that the message is about the event's
/// size and not about the reader's.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// A byte reader that counts lines.
pub struct Scanner<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Scanner<R> {
    /// Starts at line 1.
    pub fn new(input: R) -> Self {
        Self { input, line: 1 }
    }

    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next byte that is no white space, not taken; `None` at the end.
    pub fn peek(&mut self) -> Result<Option<u8>, Error> {
        loop {
            match self.peek_byte()? {
                Some(byte) if byte.is_ascii_whitespace() => self.take_byte(byte),
                other => return Ok(other),
            }
        }
    }

    /// Takes the byte that `peek` showed.
    pub fn skip(&mut self) -> Result<(), Error> {
        if let Some(byte) = self.peek_byte()? {
            self.take_byte(byte);
        }
        Ok(())
    }

    /// Takes the bytes of one value: up to its closing bracket or quote, or for a bare word up to what
    /// follows it. An unfinished value is returned as far as it goes.
    pub fn value(&mut self) -> Result<Vec<u8>, Error> {
        let mut value = Vec::new();
        let mut depth = 0usize;
        let mut in_string = false;
        let mut escaped = false;
        self.peek()?;
        while let Some(byte) = self.peek_byte()? {
            let ends_word = byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}');
            if depth == 0 && !in_string && ends_word {
                break;
            }
            self.take_byte(byte);
            value.push(byte);
            if value.len() > MAX_VALUE_BYTES {
                let text = format!(
                    "a JSON value on line {} is longer than {} MiB",
                    self.line,
                    MAX_VALUE_BYTES >> 20
                );
                return Err(Error::new(ErrorKind::InvalidData, text));
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            if depth == 0 && !in_string && matches!(byte, b'}' | b']' | b'"') {
                break;
            }
        }
        Ok(value)
    }

    fn peek_byte(&mut self) -> Result<Option<u8>, Error> {
        loop {
            match self.input.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take_byte(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.input.consume(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        let mut scanner = Scanner::new(text.as_bytes());
        let mut found = Vec::new();
        while scanner.peek().expect("bytes in memory").is_some() {
            let value = scanner.value().expect("bytes in memory");
            assert!(!value.is_empty(), "no progress in {text:?}");
            found.push(String::from_utf8(value).expect("text"));
        }
        found
    }

    #[test]
    fn a_value_ends_where_its_brackets_close() {
        assert_eq!(values(r#"{"a":[1,{"b":2}]} [3] "x" 4"#), [r#"{"a":[1,{"b":2}]}"#, "[3]", r#""x""#, "4"]);
        assert_eq!(values("{}{}"), ["{}", "{}"]);
    }

    #[test]
    fn brackets_and_quotes_inside_strings_do_not_count() {
        assert_eq!(values(r#"{"a":"}]\"\\"} 1"#), [r#"{"a":"}]\"\\"}"#, "1"]);
    }

    #[test]
    fn an_unfinished_value_is_returned_as_far_as_it_goes() {
        assert_eq!(values(r#"{"a": [1"#), [r#"{"a": [1"#]);
    }

    #[test]
    fn lines_are_counted_inside_values_too() {
        let mut scanner = Scanner::new("\n{\n\"a\":1\n}\n7".as_bytes());
        scanner.value().expect("a value");
        assert_eq!(scanner.line(), 4);
        assert_eq!(scanner.peek().expect("a byte"), Some(b'7'));
        assert_eq!(scanner.line(), 5);
    }
}
