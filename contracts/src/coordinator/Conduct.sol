// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Entries} from "../libraries/Entries.sol";
import {Members} from "../libraries/Members.sol";
import {Reports} from "../libraries/Reports.sol";
import {MemberSlot, SealSlot} from "../libraries/Slots.sol";
import {Tallies} from "../libraries/Tallies.sol";
import {Targets} from "./Targets.sol";

/// @title Conduct: what follows from reporting well, late, twice or not at all (WP 2.4.6)
abstract contract Conduct is Targets {
    using Entries for uint256;
    using Members for uint192;
    using Tallies for uint256;

    /// @dev The round of late reports.
    uint32 private constant LATE_ROUND = type(uint32).max;

    /// @dev Conflicts that were punished, by the hash of what they are about.
    mapping(bytes32 conflict => bool) private _punished;

    /// @inheritdoc INetworkCoordinator
    function slash(uint24 index, Report calldata a, Report calldata b) external {
        Broker storage offender = _brokers[index];
        if (offender.account == address(0)) revert UnknownBroker(index);
        Entry calldata entry = a.entry;
        bytes32 conflict = _conflictOf(index, a);
        if (conflict != _conflictOf(index, b) || entry.checksum == b.entry.checksum) {
            revert NoConflict(index);
        }
        _requireSigner(index, offender.account, a, 0);
        _requireSigner(index, offender.account, b, 1);
        if (_punished[conflict]) {
            revert AlreadySlashed(
                index, entry.summary.partition(), entry.summary.epoch(), entry.summary.round()
            );
        }
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
            entry.summary.partition(),
            entry.summary.epoch(),
            entry.summary.round(),
            a.previous,
            amount,
            reward
        );
        if (!offender.left) _leave(index, offender);
    }

    /// @inheritdoc INetworkCoordinator
    function reportLate(Report calldata report) external {
        Entry calldata entry = report.entry;
        uint32 id = entry.summary.partition();
        uint64 epoch_ = entry.summary.epoch();
        PartitionSlot storage p = _known(id);
        if (entry.summary.round() != LATE_ROUND) revert NotLate(id, entry.summary.round());
        SealSlot seal = p.seal;
        if (epoch_ != seal.sealedEpoch() || entry.checksum != seal.checksum()) {
            revert NotAccepted(id, epoch_, seal.sealedEpoch(), seal.checksum());
        }
        address signer = _signerOf(report, 0);
        uint24 index = brokerIndex[signer];
        bool ofMembers = epoch_ >= p.members.sinceEpoch();
        uint192 rated = ofMembers ? p.members.members() : p.former.previousMembers();
        uint8 seat = index == 0 ? Members.NONE : rated.seatOf(index);
        if (seat == Members.NONE || (seal.absent() >> seat) & 1 == 0) revert NotAbsent(id, epoch_, signer);
        bool tallied = ofMembers && seal.misses().at(seat) != 0;
        uint256 misses = tallied ? seal.misses() - (1 << (2 * uint256(seat))) : seal.misses();
        p.seal = seal.withTally(misses, seal.seals(), seal.absent() ^ (1 << seat));
        emit LateReportAccepted(id, epoch_, index, tallied ? 0 : _excuse(_brokers[index]));
    }

    /// @inheritdoc INetworkCoordinator
    function declareQuorumLost(uint32 partition_) external {
        PartitionSlot storage p = _known(partition_);
        MemberSlot slot = p.members;
        SealSlot seal = p.seal;
        if (slot.sinceEpoch() == 0) revert NotFounded(partition_);
        uint64 current = epoch();
        uint64 patience = _quorumLostWindows * _windowEpochs;
        if (current - seal.sealedEpoch() <= patience) {
            revert QuorumNotLost(partition_, seal.sealedEpoch(), current, patience);
        }
        uint8 seats = _validSeats(p.target);
        if (seats < _quorum) revert TooFewSeats(partition_, seats, _quorum);
        uint192 members = slot.members();
        uint256 misses = seal.misses().missed(members.taken());
        _settleTally(partition_, p, seal.seals() + 1, misses);
        emit QuorumLost(partition_, seal.sealedEpoch(), members);
        for (uint256 seat = 0; members >> (24 * seat) != 0; ++seat) {
            uint24 index = members.at(seat);
            if (index != 0) --_brokers[index].seats;
        }
        _found(partition_, p, members);
    }

    /// @dev Undoes one miss that was settled already: gives the reliability back, and pays the seal.
    function _excuse(Broker storage b) private returns (uint256 reward) {
        uint256 regained = b.reliability + MISS_COST;
        _setReliability(b, regained < FULL_RELIABILITY ? regained : FULL_RELIABILITY);
        uint256 share = _epochReward / partitionCount / _replicas;
        uint256 available = share == 0 ? 0 : reserve();
        reward = share < available ? share : available;
        if (reward == 0) return 0;
        b.accrued += uint128(reward);
        unpaid += uint128(reward);
    }

    /// @dev What two reports must share to conflict.
    function _conflictOf(uint24 index, Report calldata report) private pure returns (bytes32) {
        uint256 summary = report.entry.summary;
        bytes memory shared = abi.encode(
            index, summary.partition(), summary.epoch(), summary.round(), report.previous
        );
        return keccak256(shared);
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

    function _recover(
        bytes32 digest,
        Signature calldata signature,
        uint256 summary,
        uint256 position
    ) internal pure returns (address) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, signature.r, signature.vs);
        if (problem != ECDSA.RecoverError.NoError) revert InvalidSignature(summary.partition(), position);
        return signer;
    }

    function _signerOf(Report calldata report, uint256 position) private view returns (address) {
        bytes32 digest = Reports.digestOf(Reports.rootOf(report));
        return _recover(digest, report.signature, report.entry.summary, position);
    }
}
