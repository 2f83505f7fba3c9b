// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Scores of tickets: weighted rendezvous between brokers and partitions (WP 2.4.6)
/// @notice Pure integer arithmetic modulo 2^64, so that every implementation gets the same order.
library Scores {
    /// @dev 2^64 divided by the golden ratio, the step of splitmix64.
    uint64 private constant TICKET_STEP = 0x9E3779B97F4A7C15;

    /// @notice The key of a partition: the first 8 bytes of a hash of its number.
    function partitionKey(uint32 partition) internal pure returns (uint64) {
        return uint64(bytes8(keccak256(abi.encode("weir.partition", partition))));
    }

    /// @notice The key of a broker: the first 8 bytes of its draw, 1 where they are zero, because 0 is none.
    function brokerKey(bytes32 draw) internal pure returns (uint64) {
        uint64 key = uint64(bytes8(draw));
        return key == 0 ? 1 : key;
    }

    /// @notice The score of a ticket; the higher wins.
    function score(uint64 partition, uint64 broker, uint8 ticket) internal pure returns (uint64) {
        unchecked {
            return mix64(partition ^ (broker + uint64(ticket) * TICKET_STEP));
        }
    }

    /// @notice The finaliser of splitmix64, a bijection.
    function mix64(uint64 z) internal pure returns (uint64) {
        unchecked {
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }

    /// @notice Whether ticket (scoreA, brokerA) beats (scoreB, brokerB): by score, then by the lower broker
    /// index.
    function beats(
        uint64 scoreA,
        uint24 brokerA,
        uint64 scoreB,
        uint24 brokerB
    ) internal pure returns (bool) {
        return scoreA != scoreB ? scoreA > scoreB : brokerA < brokerB;
    }
}
