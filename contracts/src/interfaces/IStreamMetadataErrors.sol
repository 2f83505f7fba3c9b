// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Why the registry refuses a stream's metadata
/// @notice A stream passes these on from its registry, so they are part of both interfaces.
interface IStreamMetadataErrors {
    /// @notice The name must be 1 to `maximum` bytes long.
    error NameLengthOutOfRange(uint256 length, uint256 maximum);

    /// @notice The description must be at most `maximum` bytes long.
    error DescriptionTooLong(uint256 length, uint256 maximum);

    /// @notice The owner already has a stream of this name, at `stream`.
    error NameTaken(address owner, string name, address stream);

    /// @notice A stream has at most `maximum` search keys.
    error TooManySearchKeys(uint256 count, uint256 maximum);

    /// @notice A search key is given once.
    error DuplicateSearchKey(bytes32 key);
}
