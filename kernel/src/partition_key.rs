//! Which of a stream's partitions an event goes to (WP 2.4.5): a publisher's partition key decides, so that all
//! events with one key stay in one order.

use crate::hash::sha256;

/// The stream partition for a key: the first eight bytes of SHA-256 of the key, big-endian, modulo the stream's
/// number of partitions.
///
/// ```
/// use weir_kernel::partition_key::partition_of_key;
///
/// assert_eq!(partition_of_key(b"sensor-17", 1), 0);
/// assert!(partition_of_key(b"sensor-17", 100) < 100);
/// ```
///
/// # Panics
///
/// If `count` is zero: every stream has at least one partition.
pub fn partition_of_key(key: &[u8], count: u32) -> u32 {
    assert!(count > 0, "a stream has at least one partition");
    let hash = sha256(&[key]);
    let prefix = hash.0.first_chunk::<8>().expect("a hash has 32 bytes");
    (u64::from_be_bytes(*prefix) % u64::from(count)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_alone_and_keys_spread() {
        // SHA-256 of nothing starts with e3b0c44298fc1c14.
        assert_eq!(partition_of_key(b"", 1000), (0xe3b0_c442_98fc_1c14u64 % 1000) as u32);
        let mut load = [0u32; 8];
        (0..8000u32).for_each(|key| load[partition_of_key(&key.to_be_bytes(), 8) as usize] += 1);
        assert!(load.iter().all(|events| (850..1150).contains(events)), "{load:?}");
    }
}
