// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEventDelivery} from "../interfaces/IEventDelivery.sol";
import {IEventSubscriber} from "../interfaces/IEventSubscriber.sol";

/// @title For tests only: a subscriber that does what its owner sets it to
contract HostileSubscriber is IEventSubscriber {
    /// @notice What to do with an event.
    enum Behaviour {
        Keep,
        Revert,
        RevertWithMuch,
        BurnGas,
        Reenter,
        ReturnMuch
    }

    /// @notice Who subscribes this contract and sets its behaviour.
    address public owner;
    /// @notice What `onEvent` does.
    Behaviour public behaviour;
    /// @notice How many events were kept.
    uint256 public kept;
    /// @notice The content that was kept last.
    bytes public content;
    /// @notice How many calls back into the delivery contract succeeded: none should.
    uint256 public reentered;

    constructor() {
        owner = msg.sender;
    }

    /// @notice Sets what `onEvent` does.
    function behave(Behaviour behaviour_) external {
        require(msg.sender == owner, "not the owner");
        behaviour = behaviour_;
    }

    /// @inheritdoc IEventSubscriber
    function onEvent(uint256 subscription, Event calldata delivered) external {
        if (behaviour == Behaviour.Revert) revert("no");
        if (behaviour == Behaviour.BurnGas) {
            while (true) ++kept;
        }
        if (behaviour == Behaviour.RevertWithMuch || behaviour == Behaviour.ReturnMuch) {
            bool reverts = behaviour == Behaviour.RevertWithMuch;
            assembly ("memory-safe") {
                switch reverts
                case 1 { revert(0, 200000) }
                default { return(0, 200000) }
            }
        }
        if (behaviour == Behaviour.Reenter) _reenter(subscription);
        ++kept;
        content = delivered.content;
    }

    function _reenter(uint256 subscription) private {
        IEventDelivery delivery = IEventDelivery(msg.sender);
        try delivery.withdraw(subscription, 1) {
            ++reentered;
        } catch {}
        try delivery.topUp(subscription, 1) {
            ++reentered;
        } catch {}
    }
}
