//! Batches in blocks: one row of the index for many of them, because a row costs more than its bytes.

use std::collections::BTreeMap;

use crate::error::LogError;
use crate::index::{Appended, LaneEntry};
use crate::limits::BLOCK_ENTRIES;

/// What stands in blocks, ordered by a number.
pub(super) trait Entry: Copy {
    /// The number.
    fn number(&self) -> u64;
    /// Whether the next one may stand in the same block.
    fn joins(&self, next: &Self) -> bool;
}

impl Entry for LaneEntry {
    fn number(&self) -> u64 {
        self.sequence
    }

    fn joins(&self, next: &Self) -> bool {
        self.run_key() == next.run_key()
    }
}

impl Entry for Appended {
    fn number(&self) -> u64 {
        self.index
    }

    fn joins(&self, _: &Self) -> bool {
        true
    }
}

/// Entries to set (`Some`) and to remove (`None`), in the order of their numbers.
pub(super) type Changes<E> = Vec<(u64, Option<E>)>;

/// Blocks by the number of their first entry: to set, and to remove.
pub(super) type Blocks<E> = BTreeMap<u64, Option<Vec<E>>>;

/// The changes of a map by lane or scope.
pub(super) fn grouped<P: Ord + Copy, E: Copy>(
    map: &BTreeMap<(P, u64), Option<E>>,
) -> impl Iterator<Item = (P, Changes<E>)> {
    let mut rows = map.iter().peekable();
    std::iter::from_fn(move || {
        let ((place, number), entry) = rows.next()?;
        let mut changes = vec![(*number, *entry)];
        while let Some(((_, number), entry)) = rows.next_if(|((next, _), _)| next == place) {
            changes.push((*number, *entry));
        }
        Some((*place, changes))
    })
}

/// The blocks that take these changes in. `before` gives the blocks there are, from the one that holds the last
/// change backwards.
///
/// What is set comes after all that stays, because lanes and append orders only grow at their end.
pub(super) fn replaced<E: Entry>(
    changes: &Changes<E>,
    before: impl Iterator<Item = Result<Vec<E>, LogError>>,
) -> Result<Blocks<E>, LogError> {
    let mut blocks = Blocks::new();
    let first = changes.first().map_or(u64::MAX, |(number, _)| *number);
    for block in before {
        let block = block?;
        if block.last().is_some_and(|last| last.number() < first) {
            break;
        }
        let changed =
            |entry: &&E| changes.binary_search_by_key(&entry.number(), |(number, _)| *number).is_ok();
        let kept: Vec<E> = block.iter().filter(|entry| !changed(entry)).copied().collect();
        if kept.len() < block.len() {
            blocks.insert(block[0].number(), None);
            if let Some(first) = kept.first().map(E::number) {
                blocks.insert(first, Some(kept));
            }
        }
    }
    let set: Vec<E> = changes.iter().filter_map(|(_, entry)| *entry).collect();
    for joined in set.chunk_by(E::joins) {
        for block in joined.chunks(BLOCK_ENTRIES) {
            blocks.insert(block[0].number(), Some(block.to_vec()));
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64) -> Appended {
        Appended { index, position: index * 10, count: 1, length: 5 }
    }

    fn numbers(blocks: &Blocks<Appended>) -> Vec<(u64, Option<Vec<u64>>)> {
        let indexes = |block: &Vec<Appended>| block.iter().map(|entry| entry.index).collect();
        blocks.iter().map(|(first, block)| (*first, block.as_ref().map(indexes))).collect()
    }

    fn block(indexes: &[u64]) -> Result<Vec<Appended>, LogError> {
        Ok(indexes.iter().map(|index| entry(*index)).collect())
    }

    #[test]
    fn what_is_new_stands_in_blocks_of_its_own() {
        let many = BLOCK_ENTRIES as u64 + 2;
        let changes: Changes<Appended> = (100..100 + many).map(|index| (index, Some(entry(index)))).collect();
        let untouched =
            std::iter::once(block(&[1, 2])).chain(std::iter::once_with(|| panic!("enough was seen")));
        let blocks = replaced(&changes, untouched).expect("whole");
        let last = vec![100 + many - 2, 100 + many - 1];
        let first = (100..100 + many - 2).collect();
        assert_eq!(numbers(&blocks), [(100, Some(first)), (100 + many - 2, Some(last))]);
    }

    #[test]
    fn what_is_removed_leaves_the_blocks_that_hold_it() {
        let changes = vec![(3, None), (4, Some(entry(4))), (5, None), (6, None), (9, None)];
        let before = [block(&[5, 6]), block(&[3, 4]), block(&[1, 2, 3]), block(&[0])];
        let blocks = replaced(&changes, before.into_iter()).expect("whole");
        let wanted = [(1, Some(vec![1, 2])), (3, None), (4, Some(vec![4])), (5, None)];
        assert_eq!(numbers(&blocks), wanted);
        let front = replaced(&vec![(1, None), (2, None)], std::iter::once(block(&[1, 2, 3]))).expect("whole");
        assert_eq!(numbers(&front), [(1, None), (3, Some(vec![3]))]);
    }

    #[test]
    fn groups_are_by_place() {
        let map: BTreeMap<(u8, u64), Option<u8>> =
            [((1, 5), Some(1)), ((1, 6), None), ((2, 1), Some(3))].into_iter().collect();
        let groups: Vec<_> = grouped(&map).collect();
        assert_eq!(groups, [(1, vec![(5, Some(1)), (6, None)]), (2, vec![(1, Some(3))])]);
    }
}
