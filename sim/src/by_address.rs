//! Maps by account and by lane: found by hash, and in the order in which they came, so that nothing depends on hashes.

use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexMap;
use weir_kernel::ids::{Address, LaneId};

/// A map by account. Oracles look into it several times in each turn of each broker.
pub type ByAddress<V> = IndexMap<Address, V, BuildHasherDefault<Leading>>;

/// A map by lane.
pub type ByLane<V> = IndexMap<LaneId, V, BuildHasherDefault<Leading>>;

/// Accounts and lanes are hashes themselves: eight bytes of them will do.
#[derive(Debug, Default)]
pub struct Leading(u64);

impl Hasher for Leading {
    fn write(&mut self, bytes: &[u8]) {
        let eight = bytes.first_chunk().copied().unwrap_or_default();
        self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(eight);
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_differ_late_are_told_apart_and_come_in_their_order() {
        let mut map = ByAddress::default();
        let account = |number: u8| Address([[7; 19].as_slice(), &[number]].concat().try_into().unwrap());
        for number in [3, 1, 2] {
            map.insert(account(number), number);
        }
        assert_eq!(map.get(&account(1)), Some(&1));
        assert_eq!(map.get(&account(9)), None);
        assert_eq!(map.values().copied().collect::<Vec<_>>(), [3, 1, 2]);
    }
}
