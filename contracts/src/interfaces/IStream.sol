// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStreamMetadataErrors} from "./IStreamMetadataErrors.sol";

/// @title A stream: its metadata and who may do what with it (WP 2.4.2, 2.5.1)
/// @notice The address of this contract is the id of the stream and the verifying contract of the EIP-712
/// domain (name "weir", version "1") under which its publishers sign batches.
///
/// Who may do what:
/// - the owner everything; nobody else changes the owner's own permissions and key, or gives the stream away;
/// - with `canGrant`: give and take any permission, `canGrant` too, and delegations;
/// - with a delegation: give others rights to subscribe and publish, and delegations, none of which ends
///   later than the delegation itself; take nothing away;
/// - with `canEdit`: change name, description, search keys, retention and fee terms;
/// - with `canDelete`: remove the stream;
/// - anyone who may subscribe: its own public key.
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

    /// @notice Until when one address may pass on rights to subscribe and to publish, and the latest end that
    /// it may give them. Unix seconds, exclusive; 0 is no delegation.
    struct Delegation {
        uint64 subscribeUntil;
        uint64 publishUntil;
    }

    /// @notice How long brokers keep what the stream carries: events not older than `ageSeconds`, and of
    /// those the newest that have `sizeBytes` bytes of content. 0 leaves a bound to the network.
    struct Retention {
        uint64 ageSeconds;
        uint64 sizeBytes;
    }

    /// @notice What a subscriber is asked to pay, in units of 10^-18 DATA. Information only: nothing here
    /// collects it.
    struct FeeTerms {
        uint128 eventPrice;
        uint128 bytePrice;
        bytes32 terms;
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

    /// @notice Content keys are wrapped for `user` under this public key from now on; empty if there is none.
    event PublicKeySet(address indexed user, bytes publicKey);

    /// @notice The delegation of `delegate` is now exactly this.
    event DelegationSet(address indexed delegate, uint64 subscribeUntil, uint64 publishUntil);

    /// @notice The owner offered the stream to `newOwner`; address(0) takes an offer back.
    event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);

    /// @notice The stream belongs to `newOwner` now. The permissions of both follow in their own events.
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    /// @notice How long brokers keep what the stream carries, from now on.
    event RetentionSet(uint64 ageSeconds, uint64 sizeBytes);

    /// @notice What a subscriber is asked to pay, from now on; `terms` is the hash or the content address of
    /// a text.
    event FeeTermsSet(uint128 eventPrice, uint128 bytePrice, bytes32 terms);

    /// @notice The stream is gone for good: nobody may publish, subscribe or change it.
    event StreamRemoved();

    /// @notice `caller` has neither the ownership nor the permission that the call needs.
    error NotPermitted(address caller);

    /// @notice Only the owner changes the owner's own permissions.
    error OwnerPermissionsProtected(address owner, address caller);

    /// @notice Rights for everybody are set by `setPermission`; this call needs the address of somebody.
    error EverybodyNotAllowed();

    /// @notice Neither a right to subscribe nor one to publish is given.
    error NothingGranted();

    /// @notice A delegation until `limit` gives nothing until `until`.
    error GrantBeyondDelegation(address caller, uint64 until, uint64 limit);

    /// @notice The stream was not offered to `caller` but to `pendingOwner`.
    error NotPendingOwner(address caller, address pendingOwner);

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

    /// @notice Lets `user` subscribe and publish until these times at least. By the owner, anyone with
    /// `canGrant`, or a delegate up to the end of its delegation.
    /// @dev Rights are only raised: a longer one that `user` has already stays, and so do all others. A time
    /// of 0 raises nothing.
    /// @param user Not address(0), and the owner only by itself.
    /// @param subscribeUntil Unix seconds, exclusive.
    /// @param publishUntil Unix seconds, exclusive.
    function grant(address user, uint64 subscribeUntil, uint64 publishUntil) external;

    /// @notice Lets `user` subscribe until `subscribeUntil` at least, and registers the key for which content
    /// keys are wrapped: what a licence does for its buyer (WP 2.3, 2.4.10). By the owner, anyone with
    /// `canGrant`, or a delegate up to the end of its delegation to grant subscribing.
    /// @dev Raises as `grant` does. Reports `PermissionSet`, and `PublicKeySet` if a key is given.
    /// @param user Not address(0), and the owner only by itself.
    /// @param subscribeUntil Unix seconds, exclusive.
    /// @param publicKey 32 to 2048 bytes in a form that readers and publishers agree on; if empty, the key
    /// that `user` has stays.
    function grantReader(address user, uint64 subscribeUntil, bytes calldata publicKey) external;

    /// @notice Lets `to` pass on rights that end no later than these times, until they come. By the owner or
    /// anyone with `canGrant`, who replace the delegation, with zeros to end it; or by a delegate, who only
    /// raises it, up to the end of its own.
    /// @dev What a delegate gave stays when its delegation is ended; it ends by itself in time.
    /// @param to Not address(0).
    /// @param subscribeUntil Unix seconds, exclusive.
    /// @param publishUntil Unix seconds, exclusive.
    function delegate(address to, uint64 subscribeUntil, uint64 publishUntil) external;

    /// @notice Replaces the caller's own public key. By anyone who may subscribe now.
    /// @param key 32 to 2048 bytes, or none to have no key.
    function setPublicKey(bytes calldata key) external;

    /// @notice Replaces the keys under which the registry finds the stream. By the owner or anyone with
    /// `canEdit`.
    /// @param keys At most 8 different ones; by convention keccak256 of a word in small letters.
    function setSearchKeys(bytes32[] calldata keys) external;

    /// @notice Sets how long brokers keep what the stream carries. By the owner or anyone with `canEdit`.
    function setRetention(uint64 ageSeconds, uint64 sizeBytes) external;

    /// @notice Says what a subscriber is asked to pay. By the owner or anyone with `canEdit`.
    /// @param eventPrice For an event, in units of 10^-18 DATA.
    /// @param bytePrice For a byte of content, in units of 10^-18 DATA.
    /// @param terms The hash or the content address of a text, or zero.
    function setFeeTerms(uint128 eventPrice, uint128 bytePrice, bytes32 terms) external;

    /// @notice Offers the stream to another owner, in place of any earlier offer; address(0) takes the offer
    /// back. By the owner.
    function transferOwnership(address newOwner) external;

    /// @notice Takes the stream that its owner offered to the caller: the caller gets every permission for
    /// ever, the previous owner keeps none. All other permissions, delegations and keys stay: look at them
    /// first.
    /// @dev Fails if the caller has a stream of this name already.
    function acceptOwnership() external;

    /// @notice Removes the stream for good and frees its name and search keys. By the owner or anyone with
    /// `canDelete`.
    function remove() external;

    /// @notice Whether `user` may subscribe at this block's time, by own permission or by that of everybody.
    function canSubscribe(address user) external view returns (bool);

    /// @notice Whether `user` may publish at this block's time, by own permission or by that of everybody.
    function canPublish(address user) external view returns (bool);

    /// @notice The permissions stored for exactly this address; those of everybody are not mixed in. None
    /// once the stream is removed.
    function permissionOf(address user) external view returns (Permission memory);

    /// @notice The delegation of `user`; none once the stream is removed.
    function delegationOf(address user) external view returns (Delegation memory);

    /// @notice The public key of `user`, empty if it has none. A key alone is no right: ask `canSubscribe`.
    function publicKeyOf(address user) external view returns (bytes memory);

    /// @notice The name, unique among its owner's streams.
    function name() external view returns (string memory);

    /// @notice What the stream carries, in the owner's words.
    function description() external view returns (string memory);

    /// @notice Who owns the stream: its creator, until it is handed over.
    function owner() external view returns (address);

    /// @notice To whom the owner offered the stream, or address(0).
    function pendingOwner() external view returns (address);

    /// @notice How long brokers keep what the stream carries.
    function retention() external view returns (Retention memory);

    /// @notice What a subscriber is asked to pay.
    function feeTerms() external view returns (FeeTerms memory);

    /// @notice The number of stream partitions (WP 2.4.5).
    function partitions() external view returns (uint32);

    /// @notice Whether the stream was removed.
    function removed() external view returns (bool);

    /// @notice The registry that created the stream.
    function registry() external view returns (address);
}
