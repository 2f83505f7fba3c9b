// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IDataLicense} from "./interfaces/IDataLicense.sol";
import {INetworkCoordinator} from "./interfaces/INetworkCoordinator.sol";
import {IStream} from "./interfaces/IStream.sol";
import {IStreamRegistry} from "./interfaces/IStreamRegistry.sol";
import {ITokenReceiver} from "./interfaces/ITokenReceiver.sol";
import {Batches} from "./libraries/Batches.sol";
import {Cuts} from "./libraries/Cuts.sol";
import {MerklePaths} from "./libraries/MerklePaths.sol";

/// @title A product: licences, their escrow, and the deliveries that release it (WP 2.3, 2.5.4)
/// @notice Lives behind a minimal proxy for each product. The token must move exactly what it is told to.
contract DataLicense is IDataLicense, ITokenReceiver, Initializable {
    using Checkpoints for Checkpoints.Trace208;
    using SafeERC20 for IERC20;

    uint256 private constant MAXIMUM_STREAMS = 16;
    uint256 private constant MAXIMUM_TERMS_BYTES = 256;
    uint64 private constant MAXIMUM_WINDOW_SECONDS = 30 days;
    uint64 private constant MAXIMUM_SECONDS = 3650 days;
    /// @dev Bytes of an order before the key: licence, duration, the key's offset, the key's length.
    uint256 private constant ORDER_HEAD_BYTES = 128;

    /// @dev What was proved of a stream in the newest window of a proof.
    struct Meter {
        uint64 window;
        uint128 events;
    }

    /// @dev The newest cut of a partition that proved something, and in which window.
    struct CutUse {
        uint64 epoch;
        uint64 window;
    }

    IERC20 private immutable _token;
    IStreamRegistry private immutable _registry;
    INetworkCoordinator private immutable _coordinator;

    /// @inheritdoc IDataLicense
    address public provider;
    uint64 private _offeredBlock;
    /// @inheritdoc IDataLicense
    bool public forSale;
    /// @inheritdoc IDataLicense
    uint128 public locked;
    /// @inheritdoc IDataLicense
    uint128 public unclaimed;
    /// @inheritdoc IDataLicense
    uint256 public licenceCount;
    Product private _product;
    mapping(uint256 licence => Licence) private _licences;
    /// @inheritdoc IDataLicense
    mapping(address account => uint256) public owed;
    mapping(address stream => bool) private _isSold;
    /// @dev For a window of which one was delivered: how many windows were, up to it and with it.
    mapping(address stream => Checkpoints.Trace208) private _delivered;
    mapping(address stream => Meter) private _meters;
    mapping(uint32 partition => CutUse) private _cuts;
    /// @inheritdoc IDataLicense
    mapping(bytes32 lane => uint64) public provedOf;

    modifier onlyProvider() {
        if (msg.sender != provider) revert NotProvider(msg.sender);
        _;
    }

    /// @param token The DATA token.
    /// @param registry The registry that must know the streams.
    /// @param coordinator Whose sealed cuts prove deliveries.
    constructor(address token, address registry, address coordinator) {
        _token = IERC20(token);
        _registry = IStreamRegistry(registry);
        _coordinator = INetworkCoordinator(coordinator);
        _disableInitializers();
    }

    /// @inheritdoc IDataLicense
    function initialize(address provider_, Product calldata product_) external initializer {
        if (product_.beneficiary == address(0)) revert BeneficiaryMissing();
        _requireRange("pricePerSecond", product_.pricePerSecond, 1, type(uint64).max);
        _requireRange("minimumSeconds", product_.minimumSeconds, 1, MAXIMUM_SECONDS);
        _requireRange("windowSeconds", product_.windowSeconds, 1, MAXIMUM_WINDOW_SECONDS);
        _requireRange("minimumEvents", product_.minimumEvents, 1, type(uint64).max);
        _requireRange("terms", bytes(product_.terms).length, 1, MAXIMUM_TERMS_BYTES);
        _requireRange("streams", product_.streams.length, 1, MAXIMUM_STREAMS);
        for (uint256 i = 0; i < product_.streams.length; ++i) {
            address stream = product_.streams[i];
            if (i > 0 && stream <= product_.streams[i - 1]) revert StreamsNotAscending(i);
            if (!_registry.exists(stream)) revert UnknownStream(stream);
            bool may = IStream(stream).owner() == provider_ || IStream(stream).permissionOf(provider_).canGrant;
            if (!may) revert MayNotGrant(stream, provider_);
            _isSold[stream] = true;
        }
        provider = provider_;
        _offeredBlock = uint64(block.number);
        forSale = true;
        _product = product_;
    }

    /// @inheritdoc IDataLicense
    function purchase(uint64 duration, bytes calldata publicKey) external returns (uint256 licence) {
        uint256 price = _priceOf(duration);
        licence = _purchase(msg.sender, duration, publicKey, price, true);
        _token.safeTransferFrom(msg.sender, address(this), price);
    }

    /// @inheritdoc IDataLicense
    function renew(uint256 licence, uint64 duration, bytes calldata publicKey) external {
        uint256 price = _priceOf(duration);
        _renew(msg.sender, licence, duration, publicKey, price, true);
        _token.safeTransferFrom(msg.sender, address(this), price);
    }

    /// @notice Buys, or renews, with tokens that came by `transferAndCall`.
    /// @param data `abi.encode(uint256 licence, uint64 duration, bytes publicKey)`; licence 0 buys a new one.
    /// @inheritdoc ITokenReceiver
    function onTokenTransfer(address from, uint256 amount, bytes calldata data) external {
        if (msg.sender != address(_token)) revert NotToken(msg.sender);
        (uint256 licence, uint64 duration, bytes calldata publicKey) = _order(data);
        if (licence == 0) _purchase(from, duration, publicKey, amount, false);
        else _renew(from, licence, duration, publicKey, amount, false);
    }

    /// @inheritdoc IDataLicense
    function prove(Delivery calldata delivery) external {
        if (!_isSold[delivery.stream]) revert StreamNotInProduct(delivery.stream);
        bytes32 lane = Batches.laneOf(
            delivery.stream,
            delivery.streamPartition,
            delivery.originType,
            delivery.origin,
            delivery.openingBlock,
            delivery.nonce
        );
        uint64 epoch = _checkCut(lane, delivery);
        uint64 window = uint64(block.timestamp) / _product.windowSeconds;
        CutUse storage used = _cuts[delivery.partition];
        if (used.epoch != epoch) (used.epoch, used.window) = (epoch, window);
        else if (used.window != window) revert CutUsed(delivery.partition, epoch, used.window);
        uint64 proved = provedOf[lane];
        if (delivery.nextSequence <= proved) revert LaneNotAdvanced(lane, delivery.nextSequence, proved);
        provedOf[lane] = delivery.nextSequence;
        bool known = proved != 0 || delivery.openingBlock >= _offeredBlock;
        uint64 events = known ? delivery.nextSequence - proved : 0;
        _count(delivery.stream, window, events);
        emit DeliveryProved(
            delivery.stream,
            lane,
            delivery.partition,
            epoch,
            window,
            delivery.nextSequence,
            events
        );
    }

    /// @inheritdoc IDataLicense
    function settle(uint256 licence) external {
        Licence storage l = _known(licence);
        uint64 windowEnd = uint64(block.timestamp) - uint64(block.timestamp) % _product.windowSeconds;
        uint64 until = l.end < windowEnd ? l.end : windowEnd;
        uint64 settled = l.settled;
        if (until <= settled) revert NothingToSettle(licence, settled);
        uint256 count = _product.streams.length;
        uint256 delivered;
        for (uint256 i = 0; i < count; ++i) {
            delivered += _deliveredWithin(_product.streams[i], settled, until);
        }
        uint256 total = _priceOf(until - settled);
        uint256 released = uint256(_product.pricePerSecond) * delivered / count;
        l.settled = until;
        locked -= uint128(total);
        unclaimed += uint128(total);
        owed[_product.beneficiary] += released;
        owed[l.buyer] += total - released;
        emit LicenceSettled(licence, until, released, total - released);
    }

    /// @inheritdoc IDataLicense
    function withdraw() external {
        uint256 amount = owed[msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);
        owed[msg.sender] = 0;
        unclaimed -= uint128(amount);
        emit Withdrawn(msg.sender, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IDataLicense
    function setForSale(bool forSale_) external onlyProvider {
        forSale = forSale_;
        emit SaleSet(forSale_);
    }

    /// @inheritdoc IDataLicense
    function setBeneficiary(address beneficiary_) external onlyProvider {
        if (beneficiary_ == address(0)) revert BeneficiaryMissing();
        _product.beneficiary = beneficiary_;
        emit BeneficiarySet(beneficiary_);
    }

    /// @inheritdoc IDataLicense
    function product() external view returns (Product memory) {
        return _product;
    }

    /// @inheritdoc IDataLicense
    function licenceOf(uint256 licence) external view returns (Licence memory) {
        return _licences[licence];
    }

    /// @inheritdoc IDataLicense
    function deliveredSeconds(address stream, uint64 from, uint64 to) external view returns (uint64) {
        return from < to ? uint64(_deliveredWithin(stream, from, to)) : 0;
    }

    /// @dev A new licence, paid for with `sent`.
    function _purchase(
        address buyer,
        uint64 duration,
        bytes calldata publicKey,
        uint256 sent,
        bool byAllowance
    ) private returns (uint256 licence) {
        _checkOrder(duration, MAXIMUM_SECONDS, sent);
        if (publicKey.length == 0) revert PublicKeyMissing();
        licence = ++licenceCount;
        uint64 start = uint64(block.timestamp);
        _licences[licence] = Licence({buyer: buyer, start: start, end: start + duration, settled: start});
        locked += uint128(sent);
        emit LicencePurchased(licence, buyer, start, start + duration, sent, byAllowance);
        _grant(buyer, start + duration, publicKey);
    }

    /// @dev The licence goes on, paid for with `sent`.
    function _renew(
        address buyer,
        uint256 licence,
        uint64 duration,
        bytes calldata publicKey,
        uint256 sent,
        bool byAllowance
    ) private {
        Licence storage l = _known(licence);
        if (l.buyer != buyer) revert NotBuyer(licence, buyer);
        uint64 end = l.end;
        if (block.timestamp >= end) revert LicenceExpired(licence, end);
        _checkOrder(duration, MAXIMUM_SECONDS - (end - uint64(block.timestamp)), sent);
        l.end = end + duration;
        locked += uint128(sent);
        emit LicenceRenewed(licence, end + duration, sent, byAllowance);
        _grant(buyer, end + duration, publicKey);
    }

    function _checkOrder(uint64 duration, uint64 maximum, uint256 sent) private view {
        if (!forSale) revert NotForSale();
        uint64 minimum = _product.minimumSeconds;
        if (duration < minimum || duration > maximum) revert DurationOutOfRange(duration, minimum, maximum);
        uint256 price = _priceOf(duration);
        if (sent != price) revert WrongPayment(sent, price);
    }

    /// @dev Registers the buyer's key and expiry with every stream; a stream that refuses undoes the purchase.
    function _grant(address buyer, uint64 until, bytes calldata publicKey) private {
        uint256 count = _product.streams.length;
        for (uint256 i = 0; i < count; ++i) {
            IStream(_product.streams[i]).grantReader(buyer, until, publicKey);
        }
    }

    /// @dev The head is in the cut that the coordinator sealed last; returns that cut's epoch.
    function _checkCut(bytes32 lane, Delivery calldata d) private view returns (uint64) {
        bytes32 leaf = Cuts.headLeaf(lane, d.nextSequence, d.volume, d.digest);
        (bool whole, bytes32 root) = MerklePaths.rootOf(leaf, d.index, d.count, d.path);
        if (!whole) revert PathMalformed(d.index, d.count, d.path.length);
        (bytes32 stored, uint64 sealedEpoch) = _coordinator.sealOf(d.partition);
        bytes32 given = Cuts.checksum(d.previous, d.partition, sealedEpoch, root);
        if (given != stored) revert ChecksumMismatch(d.partition, sealedEpoch, given, stored);
        return sealedEpoch;
    }

    /// @dev The window is delivered once enough events were proved in it.
    function _count(address stream, uint64 window, uint64 events) private {
        Meter storage meter = _meters[stream];
        uint128 before = meter.window == window ? meter.events : 0;
        uint128 present = before + events;
        (meter.window, meter.events) = (window, present);
        uint64 minimum = _product.minimumEvents;
        if (before < minimum && present >= minimum) {
            Checkpoints.Trace208 storage delivered = _delivered[stream];
            delivered.push(uint48(window), delivered.latest() + 1);
        }
    }

    function _deliveredWithin(address stream, uint64 from, uint64 to) private view returns (uint256) {
        Checkpoints.Trace208 storage delivered = _delivered[stream];
        return _deliveredBefore(delivered, to) - _deliveredBefore(delivered, from);
    }

    function _deliveredBefore(Checkpoints.Trace208 storage delivered, uint64 time) private view returns (uint256) {
        uint64 windowSeconds = _product.windowSeconds;
        uint64 window = time / windowSeconds;
        uint256 whole = window == 0 ? 0 : delivered.upperLookupRecent(uint48(window - 1));
        uint256 started = delivered.upperLookupRecent(uint48(window)) - whole;
        return whole * windowSeconds + started * (time % windowSeconds);
    }

    function _priceOf(uint64 duration) private view returns (uint256) {
        return uint256(_product.pricePerSecond) * duration;
    }

    function _known(uint256 licence) private view returns (Licence storage l) {
        l = _licences[licence];
        if (l.buyer == address(0)) revert UnknownLicence(licence);
    }

    /// @dev Reads `abi.encode(uint256, uint64, bytes)`, of which there is one form only.
    function _order(bytes calldata data)
        private
        pure
        returns (uint256 licence, uint64 duration, bytes calldata publicKey)
    {
        if (data.length < ORDER_HEAD_BYTES) revert MalformedOrder(data.length);
        (uint256 first, uint256 second, uint256 offset, uint256 length) =
            abi.decode(data[:ORDER_HEAD_BYTES], (uint256, uint256, uint256, uint256));
        bool fits = second <= type(uint64).max && offset == 96 && length <= data.length - ORDER_HEAD_BYTES;
        if (!fits || data.length != ORDER_HEAD_BYTES + (length + 31) / 32 * 32) {
            revert MalformedOrder(data.length);
        }
        return (first, uint64(second), data[ORDER_HEAD_BYTES:ORDER_HEAD_BYTES + length]);
    }

    function _requireRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum) private pure {
        if (given < minimum || given > maximum) {
            revert ParameterOutOfRange(parameter, given, minimum, maximum);
        }
    }
}
