//! The kernel's twin against the bytecode: random calls by many senders; each is foreseen by `decide`, and the
//! chain must do just that: the same facts in the same order, or the error of the same name. After each call
//! the books must balance and no seat be given twice.
//!
//! A sequence is a list of steps, each a seed from which, and from the state that it finds, a call is made. So
//! a difference shrinks: steps are taken out as long as the difference stays (`common::shrink`). The seed is
//! committed; `WEIR_PARITY_CALLS` asks for more calls, `WEIR_PARITY_SEED` for others.

mod common;
#[path = "parity/expected.rs"]
mod expected;
#[path = "parity/reports.rs"]
mod reports;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use common::{Network, invariants, kernel_address, shrink, wallet};
use expected::{CALLS, CASES, FACTS, REFUSALS};
use weir_chain::bindings::{IStream, Stream};
use weir_chain::calldata;
use weir_chain::facts::decode_block;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{
    Block, Call, Change, Fact, Params, Permission, SealedEntry, decide, useful_changes,
};
use weir_kernel::ids::{self, BrokerIndex, Hash, PartitionId, StreamId};

/// A small generator, so that a run is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        weir_kernel::coordinator::score::mix64(self.0) % sides
    }

    fn coin(&mut self) -> bool {
        self.roll(2) == 0
    }
}

/// One call to come, with time before it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    seed: u64,
    /// Whether a successor may come by now: after it little else happens.
    late: bool,
}

const SENDERS: u64 = 30;

/// How often what happened: calls by name and outcome, facts and refusals.
type Counts = BTreeMap<String, u64>;

struct Run {
    network: Network,
    dice: Dice,
    late: bool,
    streams: BTreeSet<StreamId>,
    counts: Counts,
    sealed: BTreeMap<PartitionId, u64>,
}

impl Run {
    fn key(&mut self) -> u8 {
        self.dice.roll(SENDERS) as u8
    }

    /// One of the first three partitions mostly, so that something comes of it.
    fn partition(&mut self) -> PartitionId {
        let count = self.network.twin.partitions.len() as u64;
        let below = if self.dice.roll(12) == 0 { count } else { 3 };
        PartitionId(self.dice.roll(below) as u32)
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
        Some(match self.dice.roll(34) {
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
                let value = self.dice.roll(4) as u128 * 9_000 * DATA;
                let spender = kernel_address(coordinator);
                (sender, token, calldata::approve(coordinator, value), Call::Approve { spender, value })
            }
            4 | 5 => {
                let newest = self.network.twin.brokers.len() as u32;
                let any = BrokerIndex(self.dice.roll(SENDERS) as u32);
                let index = if self.dice.coin() { BrokerIndex(newest) } else { any };
                (sender, coordinator, calldata::record_draw(index), Call::RecordDraw { index })
            }
            6 if self.dice.roll(3) == 0 => (sender, coordinator, calldata::leave(), Call::Leave),
            7 => {
                let left = self.network.twin.brokers.values().filter(|broker| broker.left.is_some());
                let left: Vec<u8> = left.filter_map(|broker| self.network.key_of(broker.address)).collect();
                let at = self.dice.roll(2 * left.len() as u64 + 1) as usize;
                let by = left.get(at).copied().unwrap_or(sender);
                (by, coordinator, calldata::withdraw_stake(), Call::WithdrawStake)
            }
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
                let changes = useful_changes(&self.network.twin, 1 + self.dice.roll(12) as usize);
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
            13..=17 => self.certificates(sender),
            18 => self.slash(sender),
            19..=21 => self.late_report(sender),
            22 => {
                let partition = PartitionId(self.dice.roll(4) as u32);
                let data = calldata::declare_quorum_lost(partition);
                (sender, coordinator, data, Call::DeclareQuorumLost { partition })
            }
            23 => (sender, coordinator, calldata::claim_bounty(), Call::ClaimBounty),
            24 => self.succession(sender),
            25 | 26 => {
                let suspended = self.network.twin.brokers.values().filter(|broker| broker.is_suspended());
                let suspended: Vec<u8> =
                    suspended.filter_map(|broker| self.network.key_of(broker.address)).collect();
                let at = self.dice.roll(2 * suspended.len() as u64 + 1) as usize;
                let by = suspended.get(at).copied().unwrap_or(sender);
                (by, coordinator, calldata::rejoin(), Call::Rejoin)
            }
            27 => (sender, coordinator, calldata::grow_partitions(), Call::GrowPartitions),
            28 => {
                let count = if self.dice.roll(40) == 0 { 65 } else { self.dice.roll(4) };
                let partitions: Vec<PartitionId> =
                    (0..count).map(|_| PartitionId(self.dice.roll(5) as u32)).collect();
                (sender, coordinator, calldata::settle(&partitions), Call::Settle(partitions))
            }
            29 => {
                let endpoint = "e".repeat([1, 9, 256, 257, 0][self.dice.roll(5) as usize]);
                let data = calldata::update_endpoint(&endpoint, B256::repeat_byte(sender));
                let tls_key_hash = Hash([sender; 32]);
                (sender, coordinator, data, Call::UpdateEndpoint { endpoint, tls_key_hash })
            }
            30 | 31 => self.certificates(sender),
            _ => self.stream_call(sender)?,
        })
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
                let everybody = coin();
                let owner =
                    self.network.twin.stream(stream).map_or(ids::Address::ZERO, |stream| stream.owner);
                let user = match self.dice.roll(3) {
                    0 => Address::from(owner.0),
                    _ if everybody => Address::ZERO,
                    _ => wallet(self.key()).address(),
                };
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

    /// The governor is key 1, and any account may be a successor. Most accept only when the run ends.
    fn succession(&mut self, sender: u8) -> (u8, Address, Bytes, Call) {
        let coordinator = self.network.addresses.coordinator;
        let proposed = self.network.twin.succession.proposed;
        if self.dice.roll(2) == 0 {
            let key = self.network.key_of(proposed).filter(|_| self.late).unwrap_or(20);
            let key = if self.network.key_of(proposed) == Some(key) && !self.late { 21 } else { key };
            return (key, coordinator, calldata::accept_succession(), Call::AcceptSuccession);
        }
        let successor = wallet(self.key()).address();
        let by = if self.dice.roll(3) == 0 { sender } else { 1 };
        let call = Call::ProposeSuccessor { successor: kernel_address(successor) };
        (by, coordinator, calldata::propose_successor(successor), call)
    }

    fn pass_time(&mut self) {
        if self.dice.roll(4) == 0 {
            let blocks = match self.dice.roll(240) {
                0 => 260,
                1..=4 => 30,
                _ => self.dice.roll(6),
            };
            self.network.blocks(blocks);
        }
    }

    /// Makes a call; says how chain and twin differ.
    fn step(&mut self, step: Step) -> Result<(), String> {
        (self.dice, self.late) = (Dice(step.seed), step.late);
        self.pass_time();
        let Some((sender, to, data, call)) = self.call() else { return Ok(()) };
        let head = self.network.mirror.head().clone();
        let mirror = &self.network.mirror;
        let hash_of = |number| mirror.block(number).unwrap().map(|block| Hash(block.hash.0));
        let block =
            Block { number: head.number() + 1, timestamp_s: head.header.timestamp + 1, hash_of: &hash_of };
        let caller = kernel_address(wallet(sender).address());
        let foreseen = decide(&self.network.twin, block, caller, call.clone());
        let receipt = self.network.send(sender, to, data);
        let function = variant(&format!("{call:?}"));
        match (receipt.failure(), foreseen) {
            (None, Ok(facts)) => {
                let happened = decode_block(&self.network.addresses, &mut self.streams, &receipt.logs);
                if happened != facts {
                    return Err(format!("{call:?}: happened {happened:?}, foreseen {facts:?}"));
                }
                self.count(format!("call {function} done"));
                facts.iter().for_each(|fact| self.count(format!("fact {}", variant(&format!("{fact:?}")))));
                self.paid_once(&facts)?;
            }
            (Some(reason), Err(refusal)) => {
                let name = refusal.name();
                if !reason.starts_with(&format!("{name}(")) {
                    return Err(format!("{call:?}: {reason}, but {refusal}"));
                }
                self.count(format!("call {function} refused"));
                self.count(format!("refusal {name}"));
            }
            (happened, foreseen) => {
                return Err(format!("{call:?}: happened {happened:?}, foreseen {foreseen:?}"));
            }
        }
        self.count("calls".into());
        invariants(&self.network)
    }

    fn count(&mut self, what: String) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Nobody is paid twice for one (partition, epoch): epochs are sealed in rising order.
    fn paid_once(&mut self, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::PartitionsSealed { entries, .. } => {
                    self.count(if entries.len() > 1 { "seal shared" } else { "seal single" }.into());
                    for SealedEntry { partition, epoch, .. } in entries {
                        if self.sealed.insert(*partition, *epoch).is_some_and(|last| last >= *epoch) {
                            return Err(format!("epoch {epoch} of partition {partition} was paid before"));
                        }
                    }
                }
                Fact::SeatRewarded { from_offender, .. } if *from_offender > 0 => {
                    self.count("seat from an offender".into());
                }
                Fact::LateReportAccepted { reward, .. } => {
                    self.count(if *reward > 0 { "late, settled" } else { "late, tallied" }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name that a debug text begins with.
fn variant(debug: &str) -> String {
    debug.chars().take_while(|c| c.is_alphanumeric()).collect()
}

fn params(run: u64) -> Params {
    Params {
        replicas: [4, 3, 1, 6, 2, 4][run as usize % 6],
        partitions: 3,
        // Where brokers are too few for all seats, epochs are long enough to be asked to found in.
        epoch_blocks: if run % 7 == 1 { 40 } else { 4 },
        notice_epochs: 1 + run % 3,
        draw_delay: [1, 6][run as usize % 2],
        window_epochs: 3,
        slash_share: [5_000, 10_000, 1][run as usize % 3],
        reporter_share: [1_000, 3_333, 10_000][run as usize % 3],
        governor: kernel_address(wallet(1).address()),
        successor_notice: 1,
        seat_bounty: [1, 10, 4][run as usize % 3] * DATA,
        partitions_per_broker: [0, 1, 1, 2][run as usize % 4],
        ..Params::default()
    }
}

/// Plays steps on a fresh network; gives the counts, or the difference that ended it.
fn play(run: u64, steps: &[Step]) -> Result<Counts, String> {
    let mut network = Network::new(params(run));
    for n in 1..3 + run as u8 % 7 {
        network.join(n, 1_000 * DATA * u128::from(1 + n % 5));
    }
    let (dice, streams) = (Dice(0), BTreeSet::new());
    let mut run = Run { network, dice, late: false, streams, counts: Counts::new(), sealed: BTreeMap::new() };
    for (at, step) in steps.iter().enumerate() {
        run.step(*step)?;
        if at % 250 == 0 {
            run.network.check();
        }
    }
    run.network.check();
    Ok(run.counts)
}

const STEPS_A_RUN: u64 = 1_500;

fn steps(seed: u64, run: u64) -> Vec<Step> {
    let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(run));
    let late = STEPS_A_RUN * 9 / 10;
    (0..STEPS_A_RUN).map(|at| Step { seed: dice.roll(u64::MAX), late: at > late }).collect()
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn the_chain_does_what_the_twin_foresees() {
    let (calls, seed) = (number("WEIR_PARITY_CALLS", 100_000), number("WEIR_PARITY_SEED", 1));
    // Not every step makes a call, and there is a worker on each core.
    let runs = calls.div_ceil(STEPS_A_RUN) + calls / STEPS_A_RUN / 10 + 1;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let work = |worker: u64| {
        let mut total = Counts::new();
        for run in (worker..runs).step_by(workers as usize) {
            let steps = steps(seed, run);
            match play(run, &steps) {
                Ok(counts) => counts.into_iter().for_each(|(what, n)| *total.entry(what).or_default() += n),
                Err(difference) => {
                    let least = shrink(&steps, |steps| play(run, steps).is_err());
                    let last = play(run, &least).err();
                    panic!("run {run}: {difference}\nthe least that differs: {least:#?}\n{last:?}");
                }
            }
        }
        total
    };
    let mut total = Counts::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        for worker in workers {
            let counts = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            counts.into_iter().for_each(|(what, n)| *total.entry(what).or_default() += n);
        }
    });
    total.iter().for_each(|(what, n)| println!("{n:>8} {what}"));
    let calls_met = CALLS.iter().map(|name| format!("call {name} done"));
    let facts_met = FACTS.iter().map(|name| format!("fact {name}"));
    let cases_met = CASES.iter().map(|name| name.to_string());
    let wanted = calls_met
        .chain(facts_met)
        .chain(cases_met)
        .chain(REFUSALS.iter().map(|name| format!("refusal {name}")));
    let missed: Vec<_> = wanted.filter(|name| !total.contains_key(name)).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
    assert!(total["calls"] >= calls, "{} calls were made, {calls} asked for", total["calls"]);
}

#[test]
fn a_difference_shrinks_to_what_it_takes() {
    let steps: Vec<u64> = (0..200).collect();
    let least = shrink(&steps, |steps| steps.contains(&17) && steps.contains(&151));
    assert_eq!(least, [17, 151]);
}
