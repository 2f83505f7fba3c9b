//! Why a call is refused: one variant a custom error of the contracts, by the same name and with the same
//! arguments.

use alloc::string::String;

use super::seats::Seats;
use super::{delivery, fees, karma, licenses};
use crate::ids::{Address, BrokerIndex, Epoch, Hash, PartitionId, StreamId};

/// An enum of refusals: those of other contracts first (`nested`), then its own.
macro_rules! refusals {
    (
        nested { $($(#[$nested_doc:meta])* $nested:ident($inner:ty),)* }
        $($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* } => $message:literal;)*
    ) => {
        /// A refused call: what the Solidity error of the same name says.
        #[allow(missing_docs)]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$nested_doc])* $nested($inner),)*
            $($(#[$doc])* $name { $($field: $kind),* },)*
        }

        $(impl From<$inner> for Refusal {
            fn from(inner: $inner) -> Self {
                Self::$nested(inner)
            }
        })*

        impl Refusal {
            /// The name of the Solidity error.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$nested(inner) => inner.name(),)*
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }
        }

        impl core::error::Error for Refusal {}

        impl core::fmt::Display for Refusal {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $(Self::$nested(inner) => core::fmt::Display::fmt(inner, f),)*
                    $(Self::$name { $($field),* } => write!(f, $message),)*
                }
            }
        }
    };
}
pub(super) use refusals;

refusals! {
    nested {
        /// Of LaneFees.
        Fees(fees::Refusal),
        /// Of Karma.
        Karma(karma::Refusal),
        /// Of DataLicenseFactory and of products.
        Licenses(licenses::Refusal),
        /// Of EventDelivery.
        Delivery(delivery::Refusal),
    }

    // Streams.
    PartitionsOutOfRange { partitions: u32, maximum: u32 } =>
        "{partitions} stream partitions asked for; choose 1 to {maximum}";
    NameLengthOutOfRange { length: usize, maximum: usize } =>
        "the stream's name has {length} bytes; choose one of 1 to {maximum}";
    DescriptionTooLong { length: usize, maximum: usize } =>
        "the description has {length} bytes; shorten it to {maximum}";
    NameTaken { owner: Address, name: String, stream: StreamId } =>
        "{owner} already has a stream named {name:?}, at {stream}; choose another name";
    /// No stream of the registry has this address. On chain the call would reach no contract.
    NotAStream { caller: StreamId } => "{caller} is no stream of the registry";
    NotPermitted { caller: Address } =>
        "{caller} may not do this; ask the stream's owner for the permission";
    OwnerPermissionsProtected { owner: Address, caller: Address } =>
        "{caller} cannot change the permissions of the owner {owner}; only the owner can";
    AlreadyRemoved {} => "the stream was removed";
    TooManySearchKeys { count: usize, maximum: usize } =>
        "{count} search keys given; choose at most {maximum}";
    DuplicateSearchKey { key: Hash } => "the search key {key} is given twice; leave one out";
    EverybodyNotAllowed {} => "name an address; rights of everybody are set as a permission";
    NothingGranted {} => "both times are 0; give one of the rights a time";
    GrantBeyondDelegation { caller: Address, until: u64, limit: u64 } =>
        "the delegation of {caller} reaches to {limit}, not to {until}; grant less or ask for more";
    NotPendingOwner { caller: Address, pending_owner: Address } =>
        "the stream is offered to {pending_owner}, not to {caller}; ask its owner for it";
    KeyLengthOutOfRange { length: usize, minimum: usize, maximum: usize } =>
        "the public key has {length} bytes; give one of {minimum} to {maximum}";

    // Brokers.
    StakeOutOfRange { stake: u128, minimum: u128, maximum: u128 } =>
        "a stake of {stake} is not within {minimum} to {maximum}";
    EndpointLengthOutOfRange { length: usize, maximum: usize } =>
        "the endpoint has {length} bytes; give one of 1 to {maximum}";
    AlreadyRegistered { account: Address, index: BrokerIndex } =>
        "{account} is already broker {index}; register another account";
    TooManyBrokers { maximum: u32 } => "all {maximum} broker indices are in use";
    NotRegistered { account: Address } => "{account} is no broker; register it first";
    UnknownBroker { index: BrokerIndex } => "there is no broker {index}";
    DrawAlreadyRecorded { index: BrokerIndex } => "broker {index} already has its draw";
    DrawNotReady { index: BrokerIndex, draw_block: u64, current_block: u64 } =>
        "the draw of broker {index} can be recorded after block {draw_block}; now is block {current_block}";
    AlreadyLeft { index: BrokerIndex } => "broker {index} left before";
    NotLeft { index: BrokerIndex } => "broker {index} has not left; leave first, then withdraw";
    StakeLocked { index: BrokerIndex, withdrawable_epoch: Epoch, current_epoch: Epoch } =>
        "broker {index} can withdraw once epoch {withdrawable_epoch} is over; now is epoch {current_epoch}";
    StillSeated { index: BrokerIndex, seats: u32 } =>
        "broker {index} is a member of {seats} partitions; wait until others took its place";
    NothingStaked { index: BrokerIndex } => "broker {index} has no stake left to withdraw";
    NothingToClaim { index: BrokerIndex } => "broker {index} has no reward to claim";

    // Seats.
    ListTooLong { length: usize, maximum: usize } =>
        "the list has {length} entries; split it into lists of at most {maximum}";
    UnknownPartition { partition: PartitionId, partitions: u32 } =>
        "there is no partition {partition}; they are numbered from 0 and there are {partitions}";
    UnknownSeat { seat: u8, replicas: u8 } =>
        "there is no seat {seat}; they are numbered from 0 and there are {replicas}";
    SeatIsVacant { partition: PartitionId, seat: u8 } =>
        "seat {seat} of partition {partition} is vacant already";
    SeatIsValid { partition: PartitionId, seat: u8, broker: BrokerIndex } =>
        "seat {seat} of partition {partition} is held by broker {broker} with a valid ticket";
    AlreadyFounded { partition: PartitionId, since_epoch: Epoch } =>
        "partition {partition} has members since epoch {since_epoch}";
    NotFounded { partition: PartitionId } => "partition {partition} has no members yet; found it first";
    TooFewSeats { partition: PartitionId, seats: usize, quorum: usize } =>
        "partition {partition} has {seats} valid seats; founding it needs {quorum}";
    TargetStillMoving { partition: PartitionId, target_epoch: Epoch } =>
        "the target of partition {partition} changed in epoch {target_epoch}; found it in a later one";
    NothingToGrow { partitions: u32, wanted: u32 } =>
        "there are {partitions} partitions and the active brokers call for {wanted}; more brokers must join first";

    // Certificates.
    AlreadySealed { partition: PartitionId, epoch: Epoch, sealed_epoch: Epoch } =>
        "epoch {epoch} of partition {partition} is sealed; the last sealed one is {sealed_epoch}";
    EpochNotOver { partition: PartitionId, epoch: Epoch, current_epoch: Epoch } =>
        "epoch {epoch} of partition {partition} is not over; now is epoch {current_epoch}";
    WindowClosed { partition: PartitionId, epoch: Epoch, current_epoch: Epoch, window_epochs: u64 } =>
        "epoch {epoch} of partition {partition} had {window_epochs} epochs to be sealed; now is {current_epoch}";
    PreviousMismatch { partition: PartitionId, hint: [u8; 4], stored: Hash } =>
        "the entry for partition {partition} rolls on from a checksum that begins with {hint:02x?}; the chain has {stored}";
    EntriesOutOfRange { length: usize, maximum: usize } =>
        "the certificate has {length} entries; give it 1 to {maximum}";
    EntriesNotAscending { partition: PartitionId } =>
        "the entry for partition {partition} does not come after one of a lower partition; order them, each once";
    TooManySignatures { partition: PartitionId, given: usize, maximum: usize } =>
        "{given} signatures for partition {partition}; choose {maximum} that make the quorum";
    InvalidSignature { partition: PartitionId, position: usize } =>
        "signature {position} for partition {partition} is malformed";
    SignerNotMember { partition: PartitionId, epoch: Epoch, signer: Address } =>
        "{signer} is in no set that epoch {epoch} of partition {partition} needs";
    DuplicateSigner { partition: PartitionId, index: BrokerIndex } =>
        "broker {index} signed twice for partition {partition}";
    QuorumNotReached { partition: PartitionId, epoch: Epoch, members: Seats, signers: usize, quorum: usize } =>
        "epoch {epoch} of partition {partition} needs {quorum} signers of {members:?} and has {signers}";

    // Conduct.
    NoConflict { index: BrokerIndex } =>
        "the two reports of broker {index} do not differ in the checksum alone: they prove nothing";
    NotTheSigner { index: BrokerIndex, recovered: Address } =>
        "the report was signed by {recovered}, not by broker {index}";
    AlreadySlashed { index: BrokerIndex, partition: PartitionId, epoch: Epoch, round: u32 } =>
        "broker {index} was punished for round {round} of epoch {epoch} of partition {partition} before";
    NotLate { partition: PartitionId, round: u32 } =>
        "a late report for partition {partition} names round 4294967295, not {round}";
    NotAccepted { partition: PartitionId, epoch: Epoch, sealed_epoch: Epoch, checksum: Hash } =>
        "epoch {epoch} with this checksum is not the last seal of partition {partition}: that is {checksum} of \
         epoch {sealed_epoch}";
    NotAbsent { partition: PartitionId, epoch: Epoch, signer: Address } =>
        "{signer} did not miss the seal of epoch {epoch} of partition {partition}";
    QuorumNotLost { partition: PartitionId, sealed_epoch: Epoch, current_epoch: Epoch, patience: u64 } =>
        "partition {partition} sealed epoch {sealed_epoch}; its quorum is lost {patience} epochs after that, and \
         now is epoch {current_epoch}";
    NotSuspended { index: BrokerIndex, reliability: u16, minimum: u16 } =>
        "broker {index} has reliability {reliability} of at least {minimum}: it is not suspended";
    NoBounty { account: Address } => "{account} has no bounty to claim";

    // Succession.
    NotGovernor { caller: Address } => "{caller} is not the governor, who alone proposes a successor";
    NotProposed { caller: Address } => "{caller} is not the proposed successor";
    SuccessorFixed { successor: Address, from_epoch: Epoch } =>
        "the successor is {successor} from epoch {from_epoch} on, and stays so";
    Succeeded { successor: Address, from_epoch: Epoch } =>
        "the network is the coordinator {successor} from epoch {from_epoch} on: go there";

    // The token (OpenZeppelin's ERC-20 errors, ERC-6093).
    ERC20InsufficientBalance { sender: Address, balance: u128, needed: u128 } =>
        "{sender} has {balance} of the token and needs {needed}";
    ERC20InsufficientAllowance { spender: Address, allowance: u128, needed: u128 } =>
        "{spender} may move {allowance} of the token and needs {needed}; approve it first";
    ERC20InvalidReceiver { receiver: Address } => "tokens cannot be sent to {receiver}";
    ERC20InvalidSpender { spender: Address } => "{spender} cannot be approved";
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_refusal_says_its_solidity_name_and_what_to_do() {
        let refusal = Refusal::StillSeated { index: BrokerIndex(4), seats: 2 };
        assert_eq!(refusal.name(), "StillSeated");
        assert_eq!(
            refusal.to_string(),
            "broker 4 is a member of 2 partitions; wait until others took its place"
        );
    }
}
