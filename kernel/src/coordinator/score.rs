//! Scores and homes: who should sit where, and which partition carries a stream (WP 2.4.5, 2.4.6).
//!
//! *Rendezvous with tickets.* The score of a broker's ticket in a partition is
//!
//! ```text
//! partition_key = first 8 bytes, big-endian, of keccak256(abi.encode("weir.partition", uint32 partition))
//! broker_key    = first 8 bytes, big-endian, of the broker's draw; 1 where they are zero
//! score         = mix64(partition_key ^ (broker_key + ticket * 0x9E3779B97F4A7C15))        all modulo 2^64
//! ```
//!
//! with splitmix64's finaliser as `mix64`. Keys are hashed once, so that a pair costs one integer mix here
//! and in the contract. The higher score wins; equal scores of two brokers fall to the lower index. `mix64`
//! is a bijection and the tickets of one broker are distinct modulo 2^64, so one broker never scores the same
//! twice.
//!
//! *Jump consistent hash.* The home of a stream partition among P partitions is Lamping and Veach's jump hash
//! (2014). Its step divides by a random fraction in floating point; here the same quotient is an integer
//! division, so that every machine agrees to the bit. Flooring it exactly, where the paper rounds once
//! before, cannot make a jump smaller than `b + 1`, because the divisor is at most 2^31; so a key still
//! either stays where it is or moves to the newest partition when P grows to P + 1, with probability 1/(P +
//! 1) up to 2^-31.

use core::cmp::Ordering;

use crate::hash::keccak256;
use crate::ids::{BrokerIndex, Hash, PartitionId, StreamPartition};

/// What the ticket number is spread by: 2^64 over the golden ratio, odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The string that partition keys are derived with.
const PARTITION_TAG: &[u8; 14] = b"weir.partition";

/// The first eight bytes of a hash as a number, most significant first.
fn leading_u64(hash: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The key of a partition in scores.
pub fn partition_key(partition: PartitionId) -> u64 {
    // abi.encode(string, uint32): offset of the string, the number, the string's length, its bytes padded.
    let mut encoded = [0u8; 128];
    encoded[31] = 0x40;
    encoded[60..64].copy_from_slice(&partition.0.to_be_bytes());
    encoded[95] = PARTITION_TAG.len() as u8;
    encoded[96..96 + PARTITION_TAG.len()].copy_from_slice(PARTITION_TAG);
    leading_u64(&keccak256(&[&encoded]))
}

/// The key of a broker in scores. The contract keeps nothing else of a draw, and 0 for one that is not recorded.
pub fn broker_key(draw: &Hash) -> u64 {
    leading_u64(draw).max(1)
}

/// A broker's draw: chain randomness of a block after its registration, so that a partition cannot be ground
/// for. `keccak256(abi.encode(blockhash, uint24 index))`.
pub fn draw(block_hash: &Hash, index: BrokerIndex) -> Hash {
    let mut word = [0u8; 32];
    word[28..].copy_from_slice(&index.0.to_be_bytes());
    keccak256(&[&block_hash.0, &word])
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection of 64-bit numbers.
pub fn mix64(mut z: u64) -> u64 {
    z ^= z >> 30;
    z = z.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 27;
    z = z.wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The score of a ticket in a partition; see the module's text.
pub fn score(partition_key: u64, broker_key: u64, ticket: u8) -> u64 {
    mix64(partition_key ^ ticket_key(broker_key, ticket))
}

/// What a ticket's scores in all partitions are made of: `score` is `mix64(partition_key ^ ticket_key)`.
pub fn ticket_key(broker_key: u64, ticket: u8) -> u64 {
    broker_key.wrapping_add(u64::from(ticket).wrapping_mul(GOLDEN))
}

/// Compares two candidates of a partition: `Greater` means that the first wins. Only a broker compared with
/// itself can be `Equal`.
pub fn rank(a: (u64, BrokerIndex), b: (u64, BrokerIndex)) -> Ordering {
    a.0.cmp(&b.0).then(b.1.cmp(&a.1))
}

/// The partition among `partitions` that carries a stream partition (WP 2.4.5). `partitions` is at least 1.
pub fn home(slot: StreamPartition, partitions: u32) -> PartitionId {
    homes(slot, partitions).last().expect("a network has at least one partition")
}

/// Every partition that carries a stream partition while their number grows from 1 to `partitions`, in that order:
/// its jump sequence, of about ln `partitions` members.
pub fn homes(slot: StreamPartition, partitions: u32) -> impl Iterator<Item = PartitionId> {
    let hash = keccak256(&[&slot.stream.0, &slot.partition.to_be_bytes()]);
    jumps(leading_u64(&hash), partitions).map(PartitionId)
}

/// Jump consistent hash in integers: the buckets below `buckets` that a key is in as they are added, one by one.
fn jumps(mut key: u64, buckets: u32) -> impl Iterator<Item = u32> {
    let mut next = 0u64;
    core::iter::from_fn(move || {
        let bucket = u32::try_from(next).ok().filter(|bucket| *bucket < buckets)?;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((u64::from(bucket) + 1) << 31) / ((key >> 33) + 1);
        assert!(next > u64::from(bucket), "the divisor is at most 2^31, so that each jump goes forward");
        Some(bucket)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StreamId;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn mix64_matches_published_splitmix64_output() {
        // The generator with seed 1234567 returns mix64(seed + GOLDEN) first (Vigna's splitmix64.c).
        assert_eq!(mix64(1_234_567u64.wrapping_add(GOLDEN)), 6_457_827_717_110_365_317);
        assert_eq!(mix64(1_234_567u64.wrapping_add(GOLDEN).wrapping_add(GOLDEN)), 3_203_168_211_198_807_973);
    }

    #[test]
    fn no_draw_has_key_0() {
        assert_eq!(broker_key(&Hash::ZERO), 1);
        assert_eq!(broker_key(&Hash([1; 32])), 0x0101_0101_0101_0101);
    }

    #[test]
    fn equal_scores_fall_to_the_lower_index() {
        assert_eq!(rank((5, BrokerIndex(1)), (5, BrokerIndex(2))), Ordering::Greater);
        assert_eq!(rank((4, BrokerIndex(1)), (5, BrokerIndex(2))), Ordering::Less);
        assert_eq!(rank((5, BrokerIndex(2)), (5, BrokerIndex(2))), Ordering::Equal);
    }

    #[test]
    fn every_stream_partition_of_one_partition_is_at_home_there() {
        assert_eq!(home(StreamPartition::default(), 1), PartitionId(0));
    }

    #[test]
    fn growing_moves_one_in_p_plus_one() {
        let keys = 20_000u32;
        let slots: Vec<_> =
            (0..keys).map(|partition| StreamPartition { stream: StreamId([7; 20]), partition }).collect();
        for partitions in [1u32, 2, 5, 10, 31] {
            let moved =
                slots.iter().filter(|slot| home(**slot, partitions) != home(**slot, partitions + 1)).count();
            let expected = keys as usize / (partitions as usize + 1);
            assert!(
                moved.abs_diff(expected) < expected / 5,
                "{partitions}: {moved} moved, expected {expected}"
            );
        }
    }

    #[test]
    fn homes_are_balanced() {
        let mut counts = [0u32; 10];
        for partition in 0..20_000 {
            counts[home(StreamPartition { stream: StreamId([3; 20]), partition }, 10).0 as usize] += 1;
        }
        assert!(counts.iter().all(|count| (1_800..2_200).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn growing_moves_a_key_nowhere_but_to_the_newest(key: u64, buckets in 1u32..5_000) {
            let before = jumps(key, buckets).last().expect("there is a bucket");
            let after = jumps(key, buckets + 1).last().expect("there is a bucket");
            prop_assert!(before < buckets);
            prop_assert!(after == before || after == buckets);
        }

        #[test]
        fn one_broker_never_scores_the_same_twice(partition: u64, broker: u64, a: u8, b: u8) {
            prop_assert_eq!(a == b, score(partition, broker, a) == score(partition, broker, b));
        }
    }
}
