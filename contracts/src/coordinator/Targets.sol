// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Scores} from "../libraries/Scores.sol";
import {Seats} from "../libraries/Seats.sol";
import {Brokers} from "./Brokers.sol";

/// @title Targets: who should sit in a partition, and how it gets its first members (WP 2.4.6)
abstract contract Targets is Brokers {
    using Seats for uint256;

    /// @dev The kept form of a partition: what a certificate reads and writes shares slots.
    struct PartitionSlot {
        uint256 members;
        uint256 previousMembers;
        uint256 target;
        uint64 sinceEpoch;
        uint64 sealedEpoch;
        uint64 targetEpoch;
        uint8 absent;
        bytes32 checksum;
        uint128 events;
        uint128 volume;
    }

    mapping(uint32 partition => PartitionSlot) internal _partitions;

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

    /// @dev Applies one change if it is useful. Which seat it takes: its broker's own seat if its ticket
    /// there scores less; else the lowest vacant or invalid seat; else the seat that scores lowest, if it
    /// beats that.
    function _propose(Change calldata change) private {
        if (change.partition >= _partitionCount) return;
        Broker storage candidate = _brokers[change.broker];
        if (change.ticket >= _ticketsOf(candidate) || candidate.draw == 0) return;
        PartitionSlot storage p = _partitions[change.partition];
        uint256 target = p.target;
        uint8 seat = _usefulSeat(change, target, candidate.draw);
        if (seat == Seats.NONE) return;

        uint24 replaced = target.brokerAt(seat);
        target = target.put(seat, change.broker, change.ticket);
        p.target = target;
        p.targetEpoch = epoch();
        emit SeatProposed(change.partition, seat, change.broker, change.ticket, replaced);
        if (p.sinceEpoch == 0 && _validSeats(target) == _replicas) {
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
            bytes32 holderDraw = _brokers[holder].draw;
            uint64 present = Scores.score(key, Scores.brokerKey(holderDraw), target.ticketAt(seat));
            bool lower =
                lowest == Seats.NONE || Scores.beats(lowestScore, target.brokerAt(lowest), present, holder);
            if (lower) (lowest, lowestScore) = (seat, present);
        }
        return Scores.beats(mine, change.broker, lowestScore, target.brokerAt(lowest)) ? lowest : Seats.NONE;
    }

    /// @dev Members by the target alone. Nothing waits to be sealed before them, so the epochs until now count
    /// as sealed. Seats whose ticket is no longer valid stay vacant, so that nobody is bound, or acts, after
    /// leaving.
    function _found(uint32 partition_, PartitionSlot storage p) internal {
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
            targetEpoch: p.targetEpoch,
            absent: p.absent
        });
    }

    /// @inheritdoc INetworkCoordinator
    function score(uint32 partition_, uint24 index, uint8 ticket) external view returns (uint64) {
        return Scores.score(Scores.partitionKey(partition_), Scores.brokerKey(_brokers[index].draw), ticket);
    }

    function _known(uint32 partition_) internal view returns (PartitionSlot storage) {
        if (partition_ >= _partitionCount) revert UnknownPartition(partition_, _partitionCount);
        return _partitions[partition_];
    }

    /// @dev Whether a seat's broker still holds that ticket; a vacant seat is not valid.
    function _isValid(uint256 set, uint8 seat) internal view returns (bool) {
        return set.ticketAt(seat) < _ticketsOf(_brokers[set.brokerAt(seat)]);
    }

    function _validSeats(uint256 set) internal view returns (uint8 count) {
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            if (_isValid(set, seat)) ++count;
        }
    }
}
