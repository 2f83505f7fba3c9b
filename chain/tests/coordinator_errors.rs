//! Every named error of the network coordinator is met once, and the list is checked against the ABI.

mod common;

use alloy_primitives::{Address, B256, TxKind};
use common::{Met, Network, kernel_address, params, wallet};
use weir_chain::calldata;
use weir_chain::deploy::coordinator_code;
use weir_chain::mirror::Receipt;
use weir_kernel::agreement::cut;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Certificate, Change, Entry, Params};
use weir_kernel::ids::{BrokerIndex, Hash, PartitionId};

fn brokers_errors(met: &mut Met) {
    let mut network = Network::with_brokers(params(), &[1_000 * DATA]);
    let coordinator = network.addresses.coordinator;
    let wrong = coordinator_code(network.addresses.token, &Params { replicas: 9, ..params() });
    met.expect("ParameterOutOfRange", network.transact(0, TxKind::Create, wrong).failure().unwrap());
    let missing = coordinator_code(Address::repeat_byte(1), &params());
    met.expect("TokenMissing", network.transact(0, TxKind::Create, missing).failure().unwrap());
    let register = |stake, endpoint: &str| calldata::register(stake, endpoint, B256::ZERO);
    met.expect("StakeOutOfRange", network.refused(2, coordinator, register(999 * DATA, "here")));
    met.expect("EndpointLengthOutOfRange", network.refused(2, coordinator, register(1_000 * DATA, "")));
    let long = "x".repeat(257);
    met.expect("EndpointLengthOutOfRange", network.refused(2, coordinator, register(1_000 * DATA, &long)));
    met.expect("AlreadyRegistered", network.refused(1, coordinator, register(1_000 * DATA, "here")));
    let poor = network.refused(2, coordinator, register(1_000 * DATA, "here"));
    assert!(poor.starts_with("ERC20InsufficientAllowance("), "{poor}");
    for call in [calldata::leave(), calldata::claim(), calldata::withdraw_stake()] {
        met.expect("NotRegistered", network.refused(2, coordinator, call));
    }
    let unknown = calldata::record_draw(BrokerIndex(9));
    met.expect("UnknownBroker", network.refused(0, coordinator, unknown));
    let again = calldata::record_draw(BrokerIndex(1));
    met.expect("DrawAlreadyRecorded", network.refused(0, coordinator, again));
    met.expect("NothingToClaim", network.refused(1, coordinator, calldata::claim()));
    met.expect("NotLeft", network.refused(1, coordinator, calldata::withdraw_stake()));
    network.ok(1, coordinator, calldata::leave());
    met.expect("AlreadyLeft", network.refused(1, coordinator, calldata::leave()));
    met.expect("StakeLocked", network.refused(1, coordinator, calldata::withdraw_stake()));
    let free = network.twin.broker(BrokerIndex(1)).unwrap().left.unwrap() + 1;
    network.until_epoch(free);
    network.ok(1, coordinator, calldata::withdraw_stake());
    met.expect("NothingStaked", network.refused(1, coordinator, calldata::withdraw_stake()));
    network.check();
}

fn draw_errors(met: &mut Met) {
    let mut network = Network::new(Params { draw_delay: 5, ..params() });
    let coordinator = network.addresses.coordinator;
    network.ok(0, network.addresses.token, calldata::approve(coordinator, 1_010 * DATA));
    network.ok(0, coordinator, calldata::register(1_000 * DATA, "here", B256::ZERO));
    for _ in 0..5 {
        let early = network.refused(0, coordinator, calldata::record_draw(BrokerIndex(1)));
        met.expect("DrawNotReady", early);
    }
    network.ok(0, coordinator, calldata::record_draw(BrokerIndex(1)));
}

fn target_errors(met: &mut Met) {
    let mut network = Network::with_brokers(params(), &[1_000 * DATA; 3]);
    let coordinator = network.addresses.coordinator;
    let change = Change { partition: PartitionId(0), broker: BrokerIndex(1), ticket: 0 };
    met.expect("ListTooLong", network.refused(0, coordinator, calldata::rebalance(&[change; 65])));
    met.expect("UnknownPartition", network.refused(0, coordinator, calldata::found(PartitionId(3))));
    met.expect("UnknownSeat", network.refused(0, coordinator, calldata::evict(PartitionId(0), 4)));
    met.expect("SeatIsVacant", network.refused(0, coordinator, calldata::evict(PartitionId(0), 0)));
    met.expect("TooFewSeats", network.refused(0, coordinator, calldata::found(PartitionId(0))));
    let early = network.certificate(network.entry(0, 0), &[1, 2, 3]);
    let early = calldata::submit_certificates([&early]);
    met.expect("NotFounded", network.refused(0, coordinator, early));
    // Begin in a fresh epoch, so that it does not end between the proposal and the call.
    let next = network.epoch() + 1;
    network.until_epoch(next);
    network.rebalance();
    met.expect("TargetStillMoving", network.refused(0, coordinator, calldata::found(PartitionId(0))));
    met.expect("SeatIsValid", network.refused(0, coordinator, calldata::evict(PartitionId(0), 0)));
    network.until_epoch(next + 1);
    network.ok(0, coordinator, calldata::found(PartitionId(0)));
    met.expect("AlreadyFounded", network.refused(0, coordinator, calldata::found(PartitionId(0))));
    // A broker that left keeps its member seat, and its stake stays, until somebody takes its place.
    network.ok(1, coordinator, calldata::leave());
    let seat = network.twin.partitions[0].target.position(BrokerIndex(1)).unwrap() as u8;
    network.ok(0, coordinator, calldata::evict(PartitionId(0), seat));
    let free = network.twin.broker(BrokerIndex(1)).unwrap().left.unwrap() + 1;
    network.until_epoch(free);
    met.expect("StillSeated", network.refused(1, coordinator, calldata::withdraw_stake()));
    network.check();
}

fn certificate_errors(met: &mut Met) {
    let mut network = Network::with_brokers(Params { window_epochs: 3, ..params() }, &[1_000 * DATA; 4]);
    network.rebalance();
    let coordinator = network.addresses.coordinator;
    let first = network.twin.partitions[0].since_epoch;
    network.until_epoch(first + 1);
    let refuse = |network: &mut Network, certificate: &Certificate| {
        network.refused(0, coordinator, calldata::submit_certificates([certificate]))
    };
    let good = network.entry(0, first);
    let signed = |network: &Network, entry, signers: &[u8]| network.certificate(entry, signers);
    let now = network.epoch();
    let later = network.entry(0, now);
    let certificate = signed(&network, later, &[1, 2, 3]);
    met.expect("EpochNotOver", refuse(&mut network, &certificate));
    let mut entry = good;
    entry.previous = Hash([1; 32]);
    let certificate = signed(&network, entry, &[1, 2, 3]);
    met.expect("PreviousMismatch", refuse(&mut network, &certificate));
    let none = Certificate::default();
    met.expect("EntriesOutOfRange", refuse(&mut network, &none));
    let many = network.shared_certificate(&[good; 65], &[1, 2, 3]);
    met.expect("EntriesOutOfRange", refuse(&mut network, &many));
    let twice = network.shared_certificate(&[good, good], &[1, 2, 3]);
    met.expect("EntriesNotAscending", refuse(&mut network, &twice));
    let descending = network.shared_certificate(&[network.entry(1, first), good], &[1, 2, 3]);
    met.expect("EntriesNotAscending", refuse(&mut network, &descending));
    let certificate = signed(&network, good, &[1, 2, 3, 4, 1, 2, 3, 4, 1]);
    met.expect("TooManySignatures", refuse(&mut network, &certificate));
    let mut certificate = signed(&network, good, &[1, 2, 3]);
    certificate.signatures[1][64] = 99;
    met.expect("InvalidSignature", refuse(&mut network, &certificate));
    let mut malleable = signed(&network, good, &[1, 2, 3]);
    malleable.signatures[0] = high(malleable.signatures[0]);
    met.expect("InvalidSignature", refuse(&mut network, &malleable));
    let certificate = signed(&network, good, &[1, 2, 7]);
    let stranger = refuse(&mut network, &certificate);
    assert!(stranger.to_lowercase().contains(&format!("{:#x}", wallet(7).address())), "{stranger}");
    met.expect("SignerNotMember", stranger);
    let certificate = signed(&network, good, &[1, 2, 2]);
    met.expect("DuplicateSigner", refuse(&mut network, &certificate));
    let certificate = signed(&network, good, &[1, 2]);
    met.expect("QuorumNotReached", refuse(&mut network, &certificate));
    // Signatures over another entry recover to strangers.
    let mut certificate = signed(&network, good, &[1, 2, 3]);
    certificate.entries[0].events += 1;
    met.expect("SignerNotMember", refuse(&mut network, &certificate));
    let certificate = signed(&network, good, &[1, 2, 3]);
    let too_many = calldata::submit_certificates(std::iter::repeat_n(&certificate, 65));
    met.expect("ListTooLong", network.refused(0, coordinator, too_many));
    network.ok(0, coordinator, calldata::submit_certificates([&certificate]));
    met.expect("AlreadySealed", refuse(&mut network, &certificate));
    let next = signed(&network, network.entry(0, first + 1), &[1, 2, 3]);
    network.until_epoch(first + 5);
    met.expect("WindowClosed", refuse(&mut network, &next));
    network.check();
}

fn conduct_errors(met: &mut Met) {
    let mut network = Network::with_brokers(Params { window_epochs: 3, ..params() }, &[1_000 * DATA; 5]);
    network.rebalance();
    let coordinator = network.addresses.coordinator;
    let report = |network: &Network, entry: Entry, key: u8| {
        let signature = network.certificate(entry, &[key]).signatures[0];
        calldata::report(&entry, &[], &signature)
    };
    let (entry, index) = (network.entry(0, 1), BrokerIndex(5));
    let other = Entry { checksum: cut::kept(Hash([7; 32])), ..entry };
    let slash = |network: &Network, a: Entry, b: Entry, key: u8| {
        calldata::slash(index, report(network, a, key), report(network, b, key))
    };
    let call = slash(&network, entry, entry, 5);
    met.expect("NoConflict", network.refused(0, coordinator, call));
    let call = slash(&network, entry, other, 4);
    met.expect("NotTheSigner", network.refused(0, coordinator, call));
    met.expect("NoBounty", network.refused(9, coordinator, calldata::claim_bounty()));
    let call = slash(&network, entry, other, 5);
    network.ok(9, coordinator, call.clone());
    assert_eq!(network.twin.broker(index).map(|broker| broker.stake), Some(500 * DATA));
    met.expect("AlreadySlashed", network.refused(0, coordinator, call));
    network.ok(9, coordinator, calldata::claim_bounty());
    assert_eq!(network.tokens(wallet(9).address()), 50 * DATA);

    let first = network.twin.partitions[0].since_epoch;
    network.until_epoch(first + 1);
    let (present, absent) = {
        let members = network.members(0);
        (members[..3].to_vec(), members[3])
    };
    network.seal(0, first, &present);
    let sealed = network.twin.partitions[0].clone();
    let late = Entry {
        partition: PartitionId(0),
        epoch: first,
        round: u32::MAX,
        checksum: sealed.checksum,
        ..Entry::default()
    };
    let say = |network: &mut Network, entry: Entry, key: u8| {
        let call = calldata::report_late(report(network, entry, key));
        network.send(0, coordinator, call)
    };
    let why = |receipt: Receipt| receipt.failure().expect("the report must be refused");
    met.expect("NotLate", why(say(&mut network, Entry { round: 3, ..late }, absent)));
    met.expect("NotAccepted", why(say(&mut network, Entry { epoch: first + 1, ..late }, absent)));
    met.expect("NotAbsent", why(say(&mut network, late, present[0])));
    assert_eq!(say(&mut network, late, absent).failure(), None);
    met.expect("NotAbsent", why(say(&mut network, late, absent)));
    let index = network.twin.broker_index(kernel_address(wallet(absent).address())).unwrap();
    assert_eq!(network.twin.broker(index).map(|broker| broker.reliability), Some(10_000));

    let lost = calldata::declare_quorum_lost(PartitionId(0));
    met.expect("QuorumNotLost", network.refused(0, coordinator, lost.clone()));
    network.until_epoch(first + 7);
    network.ok(0, coordinator, lost);
    let after = &network.twin.partitions[0];
    assert_eq!(
        (after.checksum, after.sealed_epoch, after.events),
        (sealed.checksum, first + 7, sealed.events)
    );
    network.until_epoch(first + 9);
    let members = network.members(0);
    network.seal(0, first + 8, &members);
    network.check();
}

fn growth_errors(met: &mut Met) {
    let mut network = Network::with_brokers(
        Params { partitions: 4, partitions_per_broker: 2, ..params() },
        &[1_000 * DATA, 1_000 * DATA],
    );
    let coordinator = network.addresses.coordinator;
    met.expect("NothingToGrow", network.refused(0, coordinator, calldata::grow_partitions()));
    met.expect("NotSuspended", network.refused(1, coordinator, calldata::rejoin()));
    met.expect("NotRegistered", network.refused(3, coordinator, calldata::rejoin()));
    let many = vec![PartitionId(0); 65];
    met.expect("ListTooLong", network.refused(0, coordinator, calldata::settle(&many)));
    network.ok(0, coordinator, calldata::settle(&[PartitionId(0), PartitionId(9)]));
    network.join(3, 1_000 * DATA);
    network.ok(0, coordinator, calldata::grow_partitions());
    assert_eq!(network.twin.partitions.len(), 6);
    network.check();
    network.ok(1, coordinator, calldata::leave());
    met.expect("AlreadyLeft", network.refused(1, coordinator, calldata::rejoin()));
    network.check();
}

fn succession_errors(met: &mut Met) {
    let governor = kernel_address(wallet(1).address());
    let mut network =
        Network::with_brokers(Params { governor, successor_notice: 1, ..params() }, &[1_000 * DATA; 4]);
    network.rebalance();
    let coordinator = network.addresses.coordinator;
    let propose = |n: u8| calldata::propose_successor(wallet(n).address());
    met.expect("NotGovernor", network.refused(2, coordinator, propose(8)));
    network.ok(1, coordinator, propose(8));
    met.expect("NotProposed", network.refused(7, coordinator, calldata::accept_succession()));
    network.ok(8, coordinator, calldata::accept_succession());
    met.expect("SuccessorFixed", network.refused(1, coordinator, propose(7)));
    let (_, from_epoch) = network.twin.succession.accepted.unwrap();
    network.ok(1, coordinator, calldata::leave());
    network.until_epoch(from_epoch + 1);
    let register = calldata::register(1_000 * DATA, "a", B256::ZERO);
    met.expect("Succeeded", network.refused(9, coordinator, register));
    let certificate = network.certificate(network.entry(0, from_epoch), &[1, 2, 3]);
    met.expect("Succeeded", network.refused(0, coordinator, calldata::submit_certificates([&certificate])));
    let before = network.tokens(wallet(1).address());
    let free = network.twin.broker(BrokerIndex(1)).unwrap().left.unwrap() + 1;
    network.until_epoch(free);
    network.ok(1, coordinator, calldata::withdraw_stake());
    assert_eq!(network.tokens(wallet(1).address()) - before, 1_000 * DATA, "a seat keeps no stake any more");
    network.check();
}

/// The same signature with s in the upper half, which only a careless check takes.
fn high(mut signature: [u8; 65]) -> [u8; 65] {
    use alloy_primitives::{U256, uint};
    let order = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let s = order - U256::from_be_slice(&signature[32..64]);
    signature[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    signature[64] = if signature[64] == 27 { 28 } else { 27 };
    signature
}

#[test]
fn every_error_has_its_case() {
    let mut met = Met::default();
    brokers_errors(&mut met);
    draw_errors(&mut met);
    target_errors(&mut met);
    certificate_errors(&mut met);
    conduct_errors(&mut met);
    succession_errors(&mut met);
    growth_errors(&mut met);
    met.complete(
        "NetworkCoordinator",
        &[
            ("SafeERC20FailedOperation", "the token reverts by itself"),
            ("TooManyBrokers", "it takes 16 million registrations"),
        ],
    );
}
