//! The coordinator: brokers, targets, certificates.

use alloy_primitives::B256;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Change, Params, targets};
use weir_kernel::ids::{BrokerIndex, PartitionId};

use super::Table;
use super::harness::Network;
use crate::calldata;

pub(super) fn rows(table: &mut Table) {
    let params = Params { partitions: 3, partitions_per_broker: 1, ..Params::default() };
    let mut network = Network::new(params);
    let coordinator = network.addresses.coordinator;
    for n in 1..=4 {
        let [register, draw] = network.join(n, 1_000 * DATA);
        if n == 1 {
            table.row("NetworkCoordinator.register", register);
            table.row("NetworkCoordinator.recordDraw", draw);
        }
    }
    let change = |broker| Change { partition: PartitionId(0), broker: BrokerIndex(broker), ticket: 0 };
    let call = calldata::rebalance(&[change(1)]);
    table.row("NetworkCoordinator.rebalance, 1 change", network.ok(0, coordinator, call.clone()).gas_used);
    table.row("NetworkCoordinator.rebalance, 1 useless", network.ok(0, coordinator, call).gas_used);
    let call = calldata::rebalance(&[change(2), change(3), change(4)]);
    table.row("NetworkCoordinator.rebalance, 3 that found", network.ok(0, coordinator, call).gas_used);
    let rest = targets::useful_changes(&network.twin, 64);
    let what = format!("NetworkCoordinator.rebalance, {} that found 2", rest.len());
    table.row(&what, network.ok(0, coordinator, calldata::rebalance(&rest)).gas_used);
    let grow = calldata::grow_partitions();
    table.row("NetworkCoordinator.growPartitions", network.ok(0, coordinator, grow).gas_used);
    let first = network.twin.partitions[0].since_epoch;
    network.until_epoch(first + 12);
    let members = network.members(0);
    for epoch in first..first + 11 {
        let certificate = network.certificate(&[network.entry(0, epoch)], &members[..3]);
        network.ok(0, coordinator, calldata::submit_certificates([&certificate]));
    }
    let certificates: Vec<_> = (0..3)
        .map(|partition| network.certificate(&[network.entry(partition, first + 11)], &members))
        .collect();
    let call = calldata::submit_certificates(&certificates);
    table.row("submitCertificates, 3 of 4 signatures", network.ok(0, coordinator, call).gas_used);
    let partitions = [0, 1, 2].map(PartitionId);
    let gas = network.ok(0, coordinator, calldata::settle(&partitions)).gas_used;
    table.row("NetworkCoordinator.settle, 3 partitions", gas);
    let signer = members[0];
    table.row("NetworkCoordinator.claim", network.ok(signer, coordinator, calldata::claim()).gas_used);
    rejoin(table, &mut network, members[3]);
    let call = calldata::update_endpoint("203.0.113.8:7600", B256::repeat_byte(9));
    table.row("NetworkCoordinator.updateEndpoint", network.ok(1, coordinator, call).gas_used);
    table.row("NetworkCoordinator.leave", network.ok(1, coordinator, calldata::leave()).gas_used);
    let seat = network.twin.partitions[0].target.position(BrokerIndex(1)).expect("it sits there") as u8;
    let call = calldata::evict(PartitionId(0), seat);
    table.row("NetworkCoordinator.evict", network.ok(0, coordinator, call).gas_used);
}

/// The broker that was on probation and never signed has no reliability left, and comes back.
fn rejoin(table: &mut Table, network: &mut Network, silent: u8) {
    let reliability = network.twin.broker(network.index(silent)).map(|broker| broker.reliability);
    assert!(reliability < Some(2_500), "it is suspended");
    let gas = network.ok(silent, network.addresses.coordinator, calldata::rejoin()).gas_used;
    table.row("NetworkCoordinator.rejoin", gas);
}
