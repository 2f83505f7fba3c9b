//! Fork proofs: two signed headers of one lane that cannot both be right (publisher fraud).

use bincode::{Decode, Encode};

use crate::batch::{Header, SignedHeader};
use crate::hash::sha256;
use crate::ids::{Hash, LaneId};

/// Two conflicting headers of one lane, the one with the smaller digest first. Anyone can take it to the chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Fork {
    /// The header with the smaller digest.
    pub first: SignedHeader,
    /// The header with the larger digest.
    pub second: SignedHeader,
}

impl Fork {
    /// Puts two conflicting headers in order; `None` if they do not conflict.
    pub fn new(a: SignedHeader, b: SignedHeader) -> Option<Self> {
        let (first, second) = if a.header.digest() < b.header.digest() { (a, b) } else { (b, a) };
        conflict(&first.header, &second.header).then_some(Self { first, second })
    }

    /// The forked lane.
    pub fn lane(&self) -> LaneId {
        self.first.header.lane()
    }

    /// Whether this is in canonical order and the headers do conflict. Signatures are checked where it is decoded.
    pub fn is_proof(&self) -> bool {
        self.first.header.digest() < self.second.header.digest()
            && conflict(&self.first.header, &self.second.header)
    }

    pub(super) fn leaf(&self) -> Hash {
        sha256(&[&[0x03], &self.lane().0, &self.first.header.digest().0, &self.second.header.digest().0])
    }
}

/// Whether two headers of one lane overlap with different digests, or adjoin with a wrong `previous`.
pub fn conflict(a: &Header, b: &Header) -> bool {
    if a.lane() != b.lane() || a.digest() == b.digest() {
        return false;
    }
    let overlap = a.sequence < b.next_sequence() && b.sequence < a.next_sequence();
    let adjoin_wrongly = |earlier: &Header, later: &Header| {
        earlier.next_sequence() == later.sequence && later.previous != earlier.digest()
    };
    overlap || adjoin_wrongly(a, b) || adjoin_wrongly(b, a)
}
