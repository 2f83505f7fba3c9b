// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A contract that acts on tokens it is sent (ERC-677)
interface ITokenReceiver {
    /// @notice Called by the token after `amount` was credited to this contract.
    /// @dev Check that `msg.sender` is the token: anybody can call this function.
    /// @param from Who sent the tokens.
    /// @param amount The amount, in the token's smallest unit.
    /// @param data What the sender wants the contract to do.
    function onTokenTransfer(address from, uint256 amount, bytes calldata data) external;
}
