// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title DATAcoin, the token that pays for data (WP 3)
/// @notice ERC-20 with EIP-2612 permits and ERC-677 style transfers, so that one transaction pays and buys.
interface IDataCoin is IERC20, IERC20Permit {
    /// @notice Moves tokens and then tells the receiver about it in the same call (ERC-677).
    /// @dev An account without code receives the tokens and is not called. The receiver runs after the
    /// balances have changed; if it reverts, the whole transfer is undone.
    /// @param to The receiver.
    /// @param amount The amount, in units of 10^-18 DATA.
    /// @param data Passed on to the receiver as it is.
    /// @return Always `true`.
    function transferAndCall(address to, uint256 amount, bytes calldata data) external returns (bool);
}
