//! Digests of runs: for each node a chain over (time, input, outputs), and one over all chains.
//!
//! Two runs that differ in anything that a node saw or did have different digests, up to accidents of 2^-64: the
//! chain is 128 bits of XXH3 and not cryptographic, because it audits ourselves and should cost little. It is the same
//! number on every machine and in every build.

use weir_kernel::broker::{Command, Handed, Reply, Trace};
use weir_kernel::log::{Expiry, Record};
use weir_kernel::wire::encode_row;
use weir_node::engine::{Completion, Operation};
use xxhash_rust::xxh3::xxh3_128;

/// Everything up to a step, as one number: equal chains mean equal histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chain(pub u128);

/// What a node saw and did in one step, as bytes: kept between steps so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    /// Ends the step: the chain goes on with what was taken in since the last one.
    pub fn seal(&mut self, chain: &mut Chain) {
        self.bytes.extend_from_slice(&chain.0.to_le_bytes());
        chain.0 = xxh3_128(&self.bytes);
        self.bytes.clear();
    }

    /// Takes in a number.
    pub fn number(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Takes in bytes and their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes in what a node was told.
    pub fn completion(&mut self, completion: &Completion) {
        match completion {
            Completion::Frame(from, frame) => self.tagged(1, &[&from.0, frame]),
            Completion::Client(session, command) => {
                self.number(2);
                self.number(session.0);
                self.command(command);
            }
            Completion::Chain(view) => self.numbers(3, &[view.height]),
            Completion::Durable(index) => self.numbers(4, &[*index]),
            Completion::Loaded(token, chunk) => {
                self.numbers(5, &[token.0, chunk.last_index, chunk.order.len() as u64]);
                chunk.batches.iter().for_each(|batch| self.bytes(batch));
            }
            Completion::LoadFailed(token, reason) => {
                self.numbers(6, &[token.0]);
                self.bytes(reason.as_bytes());
            }
            Completion::Full(full) => self.numbers(8, &[u64::from(*full)]),
            Completion::Signed(token, signature) => {
                self.numbers(7, &[token.0]);
                self.bytes(signature);
            }
            Completion::Handed(handed) => {
                self.number(9);
                self.handed(handed);
            }
        }
    }

    /// Takes in what a node wants done.
    pub fn operation(&mut self, operation: &Operation) {
        match operation {
            Operation::Send { to, frame, .. } => self.tagged(11, &[&to.0, frame]),
            Operation::Write { index, records } => {
                self.numbers(12, &[*index, records.len() as u64]);
                records.iter().for_each(|record| self.record(record));
            }
            Operation::Read { token, query, budget_bytes } => {
                self.numbers(13, &[token.0, u64::from(*budget_bytes)]);
                self.bytes(&encode_row(query));
            }
            Operation::Sign { token, digest } => {
                self.numbers(14, &[token.0]);
                self.bytes(&digest.0);
            }
            Operation::Expire(Expiry { partition, slot, before_ms, up_to_index }) => {
                let of = slot.unwrap_or_default();
                self.numbers(
                    19,
                    &[u64::from(partition.0), u64::from(of.partition), *before_ms, *up_to_index],
                );
                self.bytes(&of.stream.0);
            }
            Operation::Submit(intent) => self.tagged(15, &[&encode_row(intent)]),
            Operation::Reply(session, reply) => {
                self.numbers(16, &[session.0]);
                self.reply(reply);
            }
            Operation::Hand(shard, handed) => {
                self.numbers(20, &[u64::from(*shard)]);
                self.handed(handed);
            }
            Operation::Trace(trace) => self.trace(trace),
            Operation::Refused(from, error) => self.tagged(18, &[&from.0, error.to_string().as_bytes()]),
        }
    }

    fn handed(&mut self, handed: &Handed) {
        match handed {
            Handed::Message(received) => {
                self.tagged(1, &[&encode_row(received.message())]);
                self.number(received.attached_bytes() as u64);
            }
            Handed::Stored { slot, home, holders } => {
                self.numbers(2, &[u64::from(slot.partition), u64::from(home.0)]);
                self.bytes(&slot.stream.0);
                holders.iter().for_each(|holder| self.bytes(&holder.0));
            }
        }
    }

    fn numbers(&mut self, tag: u64, numbers: &[u64]) {
        self.number(tag);
        numbers.iter().for_each(|number| self.number(*number));
    }

    fn tagged(&mut self, tag: u64, parts: &[&[u8]]) {
        self.number(tag);
        parts.iter().for_each(|part| self.bytes(part));
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Batch(batch) => {
                self.numbers(1, &[u64::from(batch.partition.0), batch.index, batch.sequence]);
                self.bytes(&batch.lane.0);
            }
            Record::Truncate { partition, lane, from } => {
                self.numbers(2, &[u64::from(partition.0), *from]);
                self.bytes(&lane.0);
            }
            Record::Put { table, key, value } => self.tagged(3 + ((*table as u64) << 8), &[key, value]),
            Record::Remove { table, key } => self.tagged(4 + ((*table as u64) << 8), &[key]),
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Identify(identity) => self.tagged(1, &[&identity.unwrap_or_default().0]),
            Command::Publish { request, batch, level } => {
                self.numbers(2, &[*request, *level as u64]);
                self.bytes(&batch.digest().0);
            }
            Command::Read { request, slot, .. } => {
                self.numbers(3, &[*request, u64::from(slot.partition)]);
                self.bytes(&slot.stream.0);
            }
            Command::Subscribe { request, stream, partitions, .. } => {
                self.numbers(4, &[*request, partitions.len() as u64]);
                self.bytes(&stream.0);
            }
            Command::More { request, bytes } => self.numbers(5, &[*request, *bytes]),
            Command::Cancel { request } => self.numbers(6, &[*request]),
            Command::Close => self.number(7),
        }
    }

    fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Published { request, lane, next_sequence, level } => {
                self.numbers(1, &[*request, *next_sequence, *level as u64]);
                self.bytes(&lane.0);
            }
            Reply::Refused { request, refusal } => {
                self.numbers(2, &[*request]);
                self.bytes(refusal.reason.as_bytes());
            }
            Reply::Chunk { request, slot, chunk } => {
                self.numbers(3, &[*request, u64::from(slot.partition), chunk.last_index]);
                for slice in &chunk.order {
                    self.numbers(
                        0,
                        &[u64::from(slice.batch), u64::from(slice.first), u64::from(slice.count)],
                    );
                }
            }
            Reply::End { request } => self.numbers(4, &[*request]),
            Reply::CaughtUp { request, slot } => self.numbers(5, &[*request, u64::from(slot.partition)]),
            Reply::Live { request, batch, first, .. } => {
                self.numbers(6, &[*request, u64::from(*first)]);
                self.bytes(&batch.digest().0);
            }
            Reply::Withdrawn { request, lane, from } => {
                self.numbers(7, &[*request, *from]);
                self.bytes(&lane.0);
            }
        }
    }

    fn trace(&mut self, trace: &Trace) {
        match trace {
            Trace::PeerRefused(peer, reason) => self.tagged(21, &[&peer.0, reason.as_bytes()]),
            Trace::ForkFound(partition, lane) => {
                self.numbers(22, &[u64::from(partition.0)]);
                self.bytes(&lane.0);
            }
            Trace::SealAdopted(partition, epoch, checksum) => {
                self.numbers(23, &[u64::from(partition.0), *epoch]);
                self.bytes(&checksum.0);
            }
            Trace::EpochEntered(partition, epoch) => self.numbers(24, &[u64::from(partition.0), *epoch]),
            Trace::Quarantined(partition, epoch) => self.numbers(25, &[u64::from(partition.0), *epoch]),
            Trace::RowDamaged(what) => self.tagged(26, &[what.as_bytes()]),
            Trace::DutyRefused(what) => self.tagged(27, &[what.as_bytes()]),
            Trace::Succeeded(successor, epoch) => {
                self.numbers(28, &[*epoch]);
                self.bytes(&successor.0);
            }
            Trace::PartitionLeft(partition) => self.numbers(34, &[u64::from(partition.0)]),
            Trace::QuorumLost(partition, epoch) => self.numbers(29, &[u64::from(partition.0), *epoch]),
            Trace::MisconductFound(partition, broker) => {
                self.numbers(30, &[u64::from(partition.0)]);
                self.bytes(&broker.0);
            }
        }
    }
}

/// Bytes of a frame, for tests.
#[cfg(test)]
fn frame(bytes: &'static [u8]) -> Completion {
    Completion::Frame(weir_kernel::ids::Address([1; 20]), bytes::Bytes::from_static(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_its_place_count() {
        let digest = |completions: &[Completion]| {
            let (mut chain, mut transcript) = (Chain::default(), Transcript::default());
            completions.iter().for_each(|completion| transcript.completion(completion));
            transcript.seal(&mut chain);
            chain
        };
        let runs = [
            digest(&[frame(b"one"), frame(b"two")]),
            digest(&[frame(b"two"), frame(b"one")]),
            digest(&[frame(b"one"), frame(b"twp")]),
            digest(&[frame(b"one"), frame(b"two\0")]),
            digest(&[frame(b"onet"), frame(b"wo")]),
            digest(&[Completion::Durable(1)]),
        ];
        // Where a step ends counts as well.
        let (mut chain, mut transcript) = (Chain::default(), Transcript::default());
        for completion in [frame(b"one"), frame(b"two")] {
            transcript.completion(&completion);
            transcript.seal(&mut chain);
        }
        assert_ne!(chain, runs[0]);
        let distinct: std::collections::BTreeSet<_> = runs.into_iter().collect();
        assert_eq!(distinct.len(), runs.len());
        assert_eq!(digest(&[frame(b"one"), frame(b"two")]), runs[0]);
    }
}
