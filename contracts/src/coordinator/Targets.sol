// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Members} from "../libraries/Members.sol";
import {Scores} from "../libraries/Scores.sol";
import {Seats} from "../libraries/Seats.sol";
import {MemberSlot, SealSlot, Slots} from "../libraries/Slots.sol";
import {Partitions} from "./Partitions.sol";

/// @title Targets: who should sit in a partition, and how it gets its first members (WP 2.4.6)
abstract contract Targets is Partitions {
    using Members for uint192;
    using Seats for uint256;

    /// @inheritdoc INetworkCoordinator
    function rebalance(Change[] calldata changes) external {
        if (changes.length > MAXIMUM_LIST) revert ListTooLong(changes.length, MAXIMUM_LIST);
        uint24 sponsor = brokerIndex[msg.sender];
        for (uint256 i = 0; i < changes.length; ++i) {
            _propose(changes[i], sponsor);
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
        _retarget(p, p.members, target.put(seat, 0, 0));
        p.sponsors = p.sponsors.put(seat, 0);
        emit SeatVacated(partition_, seat, index);
    }

    /// @inheritdoc INetworkCoordinator
    function found(uint32 partition_) external {
        PartitionSlot storage p = _known(partition_);
        MemberSlot slot = p.members;
        if (slot.sinceEpoch() != 0) revert AlreadyFounded(partition_, slot.sinceEpoch());
        uint8 seats = _validSeats(p.target);
        if (seats < _quorum) revert TooFewSeats(partition_, seats, _quorum);
        if (slot.targetEpoch() >= epoch()) revert TargetStillMoving(partition_, slot.targetEpoch());
        _found(partition_, p, 0);
    }

    /// @dev Applies one change if it is useful. Which seat it takes: its broker's own seat if its ticket
    /// there scores less; else the lowest vacant or invalid seat; else the seat that scores lowest, if it
    /// beats that.
    function _propose(Change calldata change, uint24 sponsor) private {
        if (change.partition >= partitionCount) return;
        Broker storage candidate = _brokers[change.broker];
        uint64 key = candidate.drawKey;
        if (key == 0 || change.ticket >= _ticketsOf(candidate)) return;
        PartitionSlot storage p = _partitions[change.partition];
        uint256 target = p.target;
        uint8 seat = _usefulSeat(change, target, key);
        if (seat == Seats.NONE) return;

        uint24 replaced = target.brokerAt(seat);
        target = target.put(seat, change.broker, change.ticket);
        MemberSlot slot = p.members;
        _retarget(p, slot, target);
        uint192 sponsors = p.sponsors;
        if (sponsors.at(seat) != sponsor) p.sponsors = sponsors.put(seat, sponsor);
        emit SeatProposed(change.partition, seat, change.broker, change.ticket, replaced, sponsor);
        if (slot.sinceEpoch() == 0 && _validSeats(target) == _replicas) {
            _found(change.partition, p, 0);
        }
    }

    /// @dev The target changed: in this epoch, or as good as never if all of it are members.
    function _retarget(PartitionSlot storage p, MemberSlot slot, uint256 target) private {
        p.target = target;
        uint64 targetEpoch = epoch();
        // Of a founded partition 0 says that nobody waits; its members seal epoch 1 first.
        if (targetEpoch == 0 && slot.sinceEpoch() != 0) targetEpoch = 1;
        if (_isWithin(target, slot.members())) targetEpoch = 0;
        if (targetEpoch == slot.targetEpoch()) return;
        p.members = Slots.membership(slot.members(), slot.sinceEpoch(), targetEpoch);
    }

    /// @dev The target seat that a valid candidate takes, or NONE if its change is not useful.
    function _usefulSeat(Change calldata change, uint256 target, uint64 mineKey) private view returns (uint8) {
        uint64 key = Scores.partitionKey(change.partition);
        uint64 mine = Scores.score(key, mineKey, change.ticket);
        uint8 own = target.findBroker(change.broker);
        if (own != Seats.NONE) {
            uint64 present = Scores.score(key, mineKey, target.ticketAt(own));
            return !_isValid(target, own) || mine > present ? own : Seats.NONE;
        }
        uint8 lowest = Seats.NONE;
        uint64 lowestScore;
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            if (!_isValid(target, seat)) return seat;
            uint24 holder = target.brokerAt(seat);
            uint64 present = Scores.score(key, _brokers[holder].drawKey, target.ticketAt(seat));
            bool lower =
                lowest == Seats.NONE || Scores.beats(lowestScore, target.brokerAt(lowest), present, holder);
            if (lower) (lowest, lowestScore) = (seat, present);
        }
        return Scores.beats(mine, change.broker, lowestScore, target.brokerAt(lowest)) ? lowest : Seats.NONE;
    }

    /// @dev Members by the target alone. Nothing waits to be sealed before them, so the epochs until now count
    /// as sealed. Seats whose ticket is no longer valid stay vacant, so that nobody is bound, or acts, after
    /// leaving. All are on probation until they signed.
    /// @param before Who sat here until now: of them nobody is a newcomer.
    function _found(uint32 partition_, PartitionSlot storage p, uint192 before) internal {
        uint256 target = p.target;
        uint192 members;
        uint256 probation;
        for (uint8 seat = 0; target >> (32 * uint256(seat)) != 0; ++seat) {
            if (!_isValid(target, seat)) continue;
            uint24 index = target.brokerAt(seat);
            members = members.put(seat, index);
            probation |= PROBATION << (2 * seat);
            ++_brokers[index].seats;
        }
        uint64 current = epoch();
        MemberSlot slot = p.members;
        uint64 targetEpoch = _isWithin(target, members) ? 0 : slot.targetEpoch();
        p.members = Slots.membership(members, current + 1, targetEpoch);
        p.seal = Slots.seal(p.seal.checksum(), current, 0, 0, 0);
        uint64 foundedEpoch = slot.sinceEpoch() == 0 ? current + 1 : p.former.foundedEpoch();
        p.former = Slots.former(before, foundedEpoch, probation);
        emit MembersInstalled(partition_, current + 1, members);
        _rewardSponsors(partition_, p, before, members, false);
    }

    /// @dev Each newcomer's sponsor earns the bounty, out of what the newcomer paid to join, and then of what the
    /// offender paid whose seat it took. Nothing is minted, so joining and leaving in circles costs.
    function _rewardSponsors(
        uint32 partition_,
        PartitionSlot storage p,
        uint192 before,
        uint192 members,
        bool replacing
    ) internal {
        uint192 sponsors = p.sponsors;
        uint192 rest = sponsors;
        uint256 target = p.target;
        for (uint8 seat = 0; rest != 0 && seat < Seats.CAPACITY; ++seat) {
            uint24 index = target.brokerAt(seat);
            if (index == 0 || before.contains(index) || !members.contains(index)) continue;
            uint24 sponsor = sponsors.at(seat);
            rest = rest.put(seat, 0);
            uint24 replaced = replacing ? before.at(members.seatOf(index)) : 0;
            if (sponsor != 0) _rewardSponsor(partition_, index, sponsor, replaced);
        }
        if (rest != sponsors) p.sponsors = rest;
    }

    function _rewardSponsor(uint32 partition_, uint24 index, uint24 sponsor, uint24 replaced) private {
        uint128 fromNewcomer = _spendFee(_brokers[index], _seatBounty);
        uint128 fromOffender;
        Broker storage offender = _brokers[replaced];
        if (replaced != 0 && (offender.left || offender.reliability < MINIMUM_RELIABILITY)) {
            fromOffender = _spendFee(offender, _seatBounty - fromNewcomer);
        }
        uint128 bounty = fromNewcomer + fromOffender;
        if (bounty == 0) return;
        pool -= bounty;
        unpaid += bounty;
        _brokers[sponsor].accrued += bounty;
        emit SeatRewarded(partition_, index, sponsor, fromNewcomer, fromOffender);
    }

    function _spendFee(Broker storage b, uint256 wanted) private returns (uint128 spent) {
        uint128 fee = b.fee;
        spent = fee < wanted ? fee : uint128(wanted);
        if (spent != 0) b.fee = fee - spent;
    }

    /// @inheritdoc INetworkCoordinator
    function score(uint32 partition_, uint24 index, uint8 ticket) external view returns (uint64) {
        return Scores.score(Scores.partitionKey(partition_), _brokers[index].drawKey, ticket);
    }

    /// @dev Whether a seat's broker still holds that ticket; a vacant seat is not valid.
    function _isValid(uint256 set, uint8 seat) internal view returns (bool) {
        return set.ticketAt(seat) < _ticketsOf(_brokers[set.brokerAt(seat)]);
    }

    function _validSeats(uint256 set) internal view returns (uint8 count) {
        for (uint8 seat = 0; set >> (32 * uint256(seat)) != 0; ++seat) {
            if (_isValid(set, seat)) ++count;
        }
    }

    /// @dev Whether every broker of a target is a member, with a valid ticket or not: one that is suspended may come
    /// back.
    function _isWithin(uint256 target, uint192 members) internal pure returns (bool) {
        for (uint8 seat = 0; target >> (32 * uint256(seat)) != 0; ++seat) {
            uint24 index = target.brokerAt(seat);
            if (index != 0 && !members.contains(index)) return false;
        }
        return true;
    }
}
