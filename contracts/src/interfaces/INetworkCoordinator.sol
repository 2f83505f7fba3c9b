// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The network coordinator: brokers, seats, checksums and rewards (WP 2.5.3, 2.4.6, 2.4.7)
/// @notice Words. An epoch is `epochBlocks` blocks, `epoch = block.number / epochBlocks`. A partition has R
/// seats (`replicas`); f = (R - 1) / 3 liars are tolerated and q = (R + f) / 2 + 1 seats are a quorum.
///
/// A set of brokers is 192 bits: seat i is the 24 bits from bit 24 * i, broker 0 is a vacant seat. Each partition
/// has two: `members`, who act, and `previousMembers`, who acted before them. Whom the tickets want is its `target`,
/// which anybody moves forward by useful changes: seat i is the 32 bits from bit 32 * i, `broker << 8 | ticket`. A
/// certificate of the members lets those of the target in, a few at a time.
///
/// A seal only counts, in the partition's tally, who signed it and who missed it. The tally is *settled* later,
/// into pay and reliability: when a seat missed three seals, when members change, or when anybody asks.
///
/// Amounts are in units of 10^-18 DATA. The coordinator's token balance always covers stakes, pool and unpaid
/// rewards; what it holds beyond them is the reserve that rewards are paid from, filled by plain token
/// transfers.
interface INetworkCoordinator {
    /// @notice What is fixed when the coordinator is deployed.
    /// @dev replicas: R, 1 to 8. partitions: the number of partitions at first. epochBlocks: blocks an epoch.
    /// minimumStake: least stake to register, at least ticketStake. ticketStake: stake for one ticket.
    /// maximumTickets: most tickets of one broker. joinFee: paid to the pool at registration and to rejoin, never returned.
    /// drawDelay: blocks from registration to the block whose hash is the draw, at least 1.
    /// epochReward: emission of the whole network an epoch. noticeEpochs: epochs from leaving to withdrawal.
    /// windowEpochs: how many epochs after its own a certificate may come, at least 1. slashShare: what a
    /// conflict costs of the stake, and reporterShare what of that goes to the reporter, in basis points.
    /// quorumLostWindows: after how many windows without a seal the quorum is lost, at least 1. governor: who
    /// may propose a successor; nobody if zero. successorNotice: epochs from its acceptance to the switch.
    /// seatBounty: what a seat that was installed earns its sponsor, at most joinFee. partitionsPerBroker: how many
    /// partitions each active broker asks for; 0 if their number never grows.
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
        uint256 seatBounty;
        uint16 partitionsPerBroker;
    }

    /// @notice A broker. The order of the fields packs what a useful change reads of it into one slot.
    /// @dev drawKey: the first 8 bytes of the draw, by which it scores; 0 until the draw is recorded (a draw that
    /// begins with 8 zero bytes has key 1). tickets: those of its stake, zero once it left. reliability is in basis
    /// points; it last moved in `ratedEpoch` and was `settledReliability` before that epoch. seats counts the member
    /// sets it sits in; accrued is unclaimed reward; fee is what is left, in the pool, of the join fees it paid.
    struct Broker {
        uint64 drawKey;
        uint8 tickets;
        uint16 reliability;
        uint16 settledReliability;
        uint32 ratedEpoch;
        bool left;
        uint32 seats;
        uint64 drawBlock;
        address account;
        uint64 withdrawableEpoch;
        uint128 accrued;
        uint128 fee;
        uint128 stake;
        bytes32 tlsKeyHash;
        string endpoint;
    }

    /// @notice A partition. `members` act from `sinceEpoch`, `previousMembers` in the epochs before it;
    /// `sinceEpoch` is zero until the partition is founded, and `foundedEpoch` is the first epoch of its first
    /// members. `targetEpoch` is the epoch in which the target last changed, or zero while every broker of the
    /// target is a member. `sponsors` has, at each target seat, the broker that proposed who sits there.
    /// @dev The tally: `seals` counts the seals since the last settlement, and 2 bits a seat of `misses` how many of
    /// them the member did not sign. `absent` has a bit for each seat that did not sign the last seal, of the set
    /// that was rated for it. 2 bits a seat of `probation` are how many seals the member may still miss before it
    /// signed one: 0 once it did.
    struct Partition {
        uint192 members;
        uint192 previousMembers;
        uint256 target;
        uint192 sponsors;
        uint64 sinceEpoch;
        uint64 foundedEpoch;
        uint64 sealedEpoch;
        uint64 targetEpoch;
        bytes24 checksum;
        uint8 seals;
        uint16 misses;
        uint8 absent;
        uint16 probation;
    }

    /// @notice A proposed improvement of a partition's target: this ticket of this broker.
    struct Change {
        uint32 partition;
        uint24 broker;
        uint8 ticket;
    }

    /// @notice What replicas report about a partition's epoch, in two words: the summary (see the library Entries)
    /// and the rolling checksum, of which the last 8 bytes are zero. It rolls on from the stored one.
    /// @dev 96 bits of a checksum resist collisions; so it shares its slot with the epoch.
    struct Entry {
        uint256 summary;
        bytes24 checksum;
    }

    /// @notice A signature in the compact form of EIP-2098: s with the parity of y in its highest bit.
    struct Signature {
        bytes32 r;
        bytes32 vs;
    }

    /// @notice Entries of distinct partitions, ascending, and the signatures of a quorum of each over the EIP-712
    /// type `Report(bytes32 root)`. The root is that of the Merkle tree over the entries' leaves: pairs sorted before
    /// they are hashed, an odd one goes up unchanged; of a single entry it is the leaf.
    struct Certificate {
        Entry[] entries;
        Signature[] signatures;
    }

    /// @notice What one replica signed: an entry on top of `previous`, under the root of its report, with the Merkle
    /// path between them; without a path the entry is its own root. The summary's hint is not read.
    struct Report {
        Entry entry;
        bytes32 previous;
        bytes32[] path;
        Signature signature;
    }

    /// @notice The coordinator was deployed, with what it keeps for its life. No view gives it again: that would cost
    /// code that the limit of EIP-170 leaves no room for.
    event CoordinatorFounded(address indexed token, Params params);

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
    /// vacant, the broker itself if only its ticket changed. `sponsor` is the broker whose account proposed it, 0 if
    /// it is nobody's.
    event SeatProposed(
        uint32 indexed partition,
        uint8 seat,
        uint24 indexed broker,
        uint8 ticket,
        uint24 replaced,
        uint24 sponsor
    );

    /// @notice The target's `seat` is vacant because the ticket of `broker` is no longer valid.
    event SeatVacated(uint32 indexed partition, uint8 seat, uint24 indexed broker);

    /// @notice These members act from epoch `sinceEpoch` on.
    event MembersInstalled(uint32 indexed partition, uint64 sinceEpoch, uint192 members);

    /// @notice The sponsor of a newcomer earned a bounty: so much of the newcomer's join fee, and so much of that of
    /// the offender whose seat it took.
    event SeatRewarded(
        uint32 indexed partition,
        uint24 indexed broker,
        uint24 indexed sponsor,
        uint256 fromNewcomer,
        uint256 fromOffender
    );

    /// @notice The entries of one certificate were accepted. Skipped epochs before each are sealed with it.
    /// @param signers A set of brokers, ascending by index from seat 0.
    event PartitionsSealed(uint192 signers, Entry[] entries);

    /// @notice Pay and reliability of `set` followed from its tally. `signed` and `missed` have 8 bits a seat: how many
    /// seals its broker signed and missed. In the order of seats each earned `signed * reward` while `paid`, the sum,
    /// lasted.
    event PartitionSettled(
        uint32 indexed partition,
        uint192 set,
        uint64 signed,
        uint64 missed,
        uint256 reward,
        uint256 paid
    );

    /// @notice A suspended broker paid the join fee again, and has half of full reliability.
    event BrokerRejoined(uint24 indexed index, uint256 fee);

    /// @notice From epoch `fromEpoch` on there are so many partitions.
    event PartitionsGrown(uint64 indexed fromEpoch, uint32 partitions);

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

    /// @notice A member that missed the last certificate attested it. If its miss was still in the tally, it counts as
    /// signed there, and `reward` is 0; else its fall of reliability is undone and `reward` was paid.
    event LateReportAccepted(
        uint32 indexed partition,
        uint64 indexed epoch,
        uint24 indexed index,
        uint256 reward
    );

    /// @notice Nothing was sealed since `sealedEpoch` for too long: `members` lose the partition.
    event QuorumLost(uint32 indexed partition, uint64 sealedEpoch, uint192 members);

    /// @notice Somebody took what it had earned for reports.
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

    /// @notice Readmits the calling broker, whose reliability is below 2,500 basis points and which so has no
    /// tickets; moves `joinFee` from it. It has tickets again from the next epoch on.
    function rejoin() external;

    /// @notice Moves targets forward; anybody may call. A change that is not useful does nothing (WP 2.4.6).
    /// @dev Whatever the order and whoever calls, useful changes end at the same target: the R best tickets
    /// of distinct brokers. Founds a partition whose last seat it fills. The broker whose account calls is the
    /// sponsor of the seats, and earns `seatBounty` for each that is installed, out of the join fees of the newcomer
    /// and, if that took an offender's seat, of the offender: never more than those paid. An offender left or is
    /// suspended.
    /// @param changes At most 64.
    function rebalance(Change[] calldata changes) external;

    /// @notice Vacates a target seat whose ticket is no longer valid; anybody may call.
    function evict(uint32 partition, uint8 seat) external;

    /// @notice Founds a partition with fewer than R but at least q seats, once the target has rested until a
    /// later epoch; anybody may call.
    function found(uint32 partition) external;

    /// @notice Accepts checksums, counts who signed, and installs newcomers; anybody may call (WP 2.4.6, 2.4.7).
    /// @dev Who submits is not repaid: the two slots that this would touch cost as much as the seal, and the reward of
    /// a member exceeds it.
    ///
    /// Per certificate, the first refusal found stands, in this order: number of entries, number of signatures; each
    /// entry by itself, in order (ascending, UnknownPartition or NotFounded, AlreadySealed, Succeeded, EpochNotOver,
    /// WindowClosed, PreviousMismatch); each signature, in order (InvalidSignature, SignerNotMember if its account is no
    /// broker's, DuplicateSigner); then for each entry, in order: SignerNotMember for each signer, ascending, that is
    /// in no set the entry needs, QuorumNotReached of the previous members, then of the members.
    ///
    /// A certificate that has an entry of a sealed epoch, or one whose hint is not of the stored checksum, is skipped
    /// whole if the call has several, so that two submitters do not undo each other's lists, and refused alone. Any
    /// other refusal undoes the whole call.
    ///
    /// A seal of an epoch of the members goes to their tally. Signers that are needed only as previous members are
    /// settled at once: of a seal of an epoch before `sinceEpoch` all previous members, each with one seal signed or
    /// missed; else those who signed and are no members, with one seal signed.
    /// @param certificates At most 64.
    function submitCertificates(Certificate[] calldata certificates) external;

    /// @notice Settles the tallies of partitions; one without a seal since the last settlement is skipped; anybody may
    /// call. Happens by itself when a seat misses its third seal, at the 255th seal, and when members change.
    /// @dev For each seal missed reliability falls by 625 basis points, not below 0, and for each signed it then rises
    /// by 40, not above 10,000; linear, so that it matters little how seals were batched. Each seal signed pays
    /// `epochReward / partitionCount() / replicas`, to members beyond the quorum too, as long as the reserve lasts.
    /// A newcomer that missed three seals before it signed one has no reliability left.
    /// @param partitions At most 64.
    function settle(uint32[] calldata partitions) external;

    /// @notice Adds partitions, up to `partitionsPerBroker` for each active broker and 2^20 in all; anybody may call
    /// (WP 2.4.5).
    function growPartitions() external;

    /// @notice Pays the calling broker's rewards.
    function claim() external;

    /// @notice Punishes a broker that signed two checksums for one (partition, epoch, round, previous); anybody
    /// may call (WP 2.4.6). It loses a share of its stake, of which the caller earns one, and its tickets.
    function slash(uint24 index, Report calldata a, Report calldata b) external;

    /// @notice Counts a member that missed the last certificate as a signer: it attests, in round 2^32 - 1, the checksum
    /// that was accepted; until the next seal; anybody may hand it in.
    function reportLate(Report calldata report) external;

    /// @notice Gives a partition without seals for `quorumLostWindows` windows to its target, on top of the last
    /// sealed checksum; anybody may call. All of the members count as absent.
    function declareQuorumLost(uint32 partition) external;

    /// @notice Pays what the caller earned by reports.
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

    /// @notice A broker; all zero for an unknown index.
    function broker(uint24 index) external view returns (Broker memory);

    /// @notice The tickets that a broker can sit with in this epoch: those of its stake times its reliability at
    /// the end of the epoch before, rounded up; none below 2,500 basis points. They do not change within an epoch
    /// (WP 2.4.6).
    function ticketsOf(uint24 index) external view returns (uint8);

    /// @notice The index of a broker's address; 0 if it never registered.
    function brokerIndex(address account) external view returns (uint24);

    /// @notice How many brokers ever registered; their indexes are 1 to this.
    function brokerCount() external view returns (uint24);

    /// @notice A partition.
    function partition(uint32 partition_) external view returns (Partition memory);

    /// @notice The last seal of a partition: the checksum, of which the last 8 bytes are zero, and its epoch.
    function sealOf(uint32 partition_) external view returns (bytes32 checksum, uint64 sealedEpoch);

    /// @notice How many partitions there are; they are numbered from 0.
    function partitionCount() external view returns (uint32);

    /// @notice How many brokers have a draw and have not left.
    function activeBrokers() external view returns (uint24);

    /// @notice The score of a broker's ticket for a partition; meaningless before the draw is recorded.
    function score(uint32 partition_, uint24 index, uint8 ticket) external view returns (uint64);

    /// @notice q, the seats that make a quorum.
    function quorum() external view returns (uint8);

    /// @notice The current epoch.
    function epoch() external view returns (uint64);

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
