//! What LaneFees and Karma cost.

use alloy_primitives::U256;
use weir_kernel::agreement::LaneHead;
use weir_kernel::agreement::cut::Cut;
use weir_kernel::batch::{Header, Session, Signature, SignedHeader};
use weir_kernel::coordinator::Params;
use weir_kernel::coordinator::fees::{self, CutProof, Receipt};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::ids::{Hash, LaneId, PartitionId, StreamId, StreamPartition};
use weir_kernel::merkle;
use weir_kernel::signature::SECP256K1;

use super::Table;
use super::harness::{CHAIN_ID, Network, SESSION_KEY, kernel_address, wallet};
use crate::deploy::Economy;
use crate::{calldata, fees as data};

/// The publisher and subscriber.
const PAYER: u8 = 3;
/// The edge, a broker.
const EDGE: u8 = 1;

fn header(sequence: u64, previous: Hash) -> SignedHeader {
    let origin = kernel_address(wallet(PAYER).address());
    let header = Header {
        version: 1,
        stream: StreamId([7; 20]),
        stream_partition: 0,
        origin_type: 0,
        origin,
        opening_block: 5,
        nonce: [6; 16],
        sequence,
        count: 100,
        volume: (sequence + 100) * 200,
        first_time_ms: 1,
        last_time_ms: 2,
        previous,
        root: Hash([8; 32]),
        signer: origin,
        certificate: Hash::ZERO,
        signature_type: 1,
    };
    let hash = header.signing_hash(CHAIN_ID);
    SignedHeader::by_origin(header, Signature::Secp256k1(wallet(PAYER).sign_digest(hash.0.into())))
}

/// The same in a session: another key signs, and the publisher certifies it.
fn in_session(signed: &SignedHeader) -> SignedHeader {
    let header = &signed.header;
    let key = kernel_address(wallet(SESSION_KEY).address());
    let (stream, origin) = (header.stream, header.origin);
    let session = Session { stream, origin, key, expiry_block: 1_000_000, signature_type: SECP256K1 };
    let sign = |by: u8, hash: Hash| Signature::Secp256k1(wallet(by).sign_digest(hash.0.into()));
    let header = Header { signer: key, certificate: session.digest(), ..*header };
    let signature = sign(SESSION_KEY, header.signing_hash(CHAIN_ID));
    let certificate = session.certified(sign(PAYER, session.signing_hash(CHAIN_ID)));
    SignedHeader { header, signature, certificate: Some(certificate) }
}

/// Seals a cut of 1,000 lanes, this one among them; the proof.
fn seal(network: &mut Network, signed: &SignedHeader) -> CutProof {
    let partition = PartitionId(0);
    network.blocks(network.twin.params.epoch_blocks);
    let epoch = network.epoch() - 1;
    let mut entry = network.entry(0, epoch);
    let other = |n: u16| {
        let mut lane = [0; 32];
        lane[..2].copy_from_slice(&n.to_be_bytes());
        LaneHead { lane: LaneId(lane), next_sequence: 1, volume: 1, digest: Hash([1; 32]) }
    };
    let own = LaneHead {
        lane: signed.header.lane(),
        next_sequence: signed.header.next_sequence(),
        volume: signed.header.volume,
        digest: signed.header.digest(),
    };
    let mut heads: Vec<LaneHead> = (1..1_000).map(other).chain([own]).collect();
    heads.sort_by_key(|head| head.lane);
    let index = heads.iter().position(|head| *head == own).expect("as deployed and made above") as u32;
    let leaves: Vec<Hash> = heads.iter().map(LaneHead::leaf).collect();
    let cut = Cut { partition, epoch, previous: entry.previous, heads, forks: Vec::new() };
    entry.checksum = cut.checksum();
    let members = network.members(0);
    let certificate = network.certificate(&[entry], &members);
    network.ok(0, network.addresses.coordinator, calldata::submit_certificates([&certificate]));
    let path = merkle::proof(&leaves, index).expect("as deployed and made above");
    CutProof { partition, epoch, previous: entry.previous, path, later: Vec::new() }
}

fn network() -> Network {
    let params = Params { replicas: 1, partitions: 1, ..Params::default() };
    let fees = fees::Params { free_events: 0, free_volume: 0, notice_epochs: 0, ..fees::Params::default() };
    let mut network = Network::with_economy(params, &Economy { fees, ..Economy::default() });
    network.join(EDGE, 1_000 * DATA);
    network.rebalance();
    network.blocks(2 * network.twin.params.epoch_blocks);
    let (token, fees) =
        (network.addresses.token, network.addresses.fees.expect("as deployed and made above"));
    network.ok(0, token, calldata::transfer(wallet(PAYER).address(), 900 * DATA));
    network.ok(PAYER, token, calldata::approve(fees, 800 * DATA));
    network
}

pub(super) fn rows(table: &mut Table) {
    let mut network = network();
    let (fees, karma) = (
        network.addresses.fees.expect("as deployed and made above"),
        network.addresses.karma.expect("as deployed and made above"),
    );
    for number in 0..network.mirror.height() {
        let block = network.mirror.block(number).expect("history is in memory").expect("it was made");
        let deployed = [(fees, "deploy LaneFees"), (karma, "deploy Karma")];
        for receipt in &block.receipts {
            for (_, what) in deployed.iter().filter(|(at, _)| receipt.contract_address == Some(*at)) {
                table.row(what, receipt.gas_used);
            }
        }
    }
    let slot = StreamPartition { stream: StreamId([7; 20]), partition: 0 };
    let allot = data::allot(slot, 100 * DATA);
    table.row("LaneFees.allot, new", network.ok(PAYER, fees, allot.clone()).gas_used);
    table.row("LaneFees.allot", network.ok(PAYER, fees, allot).gas_used);
    let first = header(0, Hash::ZERO);
    let proof = seal(&mut network, &first);
    let call = data::settle(&first, &proof);
    table.row("LaneFees.settle, new lane of 1,000", network.ok(0, fees, call).gas_used);
    let second = header(100, first.header.digest());
    let mut proof = seal(&mut network, &second);
    let call = data::settle(&second, &proof);
    table.row("LaneFees.settle, 1 of 1,000 lanes", network.ok(0, fees, call).gas_used);
    let third = header(200, second.header.digest());
    proof = seal(&mut network, &third);
    for _ in 0..10 {
        let (fourth, root) = (header(300, third.header.digest()), network.twin.partitions[0].checksum);
        let later = seal(&mut network, &fourth);
        assert_eq!(later.previous, root);
        let leaf = LaneHead {
            lane: fourth.header.lane(),
            next_sequence: 400,
            volume: fourth.header.volume,
            digest: fourth.header.digest(),
        };
        proof.later.push((later.epoch, later.path.root(leaf.leaf()).expect("as deployed and made above")));
    }
    let call = data::settle(&third, &proof);
    table.row("LaneFees.settle, 10 seals later", network.ok(0, fees, call).gas_used);
    let fourth = in_session(&header(300, third.header.digest()));
    let proof = seal(&mut network, &fourth);
    let call = data::settle(&fourth, &proof);
    table.row("LaneFees.settle, 1 of 1,000 lanes, in a session", network.ok(0, fees, call).gas_used);
    let fork = header(200, first.header.digest());
    table.row("LaneFees.proveFork", network.ok(0, fees, data::prove_fork(&third, &fork)).gas_used);
    let call = data::request_withdrawal(slot, DATA);
    table.row("LaneFees.requestWithdrawal", network.ok(PAYER, fees, call).gas_used);
    network.blocks(network.twin.params.epoch_blocks);
    table.row("LaneFees.withdraw", network.ok(PAYER, fees, data::withdraw(slot)).gas_used);
    sessions(table, &mut network);
    let creditor = wallet(9).address();
    table.row("Karma.authorise", network.ok(0, karma, data::authorise(creditor)).gas_used);
    table.row("Karma.credit, new account", network.ok(9, karma, data::credit(creditor, DATA)).gas_used);
    table.row("Karma.credit", network.ok(9, karma, data::credit(creditor, DATA)).gas_used);
    table.row("Karma.closeFounding", network.ok(0, karma, data::close_founding()).gas_used);
    let found = network.view(karma, crate::bindings::Karma::karmaOfCall { account: creditor });
    assert_eq!(found, U256::from(2 * DATA));
}

fn sessions(table: &mut Table, network: &mut Network) {
    let (fees, edge) = (network.addresses.fees.expect("as deployed and made above"), wallet(EDGE).address());
    let call = data::allot_to_edge(edge, 100 * DATA);
    table.row("LaneFees.allotToEdge, new", network.ok(PAYER, fees, call).gas_used);
    for (events, what) in [(500, "LaneFees.settleReceipt, new session"), (900, "LaneFees.settleReceipt")] {
        let receipt =
            Receipt { edge: kernel_address(edge), session: Hash([4; 32]), events, volume: events * 200 };
        let hash = receipt.signing_hash(CHAIN_ID, &kernel_address(fees));
        let signature = wallet(PAYER).sign_digest(hash.0.into());
        let call = data::settle_receipt(wallet(PAYER).address(), &receipt, &signature);
        table.row(what, network.ok(EDGE, fees, call).gas_used);
    }
    let call = data::request_edge_withdrawal(edge, DATA);
    table.row("LaneFees.requestEdgeWithdrawal", network.ok(PAYER, fees, call).gas_used);
    network.blocks(network.twin.params.epoch_blocks);
    let call = data::withdraw_from_edge(edge);
    table.row("LaneFees.withdrawFromEdge", network.ok(PAYER, fees, call).gas_used);
}
