//! The places in a node where threads meet over shared memory and order matters, as types of their own, small
//! enough that [loom](https://docs.rs/loom) tries every interleaving of them.
//!
//! ```text
//!   engine thread ── push ──►  GroupQueue  ── take: everything that waits ──► committer thread ── write, sync
//!        ▲                        │ has_room: what waits and what the disk has not taken yet            │
//!        └──── Durable ───────────┴──────────────────────── release ◄────────────────────────────────────┘
//!
//!   engine thread ── send ──►  Fanout  ── a bounded queue a reader ── next ──► a client's task
//!                                 └ full: that reader is ended with a reason; the engine never waits, the other
//!                                   readers do not notice
//! ```
//!
//! - [`GroupQueue`]: group commit without a linger timer. An idle taker gets a single item at once; a busy one finds
//!   everything that came meanwhile, to write and sync it together. Its bound covers what was taken and is not on disk
//!   yet, so that room is credit from the disk.
//! - [`Fanout`]: what one producer has for many readers. What waits for each is bounded in items and in bytes; one that
//!   does not take what it is sent loses what waits and is told why.
//! - [`Share`]: frames that are verified on several cores, and come back in their order.
//!
//! The models are in `tests/loom.rs` and `tests/loom_share.rs`; they take a minute or two:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --package weir-queue --tests --release --target-dir target/loom
//! ```
//!
//! # Example
//!
//! ```
//! use weir_queue::GroupQueue;
//!
//! let queue = GroupQueue::new(1_000);
//! queue.push("first", 400).unwrap();
//! queue.push("second", 700).unwrap();
//! assert!(!queue.has_room(), "a bound stops the next item, not the one that reaches it");
//!
//! let group = queue.take().expect("not closed");
//! assert_eq!(group.items, ["first", "second"]);
//! assert!(!queue.has_room(), "it is not on disk yet");
//! queue.release(group.cost);
//! assert!(queue.has_room());
//!
//! queue.close();
//! assert!(queue.take().is_none());
//! ```

mod fanout;
mod group;
mod share;
mod sync;

pub use fanout::{Behind, End, Fanout, Held, Limit, Reader};
pub use group::{Group, GroupQueue};
pub use share::Share;
