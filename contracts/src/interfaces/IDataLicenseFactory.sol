// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDataLicense} from "./IDataLicense.sol";

/// @title Where products come to the market (WP 2.3, 2.5.4)
interface IDataLicenseFactory {
    /// @notice A product is offered. Its contract sells licences once every stream lets it grant.
    event ProductOffered(address indexed license, address indexed provider, IDataLicense.Product product);

    /// @notice There are only `count` products.
    error ProductIndexOutOfRange(uint256 index, uint256 count);

    /// @notice Offers a product of the caller, who must own, or be allowed to grant on, every stream.
    /// @dev Afterwards the caller gives the new contract `canGrant` on every stream (`setPermission`).
    /// @return license The product's contract.
    function offer(IDataLicense.Product calldata product) external returns (address license);

    /// @notice Whether this factory created the contract.
    function exists(address license) external view returns (bool);

    /// @notice The number of products.
    function productCount() external view returns (uint256);

    /// @notice A product's contract, `index` below `productCount`, in the order of their offers.
    function productAt(uint256 index) external view returns (address);

    /// @notice The DataLicense contract that every clone runs.
    function implementation() external view returns (address);
}
