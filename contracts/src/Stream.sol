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

    mapping(address user => Permission) private _permissions;

    modifier notRemoved() {
        if (removed) revert AlreadyRemoved();
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
    function update(string calldata newName, string calldata newDescription) external notRemoved {
        bool may = _permissions[msg.sender].canEdit || _permissions[EVERYBODY].canEdit;
        if (msg.sender != owner && !may) revert NotPermitted(msg.sender);
        string memory oldName = name;
        name = newName;
        description = newDescription;
        emit MetadataUpdated(newName, newDescription);
        IStreamRegistry(registry).streamUpdated(oldName, newName, newDescription);
    }

    /// @inheritdoc IStream
    function setPermission(address user, Permission calldata permission) external notRemoved {
        if (msg.sender != owner) {
            bool may = _permissions[msg.sender].canGrant || _permissions[EVERYBODY].canGrant;
            if (!may) revert NotPermitted(msg.sender);
            if (user == owner) revert OwnerPermissionsProtected(user, msg.sender);
        }
        _setPermission(user, permission);
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
    function canSubscribe(address user) external view returns (bool) {
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
    function permissionOf(address user) external view returns (Permission memory) {
        return _permissions[user];
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
