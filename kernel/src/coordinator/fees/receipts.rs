//! Receipts (WP 2.4.7): a subscriber signs what it has got from its edge, and the edge settles the newest.
//!
//! ```text
//! receipt = EIP-712 Receipt(address edge,bytes32 session,uint64 events,uint64 volume),
//!           domain {name "weir", version "1", chainId, LaneFees}
//! ```
//!
//! Events and bytes are cumulative in a session, which is any number that the two agree on, so a newer receipt
//! settles all before it. The price is that of lanes, and nothing is free. A share is burned and the rest is the
//! edge's; what both exchanged is karma for both. Only the edge settles: it alone has something to lose if
//! that is done while the allotment is empty.

use alloc::vec;
use alloc::vec::Vec;

use super::allotments::pay;
use super::price::{charge, share};
use super::settlement::credit;
use super::{BURNED, Fact, Meter, Refusal};
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState};
use crate::ids::{Address, Hash};
use crate::typed_data::{WordHasher, domain_separator, signing_hash};

/// The EIP-712 type that a subscriber signs.
pub const RECEIPT_TYPE: &str = "Receipt(address edge,bytes32 session,uint64 events,uint64 volume)";

/// What a subscriber has got from an edge in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The broker that delivered.
    pub edge: Address,
    /// Tells the sessions of the two apart.
    pub session: Hash,
    /// Events so far.
    pub events: u64,
    /// Content bytes so far.
    pub volume: u64,
}

impl Receipt {
    /// What the subscriber signs.
    pub fn signing_hash(&self, chain_id: u64, fees: &Address) -> Hash {
        let hash = WordHasher::of_type(RECEIPT_TYPE.as_bytes())
            .address(&self.edge.0)
            .word(&self.session.0)
            .uint(self.events)
            .uint(self.volume)
            .finish();
        signing_hash(&domain_separator(chain_id, fees), &hash)
    }
}

/// `settleReceipt`.
pub(super) fn settle(
    state: &AnyState,
    caller: Address,
    subscriber: Address,
    receipt: &Receipt,
    signer: Option<Address>,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let Receipt { edge, session, events, volume } = *receipt;
    if caller != edge {
        return Err(Refusal::NotTheEdge { caller, edge }.into());
    }
    let settled = state.fees.receipts.get(&(subscriber, edge, session)).copied().unwrap_or_default();
    let adds = events > settled.events || volume > settled.volume;
    if !adds || events < settled.events || volume < settled.volume {
        let Meter { events, volume } = settled;
        return Err(Refusal::ReceiptAlreadySettled { session, events, volume }.into());
    }
    if signer != Some(subscriber) {
        return Err(Refusal::InvalidReceiptSignature { session }.into());
    }
    let params = &state.fees.params;
    let price = params.price(Meter { events, volume }) - params.price(settled);
    let (charged, shortfall) = charge(state.fees.edge_allotments.get(&(subscriber, edge)), price);
    let fact = Fact::ReceiptSettled { subscriber, edge, session, events, volume, charged, shortfall };
    let mut facts = vec![AnyFact::Fees(fact)];
    credit(state, &mut facts, subscriber, charged)?;
    credit(state, &mut facts, edge, charged)?;
    let burned = share(charged, params.burn_share);
    pay(state, facts, &[(BURNED, burned), (edge, charged - burned)])
}
