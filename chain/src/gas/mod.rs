//! What each public function of the contracts costs, measured on an in-memory chain with the real bytecode.
//!
//! Rows are whole transactions but where they say otherwise. The budgets of the coordinator are rows of their own:
//!
//! | row | what | at most |
//! | --- | --- | --- |
//! | `gas.seal.single` | one epoch of one partition, R = 4, 3 signatures: execution and calldata, without the 21,000 that any transaction costs | [`SEAL_SINGLE`] |
//! | `gas.seal.shared30` | each of 30 partitions that share reports and call, everything included | [`SEAL_SHARED`] |
//! | `gas.seat` | a useful change, everything included | [`SEAT`] |

mod coordinator;
mod fees;
mod harness;
mod market;
mod seals;
mod streams;

pub use seals::{SEAL_SHARED, SEAL_SINGLE, SEAT};

/// The rules that gas is counted by.
pub const HARDFORK: &str = "Osaka";

/// What something costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The function, and in which case.
    pub name: String,
    /// Gas.
    pub gas: u64,
}

/// Measures everything; the same rows every time. Takes some seconds.
///
/// # Panics
///
/// If a measured call does not do what it is measured doing: then contracts, twin and bindings do not fit together.
pub fn rows() -> Vec<Row> {
    let mut table = Table(budgets());
    streams::rows(&mut table);
    coordinator::rows(&mut table);
    fees::rows(&mut table);
    market::rows(&mut table);
    table.0
}

/// Measures what has a budget.
///
/// # Panics
///
/// As [`rows`].
pub fn budgets() -> Vec<Row> {
    let mut table = Table(Vec::new());
    seals::rows(&mut table);
    table.0
}

/// Rows as text, a line each.
pub fn text(rows: &[Row]) -> String {
    rows.iter().map(|Row { name, gas }| format!("{name:<58} {gas:>9}\n")).collect()
}

struct Table(Vec<Row>);

impl Table {
    fn row(&mut self, name: &str, gas: u64) {
        self.0.push(Row { name: name.into(), gas });
    }
}
