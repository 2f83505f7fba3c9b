// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {INetworkCoordinator} from "./interfaces/INetworkCoordinator.sol";
import {Reports} from "./libraries/Reports.sol";
import {Scores} from "./libraries/Scores.sol";
import {Seats} from "./libraries/Seats.sol";

/// @title The network coordinator (WP 2.5.3, 2.4.6, 2.4.7)
/// @notice Nobody has privileges here. The token must be one that moves exactly the amount it is told to.
contract NetworkCoordinator is INetworkCoordinator, EIP712 {
    using SafeERC20 for IERC20;
    using Seats for uint256;

    uint256 private constant MAXIMUM_LIST = 64;
    uint256 private constant MAXIMUM_ENDPOINT_BYTES = 256;
    uint16 private constant FULL_RELIABILITY = 10_000;
    /// @dev One report moves reliability by a sixteenth of the way.
    uint16 private constant RELIABILITY_STEP = 16;

    /// @dev The kept form of a partition: what a certificate reads and writes shares slots.
    struct PartitionSlot {
        uint256 members;
        uint256 previousMembers;
        uint256 target;
        uint64 sinceEpoch;
        uint64 sealedEpoch;
        uint64 targetEpoch;
        bytes32 checksum;
        uint128 events;
        uint128 volume;
    }

    IERC20 private immutable _token;
    uint8 private immutable _replicas;
    uint8 private immutable _quorum;
    uint8 private immutable _newcomerLimit;
    uint8 private immutable _maximumTickets;
    uint32 private immutable _partitionCount;
    uint64 private immutable _epochBlocks;
    uint64 private immutable _drawDelay;
    uint64 private immutable _noticeEpochs;
    uint64 private immutable _windowEpochs;
    uint256 private immutable _minimumStake;
    uint256 private immutable _ticketStake;
    uint256 private immutable _joinFee;
    uint256 private immutable _epochReward;

    /// @inheritdoc INetworkCoordinator
    uint128 public stakes;
    /// @inheritdoc INetworkCoordinator
    uint128 public pool;
    /// @inheritdoc INetworkCoordinator
    uint128 public unpaid;
    /// @inheritdoc INetworkCoordinator
    uint24 public brokerCount;
    /// @inheritdoc INetworkCoordinator
    mapping(address account => uint24 index) public brokerIndex;

    mapping(uint24 index => Broker) private _brokers;
    mapping(uint32 partition => PartitionSlot) private _partitions;

    /// @param token_ The DATA token.
    /// @param p Fixed for the life of this coordinator.
    constructor(address token_, Params memory p) EIP712("weir", "1") {
        if (token_.code.length == 0) revert TokenMissing(token_);
        _requireRange("replicas", p.replicas, 1, Seats.CAPACITY);
        _requireRange("partitions", p.partitions, 1, type(uint32).max);
        _requireRange("epochBlocks", p.epochBlocks, 1, type(uint64).max);
        _requireRange("ticketStake", p.ticketStake, 1, type(uint128).max);
        _requireRange("minimumStake", p.minimumStake, p.ticketStake, type(uint128).max);
        _requireRange("maximumTickets", p.maximumTickets, 1, type(uint8).max);
        _requireRange("joinFee", p.joinFee, 0, type(uint96).max);
        _requireRange("drawDelay", p.drawDelay, 1, type(uint32).max);
        _requireRange("epochReward", p.epochReward, 0, type(uint128).max);
        _requireRange("noticeEpochs", p.noticeEpochs, 0, type(uint32).max);
        _requireRange("windowEpochs", p.windowEpochs, 1, type(uint64).max);
        _token = IERC20(token_);
        _replicas = p.replicas;
        _quorum = Seats.quorumOf(p.replicas);
        _newcomerLimit = Seats.newcomerLimit(p.replicas);
        _maximumTickets = p.maximumTickets;
        _partitionCount = p.partitions;
        _epochBlocks = p.epochBlocks;
        _drawDelay = p.drawDelay;
        _noticeEpochs = p.noticeEpochs;
        _windowEpochs = p.windowEpochs;
        _minimumStake = p.minimumStake;
        _ticketStake = p.ticketStake;
        _joinFee = p.joinFee;
        _epochReward = p.epochReward;
    }

    // ---- brokers ----

    /// @inheritdoc INetworkCoordinator
    function register(uint256 stake, string calldata endpoint, bytes32 tlsKeyHash) external returns (uint24 index) {
        if (brokerIndex[msg.sender] != 0) revert AlreadyRegistered(msg.sender, brokerIndex[msg.sender]);
        if (stake < _minimumStake || stake > type(uint128).max) {
            revert StakeOutOfRange(stake, _minimumStake, type(uint128).max);
        }
        _requireEndpoint(endpoint);
        if (brokerCount == type(uint24).max) revert TooManyBrokers(type(uint24).max);
        index = ++brokerCount;
        brokerIndex[msg.sender] = index;
        stakes += uint128(stake);
        pool += uint128(_joinFee);
        uint256 affordable = stake / _ticketStake;
        Broker storage b = _brokers[index];
        b.account = msg.sender;
        b.drawBlock = uint64(block.number) + _drawDelay;
        b.tickets = affordable < _maximumTickets ? uint8(affordable) : _maximumTickets;
        b.reliability = FULL_RELIABILITY;
        b.stake = uint128(stake);
        b.tlsKeyHash = tlsKeyHash;
        b.endpoint = endpoint;
        emit BrokerRegistered(index, msg.sender, stake, b.tickets, endpoint, tlsKeyHash, b.drawBlock);
        _token.safeTransferFrom(msg.sender, address(this), stake + _joinFee);
    }

    /// @inheritdoc INetworkCoordinator
    function updateEndpoint(string calldata endpoint, bytes32 tlsKeyHash) external {
        (uint24 index, Broker storage b) = _caller();
        _requireEndpoint(endpoint);
        b.endpoint = endpoint;
        b.tlsKeyHash = tlsKeyHash;
        emit BrokerUpdated(index, endpoint, tlsKeyHash);
    }

    /// @inheritdoc INetworkCoordinator
    function recordDraw(uint24 index) external {
        Broker storage b = _brokers[index];
        if (b.account == address(0)) revert UnknownBroker(index);
        if (b.draw != 0) revert DrawAlreadyRecorded(index);
        if (block.number <= b.drawBlock) revert DrawNotReady(index, b.drawBlock, block.number);
        bytes32 hash = blockhash(b.drawBlock);
        if (hash == 0) {
            b.drawBlock = uint64(block.number) + _drawDelay;
            emit DrawMissed(index, b.drawBlock);
        } else {
            b.draw = keccak256(abi.encode(hash, index));
            emit DrawRecorded(index, b.draw);
        }
    }

    /// @inheritdoc INetworkCoordinator
    function leave() external {
        (uint24 index, Broker storage b) = _caller();
        if (b.left) revert AlreadyLeft(index);
        b.left = true;
        b.tickets = 0;
        b.withdrawableEpoch = epoch() + _noticeEpochs;
        emit BrokerLeft(index, b.withdrawableEpoch);
    }

    /// @inheritdoc INetworkCoordinator
    function withdrawStake() external {
        (uint24 index, Broker storage b) = _caller();
        if (!b.left) revert NotLeft(index);
        if (epoch() <= b.withdrawableEpoch) revert StakeLocked(index, b.withdrawableEpoch, epoch());
        if (b.seats != 0) revert StillSeated(index, b.seats);
        uint128 amount = b.stake;
        if (amount == 0) revert NothingStaked(index);
        b.stake = 0;
        stakes -= amount;
        emit StakeWithdrawn(index, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc INetworkCoordinator
    function claim() external {
        (uint24 index, Broker storage b) = _caller();
        uint128 amount = b.accrued;
        if (amount == 0) revert NothingToClaim(index);
        b.accrued = 0;
        unpaid -= amount;
        emit RewardClaimed(index, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    // ---- seats ----

    /// @inheritdoc INetworkCoordinator
    function rebalance(Change[] calldata changes) external {
        if (changes.length > MAXIMUM_LIST) revert ListTooLong(changes.length, MAXIMUM_LIST);
        for (uint256 i = 0; i < changes.length; ++i) {
            _propose(changes[i]);
        }
    }

    /// @inheritdoc INetworkCoordinator
    function evict(uint32 partition_, uint8 seat) external {
        PartitionSlot storage p = _known(partition_);
        if (seat >= _replicas) revert UnknownSeat(seat, _replicas);
        uint256 target = p.target;
        uint24 index = target.brokerAt(seat);
        if (index == 0) revert SeatIsVacant(partition_, seat);
        if (_isValid(target, seat)) revert SeatIsValid(partition_, seat, index);
        p.target = target.put(seat, 0, 0);
        p.targetEpoch = epoch();
        emit SeatVacated(partition_, seat, index);
    }

    /// @inheritdoc INetworkCoordinator
    function found(uint32 partition_) external {
        PartitionSlot storage p = _known(partition_);
        if (p.sinceEpoch != 0) revert AlreadyFounded(partition_, p.sinceEpoch);
        uint8 seats = _validSeats(p.target);
        if (seats < _quorum) revert TooFewSeats(partition_, seats, _quorum);
        if (p.targetEpoch >= epoch()) revert TargetStillMoving(partition_, p.targetEpoch);
        _found(partition_, p);
    }

    /// @dev Applies one change if it is useful. Which seat it takes: its broker's own seat if its ticket there scores
    /// less; else the lowest vacant or invalid seat; else the seat that scores lowest, if it beats that.
    function _propose(Change calldata change) private {
        if (change.partition >= _partitionCount) return;
        Broker storage candidate = _brokers[change.broker];
        if (change.ticket >= candidate.tickets || candidate.draw == 0) return;
        PartitionSlot storage p = _partitions[change.partition];
        uint256 target = p.target;
        uint8 seat = _usefulSeat(change, target, candidate.draw);
        if (seat == Seats.NONE) return;

        uint24 replaced = target.brokerAt(seat);
        target = target.put(seat, change.broker, change.ticket);
        p.target = target;
        p.targetEpoch = epoch();
        emit SeatProposed(change.partition, seat, change.broker, change.ticket, replaced);
        if (p.sinceEpoch == 0 && replaced != change.broker && _validSeats(target) == _replicas) {
            _found(change.partition, p);
        }
    }

    /// @dev The target seat that a valid candidate takes, or NONE if its change is not useful.
    function _usefulSeat(Change calldata change, uint256 target, bytes32 draw) private view returns (uint8) {
        uint64 key = Scores.partitionKey(change.partition);
        uint64 mine = Scores.score(key, Scores.brokerKey(draw), change.ticket);
        uint8 own = target.findBroker(_replicas, change.broker);
        if (own != Seats.NONE) {
            uint64 present = Scores.score(key, Scores.brokerKey(draw), target.ticketAt(own));
            return !_isValid(target, own) || mine > present ? own : Seats.NONE;
        }
        uint8 lowest = Seats.NONE;
        uint64 lowestScore;
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            if (!_isValid(target, seat)) return seat;
            uint24 holder = target.brokerAt(seat);
            uint64 present = Scores.score(key, Scores.brokerKey(_brokers[holder].draw), target.ticketAt(seat));
            bool lower =
                lowest == Seats.NONE || Scores.beats(lowestScore, target.brokerAt(lowest), present, holder);
            if (lower) (lowest, lowestScore) = (seat, present);
        }
        return Scores.beats(mine, change.broker, lowestScore, target.brokerAt(lowest)) ? lowest : Seats.NONE;
    }

    /// @dev The first members. There is nothing to seal before them, so the epochs until now count as sealed. Seats whose
    /// ticket is no longer valid stay vacant, so that nobody is bound, or acts, after leaving.
    function _found(uint32 partition_, PartitionSlot storage p) private {
        uint256 target = p.target;
        uint256 members;
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            if (!_isValid(target, seat)) continue;
            uint24 index = target.brokerAt(seat);
            members = members.put(seat, index, target.ticketAt(seat));
            ++_brokers[index].seats;
        }
        p.members = members;
        p.sinceEpoch = epoch() + 1;
        p.sealedEpoch = epoch();
        emit MembersInstalled(partition_, p.sinceEpoch, members);
    }

    // ---- certificates ----

    /// @inheritdoc INetworkCoordinator
    function submitCertificates(Certificate[] calldata certificates) external {
        if (certificates.length > MAXIMUM_LIST) revert ListTooLong(certificates.length, MAXIMUM_LIST);
        for (uint256 i = 0; i < certificates.length; ++i) {
            Certificate calldata certificate = certificates[i];
            PartitionSlot storage p = _known(certificate.entry.partition);
            uint64 sealedEpoch = p.sealedEpoch;
            if (p.sinceEpoch != 0 && certificate.entry.epoch <= sealedEpoch) {
                if (certificates.length > 1) continue;
                revert AlreadySealed(certificate.entry.partition, certificate.entry.epoch, sealedEpoch);
            }
            _checkEntry(certificate.entry, p);
            (uint256 signers, uint8 count) = _checkSignatures(certificate, p);
            _seal(certificate.entry, p, signers, count);
            _install(certificate.entry, p);
        }
    }

    function _checkEntry(Entry calldata entry, PartitionSlot storage p) private view {
        if (p.sinceEpoch == 0) revert NotFounded(entry.partition);
        uint64 current = epoch();
        if (entry.epoch >= current) revert EpochNotOver(entry.partition, entry.epoch, current);
        if (current - entry.epoch > _windowEpochs) {
            revert WindowClosed(entry.partition, entry.epoch, current, _windowEpochs);
        }
        if (entry.previous != p.checksum) revert PreviousMismatch(entry.partition, entry.previous, p.checksum);
        if (entry.custody != 0) revert CustodyNotZero(entry.partition, entry.custody);
    }

    /// @dev A quorum is needed of the set of every epoch since the last sealed one: of the previous members if an
    /// unsealed epoch was theirs, of the members if the entry's epoch is theirs.
    /// @return signers Packed ascending by index. @return count How many.
    function _checkSignatures(Certificate calldata certificate, PartitionSlot storage p)
        private
        view
        returns (uint256 signers, uint8 count)
    {
        Entry calldata entry = certificate.entry;
        uint256 given = certificate.signatures.length;
        if (given > Seats.CAPACITY) revert TooManySignatures(entry.partition, given, Seats.CAPACITY);
        uint256 previousMembers = p.sealedEpoch + 1 < p.sinceEpoch ? p.previousMembers : 0;
        uint256 members = entry.epoch >= p.sinceEpoch ? p.members : 0;
        bytes32 digest = _hashTypedDataV4(Reports.structHash(Reports.rootOf(entry)));
        uint8 inPrevious;
        uint8 inMembers;
        for (uint256 i = 0; i < given; ++i) {
            (address signer, ECDSA.RecoverError problem,) =
                ECDSA.tryRecoverCalldata(digest, certificate.signatures[i]);
            if (problem != ECDSA.RecoverError.NoError) revert InvalidSignature(entry.partition, i);
            uint24 index = brokerIndex[signer];
            bool isPrevious = index != 0 && previousMembers.findBroker(_replicas, index) != Seats.NONE;
            bool isMember = index != 0 && members.findBroker(_replicas, index) != Seats.NONE;
            if (!isPrevious && !isMember) revert SignerNotMember(entry.partition, entry.epoch, signer);
            if (signers.findBroker(count, index) != Seats.NONE) revert DuplicateSigner(entry.partition, index);
            if (isPrevious) ++inPrevious;
            if (isMember) ++inMembers;
            signers = signers.insertAscending(count++, index);
        }
        if (previousMembers != 0) _requireQuorum(entry, previousMembers, inPrevious);
        if (members != 0) _requireQuorum(entry, members, inMembers);
    }

    /// @dev Stores the checksum, pays the signers and moves the reliability of the set whose epoch was sealed.
    function _seal(Entry calldata entry, PartitionSlot storage p, uint256 signers, uint8 count) private {
        p.sealedEpoch = entry.epoch;
        p.checksum = entry.checksum;
        p.events += entry.events;
        p.volume += entry.volume;
        if (entry.epoch >= p.sinceEpoch) _rate(p.members, signers, count);

        uint256 share = _epochReward / _partitionCount;
        uint256 available = reserve();
        uint128 reward = uint128((share < available ? share : available) / count);
        if (reward != 0) {
            unpaid += reward * count;
            for (uint8 i = 0; i < count; ++i) {
                _brokers[signers.brokerAt(i)].accrued += reward;
            }
        }
        emit PartitionSealed(
            entry.partition, entry.epoch, entry.round, entry.checksum, entry.events, entry.volume, signers, reward
        );
    }

    function _rate(uint256 members, uint256 signers, uint8 count) private {
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            uint24 index = members.brokerAt(seat);
            if (index == 0) continue;
            Broker storage b = _brokers[index];
            uint16 present = b.reliability;
            bool signed = signers.findBroker(count, index) != Seats.NONE;
            uint16 next = signed
                ? present + (FULL_RELIABILITY - present) / RELIABILITY_STEP
                : present - present / RELIABILITY_STEP;
            if (next != present) b.reliability = next;
        }
    }

    /// @dev Lets newcomers of the target in. Only after an epoch of the present members was sealed, so that never more
    /// than one change of members lies between two certificates; and only those proposed by the sealed epoch's last
    /// block, so that the members who signed could know them.
    function _install(Entry calldata entry, PartitionSlot storage p) private {
        if (entry.epoch < p.sinceEpoch || p.targetEpoch > entry.epoch) return;
        uint256 members = p.members;
        uint256 target = p.target;
        if (members == target) return;
        uint256 next = members;
        uint8 newcomers;
        for (uint8 seat = 0; seat < _replicas && newcomers < _newcomerLimit; ++seat) {
            uint24 index = target.brokerAt(seat);
            if (index == 0 || next.findBroker(_replicas, index) != Seats.NONE || !_isValid(target, seat)) continue;
            uint8 place = next.findGivable(target, _replicas);
            if (place == Seats.NONE) break;
            uint24 outgoing = next.brokerAt(place);
            if (outgoing != 0) --_brokers[outgoing].seats;
            ++_brokers[index].seats;
            next = next.put(place, index, target.ticketAt(seat));
            ++newcomers;
        }
        if (newcomers == 0) return;
        p.previousMembers = members;
        p.members = next;
        p.sinceEpoch = epoch() + 1;
        emit MembersInstalled(entry.partition, p.sinceEpoch, next);
    }

    function _requireQuorum(Entry calldata entry, uint256 members, uint8 signers) private view {
        if (signers < _quorum) revert QuorumNotReached(entry.partition, entry.epoch, members, signers, _quorum);
    }

    // ---- reading ----

    /// @inheritdoc INetworkCoordinator
    function accruedOf(uint24 index) external view returns (uint256) {
        return _brokers[index].accrued;
    }

    /// @inheritdoc INetworkCoordinator
    function broker(uint24 index) external view returns (Broker memory) {
        return _brokers[index];
    }

    /// @inheritdoc INetworkCoordinator
    function partition(uint32 partition_) external view returns (Partition memory) {
        PartitionSlot storage p = _known(partition_);
        return Partition({
            members: p.members,
            previousMembers: p.previousMembers,
            target: p.target,
            sinceEpoch: p.sinceEpoch,
            sealedEpoch: p.sealedEpoch,
            checksum: p.checksum,
            events: p.events,
            volume: p.volume,
            targetEpoch: p.targetEpoch
        });
    }

    /// @inheritdoc INetworkCoordinator
    function score(uint32 partition_, uint24 index, uint8 ticket) external view returns (uint64) {
        return Scores.score(Scores.partitionKey(partition_), Scores.brokerKey(_brokers[index].draw), ticket);
    }

    /// @inheritdoc INetworkCoordinator
    function quorum() external view returns (uint8) {
        return _quorum;
    }

    /// @inheritdoc INetworkCoordinator
    function params() external view returns (Params memory) {
        return Params({
            replicas: _replicas,
            partitions: _partitionCount,
            epochBlocks: _epochBlocks,
            minimumStake: _minimumStake,
            ticketStake: _ticketStake,
            maximumTickets: _maximumTickets,
            joinFee: _joinFee,
            drawDelay: _drawDelay,
            epochReward: _epochReward,
            noticeEpochs: _noticeEpochs,
            windowEpochs: _windowEpochs
        });
    }

    /// @inheritdoc INetworkCoordinator
    function token() external view returns (address) {
        return address(_token);
    }

    /// @inheritdoc INetworkCoordinator
    function epoch() public view returns (uint64) {
        return uint64(block.number) / _epochBlocks;
    }

    /// @inheritdoc INetworkCoordinator
    function reserve() public view returns (uint256) {
        return _token.balanceOf(address(this)) - (uint256(stakes) + pool + unpaid);
    }

    /// @dev Whether a seat's broker still holds that ticket; a vacant seat is not valid.
    function _isValid(uint256 set, uint8 seat) private view returns (bool) {
        return set.ticketAt(seat) < _brokers[set.brokerAt(seat)].tickets;
    }

    function _validSeats(uint256 set) private view returns (uint8 count) {
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            if (_isValid(set, seat)) ++count;
        }
    }

    function _caller() private view returns (uint24 index, Broker storage b) {
        index = brokerIndex[msg.sender];
        if (index == 0) revert NotRegistered(msg.sender);
        b = _brokers[index];
    }

    function _known(uint32 partition_) private view returns (PartitionSlot storage) {
        if (partition_ >= _partitionCount) revert UnknownPartition(partition_, _partitionCount);
        return _partitions[partition_];
    }

    function _requireEndpoint(string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        if (length == 0 || length > MAXIMUM_ENDPOINT_BYTES) {
            revert EndpointLengthOutOfRange(length, MAXIMUM_ENDPOINT_BYTES);
        }
    }

    function _requireRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum) private pure {
        if (given < minimum || given > maximum) revert ParameterOutOfRange(parameter, given, minimum, maximum);
    }
}
