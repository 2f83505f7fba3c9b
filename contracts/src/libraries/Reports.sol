// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {INetworkCoordinator} from "../interfaces/INetworkCoordinator.sol";
import {Entries} from "./Entries.sol";
import {Lists} from "./Lists.sol";

/// @title What replicas sign (WP 2.4.6)
library Reports {
    using Lists for uint256[];

    bytes32 private constant REPORT_TYPEHASH = keccak256("Report(bytes32 root)");
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    /// @dev Half of the order of secp256k1, rounded down: s above it has a twin below (EIP-2).
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    bytes32 private constant NAME_HASH = keccak256("weir");
    bytes32 private constant VERSION_HASH = keccak256("1");

    /// @notice The root of a Merkle tree over at least one leaf: pairs are sorted before they are hashed, and
    /// an odd node goes up unchanged. The leaves are overwritten.
    function rootOf(uint256[] memory leaves) internal pure returns (bytes32) {
        unchecked {
            for (uint256 width = leaves.length; width > 1; width = (width + 1) / 2) {
                for (uint256 i = 0; i < width / 2; ++i) {
                    (bytes32 left, bytes32 right) = (bytes32(leaves.get(2 * i)), bytes32(leaves.get(2 * i + 1)));
                    leaves.set(i, uint256(Hashes.commutativeKeccak256(left, right)));
                }
                if (width % 2 == 1) leaves.set(width / 2, leaves.get(width - 1));
            }
            return bytes32(leaves.get(0));
        }
    }

    /// @notice The root that a report signed, from one of its entries.
    function rootOf(INetworkCoordinator.Report calldata report) internal pure returns (bytes32) {
        bytes32 leaf = Entries.leafOf(report.entry.summary, report.previous, report.entry.checksum);
        return MerkleProof.processProofCalldata(report.path, leaf);
    }

    /// @notice The EIP-712 domain of the calling contract.
    function domain() internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
    }

    /// @notice What is signed: the EIP-712 signing hash of `Report(bytes32 root)` in a domain.
    /// @dev Assembly here and below: what is hashed or handed over needs no memory of its own.
    function digestOf(bytes32 domain_, bytes32 root) internal pure returns (bytes32 digest) {
        bytes32 reportType = REPORT_TYPEHASH;
        assembly ("memory-safe") {
            mstore(0, reportType)
            mstore(32, root)
            let report := keccak256(0, 64)
            let data := mload(0x40)
            mstore(data, shl(240, 0x1901))
            mstore(add(data, 2), domain_)
            mstore(add(data, 34), report)
            digest := keccak256(data, 66)
        }
    }

    /// @notice Who made the signature at a position, which is below their number; see below.
    function signerOf(
        bytes32 digest,
        INetworkCoordinator.Signature[] calldata signatures,
        uint256 position
    ) internal view returns (address) {
        INetworkCoordinator.Signature calldata signature;
        assembly ("memory-safe") {
            signature := add(signatures.offset, shl(6, position))
        }
        return signerOf(digest, signature);
    }

    /// @notice Who signed a digest, in the form of EIP-2098; zero if nobody can have: s is in the upper half,
    /// or there is no such point.
    function signerOf(
        bytes32 digest,
        INetworkCoordinator.Signature calldata signature
    ) internal view returns (address signer) {
        assembly ("memory-safe") {
            let vs := calldataload(add(signature, 32))
            let s := shr(1, shl(1, vs))
            if iszero(gt(s, HALF_ORDER)) {
                let data := mload(0x40)
                mstore(data, digest)
                mstore(add(data, 32), add(27, shr(255, vs)))
                mstore(add(data, 64), calldataload(signature))
                mstore(add(data, 96), s)
                mstore(0, 0)
                // The precompile returns nothing for what is no signature, and the zero stays.
                pop(staticcall(gas(), 1, data, 128, 0, 32))
                signer := mload(0)
            }
        }
    }
}
