//! Values computed once by another implementation (js-sha3 and big integers): the same in contract and
//! kernel.

use crate::agreement::cut::kept;
use crate::coordinator::entry::{self, Entry, report_signing_hash};
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
    let checksum = |byte: u8| kept(Hash([byte; 32]));
    let entry = Entry {
        partition: PartitionId(7),
        epoch: 0x0506_0708,
        round: 9,
        previous: checksum(0xAA),
        checksum: checksum(0xBB),
        events: 1_000,
        volume: u64::MAX,
    };
    assert_eq!(entry.hash(), hash("b05e18d5015dc2925e97895f364993bb895e9a83663e7edd881ae93016c73a9c"));
    let signed = |root: Hash| report_signing_hash(31337, &Address([0x33; 20]), &root);
    assert_eq!(
        signed(entry.hash()),
        hash("7e787c50ba2cab420f2d1155aeab3620c24f7d3477355e516b62792ba63be19f")
    );
    let leaves = [7, 8, 9].map(|partition| Entry { partition: PartitionId(partition), ..entry }.hash());
    let root = entry::root(&leaves);
    assert_eq!(root, hash("a5a7ae6b7199323d73fb26001a594a906d7c1d8b3582fce8d46de9f2e3079d03"));
    assert_eq!(signed(root), hash("54bdb87970bd97930a644f8280c3be3feda491513055b2ee71ecc4a15df18976"));
}
