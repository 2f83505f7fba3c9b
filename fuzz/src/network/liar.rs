//! A Byzantine broker: it holds seats and its own key, and says anything that is well-formed.
//!
//! It can repeat what it has seen, name lanes and heads that exist or do not, and sign any report as itself. It
//! cannot sign for others, which is all that the protocol asks of cryptography.

use std::sync::Arc;

use weir_kernel::agreement::{Cut, Fork, LaneHead};
use weir_kernel::broker::{Message, MovedLane, RefusalCode, SignedEntry};
use weir_kernel::coordinator::{Entry, State, report_signing_hash};
use weir_kernel::ids::{Address, Hash, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::log::{Position, Query, Slice, Table};
use weir_kernel::signature::keyed_report;

use super::publisher::Lane;
use crate::input::Input;
use crate::verifier::DOMAIN;

/// What a liar knows when it speaks.
pub struct Knowledge<'a> {
    /// Who it is.
    pub me: Address,
    /// The chain.
    pub state: &'a State,
    /// Every lane with everything signed in it.
    pub lanes: &'a [Lane],
    /// The stream.
    pub stream: StreamId,
}

impl Knowledge<'_> {
    /// A message out of the fuzzer's bytes, with its batches.
    pub fn message(&self, input: &mut Input<'_>) -> (Message, Vec<Arc<[u8]>>) {
        let message = self.bare_message(input);
        let most = match message {
            Message::Append { .. } | Message::Repair { .. } | Message::Answer { .. } => 4,
            Message::Live { .. } => 1,
            _ => 0,
        };
        let batches = (0..most).filter_map(|_| self.batch(input)).collect();
        (message, batches)
    }

    fn bare_message(&self, input: &mut Input<'_>) -> Message {
        let kind = input.below(26);
        let partition = PartitionId(input.below(3) as u32);
        match kind {
            0 => Message::Append { partition },
            1 => Message::Acknowledge { partition, epoch: self.epoch(input), heads: self.heads(input) },
            2 => self.refuse(input, partition),
            3 => Message::Fetch { partition, lane: self.lane(input), from: input.number() },
            4 => Message::Repair { partition, lane: self.lane(input) },
            5 => Message::Closing {
                partition,
                epoch: self.epoch(input),
                round: self.round(input),
                previous: self.previous(input, partition),
                heads: self.heads(input),
                forks: self.forks(input),
            },
            6 => Message::Propose { round: self.round(input), cut: self.cut(input, partition) },
            7 => Message::Report(self.report(input, partition)),
            8 => Message::Decline {
                partition,
                epoch: self.epoch(input),
                round: self.round(input),
                heads: self.heads(input),
                forks: self.forks(input),
            },
            9 => Message::Sealed { partition, epoch: self.epoch(input), heads: self.heads(input) },
            10 => Message::HeadsWanted { partition },
            11 => Message::Heads { partition, heads: self.heads(input) },
            12 => Message::CutsWanted { partition, after_epoch: self.epoch(input) },
            13 => self.cuts(input, partition),
            14 => {
                Message::Read { token: input.number(), query: self.query(input, partition), budget_bytes: 9 }
            }
            15 => self.answer(input, partition),
            16 => Message::ReadFailed { token: input.number(), reason: "no".to_string() },
            17 => Message::Follow { partition, slot: self.slot(input) },
            18 => Message::Following { partition, slot: self.slot(input), index: input.number() },
            19 => Message::Unfollow { partition, slot: self.slot(input) },
            20 => Message::Live {
                partition,
                slot: self.slot(input),
                previous_index: input.number(),
                index: input.number(),
            },
            21 => Message::Withdrawn {
                partition,
                slot: self.slot(input),
                lane: self.lane(input),
                from: input.number(),
            },
            22 => Message::Survey {
                partition,
                slot: self.slot(input),
                since: self.epoch(input),
                after: self.after(input),
            },
            23 => self.surveyed(input, partition),
            24 => Message::ReadLane {
                token: input.number(),
                partition,
                lane: self.lane(input),
                from: input.number(),
            },
            _ => self.gone(input, partition),
        }
    }

    fn refuse(&self, input: &mut Input<'_>, partition: PartitionId) -> Message {
        let (lane, sequence) = (self.lane(input), input.number());
        let codes = [RefusalCode::Invalid, RefusalCode::Forked, RefusalCode::Unavailable];
        let code = *input.pick(&codes).expect("three");
        Message::Refuse { partition, lane, sequence, code, reason: "so it is".to_string() }
    }

    fn cuts(&self, input: &mut Input<'_>, partition: PartitionId) -> Message {
        let after_epoch = self.epoch(input);
        let cuts = (0..input.below(3)).map(|_| self.cut(input, partition)).collect();
        Message::Cuts { partition, after_epoch, cuts }
    }

    /// What moved, of the real lanes and of others. Who asked has asked since the beginning, or a few epochs ago.
    fn surveyed(&self, input: &mut Input<'_>, partition: PartitionId) -> Message {
        let since = if input.byte() & 1 == 1 { 0 } else { self.epoch(input).saturating_sub(2) };
        let (slot, after) = (self.slot(input), self.after(input));
        let mut lanes: Vec<MovedLane> = (0..input.below(4)).filter_map(|_| self.moved(input)).collect();
        if input.byte() != 0 {
            lanes.sort_by_key(|moved| moved.lane);
            lanes.dedup_by_key(|moved| moved.lane);
        }
        let (up_to, more) = (self.epoch(input), input.byte() > 200);
        Message::Surveyed { partition, slot, since, after, up_to, lanes, more }
    }

    fn moved(&self, input: &mut Input<'_>) -> Option<MovedLane> {
        let lane = input.pick(self.lanes)?;
        let header = input.pick(&lane.batches)?.header();
        Some(MovedLane {
            lane: if input.byte() == 0 { LaneId([input.byte(); 32]) } else { lane.id },
            next_sequence: input.near(header.next_sequence()),
            opening_block: input.near(header.opening_block),
            last_time_ms: input.near(header.last_time_ms),
        })
    }

    /// That the beginning of a lane is not kept, with a real header or none.
    fn gone(&self, input: &mut Input<'_>, partition: PartitionId) -> Message {
        let (epoch, before) = (self.epoch(input), input.number());
        let of = input.pick(self.lanes);
        let last = of.and_then(|lane| input.pick(&lane.batches));
        let header =
            last.filter(|_| input.byte() & 1 == 1).map(|batch| Box::new(batch.signed_header().into_inner()));
        Message::Gone { partition, lane: self.lane(input), epoch, before, header }
    }

    /// After which lane a list goes on: mostly it begins.
    fn after(&self, input: &mut Input<'_>) -> LaneId {
        if input.byte() > 200 { self.lane(input) } else { LaneId::ZERO }
    }

    fn answer(&self, input: &mut Input<'_>, partition: PartitionId) -> Message {
        let order = (0..input.below(3)).map(|_| {
            let (batch, first, count) = (input.byte() % 3, input.number(), input.number());
            Slice { batch: u32::from(batch), first: first as u32, count: count as u32 }
        });
        let order = order.collect();
        let next = (input.byte() & 1 == 1).then(|| self.query(input, partition));
        let (token, last_index, total) = (input.number(), input.number(), input.number());
        Message::Answer { token, order, last_index, total, next }
    }

    fn query(&self, input: &mut Input<'_>, partition: PartitionId) -> Query {
        let slot = self.slot(input);
        match input.below(5) {
            0 => Query::Range {
                partition,
                slot,
                from: Position::at(input.number()),
                to: Position::at(u64::MAX),
                up_to_index: input.number(),
                origin: None,
            },
            1 => Query::Last { partition, slot, count: input.number(), up_to_index: input.number() },
            2 => Query::Append { partition, slot, after_index: input.number() },
            3 => Query::Lane { lane: self.lane(input), from: input.number() },
            _ => Query::Rows { table: Table::Marker, prefix: vec![], after: vec![] },
        }
    }

    fn batch(&self, input: &mut Input<'_>) -> Option<Arc<[u8]>> {
        let lane = input.pick(self.lanes)?;
        input.pick(&lane.batches).map(|batch| Arc::clone(batch.bytes()))
    }

    fn slot(&self, input: &mut Input<'_>) -> StreamPartition {
        let stream = if input.byte() == 255 { StreamId([7; 20]) } else { self.stream };
        StreamPartition { stream, partition: input.below(5) as u32 }
    }

    fn lane(&self, input: &mut Input<'_>) -> LaneId {
        input.pick(self.lanes).map_or(LaneId([9; 32]), |lane| lane.id)
    }

    fn epoch(&self, input: &mut Input<'_>) -> u64 {
        input.near(self.state.epoch())
    }

    fn round(&self, input: &mut Input<'_>) -> u32 {
        input.byte().min(3).into()
    }

    fn previous(&self, input: &mut Input<'_>, partition: PartitionId) -> Hash {
        let on_chain = self.state.partition(partition).map_or(Hash::ZERO, |partition| partition.checksum);
        if input.byte() > 250 { Hash([input.byte(); 32]) } else { on_chain }
    }

    /// Real heads, and some that are near a real one.
    fn heads(&self, input: &mut Input<'_>) -> Vec<LaneHead> {
        let all: Vec<LaneHead> = self.lanes.iter().flat_map(Lane::heads).collect();
        let mut heads: Vec<LaneHead> = (0..input.below(4))
            .filter_map(|_| {
                let mut head = *input.pick(&all)?;
                match input.byte() {
                    0 => head.next_sequence = input.near(head.next_sequence),
                    1 => head.volume = input.near(head.volume),
                    2 => head.digest = Hash([input.byte(); 32]),
                    3 => head.lane = LaneId([input.byte(); 32]),
                    _ => {}
                }
                Some(head)
            })
            .collect();
        if input.byte() != 0 {
            heads.sort();
            heads.dedup_by_key(|head| head.lane);
        }
        heads
    }

    fn forks(&self, input: &mut Input<'_>) -> Vec<Fork> {
        let forgers: Vec<&Lane> = self.lanes.iter().filter(|lane| lane.forges).collect();
        let mut forks: Vec<Fork> = (0..input.below(3))
            .filter_map(|_| {
                let forger = *input.pick(&forgers)?;
                forger.fork(input)
            })
            .collect();
        forks.sort_by_key(Fork::lane);
        forks
    }

    fn cut(&self, input: &mut Input<'_>, partition: PartitionId) -> Cut {
        Cut {
            partition,
            epoch: input.near(self.state.epoch().saturating_sub(1)),
            previous: self.previous(input, partition),
            heads: self.heads(input),
            forks: self.forks(input),
        }
    }

    fn report(&self, input: &mut Input<'_>, partition: PartitionId) -> SignedEntry {
        let cut = self.cut(input, partition);
        let entry = Entry {
            partition,
            epoch: cut.epoch,
            round: self.round(input),
            previous: cut.previous,
            checksum: cut.checksum(),
            events: input.number(),
            volume: input.number(),
        };
        let digest = report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &entry.hash());
        SignedEntry { entry, signature: keyed_report(&self.me, &digest).to_vec() }
    }
}
