// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Lists in memory that are filled before they are read
/// @notice For what every seal does. The compiler would zero a new list and check every position.
/// @dev Assembly throughout, for that reason.
library Lists {
    /// @notice A list of so many words, none of which has a value yet.
    function ofLength(uint256 length) internal pure returns (uint256[] memory list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, length)
            mstore(0x40, add(list, shl(5, add(length, 1))))
        }
    }

    /// @notice Sets a word at a position below the length.
    function set(uint256[] memory list, uint256 position, uint256 word) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(list, 32), shl(5, position)), word)
        }
    }

    /// @notice The word at a position below the length.
    function get(uint256[] memory list, uint256 position) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(list, 32), shl(5, position)))
        }
    }
}
