// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Scores} from "../libraries/Scores.sol";
import {Seats} from "../libraries/Seats.sol";

/// @title Parameters, brokers and their money (WP 2.5.3)
abstract contract Brokers is INetworkCoordinator {
    using SafeERC20 for IERC20;

    uint256 internal constant MAXIMUM_LIST = 64;
    uint256 private constant MAXIMUM_ENDPOINT_BYTES = 256;
    uint16 internal constant FULL_RELIABILITY = 10_000;
    uint16 internal constant FULL_SHARE = 10_000;
    /// @dev Below it a broker has no tickets, and whoever takes its seat is rewarded from its fee.
    uint16 internal constant MINIMUM_RELIABILITY = 2_500;
    /// @dev What rejoining gives.
    uint16 private constant REJOIN_RELIABILITY = 5_000;
    /// @dev Partitions never grow beyond so many.
    uint256 private constant MAXIMUM_PARTITIONS = 1 << 20;

    IERC20 internal immutable _token;
    uint8 internal immutable _replicas;
    uint8 internal immutable _quorum;
    uint8 internal immutable _newcomerLimit;
    uint8 internal immutable _maximumTickets;
    uint64 internal immutable _epochBlocks;
    uint64 internal immutable _drawDelay;
    uint64 internal immutable _noticeEpochs;
    uint64 internal immutable _windowEpochs;
    uint256 internal immutable _minimumStake;
    uint256 internal immutable _ticketStake;
    uint256 internal immutable _joinFee;
    uint256 internal immutable _epochReward;
    uint16 internal immutable _slashShare;
    uint16 internal immutable _reporterShare;
    uint64 internal immutable _quorumLostWindows;
    uint64 private immutable _successorNotice;
    address internal immutable _governor;
    uint256 internal immutable _seatBounty;
    uint16 private immutable _partitionsPerBroker;

    /// @inheritdoc INetworkCoordinator
    uint128 public stakes;
    /// @inheritdoc INetworkCoordinator
    uint128 public pool;
    /// @dev With what follows one slot: a settlement reads and writes no other of the totals.
    /// @inheritdoc INetworkCoordinator
    uint128 public unpaid;
    /// @inheritdoc INetworkCoordinator
    uint24 public brokerCount;
    /// @inheritdoc INetworkCoordinator
    uint24 public activeBrokers;
    /// @inheritdoc INetworkCoordinator
    uint32 public partitionCount;
    uint32 private _successorEpoch;
    /// @inheritdoc INetworkCoordinator
    address public successor;
    /// @inheritdoc INetworkCoordinator
    address public proposedSuccessor;
    /// @inheritdoc INetworkCoordinator
    mapping(address account => uint24 index) public brokerIndex;

    /// @inheritdoc INetworkCoordinator
    mapping(address account => uint128 amount) public bountyOf;

    mapping(uint24 index => Broker) internal _brokers;

    /// @param token_ The DATA token.
    /// @param p Fixed for the life of this coordinator.
    constructor(address token_, Params memory p) {
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
        _requireRange("windowEpochs", p.windowEpochs, 1, type(uint32).max);
        _requireRange("slashShare", p.slashShare, 0, FULL_SHARE);
        _requireRange("reporterShare", p.reporterShare, 0, FULL_SHARE);
        _requireRange("quorumLostWindows", p.quorumLostWindows, 1, type(uint32).max);
        _requireRange("successorNotice", p.successorNotice, 1, type(uint32).max);
        _requireRange("seatBounty", p.seatBounty, 0, p.joinFee);
        _token = IERC20(token_);
        _replicas = p.replicas;
        _quorum = Seats.quorumOf(p.replicas);
        _newcomerLimit = Seats.newcomerLimit(p.replicas);
        _maximumTickets = p.maximumTickets;
        partitionCount = p.partitions;
        _epochBlocks = p.epochBlocks;
        _drawDelay = p.drawDelay;
        _noticeEpochs = p.noticeEpochs;
        _windowEpochs = p.windowEpochs;
        _minimumStake = p.minimumStake;
        _ticketStake = p.ticketStake;
        _joinFee = p.joinFee;
        _epochReward = p.epochReward;
        _slashShare = p.slashShare;
        _reporterShare = p.reporterShare;
        _quorumLostWindows = p.quorumLostWindows;
        _successorNotice = p.successorNotice;
        _governor = p.governor;
        _seatBounty = p.seatBounty;
        _partitionsPerBroker = p.partitionsPerBroker;
        emit CoordinatorFounded(token_, p);
    }

    /// @inheritdoc INetworkCoordinator
    function register(
        uint256 stake,
        string calldata endpoint,
        bytes32 tlsKeyHash
    ) external returns (uint24 index) {
        if (_isSucceeded(epoch())) revert Succeeded(successor, _successorEpoch);
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
        b.settledReliability = FULL_RELIABILITY;
        b.fee = uint128(_joinFee);
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
        if (b.drawKey != 0) revert DrawAlreadyRecorded(index);
        if (block.number <= b.drawBlock) revert DrawNotReady(index, b.drawBlock, block.number);
        bytes32 hash = blockhash(b.drawBlock);
        if (hash == 0) {
            b.drawBlock = uint64(block.number) + _drawDelay;
            emit DrawMissed(index, b.drawBlock);
        } else {
            bytes32 draw = keccak256(abi.encode(hash, index));
            b.drawKey = Scores.brokerKey(draw);
            if (!b.left) ++activeBrokers;
            emit DrawRecorded(index, draw);
        }
    }

    /// @inheritdoc INetworkCoordinator
    function leave() external {
        (uint24 index, Broker storage b) = _caller();
        if (b.left) revert AlreadyLeft(index);
        _leave(index, b);
    }

    /// @inheritdoc INetworkCoordinator
    function rejoin() external {
        (uint24 index, Broker storage b) = _caller();
        if (b.left) revert AlreadyLeft(index);
        if (b.reliability >= MINIMUM_RELIABILITY) {
            revert NotSuspended(index, b.reliability, MINIMUM_RELIABILITY);
        }
        _setReliability(b, REJOIN_RELIABILITY);
        b.fee += uint128(_joinFee);
        pool += uint128(_joinFee);
        emit BrokerRejoined(index, _joinFee);
        _token.safeTransferFrom(msg.sender, address(this), _joinFee);
    }

    /// @inheritdoc INetworkCoordinator
    function growPartitions() external {
        uint256 asked = uint256(activeBrokers) * _partitionsPerBroker;
        uint256 wanted = asked < MAXIMUM_PARTITIONS ? asked : MAXIMUM_PARTITIONS;
        if (wanted <= partitionCount) revert NothingToGrow(partitionCount, wanted);
        partitionCount = uint32(wanted);
        emit PartitionsGrown(epoch() + 1, uint32(wanted));
    }

    /// @inheritdoc INetworkCoordinator
    function withdrawStake() external {
        (uint24 index, Broker storage b) = _caller();
        if (!b.left) revert NotLeft(index);
        if (epoch() <= b.withdrawableEpoch) revert StakeLocked(index, b.withdrawableEpoch, epoch());
        if (b.seats != 0 && !_isSucceeded(epoch())) revert StillSeated(index, b.seats);
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

    /// @inheritdoc INetworkCoordinator
    function claimBounty() external {
        uint128 amount = bountyOf[msg.sender];
        if (amount == 0) revert NoBounty(msg.sender);
        bountyOf[msg.sender] = 0;
        unpaid -= amount;
        emit BountyClaimed(msg.sender, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc INetworkCoordinator
    function proposeSuccessor(address successor_) external {
        if (msg.sender != _governor) revert NotGovernor(msg.sender);
        if (_successorEpoch != 0) revert SuccessorFixed(successor, _successorEpoch);
        proposedSuccessor = successor_;
        emit SuccessorProposed(successor_);
    }

    /// @inheritdoc INetworkCoordinator
    function acceptSuccession() external {
        if (msg.sender != proposedSuccessor) revert NotProposed(msg.sender);
        proposedSuccessor = address(0);
        successor = msg.sender;
        _successorEpoch = uint32(epoch() + _successorNotice);
        emit SuccessorAccepted(msg.sender, _successorEpoch);
    }

    /// @inheritdoc INetworkCoordinator
    function successorEpoch() external view returns (uint64) {
        return _successorEpoch;
    }

    /// @inheritdoc INetworkCoordinator
    function broker(uint24 index) external view returns (Broker memory) {
        return _brokers[index];
    }

    /// @inheritdoc INetworkCoordinator
    function ticketsOf(uint24 index) external view returns (uint8) {
        return _ticketsOf(_brokers[index]);
    }

    /// @inheritdoc INetworkCoordinator
    function quorum() external view returns (uint8) {
        return _quorum;
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

    /// @dev A broker that leaves, or is made to, loses its tickets at once and answers for a notice longer.
    function _leave(uint24 index, Broker storage b) internal {
        b.left = true;
        if (b.drawKey != 0) --activeBrokers;
        b.tickets = 0;
        b.withdrawableEpoch = epoch() + _noticeEpochs;
        emit BrokerLeft(index, b.withdrawableEpoch);
    }

    /// @dev By the reliability that stood when the epoch began, so that scores do not change within one.
    function _ticketsOf(Broker storage b) internal view returns (uint8) {
        uint256 reliability = b.ratedEpoch == uint32(epoch()) ? b.settledReliability : b.reliability;
        if (reliability < MINIMUM_RELIABILITY) return 0;
        return uint8((b.tickets * reliability + FULL_RELIABILITY - 1) / FULL_RELIABILITY);
    }

    function _setReliability(Broker storage b, uint256 reliability) internal {
        if (b.reliability == reliability) return;
        uint32 current = uint32(epoch());
        if (b.ratedEpoch != current) (b.ratedEpoch, b.settledReliability) = (current, b.reliability);
        b.reliability = uint16(reliability);
    }

    /// @dev The first epoch that is the successor's. Without a governor it is never, and no slot is read for it.
    function _succeededFrom() internal view returns (uint64) {
        uint64 from = _governor == address(0) ? 0 : _successorEpoch;
        return from == 0 ? type(uint64).max : from;
    }

    function _isSucceeded(uint64 epoch_) internal view returns (bool) {
        return epoch_ >= _succeededFrom();
    }

    function _caller() private view returns (uint24 index, Broker storage b) {
        index = brokerIndex[msg.sender];
        if (index == 0) revert NotRegistered(msg.sender);
        b = _brokers[index];
    }

    function _requireEndpoint(string calldata endpoint) private pure {
        uint256 length = bytes(endpoint).length;
        if (length == 0 || length > MAXIMUM_ENDPOINT_BYTES) {
            revert EndpointLengthOutOfRange(length, MAXIMUM_ENDPOINT_BYTES);
        }
    }

    function _requireRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum) private pure {
        if (given < minimum || given > maximum) {
            revert ParameterOutOfRange(parameter, given, minimum, maximum);
        }
    }
}
