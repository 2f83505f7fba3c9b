// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IStream} from "./interfaces/IStream.sol";
import {IStreamRegistry} from "./interfaces/IStreamRegistry.sol";
import {Stream} from "./Stream.sol";

/// @title The stream registry (WP 2.5.2)
/// @notice Nobody has privileges here: whoever creates a stream owns it, and streams look after themselves.
contract StreamRegistry is IStreamRegistry {
    using EnumerableSet for EnumerableSet.AddressSet;

    uint32 private constant MAXIMUM_PARTITIONS = 1024;
    uint256 private constant MAXIMUM_NAME_BYTES = 128;
    uint256 private constant MAXIMUM_DESCRIPTION_BYTES = 4096;
    uint256 private constant MAXIMUM_SEARCH_KEYS = 8;
    uint256 private constant MAXIMUM_PAGE = 256;

    /// @inheritdoc IStreamRegistry
    address public immutable implementation;

    EnumerableSet.AddressSet private _streams;
    mapping(address owner => EnumerableSet.AddressSet) private _streamsOf;
    mapping(address owner => mapping(bytes32 nameHash => address stream)) private _byName;
    mapping(bytes32 key => EnumerableSet.AddressSet) private _byKey;
    mapping(address stream => bytes32[]) private _keysOf;

    constructor() {
        implementation = address(new Stream());
    }

    /// @inheritdoc IStreamRegistry
    function createStream(
        string calldata name,
        string calldata description,
        uint32 partitions,
        bool publicSubscribe,
        bool publicPublish
    ) external returns (address stream) {
        if (partitions == 0 || partitions > MAXIMUM_PARTITIONS) {
            revert PartitionsOutOfRange(partitions, MAXIMUM_PARTITIONS);
        }
        _checkMetadata(name, description);
        stream = Clones.clone(implementation);
        _takeName(msg.sender, name, stream);
        _streams.add(stream);
        _streamsOf[msg.sender].add(stream);
        emit StreamCreated(stream, msg.sender, name, description, partitions);
        IStream(stream).initialize(msg.sender, name, description, partitions, publicSubscribe, publicPublish);
    }

    /// @inheritdoc IStreamRegistry
    function streamUpdated(
        string calldata oldName,
        string calldata newName,
        string calldata newDescription
    ) external {
        if (!_streams.contains(msg.sender)) revert NotAStream(msg.sender);
        _checkMetadata(newName, newDescription);
        address owner = IStream(msg.sender).owner();
        delete _byName[owner][keccak256(bytes(oldName))];
        _takeName(owner, newName, msg.sender);
    }

    /// @inheritdoc IStreamRegistry
    function streamTransferred(address previousOwner, string calldata name) external {
        if (!_streams.contains(msg.sender)) revert NotAStream(msg.sender);
        address owner = IStream(msg.sender).owner();
        delete _byName[previousOwner][keccak256(bytes(name))];
        _streamsOf[previousOwner].remove(msg.sender);
        _takeName(owner, name, msg.sender);
        _streamsOf[owner].add(msg.sender);
    }

    /// @inheritdoc IStreamRegistry
    function streamKeysSet(bytes32[] calldata keys) external {
        if (!_streams.contains(msg.sender)) revert NotAStream(msg.sender);
        if (keys.length > MAXIMUM_SEARCH_KEYS) revert TooManySearchKeys(keys.length, MAXIMUM_SEARCH_KEYS);
        _clearKeys(msg.sender);
        for (uint256 i = 0; i < keys.length; ++i) {
            if (!_byKey[keys[i]].add(msg.sender)) revert DuplicateSearchKey(keys[i]);
        }
        _keysOf[msg.sender] = keys;
        emit SearchKeysSet(msg.sender, keys);
    }

    /// @inheritdoc IStreamRegistry
    function streamRemoved() external {
        if (!_streams.remove(msg.sender)) revert NotAStream(msg.sender);
        _clearKeys(msg.sender);
        address owner = IStream(msg.sender).owner();
        _streamsOf[owner].remove(msg.sender);
        delete _byName[owner][keccak256(bytes(IStream(msg.sender).name()))];
    }

    /// @inheritdoc IStreamRegistry
    function streamsOf(
        address owner,
        uint256 offset,
        uint256 limit
    ) external view returns (address[] memory) {
        return _page(_streamsOf[owner], offset, limit);
    }

    /// @inheritdoc IStreamRegistry
    function streamsByKey(
        bytes32 key,
        uint256 offset,
        uint256 limit
    ) external view returns (address[] memory) {
        return _page(_byKey[key], offset, limit);
    }

    /// @inheritdoc IStreamRegistry
    function searchKeysOf(address stream) external view returns (bytes32[] memory) {
        return _keysOf[stream];
    }

    /// @inheritdoc IStreamRegistry
    function streamByName(address owner, string calldata name) external view returns (address) {
        return _byName[owner][keccak256(bytes(name))];
    }

    /// @inheritdoc IStreamRegistry
    function exists(address stream) external view returns (bool) {
        return _streams.contains(stream);
    }

    /// @inheritdoc IStreamRegistry
    function streamCount() external view returns (uint256) {
        return _streams.length();
    }

    /// @inheritdoc IStreamRegistry
    function streamAt(uint256 index) external view returns (address) {
        if (index >= _streams.length()) revert StreamIndexOutOfRange(index, _streams.length());
        return _streams.at(index);
    }

    function _clearKeys(address stream) private {
        bytes32[] storage keys = _keysOf[stream];
        uint256 count = keys.length;
        for (uint256 i = 0; i < count; ++i) {
            _byKey[keys[i]].remove(stream);
        }
        delete _keysOf[stream];
    }

    function _page(
        EnumerableSet.AddressSet storage streams,
        uint256 offset,
        uint256 limit
    ) private view returns (address[] memory) {
        if (limit > MAXIMUM_PAGE) revert PageTooLong(limit, MAXIMUM_PAGE);
        uint256 count = streams.length();
        uint256 start = offset < count ? offset : count;
        uint256 end = limit < count - start ? start + limit : count;
        return streams.values(start, end);
    }

    function _takeName(address owner, string calldata name, address stream) private {
        bytes32 nameHash = keccak256(bytes(name));
        address holder = _byName[owner][nameHash];
        if (holder != address(0)) revert NameTaken(owner, name, holder);
        _byName[owner][nameHash] = stream;
    }

    function _checkMetadata(string calldata name, string calldata description) private pure {
        uint256 nameLength = bytes(name).length;
        if (nameLength == 0 || nameLength > MAXIMUM_NAME_BYTES) {
            revert NameLengthOutOfRange(nameLength, MAXIMUM_NAME_BYTES);
        }
        uint256 descriptionLength = bytes(description).length;
        if (descriptionLength > MAXIMUM_DESCRIPTION_BYTES) {
            revert DescriptionTooLong(descriptionLength, MAXIMUM_DESCRIPTION_BYTES);
        }
    }
}
