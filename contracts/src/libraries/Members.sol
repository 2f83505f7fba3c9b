// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Sets of brokers in 192 bits
/// @notice Seat i is the 24 bits from bit 24 * i; broker 0 is a vacant seat. A mask has bit i for seat i. Seats are
/// compared all at once, because every seal asks for each signer where it sits.
library Members {
    /// @dev One in each seat.
    uint256 private constant ONES = 0x000001000001000001000001000001000001000001000001;
    /// @dev The highest bit of each seat, and all bits below it.
    uint256 private constant HIGHS = ONES << 23;
    uint256 private constant LOWS = ONES * 0x7FFFFF;
    /// @dev Multiplied with a bit at each 24 * i these land side by side from bit 161: bit 24 * i times 2^(161 - 23 * i)
    /// is bit 161 + i, and no two other products meet there or carry into it.
    uint256 private constant GATHER = (1 << 161) | (1 << 138) | (1 << 115) | (1 << 92) | (1 << 69) | (1 << 46)
        | (1 << 23) | 1;

    /// @notice Seats of a set.
    uint8 internal constant CAPACITY = 8;

    /// @notice What `seatOf` returns when there is no such seat.
    uint8 internal constant NONE = type(uint8).max;

    /// @notice The broker in a seat, 0 if vacant.
    function at(uint192 set, uint256 seat) internal pure returns (uint24) {
        unchecked {
            return uint24(set >> (24 * seat));
        }
    }

    /// @notice The set with one seat replaced.
    function put(uint192 set, uint256 seat, uint24 broker) internal pure returns (uint192) {
        unchecked {
            uint256 shift = 24 * seat;
            return uint192((set & ~(uint256(type(uint24).max) << shift)) | (uint256(broker) << shift));
        }
    }

    /// @notice The mask of the seats that somebody sits in.
    function taken(uint192 set) internal pure returns (uint256) {
        return _gather(_occupied(set));
    }

    /// @notice The mask of the seats of a broker, which is not 0: one bit, or none.
    function seatsOf(uint192 set, uint24 broker) internal pure returns (uint256) {
        unchecked {
            return _gather(~_occupied(set ^ (ONES * broker)) & HIGHS);
        }
    }

    /// @notice Whether a broker, which is not 0, sits there.
    function contains(uint192 set, uint24 broker) internal pure returns (bool) {
        unchecked {
            return ~_occupied(set ^ (ONES * broker)) & HIGHS != 0;
        }
    }

    /// @notice The lowest seat of a broker, of a vacancy if it is 0, or NONE.
    function seatOf(uint192 set, uint24 broker) internal pure returns (uint8) {
        unchecked {
            for (uint8 seat = 0; seat < CAPACITY; ++seat) {
                if (at(set, seat) == broker) return seat;
            }
            return NONE;
        }
    }

    /// @notice The lowest vacant seat among the first `replicas`, or NONE.
    function vacancy(uint192 set, uint8 replicas) internal pure returns (uint8) {
        uint8 seat = seatOf(set, 0);
        return seat < replicas ? seat : NONE;
    }

    /// @notice A list of `count` brokers with one more, kept ascending by index.
    function insertAscending(uint192 list, uint256 count, uint24 broker) internal pure returns (uint192) {
        unchecked {
            uint256 place = count;
            while (place > 0 && at(list, place - 1) > broker) --place;
            uint256 below = (uint256(1) << (24 * place)) - 1;
            return uint192((list & below) | (uint256(broker) << (24 * place)) | ((list & ~below) << 24));
        }
    }

    /// @dev The highest bit of each seat that is not 0.
    function _occupied(uint256 set) private pure returns (uint256) {
        unchecked {
            return (((set & LOWS) + LOWS) | set) & HIGHS;
        }
    }

    function _gather(uint256 highs) private pure returns (uint256) {
        unchecked {
            return (((highs >> 23) * GATHER) >> 161) & 0xFF;
        }
    }
}
