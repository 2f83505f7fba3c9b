// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a sealed checksum commits to (WP 2.4.6)
/// @notice A cut names the head of every lane that moved since the last sealed one; the checksum rolls over it.
library Cuts {
    /// @notice The leaf of a lane's head.
    /// @param lane The lane's id.
    /// @param nextSequence How many events the lane has.
    /// @param volume How many content bytes.
    /// @param digest The digest of its last header.
    function headLeaf(
        bytes32 lane,
        uint64 nextSequence,
        uint64 volume,
        bytes32 digest
    ) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x02), lane, nextSequence, volume, digest));
    }

    /// @notice The rolling checksum of a cut: the first 24 bytes of a hash, and 8 zeros.
    /// @param previous The checksum of the cut that this one extends.
    /// @param root The Merkle root over the cut's leaves.
    function checksum(
        bytes32 previous,
        uint32 partition,
        uint64 epoch,
        bytes32 root
    ) internal pure returns (bytes32) {
        return bytes24(sha256(abi.encodePacked(bytes1(0x04), previous, partition, epoch, root)));
    }
}
