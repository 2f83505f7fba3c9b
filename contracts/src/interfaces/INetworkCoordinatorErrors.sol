// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Why the network coordinator refuses
interface INetworkCoordinatorErrors {
    /// @notice A constructor parameter must lie between `minimum` and `maximum`.
    error ParameterOutOfRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum);

    /// @notice The token must be a contract.
    error TokenMissing(address token);

    /// @notice The stake must lie between `minimum` and `maximum`.
    error StakeOutOfRange(uint256 stake, uint256 minimum, uint256 maximum);

    /// @notice The endpoint must be 1 to `maximum` bytes long.
    error EndpointLengthOutOfRange(uint256 length, uint256 maximum);

    /// @notice An address registers once, for ever.
    error AlreadyRegistered(address account, uint24 index);

    /// @notice All `maximum` broker indexes are in use.
    error TooManyBrokers(uint256 maximum);

    /// @notice The caller is not a registered broker.
    error NotRegistered(address account);

    /// @notice No broker has this index.
    error UnknownBroker(uint24 index);

    /// @notice The draw is fixed already.
    error DrawAlreadyRecorded(uint24 index);

    /// @notice The draw can be recorded in a block after `drawBlock`.
    error DrawNotReady(uint24 index, uint64 drawBlock, uint256 currentBlock);

    /// @notice The broker left before.
    error AlreadyLeft(uint24 index);

    /// @notice Leave first, then withdraw.
    error NotLeft(uint24 index);

    /// @notice The stake can be withdrawn after epoch `withdrawableEpoch`.
    error StakeLocked(uint24 index, uint64 withdrawableEpoch, uint64 currentEpoch);

    /// @notice The broker still acts in `seats` member sets; it waits until others took its place.
    error StillSeated(uint24 index, uint32 seats);

    /// @notice The stake was withdrawn before.
    error NothingStaked(uint24 index);

    /// @notice There is no reward to claim.
    error NothingToClaim(uint24 index);

    /// @notice A list holds at most `maximum` entries.
    error ListTooLong(uint256 length, uint256 maximum);

    /// @notice Partitions are numbered from 0 to `partitions` - 1.
    error UnknownPartition(uint32 partition, uint32 partitions);

    /// @notice Seats are numbered from 0 to `replicas` - 1.
    error UnknownSeat(uint8 seat, uint8 replicas);

    /// @notice The seat is vacant already.
    error SeatIsVacant(uint32 partition, uint8 seat);

    /// @notice The ticket in this seat is valid.
    error SeatIsValid(uint32 partition, uint8 seat, uint24 broker);

    /// @notice The partition has members since `sinceEpoch`.
    error AlreadyFounded(uint32 partition, uint64 sinceEpoch);

    /// @notice The partition has no members yet.
    error NotFounded(uint32 partition);

    /// @notice Founding needs `quorum` target seats with valid tickets.
    error TooFewSeats(uint32 partition, uint8 seats, uint8 quorum);

    /// @notice The target changed in this epoch; found the partition in a later one.
    error TargetStillMoving(uint32 partition, uint64 targetEpoch);

    /// @notice The partition's epoch was sealed before, or an epoch after it.
    error AlreadySealed(uint32 partition, uint64 epoch, uint64 sealedEpoch);

    /// @notice An epoch can be sealed only once it is over.
    error EpochNotOver(uint32 partition, uint64 epoch, uint64 currentEpoch);

    /// @notice The certificate came more than `windowEpochs` after its epoch.
    error WindowClosed(uint32 partition, uint64 epoch, uint64 currentEpoch, uint64 windowEpochs);

    /// @notice The entry does not extend the checksum that is stored, which begins with other 4 bytes.
    error PreviousMismatch(uint32 partition, bytes4 hint, bytes24 stored);

    /// @notice A certificate has 1 to `maximum` entries.
    error EntriesOutOfRange(uint256 length, uint256 maximum);

    /// @notice The entries of a certificate ascend by partition, so that none is there twice.
    error EntriesNotAscending(uint32 partition);

    /// @notice A certificate has at most `maximum` signatures, which always suffice for a quorum. `partition` is its
    /// first entry's, as in the next two errors.
    error TooManySignatures(uint32 partition, uint256 given, uint256 maximum);

    /// @notice Signature number `position` is malformed.
    error InvalidSignature(uint32 partition, uint256 position);

    /// @notice The recovered signer sits in no member set that this entry needs.
    error SignerNotMember(uint32 partition, uint64 epoch, address signer);

    /// @notice A broker signed twice.
    error DuplicateSigner(uint32 partition, uint24 index);

    /// @notice The member set `members` needs `quorum` signers and has `signers`.
    error QuorumNotReached(uint32 partition, uint64 epoch, uint192 members, uint8 signers, uint8 quorum);

    /// @notice The two reports do not conflict: partition, epoch, round and previous must be equal, the checksums
    /// not.
    error NoConflict(uint24 index);

    /// @notice The broker's account did not sign this.
    error NotTheSigner(uint24 index, address recovered);

    /// @notice This conflict was punished before.
    error AlreadySlashed(uint24 index, uint32 partition, uint64 epoch, uint32 round);

    /// @notice A late report is for round 2^32 - 1.
    error NotLate(uint32 partition, uint32 round);

    /// @notice The accepted checksum of the last sealed epoch is another.
    error NotAccepted(uint32 partition, uint64 epoch, uint64 sealedEpoch, bytes24 checksum);

    /// @notice The signer did not miss the last certificate, or reported late before.
    error NotAbsent(uint32 partition, uint64 epoch, address signer);

    /// @notice The quorum is lost after `patience` epochs without a seal.
    error QuorumNotLost(uint32 partition, uint64 sealedEpoch, uint64 currentEpoch, uint64 patience);

    /// @notice The account has earned nothing by reports, or took it before.
    error NoBounty(address account);

    /// @notice Only a broker whose reliability is below `minimum` is suspended and rejoins.
    error NotSuspended(uint24 index, uint16 reliability, uint16 minimum);

    /// @notice There are `partitions` partitions, and the active brokers ask for `wanted`.
    error NothingToGrow(uint32 partitions, uint256 wanted);

    /// @notice Only the governor proposes a successor.
    error NotGovernor(address caller);

    /// @notice Only the proposed successor accepts.
    error NotProposed(address caller);

    /// @notice A successor is fixed once it accepted.
    error SuccessorFixed(address successor, uint64 fromEpoch);

    /// @notice The network is the successor's from epoch `fromEpoch` on.
    error Succeeded(address successor, uint64 fromEpoch);
}
