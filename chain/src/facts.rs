//! Log entries as the kernel's facts.
//!
//! An entry counts only if the right contract emitted it: the coordinator, the registry, the token, LaneFees,
//! Karma, or a stream that the registry created. The registry reports a stream before the stream's own first events, so
//! reading in order knows every stream in time.

mod market;

use std::collections::BTreeSet;

use alloy_primitives::aliases::{U24, U192};
use alloy_primitives::{Address, Log, U256};
use alloy_sol_types::SolEventInterface;
use weir_kernel::coordinator::{
    Delegation, Fact, FeeTerms, Permission, Retention, SealedEntry, Seats, fees, karma,
};
use weir_kernel::ids::{self, BrokerIndex, Hash, LaneId, PartitionId, StreamId};

use crate::bindings::fees::LaneFees;
use crate::bindings::{
    DataCoin, INetworkCoordinator as I, Karma, NetworkCoordinator, Stream, StreamRegistry,
};
use crate::deploy::Addresses;

/// The facts of a block's log entries, in order. New streams are added to `streams`.
pub fn decode_block<'a>(
    addresses: &Addresses,
    streams: &mut BTreeSet<StreamId>,
    logs: impl IntoIterator<Item = &'a Log>,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    for log in logs {
        let Some(fact) = decode_log(addresses, streams, log) else { continue };
        if let Fact::StreamCreated { stream, .. } = &fact {
            streams.insert(*stream);
        }
        facts.push(fact);
    }
    facts
}

/// The fact that a log entry states; `None` if it is none of the network's. `streams` are those that exist.
pub fn decode_log(addresses: &Addresses, streams: &BTreeSet<StreamId>, log: &Log) -> Option<Fact> {
    if log.address == addresses.coordinator {
        return coordinator_fact(log);
    }
    if log.address == addresses.registry {
        return registry_fact(log);
    }
    if log.address == addresses.token {
        return token_fact(log);
    }
    if Some(log.address) == addresses.fees {
        return fees_fact(log).map(Fact::Fees);
    }
    if Some(log.address) == addresses.karma {
        return karma_fact(log).map(Fact::Karma);
    }
    let stream = StreamId(log.address.into_array());
    if streams.contains(&stream) { stream_fact(stream, log) } else { market::fact(addresses, log) }
}

fn address(address: Address) -> ids::Address {
    ids::Address(address.into_array())
}

fn broker(index: U24) -> BrokerIndex {
    BrokerIndex(index.to::<u32>())
}

fn members(packed: U192) -> Seats {
    Seats::of_set(packed.to_be_bytes())
}

fn sealed_entry(entry: &I::Entry) -> SealedEntry {
    let mut checksum = Hash::ZERO;
    checksum.0[..24].copy_from_slice(entry.checksum.as_slice());
    SealedEntry::of_words(&entry.summary.to_be_bytes(), checksum)
}

/// Token amounts fit: the whole supply is below 2^128, by deployment.
fn amount(amount: U256) -> u128 {
    amount.saturating_to()
}

fn coordinator_fact(log: &Log) -> Option<Fact> {
    use NetworkCoordinator::NetworkCoordinatorEvents as E;
    let event = E::decode_raw_log(log.topics(), &log.data.data).ok()?;
    let fact = match event {
        E::BrokerRegistered(e) => Fact::BrokerRegistered {
            index: broker(e.index),
            broker: address(e.broker),
            stake: amount(e.stake),
            tickets: e.tickets,
            endpoint: e.endpoint,
            tls_key_hash: Hash(e.tlsKeyHash.0),
            draw_block: e.drawBlock,
        },
        E::BrokerUpdated(e) => Fact::BrokerUpdated {
            index: broker(e.index),
            endpoint: e.endpoint,
            tls_key_hash: Hash(e.tlsKeyHash.0),
        },
        E::DrawMissed(e) => Fact::DrawMissed { index: broker(e.index), draw_block: e.drawBlock },
        E::DrawRecorded(e) => Fact::DrawRecorded { index: broker(e.index), draw: Hash(e.draw.0) },
        E::BrokerLeft(e) => {
            Fact::BrokerLeft { index: broker(e.index), withdrawable_epoch: e.withdrawableEpoch }
        }
        E::StakeWithdrawn(e) => Fact::StakeWithdrawn { index: broker(e.index), amount: amount(e.amount) },
        E::SeatProposed(e) => Fact::SeatProposed {
            partition: PartitionId(e.partition),
            seat: e.seat,
            broker: broker(e.broker),
            ticket: e.ticket,
            replaced: broker(e.replaced),
            sponsor: broker(e.sponsor),
        },
        E::SeatVacated(e) => {
            Fact::SeatVacated { partition: PartitionId(e.partition), seat: e.seat, broker: broker(e.broker) }
        }
        E::MembersInstalled(e) => Fact::MembersInstalled {
            partition: PartitionId(e.partition),
            since_epoch: e.sinceEpoch,
            members: members(e.members),
        },
        E::SeatRewarded(e) => Fact::SeatRewarded {
            partition: PartitionId(e.partition),
            broker: broker(e.broker),
            sponsor: broker(e.sponsor),
            from_newcomer: amount(e.fromNewcomer),
            from_offender: amount(e.fromOffender),
        },
        E::PartitionsSealed(e) => Fact::PartitionsSealed {
            signers: members(e.signers),
            entries: e.entries.iter().map(sealed_entry).collect(),
        },
        E::PartitionSettled(e) => Fact::PartitionSettled {
            partition: PartitionId(e.partition),
            set: members(e.set),
            signed: e.signed.to_le_bytes(),
            missed: e.missed.to_le_bytes(),
            reward: amount(e.reward),
            paid: amount(e.paid),
        },
        E::PartitionsGrown(e) => Fact::PartitionsGrown { from_epoch: e.fromEpoch, partitions: e.partitions },
        E::BrokerRejoined(e) => Fact::BrokerRejoined { index: broker(e.index), fee: amount(e.fee) },
        E::RewardClaimed(e) => Fact::RewardClaimed { index: broker(e.index), amount: amount(e.amount) },
        E::BrokerSlashed(e) => Fact::BrokerSlashed {
            index: broker(e.index),
            reporter: address(e.reporter),
            partition: PartitionId(e.partition),
            epoch: e.epoch,
            round: e.round,
            previous: Hash(e.previous.0),
            amount: amount(e.amount),
            reward: amount(e.reward),
        },
        E::LateReportAccepted(e) => Fact::LateReportAccepted {
            partition: PartitionId(e.partition),
            epoch: e.epoch,
            index: broker(e.index),
            reward: amount(e.reward),
        },
        E::QuorumLost(e) => Fact::QuorumLost {
            partition: PartitionId(e.partition),
            sealed_epoch: e.sealedEpoch,
            members: members(e.members),
        },
        E::BountyClaimed(e) => Fact::BountyClaimed { account: address(e.account), amount: amount(e.amount) },
        E::SuccessorProposed(e) => Fact::SuccessorProposed { successor: address(e.successor) },
        E::SuccessorAccepted(e) => {
            Fact::SuccessorAccepted { successor: address(e.successor), from_epoch: e.fromEpoch }
        }
        // The rest belongs to OpenZeppelin's base contracts and says nothing about the network.
        #[allow(unreachable_patterns)]
        _ => return None,
    };
    Some(fact)
}

fn fees_fact(log: &Log) -> Option<fees::Fact> {
    use LaneFees::LaneFeesEvents as E;
    let fact = match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::FeesOpened(e) => fees::Fact::FeesOpened {
            params: fees::Params {
                event_price: amount(e.eventPrice),
                byte_price: amount(e.bytePrice),
                free_events: e.freeEvents,
                free_volume: e.freeVolume,
                burn_share: e.burnShare,
                slash_share: e.slashShare,
                reporter_share: e.reporterShare,
                notice_epochs: e.noticeEpochs,
            },
        },
        E::Allotted(e) => fees::Fact::Allotted {
            publisher: address(e.publisher),
            stream: StreamId(e.stream.into_array()),
            stream_partition: e.streamPartition,
            amount: amount(e.amount),
        },
        E::WithdrawalRequested(e) => fees::Fact::WithdrawalRequested {
            publisher: address(e.publisher),
            stream: StreamId(e.stream.into_array()),
            stream_partition: e.streamPartition,
            amount: amount(e.amount),
            withdrawable_epoch: e.withdrawableEpoch,
        },
        E::Withdrawn(e) => fees::Fact::Withdrawn {
            publisher: address(e.publisher),
            stream: StreamId(e.stream.into_array()),
            stream_partition: e.streamPartition,
            amount: amount(e.amount),
        },
        E::LaneSettled(e) => fees::Fact::LaneSettled {
            lane: LaneId(e.lane.0),
            publisher: address(e.publisher),
            stream: StreamId(e.stream.into_array()),
            stream_partition: e.streamPartition,
            events: e.events,
            volume: e.volume,
            charged: amount(e.charged),
            shortfall: amount(e.shortfall),
        },
        E::AllotmentSlashed(e) => fees::Fact::AllotmentSlashed {
            lane: LaneId(e.lane.0),
            publisher: address(e.publisher),
            reporter: address(e.reporter),
            stream: StreamId(e.stream.into_array()),
            stream_partition: e.streamPartition,
            slashed: amount(e.slashed),
            rewarded: amount(e.rewarded),
        },
        E::AllottedToEdge(e) => fees::Fact::AllottedToEdge {
            subscriber: address(e.subscriber),
            edge: address(e.edge),
            amount: amount(e.amount),
        },
        E::EdgeWithdrawalRequested(e) => fees::Fact::EdgeWithdrawalRequested {
            subscriber: address(e.subscriber),
            edge: address(e.edge),
            amount: amount(e.amount),
            withdrawable_epoch: e.withdrawableEpoch,
        },
        E::EdgeWithdrawn(e) => fees::Fact::EdgeWithdrawn {
            subscriber: address(e.subscriber),
            edge: address(e.edge),
            amount: amount(e.amount),
        },
        E::ReceiptSettled(e) => fees::Fact::ReceiptSettled {
            subscriber: address(e.subscriber),
            edge: address(e.edge),
            session: Hash(e.session.0),
            events: e.events,
            volume: e.volume,
            charged: amount(e.charged),
            shortfall: amount(e.shortfall),
        },
        E::EIP712DomainChanged(_) => return None,
    };
    Some(fact)
}

fn karma_fact(log: &Log) -> Option<karma::Fact> {
    use Karma::KarmaEvents as E;
    let fact = match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::KarmaFounded(e) => karma::Fact::KarmaFounded {
            founder: address(e.founder),
            params: karma::Params { halving_s: e.halvingSeconds, halvings: e.halvings },
        },
        E::CreditorAuthorised(e) => karma::Fact::CreditorAuthorised { creditor: address(e.creditor) },
        E::FoundingClosed(_) => karma::Fact::FoundingClosed,
        E::KarmaCredited(e) => karma::Fact::KarmaCredited {
            account: address(e.account),
            creditor: address(e.creditor),
            amount: amount(e.amount),
        },
    };
    Some(fact)
}

fn token_fact(log: &Log) -> Option<Fact> {
    use DataCoin::DataCoinEvents as E;
    match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::Transfer(e) => {
            Some(Fact::Transfer { from: address(e.from), to: address(e.to), value: amount(e.value) })
        }
        E::Approval(e) => Some(Fact::Approval {
            owner: address(e.owner),
            spender: address(e.spender),
            value: amount(e.value),
        }),
        _ => None,
    }
}

fn registry_fact(log: &Log) -> Option<Fact> {
    use StreamRegistry::StreamRegistryEvents as E;
    Some(match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::StreamCreated(e) => Fact::StreamCreated {
            stream: StreamId(e.stream.into_array()),
            owner: address(e.owner),
            name: e.name,
            description: e.description,
            partitions: e.partitions,
        },
        E::SearchKeysSet(e) => Fact::SearchKeysSet {
            stream: StreamId(e.stream.into_array()),
            keys: e.keys.into_iter().map(|key| Hash(key.0)).collect(),
        },
    })
}

fn stream_fact(stream: StreamId, log: &Log) -> Option<Fact> {
    use Stream::StreamEvents as E;
    match E::decode_raw_log(log.topics(), &log.data.data).ok()? {
        E::MetadataUpdated(e) => {
            Some(Fact::MetadataUpdated { stream, name: e.name, description: e.description })
        }
        E::PermissionSet(e) => Some(Fact::PermissionSet {
            stream,
            user: address(e.user),
            permission: Permission {
                subscribe_until: e.subscribeUntil,
                publish_until: e.publishUntil,
                can_grant: e.canGrant,
                can_edit: e.canEdit,
                can_delete: e.canDelete,
            },
        }),
        E::PublicKeySet(e) => {
            Some(Fact::PublicKeySet { stream, user: address(e.user), public_key: e.publicKey.to_vec() })
        }
        E::DelegationSet(e) => Some(Fact::DelegationSet {
            stream,
            delegate: address(e.delegate),
            delegation: Delegation { subscribe_until: e.subscribeUntil, publish_until: e.publishUntil },
        }),
        E::OwnershipTransferStarted(e) => Some(Fact::OwnershipTransferStarted {
            stream,
            previous_owner: address(e.previousOwner),
            new_owner: address(e.newOwner),
        }),
        E::OwnershipTransferred(e) => Some(Fact::OwnershipTransferred {
            stream,
            previous_owner: address(e.previousOwner),
            new_owner: address(e.newOwner),
        }),
        E::RetentionSet(e) => Some(Fact::RetentionSet {
            stream,
            retention: Retention { age_s: e.ageSeconds, size_bytes: e.sizeBytes },
        }),
        E::FeeTermsSet(e) => Some(Fact::FeeTermsSet {
            stream,
            fee_terms: FeeTerms {
                event_price: e.eventPrice,
                byte_price: e.bytePrice,
                terms: Hash(e.terms.0),
            },
        }),
        E::StreamRemoved(_) => Some(Fact::StreamRemoved { stream }),
        _ => None,
    }
}
