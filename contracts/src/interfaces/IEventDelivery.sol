// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batches} from "../libraries/Batches.sol";

/// @title Contracts as subscribers (WP 2.4.3, 2.4.7)
/// @notice A contract subscribes to a stream with a bounty an event and a budget. Whoever first delivers an event, with
/// its batch's signed header and its Merkle path, gets the bounty; the contract is called with the event. Each
/// event is delivered at most once under a subscription.
///
/// Amounts are in units of 10^-18 DATA. The contract's balance is the sum of the budgets.
interface IEventDelivery {
    /// @notice A subscription.
    /// @dev subscriber: who is called. controller: who created it and takes budget back. callbackGas: for each call.
    /// At most rateEvents events are taken in each span of rateSeconds (spans begin at multiples of it); rateUsed
    /// were taken in span number rateSpan.
    struct Subscription {
        address subscriber;
        address controller;
        address stream;
        uint128 bounty;
        uint128 budget;
        uint32 callbackGas;
        uint32 rateEvents;
        uint32 rateSeconds;
        uint32 rateUsed;
        uint64 rateSpan;
    }

    /// @notice What a subscription asks for.
    struct Terms {
        address subscriber;
        address stream;
        uint128 bounty;
        uint32 callbackGas;
        uint32 rateEvents;
        uint32 rateSeconds;
    }

    /// @notice An event for a subscription.
    /// @dev signature: of the header, 65 bytes (r, s, v), low s only; after it the session certificate if the header
    /// names one, 75 bytes as `ILaneFees.settle` takes them. index: of the event in its batch. path: from
    /// its leaf to the header's root. encoded: the event as in its batch.
    struct Delivery {
        uint256 subscription;
        Batches.Header header;
        bytes signature;
        uint32 index;
        bytes32[] path;
        bytes encoded;
    }

    /// @notice A contract subscribes.
    event Subscribed(
        uint256 indexed subscription,
        address indexed subscriber,
        address indexed stream,
        address controller,
        uint128 bounty,
        uint32 callbackGas,
        uint32 rateEvents,
        uint32 rateSeconds
    );

    /// @notice The budget grew. `byAllowance` says whether an allowance of `from` was used.
    event BudgetAdded(uint256 indexed subscription, address indexed from, uint256 amount, bool byAllowance);

    /// @notice The controller took some of the budget back.
    event BudgetWithdrawn(uint256 indexed subscription, uint256 amount);

    /// @notice An event was delivered and `deliverer` paid. `accepted` says whether the subscriber's call
    /// succeeded.
    event EventDelivered(
        uint256 indexed subscription,
        bytes32 indexed lane,
        uint64 sequence,
        address indexed deliverer,
        uint256 bounty,
        bool accepted
    );

    /// @notice A figure must lie between `minimum` and `maximum`.
    error ParameterOutOfRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum);

    /// @notice Only a contract can be called.
    error SubscriberWithoutCode(address subscriber);

    /// @notice A contract is subscribed by itself or by its `owner()`.
    error NotSubscriberOrOwner(address subscriber, address caller);

    /// @notice The registry knows no such stream.
    error UnknownStream(address stream);

    /// @notice There is no such subscription.
    error UnknownSubscription(uint256 subscription);

    /// @notice Only the controller takes budget back.
    error NotController(uint256 subscription, address caller);

    /// @notice The budget holds less.
    error BudgetTooSmall(uint256 subscription, uint128 budget, uint256 amount);

    /// @notice An amount must not be zero, nor 2^128 or more.
    error AmountOutOfRange(uint256 amount);

    /// @notice Only the token reports payments.
    error NotToken(address caller);

    /// @notice What came with the tokens is not `abi.encode(uint256 subscription)`.
    error MalformedTopUp(uint256 length);

    /// @notice The event is of another stream.
    error WrongStream(address given, address subscribed);

    /// @notice No header has such a value in this field.
    error HeaderMalformed(bytes32 field);

    /// @notice The event has more bytes than are taken on chain.
    error EventTooLong(uint256 length, uint256 maximum);

    /// @notice The bytes are no event.
    error EventMalformed(uint256 length);

    /// @notice The path has not the length that position and count demand.
    error PathMalformed(uint32 index, uint32 count, uint256 length);

    /// @notice The path does not lead from the event to the header's root.
    error NotInBatch(uint32 index, bytes32 given, bytes32 root);

    /// @notice The event's time is outside the header's range.
    error TimeOutOfRange(uint64 timestamp, uint64 firstTime, uint64 lastTime);

    /// @notice The signature is not the signer's. `recovered` is whose it is, zero for nobody's.
    error SignatureMismatch(address signer, address recovered);

    /// @notice No certificate of the publisher's is given that lets the signer sign in this lane.
    error SessionInvalid(bytes32 certificate);

    /// @notice The signer's session is over.
    error SessionEnded(bytes32 certificate, uint64 expiryBlock);

    /// @notice The publisher may not publish to the stream now.
    error PublisherNotPermitted(address stream, address publisher);

    /// @notice Somebody delivered the event before.
    error AlreadyDelivered(uint256 subscription, bytes32 lane, uint64 sequence);

    /// @notice The subscription takes no more events before `nextSpan`, in Unix seconds.
    error RateExceeded(uint256 subscription, uint64 nextSpan);

    /// @notice The budget does not cover the bounty.
    error BudgetSpent(uint256 subscription, uint128 budget, uint128 bounty);

    /// @notice Send the transaction with more gas: the subscriber must get all of its own.
    error GasTooLow(uint256 left, uint256 needed);

    /// @notice Subscribes a contract; the caller is the contract itself or its `owner()`, and takes control of the
    /// budget. Moves `budget` from it, by allowance.
    /// @param terms bounty from 1; callbackGas 5,000 to 2,000,000; rateEvents and rateSeconds from 1.
    /// @param budget May be zero, to be added later.
    /// @return subscription Its number, from 1.
    function subscribe(Terms calldata terms, uint128 budget) external returns (uint256 subscription);

    /// @notice Adds to a budget; anybody may. Moves `amount` from the caller, by allowance. With
    /// `transferAndCall` the data is `abi.encode(uint256 subscription)`.
    function topUp(uint256 subscription, uint256 amount) external;

    /// @notice Takes budget back. By the controller.
    function withdraw(uint256 subscription, uint256 amount) external;

    /// @notice Delivers an event; anybody may call, and is paid the bounty whatever the subscriber does.
    function deliver(Delivery calldata delivery) external;

    /// @notice A subscription; all zero if there is none.
    function subscriptionOf(uint256 subscription) external view returns (Subscription memory);

    /// @notice How many subscriptions there are; they are numbered from 1.
    function subscriptionCount() external view returns (uint256);

    /// @notice Whether an event was delivered under a subscription.
    function isDelivered(uint256 subscription, bytes32 lane, uint64 sequence) external view returns (bool);

    /// @notice The sum of all budgets.
    function budgets() external view returns (uint128);
}
