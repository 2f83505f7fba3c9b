// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Brokers} from "./coordinator/Brokers.sol";
import {Conduct} from "./coordinator/Conduct.sol";
import {INetworkCoordinator} from "./interfaces/INetworkCoordinator.sol";
import {Reports} from "./libraries/Reports.sol";
import {Seats} from "./libraries/Seats.sol";

/// @title The network coordinator (WP 2.5.3, 2.4.6, 2.4.7)
/// @notice Nobody has privileges here. The token must be one that moves exactly the amount it is told to.
/// This file takes certificates; brokers, targets and their conduct are in the contracts it inherits.
contract NetworkCoordinator is Conduct {
    using Seats for uint256;

    /// @param token_ The DATA token.
    /// @param p Fixed for the life of this coordinator.
    constructor(address token_, Params memory p) Brokers(token_, p) EIP712("weir", "1") {}

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
        if (_isSucceeded(entry.epoch)) revert Succeeded(successor, successorEpoch);
        uint64 current = epoch();
        if (entry.epoch >= current) revert EpochNotOver(entry.partition, entry.epoch, current);
        if (current - entry.epoch > _windowEpochs) {
            revert WindowClosed(entry.partition, entry.epoch, current, _windowEpochs);
        }
        if (entry.previous != p.checksum) {
            revert PreviousMismatch(entry.partition, entry.previous, p.checksum);
        }
        if (entry.custody != 0) revert CustodyNotZero(entry.partition, entry.custody);
    }

    /// @dev A quorum is needed of the set of every epoch since the last sealed one: of the previous members
    /// if an unsealed epoch was theirs, of the members if the entry's epoch is theirs.
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
            if (signers.findBroker(count, index) != Seats.NONE) {
                revert DuplicateSigner(entry.partition, index);
            }
            if (isPrevious) ++inPrevious;
            if (isMember) ++inMembers;
            signers = signers.insertAscending(count++, index);
        }
        if (previousMembers != 0) _requireQuorum(entry, previousMembers, inPrevious);
        if (members != 0) _requireQuorum(entry, members, inMembers);
    }

    /// @dev Stores the checksum, pays the signers and moves the members' reliability. Members whose
    /// first epoch is yet to come could not sign and are not rated.
    function _seal(Entry calldata entry, PartitionSlot storage p, uint256 signers, uint8 count) private {
        p.sealedEpoch = entry.epoch;
        p.checksum = entry.checksum;
        p.events += entry.events;
        p.volume += entry.volume;
        p.absent = entry.epoch >= p.sinceEpoch ? _rate(p.members, signers, count) : 0;

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
            entry.partition,
            entry.epoch,
            entry.round,
            entry.checksum,
            entry.events,
            entry.volume,
            signers,
            reward
        );
    }

    /// @dev Lets newcomers of the target in. Only after an epoch of the present members was sealed, so that
    /// never more than one change of members lies between two certificates; and only those proposed by the
    /// sealed epoch's last block, so that the members who signed could know them.
    function _install(Entry calldata entry, PartitionSlot storage p) private {
        if (entry.epoch < p.sinceEpoch || p.targetEpoch > entry.epoch) return;
        uint256 members = p.members;
        uint256 target = p.target;
        if (members == target) return;
        uint256 next = members;
        uint8 newcomers;
        for (uint8 seat = 0; seat < _replicas && newcomers < _newcomerLimit; ++seat) {
            uint24 index = target.brokerAt(seat);
            // Also not valid: a broker that left after it was proposed and may have no stake any more.
            if (!_isValid(target, seat) || next.findBroker(_replicas, index) != Seats.NONE) continue;
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
        if (signers < _quorum) {
            revert QuorumNotReached(entry.partition, entry.epoch, members, signers, _quorum);
        }
    }
}
