//! Streams, their registry and the token: each function, each named error, and the kernel's twin beside it.

mod common;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::SolCall;
use common::{Met, Network, SUPPLY, kernel_address, params, wallet};
use weir_chain::bindings::{DataCoin, IStream, Stream, StreamRegistry as R};
use weir_chain::calldata;
use weir_kernel::coordinator::Permission;
use weir_kernel::ids::StreamId;

fn create(network: &mut Network, n: u8, name: &str, public: bool) -> Address {
    let call = calldata::create_stream(name, "what it carries", 3, public, false);
    network.ok(n, network.addresses.registry, call);
    let owner = wallet(n).address();
    network.view(network.addresses.registry, R::streamByNameCall { owner, name: name.into() })
}

fn stream_of(network: &Network, stream: Address) -> &weir_kernel::coordinator::Stream {
    network.twin.stream(StreamId(stream.into_array())).unwrap()
}

fn encode(call: impl SolCall) -> Bytes {
    call.abi_encode().into()
}

fn permission(subscribe: u64, publish: u64, grant: bool, edit: bool, delete: bool) -> IStream::Permission {
    IStream::Permission {
        subscribeUntil: subscribe,
        publishUntil: publish,
        canGrant: grant,
        canEdit: edit,
        canDelete: delete,
    }
}

fn set(user: Address, permission: IStream::Permission) -> Bytes {
    encode(Stream::setPermissionCall { user, permission })
}

#[test]
fn a_stream_is_created_found_changed_and_removed() {
    let mut network = Network::new(params());
    let registry = network.addresses.registry;
    let owner = wallet(1).address();
    let first = create(&mut network, 1, "temperature", true);
    let second = create(&mut network, 1, "humidity", false);
    assert_eq!(network.view(registry, R::streamCountCall {}), U256::from(2));
    assert!(network.view(registry, R::existsCall { stream: first }));
    assert_eq!(network.view(registry, R::streamAtCall { index: U256::from(1) }), second);
    let page = |offset: u64, limit: u64| R::streamsOfCall {
        owner,
        offset: U256::from(offset),
        limit: U256::from(limit),
    };
    assert_eq!(network.view(registry, page(0, 10)), [first, second]);
    assert_eq!(network.view(registry, page(1, 1)), [second]);
    assert_eq!(network.view(registry, page(7, 1)), Vec::<Address>::new());
    assert_eq!(network.view(first, Stream::nameCall {}), "temperature");
    assert_eq!(network.view(first, Stream::descriptionCall {}), "what it carries");
    assert_eq!(network.view(first, Stream::ownerCall {}), owner);
    assert_eq!(network.view(first, Stream::registryCall {}), registry);
    assert_eq!(network.view(first, Stream::partitionsCall {}), 3);
    let twin = stream_of(&network, first);
    assert_eq!((twin.owner, twin.name.as_str(), twin.partitions), (kernel_address(owner), "temperature", 3));
    let call = Stream::updateCall { newName: "heat".into(), newDescription: "new".into() };
    network.ok(1, first, encode(call));
    assert_eq!(network.view(registry, R::streamByNameCall { owner, name: "heat".into() }), first);
    assert_eq!(
        network.view(registry, R::streamByNameCall { owner, name: "temperature".into() }),
        Address::ZERO
    );
    assert_eq!(stream_of(&network, first).name, "heat");
    network.ok(1, first, encode(Stream::removeCall {}));
    assert!(network.view(first, Stream::removedCall {}));
    assert!(!network.view(first, Stream::canSubscribeCall { user: owner }));
    assert!(!network.view(registry, R::existsCall { stream: first }));
    assert_eq!(network.view(registry, page(0, 10)), [second]);
    assert!(stream_of(&network, first).removed_block.is_some());
    let again = create(&mut network, 1, "heat", false);
    assert_ne!(again, first);
}

#[test]
fn permissions_hold_until_their_time_and_the_twin_agrees() {
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", false);
    let user = wallet(2).address();
    let until = network.mirror.head().header.timestamp + 10;
    network.ok(1, stream, set(user, permission(until, until + 5, false, false, false)));
    for _ in 0..20 {
        let head = network.mirror.head().clone();
        let (block, time_s) = (head.number(), head.header.timestamp);
        for (who, public) in [(user, false), (wallet(3).address(), true), (wallet(1).address(), false)] {
            let subscribe = network.view(stream, Stream::canSubscribeCall { user: who });
            let publish = network.view(stream, Stream::canPublishCall { user: who });
            let (id, address) = (StreamId(stream.into_array()), kernel_address(who));
            assert_eq!(subscribe, network.twin.can_subscribe_at(id, address, block, time_s), "{public}");
            assert_eq!(publish, network.twin.can_publish_at(id, address, block, time_s));
        }
        assert_eq!(network.view(stream, Stream::canSubscribeCall { user }), time_s < until);
        assert_eq!(network.view(stream, Stream::canPublishCall { user }), time_s < until + 5);
        network.blocks(1);
    }
    let kept = network.view(stream, Stream::permissionOfCall { user });
    assert_eq!(kept, permission(until, until + 5, false, false, false));
    network.ok(1, stream, set(Address::ZERO, permission(u64::MAX, 0, false, false, false)));
    assert!(network.view(stream, Stream::canSubscribeCall { user: wallet(9).address() }));
    assert!(!network.view(stream, Stream::canPublishCall { user: wallet(9).address() }));
    let everybody = stream_of(&network, stream).permission(kernel_address(Address::ZERO));
    assert_eq!(everybody, Permission { subscribe_until: u64::MAX, ..Permission::default() });
}

#[test]
fn rights_to_grant_edit_and_delete_can_be_given() {
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", false);
    network.ok(1, stream, set(wallet(2).address(), permission(0, 0, true, false, false)));
    network.ok(2, stream, set(wallet(3).address(), permission(0, 0, false, true, false)));
    let call = Stream::updateCall { newName: "heat".into(), newDescription: String::new() };
    network.ok(3, stream, encode(call));
    network.ok(2, stream, set(wallet(4).address(), permission(0, 0, false, false, true)));
    network.ok(4, stream, encode(Stream::removeCall {}));
}

#[test]
fn readers_have_keys_and_a_grant_only_raises() {
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", false);
    let reader = wallet(3).address();
    let key = |network: &Network| network.view(stream, Stream::publicKeyOfCall { user: reader });
    let grant = |until: u64, bytes: Vec<u8>| {
        let public_key = Bytes::from(bytes);
        encode(Stream::grantReaderCall { user: reader, subscribeUntil: until, publicKey: public_key })
    };
    let kept = |network: &Network| network.view(stream, Stream::permissionOfCall { user: reader });
    let until = network.mirror.head().header.timestamp + 100;
    network.ok(1, stream, set(wallet(2).address(), permission(0, 0, true, false, false)));
    network.ok(1, stream, set(reader, permission(0, 7, false, true, false)));
    network.ok(2, stream, grant(until, vec![4; 33]));
    assert!(network.view(stream, Stream::canSubscribeCall { user: reader }));
    assert_eq!(
        (kept(&network), key(&network)),
        (permission(until, 7, false, true, false), vec![4; 33].into())
    );
    network.ok(2, stream, grant(until - 50, Vec::new()));
    assert_eq!(
        (kept(&network), key(&network)),
        (permission(until, 7, false, true, false), vec![4; 33].into())
    );
    network.ok(2, stream, grant(until + 1, vec![5; 2_048]));
    assert_eq!(kept(&network), permission(until + 1, 7, false, true, false));
    assert_eq!(key(&network), vec![5; 2_048]);
    network.ok(3, stream, encode(Stream::setPublicKeyCall { key: vec![6; 32].into() }));
    assert_eq!(key(&network), vec![6; 32]);
    network.ok(3, stream, encode(Stream::setPublicKeyCall { key: Bytes::new() }));
    assert_eq!(key(&network), Bytes::new());
}

#[test]
fn every_error_of_a_stream_has_its_case() {
    let mut met = Met::default();
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", false);
    let update = || encode(Stream::updateCall { newName: "heat".into(), newDescription: String::new() });
    let nothing = permission(0, 0, false, false, false);
    met.expect("NotPermitted", network.refused(2, stream, update()));
    met.expect("NotPermitted", network.refused(2, stream, encode(Stream::removeCall {})));
    met.expect("NotPermitted", network.refused(2, stream, set(wallet(2).address(), nothing.clone())));
    network.ok(1, stream, set(wallet(2).address(), permission(0, 0, true, false, false)));
    let theft = set(wallet(1).address(), nothing.clone());
    met.expect("OwnerPermissionsProtected", network.refused(2, stream, theft));
    let initialize = Stream::initializeCall {
        owner_: wallet(2).address(),
        name_: "mine".into(),
        description_: String::new(),
        partitions_: 1,
        publicSubscribe: false,
        publicPublish: false,
    };
    met.expect("InvalidInitialization", network.refused(2, stream, encode(initialize)));
    create(&mut network, 1, "taken", false);
    let rename = |name: &str, description: String| {
        encode(Stream::updateCall { newName: name.into(), newDescription: description })
    };
    met.expect("NameTaken", network.refused(1, stream, rename("taken", String::new())));
    met.expect("NameLengthOutOfRange", network.refused(1, stream, rename("", String::new())));
    met.expect("DescriptionTooLong", network.refused(1, stream, rename("heat", "x".repeat(4_097))));
    let grant = |user: Address, bytes: usize| {
        let public_key = Bytes::from(vec![7; bytes]);
        encode(Stream::grantReaderCall { user, subscribeUntil: u64::MAX, publicKey: public_key })
    };
    met.expect("EverybodyNotAllowed", network.refused(1, stream, grant(Address::ZERO, 32)));
    met.expect("NotPermitted", network.refused(3, stream, grant(wallet(3).address(), 32)));
    met.expect("OwnerPermissionsProtected", network.refused(2, stream, grant(wallet(1).address(), 32)));
    let key = |bytes: usize| encode(Stream::setPublicKeyCall { key: vec![7; bytes].into() });
    for bytes in [1, 31, 2_049] {
        met.expect("KeyLengthOutOfRange", network.refused(2, stream, grant(wallet(3).address(), bytes)));
        met.expect("KeyLengthOutOfRange", network.refused(1, stream, key(bytes)));
    }
    met.expect("NotPermitted", network.refused(3, stream, key(32)));
    network.ok(1, stream, encode(Stream::removeCall {}));
    met.expect("AlreadyRemoved", network.refused(1, stream, key(32)));
    met.expect("AlreadyRemoved", network.refused(1, stream, grant(wallet(3).address(), 32)));
    met.expect("AlreadyRemoved", network.refused(1, stream, update()));
    met.expect("AlreadyRemoved", network.refused(1, stream, encode(Stream::removeCall {})));
    met.expect("AlreadyRemoved", network.refused(1, stream, set(wallet(2).address(), nothing)));
    let library = "the name and version of the EIP-712 domain are short";
    let unreachable = [
        ("InvalidShortString", library),
        ("StringTooLong", library),
        ("NotInitializing", "no function is for initialisation only"),
    ];
    met.complete("Stream", &unreachable);
}

#[test]
fn every_error_of_the_registry_has_its_case() {
    let mut met = Met::default();
    let mut network = Network::new(params());
    let registry = network.addresses.registry;
    let mut refuse = |name: &str, description: &str, partitions| {
        let call = calldata::create_stream(name, description, partitions, false, false);
        network.refused(1, registry, call)
    };
    met.expect("PartitionsOutOfRange", refuse("a", "", 0));
    met.expect("PartitionsOutOfRange", refuse("a", "", 1_025));
    met.expect("NameLengthOutOfRange", refuse("", "", 1));
    met.expect("NameLengthOutOfRange", refuse(&"x".repeat(129), "", 1));
    met.expect("DescriptionTooLong", refuse("a", &"x".repeat(4_097), 1));
    let stream = create(&mut network, 1, "taken", false);
    let again = calldata::create_stream("taken", "", 1, false, false);
    met.expect("NameTaken", network.refused(1, registry, again));
    let other = create(&mut network, 1, "other", false);
    let rename = Stream::updateCall { newName: "taken".into(), newDescription: String::new() };
    met.expect("NameTaken", network.refused(1, other, encode(rename)));
    create(&mut network, 2, "taken", false);
    let fake =
        R::streamUpdatedCall { oldName: "a".into(), newName: "b".into(), newDescription: String::new() };
    met.expect("NotAStream", network.refused(1, registry, encode(fake)));
    met.expect("NotAStream", network.refused(1, registry, encode(R::streamRemovedCall {})));
    let far = encode(R::streamAtCall { index: U256::from(3) });
    met.expect("StreamIndexOutOfRange", network.refused(1, registry, far));
    let owner = wallet(1).address();
    let page = R::streamsOfCall { owner, offset: U256::ZERO, limit: U256::from(1_000_000) };
    met.expect("PageTooLong", network.refused(1, registry, encode(page)));
    assert_eq!(network.view(stream, Stream::nameCall {}), "taken");
    let clones = "a clone without value is always deployed";
    met.complete("StreamRegistry", &[("FailedDeployment", clones), ("InsufficientBalance", clones)]);
}

#[test]
fn the_longest_stream_is_created() {
    let mut network = Network::new(params());
    let name = "n".repeat(128);
    let call = calldata::create_stream(&name, &"d".repeat(4_096), 1_024, true, true);
    let receipt = network.ok(1, network.addresses.registry, call);
    assert!(receipt.gas_used < weir_chain::limits::TX_GAS_LIMIT / 2, "{}", receipt.gas_used);
}

#[test]
fn tokens_are_sent_permitted_and_sent_with_a_call() {
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let (one, two) = (wallet(1).address(), wallet(2).address());
    assert_eq!(network.view(token, DataCoin::totalSupplyCall {}).to::<u128>(), SUPPLY);
    assert_eq!(network.view(token, DataCoin::decimalsCall {}), 18);
    network.ok(0, token, calldata::transfer(one, 100));
    let deadline = U256::from(network.mirror.head().header.timestamp + 100);
    let permit = permit(&network, 1, two, 60, deadline);
    network.ok(3, token, encode(permit));
    let take =
        |value: u64| encode(DataCoin::transferFromCall { from: one, to: two, value: U256::from(value) });
    network.ok(2, token, take(60));
    assert_eq!((network.tokens(one), network.tokens(two)), (40, 60));
    let call = DataCoin::transferAndCallCall { to: two, amount: U256::from(1), data: Bytes::new() };
    network.ok(1, token, encode(call));
    assert_eq!((network.tokens(one), network.tokens(two)), (39, 61));
    network.check();
}

fn permit(network: &Network, n: u8, spender: Address, value: u64, deadline: U256) -> DataCoin::permitCall {
    let owner = wallet(n).address();
    let token = network.addresses.token;
    let nonce = network.view(token, DataCoin::noncesCall { owner });
    let domain = network.view(token, DataCoin::DOMAIN_SEPARATORCall {});
    let kind =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    let value = U256::from(value);
    let word = |address: Address| address.into_word();
    let fields = [kind, word(owner), word(spender), value.into(), nonce.into(), deadline.into()].concat();
    let digest =
        keccak256([[0x19, 0x01].as_slice(), domain.as_slice(), keccak256(fields).as_slice()].concat());
    let signature = wallet(n).sign_digest(digest);
    DataCoin::permitCall {
        owner,
        spender,
        value,
        deadline,
        v: signature[64],
        r: B256::from_slice(&signature[..32]),
        s: B256::from_slice(&signature[32..64]),
    }
}

#[test]
fn every_error_of_the_token_has_its_case() {
    let mut met = Met::default();
    let mut network = Network::new(params());
    let token = network.addresses.token;
    let (one, two) = (wallet(1).address(), wallet(2).address());
    met.expect("ERC20InsufficientBalance", network.refused(1, token, calldata::transfer(two, 1)));
    met.expect("ERC20InvalidReceiver", network.refused(0, token, calldata::transfer(Address::ZERO, 1)));
    met.expect("ERC20InvalidSpender", network.refused(0, token, calldata::approve(Address::ZERO, 1)));
    let take = DataCoin::transferFromCall { from: wallet(0).address(), to: one, value: U256::from(1) };
    met.expect("ERC20InsufficientAllowance", network.refused(1, token, encode(take)));
    let deadline = U256::from(network.mirror.head().header.timestamp + 100);
    let good = permit(&network, 1, two, 5, deadline);
    let expired = permit(&network, 1, two, 5, U256::from(1));
    met.expect("ERC2612ExpiredSignature", network.refused(2, token, encode(expired)));
    let mut forged = good.clone();
    forged.value = U256::from(6);
    met.expect("ERC2612InvalidSigner", network.refused(2, token, encode(forged)));
    let mut garbage = good.clone();
    garbage.v = 9;
    met.expect("ECDSAInvalidSignature", network.refused(2, token, encode(garbage)));
    let mut malleable = good;
    malleable.s = B256::repeat_byte(0xf0);
    met.expect("ECDSAInvalidSignatureS", network.refused(2, token, encode(malleable)));
    let nobody = [DataCoin::BYTECODE.as_ref(), &[0; 64]].concat();
    met.expect("ERC20InvalidReceiver", network.transact(0, TxKind::Create, nobody.into()).failure().unwrap());
    // A receiver that is a contract and takes no tokens by call undoes the transfer.
    let registry = network.addresses.registry;
    let call = DataCoin::transferAndCallCall { to: registry, amount: U256::from(1), data: Bytes::new() };
    let before = network.tokens(wallet(0).address());
    network.refused(0, token, encode(call));
    assert_eq!(network.tokens(wallet(0).address()), before);
    let library = "the name and version of the EIP-712 domain are short";
    let zero = "nobody signs for the zero address";
    let unreachable = [
        ("InvalidShortString", library),
        ("StringTooLong", library),
        ("ERC20InvalidApprover", zero),
        ("ERC20InvalidSender", zero),
        ("ECDSAInvalidSignatureLength", "v, r and s are given apart"),
        ("InvalidAccountNonce", "a permit takes the nonce from the chain"),
    ];
    met.complete("DataCoin", &unreachable);
}
