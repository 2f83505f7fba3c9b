// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";

/// @title What replicas sign (WP 2.4.6)
library Reports {
    bytes32 private constant REPORT_TYPEHASH = keccak256("Report(bytes32 root)");

    /// @notice The root of a single entry: the hash of its fields, each padded to 32 bytes, in their order.
    function rootOf(INetworkCoordinator.Entry calldata entry) internal pure returns (bytes32) {
        return keccak256(abi.encode(entry));
    }

    /// @notice The root that a report signed, from one of its entries. Leaves are 256 bytes long and nodes 64, so
    /// that neither passes for the other.
    function rootOf(INetworkCoordinator.Report calldata report) internal pure returns (bytes32) {
        return MerkleProof.processProofCalldata(report.path, rootOf(report.entry));
    }

    /// @notice The EIP-712 struct hash of a report.
    function structHash(bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encode(REPORT_TYPEHASH, root));
    }
}
