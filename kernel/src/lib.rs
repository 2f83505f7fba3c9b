//! The kernel of weir: the protocol as pure state machines and rules. This page is its specification's first page.
//!
//! weir is an implementation of the network in the Streamr whitepaper (2017; `WP` below names its sections). Anyone
//! publishes signed real-time events to streams. Independent brokers carry, keep and deliver them. Ethereum contracts
//! assign partitions to brokers and pay those that agree on checksums of what they hold.
//!
//! ```text
//!   publisher ── batch ──► edge ── Append ──► R replicas of a partition ── Live ──► edge ──► subscriber
//!                            ◄─ Acknowledge ──┤  write, sync, acknowledge
//!                                             │
//!                     when an epoch ends      ├─ closing heads ─► leader ─ cut ─► q signed reports
//!                                             ▼                                     │
//!                                         rolling checksum                          ▼
//!                             contracts: seats by useful changes ◄──────── certificate, rewards
//! ```
//!
//! Nothing here reads a clock, draws entropy, starts a thread or does I/O: time, chain, disk and network are
//! arguments. The same code runs in a node and in the simulator, and a run is repeated by repeating its inputs.
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | event | a timestamped piece of information with headers and content (WP 2.4.1) |
//! | stream | a set of events with one id, the address of its contract, and permissions (WP 2.4.2) |
//! | stream partition | one of a stream's own shares, chosen by the publisher's partition key (WP 2.4.5) |
//! | partition | one share of the whole network's traffic; brokers hold seats in partitions |
//! | lane | what one publisher sends to one stream partition in one run of its program: a hash chain with a meter |
//! | home | the partition that a lane lives in, fixed by its opening block |
//! | batch | consecutive events of one lane under one signature; one event is a batch of one |
//! | broker | a node: a *replica* where it has a seat, an *edge* for the clients connected to it |
//! | epoch | a fixed span of chain blocks; each partition is *sealed* once an epoch |
//! | cut | for one partition, the head of every lane that moved since the last seal |
//! | R, f, q | seats a partition; liars tolerated f = ⌊(R−1)/3⌋; quorum q = ⌊(R+f)/2⌋+1 (R=3→2, 4→3, 5→4, 7→5) |
//!
//! # Where what is specified
//!
//! | subject | module | pinned by |
//! | --- | --- | --- |
//! | events, batches, lanes: every byte (WP 2.4.1, 2.4.9) | [`batch`] | `vectors/batch.json` |
//! | Merkle tree and paths | [`merkle`] | `vectors/batch.json` |
//! | EIP-712 domains and hashes | [`typed_data`], [`signature`] | `vectors/batch.json`, an independent checker |
//! | partition key → stream partition (WP 2.4.5) | [`partition_key`] | `vectors/batch.json` |
//! | stream partition → partition, seats, tickets, epochs, rewards (WP 2.4.5–2.4.7) | [`coordinator`] | the contracts' bytecode |
//! | more partitions, and which of them a lane lives in | [`coordinator::growth`], [`coordinator::homes`] | |
//! | cuts, checksums, forks, rounds (WP 2.4.6) | [`agreement`] | `vectors/frames.txt` |
//! | who may publish what (WP 2.4.2), and what has to be allotted for it (WP 2.4.7) | [`broker::admission`], [`broker::deposits`] | |
//! | what a broker asks of the chain (WP 2.4.6, 2.4.7) | [`broker::duties`] | |
//! | frames between brokers | [`wire`], [`broker::Message`] | `vectors/frames.txt` |
//! | what is on disk | [`log`], [`broker::rows`] | |
//! | what is let go, and what a late replica or reader believes of it (WP 2.4.8) | [`broker::retention`] | |
//! | when a former member gives its room back (WP 2.4.8) | [`broker::former`] | |
//! | every bound | [`limits`] | compile-time relations |
//! | mistakes that tests plant, and marks that they count | [`rules`], [`marks`] | |
//!
//! # Writing a client
//!
//! A publisher needs a secp256k1 key, the chain's id, the stream's address and number of partitions, and the height
//! of a recent block.
//!
//! 1. Choose the stream partition: [`partition_key::partition_of_key`].
//! 2. Open a lane: a random 16-byte nonce and as *opening block* the height just read. The origin must have been
//!    allowed to publish after that block. A lane takes new events for [`limits::LANE_LIFETIME_EPOCHS`] epochs.
//! 3. Put consecutive events into a batch, build the tree, fill the header, sign its signing hash ([`batch`]).
//! 4. Send the batch's bytes to any broker. *Accepted* means that this edge has checked it and passed it on; *stored*
//!    that q replicas have it on disk; *sealed* that a certificate on chain covers it.
//! 5. No answer? Send the identical bytes again, here or elsewhere: (lane, sequence) names an event, so nothing is
//!    stored twice. Never sign other bytes for the same sequence: two such headers are a proof of fraud, and the lane
//!    ends at its last sealed head.
//!
//! A reader that wants to trust no broker asks for signed batches, checks the signature and the root, and follows the
//! lane: consecutive sequences, each header naming the digest of the one before. A single event carries its Merkle
//! path ([`verify::verify_event`]).
//!
//! # What holds, and when
//!
//! With at most f lying replicas in a partition and fewer than q−f lost disks (counting a disk until its replica has
//! fetched everything again and may sign):
//!
//! - what was acknowledged as *stored* in an epoch is in that epoch's cut or in the next sealed one, unless its own
//!   publisher forked the lane;
//! - no two different checksums are sealed for one partition and epoch;
//! - within a lane, a subscriber gets every event once and in order;
//! - a live subscription gets whatever is stored, although its edge follows one replica at a time, which may lie: when
//!   an epoch begins, f+1 others say which lanes moved, and if something does not come within
//!   [`limits::SURVEY_GRACE_US`] the subscription moves to who shows it. So what a source leaves out comes soon after
//!   the next epoch begins or, if not all replicas have it by then, after the one in which it is sealed; and f liars
//!   one after the other delay it by f epochs. That goes for lanes that replicas remember, those of the last
//!   [`limits::LANE_LIFETIME_EPOCHS`] epochs.
//!
//! Sealing goes on while at most R−q seats are silent, lying, vacant or waiting after a lost disk. The reasons are
//! with the rules: `stored` and the seal use one quorum, nobody signs below its closing heads, and a replica closes
//! an epoch on disk before it acknowledges in the next ([`broker`]).
//!
//! # Example
//!
//! A broker is driven by inputs; what it wants done comes out.
//!
//! ```
//! use std::sync::Arc;
//! use weir_kernel::broker::{Input, Output, Shard};
//! use weir_kernel::coordinator::State;
//! use weir_kernel::ids::Address;
//! use weir_kernel::log::Checkpoint;
//! use weir_kernel::time::Now;
//!
//! let chain = Arc::new(State::default());
//! let mut broker = Shard::open(Address([1; 20]), chain.clone(), &Checkpoint::default())?;
//! let mut outputs = Vec::new();
//! broker.step(Now::default(), Input::Chain(chain), &mut outputs);
//! // A new broker writes down whose store this is before it does anything else.
//! assert!(matches!(outputs[..], [Output::Write(1, _)]));
//! broker.step(Now::default(), Input::Durable(1), &mut outputs);
//! # Ok::<(), weir_kernel::broker::OpenError>(())
//! ```
//!
//! # Where this goes its own way
//!
//! - A lane is opened at a *block*, not at an epoch: see [`batch`].
//! - A cut names only the heads that *moved*. The checksum rolls, so the chain of cuts fixes every lane, and an idle
//!   partition's cut is empty instead of growing with every lane it ever had.
//! - A replaced replica takes nothing new in, and does not keep what it has for good: once every member has signed an
//!   epoch of the new set, and the set has lasted for a while, it gives its room back. See [`broker::former`].
//! - A replica that was away answers readers only after so many peers have told it what was stored without it that an
//!   honest one of them holds it: see the replica's `presence` module.
//! - When partitions are added, a stream partition does not move at a certificate of its old home: a lane stays in its
//!   home for life, and lanes that open later live in the new one. See [`coordinator::homes`].
//! - Closing heads are not a row on disk of their own. What is on disk is the epoch that a replica has entered; after
//!   a restart its closing heads are what its log holds, which is never below what it had acknowledged.

#![no_std]
extern crate alloc;

pub mod agreement;
pub mod batch;
pub mod broker;
pub mod codec;
pub mod coordinator;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod log;
pub mod marks;
pub mod merkle;
pub mod partition_key;
pub mod rules;
pub mod signature;
pub mod time;
pub mod typed_data;
pub mod verify;
pub mod wire;
