// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IDataCoin} from "./interfaces/IDataCoin.sol";
import {ITokenReceiver} from "./interfaces/ITokenReceiver.sol";

/// @title DATAcoin (WP 3)
/// @notice The whole supply is minted once, to one holder; nothing mints or burns afterwards.
contract DataCoin is ERC20Permit, IDataCoin {
    /// @param holder Receives the whole supply.
    /// @param supply In units of 10^-18 DATA.
    constructor(address holder, uint256 supply) ERC20("DATAcoin", "DATA") ERC20Permit("DATAcoin") {
        _mint(holder, supply);
    }

    /// @inheritdoc IDataCoin
    function transferAndCall(address to, uint256 amount, bytes calldata data) external returns (bool) {
        _transfer(msg.sender, to, amount);
        if (to.code.length > 0) ITokenReceiver(to).onTokenTransfer(msg.sender, amount, data);
        return true;
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }
}
