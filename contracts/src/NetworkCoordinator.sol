// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Brokers} from "./coordinator/Brokers.sol";
import {Conduct} from "./coordinator/Conduct.sol";
import {INetworkCoordinator} from "./interfaces/INetworkCoordinator.sol";
import {Entries} from "./libraries/Entries.sol";
import {Lists} from "./libraries/Lists.sol";
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
    using Entries for Entry[];
    using Lists for uint256[];
    using Members for uint192;
    using Seats for uint256;
    using Tallies for uint256;

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
        (Entry[] calldata entries, Signature[] calldata signatures) = Entries.partsOf(certificate);
        uint256 count = entries.length;
        if (count == 0 || count > MAXIMUM_LIST) revert EntriesOutOfRange(count, MAXIMUM_LIST);
        (uint256 first,) = entries.at(0);
        if (signatures.length > Seats.CAPACITY) {
            revert TooManySignatures(first.partition(), signatures.length, Seats.CAPACITY);
        }
        uint256[] memory words = Lists.ofLength(3 * count);
        bytes32 root = _checkEntries(entries, words, isSkippable);
        if (root == 0) return;
        uint192 signers = _signersOf(Reports.digestOf(_domainSeparator(), root), signatures, first);
        entries.emitSealed(signers);
        uint256[] memory lanes = Members.lanes();
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                _seal(entries, i, words, signers, signatures.length, lanes);
            }
        }
    }

    /// @dev Each entry by itself. The root is over all of them and needs each one's `previous`, which the hint
    /// vouches for; so where one is stale there is no root, which is then 0.
    /// @param words Is set to each partition's slot, `members` and `seal`; that no other entry is of it keeps
    /// them true.
    function _checkEntries(
        Entry[] calldata entries,
        uint256[] memory words,
        bool isSkippable
    ) private view returns (bytes32) {
        unchecked {
            uint256 end = block.number / _epochBlocks;
            uint256 begin = end > _windowEpochs ? end - _windowEpochs : 0;
            uint256 succeededFrom = _succeededFrom();
            if (succeededFrom < end) end = succeededFrom;
            uint256[] memory leaves = Lists.ofLength(entries.length);
            uint256 least;
            for (uint256 i = 0; i < entries.length; ++i) {
                (uint256 summary, bytes32 checksum) = entries.at(i);
                uint256 id = summary >> 224;
                if (id < least) revert EntriesNotAscending(uint32(id));
                least = id + 1;
                uint256 epoch_ = uint32(summary >> 192);
                uint256 seal;
                bool isRefused;
                // Assembly: all of it at once, where the compiler asks one after the other.
                assembly ("memory-safe") {
                    mstore(0, id)
                    mstore(32, _partitions.slot)
                    let slot := keccak256(0, 64)
                    // As the ABI does with a checksum of more than 24 bytes.
                    if shl(192, checksum) { revert(0, 0) }
                    let members := sload(slot)
                    seal := sload(add(slot, 1))
                    let early := or(lt(epoch_, begin), iszero(gt(epoch_, and(shr(32, seal), 0xFFFFFFFF))))
                    let unknown := iszero(and(shr(192, members), 0xFFFFFFFF))
                    let stale := gt(xor(and(summary, 0xFFFFFFFF), shr(224, seal)), 0)
                    isRefused := or(or(early, iszero(lt(epoch_, end))), or(unknown, stale))
                    let word := add(add(words, 32), mul(96, i))
                    mstore(word, slot)
                    mstore(add(word, 32), members)
                    mstore(add(word, 64), seal)
                }
                if (isRefused) {
                    _refuseEntry(summary, isSkippable);
                    return 0;
                }
                leaves.set(i, uint256(summary.leafOf(bytes24(bytes32(seal)), checksum)));
            }
            return Reports.rootOf(leaves);
        }
    }

    /// @dev Why an entry is refused; returns if its certificate is skipped instead.
    function _refuseEntry(uint256 summary, bool isSkippable) private view {
        (uint32 id, uint64 epoch_, uint64 current) = (summary.partition(), summary.epoch(), epoch());
        PartitionSlot storage p = _known(id);
        if (p.members.sinceEpoch() == 0) revert NotFounded(id);
        (bytes24 checksum, uint64 sealedEpoch) = (p.seal.checksum(), p.seal.sealedEpoch());
        if (epoch_ <= sealedEpoch) {
            if (isSkippable) return;
            revert AlreadySealed(id, epoch_, sealedEpoch);
        }
        if (_isSucceeded(epoch_)) revert Succeeded(successor, _succeededFrom());
        if (epoch_ >= current) revert EpochNotOver(id, epoch_, current);
        if (current - epoch_ > _windowEpochs) revert WindowClosed(id, epoch_, current, _windowEpochs);
        if (!isSkippable) revert PreviousMismatch(id, summary.hint(), checksum);
    }

    /// @return signers Ascending. Signatures mostly come in that order, so that each is put last.
    function _signersOf(
        bytes32 digest,
        Signature[] calldata signatures,
        uint256 first
    ) private view returns (uint192) {
        unchecked {
            uint256 signers;
            uint256 greatest;
            for (uint256 i = 0; i < signatures.length; ++i) {
                address signer = Reports.signerOf(digest, signatures, i);
                if (signer == address(0)) revert InvalidSignature(first.partition(), i);
                uint256 index;
                assembly ("memory-safe") {
                    mstore(0, signer)
                    mstore(32, brokerIndex.slot)
                    index := sload(keccak256(0, 64))
                }
                if (index > greatest) {
                    greatest = index;
                    signers |= index << (24 * i);
                } else {
                    if (index == 0) revert SignerNotMember(first.partition(), first.epoch(), signer);
                    if (uint192(signers).contains(uint24(index))) {
                        revert DuplicateSigner(first.partition(), uint24(index));
                    }
                    signers = uint192(signers).insertAscending(i, uint24(index));
                }
            }
            return uint192(signers);
        }
    }

    /// @dev A quorum is needed of the set of every epoch since the last sealed one: of the members if the
    /// entry's epoch is theirs, and of the previous members if an unsealed epoch was theirs. Here the words are
    /// taken apart by hand: it is what every seal costs.
    function _seal(
        Entry[] calldata entries,
        uint256 position,
        uint256[] memory words,
        uint192 signers,
        uint256 count,
        uint256[] memory lanes
    ) private {
        unchecked {
            (uint256 summary, bytes32 checksum) = entries.at(position);
            uint256 slot;
            uint256 members;
            uint256 seal;
            assembly ("memory-safe") {
                let word := add(add(words, 32), mul(96, position))
                slot := mload(word)
                members := mload(add(word, 32))
                seal := mload(add(word, 64))
            }
            if (uint32(seal >> 32) + 1 < uint32(members >> 192)) {
                _sealFormer(summary, checksum, signers);
                return;
            }
            (uint256 once, uint256 stranger) = uint192(members).sealedBy(signers, lanes);
            if (stranger != 0) _refuseSigner(summary, uint24(stranger));
            if (count < _quorum) _refuseQuorum(summary, uint192(members), count);
            uint256 tally = uint256(uint32(seal)).plus(once);
            uint256 epoch_ = uint32(summary >> 192);
            bool isFull = tally.isFull();
            // A target's epoch of 0 is none, and 0 - 1 is after every epoch.
            bool mayChange = (members >> 224) - 1 < epoch_;
            bool isSettled;
            assembly ("memory-safe") {
                isSettled := or(isFull, mayChange)
            }
            if (isSettled) {
                _settleSeal(summary, checksum, tally);
            } else {
                assembly ("memory-safe") {
                    sstore(add(slot, 1), or(or(checksum, shl(32, epoch_)), tally))
                }
            }
        }
    }

    /// @dev After a seal of the members whose tally is full, or who perhaps change.
    function _settleSeal(uint256 summary, bytes32 checksum, uint256 tally) private {
        uint32 id = summary.partition();
        PartitionSlot storage p = _partitions[id];
        MemberSlot slot = p.members;
        uint64 targetEpoch = slot.targetEpoch();
        uint192 next = slot.members();
        if (targetEpoch != 0 && targetEpoch <= summary.epoch()) next = _nextMembers(next, p.target);
        bool isChange = next != slot.members();
        SealSlot seal = SealSlot.wrap(uint256(checksum) | (uint256(summary.epoch()) << 32) | tally);
        if (isChange || tally.isFull()) {
            _settleTally(id, p, seal.seals(), seal.misses());
            seal = seal.withTally(0, 0, seal.absent());
        }
        p.seal = seal;
        if (isChange) _install(id, p, slot, next);
    }

    /// @dev A seal that needs the previous members, who are settled at once: all of them if its epoch is theirs, else
    /// those who signed and are no members.
    function _sealFormer(uint256 summary, bytes32 checksum, uint192 signers) private {
        uint32 id = summary.partition();
        PartitionSlot storage p = _partitions[id];
        SealSlot seal = p.seal;
        bool ofMembers = summary.epoch() >= p.members.sinceEpoch();
        uint192 members = ofMembers ? p.members.members() : 0;
        uint192 former = p.former.previousMembers();
        (uint256 inMembers, uint256 inFormer, uint256 outside) = (0, 0, 0);
        for (uint192 rest = signers; rest != 0; rest >>= 24) {
            uint24 index = rest.at(0);
            (uint256 member, uint256 previous) = (members.seatsOf(index), former.seatsOf(index));
            if (member | previous == 0) _refuseSigner(summary, index);
            if (member == 0) outside |= previous;
            inMembers |= member;
            inFormer |= previous;
        }
        _requireQuorum(summary, former, inFormer);
        if (!ofMembers) {
            uint256 silent = former.taken() & ~inFormer;
            p.seal = Slots.seal(bytes24(checksum), summary.epoch(), seal.misses(), seal.seals(), silent);
            (uint64 all, uint64 missed) = Tallies.countsOf(former.taken(), 1, uint256(0).missed(silent));
            _settleCounts(id, former, all, missed);
            return;
        }
        _requireQuorum(summary, members, inMembers);
        (uint64 signed,) = Tallies.countsOf(outside, 1, 0);
        if (signed != 0) _settleCounts(id, former, signed, 0);
        uint256 tally = uint256(uint32(SealSlot.unwrap(seal))).plus(Tallies.ofSeal(members.taken() & ~inMembers));
        _settleSeal(summary, checksum, tally);
    }

    function _requireQuorum(uint256 summary, uint192 set, uint256 mask) private view {
        uint256 signers;
        for (; mask != 0; mask &= mask - 1) ++signers;
        if (signers < _quorum) _refuseQuorum(summary, set, signers);
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

    function _refuseSigner(uint256 summary, uint24 index) private view {
        revert SignerNotMember(summary.partition(), summary.epoch(), _brokers[index].account);
    }

    function _refuseQuorum(uint256 summary, uint192 members, uint256 signers) private view {
        revert QuorumNotReached(
            summary.partition(), summary.epoch(), members, uint8(signers), _quorum
        );
    }
}
