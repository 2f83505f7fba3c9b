// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ITokenReceiver} from "../interfaces/ITokenReceiver.sol";

/// @title For tests only: a contract that takes tokens by call, and does what the data says
contract TokenReceiver is ITokenReceiver {
    /// @notice What it was told last, and its balance at that moment.
    struct Receipt {
        address token;
        address from;
        uint256 amount;
        uint256 balance;
        bytes data;
    }

    /// @notice The data told it to refuse.
    error Refused(uint256 amount);

    /// @notice How many calls it took.
    uint256 public calls;

    Receipt private _last;

    /// @inheritdoc ITokenReceiver
    function onTokenTransfer(address from, uint256 amount, bytes calldata data) external {
        if (keccak256(data) == keccak256("refuse")) revert Refused(amount);
        if (keccak256(data) == keccak256("burn gas")) {
            while (true) ++calls;
        }
        ++calls;
        _last = Receipt(msg.sender, from, amount, IERC20(msg.sender).balanceOf(address(this)), data);
        if (keccak256(data) == keccak256("send back")) IERC20(msg.sender).transfer(from, amount);
    }

    /// @notice What it was told last.
    function last() external view returns (Receipt memory) {
        return _last;
    }
}
