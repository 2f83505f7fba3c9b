//! A gate against slow code on the event path: instructions of fixed pieces of work, counted and compared.
//!
//! Wall time on a shared machine says little about a change of a few percent. Instructions do not depend on who else
//! runs: valgrind's callgrind counts those of one function, and the test `instructions` compares them with the
//! committed file `instructions.txt`.
//!
//! ```text
//!   this program ──starts──► valgrind ──runs──► this program: prepare, counted(work)
//!        ▲                                                        │
//!   instructions.txt ──── compared with ◄──── callgrind's total ──┘
//! ```
//!
//! | command | does |
//! | --- | --- |
//! | `cargo test -p weir-bench` | fails if some work takes over 3 % more instructions than the file says |
//! | `cargo run -p weir-bench` | prints what each takes now beside what the file says |
//! | `cargo run -p weir-bench -- --write` | writes what each takes now to the file: commit it with the change that explains it |
//!
//! With `--release` each of them is about the release profile, whose counts are in the file too.
//!
//! # What a count depends on
//!
//! - The compiler, which `rust-toolchain.toml` pins or the first line of the file names, and the C compiler, by which
//!   libsecp256k1 is made.
//! - Processor features: valgrind does not show SHA-NI to the program, so that SHA-256 is counted in its portable form
//!   here and is several times faster in a running broker. Other features (AVX2) change counts a little.
//! - Nothing else: inputs are fixed, and no work here reads a clock or draws a number.
//!
//! Pieces that got faster do not fail, they are printed; write the file then, so that the gain is held.

pub mod counts;
pub mod valgrind;
pub mod work;
