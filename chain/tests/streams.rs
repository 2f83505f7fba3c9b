//! Streams and their registry: each function, each named error, and the kernel's twin beside it.

mod common;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use common::{Met, Network, kernel_address, params, wallet};
use weir_chain::bindings::{IStream, Stream, StreamRegistry as R};
use weir_chain::calldata;
use weir_kernel::coordinator::{FeeTerms, Permission, Retention};
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
    assert_eq!((twin.owner, twin.name(), twin.partitions), (kernel_address(owner), "temperature", 3));
    let call = Stream::updateCall { newName: "heat".into(), newDescription: "new".into() };
    network.ok(1, first, encode(call));
    assert_eq!(network.view(registry, R::streamByNameCall { owner, name: "heat".into() }), first);
    assert_eq!(
        network.view(registry, R::streamByNameCall { owner, name: "temperature".into() }),
        Address::ZERO
    );
    assert_eq!(stream_of(&network, first).name(), "heat");
    network.ok(1, first, encode(Stream::removeCall {}));
    assert!(network.view(first, Stream::removedCall {}));
    assert!(!network.view(first, Stream::canSubscribeCall { user: owner }));
    assert!(!network.view(registry, R::existsCall { stream: first }));
    assert_eq!(network.view(registry, page(0, 10)), [second]);
    assert!(stream_of(&network, first).removed_block().is_some());
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
fn a_delegate_passes_on_until_its_own_end_and_takes_nothing_away() {
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", false);
    let [delegate, second, reader] = [2, 3, 4].map(|n| wallet(n).address());
    let end = network.mirror.head().header.timestamp + 40;
    network.ok(1, stream, calldata::delegate(delegate, end, 0));
    let delegation = |network: &Network, user| {
        let found = network.view(stream, Stream::delegationOfCall { user });
        let twin = stream_of(network, stream).delegation(kernel_address(user));
        assert_eq!((found.subscribeUntil, found.publishUntil), (twin.subscribe_until, twin.publish_until));
        (found.subscribeUntil, found.publishUntil)
    };
    assert_eq!(delegation(&network, delegate), (end, 0));
    network.ok(2, stream, calldata::grant_reader(reader, end, &[4; 33]));
    network.ok(2, stream, calldata::delegate(second, end - 5, 0));
    network.ok(2, stream, calldata::delegate(second, end - 9, 0));
    assert_eq!(delegation(&network, second), (end - 5, 0), "a delegate does not shorten");
    network.ok(3, stream, calldata::grant(reader, end - 20, 0));
    let kept = network.view(stream, Stream::permissionOfCall { user: reader });
    assert_eq!(kept, permission(end, 0, false, false, false), "nor does a grant");
    network.ok(1, stream, calldata::delegate(delegate, 0, 0));
    assert_eq!(delegation(&network, delegate), (0, 0));
    let ended = network.refused(2, stream, calldata::grant_reader(reader, end, &[]));
    assert!(ended.starts_with("NotPermitted("), "{ended}");
    network.ok(3, stream, calldata::grant(reader, end - 5, 0));
    while network.mirror.head().header.timestamp < end - 6 {
        network.blocks(1);
    }
    let over = network.refused(3, stream, calldata::grant_reader(reader, 0, &[5; 33]));
    assert!(over.starts_with("NotPermitted("), "the end is exclusive: {over}");
    assert!(network.view(stream, Stream::canSubscribeCall { user: reader }), "what was given stays");
    assert_eq!(stream_of(&network, stream).public_key(kernel_address(reader)), [4; 33]);
}

#[test]
fn a_stream_changes_hands_in_two_steps() {
    let mut network = Network::new(params());
    let registry = network.addresses.registry;
    let stream = create(&mut network, 1, "temperature", false);
    let [old, new] = [1, 2].map(|n| wallet(n).address());
    network.ok(1, stream, calldata::transfer_ownership(wallet(3).address()));
    network.ok(1, stream, calldata::transfer_ownership(new));
    assert_eq!(network.view(stream, Stream::pendingOwnerCall {}), new);
    assert_eq!(network.view(stream, Stream::ownerCall {}), old, "an offer changes nothing yet");
    network.ok(2, stream, calldata::accept_ownership());
    assert_eq!(network.view(stream, Stream::ownerCall {}), new);
    assert_eq!(network.view(stream, Stream::pendingOwnerCall {}), Address::ZERO);
    let by_name = |owner| R::streamByNameCall { owner, name: "temperature".into() };
    assert_eq!(network.view(registry, by_name(old)), Address::ZERO);
    assert_eq!(network.view(registry, by_name(new)), stream);
    let page = |owner| R::streamsOfCall { owner, offset: U256::ZERO, limit: U256::from(9) };
    assert_eq!(network.view(registry, page(old)), Vec::<Address>::new());
    assert_eq!(network.view(registry, page(new)), [stream]);
    assert!(!network.view(stream, Stream::canPublishCall { user: old }), "the old owner keeps nothing");
    assert!(network.view(stream, Stream::canPublishCall { user: new }));
    assert_eq!(stream_of(&network, stream).owner, kernel_address(new));
    create(&mut network, 1, "temperature", false);
    network.ok(2, stream, calldata::transfer_ownership(old));
    let taken = network.refused(1, stream, calldata::accept_ownership());
    assert!(taken.starts_with("NameTaken("), "{taken}");
    network.ok(2, stream, calldata::transfer_ownership(Address::ZERO));
    let withdrawn = network.refused(1, stream, calldata::accept_ownership());
    assert!(withdrawn.starts_with("NotPendingOwner("), "{withdrawn}");
}

#[test]
fn streams_are_found_by_key_until_removed() {
    let mut network = Network::new(params());
    let registry = network.addresses.registry;
    let streams = ["a", "b", "c"].map(|name| create(&mut network, 1, name, false));
    let key = |n: u8| B256::repeat_byte(n);
    let eight: Vec<B256> = (1..=8).map(key).collect();
    network.ok(1, streams[0], calldata::set_search_keys(&eight));
    network.ok(1, streams[1], calldata::set_search_keys(&eight[6..]));
    network.ok(1, streams[2], calldata::set_search_keys(&eight[7..]));
    let page = |key, offset: u64, limit: u64| R::streamsByKeyCall {
        key,
        offset: U256::from(offset),
        limit: U256::from(limit),
    };
    assert_eq!(network.view(registry, page(key(8), 0, 9)), streams);
    assert_eq!(network.view(registry, page(key(8), 1, 1)), [streams[1]]);
    assert_eq!(network.view(registry, page(key(7), 0, 9)), streams[..2]);
    assert_eq!(network.view(registry, R::searchKeysOfCall { stream: streams[0] }), eight);
    let found =
        |network: &Network, n: u8| network.twin.streams_by_key(weir_kernel::ids::Hash([n; 32])).count();
    assert_eq!([7, 8, 9].map(|n| found(&network, n)), [2, 3, 0]);
    network.ok(1, streams[0], calldata::set_search_keys(&eight[..1]));
    assert_eq!([1, 7, 8].map(|n| found(&network, n)), [1, 1, 2]);
    network.ok(1, streams[0], calldata::remove_stream());
    assert_eq!(found(&network, 1), 0);
    assert_eq!(network.view(registry, page(key(1), 0, 9)), Vec::<Address>::new());
    assert_eq!(network.view(registry, R::searchKeysOfCall { stream: streams[0] }), Vec::<B256>::new());
    assert_eq!(network.view(registry, page(key(8), 0, 9)).len(), 2);
}

#[test]
fn retention_and_fee_terms_are_said() {
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", false);
    let retention = Retention { age_s: 86_400, size_bytes: 1 << 30 };
    let fee_terms =
        FeeTerms { event_price: u128::MAX, byte_price: 3, terms: weir_kernel::ids::Hash([9; 32]) };
    network.ok(1, stream, set(wallet(2).address(), permission(0, 0, false, true, false)));
    network.ok(2, stream, calldata::set_retention(&retention));
    network.ok(2, stream, calldata::set_fee_terms(&fee_terms));
    let kept = network.view(stream, Stream::retentionCall {});
    assert_eq!((kept.ageSeconds, kept.sizeBytes), (retention.age_s, retention.size_bytes));
    let asked = network.view(stream, Stream::feeTermsCall {});
    assert_eq!((asked.eventPrice, asked.bytePrice, asked.terms.0), (u128::MAX, 3, [9; 32]));
    let twin = stream_of(&network, stream);
    assert_eq!((twin.retention(), twin.fee_terms()), (retention, fee_terms));
}

#[test]
fn nothing_of_a_removed_stream_answers_yes() {
    let mut network = Network::new(params());
    let stream = create(&mut network, 1, "temperature", true);
    let [owner, user] = [1, 2].map(|n| wallet(n).address());
    network.ok(1, stream, set(user, permission(u64::MAX, u64::MAX, true, true, true)));
    network.ok(1, stream, calldata::delegate(user, u64::MAX, u64::MAX));
    network.ok(1, stream, calldata::remove_stream());
    for who in [owner, user, Address::ZERO] {
        assert!(!network.view(stream, Stream::canSubscribeCall { user: who }));
        assert!(!network.view(stream, Stream::canPublishCall { user: who }));
        let kept = network.view(stream, Stream::permissionOfCall { user: who });
        assert_eq!(kept, permission(0, 0, false, false, false));
        let delegation = network.view(stream, Stream::delegationOfCall { user: who });
        assert_eq!((delegation.subscribeUntil, delegation.publishUntil), (0, 0));
        assert_eq!(stream_of(&network, stream).permission(kernel_address(who)), Permission::default());
    }
}

/// What a delegate may not do, and what nobody may.
fn delegation_errors(network: &mut Network, met: &mut Met, stream: Address) {
    let now = network.mirror.head().header.timestamp;
    let (reader, limit) = (wallet(4).address(), now + 1_000);
    for n in [1, 2, 3] {
        met.expect("NothingGranted", network.refused(n, stream, calldata::grant(reader, 0, 0)));
    }
    met.expect("EverybodyNotAllowed", network.refused(1, stream, calldata::grant(Address::ZERO, 9, 0)));
    met.expect("EverybodyNotAllowed", network.refused(1, stream, calldata::delegate(Address::ZERO, 9, 0)));
    met.expect("NotPermitted", network.refused(3, stream, calldata::grant(reader, 9, 0)));
    met.expect("NotPermitted", network.refused(3, stream, calldata::grant(reader, 0, 9)));
    met.expect("NotPermitted", network.refused(3, stream, calldata::delegate(reader, 9, 9)));
    network.ok(1, stream, calldata::delegate(wallet(3).address(), limit, limit + 1));
    met.expect("NothingGranted", network.refused(3, stream, calldata::delegate(reader, 0, 0)));
    for (subscribe, publish) in [(limit + 1, 0), (0, limit + 2), (limit, u64::MAX)] {
        let call = calldata::grant(reader, subscribe, publish);
        met.expect("GrantBeyondDelegation", network.refused(3, stream, call));
        let call = calldata::delegate(reader, subscribe, publish);
        met.expect("GrantBeyondDelegation", network.refused(3, stream, call));
    }
    let call = calldata::grant_reader(reader, limit + 1, &[]);
    met.expect("GrantBeyondDelegation", network.refused(3, stream, call));
    let call = calldata::grant(wallet(1).address(), limit, 0);
    met.expect("OwnerPermissionsProtected", network.refused(3, stream, call));
    network.ok(1, stream, calldata::delegate(wallet(3).address(), 0, 0));
}

/// What only an editor or the owner may do, and what they may not.
fn steward_errors(network: &mut Network, met: &mut Met, stream: Address) {
    let two = wallet(2).address();
    let calls = [
        calldata::set_search_keys(&[]),
        calldata::set_retention(&Retention::default()),
        calldata::set_fee_terms(&FeeTerms::default()),
        calldata::transfer_ownership(two),
    ];
    for call in calls {
        met.expect("NotPermitted", network.refused(2, stream, call));
    }
    let keys: Vec<B256> = (0..9).map(B256::repeat_byte).collect();
    met.expect("TooManySearchKeys", network.refused(1, stream, calldata::set_search_keys(&keys)));
    let twice = [keys[1], keys[2], keys[1]];
    met.expect("DuplicateSearchKey", network.refused(1, stream, calldata::set_search_keys(&twice)));
    met.expect("NotPendingOwner", network.refused(1, stream, calldata::accept_ownership()));
    network.ok(1, stream, calldata::transfer_ownership(two));
    met.expect("NotPendingOwner", network.refused(3, stream, calldata::accept_ownership()));
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
    delegation_errors(&mut network, &mut met, stream);
    steward_errors(&mut network, &mut met, stream);
    network.ok(1, stream, calldata::transfer_ownership(wallet(5).address()));
    network.ok(1, stream, encode(Stream::removeCall {}));
    let calls = [
        key(32),
        grant(wallet(3).address(), 32),
        calldata::grant(wallet(3).address(), 9, 9),
        calldata::delegate(wallet(3).address(), 9, 9),
        calldata::set_search_keys(&[]),
        calldata::set_retention(&Retention::default()),
        calldata::set_fee_terms(&FeeTerms::default()),
        calldata::transfer_ownership(wallet(3).address()),
        calldata::accept_ownership(),
    ];
    for call in calls {
        met.expect("AlreadyRemoved", network.refused(1, stream, call));
    }
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
    let fake = R::streamTransferredCall { previousOwner: wallet(1).address(), name: "taken".into() };
    met.expect("NotAStream", network.refused(1, registry, encode(fake)));
    met.expect("NotAStream", network.refused(1, registry, encode(R::streamKeysSetCall { keys: vec![] })));
    let nine: Vec<B256> = (0..9).map(B256::repeat_byte).collect();
    met.expect("TooManySearchKeys", network.refused(1, stream, calldata::set_search_keys(&nine)));
    let twice = [nine[1], nine[1]];
    met.expect("DuplicateSearchKey", network.refused(1, stream, calldata::set_search_keys(&twice)));
    let far = encode(R::streamAtCall { index: U256::from(3) });
    met.expect("StreamIndexOutOfRange", network.refused(1, registry, far));
    let owner = wallet(1).address();
    let page = R::streamsOfCall { owner, offset: U256::ZERO, limit: U256::from(1_000_000) };
    met.expect("PageTooLong", network.refused(1, registry, encode(page)));
    let page = R::streamsByKeyCall { key: B256::ZERO, offset: U256::ZERO, limit: U256::from(257) };
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
