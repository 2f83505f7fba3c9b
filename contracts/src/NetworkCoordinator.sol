// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Brokers} from "./coordinator/Brokers.sol";
import {Conduct} from "./coordinator/Conduct.sol";
import {INetworkCoordinator} from "./interfaces/INetworkCoordinator.sol";
import {Entries} from "./libraries/Entries.sol";
import {Members} from "./libraries/Members.sol";
import {Reports} from "./libraries/Reports.sol";
import {Seats} from "./libraries/Seats.sol";
import {FormerSlot, MemberSlot, SealSlot, Slots} from "./libraries/Slots.sol";
import {Tallies} from "./libraries/Tallies.sol";

/// @title The network coordinator (WP 2.5.3, 2.4.6, 2.4.7)
/// @notice Nobody has privileges here. The token must be one that moves exactly the amount it is told to.
/// This file takes certificates; brokers, partitions, targets and conduct are in the contracts it inherits.
contract NetworkCoordinator is Conduct {
    using Entries for uint256;
    using Members for uint192;
    using Seats for uint256;
    using Tallies for uint256;

    /// @dev Who signed a certificate: `brokers` ascending, `count` of them.
    struct Signers {
        uint192 brokers;
        uint256 count;
    }

    /// @param token_ The DATA token.
    /// @param p Fixed for the life of this coordinator.
    constructor(address token_, Params memory p) Brokers(token_, p) {}

    /// @inheritdoc INetworkCoordinator
    function submitCertificates(Certificate[] calldata certificates) external {
        uint256 count = certificates.length;
        if (count > MAXIMUM_LIST) revert ListTooLong(count, MAXIMUM_LIST);
        for (uint256 i = 0; i < count; ++i) {
            _submit(certificates[i], count > 1);
        }
    }

    function _submit(Certificate calldata certificate, bool isSkippable) private {
        Entry[] calldata entries = certificate.entries;
        Signature[] calldata signatures = certificate.signatures;
        uint256 count = entries.length;
        if (count == 0 || count > MAXIMUM_LIST) revert EntriesOutOfRange(count, MAXIMUM_LIST);
        if (signatures.length > Seats.CAPACITY) {
            revert TooManySignatures(entries[0].summary.partition(), signatures.length, Seats.CAPACITY);
        }
        (bool isStale, bytes32 root) = _checkEntries(entries, isSkippable);
        if (isStale) return;
        bytes32 digest = Reports.digestOf(root);
        Signers memory signers = _signersOf(digest, signatures, entries[0].summary);
        emit PartitionsSealed(signers.brokers, entries);
        for (uint256 i = 0; i < count; ++i) {
            _seal(entries[i], signers);
        }
    }

    /// @dev Each entry by itself. The root is over all of them and needs each one's `previous`, which the hint vouches
    /// for; so where one is stale there is no root.
    function _checkEntries(Entry[] calldata entries, bool isSkippable)
        private
        view
        returns (bool isStale, bytes32 root)
    {
        bytes32[] memory leaves = new bytes32[](entries.length);
        uint64 current = epoch();
        uint64 succeededFrom = _succeededFrom();
        for (uint256 i = 0; i < entries.length; ++i) {
            uint256 summary = entries[i].summary;
            uint32 id = summary.partition();
            if (i != 0 && id <= entries[i - 1].summary.partition()) revert EntriesNotAscending(id);
            PartitionSlot storage p = _partitions[id];
            if (p.members.sinceEpoch() == 0) {
                _known(id);
                revert NotFounded(id);
            }
            SealSlot seal = p.seal;
            uint64 epoch_ = summary.epoch();
            if (epoch_ <= seal.sealedEpoch()) {
                if (isSkippable) return (true, 0);
                revert AlreadySealed(id, epoch_, seal.sealedEpoch());
            }
            if (epoch_ >= succeededFrom) revert Succeeded(successor, succeededFrom);
            if (epoch_ >= current) revert EpochNotOver(id, epoch_, current);
            if (current - epoch_ > _windowEpochs) revert WindowClosed(id, epoch_, current, _windowEpochs);
            if (summary.hint() != bytes4(seal.checksum())) {
                if (isSkippable) return (true, 0);
                revert PreviousMismatch(id, summary.hint(), seal.checksum());
            }
            leaves[i] = Entries.leafOf(summary, seal.checksum(), entries[i].checksum);
        }
        root = Reports.rootOf(leaves);
    }

    function _signersOf(
        bytes32 digest,
        Signature[] calldata signatures,
        uint256 first
    ) private view returns (Signers memory signers) {
        uint256 given = signatures.length;
        for (uint256 i = 0; i < given; ++i) {
            address signer = _recover(digest, signatures[i], first, i);
            uint24 index = brokerIndex[signer];
            if (index == 0) revert SignerNotMember(first.partition(), first.epoch(), signer);
            if (signers.brokers.contains(index)) revert DuplicateSigner(first.partition(), index);
            signers.brokers = signers.brokers.insertAscending(i, index);
        }
        signers.count = given;
    }

    /// @dev A quorum is needed of the set of every epoch since the last sealed one: of the previous members
    /// if an unsealed epoch was theirs, of the members if the entry's epoch is theirs.
    function _seal(Entry calldata entry, Signers memory signers) private {
        uint32 id = entry.summary.partition();
        PartitionSlot storage p = _partitions[id];
        MemberSlot slot = p.members;
        SealSlot seal = p.seal;
        bool ofMembers = entry.summary.epoch() >= slot.sinceEpoch();
        bool ofFormer = seal.sealedEpoch() + 1 < slot.sinceEpoch();
        uint192 members = ofMembers ? slot.members() : 0;
        uint192 former = ofFormer ? p.former.previousMembers() : 0;
        (uint256 inMembers, uint256 inFormer) = _checkSigners(entry.summary, signers, members, former);
        if (!ofMembers) {
            uint256 silent = former.taken() & ~inFormer;
            p.seal = Slots.seal(entry.checksum, entry.summary.epoch(), seal.misses(), seal.seals(), silent);
            (uint64 signed, uint64 missed) =
                Tallies.countsOf(former.taken(), 1, uint256(0).missed(silent));
            _settleCounts(id, former, signed, missed);
            return;
        }
        if (ofFormer) {
            (uint64 signed,) = Tallies.countsOf(_outside(former, inFormer, members), 1, 0);
            if (signed != 0) _settleCounts(id, former, signed, 0);
        }
        _tally(entry, p, slot, seal, inMembers);
    }

    /// @return inMembers The mask of the members' seats that signed. @return inFormer That of the previous members.
    function _checkSigners(
        uint256 summary,
        Signers memory signers,
        uint192 members,
        uint192 former
    ) private view returns (uint256 inMembers, uint256 inFormer) {
        uint256 ofMembers;
        uint256 ofFormer;
        for (uint256 i = 0; i < signers.count; ++i) {
            uint24 index = signers.brokers.at(i);
            uint256 member = members.seatsOf(index);
            uint256 previous = former == 0 ? 0 : former.seatsOf(index);
            if (member | previous == 0) {
                revert SignerNotMember(summary.partition(), summary.epoch(), _brokers[index].account);
            }
            inMembers |= member;
            inFormer |= previous;
            if (member != 0) ++ofMembers;
            if (previous != 0) ++ofFormer;
        }
        if (former != 0 && ofFormer < _quorum) _refuseQuorum(summary, former, ofFormer);
        if (members != 0 && ofMembers < _quorum) _refuseQuorum(summary, members, ofMembers);
    }

    /// @dev Counts a seal of an epoch of the members; settles the tally if it is full or members change.
    function _tally(
        Entry calldata entry,
        PartitionSlot storage p,
        MemberSlot slot,
        SealSlot seal,
        uint256 signed
    ) private {
        uint256 silent = slot.members().taken() & ~signed;
        uint256 misses = seal.misses().missed(silent);
        uint256 seals = seal.seals() + 1;
        uint64 epoch_ = entry.summary.epoch();
        uint64 targetEpoch = slot.targetEpoch();
        uint192 next = slot.members();
        if (targetEpoch != 0 && targetEpoch <= epoch_) next = _nextMembers(next, p.target);
        bool isChange = next != slot.members();
        if (isChange || misses.isFull(seals)) {
            _settleTally(entry.summary.partition(), p, seals, misses);
            (seals, misses) = (0, 0);
        }
        p.seal = Slots.seal(entry.checksum, epoch_, misses, seals, silent);
        if (isChange) _install(entry.summary.partition(), p, slot, next);
    }

    /// @dev The members with newcomers of the target, no more than may be silent. They were proposed by the sealed
    /// epoch's last block, so that the members who signed could know them, and an epoch of the present members was
    /// sealed, so that never more than one change of members lies between two certificates.
    function _nextMembers(uint192 members, uint256 target) private view returns (uint192 next) {
        next = members;
        uint8 newcomers;
        for (uint8 seat = 0; seat < _replicas && newcomers < _newcomerLimit; ++seat) {
            uint24 index = target.brokerAt(seat);
            // Also not valid: a broker that left after it was proposed and may have no stake any more.
            if (index == 0 || next.contains(index) || !_isValid(target, seat)) continue;
            uint8 place = _givable(next, target);
            if (place == Members.NONE) break;
            next = next.put(place, index);
            ++newcomers;
        }
    }

    /// @dev The seat that the next newcomer takes: the lowest vacant one, else the lowest whose broker is not in the
    /// target, else NONE.
    function _givable(uint192 members, uint256 target) private view returns (uint8) {
        uint8 vacant = members.vacancy(_replicas);
        if (vacant != Members.NONE) return vacant;
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            if (target.findBroker(members.at(seat)) == Seats.NONE) return seat;
        }
        return Members.NONE;
    }

    function _install(uint32 id, PartitionSlot storage p, MemberSlot slot, uint192 next) private {
        uint192 members = slot.members();
        FormerSlot former = p.former;
        uint256 probation = former.probation();
        for (uint256 seat = 0; seat < _replicas; ++seat) {
            (uint24 outgoing, uint24 index) = (members.at(seat), next.at(seat));
            if (outgoing == index) continue;
            if (outgoing != 0) --_brokers[outgoing].seats;
            ++_brokers[index].seats;
            probation |= PROBATION << (2 * seat);
        }
        uint64 sinceEpoch = epoch() + 1;
        p.members = Slots.membership(next, sinceEpoch, _isWithin(p.target, next) ? 0 : slot.targetEpoch());
        p.former = Slots.former(members, former.foundedEpoch(), probation);
        emit MembersInstalled(id, sinceEpoch, next);
        _rewardSponsors(id, p, members, next, true);
    }

    /// @dev The seats of a mask whose brokers are not in another set.
    function _outside(uint192 set, uint256 mask, uint192 other) private pure returns (uint256 outside) {
        for (uint256 seat = 0; mask >> seat != 0; ++seat) {
            if ((mask >> seat) & 1 != 0 && !other.contains(set.at(seat))) outside |= 1 << seat;
        }
    }

    function _refuseQuorum(uint256 summary, uint192 members, uint256 signers) private view {
        revert QuorumNotReached(
            summary.partition(), summary.epoch(), members, uint8(signers), _quorum
        );
    }
}
