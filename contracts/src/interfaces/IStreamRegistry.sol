// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStreamMetadataErrors} from "./IStreamMetadataErrors.sol";

/// @title The streams that exist, and how to find them (WP 2.5.2)
interface IStreamRegistry is IStreamMetadataErrors {
    /// @notice A stream was created; its contract reports its permissions in its own events.
    event StreamCreated(
        address indexed stream,
        address indexed owner,
        string name,
        string description,
        uint32 partitions
    );

    /// @notice A stream is found under exactly these keys now.
    event SearchKeysSet(address indexed stream, bytes32[] keys);

    /// @notice The number of partitions must lie between 1 and `maximum`.
    error PartitionsOutOfRange(uint32 partitions, uint32 maximum);

    /// @notice Only a stream of this registry that still exists may call.
    error NotAStream(address caller);

    /// @notice A page of a list holds at most `maximum` entries.
    error PageTooLong(uint256 limit, uint256 maximum);

    /// @notice There are only `count` streams.
    error StreamIndexOutOfRange(uint256 index, uint256 count);

    /// @notice Creates a stream that belongs to the caller.
    /// @param name 1 to 128 bytes, unique among the caller's streams.
    /// @param description At most 4096 bytes.
    /// @param partitions 1 to 1024 stream partitions, fixed for the life of the stream.
    /// @param publicSubscribe Whether everybody may subscribe.
    /// @param publicPublish Whether everybody may publish.
    /// @return stream The stream's contract, whose address is its id.
    function createStream(
        string calldata name,
        string calldata description,
        uint32 partitions,
        bool publicSubscribe,
        bool publicPublish
    ) external returns (address stream);

    /// @notice Called by a stream whose metadata changes: checks them and moves the name.
    function streamUpdated(
        string calldata oldName,
        string calldata newName,
        string calldata newDescription
    ) external;

    /// @notice Called by a stream that `previousOwner` handed over: moves it and its name to the new owner.
    function streamTransferred(address previousOwner, string calldata name) external;

    /// @notice Called by a stream whose search keys change: at most 8, each once.
    function streamKeysSet(bytes32[] calldata keys) external;

    /// @notice Called by a stream that is removed: takes it out of every list and frees its name.
    function streamRemoved() external;

    /// @notice The existing streams of an owner. The order changes when one is removed.
    /// @param owner Whose streams.
    /// @param offset How many to leave out.
    /// @param limit How many to return, at most 256.
    function streamsOf(address owner, uint256 offset, uint256 limit) external view returns (address[] memory);

    /// @notice The existing streams that are found under a key. The order changes when one leaves.
    /// @param key What to look for.
    /// @param offset How many to leave out.
    /// @param limit How many to return, at most 256.
    function streamsByKey(
        bytes32 key,
        uint256 offset,
        uint256 limit
    ) external view returns (address[] memory);

    /// @notice The keys under which an existing stream is found.
    function searchKeysOf(address stream) external view returns (bytes32[] memory);

    /// @notice The owner's stream of this name, or address(0).
    function streamByName(address owner, string calldata name) external view returns (address);

    /// @notice Whether this registry created the stream and it was not removed.
    function exists(address stream) external view returns (bool);

    /// @notice The number of existing streams.
    function streamCount() external view returns (uint256);

    /// @notice One of the existing streams, `index` below `streamCount`. The order changes when one is
    /// removed.
    function streamAt(uint256 index) external view returns (address);

    /// @notice The Stream contract that every clone runs.
    function implementation() external view returns (address);
}
