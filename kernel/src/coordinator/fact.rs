//! Facts: what the contracts' events say, one variant an event; and intents: what a node asks the chain for.
//!
//! Events carry enough to rebuild all state from logs alone. Field names are the events' own; a stream's own
//! events carry the stream, which on chain is the emitting contract. Amounts are in the token's smallest
//! unit.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bincode::{Decode, Encode};

use super::certificates::Certificate;
use super::entry::{Entry, SealedEntry};
use super::permissions::{Delegation, Permission};
use super::registry::{FeeTerms, Retention};
use super::seats::{Counts, Seats};
use super::state::Contracts;
use super::{delivery, fees, karma, licenses};
use crate::agreement::Fork;
use crate::batch::SignedHeader;
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId, StreamId};

/// Something that happened on the chain. Fields are those of the Solidity event of the same name.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fact {
    /// A stream exists from now on (WP 2.4.2).
    StreamCreated { stream: StreamId, owner: Address, name: String, description: String, partitions: u32 },
    /// A stream's metadata are these now.
    MetadataUpdated { stream: StreamId, name: String, description: String },
    /// What an address, or everybody if it is zero, may do with a stream (WP 2.5.1).
    PermissionSet { stream: StreamId, user: Address, permission: Permission },
    /// A reader has this public key (WP 2.4.10); none if it is empty.
    PublicKeySet { stream: StreamId, user: Address, public_key: Vec<u8> },
    /// What a delegate may pass on (WP 2.5.1).
    DelegationSet { stream: StreamId, delegate: Address, delegation: Delegation },
    /// A stream is offered to another owner; to nobody if that is zero.
    OwnershipTransferStarted { stream: StreamId, previous_owner: Address, new_owner: Address },
    /// A stream has another owner.
    OwnershipTransferred { stream: StreamId, previous_owner: Address, new_owner: Address },
    /// How long brokers keep what a stream carries (WP 2.4.8).
    RetentionSet { stream: StreamId, retention: Retention },
    /// What a subscriber is asked to pay.
    FeeTermsSet { stream: StreamId, fee_terms: FeeTerms },
    /// A stream is found under these keys (WP 2.5.2).
    SearchKeysSet { stream: StreamId, keys: Vec<Hash> },
    /// A stream is gone.
    StreamRemoved { stream: StreamId },
    /// A broker joined with its stake (WP 2.4.6).
    BrokerRegistered {
        index: BrokerIndex,
        broker: Address,
        stake: u128,
        tickets: u8,
        endpoint: String,
        tls_key_hash: Hash,
        draw_block: u64,
    },
    /// A broker is reached elsewhere now.
    BrokerUpdated { index: BrokerIndex, endpoint: String, tls_key_hash: Hash },
    /// The draw's block is too old to be read; a later one takes its place.
    DrawMissed { index: BrokerIndex, draw_block: u64 },
    /// A broker has its draw and can take seats.
    DrawRecorded { index: BrokerIndex, draw: Hash },
    /// A broker gave notice; its tickets are gone.
    BrokerLeft { index: BrokerIndex, withdrawable_epoch: Epoch },
    /// A broker that left got its stake back.
    StakeWithdrawn { index: BrokerIndex, amount: u128 },
    /// A broker took a seat of a partition's target; `replaced` is who sat there, 0 where nobody did; `sponsor` is
    /// whose account proposed it, 0 if it was no broker's.
    SeatProposed {
        partition: PartitionId,
        seat: u8,
        broker: BrokerIndex,
        ticket: u8,
        replaced: BrokerIndex,
        sponsor: BrokerIndex,
    },
    /// A seat of a partition's target fell vacant.
    SeatVacated { partition: PartitionId, seat: u8, broker: BrokerIndex },
    /// A partition's members are these from `since_epoch` on.
    MembersInstalled { partition: PartitionId, since_epoch: Epoch, members: Seats },
    /// The network has this many partitions (WP 2.4.5); lanes can be at home in the new ones from this epoch on.
    PartitionsGrown { from_epoch: Epoch, partitions: u32 },
    /// A newcomer's sponsor earned a bounty, out of the fees of the newcomer and of the offender whose seat it took.
    SeatRewarded {
        partition: PartitionId,
        broker: BrokerIndex,
        sponsor: BrokerIndex,
        from_newcomer: u128,
        from_offender: u128,
    },
    /// A certificate was accepted (WP 2.4.6, 2.4.7).
    PartitionsSealed { signers: Seats, entries: Vec<SealedEntry> },
    /// Seals of a set became pay and reliability (WP 2.4.7): `signed` and `missed` are each seat's. In their order
    /// seats got `reward` for each one signed, while `paid`, the sum, lasted.
    PartitionSettled {
        partition: PartitionId,
        set: Seats,
        signed: Counts,
        missed: Counts,
        reward: u128,
        paid: u128,
    },
    /// A suspended broker paid the join fee again.
    BrokerRejoined { index: BrokerIndex, fee: u128 },
    /// A broker was paid what it had accrued.
    RewardClaimed { index: BrokerIndex, amount: u128 },
    /// A broker signed two checksums for one (partition, epoch, round, previous) and lost `amount` of its stake,
    /// `reward` of it to the reporter and the rest to the pool.
    BrokerSlashed {
        index: BrokerIndex,
        reporter: Address,
        partition: PartitionId,
        epoch: Epoch,
        round: u32,
        previous: Hash,
        amount: u128,
        reward: u128,
    },
    /// A member that missed the last certificate attested it; `reward` was paid if its miss was settled before.
    LateReportAccepted { partition: PartitionId, epoch: Epoch, index: BrokerIndex, reward: u128 },
    /// Nothing was sealed since `sealed_epoch` for too long; `members` lose the partition.
    QuorumLost { partition: PartitionId, sealed_epoch: Epoch, members: Seats },
    /// An account was paid what it had earned by reports.
    BountyClaimed { account: Address, amount: u128 },
    /// The governor wants this coordinator to follow, or none if it is zero.
    SuccessorProposed { successor: Address },
    /// The network is the successor's from `from_epoch` on.
    SuccessorAccepted { successor: Address, from_epoch: Epoch },
    /// Tokens moved (ERC-20); from the zero address they were minted.
    Transfer { from: Address, to: Address, value: u128 },
    /// `spender` may move this much of `owner`'s tokens (ERC-20); more than fits reads as [`u128::MAX`].
    Approval { owner: Address, spender: Address, value: u128 },
    /// An event of LaneFees (WP 2.4.7).
    Fees(fees::Fact),
    /// An event of Karma (WP 3).
    Karma(karma::Fact),
    /// An event of DataLicenseFactory or of a DataLicense (WP 2.3, 2.5.4).
    Licenses(licenses::Fact),
    /// An event of EventDelivery (WP 2.4.3).
    Delivery(delivery::Fact),
}

/// A change of a partition's target: seat this broker with this ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Change {
    /// The partition.
    pub partition: PartitionId,
    /// The candidate.
    pub broker: BrokerIndex,
    /// The candidate's ticket.
    pub ticket: u8,
}

/// A transaction that a broker wants sent from its own account, to the contract that [`Intent::contract`] names.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Intent {
    /// Record a broker's draw.
    RecordDraw {
        /// The broker.
        index: BrokerIndex,
    },
    /// Move partitions towards their targets.
    Rebalance(Vec<Change>),
    /// Found a partition whose seats are not all filled.
    Found {
        /// The partition.
        partition: PartitionId,
    },
    /// Seal epochs of partitions.
    SubmitCertificate(Certificate),
    /// Have the tallies of partitions settled.
    SettleTallies(Vec<PartitionId>),
    /// Have partitions added for the brokers that joined.
    GrowPartitions,
    /// Let a contract take this much of the account's tokens.
    Approve {
        /// The contract.
        spender: Address,
        /// In the token's smallest unit.
        amount: u128,
    },
    /// Pay the join fee again after a suspension.
    Rejoin,
    /// Be paid what has accrued.
    Claim,
    /// Be paid the bounties of the account.
    ClaimBounty,
    /// Attest the last seal that the broker missed.
    ReportLate(Report),
    /// Have a broker punished that signed two checksums.
    Slash {
        /// Who signed both.
        index: BrokerIndex,
        /// The two reports.
        reports: Box<[Report; 2]>,
    },
    /// Reseat a partition that nobody seals any more.
    DeclareQuorumLost {
        /// The partition.
        partition: PartitionId,
    },
    /// Vacate a target seat whose ticket is not valid any more.
    Evict {
        /// The partition.
        partition: PartitionId,
        /// The seat.
        seat: u8,
    },
    /// Have LaneFees charge a lane up to its head in a sealed cut.
    SettleLane(Box<Settlement>),
    /// Have LaneFees punish a publisher that forked a lane.
    ProveFork(Box<Fork>),
}

/// A broker's report of one entry, whose root is the entry's own hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// What is reported.
    pub entry: Entry,
    /// The signature over it: r, s, v.
    pub signature: [u8; 65],
}

/// A lane's sealed head as LaneFees wants it shown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Settlement {
    /// The header that the head names.
    pub signed: SignedHeader,
    /// That the head is in a sealed cut.
    pub proof: fees::CutProof,
}

impl Intent {
    /// The contract that it is sent to.
    pub fn contract(&self, contracts: &Contracts) -> Address {
        match self {
            Self::SettleLane(_) | Self::ProveFork(_) => contracts.fees,
            Self::Approve { .. } => contracts.token,
            _ => contracts.coordinator,
        }
    }
}
