// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";

/// @title What is sealed: one epoch of one partition (WP 2.4.6)
/// @notice The summary is the first word of an entry, from its highest bits: partition (32 bits), epoch (32),
/// round (32), events (64) and volume (64) since the last seal, and a hint (32): the first 4 bytes of the
/// checksum that it rolls on from. The coordinator takes that checksum from its storage. The hint is not
/// signed; it lets a stale entry be named.
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

    /// @notice The first 4 bytes of the checksum that it rolls on from.
    function hint(uint256 summary) internal pure returns (bytes4) {
        return bytes4(uint32(summary));
    }

    /// @notice The lists of a certificate.
    /// @dev Assembly: the compiler checks where they lie, but wherever that is, it is what the caller gave, or zeros.
    function partsOf(INetworkCoordinator.Certificate calldata certificate)
        internal
        pure
        returns (INetworkCoordinator.Entry[] calldata entries, INetworkCoordinator.Signature[] calldata signatures)
    {
        assembly ("memory-safe") {
            let list := add(certificate, calldataload(certificate))
            entries.offset := add(list, 32)
            entries.length := calldataload(list)
            list := add(certificate, calldataload(add(certificate, 32)))
            signatures.offset := add(list, 32)
            signatures.length := calldataload(list)
        }
    }

    /// @notice The two words of an entry; the last 8 bytes of the second are not looked at.
    /// @dev Assembly: the position is below the length.
    function at(INetworkCoordinator.Entry[] calldata entries, uint256 position)
        internal
        pure
        returns (uint256 summary, bytes32 checksum)
    {
        assembly ("memory-safe") {
            let start := add(entries.offset, shl(6, position))
            summary := calldataload(start)
            checksum := calldataload(add(start, 32))
        }
    }

    /// @notice Emits `PartitionsSealed`.
    /// @dev Assembly: entries lie in calldata just as in the event.
    function emitSealed(INetworkCoordinator.Entry[] calldata entries, uint192 signers) internal {
        bytes32 topic = INetworkCoordinator.PartitionsSealed.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            let length := shl(6, entries.length)
            mstore(data, signers)
            mstore(add(data, 32), 64)
            mstore(add(data, 64), entries.length)
            calldatacopy(add(data, 96), entries.offset, length)
            log1(data, add(length, 96), topic)
        }
    }

    /// @notice The hash of an entry: of its summary without the hint, the checksum it rolls on from, its own, and a
    /// reserved zero. Leaves are 128 bytes and the tree's nodes 64, so that neither passes for the other.
    /// @dev Assembly: what is hashed needs no memory of its own.
    function leafOf(
        uint256 summary,
        bytes32 previous,
        bytes32 checksum
    ) internal pure returns (bytes32 leaf) {
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, shl(32, shr(32, summary)))
            mstore(add(data, 32), previous)
            mstore(add(data, 64), checksum)
            mstore(add(data, 96), 0)
            leaf := keccak256(data, 128)
        }
    }
}
