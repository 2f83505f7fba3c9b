// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Targets in one word
/// @notice Seat i is the 32 bits from bit 32 * i: `broker << 8 | ticket`. Broker 0 is a vacant seat.
library Seats {
    /// @notice Seats that fit in a word.
    uint8 internal constant CAPACITY = 8;

    /// @notice What `findBroker` returns when there is no such seat.
    uint8 internal constant NONE = type(uint8).max;

    /// @notice The broker in a seat, 0 if vacant.
    function brokerAt(uint256 set, uint8 seat) internal pure returns (uint24) {
        unchecked {
            return uint24(set >> (32 * uint256(seat) + 8));
        }
    }

    /// @notice The ticket in a seat.
    function ticketAt(uint256 set, uint8 seat) internal pure returns (uint8) {
        unchecked {
            return uint8(set >> (32 * uint256(seat)));
        }
    }

    /// @notice The set with one seat replaced.
    function put(uint256 set, uint8 seat, uint24 broker, uint8 ticket) internal pure returns (uint256) {
        unchecked {
            uint256 shift = 32 * uint256(seat);
            uint256 packed = (uint256(broker) << 8) | ticket;
            return (set & ~(uint256(type(uint32).max) << shift)) | (packed << shift);
        }
    }

    /// @notice The seat of a broker, or NONE.
    function findBroker(uint256 set, uint24 broker) internal pure returns (uint8) {
        unchecked {
            for (uint8 seat = 0; seat < CAPACITY; ++seat) {
                if (brokerAt(set, seat) == broker) return seat;
            }
            return NONE;
        }
    }

    /// @notice q for R seats: any two quorums share more than f = (R - 1) / 3 seats.
    function quorumOf(uint8 replicas) internal pure returns (uint8) {
        return (replicas + (replicas - 1) / 3) / 2 + 1;
    }

    /// @notice How many newcomers one certificate lets in: those who stay are a quorum, if R > q.
    function newcomerLimit(uint8 replicas) internal pure returns (uint8) {
        uint8 quorum = quorumOf(replicas);
        return replicas > quorum + 1 ? replicas - quorum : 1;
    }
}
