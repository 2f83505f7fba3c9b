// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IKarma} from "./interfaces/IKarma.sol";

/// @title Karma (WP 3)
/// @notice An account's credits are kept by period in a ring of `halvings` places: the period that would take
/// another one's place comes when that one has expired. So a credit writes one slot, and reading sums a bounded
/// number of them.
contract Karma is IKarma {
    uint8 private constant MAXIMUM_HALVINGS = 32;
    uint256 private constant MAXIMUM_CREDIT = type(uint96).max;

    /// @dev What was credited in a period.
    struct Bucket {
        uint64 period;
        uint192 amount;
    }

    /// @inheritdoc IKarma
    address public immutable founder;
    /// @inheritdoc IKarma
    uint64 public immutable halvingSeconds;
    /// @inheritdoc IKarma
    uint8 public immutable halvings;

    /// @inheritdoc IKarma
    bool public closed;
    /// @inheritdoc IKarma
    mapping(address account => bool) public isCreditor;

    mapping(address account => mapping(uint256 place => Bucket)) private _buckets;

    /// @param halvingSeconds_ Seconds in which karma halves, at least 1.
    /// @param halvings_ After so many halvings it has expired: 1 to 32.
    constructor(uint64 halvingSeconds_, uint8 halvings_) {
        if (halvingSeconds_ == 0) {
            revert ParameterOutOfRange("halvingSeconds", halvingSeconds_, 1, type(uint64).max);
        }
        if (halvings_ == 0 || halvings_ > MAXIMUM_HALVINGS) {
            revert ParameterOutOfRange("halvings", halvings_, 1, MAXIMUM_HALVINGS);
        }
        founder = msg.sender;
        halvingSeconds = halvingSeconds_;
        halvings = halvings_;
        emit KarmaFounded(msg.sender, halvingSeconds_, halvings_);
    }

    /// @inheritdoc IKarma
    function authorise(address creditor) external {
        _requireFounder();
        if (isCreditor[creditor]) revert AlreadyCreditor(creditor);
        isCreditor[creditor] = true;
        emit CreditorAuthorised(creditor);
    }

    /// @inheritdoc IKarma
    function closeFounding() external {
        _requireFounder();
        closed = true;
        emit FoundingClosed();
    }

    /// @inheritdoc IKarma
    function credit(address account, uint256 amount) external {
        if (!isCreditor[msg.sender]) revert NotCreditor(msg.sender);
        if (amount > MAXIMUM_CREDIT) revert CreditOutOfRange(amount, MAXIMUM_CREDIT);
        uint64 period = uint64(block.timestamp) / halvingSeconds;
        Bucket storage bucket = _buckets[account][period % halvings];
        if (bucket.period == period) {
            bucket.amount += uint192(amount);
        } else {
            bucket.period = period;
            bucket.amount = uint192(amount);
        }
        emit KarmaCredited(account, msg.sender, amount);
    }

    /// @inheritdoc IKarma
    function karmaOf(address account) external view returns (uint256 sum) {
        uint64 period = uint64(block.timestamp) / halvingSeconds;
        for (uint256 place = 0; place < halvings; ++place) {
            Bucket storage bucket = _buckets[account][place];
            uint64 age = period - bucket.period;
            if (age < halvings) sum += bucket.amount >> age;
        }
    }

    function _requireFounder() private view {
        if (msg.sender != founder) revert NotFounder(msg.sender);
        if (closed) revert FoundingIsClosed();
    }
}
