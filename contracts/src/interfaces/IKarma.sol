// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Karma: how much somebody exchanged lately (WP 3)
/// @notice Contracts that move DATA for data, the creditors, credit both sides with what was exchanged. What was
/// credited in a period of `halvingSeconds` counts n periods later as `amount >> n`, and not at all after
/// `halvings` periods. Karma moves to nobody, buys nothing, and is never more than what was exchanged. Amounts
/// are in units of 10^-18 DATA.
interface IKarma {
    /// @notice The contract exists. `founder` names the creditors.
    event KarmaFounded(address indexed founder, uint64 halvingSeconds, uint8 halvings);

    /// @notice A contract may credit from now on.
    event CreditorAuthorised(address indexed creditor);

    /// @notice No further creditor can be named.
    event FoundingClosed();

    /// @notice An account exchanged this much.
    event KarmaCredited(address indexed account, address indexed creditor, uint256 amount);

    /// @notice A constructor parameter must lie between `minimum` and `maximum`.
    error ParameterOutOfRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum);

    /// @notice Only the founder names creditors.
    error NotFounder(address caller);

    /// @notice The creditors are fixed.
    error FoundingIsClosed();

    /// @notice This contract may credit already.
    error AlreadyCreditor(address creditor);

    /// @notice Only creditors credit.
    error NotCreditor(address caller);

    /// @notice A credit is at most `maximum`.
    error CreditOutOfRange(uint256 amount, uint256 maximum);

    /// @notice By the founder: lets a contract credit, for good.
    function authorise(address creditor) external;

    /// @notice By the founder: fixes the creditors for good.
    function closeFounding() external;

    /// @notice By creditors: this account exchanged this much.
    function credit(address account, uint256 amount) external;

    /// @notice What an account's credits are worth now.
    function karmaOf(address account) external view returns (uint256);

    /// @notice Whether a contract may credit.
    function isCreditor(address account) external view returns (bool);

    /// @notice Who deployed the contract.
    function founder() external view returns (address);

    /// @notice Whether the creditors are fixed.
    function closed() external view returns (bool);

    /// @notice Seconds in which karma halves.
    function halvingSeconds() external view returns (uint64);

    /// @notice The number of halvings after which karma has expired.
    function halvings() external view returns (uint8);
}
