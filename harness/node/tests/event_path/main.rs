//! The event path of a broker at full rate, where things go wrong: a disk that is too slow, a process that is killed, a
//! machine that loses its power.
//!
//! The crash tests do [`ROUNDS`] rounds; more are done so:
//!
//! ```text
//! WEIR_CRASH_ROUNDS=100 cargo test --package weir-node --test event_path -- --nocapture killed power
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};

mod kill;
mod link;
mod power;
mod pressure;
#[path = "../support/mod.rs"]
mod support;

/// Rounds of a crash test, unless the environment says otherwise.
const ROUNDS: u32 = 5;

/// One test at a time: they measure memory, and load a machine fully.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many rounds a crash test does.
fn rounds() -> u32 {
    std::env::var("WEIR_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"))
}

/// Numbers that look random and are the same in each run: xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
