//! What a node sends to the contracts, as calldata.

pub(crate) mod batch;
pub mod market;

use alloy_primitives::aliases::U24;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy_sol_types::SolCall;
use weir_kernel::coordinator as kernel;
use weir_kernel::ids::{BrokerIndex, PartitionId};

use crate::bindings::{
    DataCoin, INetworkCoordinator as I, IStream, NetworkCoordinator as C, Stream, StreamRegistry,
};

fn index(index: BrokerIndex) -> U24 {
    U24::try_from(index.0).expect("a broker index has 24 bits")
}

/// `DataCoin.approve`: lets `spender` take `amount`.
pub fn approve(spender: Address, amount: u128) -> Bytes {
    DataCoin::approveCall { spender, value: U256::from(amount) }.abi_encode().into()
}

/// `DataCoin.transfer`.
pub fn transfer(to: Address, amount: u128) -> Bytes {
    DataCoin::transferCall { to, value: U256::from(amount) }.abi_encode().into()
}

/// `StreamRegistry.createStream`.
pub fn create_stream(
    name: &str,
    description: &str,
    partitions: u32,
    public_subscribe: bool,
    public_publish: bool,
) -> Bytes {
    let call = StreamRegistry::createStreamCall {
        name: name.into(),
        description: description.into(),
        partitions,
        publicSubscribe: public_subscribe,
        publicPublish: public_publish,
    };
    call.abi_encode().into()
}

/// `Stream.update`.
pub fn update_stream(name: &str, description: &str) -> Bytes {
    let call = Stream::updateCall { newName: name.into(), newDescription: description.into() };
    call.abi_encode().into()
}

/// `Stream.setPermission`; the zero address is everybody.
pub fn set_permission(user: Address, permission: &kernel::Permission) -> Bytes {
    let permission = IStream::Permission {
        subscribeUntil: permission.subscribe_until,
        publishUntil: permission.publish_until,
        canGrant: permission.can_grant,
        canEdit: permission.can_edit,
        canDelete: permission.can_delete,
    };
    Stream::setPermissionCall { user, permission }.abi_encode().into()
}

/// `Stream.grant`: rights until these times at least, in exclusive Unix seconds.
pub fn grant(user: Address, subscribe_until: u64, publish_until: u64) -> Bytes {
    let call = Stream::grantCall { user, subscribeUntil: subscribe_until, publishUntil: publish_until };
    call.abi_encode().into()
}

/// `Stream.grantReader`; an empty key leaves the one that `user` has.
pub fn grant_reader(user: Address, subscribe_until: u64, public_key: &[u8]) -> Bytes {
    let public_key = Bytes::copy_from_slice(public_key);
    let call = Stream::grantReaderCall { user, subscribeUntil: subscribe_until, publicKey: public_key };
    call.abi_encode().into()
}

/// `Stream.delegate`: lets `to` pass on rights that end no later than these times.
pub fn delegate(to: Address, subscribe_until: u64, publish_until: u64) -> Bytes {
    let call = Stream::delegateCall { to, subscribeUntil: subscribe_until, publishUntil: publish_until };
    call.abi_encode().into()
}

/// `Stream.setPublicKey`: the caller's own.
pub fn set_public_key(key: &[u8]) -> Bytes {
    Stream::setPublicKeyCall { key: Bytes::copy_from_slice(key) }.abi_encode().into()
}

/// `Stream.setSearchKeys`.
pub fn set_search_keys(keys: &[B256]) -> Bytes {
    Stream::setSearchKeysCall { keys: keys.to_vec() }.abi_encode().into()
}

/// `Stream.setRetention`.
pub fn set_retention(retention: &kernel::Retention) -> Bytes {
    let call = Stream::setRetentionCall { ageSeconds: retention.age_s, sizeBytes: retention.size_bytes };
    call.abi_encode().into()
}

/// `Stream.setFeeTerms`.
pub fn set_fee_terms(fee_terms: &kernel::FeeTerms) -> Bytes {
    let call = Stream::setFeeTermsCall {
        eventPrice: fee_terms.event_price,
        bytePrice: fee_terms.byte_price,
        terms: fee_terms.terms.0.into(),
    };
    call.abi_encode().into()
}

/// `Stream.transferOwnership`: offers the stream; to the zero address, takes the offer back.
pub fn transfer_ownership(new_owner: Address) -> Bytes {
    Stream::transferOwnershipCall { newOwner: new_owner }.abi_encode().into()
}

/// `Stream.acceptOwnership`.
pub fn accept_ownership() -> Bytes {
    Stream::acceptOwnershipCall {}.abi_encode().into()
}

/// `Stream.remove`.
pub fn remove_stream() -> Bytes {
    Stream::removeCall {}.abi_encode().into()
}

/// `NetworkCoordinator.register`; the coordinator must be allowed to take stake and join fee before.
pub fn register(stake: u128, endpoint: &str, tls_key_hash: B256) -> Bytes {
    let call =
        C::registerCall { stake: U256::from(stake), endpoint: endpoint.into(), tlsKeyHash: tls_key_hash };
    call.abi_encode().into()
}

/// `NetworkCoordinator.updateEndpoint`.
pub fn update_endpoint(endpoint: &str, tls_key_hash: B256) -> Bytes {
    C::updateEndpointCall { endpoint: endpoint.into(), tlsKeyHash: tls_key_hash }.abi_encode().into()
}

/// `NetworkCoordinator.recordDraw`.
pub fn record_draw(broker: BrokerIndex) -> Bytes {
    C::recordDrawCall { index: index(broker) }.abi_encode().into()
}

/// `NetworkCoordinator.rebalance`.
pub fn rebalance(changes: &[kernel::Change]) -> Bytes {
    let changes = changes.iter().map(|change| I::Change {
        partition: change.partition.0,
        broker: index(change.broker),
        ticket: change.ticket,
    });
    C::rebalanceCall { changes: changes.collect() }.abi_encode().into()
}

/// `NetworkCoordinator.evict`.
pub fn evict(partition: PartitionId, seat: u8) -> Bytes {
    C::evictCall { partition_: partition.0, seat }.abi_encode().into()
}

/// `NetworkCoordinator.found`.
pub fn found(partition: PartitionId) -> Bytes {
    C::foundCall { partition_: partition.0 }.abi_encode().into()
}

/// `NetworkCoordinator.submitCertificates`.
pub fn submit_certificates<'a>(certificates: impl IntoIterator<Item = &'a kernel::Certificate>) -> Bytes {
    let certificates = certificates.into_iter().map(|certificate| I::Certificate {
        entries: certificate.entries.iter().map(entry).collect(),
        signatures: certificate.signatures.iter().map(compact).collect(),
    });
    C::submitCertificatesCall { certificates: certificates.collect() }.abi_encode().into()
}

/// An entry as the coordinator takes it: the chain knows what it rolls on from, and reads 24 bytes of its checksum.
pub fn entry(entry: &kernel::Entry) -> I::Entry {
    I::Entry {
        summary: U256::from_be_bytes(entry.sealed().summary()),
        checksum: FixedBytes::from_slice(&entry.checksum.0[..24]),
    }
}

/// A signature in the compact form of EIP-2098. What has none (v other than 27 and 28, s of 256 bits) becomes zero,
/// which recovers to nobody.
pub fn compact(signature: &[u8; 65]) -> I::Signature {
    let (r, mut vs) = (B256::from_slice(&signature[..32]), B256::from_slice(&signature[32..64]));
    if !matches!(signature[64], 27 | 28) || vs[0] & 0x80 != 0 {
        return I::Signature { r: B256::ZERO, vs: B256::ZERO };
    }
    vs[0] |= (signature[64] - 27) << 7;
    I::Signature { r, vs }
}

/// `NetworkCoordinator.settle`.
pub fn settle(partitions: &[PartitionId]) -> Bytes {
    C::settleCall { partitions: partitions.iter().map(|partition| partition.0).collect() }.abi_encode().into()
}

/// `NetworkCoordinator.growPartitions`.
pub fn grow_partitions() -> Bytes {
    C::growPartitionsCall {}.abi_encode().into()
}

/// `NetworkCoordinator.rejoin`; the coordinator must be allowed to take the join fee before.
pub fn rejoin() -> Bytes {
    C::rejoinCall {}.abi_encode().into()
}

/// `NetworkCoordinator.claim`.
pub fn claim() -> Bytes {
    C::claimCall {}.abi_encode().into()
}

/// A report as the coordinator takes it: an entry, the path to the root that was signed, and the signature.
pub fn report(entry: &kernel::Entry, path: &[B256], signature: &[u8; 65]) -> I::Report {
    I::Report {
        entry: self::entry(entry),
        previous: entry.previous.0.into(),
        path: path.to_vec(),
        signature: compact(signature),
    }
}

/// `NetworkCoordinator.slash`.
pub fn slash(broker: BrokerIndex, a: I::Report, b: I::Report) -> Bytes {
    C::slashCall { index: index(broker), a, b }.abi_encode().into()
}

/// `NetworkCoordinator.reportLate`.
pub fn report_late(report: I::Report) -> Bytes {
    C::reportLateCall { report }.abi_encode().into()
}

/// `NetworkCoordinator.declareQuorumLost`.
pub fn declare_quorum_lost(partition: PartitionId) -> Bytes {
    C::declareQuorumLostCall { partition_: partition.0 }.abi_encode().into()
}

/// `NetworkCoordinator.claimBounty`.
pub fn claim_bounty() -> Bytes {
    C::claimBountyCall {}.abi_encode().into()
}

/// `NetworkCoordinator.proposeSuccessor`.
pub fn propose_successor(successor: Address) -> Bytes {
    C::proposeSuccessorCall { successor_: successor }.abi_encode().into()
}

/// `NetworkCoordinator.acceptSuccession`.
pub fn accept_succession() -> Bytes {
    C::acceptSuccessionCall {}.abi_encode().into()
}

/// `NetworkCoordinator.leave`.
pub fn leave() -> Bytes {
    C::leaveCall {}.abi_encode().into()
}

/// `NetworkCoordinator.withdrawStake`.
pub fn withdraw_stake() -> Bytes {
    C::withdrawStakeCall {}.abi_encode().into()
}

/// A report of one entry: there is no path.
fn single(report: &kernel::Report) -> I::Report {
    self::report(&report.entry, &[], &report.signature)
}

/// What an intent of the kernel sends to the contract that [`kernel::Intent::contract`] names.
pub fn intent(intent: &kernel::Intent) -> Bytes {
    match intent {
        kernel::Intent::RecordDraw { index } => record_draw(*index),
        kernel::Intent::Rebalance(changes) => rebalance(changes),
        kernel::Intent::Found { partition } => found(*partition),
        kernel::Intent::SubmitCertificate(certificate) => submit_certificates([certificate]),
        kernel::Intent::Claim => claim(),
        kernel::Intent::ClaimBounty => claim_bounty(),
        kernel::Intent::ReportLate(late) => report_late(single(late)),
        kernel::Intent::Slash { index, reports } => slash(*index, single(&reports[0]), single(&reports[1])),
        kernel::Intent::DeclareQuorumLost { partition } => declare_quorum_lost(*partition),
        kernel::Intent::Evict { partition, seat } => evict(*partition, *seat),
        kernel::Intent::SettleLane(settlement) => crate::fees::settle(&settlement.signed, &settlement.proof),
        kernel::Intent::ProveFork(fork) => crate::fees::prove_fork(&fork.first, &fork.second),
    }
}

/// The constructor's parameters of a coordinator.
pub fn params(params: &kernel::Params) -> I::Params {
    I::Params {
        replicas: params.replicas,
        partitions: params.partitions,
        epochBlocks: params.epoch_blocks,
        minimumStake: U256::from(params.minimum_stake),
        ticketStake: U256::from(params.ticket_stake),
        maximumTickets: params.maximum_tickets,
        joinFee: U256::from(params.join_fee),
        drawDelay: params.draw_delay,
        epochReward: U256::from(params.epoch_reward),
        noticeEpochs: params.notice_epochs,
        windowEpochs: params.window_epochs,
        slashShare: params.slash_share,
        reporterShare: params.reporter_share,
        quorumLostWindows: params.quorum_lost_windows,
        governor: params.governor.0.into(),
        successorNotice: params.successor_notice,
        seatBounty: U256::from(params.seat_bounty),
        partitionsPerBroker: params.partitions_per_broker,
    }
}

/// The digest that a replica signs to report an entry: EIP-712 `Report(bytes32 root)` in the coordinator's
/// domain, the root being the entry's hash.
pub fn report_digest(chain_id: u64, coordinator: Address, root: B256) -> B256 {
    use alloy_sol_types::{SolStruct, eip712_domain, sol};
    sol! {
        struct Report {
            bytes32 root;
        }
    }
    let domain = eip712_domain! {
        name: "weir",
        version: "1",
        chain_id: chain_id,
        verifying_contract: coordinator,
    };
    Report { root }.eip712_signing_hash(&domain)
}
