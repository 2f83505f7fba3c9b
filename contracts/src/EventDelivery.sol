// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IEventDelivery} from "./interfaces/IEventDelivery.sol";
import {IEventSubscriber} from "./interfaces/IEventSubscriber.sol";
import {IStream} from "./interfaces/IStream.sol";
import {IStreamRegistry} from "./interfaces/IStreamRegistry.sol";
import {ITokenReceiver} from "./interfaces/ITokenReceiver.sol";
import {Batches} from "./libraries/Batches.sol";
import {MerklePaths} from "./libraries/MerklePaths.sol";

/// @title Delivery of events to contracts (WP 2.4.3, 2.4.7)
/// @notice Nobody has privileges here. A subscriber runs with bounded gas, nothing that it returns is read, and while it
/// runs nothing here can be called: what it does stays its own affair.
contract EventDelivery is IEventDelivery, ITokenReceiver, ReentrancyGuard {
    using BitMaps for BitMaps.BitMap;
    using SafeERC20 for IERC20;

    uint32 private constant MINIMUM_CALLBACK_GAS = 5_000;
    uint32 private constant MAXIMUM_CALLBACK_GAS = 2_000_000;
    uint256 private constant MAXIMUM_EVENT_BYTES = 65_536;
    /// @dev For asking a subscriber who owns it.
    uint256 private constant OWNER_GAS = 50_000;
    /// @dev What is left for us when the subscriber has burnt its gas, and for writing its calldata before.
    uint256 private constant OWN_GAS = 60_000;

    IERC20 private immutable _token;
    IStreamRegistry private immutable _registry;

    /// @inheritdoc IEventDelivery
    uint256 public subscriptionCount;
    /// @inheritdoc IEventDelivery
    uint128 public budgets;
    mapping(uint256 subscription => Subscription) private _subscriptions;
    mapping(uint256 subscription => mapping(bytes32 lane => BitMaps.BitMap)) private _delivered;

    /// @param token The DATA token.
    /// @param registry The registry that must know the streams.
    constructor(address token, address registry) {
        _token = IERC20(token);
        _registry = IStreamRegistry(registry);
    }

    /// @inheritdoc IEventDelivery
    function subscribe(Terms calldata terms, uint128 budget) external nonReentrant returns (uint256 subscription) {
        if (terms.subscriber.code.length == 0) revert SubscriberWithoutCode(terms.subscriber);
        if (msg.sender != terms.subscriber && msg.sender != _ownerOf(terms.subscriber)) {
            revert NotSubscriberOrOwner(terms.subscriber, msg.sender);
        }
        if (!_registry.exists(terms.stream)) revert UnknownStream(terms.stream);
        _requireRange("bounty", terms.bounty, 1, type(uint128).max);
        _requireRange("callbackGas", terms.callbackGas, MINIMUM_CALLBACK_GAS, MAXIMUM_CALLBACK_GAS);
        _requireRange("rateEvents", terms.rateEvents, 1, type(uint32).max);
        _requireRange("rateSeconds", terms.rateSeconds, 1, type(uint32).max);
        subscription = ++subscriptionCount;
        Subscription storage s = _subscriptions[subscription];
        s.subscriber = terms.subscriber;
        s.controller = msg.sender;
        s.stream = terms.stream;
        s.bounty = terms.bounty;
        s.callbackGas = terms.callbackGas;
        s.rateEvents = terms.rateEvents;
        s.rateSeconds = terms.rateSeconds;
        emit Subscribed(
            subscription,
            terms.subscriber,
            terms.stream,
            msg.sender,
            terms.bounty,
            terms.callbackGas,
            terms.rateEvents,
            terms.rateSeconds
        );
        if (budget != 0) _topUpByAllowance(subscription, budget);
    }

    /// @inheritdoc IEventDelivery
    function topUp(uint256 subscription, uint256 amount) external nonReentrant {
        _topUpByAllowance(subscription, amount);
    }

    /// @notice Adds to a budget with tokens that came by `transferAndCall`.
    /// @param data `abi.encode(uint256 subscription)`.
    /// @inheritdoc ITokenReceiver
    function onTokenTransfer(address from, uint256 amount, bytes calldata data) external nonReentrant {
        if (msg.sender != address(_token)) revert NotToken(msg.sender);
        if (data.length != 32) revert MalformedTopUp(data.length);
        _addBudget(abi.decode(data, (uint256)), from, amount, false);
    }

    /// @inheritdoc IEventDelivery
    function withdraw(uint256 subscription, uint256 amount) external nonReentrant {
        Subscription storage s = _known(subscription);
        if (msg.sender != s.controller) revert NotController(subscription, msg.sender);
        if (amount == 0) revert AmountOutOfRange(amount);
        if (amount > s.budget) revert BudgetTooSmall(subscription, s.budget, amount);
        s.budget -= uint128(amount);
        budgets -= uint128(amount);
        emit BudgetWithdrawn(subscription, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IEventDelivery
    function deliver(Delivery calldata delivery) external nonReentrant {
        Subscription storage s = _known(delivery.subscription);
        IEventSubscriber.Event memory e = _proved(delivery, s.stream);
        _take(delivery.subscription, s, e.lane, e.sequence);
        uint128 bounty = s.bounty;
        _token.safeTransfer(msg.sender, bounty);
        bool accepted = _call(delivery.subscription, s, e);
        emit EventDelivered(delivery.subscription, e.lane, e.sequence, msg.sender, bounty, accepted);
    }

    /// @inheritdoc IEventDelivery
    function subscriptionOf(uint256 subscription) external view returns (Subscription memory) {
        return _subscriptions[subscription];
    }

    /// @inheritdoc IEventDelivery
    function isDelivered(uint256 subscription, bytes32 lane, uint64 sequence) external view returns (bool) {
        return _delivered[subscription][lane].get(sequence);
    }

    /// @dev Any single event proves its origin by its batch's signed header and its path to the header's root.
    function _proved(
        Delivery calldata d,
        address stream
    ) private view returns (IEventSubscriber.Event memory e) {
        Batches.Header calldata header = d.header;
        if (header.stream != stream) revert WrongStream(header.stream, stream);
        bytes32 field = Batches.brokenField(header);
        if (field != 0) revert HeaderMalformed(field);
        if (d.encoded.length > MAXIMUM_EVENT_BYTES) revert EventTooLong(d.encoded.length, MAXIMUM_EVENT_BYTES);
        (bool sound, Batches.EventFields memory fields, bytes calldata content) = Batches.parseEvent(d.encoded);
        if (!sound) revert EventMalformed(d.encoded.length);
        uint64 sequence = _checkPath(d);
        if (fields.timestamp < header.firstTime || fields.timestamp > header.lastTime) {
            revert TimeOutOfRange(fields.timestamp, header.firstTime, header.lastTime);
        }
        _checkSigner(header, d.signature);
        address publisher = header.origin;
        if (!IStream(stream).canPublish(publisher)) revert PublisherNotPermitted(stream, publisher);
        bytes32 lane = Batches.laneOf(
            stream,
            header.streamPartition,
            header.originType,
            header.origin,
            header.openingBlock,
            header.nonce
        );
        e = IEventSubscriber.Event({
            stream: stream,
            streamPartition: header.streamPartition,
            publisher: publisher,
            lane: lane,
            sequence: sequence,
            timestamp: fields.timestamp,
            contentType: fields.contentType,
            encryptionType: fields.encryptionType,
            content: content
        });
    }

    /// @dev The header is its origin's. A session must go on now, as the publisher's permission must hold now: the
    /// contract has no other way to know when an event was made.
    function _checkSigner(Batches.Header calldata header, bytes calldata signature) private view {
        (bool certified, address recovered, uint64 expiryBlock) =
            Batches.recoverSigner(header, Batches.digestOf(header), signature);
        if (!certified) revert SessionInvalid(header.certificate);
        if (recovered != header.signer || recovered == address(0)) {
            revert SignatureMismatch(header.signer, recovered);
        }
        if (block.number >= expiryBlock) revert SessionEnded(header.certificate, expiryBlock);
    }

    /// @dev Returns the number of the event in its lane.
    function _checkPath(Delivery calldata d) private pure returns (uint64 sequence) {
        // A position beyond the count fails below; until then it only must not overflow.
        unchecked {
            sequence = d.header.sequence + d.index;
        }
        bytes32 leaf = Batches.eventLeaf(sequence, d.encoded);
        (bool whole, bytes32 root) = MerklePaths.rootOf(leaf, d.index, d.header.count, d.path);
        if (!whole) revert PathMalformed(d.index, d.header.count, d.path.length);
        if (root != d.header.root) revert NotInBatch(d.index, root, d.header.root);
    }

    /// @dev Once, within rate and budget.
    function _take(uint256 subscription, Subscription storage s, bytes32 lane, uint64 sequence) private {
        BitMaps.BitMap storage delivered = _delivered[subscription][lane];
        if (delivered.get(sequence)) revert AlreadyDelivered(subscription, lane, sequence);
        delivered.set(sequence);
        uint64 span = uint64(block.timestamp) / s.rateSeconds;
        uint32 used = s.rateSpan == span ? s.rateUsed : 0;
        if (used >= s.rateEvents) revert RateExceeded(subscription, (span + 1) * s.rateSeconds);
        (s.rateSpan, s.rateUsed) = (span, used + 1);
        uint128 budget = s.budget;
        uint128 bounty = s.bounty;
        if (budget < bounty) revert BudgetSpent(subscription, budget, bounty);
        s.budget = budget - bounty;
        budgets -= bounty;
    }

    /// @dev All of its gas reaches the subscriber, of which the EVM keeps back a 64th of what is left; and it leaves
    /// enough to finish. `catch` without a variable copies nothing of what is returned.
    function _call(
        uint256 subscription,
        Subscription storage s,
        IEventSubscriber.Event memory e
    ) private returns (bool) {
        address subscriber = s.subscriber;
        // What destroyed itself since cannot be called.
        if (subscriber.code.length == 0) return false;
        uint256 callbackGas = s.callbackGas;
        uint256 needed = callbackGas * 64 / 63 + OWN_GAS + e.content.length;
        if (gasleft() < needed) revert GasTooLow(gasleft(), needed);
        try IEventSubscriber(subscriber).onEvent{gas: callbackGas}(subscription, e) {
            return true;
        } catch {
            return false;
        }
    }

    function _topUpByAllowance(uint256 subscription, uint256 amount) private {
        _addBudget(subscription, msg.sender, amount, true);
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _addBudget(uint256 subscription, address from, uint256 amount, bool byAllowance) private {
        Subscription storage s = _known(subscription);
        if (amount == 0 || amount > type(uint128).max - budgets) revert AmountOutOfRange(amount);
        s.budget += uint128(amount);
        budgets += uint128(amount);
        emit BudgetAdded(subscription, from, amount, byAllowance);
    }

    /// @dev The `owner()` of a contract, or zero where it has none or does not answer well.
    function _ownerOf(address subscriber) private view returns (address) {
        (bool answered, bytes memory answer) =
            subscriber.staticcall{gas: OWNER_GAS}(abi.encodeWithSignature("owner()"));
        if (!answered || answer.length != 32) return address(0);
        uint256 word = abi.decode(answer, (uint256));
        return word > type(uint160).max ? address(0) : address(uint160(word));
    }

    function _known(uint256 subscription) private view returns (Subscription storage s) {
        s = _subscriptions[subscription];
        if (s.controller == address(0)) revert UnknownSubscription(subscription);
    }

    function _requireRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum) private pure {
        if (given < minimum || given > maximum) {
            revert ParameterOutOfRange(parameter, given, minimum, maximum);
        }
    }
}
