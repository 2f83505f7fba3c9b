//! The targets: one function each, for any bytes.

mod batch;
mod frame;
mod kernel_steps;
mod row;
mod seats;
mod signed_header;

pub use batch::{batch, batch_written};
pub use frame::{SENDER, frame};
pub use kernel_steps::kernel_steps;
pub use row::row;
pub use seats::seats;
pub use signed_header::signed_header;

/// A target with its name: the folder of its corpus and the name of its libFuzzer program.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it does with bytes.
    pub run: fn(&[u8]),
    /// How many derived inputs a test run tries.
    pub derived_inputs: usize,
    /// Bytes of the longest random input that a test run tries.
    pub random_bytes: usize,
}

/// Every target.
pub const TARGETS: [Target; 7] = [
    Target { name: "batch", run: batch, derived_inputs: 4000, random_bytes: 600 },
    Target { name: "batch_written", run: batch_written, derived_inputs: 2000, random_bytes: 300 },
    Target { name: "frame", run: frame, derived_inputs: 6000, random_bytes: 400 },
    Target { name: "row", run: row, derived_inputs: 4000, random_bytes: 300 },
    Target { name: "signed_header", run: signed_header, derived_inputs: 4000, random_bytes: 300 },
    Target { name: "seats", run: seats, derived_inputs: 1000, random_bytes: 80 },
    Target { name: "kernel_steps", run: kernel_steps, derived_inputs: 60, random_bytes: 3000 },
];
