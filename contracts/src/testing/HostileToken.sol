// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ITokenReceiver} from "../interfaces/ITokenReceiver.sol";

/// @title For tests only: a token that lies, refuses or calls back while it moves
contract HostileToken is ERC20 {
    /// @notice What `transfer` and `transferFrom` do.
    enum Behaviour {
        Obey,
        ReturnFalse,
        Revert,
        Reenter
    }

    /// @notice What `transfer` and `transferFrom` do.
    Behaviour public behaviour;
    /// @notice Called with `attack` while tokens move.
    address public target;
    /// @notice The call.
    bytes public attack;
    /// @notice How many of these calls succeeded.
    uint256 public succeeded;

    constructor() ERC20("hostile", "HOSTILE") {
        _mint(msg.sender, 1e30);
    }

    /// @notice Sets what moving tokens does.
    function behave(Behaviour behaviour_, address target_, bytes calldata attack_) external {
        (behaviour, target, attack) = (behaviour_, target_, attack_);
    }

    /// @notice Moves tokens and calls the receiver, as DataCoin does.
    function transferAndCall(address to, uint256 amount, bytes calldata data) external returns (bool) {
        _transfer(msg.sender, to, amount);
        ITokenReceiver(to).onTokenTransfer(msg.sender, amount, data);
        return true;
    }

    /// @inheritdoc ERC20
    function transfer(address to, uint256 amount) public override returns (bool) {
        return _misbehave() && super.transfer(to, amount);
    }

    /// @inheritdoc ERC20
    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return _misbehave() && super.transferFrom(from, to, amount);
    }

    function _misbehave() private returns (bool) {
        require(behaviour != Behaviour.Revert, "hostile");
        if (behaviour == Behaviour.Reenter) {
            (bool success,) = target.call(attack);
            if (success) ++succeeded;
        }
        return behaviour != Behaviour.ReturnFalse;
    }
}
