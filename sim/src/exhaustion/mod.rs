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
//! delivered. Publishers are honest. The liar is heard a bounded number of times, each time with anything of its menu.
//! A bound explores some of these dimensions to the end, never all of them at once: slow disks across the end of an
//! epoch, for one, are more than 8,000,000 worlds by themselves, and are left to simulation.
//!
//! Small bounds run with the tests. The larger ones:
//!
//! ```text
//! cargo run --release -p weir-sim --example exhaust -- [NAME]...      (--list shows the names)
//! ```
//!
//! | bounds | R | blocks | what | distinct worlds | generated | depth | ends | seconds |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | three-late | 3 | 4 | a block late | 81,035 | 249,812 | 36 | 1,183 | 2 |
//! | three-two-batches | 3 | 3 | two batches of a lane | 23,437 | 107,399 | 19 | 83 | 1 |
//! | three-two-lanes | 3 | 3 | two lanes | 275,582 | 974,453 | 21 | 5,237 | 14 |
//! | three-crash | 3 | 1 | crash, slow disks, a block late | 1,701 | 6,831 | 11 | 6 | 0 |
//! | three-restart | 3 | 3 | crash | 64,550 | 278,545 | 22 | 571 | 2 |
//! | three-lost-disk | 3 | 3 | lost disk, a timer | 97,322 | 358,461 | 23 | 2,480 | 2 |
//! | three-handover | 3 | 5 | newcomer seated | 260,127 | 1,043,958 | 30 | 1,267 | 10 |
//! | four | 4 | 3 | | 34,561 | 135,230 | 19 | 357 | 2 |
//! | four-liar | 4 | 3 | liar, heard 3 times | 31,784 | 371,151 | 13 | 4,315 | 2 |
//! | three-two-epochs | 3 | 5 | two seals | 448,494 | 1,403,792 | 30 | 8,439 | 18 |
//! | three-later | 3 | 4 | two blocks late | 117,695 | 406,835 | 36 | 1,183 | 3 |
//! | three-two-batches-late | 3 | 4 | two batches of a lane | 960,330 | 3,886,799 | 28 | 11,922 | 31 |
//! | three-crashes | 3 | 1 | two crashes, slow disks, a block late | 6,075 | 27,486 | 12 | 18 | 0 |
//! | three-restart-late | 3 | 4 | crash | 1,022,338 | 3,301,066 | 30 | 13,379 | 25 |
//! | three-lost-disk-late | 3 | 4 | lost disk | 567,227 | 1,799,780 | 31 | 12,651 | 12 |
//! | three-handover-sealed | 3 | 6 | newcomer seated, and signs | 6,080,977 | 21,076,918 | 39 | 33,884 | 114 |
//! | four-late | 4 | 4 | | 1,485,492 | 4,926,196 | 33 | 12,846 | 29 |
//! | four-liar-sealed | 4 | 3 | liar, heard 5 times | 398,448 | 7,609,110 | 15 | 47,289 | 15 |
//! | four-liar-late | 4 | 4 | liar, heard 3 times | 580,111 | 5,842,657 | 22 | 31,760 | 22 |
//! | four-liar-lost-disk | 4 | 3 | liar, heard 3 times, and lost disk | 235,100 | 3,163,061 | 18 | 17,320 | 5 |
//!
//! Seconds are of one core of a busy two-core machine. Each of these searches was finished and found nothing
//! broken. The first nine run with the tests.
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
