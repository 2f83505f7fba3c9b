// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IKarma} from "./interfaces/IKarma.sol";
import {ILaneFees} from "./interfaces/ILaneFees.sol";
import {INetworkCoordinator} from "./interfaces/INetworkCoordinator.sol";
import {Batches} from "./libraries/Batches.sol";
import {Cuts} from "./libraries/Cuts.sol";
import {MerklePaths} from "./libraries/MerklePaths.sol";

/// @title Fees for lanes and sessions (WP 2.4.7)
/// @notice Nobody has privileges here. The token must move exactly the amount it is told to and call nobody when it
/// does; the coordinator and Karma are trusted to be what they are called.
contract LaneFees is ILaneFees, EIP712 {
    using SafeERC20 for IERC20;

    /// @dev Where the burned share goes: nobody has its key.
    address private constant BURNED = 0x000000000000000000000000000000000000dEaD;
    bytes32 private constant RECEIPT_TYPEHASH =
        keccak256("Receipt(address edge,bytes32 session,uint64 events,uint64 volume)");
    uint16 private constant FULL_SHARE = 10_000;
    uint256 private constant MAXIMUM_PRICE = 1e18;
    uint256 private constant MAXIMUM_AMOUNT = type(uint96).max;
    uint256 private constant MAXIMUM_LATER_SEALS = 256;

    IERC20 private immutable _token;
    INetworkCoordinator private immutable _coordinator;
    IKarma private immutable _karma;
    uint256 private immutable _eventPrice;
    uint256 private immutable _bytePrice;
    uint64 private immutable _freeEvents;
    uint64 private immutable _freeVolume;
    uint16 private immutable _burnShare;
    uint16 private immutable _slashShare;
    uint16 private immutable _reporterShare;
    uint64 private immutable _noticeEpochs;

    /// @inheritdoc ILaneFees
    uint128 public deposits;

    /// @dev By (publisher, stream, stream partition).
    mapping(address => mapping(address => mapping(uint32 => Allotment))) private _allotments;
    /// @dev By (subscriber, edge).
    mapping(address => mapping(address => Allotment)) private _edgeAllotments;
    mapping(bytes32 lane => Meter) private _lanes;
    /// @dev By (subscriber, edge, session).
    mapping(address => mapping(address => mapping(bytes32 => Meter))) private _sessions;

    /// @param token_ The DATA token.
    /// @param coordinator_ Whose seals count and whose reserve is the pool.
    /// @param karma_ Where exchanges are credited; it must name this contract a creditor.
    /// @param p Fixed for the life of this contract.
    constructor(address token_, address coordinator_, address karma_, Params memory p) EIP712("weir", "1") {
        if (token_.code.length == 0) revert ContractMissing(token_);
        if (coordinator_.code.length == 0) revert ContractMissing(coordinator_);
        if (karma_.code.length == 0) revert ContractMissing(karma_);
        _requireAtMost("eventPrice", p.eventPrice, MAXIMUM_PRICE);
        _requireAtMost("bytePrice", p.bytePrice, MAXIMUM_PRICE);
        _requireAtMost("burnShare", p.burnShare, FULL_SHARE);
        _requireAtMost("slashShare", p.slashShare, FULL_SHARE);
        _requireAtMost("reporterShare", p.reporterShare, FULL_SHARE);
        _requireAtMost("noticeEpochs", p.noticeEpochs, type(uint32).max);
        _token = IERC20(token_);
        _coordinator = INetworkCoordinator(coordinator_);
        _karma = IKarma(karma_);
        _eventPrice = p.eventPrice;
        _bytePrice = p.bytePrice;
        _freeEvents = p.freeEvents;
        _freeVolume = p.freeVolume;
        _burnShare = p.burnShare;
        _slashShare = p.slashShare;
        _reporterShare = p.reporterShare;
        _noticeEpochs = p.noticeEpochs;
        emit FeesOpened(
            p.eventPrice,
            p.bytePrice,
            p.freeEvents,
            p.freeVolume,
            p.burnShare,
            p.slashShare,
            p.reporterShare,
            p.noticeEpochs
        );
    }

    /// @inheritdoc ILaneFees
    function allot(address stream, uint32 streamPartition, uint256 amount) external {
        _deposit(_allotments[msg.sender][stream][streamPartition], amount);
        emit Allotted(msg.sender, stream, streamPartition, amount);
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc ILaneFees
    function requestWithdrawal(address stream, uint32 streamPartition, uint256 amount) external {
        uint64 withdrawable = _request(_allotments[msg.sender][stream][streamPartition], amount);
        emit WithdrawalRequested(msg.sender, stream, streamPartition, amount, withdrawable);
    }

    /// @inheritdoc ILaneFees
    function withdraw(address stream, uint32 streamPartition) external {
        uint128 amount = _giveBack(_allotments[msg.sender][stream][streamPartition]);
        emit Withdrawn(msg.sender, stream, streamPartition, amount);
        _send(msg.sender, amount);
    }

    /// @inheritdoc ILaneFees
    function settle(
        Batches.Header calldata header,
        bytes calldata signature,
        CutProof calldata proof
    ) external {
        bytes32 digest = _requireHeader(header);
        bytes32 lane = _laneOf(header);
        Meter storage meter = _lanes[lane];
        uint64 events = header.sequence + header.count;
        if (events <= meter.events) revert AlreadySettled(lane, events, meter.events);
        if (header.volume < meter.volume) revert MeterFalls(lane, header.volume, meter.volume);
        _requireSigned(header, digest, signature);
        _requireSealed(Cuts.headLeaf(lane, events, header.volume, digest), proof);
        uint256 price = _lanePrice(events, header.volume) - _lanePrice(meter.events, meter.volume);
        meter.events = events;
        meter.volume = header.volume;
        (uint128 charged, uint128 shortfall) =
            _charge(_allotments[header.origin][header.stream][header.streamPartition], price);
        emit LaneSettled(
            lane,
            header.origin,
            header.stream,
            header.streamPartition,
            events,
            header.volume,
            charged,
            shortfall
        );
        if (charged != 0) _karma.credit(header.origin, charged);
        _burnAndSend(charged, address(_coordinator));
    }

    /// @inheritdoc ILaneFees
    function proveFork(
        Batches.Header calldata first,
        bytes calldata firstSignature,
        Batches.Header calldata second,
        bytes calldata secondSignature
    ) external {
        bytes32 firstDigest = _requireHeader(first);
        bytes32 secondDigest = _requireHeader(second);
        bytes32 lane = _laneOf(first);
        if (lane != _laneOf(second) || !_conflict(first, firstDigest, second, secondDigest)) {
            revert HeadersAgree(firstDigest, secondDigest);
        }
        if (_lanes[lane].slashed) revert AlreadySlashed(lane);
        _requireSigned(first, firstDigest, firstSignature);
        _requireSigned(second, secondDigest, secondSignature);
        Allotment storage a = _allotments[first.origin][first.stream][first.streamPartition];
        uint128 slashed = _share(a.amount, _slashShare);
        if (slashed == 0) revert NothingToSlash(lane);
        uint128 rewarded = _share(slashed, _reporterShare);
        _lanes[lane].slashed = true;
        a.amount -= slashed;
        deposits -= slashed;
        emit AllotmentSlashed(
            lane,
            first.origin,
            msg.sender,
            first.stream,
            first.streamPartition,
            slashed,
            rewarded
        );
        _send(msg.sender, rewarded);
        _burnAndSend(slashed - rewarded, address(_coordinator));
    }

    /// @inheritdoc ILaneFees
    function allotToEdge(address edge, uint256 amount) external {
        _deposit(_edgeAllotments[msg.sender][edge], amount);
        if (_coordinator.brokerIndex(edge) == 0) revert NotABroker(edge);
        emit AllottedToEdge(msg.sender, edge, amount);
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc ILaneFees
    function requestEdgeWithdrawal(address edge, uint256 amount) external {
        uint64 withdrawable = _request(_edgeAllotments[msg.sender][edge], amount);
        emit EdgeWithdrawalRequested(msg.sender, edge, amount, withdrawable);
    }

    /// @inheritdoc ILaneFees
    function withdrawFromEdge(address edge) external {
        uint128 amount = _giveBack(_edgeAllotments[msg.sender][edge]);
        emit EdgeWithdrawn(msg.sender, edge, amount);
        _send(msg.sender, amount);
    }

    /// @inheritdoc ILaneFees
    function settleReceipt(address subscriber, Receipt calldata receipt, bytes calldata signature) external {
        (address edge, bytes32 session) = (receipt.edge, receipt.session);
        if (msg.sender != edge) revert NotTheEdge(msg.sender, edge);
        Meter storage meter = _sessions[subscriber][edge][session];
        (uint64 events, uint64 volume) = (meter.events, meter.volume);
        bool adds = receipt.events > events || receipt.volume > volume;
        if (!adds || receipt.events < events || receipt.volume < volume) {
            revert ReceiptAlreadySettled(session, events, volume);
        }
        bytes32 hash = _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)));
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(hash, signature);
        if (problem != ECDSA.RecoverError.NoError || signer != subscriber) {
            revert InvalidReceiptSignature(session);
        }
        uint256 price = _price(receipt.events - events, receipt.volume - volume);
        meter.events = receipt.events;
        meter.volume = receipt.volume;
        (uint128 charged, uint128 shortfall) = _charge(_edgeAllotments[subscriber][edge], price);
        emit ReceiptSettled(subscriber, edge, session, receipt.events, receipt.volume, charged, shortfall);
        if (charged != 0) {
            _karma.credit(subscriber, charged);
            _karma.credit(edge, charged);
        }
        _burnAndSend(charged, edge);
    }

    /// @inheritdoc ILaneFees
    function allotmentOf(
        address publisher,
        address stream,
        uint32 streamPartition
    ) external view returns (Allotment memory) {
        return _allotments[publisher][stream][streamPartition];
    }

    /// @inheritdoc ILaneFees
    function edgeAllotmentOf(address subscriber, address edge) external view returns (Allotment memory) {
        return _edgeAllotments[subscriber][edge];
    }

    /// @inheritdoc ILaneFees
    function laneMeter(bytes32 lane) external view returns (Meter memory) {
        return _lanes[lane];
    }

    /// @inheritdoc ILaneFees
    function sessionMeter(address subscriber, address edge, bytes32 session)
        external
        view
        returns (Meter memory)
    {
        return _sessions[subscriber][edge][session];
    }

    /// @inheritdoc ILaneFees
    function params() external view returns (Params memory) {
        return Params({
            eventPrice: _eventPrice,
            bytePrice: _bytePrice,
            freeEvents: _freeEvents,
            freeVolume: _freeVolume,
            burnShare: _burnShare,
            slashShare: _slashShare,
            reporterShare: _reporterShare,
            noticeEpochs: _noticeEpochs
        });
    }

    /// @inheritdoc ILaneFees
    function coordinator() external view returns (address) {
        return address(_coordinator);
    }

    /// @inheritdoc ILaneFees
    function token() external view returns (address) {
        return address(_token);
    }

    /// @inheritdoc ILaneFees
    function karma() external view returns (address) {
        return address(_karma);
    }

    function _deposit(Allotment storage a, uint256 amount) private {
        if (amount == 0 || amount > MAXIMUM_AMOUNT) revert AmountOutOfRange(amount, 1, MAXIMUM_AMOUNT);
        a.amount += uint128(amount);
        deposits += uint128(amount);
    }

    function _request(Allotment storage a, uint256 amount) private returns (uint64 withdrawable) {
        if (amount > a.amount) revert AllotmentTooSmall(amount, a.amount);
        withdrawable = _coordinator.epoch() + _noticeEpochs;
        a.leaving = uint128(amount);
        a.withdrawableEpoch = withdrawable;
    }

    function _giveBack(Allotment storage a) private returns (uint128 amount) {
        (uint128 leaving, uint128 present) = (a.leaving, a.amount);
        if (leaving == 0) revert NoWithdrawalRequested(msg.sender);
        uint64 current = _coordinator.epoch();
        if (current <= a.withdrawableEpoch) revert WithdrawalLocked(a.withdrawableEpoch, current);
        amount = leaving < present ? leaving : present;
        a.leaving = 0;
        a.amount = present - amount;
        deposits -= amount;
    }

    /// @dev Takes a price from an allotment as far as it goes. Prices fit 128 bits: each is below 2^60, meters
    /// below 2^64.
    function _charge(Allotment storage a, uint256 price) private returns (uint128 charged, uint128 shortfall) {
        uint128 present = a.amount;
        charged = price < present ? uint128(price) : present;
        shortfall = uint128(price) - charged;
        if (charged != 0) {
            a.amount = present - charged;
            deposits -= charged;
        }
        if (shortfall != 0) a.shortfall += shortfall;
    }

    function _burnAndSend(uint128 amount, address to) private {
        uint128 burned = _share(amount, _burnShare);
        _send(BURNED, burned);
        _send(to, amount - burned);
    }

    function _send(address to, uint128 amount) private {
        if (amount != 0) _token.safeTransfer(to, amount);
    }

    function _lanePrice(uint64 events, uint64 volume) private view returns (uint256) {
        return _price(
            events > _freeEvents ? events - _freeEvents : 0, volume > _freeVolume ? volume - _freeVolume : 0
        );
    }

    function _price(uint64 events, uint64 volume) private view returns (uint256) {
        return _eventPrice * events + _bytePrice * volume;
    }

    /// @dev The head's leaf leads to the checksum that the coordinator has. A cut names only heads that moved, so a
    /// quiet lane is in an older one, from which the checksum is rolled on.
    function _requireSealed(bytes32 leaf, CutProof calldata proof) private view {
        uint256 seals = proof.later.length;
        if (seals > MAXIMUM_LATER_SEALS) revert TooManySeals(seals, MAXIMUM_LATER_SEALS);
        (bool whole, bytes32 root) = MerklePaths.rootOf(leaf, proof.index, proof.count, proof.path);
        if (!whole) revert InvalidCutProof(proof.index, proof.count, proof.path.length);
        bytes32 given = Cuts.checksum(proof.previous, proof.partition, proof.epoch, root);
        for (uint256 i = 0; i < seals; ++i) {
            given = Cuts.checksum(given, proof.partition, proof.later[i].epoch, proof.later[i].root);
        }
        (bytes32 stored,) = _coordinator.sealOf(proof.partition);
        if (given != stored) revert CutNotSealed(proof.partition, given, stored);
    }

    function _requireHeader(Batches.Header calldata header) private pure returns (bytes32 digest) {
        digest = Batches.digestOf(header);
        if (Batches.brokenField(header) != 0) revert InvalidHeader(digest);
    }

    function _requireSigned(
        Batches.Header calldata header,
        bytes32 digest,
        bytes calldata signature
    ) private view {
        (bool certified, address signer,) = Batches.recoverSigner(header, digest, signature);
        if (!certified) revert InvalidSession(digest, header.certificate);
        if (signer != header.signer || signer == address(0)) revert InvalidHeaderSignature(digest);
    }

    function _laneOf(Batches.Header calldata header) private pure returns (bytes32) {
        return Batches.laneOf(
            header.stream,
            header.streamPartition,
            header.originType,
            header.origin,
            header.openingBlock,
            header.nonce
        );
    }

    /// @dev Whether two headers of one lane overlap with different digests, or adjoin with a wrong `previous`.
    function _conflict(
        Batches.Header calldata a,
        bytes32 aDigest,
        Batches.Header calldata b,
        bytes32 bDigest
    ) private pure returns (bool) {
        if (aDigest == bDigest) return false;
        uint64 aEnd = a.sequence + a.count;
        uint64 bEnd = b.sequence + b.count;
        if (a.sequence < bEnd && b.sequence < aEnd) return true;
        return (aEnd == b.sequence && b.previous != aDigest) || (bEnd == a.sequence && a.previous != bDigest);
    }

    /// @dev A share of an amount below 2^112, rounded down.
    function _share(uint128 amount, uint16 basisPoints) private pure returns (uint128) {
        return amount * basisPoints / FULL_SHARE;
    }

    function _requireAtMost(bytes32 parameter, uint256 given, uint256 maximum) private pure {
        if (given > maximum) revert ParameterOutOfRange(parameter, given, 0, maximum);
    }
}
