//! What has a budget: seals and useful changes, in the state that they are in most of the time.

use alloy_primitives::{Address, Bytes};
use weir_kernel::coordinator::Params;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::ids::PartitionId;

use super::Table;
use super::harness::{Network, kernel_address, wallet};
use crate::calldata;

/// The budget of `gas.seal.single`.
pub const SEAL_SINGLE: u64 = 35_000;
/// The budget of `gas.seal.shared30`.
pub const SEAL_SHARED: u64 = 12_000;
/// The budget of `gas.seat`.
pub const SEAT: u64 = 90_000;

/// What any transaction costs.
const BASE: u64 = 21_000;
/// Partitions that share a certificate.
const SHARED: u32 = 30;

fn network(partitions: u32, governor: Address) -> Network {
    let (replicas, governor) = (4, kernel_address(governor));
    let mut network = Network::new(Params { replicas, partitions, governor, ..Params::default() });
    for n in 1..=replicas {
        network.join(n, 1_000 * DATA);
    }
    network.rebalance();
    network
}

fn submit(network: &mut Network, partitions: std::ops::Range<u32>, signers: usize) -> u64 {
    let epoch = network.twin.partitions[partitions.start as usize].sealed_epoch + 1;
    network.until_epoch(epoch + 1);
    let entries: Vec<_> = partitions.clone().map(|partition| network.entry(partition, epoch)).collect();
    // In the order of brokers' indices, which saves the contract the sorting.
    let mut members = network.members(partitions.start);
    members.sort_unstable();
    let certificate = network.certificate(&entries, &members[..signers]);
    let call = calldata::submit_certificates([&certificate]);
    network.ok(0, network.addresses.coordinator, call).gas_used
}

pub(super) fn rows(table: &mut Table) {
    let mut single = network(1, Address::ZERO);
    let first = submit(&mut single, 0..1, 4);
    let single_gas = submit(&mut single, 0..1, 3);
    table.row("gas.seal.single", single_gas - BASE);
    table.row("gas.seal.single, with the 21,000 of its transaction", single_gas);
    table.row("gas.seal.single, the first of a partition", first - BASE);
    table.row("gas.seal.single, 4 signatures", submit(&mut single, 0..1, 4) - BASE);
    submit(&mut single, 0..1, 3);
    table.row("gas.seal.single, third miss, settled", submit(&mut single, 0..1, 3) - BASE);
    // With a governor a seal has to look whether there is a successor: one slot more.
    let mut governed = network(1, wallet(9).address());
    submit(&mut governed, 0..1, 4);
    table.row("gas.seal.single, with a governor", submit(&mut governed, 0..1, 3) - BASE);
    let mut shared = network(SHARED, wallet(9).address());
    submit(&mut shared, 0..SHARED, 4);
    table.row("gas.seal.shared30", submit(&mut shared, 0..SHARED, 3) / u64::from(SHARED));
    submit(&mut shared, 0..SHARED, 3);
    let settled = submit(&mut shared, 0..SHARED, 3) / u64::from(SHARED);
    table.row("gas.seal.shared30, third miss, settled", settled);
    seats(table);
}

/// Newcomers take seats of founded partitions: by proposal, then by certificate.
fn seats(table: &mut Table) {
    let mut network = network(1, Address::ZERO);
    submit(&mut network, 0..1, 4);
    let coordinator: Address = network.addresses.coordinator;
    let propose = |network: &Network| -> Option<Bytes> {
        let changes = weir_kernel::coordinator::useful_changes(&network.twin, 1);
        (!changes.is_empty()).then(|| calldata::rebalance(&changes))
    };
    let mut proposals = Vec::new();
    for n in 5..30 {
        network.join(n, 4_000 * DATA);
        while let Some(call) = propose(&network) {
            proposals.push(network.ok(n, coordinator, call).gas_used);
        }
    }
    let most = proposals.iter().max().expect("with these keys somebody scores higher");
    table.row("gas.seat", *most);
    table.row("gas.seat, the cheapest", *proposals.iter().min().expect("there is one"));
    let proposed = network.epoch();
    network.until_epoch(proposed + 1);
    let before = network.members(0);
    let entry = network.entry(0, proposed);
    let certificate = network.certificate(&[entry], &before[..3]);
    let call = calldata::submit_certificates([&certificate]);
    let gas = network.ok(0, coordinator, call).gas_used;
    assert_ne!(network.members(0), before, "a newcomer was installed");
    table.row("submitCertificates, installs a newcomer", gas);
    let settle = calldata::settle(&[PartitionId(0)]);
    submit_next(&mut network, table);
    table.row("NetworkCoordinator.settle, 1 partition", network.ok(0, coordinator, settle).gas_used);
}

/// The first epoch of new members: both sets sign.
fn submit_next(network: &mut Network, table: &mut Table) {
    let partition = network.twin.partitions[0].clone();
    let epoch = partition.since_epoch;
    network.until_epoch(epoch + 1);
    let mut signers = network.members(0);
    signers.extend(network.keys(partition.previous_members));
    signers.sort_unstable();
    signers.dedup();
    let certificate = network.certificate(&[network.entry(0, epoch)], &signers);
    let call = calldata::submit_certificates([&certificate]);
    let gas = network.ok(0, network.addresses.coordinator, call).gas_used;
    table.row("submitCertificates, of both sets", gas);
}
