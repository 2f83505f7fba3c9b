// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Batches of events as publishers sign them (WP 2.4.1, 2.4.9)
library Batches {
    /// @notice What a publisher signs for a run of events of one lane. Times are milliseconds since 1970 UTC.
    struct Header {
        uint8 version;
        address stream;
        uint32 streamPartition;
        uint8 originType;
        address origin;
        uint64 openingBlock;
        bytes16 nonce;
        uint64 sequence;
        uint32 count;
        uint64 volume;
        uint64 firstTime;
        uint64 lastTime;
        bytes32 previous;
        bytes32 root;
        address signer;
        bytes32 certificate;
        uint8 signatureType;
    }

    /// @notice The fields of an event that come before its content.
    struct EventFields {
        uint64 timestamp;
        uint8 contentType;
        uint8 encryptionType;
        uint256 keyIdLength;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant BATCH_TYPEHASH = keccak256(
        "Batch(uint8 version,address stream,uint32 streamPartition,uint8 originType,address origin,uint64 openingBlock,bytes16 nonce,uint64 sequence,uint32 count,uint64 volume,uint64 firstTime,uint64 lastTime,bytes32 previous,bytes32 root,address signer,bytes32 certificate,uint8 signatureType)"
    );
    bytes32 private constant SESSION_TYPEHASH =
        keccak256("Session(address stream,address origin,address key,uint64 expiryBlock,uint8 signatureType)");
    uint256 private constant SIGNATURE_BYTES = 65;
    /// @dev Expiry block 8, signature type 1, signature length 1, signature.
    uint256 private constant CERTIFICATE_BYTES = 75;
    uint32 private constant MAXIMUM_EVENTS = 4096;
    uint256 private constant MAXIMUM_KEY_ID_BYTES = 32;

    /// @notice The id of a lane.
    function laneOf(
        address stream,
        uint32 streamPartition,
        uint8 originType,
        address origin,
        uint64 openingBlock,
        bytes16 nonce
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(stream, streamPartition, originType, origin, openingBlock, nonce));
    }

    /// @notice What is signed for a header's or a session's digest, in the EIP-712 domain of the stream.
    function signingHashOf(address stream, bytes32 digest) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("weir"), keccak256("1"), block.chainid, stream)
        );
        return keccak256(abi.encodePacked(bytes2(0x1901), domain, digest));
    }

    /// @notice The header's digest: its EIP-712 struct hash.
    function digestOf(Header calldata header) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_TYPEHASH, header));
    }

    /// @notice Who a header's signature recovers to, and whether its origin signs for itself or has certified the
    /// signer's session: for the lane's stream, on this chain, up to a block after the lane's opening block.
    /// @param header A header that breaks no rule.
    /// @param digest Its digest.
    /// @param proof Its signature, and after it the session certificate if it names one, as in a batch.
    /// @return certified Whether the signer acts for the origin.
    /// @return signer Who signed the header; zero for nobody, and where nobody was certified.
    /// @return expiryBlock The first block in which the session is over.
    function recoverSigner(Header calldata header, bytes32 digest, bytes calldata proof)
        internal
        view
        returns (bool certified, address signer, uint64 expiryBlock)
    {
        bytes32 certificate = header.certificate;
        if (certificate == 0) {
            (signer,,) = ECDSA.tryRecoverCalldata(signingHashOf(header.stream, digest), proof);
            return (true, signer, type(uint64).max);
        }
        if (proof.length != SIGNATURE_BYTES + CERTIFICATE_BYTES) return (false, address(0), 0);
        expiryBlock = uint64(bytes8(proof[SIGNATURE_BYTES:]));
        // Of the signature type and length that a contract can check.
        if (bytes2(proof[SIGNATURE_BYTES + 8:]) != 0x0141) return (false, address(0), 0);
        bytes32 named = keccak256(
            abi.encode(SESSION_TYPEHASH, header.stream, header.origin, header.signer, expiryBlock, uint8(1))
        );
        if (named != certificate || header.openingBlock >= expiryBlock) return (false, address(0), 0);
        (address wallet,,) = ECDSA.tryRecoverCalldata(
            signingHashOf(header.stream, certificate), proof[SIGNATURE_BYTES + 10:]
        );
        if (wallet != header.origin || wallet == address(0)) return (false, address(0), 0);
        (signer,,) =
            ECDSA.tryRecoverCalldata(signingHashOf(header.stream, digest), proof[:SIGNATURE_BYTES]);
        return (true, signer, expiryBlock);
    }

    /// @notice The first field that no header can have so, or zero: the rules that a header alone can break.
    function brokenField(Header calldata header) internal pure returns (bytes32) {
        if (header.version != 1) return "version";
        if (header.originType != 0) return "originType";
        bool uncertified = header.certificate == 0;
        if (header.signer != header.origin && uncertified) return "signer";
        if (header.signer == header.origin && !uncertified) return "certificate";
        if (header.signatureType != 1) return "signatureType";
        if (header.count == 0 || header.count > MAXIMUM_EVENTS) return "count";
        if (header.sequence > type(uint64).max - header.count) return "sequence";
        if (header.lastTime < header.firstTime) return "lastTime";
        return 0;
    }

    /// @notice The leaf of an encoded event.
    function eventLeaf(uint64 sequence, bytes calldata encoded) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), sequence, encoded));
    }

    /// @notice Reads an encoded event: time [8], content type [1], encryption type [1], key id length [1], key id,
    /// content length [4], content.
    /// @return whole Whether it is well formed from the first byte to the last.
    /// @return fields What stands before the content.
    /// @return content The content.
    function parseEvent(bytes calldata encoded)
        internal
        pure
        returns (bool whole, EventFields memory fields, bytes calldata content)
    {
        content = encoded[0:0];
        if (encoded.length < 15) return (false, fields, content);
        fields.timestamp = uint64(bytes8(encoded[0:8]));
        fields.contentType = uint8(encoded[8]);
        fields.encryptionType = uint8(encoded[9]);
        fields.keyIdLength = uint8(encoded[10]);
        uint256 start = 15 + fields.keyIdLength;
        if (fields.keyIdLength > MAXIMUM_KEY_ID_BYTES || encoded.length < start) return (false, fields, content);
        uint256 length = uint32(bytes4(encoded[start - 4:start]));
        if (encoded.length != start + length) return (false, fields, content);
        return (true, fields, encoded[start:]);
    }
}
