// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Who acts: members (192 bits, the lowest), the epoch since which (32), and the target's epoch (32).
type MemberSlot is uint256;

/// @notice What is sealed: from the highest bits the checksum (192), its epoch (32), and the tally since the last
/// settlement: misses, 2 bits a seat (16), seals (8), and the mask of who missed the last seal (8).
type SealSlot is uint256;

/// @notice Who acted before: previous members (192 bits, the lowest), the epoch of the partition's foundation (32), and
/// the members' probation, 2 bits a seat (16).
type FormerSlot is uint256;

using Slots for MemberSlot global;
using Slots for SealSlot global;
using Slots for FormerSlot global;

/// @title The words that a partition is kept in, packed so that a seal reads two of them and writes one
library Slots {
    /// @notice A word of its parts.
    function membership(
        uint192 members_,
        uint64 sinceEpoch_,
        uint64 targetEpoch_
    ) internal pure returns (MemberSlot) {
        return MemberSlot.wrap(
            members_ | (uint256(uint32(sinceEpoch_)) << 192) | (uint256(uint32(targetEpoch_)) << 224)
        );
    }

    /// @notice The members.
    function members(MemberSlot slot) internal pure returns (uint192) {
        return uint192(MemberSlot.unwrap(slot));
    }

    /// @notice Their first epoch; 0 before the partition is founded.
    function sinceEpoch(MemberSlot slot) internal pure returns (uint64) {
        return uint32(MemberSlot.unwrap(slot) >> 192);
    }

    /// @notice The epoch in which the target last changed; 0 while all of it are members.
    function targetEpoch(MemberSlot slot) internal pure returns (uint64) {
        return uint32(MemberSlot.unwrap(slot) >> 224);
    }

    /// @notice A word of its parts.
    function seal(
        bytes24 checksum_,
        uint64 sealedEpoch_,
        uint256 misses_,
        uint256 seals_,
        uint256 absent_
    ) internal pure returns (SealSlot) {
        uint256 upper = uint256(bytes32(checksum_)) | (uint256(uint32(sealedEpoch_)) << 32);
        return SealSlot.wrap(upper | (misses_ << 16) | (seals_ << 8) | absent_);
    }

    /// @notice The same seal with another tally.
    function withTally(
        SealSlot slot,
        uint256 misses_,
        uint256 seals_,
        uint256 absent_
    ) internal pure returns (SealSlot) {
        uint256 upper = SealSlot.unwrap(slot) & ~uint256(type(uint32).max);
        return SealSlot.wrap(upper | (misses_ << 16) | (seals_ << 8) | absent_);
    }

    /// @notice The checksum.
    function checksum(SealSlot slot) internal pure returns (bytes24) {
        return bytes24(bytes32(SealSlot.unwrap(slot)));
    }

    /// @notice The sealed epoch.
    function sealedEpoch(SealSlot slot) internal pure returns (uint64) {
        return uint32(SealSlot.unwrap(slot) >> 32);
    }

    /// @notice 2 bits a seat.
    function misses(SealSlot slot) internal pure returns (uint256) {
        return uint16(SealSlot.unwrap(slot) >> 16);
    }

    /// @notice Seals since the last settlement.
    function seals(SealSlot slot) internal pure returns (uint256) {
        return uint8(SealSlot.unwrap(slot) >> 8);
    }

    /// @notice The mask of who missed the last seal.
    function absent(SealSlot slot) internal pure returns (uint256) {
        return uint8(SealSlot.unwrap(slot));
    }

    /// @notice A word of its parts.
    function former(
        uint192 previousMembers_,
        uint64 foundedEpoch_,
        uint256 probation_
    ) internal pure returns (FormerSlot) {
        return FormerSlot.wrap(
            previousMembers_ | (uint256(uint32(foundedEpoch_)) << 192) | (probation_ << 224)
        );
    }

    /// @notice The members before the present ones.
    function previousMembers(FormerSlot slot) internal pure returns (uint192) {
        return uint192(FormerSlot.unwrap(slot));
    }

    /// @notice The first epoch of the first members.
    function foundedEpoch(FormerSlot slot) internal pure returns (uint64) {
        return uint32(FormerSlot.unwrap(slot) >> 192);
    }

    /// @notice 2 bits a seat.
    function probation(FormerSlot slot) internal pure returns (uint256) {
        return uint16(FormerSlot.unwrap(slot) >> 224);
    }
}
