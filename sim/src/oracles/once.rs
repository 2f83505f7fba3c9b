//! Once: a process sends a certificate once, because each time costs gas; and a broker adopts cuts in rising epochs,
//! whatever happens to its process (WP 2.4.6, 2.4.7). What it had adopted and not synced when its process ended it may
//! adopt again.

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::coordinator::{Entry, Intent};
use weir_kernel::ids::{Address, Epoch, Hash, PartitionId};

use crate::by_address::ByAddress;
use crate::report::Violation;
use crate::surroundings::note;

/// What was sent and adopted so far.
#[derive(Debug, Default)]
pub struct Once {
    sent: ByAddress<BTreeSet<Hash>>,
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
    /// A broker sends a transaction.
    pub fn on_submit(&mut self, now_us: u64, who: Address, intent: &Intent, violations: &mut Vec<Violation>) {
        let Intent::SubmitCertificate(certificate) = intent else { return };
        for Entry { partition, epoch, .. } in
            certificate.entries.iter().filter(|entry| !self.sent.entry(who).or_default().insert(entry.hash()))
        {
            let what =
                format!("{who} pays again for its certificate of partition {partition}, epoch {epoch}");
            note(violations, now_us, "paid once", what);
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

    /// A broker's process ended; without its disk it begins anew.
    pub fn on_crash(&mut self, who: Address, wiped: bool) {
        self.sent.swap_remove(&who);
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
