// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Members} from "../libraries/Members.sol";
import {FormerSlot, MemberSlot, SealSlot, Slots} from "../libraries/Slots.sol";
import {Tallies} from "../libraries/Tallies.sol";
import {Brokers} from "./Brokers.sol";

/// @title Partitions as they are kept, and what their tallies are settled into (WP 2.4.6, 2.4.7)
abstract contract Partitions is Brokers {
    using Members for uint192;
    using Tallies for uint256;
    using Tallies for uint64;

    /// @dev What a missed seal costs of reliability, and what a signed one gives.
    uint256 internal constant MISS_COST = 625;
    uint256 private constant SIGN_GAIN = 40;
    /// @dev The seals that a newcomer may miss before it signed one: less than this.
    uint256 internal constant PROBATION = 3;

    /// @dev A seal reads `members` and `seal` and writes `seal`. `sponsors` has 24 bits a target seat.
    struct PartitionSlot {
        MemberSlot members;
        SealSlot seal;
        uint256 target;
        FormerSlot former;
        uint192 sponsors;
    }

    mapping(uint32 partition => PartitionSlot) internal _partitions;

    /// @inheritdoc INetworkCoordinator
    function settle(uint32[] calldata partitions) external {
        if (partitions.length > MAXIMUM_LIST) revert ListTooLong(partitions.length, MAXIMUM_LIST);
        for (uint256 i = 0; i < partitions.length; ++i) {
            PartitionSlot storage p = _partitions[partitions[i]];
            SealSlot seal = p.seal;
            if (seal.seals() == 0) continue;
            _settleTally(partitions[i], p, seal.seals(), seal.misses());
            p.seal = seal.withTally(0, 0, seal.absent());
        }
    }

    /// @inheritdoc INetworkCoordinator
    function partition(uint32 partition_) external view returns (Partition memory) {
        PartitionSlot storage p = _known(partition_);
        (MemberSlot members, SealSlot seal, FormerSlot former) = (p.members, p.seal, p.former);
        return Partition({
            members: members.members(),
            previousMembers: former.previousMembers(),
            target: p.target,
            sponsors: p.sponsors,
            sinceEpoch: members.sinceEpoch(),
            foundedEpoch: former.foundedEpoch(),
            sealedEpoch: seal.sealedEpoch(),
            targetEpoch: members.targetEpoch(),
            checksum: seal.checksum(),
            seals: uint8(seal.seals()),
            misses: uint16(seal.misses()),
            absent: uint8(seal.absent()),
            probation: uint16(former.probation())
        });
    }

    /// @inheritdoc INetworkCoordinator
    function sealOf(uint32 partition_) external view returns (bytes32 checksum, uint64 sealedEpoch) {
        SealSlot seal = _partitions[partition_].seal;
        if (SealSlot.unwrap(seal) == 0) _known(partition_);
        return (seal.checksum(), seal.sealedEpoch());
    }

    function _known(uint32 partition_) internal view returns (PartitionSlot storage) {
        if (partition_ >= partitionCount) revert UnknownPartition(partition_, partitionCount);
        return _partitions[partition_];
    }

    /// @dev Settles the members' tally, which the caller then empties, and their probation.
    function _settleTally(uint32 partition_, PartitionSlot storage p, uint256 seals, uint256 misses) internal {
        uint192 members = p.members.members();
        (uint64 signed, uint64 missed) = Tallies.countsOf(members.taken(), seals, misses);
        _settleCounts(partition_, members, signed, missed);
        FormerSlot former = p.former;
        if (former.probation() == 0) return;
        uint256 probation = _probe(members, signed, missed, former.probation());
        if (probation == former.probation()) return;
        p.former = Slots.former(former.previousMembers(), former.foundedEpoch(), probation);
    }

    /// @dev Pays and rates a set by what each of its seats signed and missed.
    function _settleCounts(uint32 partition_, uint192 set, uint64 signed, uint64 missed) internal {
        uint256 share = _epochReward / partitionCount / _replicas;
        uint256 available = share == 0 ? 0 : reserve();
        uint256 paid;
        for (uint256 seat = 0; set >> (24 * seat) != 0; ++seat) {
            uint24 index = set.at(seat);
            uint256 signedCount = signed.countAt(seat);
            uint256 missedCount = missed.countAt(seat);
            if (index == 0 || signedCount | missedCount == 0) continue;
            Broker storage b = _brokers[index];
            _setReliability(b, _rated(b.reliability, signedCount, missedCount));
            uint256 due = signedCount * share;
            uint256 pay = due < available ? due : available;
            if (pay == 0) continue;
            available -= pay;
            paid += pay;
            b.accrued += uint128(pay);
        }
        if (paid != 0) unpaid += uint128(paid);
        emit PartitionSettled(partition_, set, signed, missed, share, paid);
    }

    function _rated(uint256 reliability, uint256 signed, uint256 missed) private pure returns (uint256) {
        uint256 cost = missed * MISS_COST;
        uint256 next = (reliability > cost ? reliability - cost : 0) + signed * SIGN_GAIN;
        return next < FULL_RELIABILITY ? next : FULL_RELIABILITY;
    }

    /// @dev Who signed has passed; who missed all it could before it signed one has no reliability left. What is
    /// missed adds up over settlements, so that nobody passes by being settled often.
    function _probe(
        uint192 members,
        uint64 signed,
        uint64 missed,
        uint256 probation
    ) private returns (uint256 next) {
        for (uint256 seat = 0; probation >> (2 * seat) != 0; ++seat) {
            uint256 left = probation.at(seat);
            uint256 missedCount = missed.countAt(seat);
            if (left == 0 || signed.countAt(seat) != 0) continue;
            if (missedCount < left) next |= (left - missedCount) << (2 * seat);
            else _setReliability(_brokers[members.at(seat)], 0);
        }
    }
}
