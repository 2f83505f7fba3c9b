// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IStream} from "./interfaces/IStream.sol";
import {IStreamRegistry} from "./interfaces/IStreamRegistry.sol";

/// @title A stream (WP 2.4.2, 2.5.1)
/// @notice Lives behind a minimal proxy for each stream. EIP712 is here for `eip712Domain()` (EIP-5267), from
/// which a wallet learns the domain of the stream's batches.
contract Stream is IStream, Initializable, EIP712 {
    /// @dev The key under which the permissions of everybody are kept.
    address private constant EVERYBODY = address(0);
    /// @dev The shortest key of any curve or lattice in use; the longest holds hybrids of both.
    uint256 private constant MINIMUM_KEY_BYTES = 32;
    uint256 private constant MAXIMUM_KEY_BYTES = 2048;

    /// @inheritdoc IStream
    address public registry;
    /// @inheritdoc IStream
    uint32 public partitions;
    /// @inheritdoc IStream
    bool public removed;
    /// @inheritdoc IStream
    address public owner;
    /// @inheritdoc IStream
    string public name;
    /// @inheritdoc IStream
    string public description;

    /// @inheritdoc IStream
    address public pendingOwner;

    Retention private _retention;
    FeeTerms private _feeTerms;
    mapping(address user => Permission) private _permissions;
    mapping(address user => Delegation) private _delegations;
    mapping(address user => bytes) private _publicKeys;

    modifier notRemoved() {
        if (removed) revert AlreadyRemoved();
        _;
    }

    modifier onlyEditor() {
        bool may = _permissions[msg.sender].canEdit || _permissions[EVERYBODY].canEdit;
        if (msg.sender != owner && !may) revert NotPermitted(msg.sender);
        _;
    }

    constructor() EIP712("weir", "1") {
        _disableInitializers();
    }

    /// @inheritdoc IStream
    function initialize(
        address owner_,
        string calldata name_,
        string calldata description_,
        uint32 partitions_,
        bool publicSubscribe,
        bool publicPublish
    ) external initializer {
        registry = msg.sender;
        owner = owner_;
        name = name_;
        description = description_;
        partitions = partitions_;
        _setPermission(owner_, Permission(type(uint64).max, type(uint64).max, true, true, true));
        if (publicSubscribe || publicPublish) {
            uint64 subscribeUntil = publicSubscribe ? type(uint64).max : 0;
            uint64 publishUntil = publicPublish ? type(uint64).max : 0;
            _setPermission(EVERYBODY, Permission(subscribeUntil, publishUntil, false, false, false));
        }
    }

    /// @inheritdoc IStream
    function update(
        string calldata newName,
        string calldata newDescription
    ) external notRemoved onlyEditor {
        string memory oldName = name;
        name = newName;
        description = newDescription;
        emit MetadataUpdated(newName, newDescription);
        IStreamRegistry(registry).streamUpdated(oldName, newName, newDescription);
    }

    /// @inheritdoc IStream
    function setPermission(address user, Permission calldata permission) external notRemoved {
        if (!_mayGrant(msg.sender)) revert NotPermitted(msg.sender);
        _protectOwner(user);
        _setPermission(user, permission);
    }

    /// @inheritdoc IStream
    function grant(address user, uint64 subscribeUntil, uint64 publishUntil) external notRemoved {
        if (subscribeUntil == 0 && publishUntil == 0) revert NothingGranted();
        if (!_mayGrant(msg.sender)) _checkDelegation(subscribeUntil, publishUntil);
        _raise(user, subscribeUntil, publishUntil);
    }

    /// @inheritdoc IStream
    function grantReader(
        address user,
        uint64 subscribeUntil,
        bytes calldata publicKey
    ) external notRemoved {
        if (!_mayGrant(msg.sender)) _checkLimit(subscribeUntil, _delegations[msg.sender].subscribeUntil);
        _raise(user, subscribeUntil, 0);
        if (publicKey.length > 0) _setPublicKey(user, publicKey);
    }

    /// @inheritdoc IStream
    function delegate(address to, uint64 subscribeUntil, uint64 publishUntil) external notRemoved {
        if (to == EVERYBODY) revert EverybodyNotAllowed();
        if (!_mayGrant(msg.sender)) {
            if (subscribeUntil == 0 && publishUntil == 0) revert NothingGranted();
            _checkDelegation(subscribeUntil, publishUntil);
            Delegation storage before = _delegations[to];
            subscribeUntil = _later(subscribeUntil, before.subscribeUntil);
            publishUntil = _later(publishUntil, before.publishUntil);
        }
        _delegations[to] = Delegation(subscribeUntil, publishUntil);
        emit DelegationSet(to, subscribeUntil, publishUntil);
    }

    /// @inheritdoc IStream
    function setPublicKey(bytes calldata key) external notRemoved {
        if (!canSubscribe(msg.sender)) revert NotPermitted(msg.sender);
        _setPublicKey(msg.sender, key);
    }

    /// @inheritdoc IStream
    function setSearchKeys(bytes32[] calldata keys) external notRemoved onlyEditor {
        IStreamRegistry(registry).streamKeysSet(keys);
    }

    /// @inheritdoc IStream
    function setRetention(uint64 ageSeconds, uint64 sizeBytes) external notRemoved onlyEditor {
        _retention = Retention(ageSeconds, sizeBytes);
        emit RetentionSet(ageSeconds, sizeBytes);
    }

    /// @inheritdoc IStream
    function setFeeTerms(
        uint128 eventPrice,
        uint128 bytePrice,
        bytes32 terms
    ) external notRemoved onlyEditor {
        _feeTerms = FeeTerms(eventPrice, bytePrice, terms);
        emit FeeTermsSet(eventPrice, bytePrice, terms);
    }

    /// @inheritdoc IStream
    function transferOwnership(address newOwner) external notRemoved {
        if (msg.sender != owner) revert NotPermitted(msg.sender);
        pendingOwner = newOwner;
        emit OwnershipTransferStarted(msg.sender, newOwner);
    }

    /// @inheritdoc IStream
    function acceptOwnership() external notRemoved {
        if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender, pendingOwner);
        address previousOwner = owner;
        owner = msg.sender;
        pendingOwner = address(0);
        emit OwnershipTransferred(previousOwner, msg.sender);
        _setPermission(previousOwner, Permission(0, 0, false, false, false));
        _setPermission(msg.sender, Permission(type(uint64).max, type(uint64).max, true, true, true));
        IStreamRegistry(registry).streamTransferred(previousOwner, name);
    }

    /// @inheritdoc IStream
    function remove() external notRemoved {
        bool may = _permissions[msg.sender].canDelete || _permissions[EVERYBODY].canDelete;
        if (msg.sender != owner && !may) revert NotPermitted(msg.sender);
        removed = true;
        emit StreamRemoved();
        IStreamRegistry(registry).streamRemoved();
    }

    /// @inheritdoc IStream
    function canSubscribe(address user) public view returns (bool) {
        if (removed) return false;
        return block.timestamp < _permissions[user].subscribeUntil
            || block.timestamp < _permissions[EVERYBODY].subscribeUntil;
    }

    /// @inheritdoc IStream
    function canPublish(address user) external view returns (bool) {
        if (removed) return false;
        return block.timestamp < _permissions[user].publishUntil
            || block.timestamp < _permissions[EVERYBODY].publishUntil;
    }

    /// @inheritdoc IStream
    function permissionOf(address user) external view returns (Permission memory permission) {
        if (!removed) permission = _permissions[user];
    }

    /// @inheritdoc IStream
    function delegationOf(address user) external view returns (Delegation memory delegation) {
        if (!removed) delegation = _delegations[user];
    }

    /// @inheritdoc IStream
    function publicKeyOf(address user) external view returns (bytes memory) {
        return _publicKeys[user];
    }

    /// @inheritdoc IStream
    function retention() external view returns (Retention memory) {
        return _retention;
    }

    /// @inheritdoc IStream
    function feeTerms() external view returns (FeeTerms memory) {
        return _feeTerms;
    }

    /// @dev Whether the caller's delegation reaches this far; a right that is not given needs none.
    function _checkDelegation(uint64 subscribeUntil, uint64 publishUntil) private view {
        Delegation storage delegation = _delegations[msg.sender];
        if (subscribeUntil != 0) _checkLimit(subscribeUntil, delegation.subscribeUntil);
        if (publishUntil != 0) _checkLimit(publishUntil, delegation.publishUntil);
    }

    function _checkLimit(uint64 until, uint64 limit) private view {
        if (block.timestamp >= limit) revert NotPermitted(msg.sender);
        if (until > limit) revert GrantBeyondDelegation(msg.sender, until, limit);
    }

    function _raise(address user, uint64 subscribeUntil, uint64 publishUntil) private {
        if (user == EVERYBODY) revert EverybodyNotAllowed();
        _protectOwner(user);
        Permission memory permission = _permissions[user];
        permission.subscribeUntil = _later(subscribeUntil, permission.subscribeUntil);
        permission.publishUntil = _later(publishUntil, permission.publishUntil);
        _setPermission(user, permission);
    }

    function _later(uint64 one, uint64 other) private pure returns (uint64) {
        return one > other ? one : other;
    }

    function _mayGrant(address caller) private view returns (bool) {
        return caller == owner || _permissions[caller].canGrant || _permissions[EVERYBODY].canGrant;
    }

    function _protectOwner(address user) private view {
        if (user == owner && msg.sender != user) revert OwnerPermissionsProtected(user, msg.sender);
    }

    function _setPublicKey(address user, bytes calldata key) private {
        uint256 length = key.length;
        if (length != 0 && (length < MINIMUM_KEY_BYTES || length > MAXIMUM_KEY_BYTES)) {
            revert KeyLengthOutOfRange(length, MINIMUM_KEY_BYTES, MAXIMUM_KEY_BYTES);
        }
        _publicKeys[user] = key;
        emit PublicKeySet(user, key);
    }

    function _setPermission(address user, Permission memory permission) private {
        _permissions[user] = permission;
        emit PermissionSet(
            user,
            permission.subscribeUntil,
            permission.publishUntil,
            permission.canGrant,
            permission.canEdit,
            permission.canDelete
        );
    }
}
