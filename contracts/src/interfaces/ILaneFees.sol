// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batches} from "../libraries/Batches.sol";

/// @title Fees for lanes and sessions (WP 2.4.7)
/// @notice A publisher allots DATA to (itself, stream partition), a subscriber to (itself, edge broker). A lane's
/// signed header is a voucher for all of the lane so far: once it is a head in a sealed cut of the coordinator,
/// anybody settles it. A subscriber's signed receipt is a voucher for a session, which the edge settles. Settled
/// meters never fall. Two headers of one lane that contradict each other cost the publisher a share.
///
/// Of what is charged a share is burned; the rest of a lane's goes to the coordinator, whose reserve is the
/// network's one pool, and the rest of a receipt's to the edge. What an allotment lacks is not owed later but
/// recorded as its shortfall. The contract holds the sum of the allotments (`deposits`) and nothing else but what
/// somebody gave it by a plain transfer. Amounts are in units of 10^-18 DATA.
interface ILaneFees {
    /// @notice What is fixed when the contract is deployed.
    /// @dev eventPrice, bytePrice: at most 10^18. freeEvents, freeVolume: what of each lane is free. Shares are in
    /// basis points: burnShare of each charge, slashShare of an allotment for a proven fork, reporterShare of that.
    /// noticeEpochs: epochs of the coordinator from asking for an allotment back to getting it.
    struct Params {
        uint256 eventPrice;
        uint256 bytePrice;
        uint64 freeEvents;
        uint64 freeVolume;
        uint16 burnShare;
        uint16 slashShare;
        uint16 reporterShare;
        uint64 noticeEpochs;
    }

    /// @notice Tokens set aside: `leaving` of `amount` are asked back and can be had after `withdrawableEpoch`;
    /// `shortfall` is what settlements found missing so far.
    struct Allotment {
        uint128 amount;
        uint128 leaving;
        uint128 shortfall;
        uint64 withdrawableEpoch;
    }

    /// @notice How far a lane or a session is settled, and whether a fork of the lane is paid for.
    struct Meter {
        uint64 events;
        uint64 volume;
        bool slashed;
    }

    /// @notice A seal after the cut: its epoch and the Merkle root over its cut.
    struct Seal {
        uint64 epoch;
        bytes32 root;
    }

    /// @notice The way from a lane's head to the checksum that the coordinator has: the Merkle path of leaf `index`
    /// of `count`, the checksum before the cut, and the seals since, oldest first.
    struct CutProof {
        uint32 partition;
        uint64 epoch;
        bytes32 previous;
        uint32 index;
        uint32 count;
        bytes32[] path;
        Seal[] later;
    }

    /// @notice What a subscriber signs as EIP-712 data in this contract's domain: events and content bytes that the
    /// edge delivered in the session so far.
    struct Receipt {
        address edge;
        bytes32 session;
        uint64 events;
        uint64 volume;
    }

    /// @notice The contract exists, with these parameters.
    event FeesOpened(
        uint256 eventPrice,
        uint256 bytePrice,
        uint64 freeEvents,
        uint64 freeVolume,
        uint16 burnShare,
        uint16 slashShare,
        uint16 reporterShare,
        uint64 noticeEpochs
    );

    /// @notice A publisher allotted more.
    event Allotted(
        address indexed publisher,
        address indexed stream,
        uint32 indexed streamPartition,
        uint256 amount
    );

    /// @notice A publisher wants this much back after epoch `withdrawableEpoch`; 0 takes the request back.
    event WithdrawalRequested(
        address indexed publisher,
        address indexed stream,
        uint32 indexed streamPartition,
        uint256 amount,
        uint64 withdrawableEpoch
    );

    /// @notice A publisher got this much back.
    event Withdrawn(
        address indexed publisher,
        address indexed stream,
        uint32 indexed streamPartition,
        uint256 amount
    );

    /// @notice A lane is paid for up to here; `shortfall` is what the allotment lacked.
    event LaneSettled(
        bytes32 indexed lane,
        address indexed publisher,
        address indexed stream,
        uint32 streamPartition,
        uint64 events,
        uint64 volume,
        uint256 charged,
        uint256 shortfall
    );

    /// @notice A publisher forked a lane and lost `slashed`, of which the reporter got `rewarded`.
    event AllotmentSlashed(
        bytes32 indexed lane,
        address indexed publisher,
        address indexed reporter,
        address stream,
        uint32 streamPartition,
        uint256 slashed,
        uint256 rewarded
    );

    /// @notice A subscriber allotted more.
    event AllottedToEdge(address indexed subscriber, address indexed edge, uint256 amount);

    /// @notice A subscriber wants this much back after epoch `withdrawableEpoch`; 0 takes the request back.
    event EdgeWithdrawalRequested(
        address indexed subscriber,
        address indexed edge,
        uint256 amount,
        uint64 withdrawableEpoch
    );

    /// @notice A subscriber got this much back.
    event EdgeWithdrawn(address indexed subscriber, address indexed edge, uint256 amount);

    /// @notice A session is paid for up to here; `shortfall` is what the allotment lacked.
    event ReceiptSettled(
        address indexed subscriber,
        address indexed edge,
        bytes32 indexed session,
        uint64 events,
        uint64 volume,
        uint256 charged,
        uint256 shortfall
    );

    /// @notice A constructor parameter must lie between `minimum` and `maximum`.
    error ParameterOutOfRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum);

    /// @notice There must be a contract at this address.
    error ContractMissing(address account);

    /// @notice An amount must lie between `minimum` and `maximum`.
    error AmountOutOfRange(uint256 amount, uint256 minimum, uint256 maximum);

    /// @notice More was asked back than is allotted.
    error AllotmentTooSmall(uint256 amount, uint256 allotted);

    /// @notice Nothing was asked back there.
    error NoWithdrawalRequested(address account);

    /// @notice The notice is not over; it is after `withdrawableEpoch`.
    error WithdrawalLocked(uint64 withdrawableEpoch, uint64 currentEpoch);

    /// @notice Only brokers that registered are edges.
    error NotABroker(address edge);

    /// @notice Only the edge settles its receipts.
    error NotTheEdge(address caller, address edge);

    /// @notice The header breaks a rule of the format, or is signed in a way that no contract can check.
    error InvalidHeader(bytes32 digest);

    /// @notice The header is not signed by its signer.
    error InvalidHeaderSignature(bytes32 digest);

    /// @notice No certificate of the origin's is given that lets the signer sign in this lane.
    error InvalidSession(bytes32 digest, bytes32 certificate);

    /// @notice The receipt is not signed by its subscriber.
    error InvalidReceiptSignature(bytes32 session);

    /// @notice The lane is settled up to `settled` events already.
    error AlreadySettled(bytes32 lane, uint64 events, uint64 settled);

    /// @notice The lane is settled up to more bytes than the header says.
    error MeterFalls(bytes32 lane, uint64 volume, uint64 settled);

    /// @notice The session is settled up to here; a receipt must add something and take nothing back.
    error ReceiptAlreadySettled(bytes32 session, uint64 events, uint64 volume);

    /// @notice At most `maximum` seals may lie between the cut and the checksum on chain.
    error TooManySeals(uint256 given, uint256 maximum);

    /// @notice The Merkle path does not have the length that position and count demand.
    error InvalidCutProof(uint32 index, uint32 count, uint256 pathLength);

    /// @notice The proof leads to another checksum than the coordinator has.
    error CutNotSealed(uint32 partition, bytes32 given, bytes32 stored);

    /// @notice The headers do not contradict each other.
    error HeadersAgree(bytes32 first, bytes32 second);

    /// @notice A fork of this lane is paid for.
    error AlreadySlashed(bytes32 lane);

    /// @notice The allotment has nothing to slash.
    error NothingToSlash(bytes32 lane);

    /// @notice Takes tokens that the caller approved and sets them aside for what it publishes there.
    function allot(address stream, uint32 streamPartition, uint256 amount) external;

    /// @notice Asks for a part of the caller's allotment back; replaces an earlier request, and 0 takes it back.
    function requestWithdrawal(address stream, uint32 streamPartition, uint256 amount) external;

    /// @notice Pays out what was asked for, or what settlements left of it, once the notice is over.
    function withdraw(address stream, uint32 streamPartition) external;

    /// @notice Settles a lane up to a header that is its head in a sealed cut. By anybody.
    /// @param header The header.
    /// @param signature Its signer's: r, s (low), v of 32, 32 and 1 bytes; after it the session certificate, if the
    /// header names one: expiry block, signature type (1), signature length (65), r, s (low), v of 8, 1, 1, 32, 32
    /// and 1 bytes.
    /// @param proof That the header is a head in a sealed cut.
    function settle(
        Batches.Header calldata header,
        bytes calldata signature,
        CutProof calldata proof
    ) external;

    /// @notice Slashes a publisher for two signed headers of one lane that overlap with different digests, or adjoin
    /// with a wrong `previous`; once a lane. By anybody, who gets the reporter's share. Signatures are as in `settle`.
    function proveFork(
        Batches.Header calldata first,
        bytes calldata firstSignature,
        Batches.Header calldata second,
        bytes calldata secondSignature
    ) external;

    /// @notice Takes tokens that the caller approved and sets them aside for what this broker delivers to it.
    function allotToEdge(address edge, uint256 amount) external;

    /// @notice Asks for a part of what the caller allotted to the edge back; as `requestWithdrawal`.
    function requestEdgeWithdrawal(address edge, uint256 amount) external;

    /// @notice Pays out what was asked for, as `withdraw`.
    function withdrawFromEdge(address edge) external;

    /// @notice Settles a session up to a receipt. By the edge.
    function settleReceipt(address subscriber, Receipt calldata receipt, bytes calldata signature) external;

    /// @notice The sum of all allotments.
    function deposits() external view returns (uint128);

    /// @notice A publisher's allotment.
    function allotmentOf(
        address publisher,
        address stream,
        uint32 streamPartition
    ) external view returns (Allotment memory);

    /// @notice What a subscriber allotted to an edge.
    function edgeAllotmentOf(address subscriber, address edge) external view returns (Allotment memory);

    /// @notice How far a lane is settled.
    function laneMeter(bytes32 lane) external view returns (Meter memory);

    /// @notice How far a session is settled.
    function sessionMeter(address subscriber, address edge, bytes32 session)
        external
        view
        returns (Meter memory);

    /// @notice What the contract was deployed with.
    function params() external view returns (Params memory);

    /// @notice The coordinator whose seals count and whose reserve is the pool.
    function coordinator() external view returns (address);

    /// @notice The token.
    function token() external view returns (address);

    /// @notice Where exchanges are credited.
    function karma() external view returns (address);
}
