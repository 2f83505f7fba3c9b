// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A contract that events are delivered to (WP 2.4.3)
interface IEventSubscriber {
    /// @notice An event, proved to be its publisher's.
    /// @dev timestamp: milliseconds since 1970 UTC, as the publisher says.
    struct Event {
        address stream;
        uint32 streamPartition;
        address publisher;
        bytes32 lane;
        uint64 sequence;
        uint64 timestamp;
        uint8 contentType;
        uint8 encryptionType;
        bytes content;
    }

    /// @notice Called once for each event that is delivered under a subscription.
    /// @dev Check that `msg.sender` is the delivery contract: anybody can call this function. Running out of the
    /// subscription's gas, or reverting, does not undo the delivery. The delivery contract cannot be called back.
    function onEvent(uint256 subscription, Event calldata delivered) external;
}
