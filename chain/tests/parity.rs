//! The kernel's twin against the bytecode: random calls by many senders; each is foreseen by `decide`, and the
//! chain must do just that: the same facts in the same order, or the error of the same name.

mod common;

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use common::{Network, kernel_address, wallet};
use weir_chain::bindings::{IStream, Stream};
use weir_chain::calldata;
use weir_chain::facts::decode_block;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{
    Block, Call, Certificate, Change, Params, Permission, Seats, SignedEntry, decide, useful_changes,
};
use weir_kernel::ids::{self, BrokerIndex, Hash, PartitionId, StreamId};

/// A small generator, so that a run is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        weir_kernel::coordinator::score::mix64(self.0) % sides
    }
}

const SENDERS: u64 = 12;

struct Run {
    network: Network,
    dice: Dice,
    streams: BTreeSet<StreamId>,
    seen: BTreeSet<String>,
}

impl Run {
    fn key(&mut self) -> u8 {
        self.dice.roll(SENDERS) as u8
    }

    fn partition(&mut self) -> PartitionId {
        PartitionId(self.dice.roll(3) as u32)
    }

    fn stream(&mut self) -> Option<StreamId> {
        let at = self.dice.roll(self.streams.len().max(1) as u64) as usize;
        self.streams.iter().nth(at).copied()
    }

    /// A call of somebody, with its calldata.
    fn call(&mut self) -> Option<(u8, Address, Bytes, Call)> {
        let coordinator = self.network.addresses.coordinator;
        let token = self.network.addresses.token;
        let sender = self.key();
        Some(match self.dice.roll(20) {
            0 | 1 => {
                let stake = (self.dice.roll(6) * 1_000) as u128 * DATA;
                let endpoint = "e".repeat([1, 9, 256, 257, 0][self.dice.roll(5) as usize]);
                let data = calldata::register(stake, &endpoint, B256::repeat_byte(sender));
                let tls_key_hash = Hash([sender; 32]);
                (sender, coordinator, data, Call::Register { stake, endpoint, tls_key_hash })
            }
            2 => {
                let value = self.dice.roll(9_000) as u128 * DATA;
                let to = wallet(self.key()).address();
                let from = if self.dice.roll(2) == 0 { 0 } else { sender };
                (from, token, calldata::transfer(to, value), Call::Transfer { to: kernel_address(to), value })
            }
            3 => {
                let value = self.dice.roll(9_000) as u128 * DATA;
                let spender = kernel_address(coordinator);
                (sender, token, calldata::approve(coordinator, value), Call::Approve { spender, value })
            }
            4 | 5 => {
                let index = BrokerIndex(self.dice.roll(SENDERS) as u32);
                (sender, coordinator, calldata::record_draw(index), Call::RecordDraw { index })
            }
            6 if self.dice.roll(3) == 0 => (sender, coordinator, calldata::leave(), Call::Leave),
            7 => (sender, coordinator, calldata::withdraw_stake(), Call::WithdrawStake),
            8 => (sender, coordinator, calldata::claim(), Call::Claim),
            9 => {
                let changes: Vec<Change> = (0..self.dice.roll(6))
                    .map(|_| Change {
                        partition: PartitionId(self.dice.roll(4) as u32),
                        broker: BrokerIndex(self.dice.roll(SENDERS) as u32),
                        ticket: self.dice.roll(5) as u8,
                    })
                    .collect();
                (sender, coordinator, calldata::rebalance(&changes), Call::Rebalance(changes))
            }
            10 => {
                let changes = useful_changes(&self.network.twin, 64);
                (sender, coordinator, calldata::rebalance(&changes), Call::Rebalance(changes))
            }
            11 => {
                let (partition, seat) = (self.partition(), self.dice.roll(5) as u8);
                (sender, coordinator, calldata::evict(partition, seat), Call::Evict { partition, seat })
            }
            12 => {
                let partition = PartitionId(self.dice.roll(4) as u32);
                (sender, coordinator, calldata::found(partition), Call::Found { partition })
            }
            13..=16 => self.certificates(sender),
            _ => self.stream_call(sender)?,
        })
    }

    fn certificates(&mut self, sender: u8) -> (u8, Address, Bytes, Call) {
        let mut certificates: Vec<(Certificate, SignedEntry)> = Vec::new();
        for _ in 0..1 + self.dice.roll(3) {
            let partition = self.partition();
            let epoch = self.network.epoch().saturating_sub(self.dice.roll(4));
            let mut entry = self.network.entry(partition.0, epoch);
            match self.dice.roll(25) {
                0 => entry.previous = Hash([5; 32]),
                1 => entry.custody = Hash([5; 32]),
                2 => entry.partition = PartitionId(9),
                _ => {}
            }
            let sets = self.network.twin.needed_sets(partition, epoch);
            let mut keys: BTreeSet<u8> =
                sets.iter().flat_map(|set: &Seats| self.network.keys(*set)).collect();
            if self.dice.roll(3) == 0 {
                let absent = self.key();
                keys.remove(&absent);
            }
            let mut keys: Vec<u8> = keys.into_iter().collect();
            match self.dice.roll(12) {
                0 => keys.push(self.key()),
                1 => keys.truncate(2),
                _ => {}
            }
            let mut certificate = self.network.certificate(entry, &keys);
            let mut signers: Vec<Option<ids::Address>> =
                keys.iter().map(|key| Some(kernel_address(wallet(*key).address()))).collect();
            if self.dice.roll(15) == 0 && !signers.is_empty() {
                certificate.signatures[0] = [0; 65];
                signers[0] = None;
            }
            certificates.push((certificate, SignedEntry { entry, signers }));
        }
        let data = calldata::submit_certificates(certificates.iter().map(|(certificate, _)| certificate));
        let signed = certificates.into_iter().map(|(_, signed)| signed).collect();
        (sender, self.network.addresses.coordinator, data, Call::SubmitCertificates(signed))
    }

    fn stream_call(&mut self, sender: u8) -> Option<(u8, Address, Bytes, Call)> {
        let name = ["a", "b", "c", ""][self.dice.roll(4) as usize].to_string();
        if self.dice.roll(3) == 0 {
            let partitions = [1, 1024, 0, 1025][self.dice.roll(4) as usize];
            let (public_subscribe, public_publish) = (self.dice.roll(2) == 0, self.dice.roll(2) == 0);
            let description = String::from("d");
            let data =
                calldata::create_stream(&name, &description, partitions, public_subscribe, public_publish);
            let call = Call::CreateStream { name, description, partitions, public_subscribe, public_publish };
            return Some((sender, self.network.addresses.registry, data, call));
        }
        let stream = self.stream()?;
        let to = Address::from(stream.0);
        let (data, call) = match self.dice.roll(4) {
            0 => {
                let data = Stream::updateCall { newName: name.clone(), newDescription: "n".into() };
                let call = Call::UpdateStream { stream, name, description: "n".into() };
                (data.abi_encode(), call)
            }
            1 if self.dice.roll(4) == 0 => {
                (Stream::removeCall {}.abi_encode(), Call::RemoveStream { stream })
            }
            _ => {
                let mut coin = || self.dice.roll(2) == 0;
                let permission = Permission {
                    subscribe_until: if coin() { 0 } else { u64::MAX },
                    publish_until: 2_000,
                    can_grant: coin(),
                    can_edit: coin(),
                    can_delete: coin(),
                };
                let user = if coin() { Address::ZERO } else { wallet(self.key()).address() };
                let data = Stream::setPermissionCall {
                    user,
                    permission: IStream::Permission {
                        subscribeUntil: permission.subscribe_until,
                        publishUntil: permission.publish_until,
                        canGrant: permission.can_grant,
                        canEdit: permission.can_edit,
                        canDelete: permission.can_delete,
                    },
                };
                (data.abi_encode(), Call::SetPermission { stream, user: kernel_address(user), permission })
            }
        };
        Some((sender, to, data.into(), call))
    }

    fn step(&mut self) {
        if self.dice.roll(4) == 0 {
            let blocks = if self.dice.roll(60) == 0 { 260 } else { self.dice.roll(6) };
            self.network.blocks(blocks);
        }
        let Some((sender, to, data, call)) = self.call() else { return };
        let head = self.network.mirror.head().clone();
        let mirror = &self.network.mirror;
        let hash_of = |number| mirror.block(number).unwrap().map(|block| Hash(block.hash.0));
        let block =
            Block { number: head.number() + 1, timestamp_s: head.header.timestamp + 1, hash_of: &hash_of };
        let caller = kernel_address(wallet(sender).address());
        let foreseen = decide(&self.network.twin, block, caller, call.clone());
        let receipt = self.network.send(sender, to, data);
        let names = match (receipt.failure(), foreseen) {
            (None, Ok(facts)) => {
                let happened = decode_block(&self.network.addresses, &mut self.streams, &receipt.logs);
                assert_eq!(happened, facts, "{call:?}");
                facts.iter().map(|fact| variant(&format!("{fact:?}"))).collect()
            }
            (Some(reason), Err(refusal)) => {
                let name = refusal.name();
                assert!(reason.starts_with(&format!("{name}(")), "{call:?}: {reason}, but {refusal}");
                vec![name.to_string()]
            }
            (happened, foreseen) => panic!("{call:?}: happened {happened:?}, foreseen {foreseen:?}"),
        };
        self.seen.extend(names);
    }
}

/// The name that a debug text begins with.
fn variant(debug: &str) -> String {
    debug.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// What random calls must have met; the rest of the errors has its own tests.
const MET: [&str; 40] = [
    "AlreadyFounded",
    "AlreadyLeft",
    "AlreadyRegistered",
    "AlreadyRemoved",
    "AlreadySealed",
    "Approval",
    "BrokerLeft",
    "BrokerRegistered",
    "CustodyNotZero",
    "DrawAlreadyRecorded",
    "DrawMissed",
    "DrawRecorded",
    "DuplicateSigner",
    "ERC20InsufficientAllowance",
    "ERC20InsufficientBalance",
    "EndpointLengthOutOfRange",
    "EpochNotOver",
    "InvalidSignature",
    "MembersInstalled",
    "MetadataUpdated",
    "NameTaken",
    "NotLeft",
    "NotPermitted",
    "NotRegistered",
    "NothingToClaim",
    "PartitionSealed",
    "PermissionSet",
    "PreviousMismatch",
    "QuorumNotReached",
    "RewardClaimed",
    "SeatIsValid",
    "SeatProposed",
    "SeatVacated",
    "SignerNotMember",
    "StakeWithdrawn",
    "StillSeated",
    "StreamCreated",
    "StreamRemoved",
    "Transfer",
    "WindowClosed",
];

#[test]
fn the_chain_does_what_the_twin_foresees() {
    let mut seen = BTreeSet::new();
    for (seed, replicas) in (0..).zip([4, 3, 1, 6, 2]) {
        let params = Params {
            replicas,
            partitions: 3,
            epoch_blocks: 4,
            notice_epochs: 1,
            window_epochs: 3,
            ..Params::default()
        };
        let mut network = Network::new(params);
        for n in 1..SENDERS as u8 / 2 + 2 {
            network.join(n, 1_000 * DATA * u128::from(n));
        }
        let mut run = Run { network, dice: Dice(seed), streams: BTreeSet::new(), seen };
        for step in 0..700 {
            run.step();
            if step % 100 == 0 {
                run.network.check();
            }
        }
        run.network.check();
        seen = run.seen;
    }
    let missed: Vec<_> = MET.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
}
