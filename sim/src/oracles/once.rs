//! Once: a process sends a certificate once, because each time costs gas; and a broker adopts cuts in rising epochs,
//! whatever happens to its process (WP 2.4.6, 2.4.7).

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::coordinator::{Entry, Intent};
use weir_kernel::ids::{Address, Epoch, Hash, PartitionId};

use crate::report::Violation;
use crate::surroundings::note;

/// What was sent and adopted so far.
#[derive(Debug, Default)]
pub struct Once {
    sent: BTreeMap<Address, BTreeSet<Hash>>,
    adopted: BTreeMap<(Address, PartitionId), Epoch>,
}

impl Once {
    /// A broker sends a transaction.
    pub fn on_submit(&mut self, now_us: u64, who: Address, intent: &Intent, violations: &mut Vec<Violation>) {
        let Intent::SubmitCertificate(certificate) = intent else { return };
        let entry: &Entry = &certificate.entry;
        if !self.sent.entry(who).or_default().insert(entry.hash()) {
            let (partition, epoch) = (entry.partition, entry.epoch);
            let what =
                format!("{who} pays again for its certificate of partition {partition}, epoch {epoch}");
            note(violations, now_us, "paid once", what);
        }
    }

    /// A broker adopts a cut.
    pub fn on_adopted(
        &mut self,
        now_us: u64,
        who: Address,
        (partition, epoch): (PartitionId, Epoch),
        violations: &mut Vec<Violation>,
    ) {
        let before = self.adopted.insert((who, partition), epoch);
        if before.is_some_and(|before| before >= epoch) {
            let what = format!("{who} adopts epoch {epoch} of partition {partition} after epoch {before:?}");
            note(violations, now_us, "cuts rise", what);
        }
    }

    /// A broker's process ended; without its disk it begins anew.
    pub fn on_crash(&mut self, who: Address, wiped: bool) {
        self.sent.remove(&who);
        if wiped {
            self.adopted.retain(|(adopted, _), _| *adopted != who);
        }
    }
}
