//! Publishers of a fuzzed network: honest ones, whose events must never be lost, and one that forks its lanes.

use std::sync::Arc;

use weir_kernel::agreement::{Fork, LaneHead};
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, SignedHeader, content_type};
use weir_kernel::ids::{Address, Hash, LaneId, StreamPartition};
use weir_kernel::signature::{KEYED_HASH, KeyedReportVerifier};
use weir_kernel::verify::{Verified, verify};

use crate::input::Input;
use crate::verifier::{DOMAIN, in_session, sign_batch};

/// The publisher that forks its lanes.
pub const FORGER: Address = Address([0xF0; 20]);

/// One lane, with everything that was ever signed in it.
#[derive(Debug)]
pub struct Lane {
    writer: LaneWriter,
    /// Its id.
    pub id: LaneId,
    /// Where it lives.
    pub slot: StreamPartition,
    /// Whether its publisher signs two branches.
    pub forges: bool,
    /// Every signed batch; those of an honest lane are one chain.
    pub batches: Vec<Verified<Batch>>,
}

impl Lane {
    /// Opens a lane. `number` tells the lanes of a run apart.
    pub fn open(slot: StreamPartition, opening_block: u64, number: u8, forges: bool) -> Self {
        let origin = if forges { FORGER } else { Address([0xA0 + number % 2; 20]) };
        let writer = LaneWriter::new(slot, origin, opening_block, [number; 16], Hash::ZERO, KEYED_HASH);
        let writer = match number % 3 {
            0 => {
                in_session(writer, Address([0xE0 + number % 2; 20]), u64::MAX).expect("a session of its own")
            }
            _ => writer,
        };
        Self { id: writer.lane(), writer, slot, forges, batches: Vec::new() }
    }

    /// Signs the next batch; a forger may sign another one for the same place first, or go on from any branch.
    pub fn write(&mut self, input: &mut Input<'_>, time_ms: u64) -> Verified<Batch> {
        if self.forges && !self.batches.is_empty() && input.byte() & 1 == 1 {
            let branch = input.pick(&self.batches).expect("there is one");
            self.writer = LaneWriter::resume(&branch.signed_header());
        }
        let count = 1 + input.below(3);
        let time_ms = time_ms.max(self.writer.last_time_ms());
        let content = input.bytes(8);
        self.write_events(vec![NewEvent::new(time_ms, content_type::BINARY, content); count])
    }

    /// Signs these events as the next batch.
    pub fn write_events(&mut self, events: Vec<NewEvent>) -> Verified<Batch> {
        let unsigned = self.writer.next_batch(events).expect("small events fit");
        let batch = sign_batch(unsigned);
        let batch =
            verify(Arc::clone(batch.bytes()), DOMAIN.chain_id, &KeyedReportVerifier).expect("just signed");
        self.batches.push(batch.clone());
        batch
    }

    /// The head after each signed batch.
    pub fn heads(&self) -> impl Iterator<Item = LaneHead> + '_ {
        self.batches.iter().map(|batch| {
            let header = batch.header();
            LaneHead {
                lane: self.id,
                next_sequence: header.next_sequence(),
                volume: header.volume,
                digest: batch.digest(),
            }
        })
    }

    /// A proof of its fork, if two of its batches are one.
    pub fn fork(&self, input: &mut Input<'_>) -> Option<Fork> {
        let a: SignedHeader = input.pick(&self.batches)?.signed_header().into_inner();
        let b: SignedHeader = input.pick(&self.batches)?.signed_header().into_inner();
        Fork::new(a, b)
    }
}
