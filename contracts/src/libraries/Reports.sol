// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Entries} from "./Entries.sol";

/// @title What replicas sign (WP 2.4.6)
library Reports {
    bytes32 private constant REPORT_TYPEHASH = keccak256("Report(bytes32 root)");
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("weir");
    bytes32 private constant VERSION_HASH = keccak256("1");

    /// @notice The root of a Merkle tree over at least one leaf: pairs are sorted before they are hashed, and an odd node
    /// goes up unchanged. The leaves are overwritten.
    function rootOf(bytes32[] memory leaves) internal pure returns (bytes32) {
        unchecked {
            for (uint256 width = leaves.length; width > 1; width = (width + 1) / 2) {
                for (uint256 i = 0; i < width / 2; ++i) {
                    leaves[i] = Hashes.commutativeKeccak256(leaves[2 * i], leaves[2 * i + 1]);
                }
                if (width % 2 == 1) leaves[width / 2] = leaves[width - 1];
            }
            return leaves[0];
        }
    }

    /// @notice The root that a report signed, from one of its entries.
    function rootOf(INetworkCoordinator.Report calldata report) internal pure returns (bytes32) {
        bytes32 leaf = Entries.leafOf(report.entry.summary, report.previous, report.entry.checksum);
        return MerkleProof.processProofCalldata(report.path, leaf);
    }

    /// @notice What is signed: the EIP-712 signing hash of `Report(bytes32 root)` in the domain of the calling contract.
    /// @dev The domain is hashed anew: that costs no more than checking whether a kept one is still this chain's.
    function digestOf(bytes32 root) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, block.chainid, address(this))
        );
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(REPORT_TYPEHASH, root)));
    }
}
