// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Merkle trees shaped as in RFC 9162 section 2.1, over SHA-256
/// @notice A node is SHA-256 of 0x01, left, right; neighbours are paired level by level, and a last one without a
/// neighbour rises unchanged. Leaves start with another byte, so that none can be passed off as a node.
library MerklePaths {
    /// @notice The root that a path leads to.
    /// @param leaf The leaf's hash.
    /// @param index The leaf's position, from 0.
    /// @param count How many leaves the tree has.
    /// @param path Neighbours from the leaf up.
    /// @return whole Whether the path has just the length that position and count demand.
    /// @return root The root; of no meaning unless `whole`.
    function rootOf(
        bytes32 leaf,
        uint32 index,
        uint32 count,
        bytes32[] calldata path
    ) internal pure returns (bool whole, bytes32 root) {
        if (index >= count) return (false, 0);
        root = leaf;
        uint256 position = index;
        uint256 used;
        for (uint256 nodes = count; nodes > 1; nodes = (nodes + 1) / 2) {
            if ((position ^ 1) < nodes) {
                if (used == path.length) return (false, 0);
                bytes32 neighbour = path[used++];
                root = position % 2 == 1
                    ? sha256(abi.encodePacked(bytes1(0x01), neighbour, root))
                    : sha256(abi.encodePacked(bytes1(0x01), root, neighbour));
            }
            position /= 2;
        }
        whole = used == path.length;
    }
}
