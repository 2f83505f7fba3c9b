//! Tapes: every choice of a run as a typed record, so that a run can be repeated, read and made smaller.
//!
//! A [`Tape`] is a scenario without rates of faults, a seed from which only identities and what no record decides
//! follow, and [`Decision`]s, each found by its name: actor, purpose and ordinal. Where a record is missing the
//! purpose's default holds (a frame is delivered after the least delay, nothing fails, nothing is published), so
//! whatever is taken out, what is left is still a run.
//!
//! # File format 1
//!
//! Integers are big-endian, `v` is a variable-length one (LEB128), `s` is bytes after their number as `v`.
//!
//! | field | bytes |
//! | --- | --- |
//! | magic | `WEIRTAPE` |
//! | format version | u16, 1 |
//! | what made it | s, UTF-8: version and source hash of the simulator, see [`MADE_BY`] |
//! | oracle that the run violates | s, UTF-8; empty for none |
//! | seed | u64 |
//! | scenario | s, TOML |
//! | groups | v |
//! | each group | kind u8, number v, number v, purpose u8, records v; each record: ordinal v (less the one before it), value v |
//! | checksum | u64, XXH3 of everything before it |
//!
//! Groups and ordinals rise strictly. The text form of small tapes holds the same, see [`Tape::to_text`]; both are read
//! by [`Tape::decode`].

mod codec;
mod decider;
mod key;
mod text;

pub use self::codec::{FORMAT, MAX_DECISIONS, MAX_TAPE_BYTES, TapeError};
pub use self::decider::{ActorDecider, Decider, Decision};
pub use self::key::{Actor, ActorError, Counts, MAX_NUMBER, Purpose, Role};
use crate::scenario::Scenario;

/// Version of this crate and a hash of the sources that a run depends on. Digests are compared between equal ones only;
/// tapes are replayed by any.
pub const MADE_BY: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("WEIR_SIM_SOURCES"));

/// A run that can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    /// Keys, lane nonces and other identities follow from it.
    pub seed: u64,
    /// The explicit scenario: see [`Scenario::explicit`].
    pub scenario: Scenario,
    /// The oracle that the recorded run violated first.
    pub violates: Option<String>,
    /// In the order of names, each name once.
    pub decisions: Vec<Decision>,
}
