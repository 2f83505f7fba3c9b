//! What a broker's turn comes to beyond what it sends: writes, reads, signatures, transactions, and what it tells.

use weir_kernel::broker::{Handed, Trace};
use weir_kernel::coordinator::Intent;
use weir_kernel::log::{Record, Table};
use weir_node::engine::{Completion, Operation};

use super::names::{Names, listed, plain, short, words};

impl Names {
    /// What was completed, where that is no message: messages are named by [`Names::frame`].
    pub fn completion(&self, completion: &Completion) -> Option<String> {
        Some(match completion {
            Completion::Frame(..) | Completion::Client(..) => return None,
            Completion::Chain(view) => format!("sees block {}", view.height),
            Completion::Durable(index) => format!("write {index} is on disk"),
            Completion::Loaded(token, chunk) => format!("read {}: {} batches", token.0, chunk.batches.len()),
            Completion::LoadFailed(token, reason) => format!("read {} failed: {}", token.0, words(reason)),
            Completion::Full(full) => format!("disk full: {full}"),
            Completion::Signed(token, _) => format!("signature {} is made", token.0),
            Completion::Handed(handed) => format!("hears of its other shard: {}", topic(handed)),
        })
    }

    /// What a broker begins, where that is no message.
    pub fn operation(&self, operation: &Operation) -> Option<String> {
        Some(match operation {
            Operation::Send { .. } | Operation::Reply(..) => return None,
            Operation::Write { index, records } => format!("writes {index}: {}", self.records(records)),
            Operation::Read { token, .. } => format!("reads {}", token.0),
            Operation::Expire(expiry) => {
                let slot = expiry.slot.map_or_else(|| "everything".to_string(), |slot| self.slot(slot));
                format!("lets go of {slot} in p{} before {}", expiry.partition, expiry.before_ms)
            }
            Operation::Sign { token, digest } => format!("signs {}: {}", token.0, short(&digest.0)),
            Operation::Submit(intent) => format!("submits {}", self.intent(intent)),
            Operation::Hand(shard, handed) => format!("tells its shard {shard}: {}", topic(handed)),
            Operation::Trace(trace) => self.told(trace),
            Operation::Refused(from, error) => format!("refuses a frame of {}: {error}", self.broker(from)),
        })
    }

    fn records(&self, records: &[Record]) -> String {
        let batches = records.iter().filter_map(|record| match record {
            Record::Batch(batch) => {
                let end = batch.sequence + u64::from(batch.count);
                Some(format!("{} {}..{end}", self.lane(&batch.lane), batch.sequence))
            }
            _ => None,
        });
        let batches: Vec<String> = batches.collect();
        let reports =
            records.iter().filter(|record| matches!(record, Record::Put { table: Table::Report, .. }));
        let (reports, rows) = (reports.count(), records.len() - batches.len());
        let batches = match batches.len() {
            0..=3 => batches.join(", "),
            count => format!("{} and {} more", batches[0], count - 1),
        };
        let report = if reports > 0 { ", a report among them" } else { "" };
        match (batches.is_empty(), rows) {
            (true, rows) => format!("{rows} rows{report}"),
            (false, 0) => batches,
            (false, rows) => format!("{batches} and {rows} rows{report}"),
        }
    }

    /// A transaction.
    pub fn intent(&self, intent: &Intent) -> String {
        match intent {
            Intent::SubmitCertificate(certificate) => {
                let sealed =
                    certificate.entries.iter().map(|e| format!("p{} epoch {}", e.partition, e.epoch));
                let (sealed, reports) = (listed(sealed.collect()), certificate.signatures.len());
                format!("a certificate of {sealed} with {reports} reports")
            }
            Intent::Rebalance(changes) => format!("{} changes of seats", changes.len()),
            Intent::Found { partition } => format!("the founding of p{partition}"),
            other => plain(other),
        }
    }

    /// What a broker tells its operator.
    pub fn told(&self, trace: &Trace) -> String {
        match trace {
            Trace::SealAdopted(partition, epoch, checksum) => {
                format!("adopts the seal of p{partition} epoch {epoch}, checksum {}", short(&checksum.0))
            }
            Trace::EpochEntered(partition, epoch) => format!("acts for p{partition} in epoch {epoch}"),
            Trace::ForkFound(partition, lane) => {
                format!("finds a fork of {} in p{partition}", self.lane(lane))
            }
            Trace::Quarantined(partition, epoch) => {
                format!("signs nothing for p{partition} up to epoch {epoch}: its disk was lost")
            }
            Trace::PartitionLeft(partition) => format!("gives back what it holds of p{partition}"),
            Trace::QuorumLost(partition, epoch) => {
                format!("p{partition} lost its quorum up to epoch {epoch}")
            }
            Trace::MisconductFound(partition, who) => {
                format!("finds that {} signed two checksums of p{partition}", self.broker(who))
            }
            Trace::PeerRefused(who, reason) => format!("refuses {}: {}", self.broker(who), words(reason)),
            Trace::DutyRefused(what) => format!("cannot do its duty: {}", words(what)),
            Trace::RowDamaged(what) => format!("finds a damaged row: {}", words(what)),
            Trace::Succeeded(_, epoch) => {
                format!("knows that another coordinator follows from epoch {epoch} on")
            }
        }
    }
}

/// What shards of a broker say to each other, in a word.
fn topic(handed: &Handed) -> String {
    match handed {
        Handed::Message(received) => {
            let text = format!("{:?}", received.message());
            text.chars().take_while(char::is_ascii_alphanumeric).collect()
        }
        Handed::Stored { slot, .. } => format!("stored in partition {} of a stream", slot.partition),
    }
}
