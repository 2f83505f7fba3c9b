// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Tallies: who signed and who missed how many seals (WP 2.4.6, 2.4.7)
/// @notice Misses have 2 bits a seat, counts 8 bits a seat. A tally is settled before either is full.
library Tallies {
    /// @notice At so many misses of one seat a tally is settled.
    uint256 internal constant MISSES = 3;
    /// @notice At so many seals a tally is settled.
    uint256 internal constant SEALS = 255;
    /// @dev The lower bit of each seat.
    uint256 private constant LOWER = 0x5555;

    /// @notice The misses with one more for each seat of a mask; none of these has three.
    function missed(uint256 misses, uint256 mask) internal pure returns (uint256) {
        unchecked {
            uint256 spread = (mask | (mask << 4)) & 0x0F0F;
            spread = (spread | (spread << 2)) & 0x3333;
            return misses + ((spread | (spread << 1)) & LOWER);
        }
    }

    /// @notice Whether a tally has no place for another miss or seal.
    function isFull(uint256 misses, uint256 seals) internal pure returns (bool) {
        return seals == SEALS || misses & (misses >> 1) & LOWER != 0;
    }

    /// @notice The misses of a seat, or what is left of its probation.
    function at(uint256 misses, uint256 seat) internal pure returns (uint256) {
        return (misses >> (2 * seat)) & 3;
    }

    /// @notice The counts of the seats of a mask: what each signed of `seals`, and what it missed.
    function countsOf(
        uint256 taken,
        uint256 seals,
        uint256 misses
    ) internal pure returns (uint64 signedCounts, uint64 missedCounts) {
        unchecked {
            for (uint256 seat = 0; taken >> seat != 0; ++seat) {
                if ((taken >> seat) & 1 == 0) continue;
                uint256 silent = at(misses, seat);
                signedCounts |= uint64((seals - silent) << (8 * seat));
                missedCounts |= uint64(silent << (8 * seat));
            }
        }
    }

    /// @notice The count of a seat.
    function countAt(uint64 counts, uint256 seat) internal pure returns (uint256) {
        return uint8(counts >> (8 * seat));
    }
}
