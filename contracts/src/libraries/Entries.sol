// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What is sealed: one epoch of one partition (WP 2.4.6)
/// @notice The summary is the first word of an entry, from its highest bits: partition (32 bits), epoch (32), round (32),
/// events (64) and volume (64) since the last seal, and a hint (32): the first 4 bytes of the checksum that it rolls on
/// from. The coordinator takes that checksum from its storage. The hint is not signed; it lets a stale entry be named.
/// @dev Not a type of its own: generators of bindings do not know such types in structs.
library Entries {
    /// @notice The partition.
    function partition(uint256 summary) internal pure returns (uint32) {
        return uint32(summary >> 224);
    }

    /// @notice The epoch; everything since the last sealed one is sealed with it.
    function epoch(uint256 summary) internal pure returns (uint32) {
        return uint32(summary >> 192);
    }

    /// @notice The round of agreement in which it was proposed.
    function round(uint256 summary) internal pure returns (uint32) {
        return uint32(summary >> 160);
    }

    /// @notice Events since the last seal.
    function events(uint256 summary) internal pure returns (uint64) {
        return uint64(summary >> 96);
    }

    /// @notice Content bytes since the last seal.
    function volume(uint256 summary) internal pure returns (uint64) {
        return uint64(summary >> 32);
    }

    /// @notice The first 4 bytes of the checksum that it rolls on from.
    function hint(uint256 summary) internal pure returns (bytes4) {
        return bytes4(uint32(summary));
    }

    /// @notice The hash of an entry: of its summary without the hint, the checksum it rolls on from, its own, and a
    /// reserved zero. Leaves are 128 bytes and the tree's nodes 64, so that neither passes for the other.
    function leafOf(
        uint256 summary,
        bytes32 previous,
        bytes32 checksum
    ) internal pure returns (bytes32) {
        uint256 signed = summary & ~uint256(type(uint32).max);
        return keccak256(abi.encode(signed, previous, checksum, bytes32(0)));
    }
}
