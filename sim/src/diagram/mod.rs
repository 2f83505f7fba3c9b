//! Runs that a person can read: a text trace that names every message, and a space-time diagram.
//!
//! ```text
//!   simulate ── Happening ──► TextTrace ──► one line for each thing that happened
//!                       └───► Recorder  ──► Diagram ── to_html ──► one file: brokers across, time down
//!                                Names: who and what, in words
//! ```
//!
//! Both are [`Observer`](crate::observer::Observer)s: they see what happens and change nothing of it, so the run that
//! is drawn is the run that failed. Both can be told to look at a part of the virtual time only, see [`Window`].
//!
//! ```
//! use weir_sim::diagram::{Cast, Recorder, Window};
//! use weir_sim::{Options, Scenario, Source, run, simulate};
//!
//! let scenario = Scenario { duration_ms: 20_000, heal_ms: 5_000, ..Scenario::rough(4) };
//! let mut recorder = Recorder::new(&Cast::of(7, &scenario), Window::ALL);
//! let options = Options { observer: Some(&mut recorder), ..Options::default() };
//! let report = simulate(Source::Seed(7, &scenario), options).report;
//! assert_eq!(report, run(7, &scenario), "who watches changes nothing");
//! let html = recorder.finish(&report, "rough, seed 7").to_html();
//! assert!(html.starts_with("<!doctype html>"));
//! ```

mod columns;
mod facts;
mod html;
mod names;
mod operations;
mod recorder;
mod trace;

pub use html::Diagram;
pub use names::Cast;
pub use recorder::{MAX_ARROWS, MAX_COLUMNS, MAX_MARKS, Recorder};
pub use trace::TextTrace;

/// The part of a run that is looked at, in virtual microseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From this time on.
    pub from_us: u64,
    /// Up to this time.
    pub to_us: u64,
}

impl Window {
    /// All of it.
    pub const ALL: Self = Self { from_us: 0, to_us: u64::MAX };

    /// Whether a time is inside.
    pub fn has(self, at_us: u64) -> bool {
        (self.from_us..=self.to_us).contains(&at_us)
    }
}

/// Virtual microseconds as seconds: `12.345678`.
pub(crate) fn seconds(at_us: u64) -> String {
    format!("{}.{:06}", at_us / 1_000_000, at_us % 1_000_000)
}
