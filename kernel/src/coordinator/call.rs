//! Calls: what anybody may ask of the contracts, and the block in which they are answered.

use alloc::string::String;
use alloc::vec::Vec;

use super::BlockRef;
use super::entry::Entry;
use super::fact::Change;
use super::permissions::Permission;
use super::registry::{FeeTerms, Retention};
use super::{delivery, fees, karma, licenses};
use crate::ids::{Address, BrokerIndex, Hash, PartitionId, StreamId};

/// The longest list that a call takes: changes, certificates, the entries of one, partitions to settle.
pub const MAXIMUM_LIST: usize = 64;

/// The block that a call runs in.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// Its number.
    pub number: u64,
    /// Its time in Unix seconds.
    pub timestamp_s: u64,
    /// The hashes of earlier blocks. Only the last 256 are asked for, as the EVM's `blockhash` answers.
    pub hash_of: &'a dyn Fn(u64) -> Option<Hash>,
}

impl Block<'_> {
    /// The block as its facts see it.
    pub fn reference(&self) -> BlockRef {
        BlockRef { number: self.number, timestamp_s: self.timestamp_s }
    }

    /// The EVM's `blockhash`: of the 256 blocks before this one, else none.
    pub fn blockhash(&self, number: u64) -> Option<Hash> {
        let visible = number < self.number && self.number - number <= 256;
        visible.then(|| (self.hash_of)(number)).flatten()
    }
}

/// Entries with the signers that their certificate's signatures recover to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCertificate {
    /// What is sealed.
    pub entries: Vec<Entry>,
    /// One a signature: the account that signed, or `None` where no account can have made it.
    pub signers: Vec<Option<Address>>,
}

/// An entry with the account that the signature under its report recovers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReport {
    /// What is reported.
    pub entry: Entry,
    /// Who signed, or `None` where no account can have made the signature.
    pub signer: Option<Address>,
}

/// A call of one of the contracts. Amounts are in the token's smallest unit.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `StreamRegistry.createStream`: the caller owns a new stream.
    CreateStream {
        name: String,
        description: String,
        partitions: u32,
        public_subscribe: bool,
        public_publish: bool,
    },
    /// `Stream.update`: by the owner or who may edit.
    UpdateStream { stream: StreamId, name: String, description: String },
    /// `Stream.setPermission`: by the owner or who may grant.
    SetPermission { stream: StreamId, user: Address, permission: Permission },
    /// `Stream.grant`: by the owner, who may grant, or a delegate.
    Grant { stream: StreamId, user: Address, subscribe_until: u64, publish_until: u64 },
    /// `Stream.grantReader`: by the owner, who may grant, or a delegate.
    GrantReader { stream: StreamId, user: Address, subscribe_until: u64, public_key: Vec<u8> },
    /// `Stream.delegate`: by the owner, who may grant, or a delegate.
    Delegate { stream: StreamId, to: Address, subscribe_until: u64, publish_until: u64 },
    /// `Stream.setPublicKey`: by who may subscribe.
    SetPublicKey { stream: StreamId, key: Vec<u8> },
    /// `Stream.setSearchKeys`: by the owner or who may edit.
    SetSearchKeys { stream: StreamId, keys: Vec<Hash> },
    /// `Stream.setRetention`: by the owner or who may edit.
    SetRetention { stream: StreamId, retention: Retention },
    /// `Stream.setFeeTerms`: by the owner or who may edit.
    SetFeeTerms { stream: StreamId, fee_terms: FeeTerms },
    /// `Stream.transferOwnership`: by the owner.
    TransferOwnership { stream: StreamId, new_owner: Address },
    /// `Stream.acceptOwnership`: by whom the stream was offered.
    AcceptOwnership { stream: StreamId },
    /// `Stream.remove`: by the owner or who may delete.
    RemoveStream { stream: StreamId },
    /// `NetworkCoordinator.register`.
    Register { stake: u128, endpoint: String, tls_key_hash: Hash },
    /// `NetworkCoordinator.updateEndpoint`.
    UpdateEndpoint { endpoint: String, tls_key_hash: Hash },
    /// `NetworkCoordinator.recordDraw`: by anybody.
    RecordDraw { index: BrokerIndex },
    /// `NetworkCoordinator.leave`.
    Leave,
    /// `NetworkCoordinator.withdrawStake`.
    WithdrawStake,
    /// `NetworkCoordinator.rejoin`: by a suspended broker.
    Rejoin,
    /// `NetworkCoordinator.rebalance`: by anybody.
    Rebalance(Vec<Change>),
    /// `NetworkCoordinator.evict`: by anybody.
    Evict { partition: PartitionId, seat: u8 },
    /// `NetworkCoordinator.found`: by anybody.
    Found { partition: PartitionId },
    /// `NetworkCoordinator.growPartitions`: by anybody.
    GrowPartitions,
    /// `NetworkCoordinator.submitCertificates`: by anybody.
    SubmitCertificates(Vec<SignedCertificate>),
    /// `NetworkCoordinator.settle`: by anybody.
    Settle(Vec<PartitionId>),
    /// `NetworkCoordinator.claim`.
    Claim,
    /// `NetworkCoordinator.slash`: by anybody.
    Slash { index: BrokerIndex, reports: [SignedReport; 2] },
    /// `NetworkCoordinator.reportLate`: by anybody.
    ReportLate(SignedReport),
    /// `NetworkCoordinator.declareQuorumLost`: by anybody.
    DeclareQuorumLost { partition: PartitionId },
    /// `NetworkCoordinator.claimBounty`.
    ClaimBounty,
    /// `NetworkCoordinator.proposeSuccessor`: by the governor.
    ProposeSuccessor { successor: Address },
    /// `NetworkCoordinator.acceptSuccession`: by the proposed one.
    AcceptSuccession,
    /// The token's `transfer`.
    Transfer { to: Address, value: u128 },
    /// The token's `approve`.
    Approve { spender: Address, value: u128 },
    /// A call of LaneFees.
    Fees(fees::Call),
    /// A call of Karma.
    Karma(karma::Call),
    /// A call of DataLicenseFactory or of a product's DataLicense.
    Licenses(licenses::Call),
    /// A call of EventDelivery.
    Delivery(delivery::Call),
}
