// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A product on the data market: access to a set of streams, sold by time (WP 2.3, 2.5.4)
/// @notice Words. Time is cut into windows of `windowSeconds`, the same for every licence: window w is
/// [w * windowSeconds, (w + 1) * windowSeconds). A stream was *delivered* in a window if at least
/// `minimumEvents` of its events were proved in it, from cuts that the coordinator has sealed.
///
/// A licence runs over an interval of time and costs `pricePerSecond` for each second. Its price is locked. As windows
/// end, each second is decided: the share of every stream (they weigh the same) goes to the provider if the second
/// lies in a window in which that stream was delivered, and back to the buyer if not. Nobody can delay that: what
/// is not proved while its window lasts is not delivered.
///
/// Amounts are in units of 10^-18 DATA, times in Unix seconds. The contract's balance is `locked + unclaimed`.
interface IDataLicense {
    /// @notice What is sold.
    /// @dev beneficiary: who earns. pricePerSecond: of access to all the streams, at least 1. minimumSeconds: the
    /// shortest order. windowSeconds: how often a delivery is to be proved. minimumEvents: of each stream in each
    /// window. terms: 1 to 256 bytes, a hash or content address of the contract text. streams: 1 to 16, ascending.
    struct Product {
        address beneficiary;
        uint64 pricePerSecond;
        uint64 minimumSeconds;
        uint64 windowSeconds;
        uint64 minimumEvents;
        string terms;
        address[] streams;
    }

    /// @notice A licence: all before `settled` is decided; `pricePerSecond * (end - settled)` is locked.
    struct Licence {
        address buyer;
        uint64 start;
        uint64 end;
        uint64 settled;
    }

    /// @notice That a lane of one of the streams moved: its head in the coordinator's last sealed cut.
    /// @dev partition: of the network. previous: the checksum that the sealed one rolled on from. stream to nonce:
    /// the parts of the lane's id. nextSequence, volume, digest: the head. index, count, path: where the head is in
    /// the cut.
    struct Delivery {
        uint32 partition;
        bytes32 previous;
        address stream;
        uint32 streamPartition;
        uint8 originType;
        address origin;
        uint64 openingBlock;
        bytes16 nonce;
        uint64 nextSequence;
        uint64 volume;
        bytes32 digest;
        uint32 index;
        uint32 count;
        bytes32[] path;
    }

    /// @notice A licence was bought; every stream was told the buyer's key and when access ends.
    /// @param price What was locked. @param byAllowance Whether an allowance was used to pay.
    event LicencePurchased(
        uint256 indexed licence,
        address indexed buyer,
        uint64 start,
        uint64 end,
        uint256 price,
        bool byAllowance
    );

    /// @notice A licence ends later now.
    event LicenceRenewed(uint256 indexed licence, uint64 end, uint256 price, bool byAllowance);

    /// @notice A lane was proved to have moved. `events` of it count for `window`.
    event DeliveryProved(
        address indexed stream,
        bytes32 indexed lane,
        uint32 partition,
        uint64 epoch,
        uint64 window,
        uint64 nextSequence,
        uint64 events
    );

    /// @notice All before `until` is decided for a licence.
    event LicenceSettled(uint256 indexed licence, uint64 until, uint256 released, uint256 refunded);

    /// @notice An account took what it is owed.
    event Withdrawn(address indexed account, uint256 amount);

    /// @notice Whether licences are sold and renewed from now on.
    event SaleSet(bool forSale);

    /// @notice Who earns what is released from now on.
    event BeneficiarySet(address beneficiary);

    /// @notice A figure of the product must lie between `minimum` and `maximum`.
    error ParameterOutOfRange(bytes32 parameter, uint256 given, uint256 minimum, uint256 maximum);

    /// @notice Somebody has to earn.
    error BeneficiaryMissing();

    /// @notice The streams must be given in ascending order, each once.
    error StreamsNotAscending(uint256 position);

    /// @notice The registry knows no such stream.
    error UnknownStream(address stream);

    /// @notice The provider neither owns this stream nor may grant permissions on it.
    error MayNotGrant(address stream, address provider);

    /// @notice Only the provider may do this.
    error NotProvider(address caller);

    /// @notice The provider sells no more licences of this product.
    error NotForSale();

    /// @notice An order is for `minimum` to `maximum` seconds.
    error DurationOutOfRange(uint64 duration, uint64 minimum, uint64 maximum);

    /// @notice A buyer's first order needs a public key, for which content keys are wrapped.
    error PublicKeyMissing();

    /// @notice There is no such licence.
    error UnknownLicence(uint256 licence);

    /// @notice Only its buyer renews a licence.
    error NotBuyer(uint256 licence, address caller);

    /// @notice The licence has ended; buy another.
    error LicenceExpired(uint256 licence, uint64 end);

    /// @notice Only the token reports payments.
    error NotToken(address caller);

    /// @notice What came with the tokens is no order: `abi.encode(uint256 licence, uint64 duration, bytes key)`.
    error MalformedOrder(uint256 length);

    /// @notice The order costs `price`.
    error WrongPayment(uint256 amount, uint256 price);

    /// @notice The stream is not of this product.
    error StreamNotInProduct(address stream);

    /// @notice The path has not the length that position and count demand.
    error PathMalformed(uint32 index, uint32 count, uint256 length);

    /// @notice The head is not in the cut that the coordinator sealed last.
    error ChecksumMismatch(uint32 partition, uint64 epoch, bytes32 given, bytes32 stored);

    /// @notice A cut proves deliveries in one window only.
    error CutUsed(uint32 partition, uint64 epoch, uint64 window);

    /// @notice This much of the lane was proved before.
    error LaneNotAdvanced(bytes32 lane, uint64 nextSequence, uint64 proved);

    /// @notice No window of the licence ended since it was settled last.
    error NothingToSettle(uint256 licence, uint64 settled);

    /// @notice The account is owed nothing.
    error NothingOwed(address account);

    /// @notice Sets the product up; the factory calls it once, when it creates the clone.
    function initialize(address provider_, Product calldata product_) external;

    /// @notice Buys a licence from now on; moves its price from the caller, by allowance.
    /// @param duration In seconds, from the product's minimum to ten years.
    /// @param publicKey The buyer's, 32 to 2048 bytes.
    /// @return licence Its number, from 1.
    function purchase(uint64 duration, bytes calldata publicKey) external returns (uint256 licence);

    /// @notice Lets a licence of the caller end later; moves the price from the caller, by allowance.
    /// @param publicKey The buyer's new key; if empty, the streams keep the one they have.
    function renew(uint256 licence, uint64 duration, bytes calldata publicKey) external;

    /// @notice Proves that a stream is delivered; anybody may call. Each event counts once.
    /// @dev Of a lane that was opened before the product was offered, what lies before its first proof does not
    /// count.
    function prove(Delivery calldata delivery) external;

    /// @notice Decides all windows of a licence that have ended; anybody may call.
    function settle(uint256 licence) external;

    /// @notice Pays the caller what was released or refunded to it.
    function withdraw() external;

    /// @notice Starts or stops the sale. By the provider. Licences that are sold run on.
    function setForSale(bool forSale_) external;

    /// @notice Names who earns from now on. By the provider.
    function setBeneficiary(address beneficiary_) external;

    /// @notice Who offers the product.
    function provider() external view returns (address);

    /// @notice Whether licences are sold.
    function forSale() external view returns (bool);

    /// @notice What is sold.
    function product() external view returns (Product memory);

    /// @notice A licence; all zero if there is none.
    function licenceOf(uint256 licence) external view returns (Licence memory);

    /// @notice How many licences were sold; they are numbered from 1.
    function licenceCount() external view returns (uint256);

    /// @notice How many seconds of [from, to) lie in windows in which a stream was delivered, so far.
    function deliveredSeconds(address stream, uint64 from, uint64 to) external view returns (uint64);

    /// @notice How many events of a lane were proved.
    function provedOf(bytes32 lane) external view returns (uint64);

    /// @notice What an account can withdraw.
    function owed(address account) external view returns (uint256);

    /// @notice The price of all seconds that are not decided yet.
    function locked() external view returns (uint128);

    /// @notice What was decided and not withdrawn.
    function unclaimed() external view returns (uint128);
}
