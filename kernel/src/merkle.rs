//! Merkle trees shaped as in RFC 9162 section 2.1, over SHA-256.
//!
//! A node is SHA-256 of `0x01`, left \[32\], right \[32\]. A tree over n > 1 leaves splits at the largest power
//! of two smaller than n. Built level by level that is: pair up neighbours, and a last one without a neighbour
//! rises unchanged.
//!
//! ```text
//!   n = 5          root
//!                /      \
//!            node        e      e rises two levels unchanged
//!           /    \       |
//!        ab        cd    e
//!       /  \      /  \   |
//!      a    b    c    d  e
//! ```
//!
//! How a leaf is hashed is its owner's business: it starts with a byte other than `0x01`, so that no leaf can be
//! passed off as a node.
//!
//! ```
//! use weir_kernel::{ids::Hash, merkle};
//!
//! let leaves = [Hash([1; 32]), Hash([2; 32]), Hash([3; 32])];
//! let proof = merkle::proof(&leaves, 2).expect("there is a third leaf");
//! assert_eq!(proof.root(leaves[2]), Some(merkle::root(&leaves)));
//! assert_eq!(proof.path.len(), 1);
//! ```

use alloc::vec::Vec;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::hash::sha256;
use crate::ids::Hash;

/// The hash of an inner node.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[0x01], &left.0, &right.0])
}

/// The root over leaf hashes. Over no leaves it is SHA-256 of nothing, as in the RFC.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        rise(&mut level);
    }
    level.first().copied().unwrap_or_else(|| sha256(&[]))
}

/// The path from leaf `index` to the root over `leaves`; `None` if there is no such leaf.
///
/// # Panics
///
/// If there are more than 2^32 - 1 leaves.
pub fn proof(leaves: &[Hash], index: u32) -> Option<MerkleProof> {
    let count = u32::try_from(leaves.len()).expect("leaves are counted with 32 bits");
    if index >= count {
        return None;
    }
    let mut level = leaves.to_vec();
    let mut position = index as usize;
    let mut path = Vec::with_capacity(path_length(index, count));
    while level.len() > 1 {
        path.extend(level.get(position ^ 1).copied());
        rise(&mut level);
        position /= 2;
    }
    Some(MerkleProof { index, count, path })
}

/// Replaces a level by the one above it.
fn rise(level: &mut Vec<Hash>) {
    let above = level.len().div_ceil(2);
    for parent in 0..above {
        level[parent] = match level.get(2 * parent + 1) {
            Some(right) => node(&level[2 * parent], right),
            None => level[2 * parent],
        };
    }
    level.truncate(above);
}

/// Number of hashes on the path of a leaf: its levels, less those in which it has no neighbour.
fn path_length(index: u32, count: u32) -> usize {
    levels(index, count).filter(|has_neighbour| *has_neighbour).count()
}

/// From the leaf up, for each level below the root: whether the node there has a neighbour.
fn levels(index: u32, count: u32) -> impl Iterator<Item = bool> {
    let start = (u64::from(index), u64::from(count));
    core::iter::successors(Some(start), |(position, nodes)| Some((position / 2, nodes.div_ceil(2))))
        .take_while(|(_, nodes)| *nodes > 1)
        .map(|(position, nodes)| (position ^ 1) < nodes)
}

/// That a leaf is in a tree of known size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleProof {
    /// Position of the leaf, from 0.
    pub index: u32,
    /// Number of leaves.
    pub count: u32,
    /// Neighbours from the leaf up.
    pub path: Vec<Hash>,
}

impl MerkleProof {
    /// The root that this path leads to from `leaf`; `None` if the path has another length than the position and
    /// the count demand.
    pub fn root(&self, leaf: Hash) -> Option<Hash> {
        if self.index >= self.count || self.path.len() != path_length(self.index, self.count) {
            return None;
        }
        let mut neighbours = self.path.iter();
        let mut position = self.index;
        let mut hash = leaf;
        for has_neighbour in levels(self.index, self.count) {
            if has_neighbour {
                let neighbour = neighbours.next().expect("the length was checked above");
                hash = if position % 2 == 1 { node(neighbour, &hash) } else { node(&hash, neighbour) };
            }
            position /= 2;
        }
        Some(hash)
    }

    /// Whether `leaf` is where this says in the tree with that root.
    pub fn verify(&self, leaf: Hash, root: &Hash) -> bool {
        self.root(leaf).as_ref() == Some(root)
    }
}

/// Position and count, then the path: its length follows from them and is not encoded.
impl Encode for MerkleProof {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        if self.index >= self.count || self.path.len() != path_length(self.index, self.count) {
            return Err(EncodeError::Other("a Merkle path whose length is not that of its position"));
        }
        (self.index, self.count).encode(encoder)?;
        self.path.iter().try_for_each(|hash| hash.encode(encoder))
    }
}

impl<Context> Decode<Context> for MerkleProof {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (index, count) = <(u32, u32)>::decode(decoder)?;
        if index >= count {
            return Err(DecodeError::Other("a Merkle path of a leaf outside its tree"));
        }
        let path = (0..path_length(index, count)).map(|_| Hash::decode(decoder)).collect::<Result<_, _>>()?;
        Ok(Self { index, count, path })
    }
}

bincode::impl_borrow_decode!(MerkleProof);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_MERKLE_PATH;

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|index| sha256(&[&index.to_be_bytes()])).collect()
    }

    /// The definition in RFC 9162 section 2.1.1, word for word.
    fn root_as_defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&root_as_defined(&leaves[..split]), &root_as_defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_defined() {
        for count in 0..70 {
            assert_eq!(root(&leaves(count)), root_as_defined(&leaves(count)), "{count} leaves");
        }
    }

    #[test]
    fn every_path_proves_its_leaf_and_no_other() {
        for count in 1..40 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for index in 0..count {
                let proof = proof(&leaves, index).expect("the leaf exists");
                for (other, leaf) in leaves.iter().enumerate() {
                    assert_eq!(proof.verify(*leaf, &root), other == index as usize, "{index} of {count}");
                }
            }
            assert_eq!(proof(&leaves, count), None);
        }
    }

    #[test]
    fn a_path_that_is_too_long_short_or_misplaced_proves_nothing() {
        let leaves = leaves(11);
        let good = proof(&leaves, 4).expect("the leaf exists");
        let mut long = good.clone();
        long.path.push(Hash::ZERO);
        let mut short = good.clone();
        short.path.pop();
        for bad in [
            long,
            short,
            MerkleProof { index: 5, ..good.clone() },
            MerkleProof { index: 11, ..good.clone() },
            MerkleProof { count: 0, ..good.clone() },
        ] {
            assert!(!bad.verify(leaves[4], &root(&leaves)), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_path_is_bounded() {
        assert_eq!(path_length(0, u32::MAX), MAX_MERKLE_PATH);
        assert_eq!(path_length(0, crate::limits::MAX_BATCH_EVENTS), 12);
    }

    #[test]
    fn the_encoding_has_no_length_to_lie_about() {
        let config = bincode::config::standard();
        let good = proof(&leaves(11), 10).expect("the leaf exists");
        let bytes = bincode::encode_to_vec(&good, config).expect("encodes");
        assert_eq!(bytes.len(), 2 + 32 * good.path.len());
        let (read, length) = bincode::decode_from_slice::<MerkleProof, _>(&bytes, config).expect("decodes");
        assert_eq!((&read, length), (&good, bytes.len()));
        let crooked = MerkleProof { path: Vec::new(), ..good };
        assert!(bincode::encode_to_vec(&crooked, config).is_err());
    }
}
