// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Reports} from "../libraries/Reports.sol";
import {Seats} from "../libraries/Seats.sol";
import {Targets} from "./Targets.sol";

/// @title Conduct: what follows from reporting well, late, twice or not at all (WP 2.4.6)
abstract contract Conduct is Targets, EIP712 {
    using Seats for uint256;

    /// @dev One report moves reliability by a sixteenth of the way.
    uint16 private constant RELIABILITY_STEP = 16;
    /// @dev The round of late reports.
    uint32 private constant LATE_ROUND = type(uint32).max;

    /// @dev Conflicts that were punished, by the hash of what they are about.
    mapping(bytes32 conflict => bool) private _punished;

    /// @inheritdoc INetworkCoordinator
    function slash(uint24 index, Report calldata a, Report calldata b) external {
        Broker storage offender = _brokers[index];
        if (offender.account == address(0)) revert UnknownBroker(index);
        Entry calldata entry = a.entry;
        bytes32 conflict = _conflictOf(index, entry);
        if (conflict != _conflictOf(index, b.entry) || entry.checksum == b.entry.checksum) {
            revert NoConflict(index);
        }
        _requireSigner(index, offender.account, a, 0);
        _requireSigner(index, offender.account, b, 1);
        if (_punished[conflict]) revert AlreadySlashed(index, entry.partition, entry.epoch, entry.round);
        uint128 stake = offender.stake;
        if (stake == 0) revert NothingStaked(index);

        _punished[conflict] = true;
        uint128 amount = uint128(uint256(stake) * _slashShare / FULL_SHARE);
        uint128 reward = uint128(uint256(amount) * _reporterShare / FULL_SHARE);
        offender.stake = stake - amount;
        stakes -= amount;
        pool += amount - reward;
        unpaid += reward;
        bountyOf[msg.sender] += reward;
        emit BrokerSlashed(
            index,
            msg.sender,
            entry.partition,
            entry.epoch,
            entry.round,
            entry.previous,
            amount,
            reward
        );
        if (!offender.left) _leave(index, offender);
    }

    /// @inheritdoc INetworkCoordinator
    function reportLate(Report calldata report) external {
        Entry calldata entry = report.entry;
        PartitionSlot storage p = _known(entry.partition);
        if (entry.round != LATE_ROUND) revert NotLate(entry.partition, entry.round);
        if (entry.epoch != p.sealedEpoch || entry.checksum != p.checksum) {
            revert NotAccepted(entry.partition, entry.epoch, p.sealedEpoch, p.checksum);
        }
        if (entry.custody != 0) revert CustodyNotZero(entry.partition, entry.custody);
        address signer = _signerOf(report, 0);
        uint256 rated = p.sealedEpoch >= p.sinceEpoch ? p.members : p.previousMembers;
        uint24 index = brokerIndex[signer];
        uint8 seat = index == 0 ? Seats.NONE : rated.findBroker(_replicas, index);
        if (seat == Seats.NONE || p.absent & (1 << seat) == 0) {
            revert NotAbsent(entry.partition, entry.epoch, signer);
        }
        p.absent ^= uint8(1 << seat);
        Broker storage b = _brokers[index];
        uint16 regained = b.reliability + b.reliability / (RELIABILITY_STEP - 1);
        _setReliability(b, regained < FULL_RELIABILITY ? regained : FULL_RELIABILITY);
        emit LateReportAccepted(entry.partition, entry.epoch, index);
    }

    /// @inheritdoc INetworkCoordinator
    function declareQuorumLost(uint32 partition_) external {
        PartitionSlot storage p = _known(partition_);
        if (p.sinceEpoch == 0) revert NotFounded(partition_);
        uint64 current = epoch();
        uint64 patience = _quorumLostWindows * _windowEpochs;
        if (current - p.sealedEpoch <= patience) {
            revert QuorumNotLost(partition_, p.sealedEpoch, current, patience);
        }
        uint8 seats = _validSeats(p.target);
        if (seats < _quorum) revert TooFewSeats(partition_, seats, _quorum);
        uint256 members = p.members;
        _rate(members, 0, 0);
        p.absent = 0;
        emit QuorumLost(partition_, p.sealedEpoch, members);
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            uint24 index = members.brokerAt(seat);
            if (index != 0) --_brokers[index].seats;
        }
        p.previousMembers = members;
        _found(partition_, p);
    }

    /// @dev Moves the members' reliability: towards full for signers, towards zero for the others.
    /// @return absent A bit for each member's seat that did not sign.
    function _rate(uint256 members, uint256 signers, uint8 count) internal returns (uint8 absent) {
        for (uint8 seat = 0; seat < _replicas; ++seat) {
            uint24 index = members.brokerAt(seat);
            if (index == 0) continue;
            Broker storage b = _brokers[index];
            uint16 present = b.reliability;
            bool signed = signers.findBroker(count, index) != Seats.NONE;
            if (!signed) absent |= uint8(1 << seat);
            uint16 next = signed
                ? present + (FULL_RELIABILITY - present) / RELIABILITY_STEP
                : present - present / RELIABILITY_STEP;
            _setReliability(b, next);
        }
    }

    /// @dev What two reports must share to conflict.
    function _conflictOf(uint24 index, Entry calldata entry) private pure returns (bytes32) {
        return keccak256(abi.encode(index, entry.partition, entry.epoch, entry.round, entry.previous));
    }

    function _requireSigner(
        uint24 index,
        address account,
        Report calldata report,
        uint256 position
    ) private view {
        address signer = _signerOf(report, position);
        if (signer != account) revert NotTheSigner(index, signer);
    }

    function _signerOf(Report calldata report, uint256 position) private view returns (address) {
        bytes32 digest = _hashTypedDataV4(Reports.structHash(Reports.rootOf(report)));
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, report.signature);
        if (problem != ECDSA.RecoverError.NoError) revert InvalidSignature(report.entry.partition, position);
        return signer;
    }
}
