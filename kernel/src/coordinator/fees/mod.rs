//! Fees (WP 2.4.7): what publishers and subscribers pay, the twin of the LaneFees contract.
//!
//! ```text
//!   publisher ──allots──► (publisher, stream partition) ──settle: a sealed signed header──► burned, the pool
//!   subscriber ─allots──► (subscriber, edge) ───────────settle: a signed receipt─────────► burned, the edge
//! ```
//!
//! A signed header is a voucher: sequence and volume are cumulative in its lane, so the newest one settles all
//! before it. A receipt is the same between a subscriber and its edge. A settled meter never falls; what is
//! older than it is refused by name.
//!
//! | rule | module |
//! | --- | --- |
//! | allotting, and taking back after a notice | [`allotments`] |
//! | what data costs | [`price`] |
//! | that a head is in a sealed cut | [`cut_proof`] |
//! | settling a lane | [`settlement`] |
//! | settling a receipt | [`receipts`] |
//! | what a proven fork costs | [`forks`] |
//! | whether a lane may go on | [`coverage`] |
//!
//! What a payer lacks at a settlement is not owed later: it is recorded as the allotment's shortfall, and brokers
//! look at [`coverage`] before they carry more.

pub mod allotments;
pub mod coverage;
pub mod cut_proof;
pub mod forks;
pub mod price;
pub mod receipts;
pub mod settlement;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::session::RecoveredSession;
use super::tree::Map;
use super::{Fact as AnyFact, Refusal as AnyRefusal, State as AnyState};
use crate::batch::Header;
use crate::ids::{Address, Epoch, Hash, LaneId, PartitionId, StreamId, StreamPartition};

pub use cut_proof::CutProof;
pub use price::Params;
pub use receipts::Receipt;

/// Where the burned share goes: an account that nobody has the key of.
pub const BURNED: Address = Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xDE, 0xAD]);

/// A header and the accounts that its signatures recover to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredHeader {
    /// The header.
    pub header: Header,
    /// Who signed it; `None` if no account can have made the signature.
    pub signer: Option<Address>,
    /// Its session certificate, if it has one of the type that contracts check.
    pub session: Option<RecoveredSession>,
}

/// A call of LaneFees. Amounts are in the token's smallest unit.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `allot`: the caller pays for what it publishes there.
    Allot { slot: StreamPartition, amount: u128 },
    /// `requestWithdrawal`: the caller wants that much of its allotment back; 0 takes the request back.
    RequestWithdrawal { slot: StreamPartition, amount: u128 },
    /// `withdraw`: the notice is over.
    Withdraw { slot: StreamPartition },
    /// `settle`: by anybody.
    Settle { signed: Box<RecoveredHeader>, proof: CutProof },
    /// `proveFork`: by anybody, who is the reporter.
    ProveFork { first: Box<RecoveredHeader>, second: Box<RecoveredHeader> },
    /// `allotToEdge`: the caller pays for what that broker delivers to it.
    AllotToEdge { edge: Address, amount: u128 },
    /// `requestEdgeWithdrawal`.
    RequestEdgeWithdrawal { edge: Address, amount: u128 },
    /// `withdrawFromEdge`.
    WithdrawFromEdge { edge: Address },
    /// `settleReceipt`: by the edge.
    SettleReceipt { subscriber: Address, receipt: Receipt, signer: Option<Address> },
}

/// An event of LaneFees. Fields are those of the Solidity event of the same name.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// The contract exists.
    FeesOpened { params: Params },
    /// A publisher allotted more.
    Allotted { publisher: Address, stream: StreamId, stream_partition: u32, amount: u128 },
    /// A publisher wants this much back after an epoch.
    WithdrawalRequested {
        publisher: Address,
        stream: StreamId,
        stream_partition: u32,
        amount: u128,
        withdrawable_epoch: Epoch,
    },
    /// A publisher got this much back.
    Withdrawn { publisher: Address, stream: StreamId, stream_partition: u32, amount: u128 },
    /// A lane is paid for up to here; the shortfall is what the allotment lacked.
    LaneSettled {
        lane: LaneId,
        publisher: Address,
        stream: StreamId,
        stream_partition: u32,
        events: u64,
        volume: u64,
        charged: u128,
        shortfall: u128,
    },
    /// A publisher forked a lane and lost this much; the reporter's share is in it.
    AllotmentSlashed {
        lane: LaneId,
        publisher: Address,
        reporter: Address,
        stream: StreamId,
        stream_partition: u32,
        slashed: u128,
        rewarded: u128,
    },
    /// A subscriber allotted more.
    AllottedToEdge { subscriber: Address, edge: Address, amount: u128 },
    /// A subscriber wants this much back after an epoch.
    EdgeWithdrawalRequested { subscriber: Address, edge: Address, amount: u128, withdrawable_epoch: Epoch },
    /// A subscriber got this much back.
    EdgeWithdrawn { subscriber: Address, edge: Address, amount: u128 },
    /// A session is paid for up to here.
    ReceiptSettled {
        subscriber: Address,
        edge: Address,
        session: Hash,
        events: u64,
        volume: u64,
        charged: u128,
        shortfall: u128,
    },
}

super::refusal::refusals! {
    nested {}
    AmountOutOfRange { amount: u128, minimum: u128, maximum: u128 } =>
        "an amount of {amount} is not within {minimum} to {maximum}";
    AllotmentTooSmall { amount: u128, allotted: u128 } =>
        "{amount} asked back of an allotment of {allotted}; ask for no more than that";
    NoWithdrawalRequested { account: Address } =>
        "{account} has asked for nothing back there; request the withdrawal first";
    WithdrawalLocked { withdrawable_epoch: Epoch, current_epoch: Epoch } =>
        "the allotment can be withdrawn once epoch {withdrawable_epoch} is over; now is epoch {current_epoch}";
    NotABroker { edge: Address } => "{edge} is no broker; allot to one that is registered";
    NotTheEdge { caller: Address, edge: Address } => "the receipt is for {edge}; {caller} cannot settle it";
    InvalidHeader { digest: Hash } => "the header {digest} breaks a rule of the format or is not for the chain";
    InvalidHeaderSignature { digest: Hash } => "the header {digest} is not signed by its signer";
    InvalidSession { digest: Hash, certificate: Hash } =>
        "no certificate {certificate} of the origin's lets the signer of header {digest} sign";
    InvalidReceiptSignature { session: Hash } => "the receipt of session {session} is not signed by its subscriber";
    AlreadySettled { lane: LaneId, events: u64, settled: u64 } =>
        "lane {lane} is settled up to {settled} events; a header that ends at {events} adds nothing";
    MeterFalls { lane: LaneId, volume: u64, settled: u64 } =>
        "lane {lane} is settled up to {settled} bytes; a header that says {volume} takes some back";
    ReceiptAlreadySettled { session: Hash, events: u64, volume: u64 } =>
        "session {session} is settled up to {events} events and {volume} bytes; the receipt adds nothing or takes some back";
    TooManySeals { given: usize, maximum: usize } =>
        "{given} seals lie after the cut and {maximum} may; settle by a newer one";
    InvalidCutProof { index: u32, count: u32, path_length: usize } =>
        "a path of {path_length} hashes does not lead from leaf {index} of {count} to a root";
    CutNotSealed { partition: PartitionId, given: Hash, stored: Hash } =>
        "the proof leads to checksum {given} of partition {partition}; the chain has {stored}";
    HeadersAgree { first: Hash, second: Hash } => "the headers {first} and {second} do not contradict each other";
    AlreadySlashed { lane: LaneId } => "the fork of lane {lane} is paid for";
    NothingToSlash { lane: LaneId } => "the allotment behind lane {lane} has nothing to slash";
}

/// Tokens set aside for one purpose, in the token's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allotment {
    /// What is there.
    pub amount: u128,
    /// How much of it its owner wants back.
    pub leaving: u128,
    /// After this epoch it can have it.
    pub withdrawable_epoch: Epoch,
    /// What settlements found missing so far.
    pub shortfall: u128,
}

/// How far a lane or a session has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Events from the first on.
    pub events: u64,
    /// Their content bytes.
    pub volume: u64,
}

/// A lane, as far as fees go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// What is settled.
    pub settled: Meter,
    /// Whether its publisher paid for forking it.
    pub is_slashed: bool,
}

/// What LaneFees holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What it was deployed with.
    pub params: Params,
    /// What publishers allotted.
    pub allotments: Map<(Address, StreamPartition), Allotment>,
    /// What subscribers allotted to edges: (subscriber, edge).
    pub edge_allotments: Map<(Address, Address), Allotment>,
    /// Lanes that were settled or slashed.
    pub lanes: Map<LaneId, Lane>,
    /// Settled receipts: (subscriber, edge, session).
    pub receipts: Map<(Address, Address, Hash), Meter>,
    /// The sum of all allotments.
    pub deposits: u128,
    /// All that settlements charged so far, the burned share included.
    pub charged: u128,
}

impl State {
    /// A publisher's allotment.
    pub fn allotment(&self, publisher: Address, slot: StreamPartition) -> Allotment {
        self.allotments.get(&(publisher, slot)).copied().unwrap_or_default()
    }

    /// What a subscriber allotted to an edge.
    pub fn edge_allotment(&self, subscriber: Address, edge: Address) -> Allotment {
        self.edge_allotments.get(&(subscriber, edge)).copied().unwrap_or_default()
    }

    /// A lane.
    pub fn lane(&self, lane: &LaneId) -> Lane {
        self.lanes.get(lane).copied().unwrap_or_default()
    }
}

/// What a call does.
pub(super) fn decide(state: &AnyState, caller: Address, call: Call) -> Result<Vec<AnyFact>, AnyRefusal> {
    match call {
        Call::Allot { slot, amount } => allotments::allot(state, caller, slot, amount),
        Call::RequestWithdrawal { slot, amount } => {
            allotments::request_withdrawal(state, caller, slot, amount)
        }
        Call::Withdraw { slot } => allotments::withdraw(state, caller, slot),
        Call::Settle { signed, proof } => settlement::settle(state, &signed, &proof),
        Call::ProveFork { first, second } => forks::prove(state, caller, &first, &second),
        Call::AllotToEdge { edge, amount } => allotments::allot_to_edge(state, caller, edge, amount),
        Call::RequestEdgeWithdrawal { edge, amount } => {
            allotments::request_edge_withdrawal(state, caller, edge, amount)
        }
        Call::WithdrawFromEdge { edge } => allotments::withdraw_from_edge(state, caller, edge),
        Call::SettleReceipt { subscriber, receipt, signer } => {
            receipts::settle(state, caller, subscriber, &receipt, signer)
        }
    }
}

/// Applies an event.
pub(super) fn evolve(state: &mut AnyState, fact: &Fact) {
    match fact {
        Fact::Allotted { publisher, amount, .. } => use_allowance(state, *publisher, *amount),
        Fact::AllottedToEdge { subscriber, amount, .. } => use_allowance(state, *subscriber, *amount),
        _ => {}
    }
    let fees = Arc::make_mut(&mut state.fees);
    match *fact {
        Fact::FeesOpened { params } => *fees = State { params, ..State::default() },
        Fact::Allotted { publisher, stream, stream_partition: partition, amount } => {
            fees.add(publisher, StreamPartition { stream, partition }).deposit(amount);
            fees.deposits += amount;
        }
        Fact::WithdrawalRequested { publisher, stream, stream_partition, amount, withdrawable_epoch } => {
            let slot = StreamPartition { stream, partition: stream_partition };
            fees.add(publisher, slot).announce(amount, withdrawable_epoch);
        }
        Fact::Withdrawn { publisher, stream, stream_partition: partition, amount } => {
            fees.add(publisher, StreamPartition { stream, partition }).give_back(amount);
            fees.take(amount);
        }
        Fact::LaneSettled {
            lane,
            publisher,
            stream,
            stream_partition: partition,
            events,
            volume,
            charged,
            shortfall,
        } => {
            fees.lanes.or_default(lane).settled = Meter { events, volume };
            fees.add(publisher, StreamPartition { stream, partition }).charge(charged, shortfall);
            fees.take(charged);
            fees.charged += charged;
        }
        Fact::AllotmentSlashed { lane, publisher, stream, stream_partition: partition, slashed, .. } => {
            fees.lanes.or_default(lane).is_slashed = true;
            fees.add(publisher, StreamPartition { stream, partition }).charge(slashed, 0);
            fees.take(slashed);
        }
        Fact::AllottedToEdge { subscriber, edge, amount } => {
            fees.add_edge(subscriber, edge).deposit(amount);
            fees.deposits += amount;
        }
        Fact::EdgeWithdrawalRequested { subscriber, edge, amount, withdrawable_epoch } => {
            fees.add_edge(subscriber, edge).announce(amount, withdrawable_epoch);
        }
        Fact::EdgeWithdrawn { subscriber, edge, amount } => {
            fees.add_edge(subscriber, edge).give_back(amount);
            fees.take(amount);
        }
        Fact::ReceiptSettled { subscriber, edge, session, events, volume, charged, shortfall } => {
            fees.receipts.insert((subscriber, edge, session), Meter { events, volume });
            fees.add_edge(subscriber, edge).charge(charged, shortfall);
            fees.take(charged);
            fees.charged += charged;
        }
    }
}

/// The token reports no use of an allowance, so the allotment does.
fn use_allowance(state: &mut AnyState, owner: Address, amount: u128) {
    let spender = state.contracts.fees;
    let allowed = state.allowance(owner, spender);
    if allowed != u128::MAX {
        super::evolve::allow(state, owner, spender, allowed.saturating_sub(amount));
    }
}

impl State {
    fn add(&mut self, publisher: Address, slot: StreamPartition) -> &mut Allotment {
        self.allotments.or_default((publisher, slot))
    }

    fn add_edge(&mut self, subscriber: Address, edge: Address) -> &mut Allotment {
        self.edge_allotments.or_default((subscriber, edge))
    }

    fn take(&mut self, amount: u128) {
        self.deposits = self.deposits.checked_sub(amount).expect("deposits are the sum of the allotments");
    }
}

impl Allotment {
    /// What it still holds once its owner has what it asked back.
    pub fn staying(&self) -> u128 {
        self.amount.saturating_sub(self.leaving)
    }

    fn deposit(&mut self, amount: u128) {
        self.amount += amount;
    }

    fn announce(&mut self, amount: u128, withdrawable_epoch: Epoch) {
        self.leaving = amount;
        self.withdrawable_epoch = withdrawable_epoch;
    }

    fn give_back(&mut self, amount: u128) {
        self.leaving = 0;
        self.charge(amount, 0);
    }

    fn charge(&mut self, amount: u128, shortfall: u128) {
        self.amount = self.amount.checked_sub(amount).expect("no more is taken than is there");
        self.shortfall += shortfall;
    }
}
