//! Signers: which reports go into a certificate when there are more than it takes (WP 2.4.7).
//!
//! A certificate takes as many signatures as a partition can have seats. While members change, the old and the new set
//! together may be more. Then some have to be left out, without losing the quorum of either set: first those who are
//! replaced, because who stays would be counted as absent.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// As many signers as there is room for, still a quorum; all of them if they fit or none can be spared. `is_replaced`
/// says who is left out first.
pub fn fitting<T: Ord + Copy>(
    mut signers: BTreeSet<T>,
    room: usize,
    is_replaced: impl Fn(&T) -> bool,
    is_quorum: impl Fn(&BTreeSet<T>) -> bool,
) -> BTreeSet<T> {
    let (replaced, staying): (Vec<T>, Vec<T>) = signers.iter().partition(|signer| is_replaced(signer));
    for spare in replaced.into_iter().chain(staying) {
        if signers.len() <= room {
            break;
        }
        signers.remove(&spare);
        if !is_quorum(&signers) {
            signers.insert(spare);
        }
    }
    signers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven seats, of which 5 are a quorum, two of them changing hands: 1 and 2 go, 8 and 9 come.
    fn fit(signers: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let of = |signers: &BTreeSet<u32>, set: core::ops::RangeInclusive<u32>| {
            signers.iter().filter(|signer| set.contains(signer)).count()
        };
        let is_quorum = |signers: &BTreeSet<u32>| of(signers, 1..=7) >= 5 && of(signers, 3..=9) >= 5;
        fitting(signers.into_iter().collect(), 8, |signer| *signer <= 2, is_quorum).into_iter().collect()
    }

    #[test]
    fn who_is_replaced_is_left_out_first() {
        assert_eq!(fit(1..=9), [2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(fit(1..=8), [1, 2, 3, 4, 5, 6, 7, 8], "what fits stays whole");
    }

    #[test]
    fn nobody_is_left_out_whom_a_quorum_needs() {
        let everybody_is_needed = fitting((1..=9).collect(), 8, |_: &u32| true, |all| all.len() == 9);
        assert_eq!(everybody_is_needed.len(), 9);
        let one_can_go =
            fitting((1..=9).collect(), 8, |n: &u32| *n == 1, |all: &BTreeSet<u32>| all.contains(&1));
        assert_eq!(one_can_go.into_iter().collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7, 8, 9]);
    }
}
