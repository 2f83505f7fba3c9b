// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {DataLicense} from "./DataLicense.sol";
import {IDataLicense} from "./interfaces/IDataLicense.sol";
import {IDataLicenseFactory} from "./interfaces/IDataLicenseFactory.sol";

/// @title The factory of products (WP 2.3, 2.5.4)
/// @notice Nobody has privileges here. Each product is a minimal proxy of its own, so that its balance is its escrow.
contract DataLicenseFactory is IDataLicenseFactory {
    /// @inheritdoc IDataLicenseFactory
    address public immutable implementation;

    /// @inheritdoc IDataLicenseFactory
    mapping(address license => bool) public exists;

    address[] private _products;

    /// @param token The DATA token.
    /// @param registry The registry that must know the streams.
    /// @param coordinator Whose sealed cuts prove deliveries.
    constructor(address token, address registry, address coordinator) {
        implementation = address(new DataLicense(token, registry, coordinator));
    }

    /// @inheritdoc IDataLicenseFactory
    function offer(IDataLicense.Product calldata product) external returns (address license) {
        license = Clones.clone(implementation);
        exists[license] = true;
        _products.push(license);
        emit ProductOffered(license, msg.sender, product);
        IDataLicense(license).initialize(msg.sender, product);
    }

    /// @inheritdoc IDataLicenseFactory
    function productCount() external view returns (uint256) {
        return _products.length;
    }

    /// @inheritdoc IDataLicenseFactory
    function productAt(uint256 index) external view returns (address) {
        if (index >= _products.length) revert ProductIndexOutOfRange(index, _products.length);
        return _products[index];
    }
}
