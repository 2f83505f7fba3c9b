//! Of which partitions the seats changed lately, so that who follows the chain need not look at all of them in every
//! block.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;

use crate::ids::PartitionId;
use crate::limits::RESEATINGS_KEPT;

/// The partitions whose members or target changed, in the order in which they did; the last [`RESEATINGS_KEPT`] are
/// remembered.
///
/// This follows from what the contracts hold and adds nothing to it: two states that differ here alone are equal.
#[derive(Clone, Default)]
pub struct Reseated {
    last: Arc<VecDeque<PartitionId>>,
    total: u64,
}

impl Reseated {
    /// The seats of a partition change.
    pub(super) fn note(&mut self, partition: PartitionId) {
        let last = Arc::make_mut(&mut self.last);
        last.push_back(partition);
        if last.len() > RESEATINGS_KEPT {
            last.pop_front();
        }
        self.total += 1;
    }

    /// How many changes there were so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The partitions whose seats changed after so many changes, some of them repeatedly; `None` if that is too long
    /// ago, and any may have.
    pub fn since(&self, total: u64) -> Option<impl Iterator<Item = PartitionId> + '_> {
        let missed = usize::try_from(self.total.checked_sub(total)?).ok()?;
        let known = self.last.len().checked_sub(missed)?;
        Some(self.last.iter().skip(known).copied())
    }
}

impl PartialEq for Reseated {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Reseated {}

impl fmt::Debug for Reseated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes", self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn since(reseated: &Reseated, total: u64) -> Option<Vec<u32>> {
        Some(reseated.since(total)?.map(|partition| partition.0).collect())
    }

    #[test]
    fn what_changed_since_a_look_is_named_or_it_is_said_that_it_is_not_known() {
        let mut reseated = Reseated::default();
        assert_eq!(since(&reseated, 0), Some(Vec::new()));
        [3, 3, 1].into_iter().for_each(|number| reseated.note(PartitionId(number)));
        assert_eq!(since(&reseated, 0), Some(alloc::vec![3, 3, 1]));
        assert_eq!(since(&reseated, 2), Some(alloc::vec![1]));
        assert_eq!(since(&reseated, 3), Some(Vec::new()));
        assert_eq!(since(&reseated, 4), None, "that is another chain's count");
        (0..RESEATINGS_KEPT as u32).for_each(|number| reseated.note(PartitionId(number)));
        assert_eq!(since(&reseated, 2), None);
        assert_eq!(since(&reseated, 3).map(|all| all.len()), Some(RESEATINGS_KEPT));
    }
}
