//! Once: a process sends a certificate once, and any other transaction not again before the first had its time,
//! because each time costs gas; and a broker adopts cuts in rising epochs, whatever happens to its process (WP 2.4.6,
//! 2.4.7). What it had adopted and not synced when its process ended it may adopt again.

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::coordinator::{Entry, Intent};
use weir_kernel::ids::{Address, Epoch, Hash, PartitionId};

use crate::by_address::ByAddress;
use crate::report::Violation;
use crate::surroundings::note;

/// Blocks that a transaction has to show an effect.
const PATIENCE_BLOCKS: u64 = 3;

/// What was sent and adopted so far.
#[derive(Debug, Default)]
pub struct Once {
    sent: ByAddress<BTreeSet<Hash>>,
    /// Other transactions of the last blocks, each with the newest block that its sender had seen.
    recent: BTreeMap<Address, Vec<(u64, Intent)>>,
    adopted: ByAddress<Adopted>,
}

/// The cuts that a broker adopted last.
#[derive(Debug, Default)]
struct Adopted {
    last: BTreeMap<PartitionId, Epoch>,
    /// Of those, the ones that a crash cannot take back.
    durable: BTreeMap<PartitionId, Epoch>,
    /// The others, with the write that holds them.
    unsynced: Vec<(u64, PartitionId, Epoch)>,
    written: u64,
}

impl Once {
    /// A broker, which has seen the chain up to a height, sends a transaction.
    pub fn on_submit(
        &mut self,
        now_us: u64,
        (who, height): (Address, u64),
        intent: &Intent,
        violations: &mut Vec<Violation>,
    ) {
        let certificate = match intent {
            Intent::SubmitCertificate(certificate) => certificate,
            // It is sent when it is signed, which may be a block later than it was wanted.
            Intent::ReportLate(_) => return,
            _ => return self.on_duty(now_us, (who, height), intent, violations),
        };
        for Entry { partition, epoch, .. } in
            certificate.entries.iter().filter(|entry| !self.sent.entry(who).or_default().insert(entry.hash()))
        {
            let what =
                format!("{who} pays again for its certificate of partition {partition}, epoch {epoch}");
            note(violations, now_us, "paid once", what);
        }
    }

    fn on_duty(
        &mut self,
        now_us: u64,
        (who, height): (Address, u64),
        intent: &Intent,
        violations: &mut Vec<Violation>,
    ) {
        let recent = self.recent.entry(who).or_default();
        recent.retain(|(sent, _)| sent + PATIENCE_BLOCKS > height);
        if let Some((sent, _)) = recent.iter().find(|(_, known)| known == intent) {
            let what = format!("{who} sends {intent:?} at block {height} and sent it at block {sent}");
            note(violations, now_us, "paid once", what);
        } else {
            recent.push((height, intent.clone()));
        }
    }

    /// A broker hands a write to its disk.
    pub fn on_write(&mut self, who: Address, index: u64) {
        self.adopted.entry(who).or_default().written = index;
    }

    /// Every write of a broker up to this one is on its disk.
    pub fn on_synced(&mut self, who: Address, index: u64) {
        let Some(adopted) = self.adopted.get_mut(&who) else { return };
        let synced = adopted.unsynced.iter().filter(|(written, ..)| *written <= index);
        adopted.durable.extend(synced.map(|(_, partition, epoch)| (*partition, *epoch)));
        adopted.unsynced.retain(|(written, ..)| *written > index);
    }

    /// A broker adopts a cut, with the last write that it handed over.
    pub fn on_adopted(
        &mut self,
        now_us: u64,
        who: Address,
        (partition, epoch): (PartitionId, Epoch),
        violations: &mut Vec<Violation>,
    ) {
        let adopted = self.adopted.entry(who).or_default();
        adopted.unsynced.push((adopted.written, partition, epoch));
        let before = adopted.last.insert(partition, epoch);
        if before.is_some_and(|before| before >= epoch) {
            let what = format!("{who} adopts epoch {epoch} of partition {partition} after epoch {before:?}");
            note(violations, now_us, "cuts rise", what);
        }
    }

    /// A broker gave back what it holds of a partition: if it comes back, it begins anew.
    pub fn on_left(&mut self, who: Address, partition: PartitionId) {
        let adopted = self.adopted.entry(who).or_default();
        adopted.last.remove(&partition);
        adopted.durable.remove(&partition);
        adopted.unsynced.retain(|(_, of, _)| *of != partition);
    }

    /// A broker's process ended; without its disk it begins anew.
    pub fn on_crash(&mut self, who: Address, wiped: bool) {
        self.sent.swap_remove(&who);
        self.recent.remove(&who);
        if wiped {
            self.adopted.swap_remove(&who);
        } else if let Some(adopted) = self.adopted.get_mut(&who) {
            adopted.last = adopted.durable.clone();
            adopted.unsynced.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Address = Address([1; 20]);

    fn adopts(once: &mut Once, index: u64, epoch: Epoch) -> bool {
        let mut violations = Vec::new();
        once.on_write(WHO, index);
        once.on_adopted(0, WHO, (PartitionId(2), epoch), &mut violations);
        violations.is_empty()
    }

    #[test]
    fn a_transaction_has_its_time_before_it_is_sent_again() {
        let (mut once, mut violations) = (Once::default(), Vec::new());
        let mut sends = |once: &mut Once, height, intent: &Intent| {
            once.on_submit(0, (WHO, height), intent, &mut violations);
            violations.drain(..).count() == 0
        };
        assert!(sends(&mut once, 5, &Intent::Claim) && sends(&mut once, 5, &Intent::Rejoin));
        assert!(!sends(&mut once, 7, &Intent::Claim));
        assert!(sends(&mut once, 8, &Intent::Claim));
        once.on_crash(WHO, false);
        assert!(sends(&mut once, 9, &Intent::Claim), "the process that sent it is gone");
    }

    #[test]
    fn a_cut_is_adopted_again_only_if_a_crash_took_it_back() {
        let mut once = Once::default();
        assert!(adopts(&mut once, 1, 4) && adopts(&mut once, 2, 5));
        once.on_synced(WHO, 1);
        once.on_crash(WHO, false);
        assert!(adopts(&mut once, 2, 5), "it was not on disk");
        assert!(!adopts(&mut once, 3, 5), "nothing took it back");
        once.on_synced(WHO, 3);
        once.on_crash(WHO, false);
        assert!(!adopts(&mut once, 4, 5), "it was on disk");
        once.on_crash(WHO, true);
        assert!(adopts(&mut once, 1, 5), "the disk is gone");
    }
}
