//! What a proven fork costs (WP 2.4.7): two signed headers of one lane that cannot both be right.
//!
//! The publisher loses a share of its allotment for the stream partition, once a lane. The reporter gets a share
//! of that, so that reporting pays once the slash exceeds the gas; of the rest the usual share is burned and
//! what remains goes to the pool. While there is nothing to slash the proof stays good: a later allotment
//! answers for it.

use alloc::vec;
use alloc::vec::Vec;

use super::allotments::pay;
use super::price::share;
use super::settlement::{check_header, check_signer};
use super::{BURNED, Fact, RecoveredHeader, Refusal};
use crate::agreement::fork::conflict;
use crate::coordinator::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState};
use crate::ids::{Address, StreamPartition};

/// `proveFork`.
pub(super) fn prove(
    state: &AnyState,
    reporter: Address,
    first: &RecoveredHeader,
    second: &RecoveredHeader,
) -> Result<Vec<AnyFact>, AnyRefusal> {
    let digests = (check_header(first)?, check_header(second)?);
    if !conflict(&first.header, &second.header) {
        return Err(Refusal::HeadersAgree { first: digests.0, second: digests.1 }.into());
    }
    let lane = first.header.lane();
    if state.fees.lane(&lane).is_slashed {
        return Err(Refusal::AlreadySlashed { lane }.into());
    }
    check_signer(first, digests.0)?;
    check_signer(second, digests.1)?;
    let params = &state.fees.params;
    let (publisher, slot) = (first.header.origin, first.header.slot());
    let slashed = share(state.fees.allotment(publisher, slot).amount, params.slash_share);
    if slashed == 0 {
        return Err(Refusal::NothingToSlash { lane }.into());
    }
    let rewarded = share(slashed, params.reporter_share);
    let burned = share(slashed - rewarded, params.burn_share);
    let StreamPartition { stream, partition: stream_partition } = slot;
    let fact =
        Fact::AllotmentSlashed { lane, publisher, reporter, stream, stream_partition, slashed, rewarded };
    let pooled = slashed - rewarded - burned;
    let payments = [(reporter, rewarded), (BURNED, burned), (state.contracts.coordinator, pooled)];
    pay(state, vec![AnyFact::Fees(fact)], &payments)
}
