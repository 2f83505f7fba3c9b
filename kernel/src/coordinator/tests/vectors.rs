//! Values computed once by another implementation (js-sha3 and big integers): the same in contract and
//! kernel.

use crate::coordinator::certificates::{Entry, report_signing_hash};
use crate::coordinator::score;
use crate::ids::{Address, BrokerIndex, Hash, PartitionId, StreamId, StreamPartition};

fn hash(text: &str) -> Hash {
    text.parse().expect("a hash")
}

#[test]
fn partition_keys() {
    let keys = [0, 7, 0x0102_0304].map(|partition| score::partition_key(PartitionId(partition)));
    assert_eq!(keys, [0x4611_cc36_1b99_76c3, 0x21b4_d3f7_bc6b_bed4, 0x7f84_8809_b266_1ec8]);
}

#[test]
fn draws_and_scores() {
    let draw = score::draw(&Hash([0x11; 32]), BrokerIndex(0x010203));
    assert_eq!(draw, hash("0539f128af7cab3be83039ffb1bc127bd006000b05dbc494a00723aacadcb64c"));
    let scored = score::score(score::partition_key(PartitionId(7)), score::broker_key(&draw), 3);
    assert_eq!(scored, 6_009_847_186_722_138_125);
}

#[test]
fn homes() {
    let home = |byte: u8, partition: u32, partitions: u32| {
        score::home(StreamPartition { stream: StreamId([byte; 20]), partition }, partitions).0
    };
    let homes = [home(7, 0, 10), home(7, 1, 10), home(0xAB, 5, 1_000), home(0xAB, 6, 4_000_000_000)];
    assert_eq!(homes, [0, 3, 574, 2_949_521_175]);
}

#[test]
fn reports() {
    let entry = Entry {
        partition: PartitionId(7),
        epoch: 0x0102_0304_0506_0708,
        round: 9,
        previous: Hash([0xAA; 32]),
        checksum: Hash([0xBB; 32]),
        events: 1_000,
        volume: u64::MAX,
        custody: Hash::ZERO,
    };
    assert_eq!(entry.hash(), hash("e2247e43d091c2c0d1d2e82cb1b08d804d3534e3e9a9c74be4b89b39ac30daae"));
    assert_eq!(
        report_signing_hash(31337, &Address([0x33; 20]), &entry.hash()),
        hash("2398e7fbffc84af557555146b7f06e62212f39f40e33df5e154612653c6fbdad")
    );
}
