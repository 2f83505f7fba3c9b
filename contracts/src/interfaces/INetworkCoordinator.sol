// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The network coordinator: brokers, seats, checksums and rewards (WP 2.5.3, 2.4.6, 2.4.7)
/// @notice Words. An epoch is `epochBlocks` blocks, `epoch = block.number / epochBlocks`. A partition has R
/// seats (`replicas`); f = (R - 1) / 3 liars are tolerated and q = (R + f) / 2 + 1 seats are a quorum.
///
/// A seat set is one word: seat i is the 32 bits from bit 32 * i, `broker << 8 | ticket`; broker 0 is a
/// vacant seat. Each partition has two: `target`, whom the tickets want, which anybody moves forward by
/// useful changes; and `members`, who act. A certificate of the members lets those of the target in, a few at
/// a time.
///
/// Amounts are in units of 10^-18 DATA. The coordinator's token balance always covers stakes, pool and unpaid
/// rewards; what it holds beyond them is the reserve that rewards are paid from, filled by plain token
/// transfers.
interface INetworkCoordinator {
    /// @notice What is fixed when the coordinator is deployed.
    /// @dev replicas: R, 1 to 8. partitions: the number of partitions. epochBlocks: blocks an epoch.
    /// minimumStake: least stake to register, at least ticketStake. ticketStake: stake for one ticket.
    /// maximumTickets: most tickets of one broker. joinFee: paid to the pool at registration, never returned.
    /// drawDelay: blocks from registration to the block whose hash is the draw, at least 1.
    /// epochReward: emission of the whole network an epoch. noticeEpochs: epochs from leaving to withdrawal.
    /// windowEpochs: how many epochs after its own a certificate may come, at least 1. slashShare: what a
    /// conflict costs of the stake, and reporterShare what of that goes to the reporter, in basis points.
    /// quorumLostWindows: after how many windows without a seal the quorum is lost, at least 1. governor: who
    /// may propose a successor; nobody if zero. successorNotice: epochs from its acceptance to the switch.
    struct Params {
        uint8 replicas;
        uint32 partitions;
        uint64 epochBlocks;
        uint256 minimumStake;
        uint256 ticketStake;
        uint8 maximumTickets;
        uint256 joinFee;
        uint64 drawDelay;
        uint256 epochReward;
        uint64 noticeEpochs;
        uint64 windowEpochs;
        uint16 slashShare;
        uint16 reporterShare;
        uint64 quorumLostWindows;
        address governor;
        uint64 successorNotice;
    }

    /// @notice A broker. `draw` is zero until recorded; `tickets` are those of its stake, zero once it left.
    /// @dev reliability is in basis points; it last moved in `ratedEpoch` and was `settledReliability` before that
    /// epoch; seats counts the member sets it sits in; accrued is unclaimed
    /// reward.
    struct Broker {
        address account;
        uint8 tickets;
        uint16 reliability;
        uint16 settledReliability;
        uint32 ratedEpoch;
        bool left;
        uint128 stake;
        uint128 accrued;
        uint64 withdrawableEpoch;
        uint32 seats;
        uint64 drawBlock;
        bytes32 draw;
        bytes32 tlsKeyHash;
        string endpoint;
    }

    /// @notice A partition. `members` act from `sinceEpoch`, `previousMembers` in the epochs before it;
    /// `sinceEpoch` is zero until the partition is founded. `events` and `volume` (bytes) are totals over all
    /// sealed epochs. `targetEpoch` is the epoch in which the target last changed. `absent` has a bit for each
    /// seat that did not sign the last seal, of the set that was rated for it.
    struct Partition {
        uint256 members;
        uint256 previousMembers;
        uint256 target;
        uint64 sinceEpoch;
        uint64 sealedEpoch;
        bytes32 checksum;
        uint128 events;
        uint128 volume;
        uint64 targetEpoch;
        uint8 absent;
    }

    /// @notice A proposed improvement of a partition's target: this ticket of this broker.
    struct Change {
        uint32 partition;
        uint24 broker;
        uint8 ticket;
    }

    /// @notice What replicas report about a partition's epoch. `custody` is reserved and must be zero.
    struct Entry {
        uint32 partition;
        uint64 epoch;
        uint32 round;
        bytes32 previous;
        bytes32 checksum;
        uint64 events;
        uint64 volume;
        bytes32 custody;
    }

    /// @notice An entry and the signatures of a quorum: 65 bytes each (r, s, v), low s only, over the EIP-712
    /// type `Report(bytes32 root)` whose root is `keccak256(abi.encode(entry))`.
    struct Certificate {
        Entry entry;
        bytes[] signatures;
    }

    /// @notice What one replica signed: an entry under the root of its report, with the Merkle path between
    /// them (pairs sorted before they are hashed); without a path the entry is its own root.
    struct Report {
        Entry entry;
        bytes32[] path;
        bytes signature;
    }

    /// @notice A broker registered; the hash of block `drawBlock` will decide its draw.
    event BrokerRegistered(
        uint24 indexed index,
        address indexed broker,
        uint256 stake,
        uint8 tickets,
        string endpoint,
        bytes32 tlsKeyHash,
        uint64 drawBlock
    );

    /// @notice A broker changed where it is reached.
    event BrokerUpdated(uint24 indexed index, string endpoint, bytes32 tlsKeyHash);

    /// @notice Nobody recorded the draw in time; a later block decides.
    event DrawMissed(uint24 indexed index, uint64 drawBlock);

    /// @notice The draw is fixed for good.
    event DrawRecorded(uint24 indexed index, bytes32 draw);

    /// @notice The broker has no tickets any more; its stake can be withdrawn after epoch
    /// `withdrawableEpoch`.
    event BrokerLeft(uint24 indexed index, uint64 withdrawableEpoch);

    /// @notice The stake went back to the broker.
    event StakeWithdrawn(uint24 indexed index, uint256 amount);

    /// @notice The target's `seat` is now this ticket of `broker`. `replaced` is who sat there: 0 if it was
    /// vacant, the broker itself if only its ticket changed.
    event SeatProposed(
        uint32 indexed partition,
        uint8 seat,
        uint24 indexed broker,
        uint8 ticket,
        uint24 replaced
    );

    /// @notice The target's `seat` is vacant because the ticket of `broker` is no longer valid.
    event SeatVacated(uint32 indexed partition, uint8 seat, uint24 indexed broker);

    /// @notice These members act from epoch `sinceEpoch` on.
    event MembersInstalled(uint32 indexed partition, uint64 sinceEpoch, uint256 members);

    /// @notice The checksum of a partition's epoch was accepted. Skipped epochs before it are sealed with it.
    /// @param signers Packed like seats, ascending by index, ticket bits zero.
    /// @param reward What each signer got.
    event PartitionSealed(
        uint32 indexed partition,
        uint64 indexed epoch,
        uint32 round,
        bytes32 checksum,
        uint64 events,
        uint64 volume,
        uint256 signers,
        uint256 reward
    );

    /// @notice A broker took its rewards.
    event RewardClaimed(uint24 indexed index, uint256 amount);

    /// @notice A broker signed two checksums for one (partition, epoch, round, previous): `amount` of its stake
    /// is gone, `reward` of it to the reporter and the rest to the pool.
    event BrokerSlashed(
        uint24 indexed index,
        address indexed reporter,
        uint32 partition,
        uint64 epoch,
        uint32 round,
        bytes32 previous,
        uint256 amount,
        uint256 reward
    );

    /// @notice A member that missed the last certificate attested it; its fall of reliability is undone.
    event LateReportAccepted(uint32 indexed partition, uint64 indexed epoch, uint24 indexed index);

    /// @notice Nothing was sealed since `sealedEpoch` for too long: `members` lose the partition.
    event QuorumLost(uint32 indexed partition, uint64 sealedEpoch, uint256 members);

    /// @notice Somebody took what it had earned for reports and changes.
    event BountyClaimed(address indexed account, uint256 amount);

    /// @notice The governor wants this coordinator to follow; zero takes a proposal back.
    event SuccessorProposed(address indexed successor);

    /// @notice The successor accepted: from epoch `fromEpoch` on nobody registers and nothing is sealed here.
    event SuccessorAccepted(address indexed successor, uint64 fromEpoch);

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

    /// @notice The entry does not extend the checksum that is stored.
    error PreviousMismatch(uint32 partition, bytes32 given, bytes32 stored);

    /// @notice The custody root is reserved and must be zero.
    error CustodyNotZero(uint32 partition, bytes32 custody);

    /// @notice A certificate has at most `maximum` signatures, which always suffice for a quorum.
    error TooManySignatures(uint32 partition, uint256 given, uint256 maximum);

    /// @notice Signature number `position` is malformed.
    error InvalidSignature(uint32 partition, uint256 position);

    /// @notice The recovered signer sits in no member set that this entry needs.
    error SignerNotMember(uint32 partition, uint64 epoch, address signer);

    /// @notice A broker signed twice.
    error DuplicateSigner(uint32 partition, uint24 index);

    /// @notice The member set `members` needs `quorum` signers and has `signers`.
    error QuorumNotReached(uint32 partition, uint64 epoch, uint256 members, uint8 signers, uint8 quorum);

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
    error NotAccepted(uint32 partition, uint64 epoch, uint64 sealedEpoch, bytes32 checksum);

    /// @notice The signer did not miss the last certificate, or reported late before.
    error NotAbsent(uint32 partition, uint64 epoch, address signer);

    /// @notice The quorum is lost after `patience` epochs without a seal.
    error QuorumNotLost(uint32 partition, uint64 sealedEpoch, uint64 currentEpoch, uint64 patience);

    /// @notice The account has earned nothing by reports or changes, or took it before.
    error NoBounty(address account);

    /// @notice Only the governor proposes a successor.
    error NotGovernor(address caller);

    /// @notice Only the proposed successor accepts.
    error NotProposed(address caller);

    /// @notice A successor is fixed once it accepted.
    error SuccessorFixed(address successor, uint64 fromEpoch);

    /// @notice The network is the successor's from epoch `fromEpoch` on.
    error Succeeded(address successor, uint64 fromEpoch);

    /// @notice Registers the caller as a broker; moves `stake + joinFee` from it.
    /// @param stake Between `minimumStake` and 2^128 - 1; gives min(maximumTickets, stake / ticketStake)
    /// tickets.
    /// @param endpoint Where the broker is reached, 1 to 256 bytes.
    /// @param tlsKeyHash Hash of the key of its TLS certificate.
    /// @return index The broker's number, from 1.
    function register(
        uint256 stake,
        string calldata endpoint,
        bytes32 tlsKeyHash
    ) external returns (uint24 index);

    /// @notice Changes where the calling broker is reached.
    function updateEndpoint(string calldata endpoint, bytes32 tlsKeyHash) external;

    /// @notice Fixes a broker's draw from the hash of its draw block; anybody may call. If the chain no
    /// longer knows that hash (256 blocks), a later block is set instead.
    function recordDraw(uint24 index) external;

    /// @notice Gives up the calling broker's tickets. It serves on where it sits until others are installed.
    function leave() external;

    /// @notice Returns the stake of a broker that left, after its notice and once it sits in no member set.
    function withdrawStake() external;

    /// @notice Moves targets forward; anybody may call. A change that is not useful does nothing (WP 2.4.6).
    /// @dev Whatever the order and whoever calls, useful changes end at the same target: the R best tickets
    /// of distinct brokers. Founds a partition whose last seat it fills.
    /// @param changes At most 64.
    function rebalance(Change[] calldata changes) external;

    /// @notice Vacates a target seat whose ticket is no longer valid; anybody may call.
    function evict(uint32 partition, uint8 seat) external;

    /// @notice Founds a partition with fewer than R but at least q seats, once the target has rested until a
    /// later epoch; anybody may call.
    function found(uint32 partition) external;

    /// @notice Accepts checksums, pays signers and installs newcomers; anybody may call (WP 2.4.6, 2.4.7).
    /// @dev An entry of an epoch that is sealed already is refused when alone and skipped among several, so
    /// that two submitters do not undo each other's lists. Any other refusal undoes the whole call.
    /// @param certificates At most 64.
    function submitCertificates(Certificate[] calldata certificates) external;

    /// @notice Pays the calling broker's rewards.
    function claim() external;

    /// @notice Punishes a broker that signed two checksums for one (partition, epoch, round, previous); anybody
    /// may call (WP 2.4.6). It loses a share of its stake, of which the caller earns one, and its tickets.
    function slash(uint24 index, Report calldata a, Report calldata b) external;

    /// @notice Undoes the fall of reliability of a member that missed the last certificate and attests, in round
    /// 2^32 - 1, the checksum that was accepted; until the next seal; anybody may hand it in.
    function reportLate(Report calldata report) external;

    /// @notice Gives a partition without seals for `quorumLostWindows` windows to its target, on top of the last
    /// sealed checksum; anybody may call. All of the members count as absent.
    function declareQuorumLost(uint32 partition) external;

    /// @notice Pays what the caller earned by reports and changes.
    function claimBounty() external;

    /// @notice Names the coordinator that shall follow this one, or nobody; by the governor.
    function proposeSuccessor(address successor_) external;

    /// @notice Fixes the caller as the successor, after a notice; by the one that is proposed.
    /// @dev From then on nobody registers here and no epoch is sealed, but stakes, rewards and bounties are paid,
    /// and offences punished, as ever. A seat then keeps nobody's stake.
    function acceptSuccession() external;

    /// @notice What an account can take with `claimBounty`.
    function bountyOf(address account) external view returns (uint128);

    /// @notice The successor that the governor proposed, or zero.
    function proposedSuccessor() external view returns (address);

    /// @notice The successor that accepted, or zero.
    function successor() external view returns (address);

    /// @notice The epoch from which the network is the successor's, 0 while there is none.
    function successorEpoch() external view returns (uint64);

    /// @notice Unclaimed rewards of a broker; 0 for an unknown index.
    function accruedOf(uint24 index) external view returns (uint256);

    /// @notice A broker; all zero for an unknown index.
    function broker(uint24 index) external view returns (Broker memory);

    /// @notice The tickets that a broker can sit with in this epoch: those of its stake times its reliability at
    /// the end of the epoch before, rounded up. They do not change within an epoch (WP 2.4.6).
    function ticketsOf(uint24 index) external view returns (uint8);

    /// @notice The index of a broker's address; 0 if it never registered.
    function brokerIndex(address account) external view returns (uint24);

    /// @notice How many brokers ever registered; their indexes are 1 to this.
    function brokerCount() external view returns (uint24);

    /// @notice A partition.
    function partition(uint32 partition_) external view returns (Partition memory);

    /// @notice The score of a broker's ticket for a partition; meaningless before the draw is recorded.
    function score(uint32 partition_, uint24 index, uint8 ticket) external view returns (uint64);

    /// @notice q, the seats that make a quorum.
    function quorum() external view returns (uint8);

    /// @notice The current epoch.
    function epoch() external view returns (uint64);

    /// @notice The parameters fixed at deployment.
    function params() external view returns (Params memory);

    /// @notice The token of stakes, fees and rewards.
    function token() external view returns (address);

    /// @notice The sum of all stakes.
    function stakes() external view returns (uint128);

    /// @notice Join fees and slashed stakes collected.
    function pool() external view returns (uint128);

    /// @notice The sum of all rewards and bounties earned and not yet claimed.
    function unpaid() external view returns (uint128);

    /// @notice What can still be paid as rewards: the balance beyond stakes, pool and unpaid rewards.
    function reserve() external view returns (uint256);
}
