//! The simulator: whole networks of real brokers on a virtual clock, from a seed or from a tape.
//!
//! ```text
//!    seed ──► Decider ◄── tape          every choice: (actor, purpose, ordinal) → value
//!                │
//!                ▼
//!   Scenario ► World: EventHeap (virtual µs, order) ─► event ─► nodes, links, chain, clients
//!                │                │                                   │
//!             Observer         oracles                             NodeAudit (a chain a node)
//!                ▼                ▼                                   ▼
//!          traces, slices     Report: violations, counts, marks     Audit: digest, first difference
//! ```
//!
//! A node here is what a node is in production: the same engine, the same follower, the same contracts in the same
//! EVM. Only what carries them is replaced: sockets by [`links`], the disk by a log in memory that forgets what was
//! not synced, clocks by the heap's. Nothing is random but what the [`tape::Decider`] is asked for, so the same seed or
//! tape gives the same run, step for step, in any process and build; [`audit`] proves it. [`oracles`] restate the
//! protocol's promises and share no code with the kernel but its types.
//!
//! # What there is to call
//!
//! | to | call |
//! | --- | --- |
//! | describe a network and what goes wrong in it | [`Scenario`]; as a TOML file [`Scenario::from_toml`], see [`scenario::file`] |
//! | run it from a seed | [`run`] for the report; [`run_seed`] for a [`Verdict`] with the tape of a failure |
//! | run many seeds on many cores | [`parallel::over_seeds`] |
//! | keep and read a tape | [`Tape::encode`], [`Tape::to_text`], [`Tape::decode`] (either form; [`TapeError`] and [`ScenarioError`] are a user's errors) |
//! | repeat a tape | [`replay`] |
//! | make a failing tape small | [`shrink()`](shrink::shrink) with a number of runs |
//! | tell a person how to repeat it | [`workflow::replay_command`], [`workflow::seed_command`] |
//! | do any of this with more than the report | [`simulate`] with [`Options`]: record, audit, stop, rules, observer |
//! | read a run | [`diagram::TextTrace`] names every message, [`diagram::Recorder`] draws a space-time diagram |
//! | see what happens in another way | an [`Observer`] gets every [`Happening`] in order, with times, by reference |
//! | choose a scenario by name or file | [`library::Choice`] |
//! | find where two runs of one tape part | [`audit::Audit::bisect`] |
//! | measure how fast it runs | [`speed::measure`] |
//! | plant a mistake | [`Options::rules`] |
//!
//! # What to add, and where
//!
//! - A fault that has a time: a variant of [`FaultKind`] and a file in [`faults`], whose documentation says how.
//!   Scenario files, tapes, plans and shrinking take it up by themselves.
//! - A choice: a [`tape::Purpose`] with its default, asked for with [`tape::Decider::choose`] (a value in any case) or
//!   [`tape::Decider::happens`] (nothing without a record). Its ordinal is counted by the actor's [`tape::Counts`], or
//!   given where something else tells decisions apart, such as a block's height. The default must be the calm case:
//!   shrinking removes records. Never draw from [`random::Random`] for anything that a tape should hold.
//! - A kind of client: a [`tape::Role`], a file in [`clients`], its count in [`Scenario::clients`]. One that cheats
//!   makes its batches in advance, see [`clients::cheat`], and says what the network owes each.
//! - A rate: a field of [`Scenario`] with its check in `scenario/validity.rs`, planned in [`faults::plan`].
//! - A mistake to find: a [`weir_kernel::rules::Bug`], and in `tests/common/mistakes.rs` the oracle that finds it and a
//!   scenario. `tests/planted.rs` counts the seeds that it takes, `tests/regressions.rs` keeps the shrunk tape.
//! - An oracle: a file in [`oracles`] that notes violations, each about the actors where it was seen, so that the
//!   causal slice knows where to begin. Its name is what shrinking holds on to.
//!
//! A panic of the program under test is a violation of the oracle [`PANIC`] and shrinks like any other.
//!
//! # Example
//!
//! ```
//! use weir_kernel::rules::Rules;
//! use weir_sim::{Options, Scenario, Source, Tape, replay, run, simulate};
//!
//! let scenario = Scenario { duration_ms: 40_000, heal_ms: 10_000, ..Scenario::rough(4) };
//! let report = run(7, &scenario);
//! assert_eq!(report.violations, []);
//! assert!(report.stored_events > 0);
//!
//! let recording = Options { record: true, ..Options::default() };
//! let tape = simulate(Source::Seed(7, &scenario), recording).tape.expect("it was asked for");
//! let tape = Tape::decode(&tape.encode()).expect("what was written can be read");
//! assert_eq!(replay(&tape, Rules::sound()).report, report);
//! ```
//!
//! # The same digest everywhere
//!
//! `tests/processes.rs` runs one tape in processes with other environments. That builds agree is seen with
//!
//! ```text
//! cargo run -p weir-sim --example digest > digests.txt
//! cargo run -p weir-sim --example digest --release -- digests.txt
//! ```
//!
//! which says of sixteen runs, eight swarms and eight wild ones, whether they are the same in both, and refuses to
//! compare other sources. The debug and the release build agreed on all of them when it was run last. No digest is
//! committed: each change of what a broker does changes them all, so that a file of them would be wrong after every
//! merge.
//!
//! # What was found
//!
//! Mistakes that were found in the kernel come back as [`weir_kernel::rules::Bug`]s beside those that are planted, with
//! the shrunk tape of a run that fails with the mistake, and holds without it, in `tests/tapes`; or as directed tests:
//!
//! | mistake | what a run showed | found by |
//! | --- | --- | --- |
//! | `CountsOnFromDisk` | a gap in a subscriber's lane: an append index was given out before a crash and again after it | swarm |
//! | an edge that trusts its feed | a gap in a subscriber's lane: a broker that lies left a batch out of what it sends those who follow it | wild |
//! | an edge that trusts what it reads | events out of order, and twice: slices of an answer in another order went to the reader as they came | wild 3896, 5199 |
//! | an edge that takes a lane from where its source begins | a subscriber to everything got a lane without its beginning | wild 3134, 3221, 10501 |
//! | `NeverSurveys`: an edge that asks its source alone | the end of a lane, or all of a short one, never came: nothing later in the lane shows that it is left out | wild 3951 |
//!
//! The simulator was wrong more than once, too: an oracle counted the edges that a replica remembers without the
//! replica itself (wild 2062, 3619, 8293, 8431); a second disk was exchanged before the first had recovered, which the
//! protocol does not survive (wild 3330), and one by a broker with a provider that was behind (wild 1026); and a tape
//! that held a decision twice could not be read back (wild 3951).
//!
//! A search is one command; with `-p weir` it is `weir sim`, which goes on until a promise breaks:
//!
//! ```text
//! cargo run -p weir-sim --release --example seeds -- wild 5 11001 800 1
//! ```
//!
//! When it was run last, after what is above was mended, its 800 seeds were 24.4 virtual hours and 20 million steps in
//! 12 minutes on a busy core. In them 1,802,133 events were published and all of them stored, 3,014,681 delivered,
//! 14,492,916 frames came through, 52,623 certificates were accepted and 2,688 handovers made; brokers crashed 3,664
//! times, 904 partitions waited after a lost disk, 1,695 forks and 391 brokers that signed two checksums were found,
//! and every one of these was slashed; nothing was violated. Faults by kind: bandwidth 535, bit rot 541, bridge 465,
//! clock drift 544 and steps 508, clog 492, corruption 553, crash 2185, cut 1525, dropped transactions 518, failed sync
//! 555, flapping 471, full disk 508, isolated 525, late inclusion 516, late links 525, pause 453, reorganisation 506,
//! ring 554, outage of the chain 546, slow disk 509, stale reads 507, lost disk 183, torn write 563; and brokers that
//! lied: censor 117, checksum liar 123, equivocator 84, flooder 118, lazy copier 116, replayer 110, silent leader 96,
//! wire mutator 109. Retention, brokers of several shards, surveys and brokers that give partitions back came after
//! this search; with them the 800 seeds from 50000 on, 24.4 virtual hours with 15,576 faults, violated nothing.

pub mod audit;
mod broker;
mod by_address;
pub mod byzantine;
pub mod chain;
pub mod clients;
pub mod diagram;
pub mod digest;
pub mod exhaustion;
pub mod faults;
pub mod heap;
pub mod library;
pub mod links;
pub mod nodes;
pub mod observer;
pub mod oracles;
pub mod parallel;
pub mod random;
mod report;
pub mod scenario;
pub mod shrink;
mod simulation;
pub mod speed;
mod surroundings;
pub mod tape;
mod verifier;
pub mod workflow;
mod world;

pub use faults::{Fault, FaultKind};
pub use observer::{Happening, Observer};
pub use report::{Progress, Report, Violation};
pub use scenario::{CrashAt, Forking, Join, LinkFaults, Moment, Scenario, ScenarioError};
pub use shrink::{ShrinkError, Shrunk, shrink};
pub use simulation::{Options, Outcome, PANIC, Source, run, simulate};
pub use tape::{Tape, TapeError};
pub use workflow::{Verdict, replay, run_seed};
