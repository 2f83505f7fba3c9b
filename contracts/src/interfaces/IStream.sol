// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStreamMetadataErrors} from "./IStreamMetadataErrors.sol";

/// @title A stream: its metadata and who may do what with it (WP 2.4.2, 2.5.1)
/// @notice The address of this contract is the id of the stream and the verifying contract of the EIP-712
/// domain (name "weir", version "1") under which its publishers sign batches.
interface IStream is IStreamMetadataErrors {
    /// @notice What one address may do. One storage slot.
    /// @dev Times are unix seconds and exclusive: the right holds while `block.timestamp < until`. 0 is no
    /// right, the largest uint64 is a right without end.
    struct Permission {
        uint64 subscribeUntil;
        uint64 publishUntil;
        bool canGrant;
        bool canEdit;
        bool canDelete;
    }

    /// @notice Name or description changed.
    event MetadataUpdated(string name, string description);

    /// @notice The permissions of `user` are now exactly these; address(0) stands for everybody.
    event PermissionSet(
        address indexed user,
        uint64 subscribeUntil,
        uint64 publishUntil,
        bool canGrant,
        bool canEdit,
        bool canDelete
    );

    /// @notice Content keys are wrapped for `user` under this public key from now on; empty where there is none.
    event PublicKeySet(address indexed user, bytes publicKey);

    /// @notice The stream is gone for good: nobody may publish, subscribe or change it.
    event StreamRemoved();

    /// @notice `caller` has neither the ownership nor the permission that the call needs.
    error NotPermitted(address caller);

    /// @notice Only the owner changes the owner's own permissions.
    error OwnerPermissionsProtected(address owner, address caller);

    /// @notice Rights for everybody are set by `setPermission`; this call needs the address of somebody.
    error EverybodyNotAllowed();

    /// @notice A public key has `minimum` to `maximum` bytes.
    error KeyLengthOutOfRange(uint256 length, uint256 minimum, uint256 maximum);

    /// @notice The stream was removed.
    error AlreadyRemoved();

    /// @notice Sets the stream up; the registry calls it once, when it creates the clone.
    /// @param owner_ Gets every permission for ever.
    /// @param name_ Already checked by the registry.
    /// @param description_ Already checked by the registry.
    /// @param partitions_ The number of stream partitions, fixed for the life of the stream.
    /// @param publicSubscribe Whether everybody may subscribe.
    /// @param publicPublish Whether everybody may publish.
    function initialize(
        address owner_,
        string calldata name_,
        string calldata description_,
        uint32 partitions_,
        bool publicSubscribe,
        bool publicPublish
    ) external;

    /// @notice Changes name and description. By the owner or anyone with `canEdit`.
    /// @dev The registry checks lengths, and that the owner has no other stream of this name.
    function update(string calldata newName, string calldata newDescription) external;

    /// @notice Replaces the permissions of `user`, or of everybody for address(0). By the owner or anyone
    /// with `canGrant`, who can thereby give any permission on this stream to anybody.
    function setPermission(address user, Permission calldata permission) external;

    /// @notice Lets `user` subscribe until `subscribeUntil` at least, and registers the key for which content
    /// keys are wrapped: what a licence does for its buyer (WP 2.3, 2.4.10). By the owner or anyone with
    /// `canGrant`.
    /// @dev Rights are only raised: a longer one that `user` has already stays, and so do all others. Reports
    /// `PermissionSet`, and `PublicKeySet` if a key is given. The owner's own are only the owner's to change.
    /// @param user Not address(0).
    /// @param subscribeUntil Unix seconds, exclusive.
    /// @param publicKey 32 to 2048 bytes in a form that readers and publishers agree on; if empty, the key that
    /// `user` has stays.
    function grantReader(address user, uint64 subscribeUntil, bytes calldata publicKey) external;

    /// @notice Replaces the caller's own public key. By anyone who may subscribe now.
    /// @param key 32 to 2048 bytes, or none to have no key.
    function setPublicKey(bytes calldata key) external;

    /// @notice Removes the stream for good and frees its name. By the owner or anyone with `canDelete`.
    function remove() external;

    /// @notice Whether `user` may subscribe at this block's time, by own permission or by that of everybody.
    function canSubscribe(address user) external view returns (bool);

    /// @notice Whether `user` may publish at this block's time, by own permission or by that of everybody.
    function canPublish(address user) external view returns (bool);

    /// @notice The permissions stored for exactly this address; those of everybody are not mixed in.
    function permissionOf(address user) external view returns (Permission memory);

    /// @notice The public key of `user`, empty if it has none. A key alone is no right: ask `canSubscribe`.
    function publicKeyOf(address user) external view returns (bytes memory);

    /// @notice The name, unique among its owner's streams.
    function name() external view returns (string memory);

    /// @notice What the stream carries, in the owner's words.
    function description() external view returns (string memory);

    /// @notice Who created the stream.
    function owner() external view returns (address);

    /// @notice The number of stream partitions (WP 2.4.5).
    function partitions() external view returns (uint32);

    /// @notice Whether the stream was removed.
    function removed() external view returns (bool);

    /// @notice The registry that created the stream.
    function registry() external view returns (address);
}
