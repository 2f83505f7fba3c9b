//! The twin of the contracts: the rules of the chain as pure functions, and the chain's state from its logs.
//!
//! ```text
//!                caller, Call ──► decide(&State, Block) ──► Ok(facts)  or  Err(Refusal)
//!                                                             │
//!   logs of the chain ──► Fact ──► evolve(&mut State, block) ◄┘
//! ```
//!
//! Contract calls are the only global order (WP 2.5.3). *Decide* says what a call does: the facts that the
//! contract would log, in its order, or the custom error it would revert with. *Evolve* applies a fact. A
//! node only evolves: facts are what the chain has accepted. Decide is there to foresee a call before it is
//! paid for, to run a network without a chain, and to be held against the contracts' bytecode: the same logs,
//! state and refusals.
//!
//! All branching by call is here; each rule is a leaf:
//!
//! | rule | module | WP |
//! | --- | --- | --- |
//! | seats, quorum, tickets, epochs | [`params`] | 2.4.6 |
//! | scores; jump hash | [`score`] | 2.4.5, 2.4.6 |
//! | the packed set of seats | [`seats`] | 2.4.6 |
//! | useful changes, eviction, the target | [`targets`] | 2.4.6 |
//! | the same for tens of thousands of partitions and brokers | [`assignment`] | 2.4.6 |
//! | the first members | [`founding`] | 2.4.6 |
//! | more partitions for more brokers | [`growth`] | 2.4.5 |
//! | which partition carries a lane meanwhile | [`homes`] | 2.4.5 |
//! | the next members | [`newcomers`] | 2.4.6 |
//! | what replicas sign | [`entry`] | 2.4.6 |
//! | what seals an epoch, and who must sign | [`certificates`] | 2.4.6, 2.4.7 |
//! | who signed and missed what, and when that is settled | [`tallies`] | 2.4.6, 2.4.7 |
//! | what a signed seal pays | [`rewards`] | 2.4.7 |
//! | what a missed one costs, and whom it suspends | [`reliability`] | 2.4.6 |
//! | what a useful change earns | [`bounties`] | 2.4.6 |
//! | joining, drawing, leaving, rejoining, being paid | [`registration`] | 2.4.6, 2.5.3 |
//! | two checksums, late reports, lost quorums | [`conduct`] | 2.4.6 |
//! | the coordinator that follows | [`succession`] | 2.5.3 |
//! | streams and who may use them | [`registry`], [`permissions`] | 2.4.2, 2.5.1, 2.5.2 |
//! | passing rights on; readers' keys | [`grants`] | 2.4.10, 2.5.1 |
//! | allotments, settlement, receipts, fork proofs | [`fees`] | 2.4.7 |
//! | reputation that decays | [`karma`] | 3 |
//! | products, licences, escrow | [`licenses`] | 2.3, 2.5.4 |
//! | contracts as subscribers | [`delivery`] | 2.4.3, 2.4.7 |
//! | the token | [`token`] | 3 |
//!
//! # Example
//!
//! ```
//! use weir_kernel::coordinator::{Block, Call, Contracts, Params, State, begin_block, decide, evolve};
//! use weir_kernel::ids::Address;
//!
//! let mut state = State::new(31337, Contracts::default(), Params::default());
//! let (owner, stranger) = (Address([1; 20]), Address([2; 20]));
//! let block = Block { number: 1, timestamp_s: 1_700_000_000, hash_of: &|_| None };
//! let call = Call::CreateStream {
//!     name: "earthquakes".into(),
//!     description: "what the ground does".into(),
//!     partitions: 1,
//!     public_subscribe: true,
//!     public_publish: false,
//! };
//! for fact in decide(&state, block, owner, call).expect("the name is free") {
//!     evolve(&mut state, block.reference(), &fact);
//! }
//! let stream = *state.streams.keys().next().expect("there is a stream");
//! assert!(state.can_subscribe_at(stream, stranger, 1, 1_700_000_000));
//! assert!(!state.can_publish_at(stream, stranger, 1, 1_700_000_000));
//! begin_block(&mut state, 2, 1_700_000_001);
//! assert_eq!(state.height, 2);
//! ```

pub mod assignment;
pub mod bounties;
mod broker;
mod call;
pub mod certificates;
pub mod conduct;
pub mod delivery;
mod draft;
pub mod entry;
mod evolve;
mod fact;
pub mod fees;
pub mod founding;
pub mod grants;
pub mod growth;
pub mod homes;
pub mod karma;
pub mod licenses;
pub mod newcomers;
pub mod params;
mod partition;
pub mod permissions;
pub mod refusal;
pub mod registration;
pub mod registry;
pub mod reliability;
pub mod reseated;
pub mod rewards;
pub mod score;
pub mod seats;
pub mod session;
mod state;
mod stream;
pub mod succession;
pub mod tallies;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod token;
pub mod tree;

use alloc::vec;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

pub use broker::Broker;
pub use call::{Block, Call, MAXIMUM_LIST, SignedCertificate, SignedReport};
pub use certificates::Certificate;
pub use entry::{Entry, SealedEntry, report_signing_hash};
pub use evolve::evolve;
pub use fact::{Change, Fact, Intent, Report, Settlement};
pub use homes::Home;
pub use params::Params;
pub use partition::Partition;
pub use permissions::{Delegation, Permission};
pub use refusal::Refusal;
pub use registry::{FeeTerms, Retention};
pub use seats::{Counts, Seat, Seats};
pub use state::{Contracts, State};
pub use stream::{Arrangements, Names, Stream};
pub use targets::useful_changes;

use crate::ids::Address;
use draft::Draft;

/// A block as its facts see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its time in Unix seconds.
    pub timestamp_s: u64,
}

/// A block begins, with facts or without.
pub fn begin_block(state: &mut State, number: u64, timestamp_s: u64) {
    assert!(number >= state.height, "blocks come in order: {number} after {}", state.height);
    state.height = number;
    state.timestamp_s = timestamp_s;
}

/// What a call of `caller` does in `block`: the facts that the contracts would log, in their order, or the
/// error that they would revert with. `block` is not before the state's.
pub fn decide(state: &State, block: Block<'_>, caller: Address, call: Call) -> Result<Vec<Fact>, Refusal> {
    let mut draft = Draft { state: state.clone(), block: block.reference(), facts: Vec::new() };
    begin_block(&mut draft.state, block.number, block.timestamp_s);
    let now = &draft.state;
    match call {
        Call::CreateStream { name, description, partitions, public_subscribe, public_publish } => {
            let new = registry::NewStream { name, description, partitions, public_subscribe, public_publish };
            registry::create(now, caller, new)
        }
        Call::UpdateStream { stream, name, description } => {
            one(registry::update(now, caller, stream, name, description))
        }
        Call::SetPermission { stream, user, permission } => {
            one(registry::set_permission(now, caller, stream, user, permission))
        }
        Call::Grant { stream, user, subscribe_until, publish_until } => {
            let rights = Delegation { subscribe_until, publish_until };
            one(grants::grant(now, caller, stream, user, rights))
        }
        Call::GrantReader { stream, user, subscribe_until, public_key } => {
            grants::grant_reader(now, caller, stream, user, subscribe_until, public_key)
        }
        Call::Delegate { stream, to, subscribe_until, publish_until } => {
            let delegation = Delegation { subscribe_until, publish_until };
            one(grants::delegate(now, caller, stream, to, delegation))
        }
        Call::SetPublicKey { stream, key } => one(grants::set_public_key(now, caller, stream, key)),
        Call::SetSearchKeys { stream, keys } => one(registry::set_search_keys(now, caller, stream, keys)),
        Call::SetRetention { stream, retention } => {
            one(registry::set_retention(now, caller, stream, retention))
        }
        Call::SetFeeTerms { stream, fee_terms } => {
            one(registry::set_fee_terms(now, caller, stream, fee_terms))
        }
        Call::TransferOwnership { stream, new_owner } => one(registry::offer(now, caller, stream, new_owner)),
        Call::AcceptOwnership { stream } => registry::accept(now, caller, stream),
        Call::RemoveStream { stream } => one(registry::remove(now, caller, stream)),
        Call::Register { stake, endpoint, tls_key_hash } => {
            registration::register(now, caller, stake, endpoint, tls_key_hash)
        }
        Call::UpdateEndpoint { endpoint, tls_key_hash } => {
            one(registration::update_endpoint(now, caller, endpoint, tls_key_hash))
        }
        Call::RecordDraw { index } => one(registration::record_draw(now, block, index)),
        Call::Leave => one(registration::leave(now, caller)),
        Call::WithdrawStake => registration::withdraw_stake(now, caller),
        Call::Claim => registration::claim(now, caller),
        Call::Rejoin => registration::rejoin(now, caller),
        Call::Rebalance(changes) => draft.rebalance(caller, &changes),
        Call::Evict { partition, seat } => one(targets::evict(now, partition, seat)),
        Call::Found { partition } => draft.found(partition),
        Call::GrowPartitions => one(growth::grow(now)),
        Call::SubmitCertificates(certificates) => draft.submit(&certificates),
        Call::Settle(partitions) => draft.settle(&partitions),
        Call::Slash { index, reports } => conduct::slash(now, caller, index, &reports),
        Call::ReportLate(report) => one(conduct::report_late(now, &report)),
        Call::DeclareQuorumLost { partition } => draft.declare_quorum_lost(partition),
        Call::ClaimBounty => registration::claim_bounty(now, caller),
        Call::ProposeSuccessor { successor } => one(succession::propose(now, caller, successor)),
        Call::AcceptSuccession => one(succession::accept(now, caller)),
        Call::Transfer { to, value } => one(token::transfer(now, caller, to, value)),
        Call::Approve { spender, value } => one(token::approve(caller, spender, value)),
        Call::Fees(call) => fees::decide(now, caller, call),
        Call::Karma(call) => karma::decide(now, caller, call),
        Call::Licenses(call) => licenses::decide(now, caller, call),
        Call::Delivery(call) => delivery::decide(now, caller, call),
    }
}

/// The facts of a call that does one thing.
fn one(fact: Result<Fact, Refusal>) -> Result<Vec<Fact>, Refusal> {
    fact.map(|fact| vec![fact])
}
