//! Checksum liar: it reports checksums of what it does not hold (WP 2.4.6).
//!
//! Its reports name another checksum than the proposal's, its closing heads claim events that nobody published, and
//! whoever asks it for sealed cuts gets cuts that lead elsewhere. When it leads, its certificate names what nobody
//! signed.

use weir_kernel::agreement::{Cut, LaneHead};
use weir_kernel::broker::Message;
use weir_kernel::coordinator::Intent;
use weir_kernel::ids::LaneId;
use weir_kernel::wire;
use weir_node::engine::Operation;

use super::twisted;
use crate::world::World;

/// Events that it claims beyond what there is.
const CLAIMED: u64 = 1_000;

impl World<'_> {
    pub(super) fn say_as_checksum_liar(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        if let Operation::Submit(Intent::SubmitCertificate(mut certificate)) = operation {
            for entry in &mut certificate.entries {
                entry.checksum = twisted(entry.checksum);
            }
            return Some(Operation::Submit(Intent::SubmitCertificate(certificate)));
        }
        let Operation::Send { to, channel, frame } = operation else { return Some(operation) };
        let own = self.own_frame(node, &frame);
        let lie = match own.as_ref().map(|received| received.message().clone()) {
            Some(Message::Report(report)) => {
                let mut entry = report.entry;
                entry.checksum = twisted(entry.checksum);
                Some(self.signed(node, entry))
            }
            Some(Message::Closing { partition, epoch, round, previous, mut heads, forks }) => {
                heads.first_mut().into_iter().for_each(lift);
                Some(Message::Closing { partition, epoch, round, previous, heads, forks })
            }
            Some(Message::Cuts { partition, after_epoch, mut cuts }) => {
                cuts.last_mut().into_iter().for_each(mislead);
                Some(Message::Cuts { partition, after_epoch, cuts })
            }
            _ => None,
        };
        let frame = lie.map_or(frame, |lie| wire::encode(&lie, &[]).into());
        Some(Operation::Send { to, channel, frame })
    }
}

fn lift(head: &mut LaneHead) {
    head.next_sequence += CLAIMED;
    head.volume += CLAIMED;
    head.digest = twisted(head.digest);
}

fn mislead(cut: &mut Cut) {
    match cut.heads.last_mut() {
        Some(head) => lift(head),
        None => cut.heads.push(LaneHead { next_sequence: 1, ..LaneHead::empty(LaneId([7; 32])) }),
    }
}
