//! Exhaustion: replication, seal and handover of the kernel's own machines, in every order, within small bounds.
//!
//! ```text
//!              frames said so far (a set) ───any, any time, any number of times, or never──┐
//!                 ▲                                                                        ▼
//!   publisher ────┴── Shard A + disk ── Shard B + disk ── Shard C + disk ── (newcomer D, or a liar that says anything)
//!                          │ sync        │ crash             │ empty disk
//!                          ▼             ▼                   ▼
//!                     blocks of the contracts' twin: empty, or with one certificate
//! ```
//!
//! Simulation samples large worlds, this finishes small ones. A broker here is the kernel's `Shard` behind the kernel's
//! frame codec, the chain is the kernel's *decide* and *evolve*; only what stands behind a port is replaced: the disk,
//! the network, and signatures (keyed hashes). Nothing of the protocol is modelled a second time.
//!
//! # How
//!
//! Breadth first over explicit states, nearest worlds first, so that a counterexample is a shortest one. A world is
//! eight numbers: the state of each broker, the set of what was said, the block, and the faults spent. Each state of a
//! broker and each set is kept once; each (state, input) of a broker goes through the kernel once and is looked up from
//! then on. That is why this is a search of its own and not a library's: 10^6 worlds need some 10^4 states of brokers
//! and 5 × 10^4 steps, where a library that clones and hashes whole worlds would step, clone and hash 10^6 times.
//!
//! Messages stay in the set of what was said: delay, reordering, duplication and loss are all in it. What can matter no
//! more is taken out (the `tidy` module). Timers, in most bounds, never run out: what they would say again may arrive
//! again anyway. In the progress check they do.
//!
//! # Properties
//!
//! | [`Property`] | promise |
//! | --- | --- |
//! | `StoredIsSealed` | what q replicas acknowledged in an epoch is in the first sealed cut of that epoch or a later one |
//! | `OnDiskFirst` | acknowledged is on disk, signed is written down |
//! | `OneChecksum`, `CutsRise` | one checksum an epoch; a sealed cut never goes back |
//! | `NotBelowOwnHeads`, `OneReport` | nobody honest signs below what it acknowledged, or twice for one (epoch, round, previous), even after losing its disk |
//! | `HoldsItsCut` | nobody, newcomer or not, acknowledges or signs without the last sealed cut that it sees |
//! | `EndsWithSealed` | what a replica takes for sealed is sealed, and on its disk |
//! | `Progress` | from every world where nothing more can happen within the bounds, a further seal is reached once the faults stop; every world leads to such a one |
//! | `NoPanic` | no assertion of the machines fails |
//!
//! # Bounds, and what they leave out
//!
//! An epoch has two blocks: the smallest in which half of a round can pass. The partition was founded, and the search
//! starts at the first block of its first epoch with everybody up to date. All brokers see a block when it is made, or
//! up to `lag_blocks` later; a write is durable at once, or with `slow_disks` at an event of its own. A restart is one
//! event: being down is receiving nothing. Readers take no part, and heads that only they need (`HeadsWanted`) are not
//! delivered. Publishers are honest. A bound explores some of these dimensions to the end, never all of them at once.
//!
//! Small bounds run with the tests. The larger ones:
//!
//! ```text
//! cargo run --release -p weir-sim --example exhaust -- [NAME]...      (--list shows the names)
//! ```
//!
//! | bounds | R | blocks | what | distinct worlds | generated | depth | seconds |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | three-late | 3 | 4 | a block late | 73,555 | 231,960 | 36 | 2 |
//! | three-two-batches | 3 | 3 | two batches of a lane | 23,437 | 107,399 | 19 | 1 |
//! | three-two-lanes | 3 | 3 | two lanes | 275,582 | 974,453 | 21 | 16 |
//! | three-crash | 3 | 1 | crash, slow disks, a block late | 1,701 | 6,831 | 11 | 0 |
//! | three-restart | 3 | 3 | crash | 45,797 | 182,634 | 20 | 2 |
//! | three-lost-disk | 3 | 3 | lost disk, a timer | 79,763 | 299,331 | 20 | 3 |
//! | three-handover | 3 | 5 | newcomer | 86,102 | 298,658 | 28 | 4 |
//! | four | 4 | 3 | | 34,561 | 135,230 | 19 | 2 |
//! | four-liar | 4 | 2 | liar | 46,672 | 423,832 | 11 | 2 |
//! | three-two-epochs | 3 | 5 | two seals | 232,907 | 666,479 | 28 | 11 |
//! | three-later | 3 | 4 | two blocks late | 109,147 | 386,455 | 36 | 3 |
//! | three-two-batches-late | 3 | 4 | two batches of a lane | 815,769 | 3,321,936 | 28 | 26 |
//! | three-restart-late | 3 | 4 | crash | 574,581 | 1,850,433 | 29 | 17 |
//! | three-lost-disk-late | 3 | 4 | lost disk | 401,822 | 1,271,824 | 29 | 8 |
//! | four-late | 4 | 4 | | 919,830 | 3,140,602 | 33 | 28 |
//! | four-liar-sealed | 4 | 3 | liar | 111,293 | 974,655 | 15 | 7 |
//! | four-liar-lost-disk | 4 | 3 | liar and lost disk | 440,708 | 3,082,379 | 19 | 17 |
//!
//! Seconds are of one core of a busy two-core machine. Each of these searches was finished and found nothing broken.
//!
//! # What it needs of its surroundings
//!
//! A broker whose disk is gone must start on a view of the chain that is no older than any it acted on. On an older one
//! it is not counted on yet, takes itself for a new broker, and what it had helped to store can be left out of a seal:
//! [`Sabotage::LossOnOldView`] shows the way there. So a node has to follow the chain to its confirmed end before its
//! broker starts, and a node whose chain endpoint may be stale must not start a broker on an empty disk.

pub mod bounds;
mod disk;
mod explorer;
mod fingerprint;
mod items;
mod liar;
mod local;
mod progress;
pub mod properties;
mod search;
mod setting;
mod tidy;
mod tips;
mod trace;
mod world;

pub use bounds::{Bounds, Publication, Sabotage};
pub use properties::{Broken, Property};
pub use search::{Failure, Found, Seen, search};
