//! Lanes as their publishers sign them and replicas seal them, and what hostile callers make of it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use weir_kernel::agreement::LaneHead;
use weir_kernel::agreement::cut::{Cut, rolled};
use weir_kernel::batch::{Header, Signature, SignedHeader};
use weir_kernel::coordinator::fees::CutProof;
use weir_kernel::ids::{self, Address, Epoch, Hash, LaneId, PartitionId, StreamId};
use weir_kernel::merkle;

use crate::Dice;
use crate::common::{CHAIN_ID, kernel_address, session, wallet};

/// Publishers: keys 0 to this.
const PUBLISHERS: u64 = 5;
/// Lanes that are open at once.
const OPEN: usize = 12;
/// Cuts that callers still remember.
const REMEMBERED: usize = 8;

/// All lanes, and the cuts that sealed them.
#[derive(Default)]
pub struct Lanes {
    open: Vec<Vec<SignedHeader>>,
    moved: BTreeSet<LaneId>,
    cuts: BTreeMap<PartitionId, Vec<Sealed>>,
    opened: u64,
}

struct Sealed {
    epoch: Epoch,
    previous: Hash,
    root: Hash,
    heads: Vec<(LaneHead, SignedHeader)>,
}

fn key_of(account: Address) -> u8 {
    (0..40).find(|key| kernel_address(wallet(*key).address()) == account).expect("a publisher of ours")
}

/// Signs a header as its origin, or in every third lane as a session key for it.
pub fn sign(header: Header) -> SignedHeader {
    let key = key_of(header.origin);
    if header.nonce[7].is_multiple_of(3) {
        return session::certified(&header, &session::session(&header, header.opening_block + 1), key);
    }
    let hash = header.signing_hash(CHAIN_ID);
    SignedHeader::by_origin(header, Signature::Secp256k1(wallet(key).sign_digest(hash.0.into())))
}

/// The same header in a session that is not good for it.
pub fn spoilt(header: &Header, dice: &mut Dice) -> SignedHeader {
    session::spoilt(header, key_of(header.origin), dice.roll(session::SPOILT))
}

/// The partition that seals a lane: any rule does.
fn home(header: &Header) -> PartitionId {
    PartitionId(header.stream_partition % crate::PARTITIONS)
}

impl Lanes {
    /// A publisher opens a lane or goes on with one.
    pub fn publish(&mut self, dice: &mut Dice) {
        if self.open.len() < OPEN || dice.roll(25) == 0 {
            self.opened += 1;
            let origin = kernel_address(wallet(dice.roll(PUBLISHERS) as u8).address());
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&self.opened.to_be_bytes());
            let header = Header {
                version: 1,
                stream: StreamId([7; 20]),
                stream_partition: dice.roll(2) as u32,
                origin_type: 0,
                origin,
                opening_block: self.opened,
                nonce,
                sequence: 0,
                count: 1 + dice.roll(4) as u32,
                volume: dice.roll(900),
                first_time_ms: 1,
                last_time_ms: 2,
                previous: Hash::ZERO,
                root: Hash([dice.roll(200) as u8; 32]),
                signer: origin,
                certificate: Hash::ZERO,
                signature_type: 1,
            };
            if self.open.len() == OPEN {
                self.open.remove(0);
            }
            self.moved.insert(header.lane());
            self.open.push(vec![sign(header)]);
            return;
        }
        if dice.roll(2) == 0 {
            let at = dice.roll(self.open.len() as u64) as usize;
            let next = next(&self.open[at], dice);
            self.moved.insert(next.header.lane());
            self.open[at].push(next);
        }
    }

    /// Seals the heads that moved; the new checksum.
    pub fn cut(&mut self, partition: PartitionId, epoch: Epoch, previous: Hash) -> Hash {
        let mut heads: Vec<(LaneHead, SignedHeader)> = Vec::new();
        for lane in &self.open {
            let last = *lane.last().expect("an open lane has a header");
            let id = last.header.lane();
            if home(&last.header) == partition && self.moved.remove(&id) {
                let head = LaneHead {
                    lane: id,
                    next_sequence: last.header.next_sequence(),
                    volume: last.header.volume,
                    digest: last.header.digest(),
                };
                heads.push((head, last));
            }
        }
        heads.sort_by_key(|(head, _)| head.lane);
        let cut = Cut {
            partition,
            epoch,
            previous,
            heads: heads.iter().map(|(head, _)| *head).collect(),
            forks: Vec::new(),
        };
        assert!(cut.is_canonical());
        let root = cut.root();
        let checksum = cut.checksum();
        assert_eq!(checksum, rolled(&previous, partition, epoch, &root));
        let cuts = self.cuts.entry(partition).or_default();
        cuts.push(Sealed { epoch, previous, root, heads });
        if cuts.len() > REMEMBERED {
            cuts.remove(0);
        }
        checksum
    }

    /// A head of a sealed cut, with its proof.
    pub fn sealed(&self, dice: &mut Dice) -> Option<(SignedHeader, CutProof)> {
        let partition = PartitionId(dice.roll(u64::from(crate::PARTITIONS)) as u32);
        let cuts = self.cuts.get(&partition)?;
        let at = dice.roll(cuts.len() as u64) as usize;
        let cut = &cuts[at];
        let leaves: Vec<Hash> = cut.heads.iter().map(|(head, _)| head.leaf()).collect();
        let index = dice.roll(leaves.len().max(1) as u64) as u32;
        let path = merkle::proof(&leaves, index)?;
        let later = cuts[at + 1..].iter().map(|cut| (cut.epoch, cut.root)).collect();
        let proof = CutProof { partition, epoch: cut.epoch, previous: cut.previous, path, later };
        Some((cut.heads[index as usize].1, proof))
    }

    /// Two headers that may contradict each other.
    pub fn pair(&self, dice: &mut Dice) -> Option<[SignedHeader; 2]> {
        let lane = &self.open[dice.roll(self.open.len() as u64) as usize];
        let first = lane[dice.roll(lane.len() as u64) as usize];
        let other = &self.open[dice.roll(self.open.len() as u64) as usize];
        let second = match dice.roll(8) {
            0 => first,
            1 => other[dice.roll(other.len() as u64) as usize],
            2 => {
                // The next one as it should be.
                next(&lane[..=lane.iter().position(|header| *header == first)?], dice)
            }
            3 | 4 => {
                // The next one over something else.
                let good = next(&[first], dice);
                sign(Header { previous: Hash([3; 32]), ..good.header })
            }
            _ => sign(Header { root: Hash([dice.roll(200) as u8; 32]), ..first.header }),
        };
        Some(if dice.roll(2) == 0 { [first, second] } else { [second, first] })
    }
}

/// The next header of a lane. Now and then the volume goes back, which brokers would refuse.
fn next(lane: &[SignedHeader], dice: &mut Dice) -> SignedHeader {
    let last = lane.last().expect("an open lane has a header").header;
    let falls = dice.roll(12) == 0;
    let volume = if falls { last.volume / 2 } else { last.volume + dice.roll(900) };
    sign(Header {
        sequence: last.next_sequence(),
        count: 1 + dice.roll(4) as u32,
        volume,
        previous: last.digest(),
        root: Hash([dice.roll(200) as u8; 32]),
        ..last
    })
}

/// Breaks a rule of the format. The signature is the old one: the rule is looked at first.
pub fn break_rule(header: &mut Header, dice: &mut Dice) {
    match dice.roll(9) {
        0 => header.version = 2,
        1 => header.origin_type = 1,
        2 => header.signer = Address([8; 20]),
        3 => header.certificate = Hash([8; 32]),
        4 => header.signature_type = 0xF0,
        5 => header.count = 0,
        6 => header.count = 4097,
        7 => header.sequence = u64::MAX,
        _ => header.first_time_ms = header.last_time_ms + 1,
    }
}

/// Makes a signature that is nobody's: with a high s, a wrong v, or of zeros; who signed it.
pub fn hostile(signature: &mut Signature, dice: &mut Dice) -> Option<ids::Address> {
    let mut bytes: [u8; 65] = signature.as_bytes().try_into().expect("it is of the first type");
    match dice.roll(3) {
        0 => {
            let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
            let order: U256 = order.parse().expect("the order of secp256k1");
            let s = order - U256::from_be_slice(&bytes[32..64]);
            bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
            bytes[64] = 27 + 28 - bytes[64];
        }
        1 => bytes[64] -= 27,
        _ => bytes = [0; 65],
    }
    *signature = Signature::Secp256k1(bytes);
    None
}
