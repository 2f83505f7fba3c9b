//! Standard output: records, one a line.

use std::io::{BufWriter, ErrorKind, Stdout, Write};

use crate::failure::Failure;

/// Standard output with a buffer.
pub struct Output(BufWriter<Stdout>);

impl Output {
    /// Nothing is written yet.
    pub fn new() -> Self {
        Self(BufWriter::new(std::io::stdout()))
    }

    /// Writes a line; it may stay in the buffer until [`flush`](Self::flush).
    pub fn line(&mut self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        check(self.0.write_all(text.as_ref()).and_then(|()| self.0.write_all(b"\n")))
    }

    /// Writes a JSON text as one line: line ends between its tokens become spaces, which mean the same.
    /// Within a string JSON has none.
    pub fn json_line(&mut self, text: &[u8]) -> Result<(), Failure> {
        if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return self.line(text);
        }
        let flat: Vec<u8> =
            text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        self.line(flat)
    }

    /// Hands everything to the reader.
    pub fn flush(&mut self) -> Result<(), Failure> {
        check(self.0.flush())
    }
}

fn check(result: std::io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Failed(format!("standard output cannot be written: {error}")),
    })
}
