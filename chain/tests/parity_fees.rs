//! LaneFees and Karma against the kernel's twin: random calls by many senders, upon partitions whose cuts hold real
//! lanes; each is foreseen by `decide`, and the chain must do just that. After every call the books must balance.

mod common;
#[path = "parity_fees/lanes.rs"]
mod lanes;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use common::foresee::{Dice, Sent, Tally, rounds, variant};
use common::session::recovered;
use common::{Network, SUPPLY, error_names, kernel_address, wallet};
use lanes::{Lanes, hostile};
use weir_chain::bindings::Karma;
use weir_chain::bindings::fees::{ILaneFees, LaneFees};
use weir_chain::deploy::Economy;
use weir_chain::{calldata, fees as data};
use weir_kernel::coordinator::fees::{self, BURNED, Receipt};
use weir_kernel::coordinator::karma;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Call, Fact, Params, Seats};
use weir_kernel::ids::{self, Hash, LaneId, PartitionId, StreamId, StreamPartition};

/// Keys 1 and 2 are brokers; all of these publish, subscribe and report.
const SENDERS: u64 = 6;
/// It is a creditor, so that credits are called from outside too.
const CREDITOR: u8 = 6;
const PARTITIONS: u32 = 2;
const CALLS: u64 = 21_000;
const SEEDS: u64 = 5;

struct Run {
    network: Network,
    dice: Dice,
    lanes: Lanes,
    receipts: BTreeMap<(u8, u8, u8), (u64, u64)>,
    /// What was charged and found missing in each lane.
    paid: BTreeMap<LaneId, u128>,
    seen: Tally,
}

fn kernel_of(key: u8) -> ids::Address {
    kernel_address(wallet(key).address())
}

fn economy(seed: u64) -> Economy {
    let fees = fees::Params {
        event_price: u128::from(seed % 3) * DATA / 2,
        byte_price: DATA / 1_000,
        free_events: [0, 3][seed as usize % 2],
        free_volume: [0, 500][seed as usize % 2],
        burn_share: [1_000, 0, 333, 10_000, 500][seed as usize % 5],
        slash_share: 5_000,
        reporter_share: [2_500, 10_000, 0][seed as usize % 3],
        notice_epochs: 2,
    };
    Economy { fees, karma: karma::Params { halving_s: 40, halvings: 3 + seed as u8 } }
}

impl Run {
    fn new(seed: u64) -> Self {
        let params = Params {
            replicas: 1,
            partitions: PARTITIONS,
            epoch_blocks: 4,
            window_epochs: 64,
            ..Params::default()
        };
        let mut network = Network::with_economy(params, &economy(seed));
        network.join(1, 1_000 * DATA);
        network.join(2, 2_000 * DATA);
        network.rebalance();
        let fees = network.addresses.fees.unwrap();
        for key in 0..SENDERS as u8 {
            network.ok(0, network.addresses.token, calldata::transfer(wallet(key).address(), 900 * DATA));
            network.ok(key, network.addresses.token, calldata::approve(fees, 500 * DATA));
        }
        Self {
            network,
            dice: Dice(seed),
            lanes: Lanes::default(),
            receipts: BTreeMap::new(),
            paid: BTreeMap::new(),
            seen: Tally::default(),
        }
    }

    fn key(&mut self) -> u8 {
        self.dice.roll(SENDERS) as u8
    }

    fn slot(&mut self) -> StreamPartition {
        StreamPartition { stream: StreamId([7; 20]), partition: self.dice.roll(2) as u32 }
    }

    fn amount(&mut self) -> u128 {
        match self.dice.roll(12) {
            0 => 0,
            1 => 1 << 96,
            2 => (1 << 96) - 1,
            _ => u128::from(self.dice.roll(60)) * DATA / 7 + 1,
        }
    }

    /// Seals what is due in every partition, with the lanes that moved.
    fn seal(&mut self) {
        for partition in 0..PARTITIONS {
            let epoch = self.network.epoch();
            let Some(last) = self.network.twin.partition(PartitionId(partition)).filter(|p| p.founded) else {
                continue;
            };
            if last.sealed_epoch + 1 >= epoch {
                continue;
            }
            let previous = last.checksum;
            let mut entry = self.network.entry(partition, epoch - 1);
            entry.checksum = self.lanes.cut(PartitionId(partition), epoch - 1, previous);
            let sets = self.network.twin.needed_sets(PartitionId(partition), epoch - 1);
            let keys: BTreeSet<u8> = sets.iter().flat_map(|set: &Seats| self.network.keys(*set)).collect();
            let keys: Vec<u8> = keys.into_iter().collect();
            let certificate = self.network.certificate(entry, &keys);
            let call = calldata::submit_certificates([&certificate]);
            self.network.ok(0, self.network.addresses.coordinator, call);
        }
    }

    fn plan(&mut self) -> Option<Sent> {
        let addresses = self.network.addresses;
        let (fees, token) = (addresses.fees.unwrap(), addresses.token);
        let sender = self.key();
        let call = |data: Bytes, call: fees::Call| Some((sender, fees, data, Call::Fees(call)));
        match self.dice.roll(24) {
            0 => {
                let value =
                    if self.dice.roll(6) == 0 { 1 << 100 } else { self.dice.roll(200) as u128 * DATA };
                let spender = kernel_address(fees);
                Some((sender, token, calldata::approve(fees, value), Call::Approve { spender, value }))
            }
            1 => {
                let (to, value) = (wallet(self.key()).address(), self.dice.roll(90) as u128 * DATA);
                let call = Call::Transfer { to: kernel_address(to), value };
                Some((0, token, calldata::transfer(to, value), call))
            }
            2..=4 => {
                let (slot, amount) = (self.slot(), self.amount());
                call(data::allot(slot, amount), fees::Call::Allot { slot, amount })
            }
            5 => {
                let (slot, amount) = (self.slot(), self.amount());
                let planned = fees::Call::RequestWithdrawal { slot, amount };
                call(data::request_withdrawal(slot, amount), planned)
            }
            6 => {
                let slot = self.slot();
                call(data::withdraw(slot), fees::Call::Withdraw { slot })
            }
            7 | 8 => {
                let (edge, amount) = (wallet(self.dice.roll(4) as u8).address(), self.amount());
                let planned = fees::Call::AllotToEdge { edge: kernel_address(edge), amount };
                call(data::allot_to_edge(edge, amount), planned)
            }
            9 => {
                let (edge, amount) = (wallet(1 + self.dice.roll(2) as u8).address(), self.amount());
                let planned = fees::Call::RequestEdgeWithdrawal { edge: kernel_address(edge), amount };
                call(data::request_edge_withdrawal(edge, amount), planned)
            }
            10 => {
                let edge = wallet(1 + self.dice.roll(2) as u8).address();
                let planned = fees::Call::WithdrawFromEdge { edge: kernel_address(edge) };
                call(data::withdraw_from_edge(edge), planned)
            }
            11..=16 => self.settle(sender),
            17 | 18 => self.fork(sender),
            19..=21 => self.receipt(sender),
            _ => self.karma(sender),
        }
    }

    fn settle(&mut self, sender: u8) -> Option<Sent> {
        let fees = self.network.addresses.fees.unwrap();
        let (mut signed, mut proof) = self.lanes.sealed(&mut self.dice)?;
        match self.dice.roll(32) {
            0 => proof.partition = PartitionId(9),
            1 => proof.path.count += 1 + self.dice.roll(4) as u32,
            2 => proof.previous = Hash([9; 32]),
            3 => proof.later.resize(257, (1, Hash([1; 32]))),
            4 => proof.later.extend([(5, Hash([5; 32]))]),
            5 => {
                hostile(&mut signed.signature, &mut self.dice);
            }
            6 => lanes::break_rule(&mut signed.header, &mut self.dice),
            7 => proof.epoch += 1,
            8 => {
                signed.header.volume = signed.header.volume.saturating_sub(2_000);
                signed.header.count += 1;
                signed = lanes::sign(signed.header);
            }
            9 | 10 => signed = lanes::spoilt(&signed.header, &mut self.dice),
            _ => {}
        }
        let data = data::settle(&signed, &proof);
        let signed = Box::new(recovered(&signed.header, &signed.proof()));
        Some((sender, fees, data, Call::Fees(fees::Call::Settle { signed, proof })))
    }

    fn fork(&mut self, sender: u8) -> Option<Sent> {
        let fees = self.network.addresses.fees.unwrap();
        let mut pair = self.lanes.pair(&mut self.dice)?;
        match self.dice.roll(12) {
            0 => lanes::break_rule(&mut pair[1].header, &mut self.dice),
            1 => {
                let at = self.dice.roll(2) as usize;
                hostile(&mut pair[at].signature, &mut self.dice);
            }
            2 => {
                let at = self.dice.roll(2) as usize;
                pair[at] = lanes::spoilt(&pair[at].header, &mut self.dice);
            }
            _ => {}
        }
        let data = data::prove_fork(&pair[0], &pair[1]);
        let [first, second] = pair.map(|signed| Box::new(recovered(&signed.header, &signed.proof())));
        Some((sender, fees, data, Call::Fees(fees::Call::ProveFork { first, second })))
    }

    fn receipt(&mut self, sender: u8) -> Option<Sent> {
        let fees = self.network.addresses.fees.unwrap();
        let (key, edge_key, session) = (self.key(), 1 + self.dice.roll(2) as u8, self.dice.roll(3) as u8);
        let at = self.receipts.entry((key, edge_key, session)).or_default();
        let before = *at;
        at.0 += self.dice.roll(20);
        at.1 += self.dice.roll(3_000);
        let (mut events, volume) = *at;
        if self.dice.roll(8) == 0 {
            events = before.0.saturating_sub(1);
        }
        let edge = kernel_of(edge_key);
        let receipt = Receipt { edge, session: Hash([session; 32]), events, volume };
        let hash = receipt.signing_hash(common::CHAIN_ID, &kernel_address(fees));
        let mut signature = weir_kernel::batch::Signature::Secp256k1(wallet(key).sign_digest(hash.0.into()));
        let mut signer = Some(kernel_of(key));
        let mut subscriber = kernel_of(key);
        match self.dice.roll(16) {
            0 => signer = hostile(&mut signature, &mut self.dice),
            1 => subscriber = kernel_of((key + 1) % SENDERS as u8),
            _ => {}
        }
        let caller = if self.dice.roll(8) == 0 { sender } else { edge_key };
        let bytes: [u8; 65] = signature.as_bytes().try_into().unwrap();
        let data = data::settle_receipt(subscriber.0.into(), &receipt, &bytes);
        let call = fees::Call::SettleReceipt { subscriber, receipt, signer };
        Some((caller, fees, data, Call::Fees(call)))
    }

    fn karma(&mut self, sender: u8) -> Option<Sent> {
        let contract = self.network.addresses.karma.unwrap();
        let (key, call) = match self.dice.roll(6) {
            0 => {
                let key = if self.dice.roll(2) == 0 { 0 } else { sender };
                let creditor = kernel_of(CREDITOR + self.dice.roll(2) as u8);
                (key, karma::Call::Authorise { creditor })
            }
            1 if self.dice.roll(12) == 0 => {
                (if self.dice.roll(3) == 0 { 0 } else { sender }, karma::Call::CloseFounding)
            }
            _ => {
                let key = if self.dice.roll(4) == 0 { sender } else { CREDITOR };
                let (account, amount) = (kernel_of(self.key()), self.amount());
                (key, karma::Call::Credit { account, amount })
            }
        };
        let data = match call {
            karma::Call::Authorise { creditor } => data::authorise(creditor.0.into()),
            karma::Call::CloseFounding => data::close_founding(),
            karma::Call::Credit { account, amount } => data::credit(account.0.into(), amount),
        };
        Some((key, contract, data, Call::Karma(call)))
    }

    fn step(&mut self) {
        self.lanes.publish(&mut self.dice);
        if self.dice.roll(9) == 0 {
            let blocks = 1 + self.dice.roll(6);
            self.network.blocks(blocks);
        }
        if self.dice.roll(6) == 0 {
            self.seal();
        }
        let Some(sent) = self.plan() else { return };
        let outcome = self.network.foreseen(sent).unwrap_or_else(|difference| panic!("{difference}"));
        outcome.iter().flatten().for_each(|fact| self.account(fact));
        self.seen.outcome(&outcome, name);
    }

    /// A lane pays for every event and byte once.
    fn account(&mut self, fact: &Fact) {
        if let Fact::Fees(fees::Fact::LaneSettled { lane, events, volume, charged, shortfall, .. }) = fact {
            let paid = self.paid.entry(*lane).or_default();
            *paid += charged + shortfall;
            let meter = fees::Meter { events: *events, volume: *volume };
            assert_eq!(*paid, self.network.twin.fees.params.lane_price(meter), "paid once");
        }
    }

    /// Holds after every call.
    fn check_books(&self) {
        let twin = &self.network.twin;
        let fees = &twin.fees;
        let own = fees.allotments.values().chain(fees.edge_allotments.values());
        assert_eq!(own.map(|allotment| allotment.amount).sum::<u128>(), fees.deposits);
        assert_eq!(twin.balance(twin.contracts.fees), fees.deposits, "it holds the allotments, no more");
        assert_eq!(twin.supply(), SUPPLY, "tokens are neither made nor lost");
        for (account, credits) in &twin.karma.accounts {
            assert!(twin.karma.karma_of(*account, twin.timestamp_s) <= credits.exchanged);
        }
    }

    /// The contract's own books are the twin's.
    fn check_balance(&self) {
        let (contract, fees) = (self.network.addresses.fees.unwrap(), &self.network.twin.fees);
        assert_eq!(self.network.view(contract, LaneFees::depositsCall {}), fees.deposits);
        assert_eq!(self.network.tokens(contract), fees.deposits);
    }

    /// Compares every view of LaneFees and Karma with the twin.
    fn check_views(&self) {
        self.network.check();
        let (twin, addresses) = (&self.network.twin, self.network.addresses);
        let (contract, karma) = (addresses.fees.unwrap(), addresses.karma.unwrap());
        for ((publisher, slot), expected) in &twin.fees.allotments {
            let (publisher, stream) = (Address::from(publisher.0), Address::from(slot.stream.0));
            let call = LaneFees::allotmentOfCall { publisher, stream, streamPartition: slot.partition };
            assert_eq!(self.network.view(contract, call), allotment(expected));
        }
        for ((subscriber, edge), expected) in &twin.fees.edge_allotments {
            let (subscriber, edge) = (Address::from(subscriber.0), Address::from(edge.0));
            let call = LaneFees::edgeAllotmentOfCall { subscriber, edge };
            assert_eq!(self.network.view(contract, call), allotment(expected));
        }
        for (lane, expected) in &twin.fees.lanes {
            let meter = self.network.view(contract, LaneFees::laneMeterCall { lane: lane.0.into() });
            let found = (fees::Meter { events: meter.events, volume: meter.volume }, meter.slashed);
            assert_eq!(found, (expected.settled, expected.is_slashed));
        }
        for ((subscriber, edge, session), expected) in &twin.fees.receipts {
            let (subscriber, edge) = (subscriber.0.into(), edge.0.into());
            let call = LaneFees::sessionMeterCall { subscriber, edge, session: session.0.into() };
            let meter = self.network.view(contract, call);
            assert_eq!((meter.events, meter.volume), (expected.events, expected.volume));
        }
        for account in twin.karma.accounts.keys() {
            let found = self.network.view(karma, Karma::karmaOfCall { account: account.0.into() });
            assert_eq!(found, U256::from(twin.karma.karma_of(*account, twin.timestamp_s)));
        }
        for key in 0..10 {
            let account = wallet(key).address();
            let found = self.network.view(karma, Karma::isCreditorCall { account });
            assert_eq!(found, twin.karma.creditors.contains(&kernel_address(account)));
        }
        assert_eq!(self.network.view(karma, Karma::closedCall {}), twin.karma.is_closed);
    }
}

fn allotment(kernel: &fees::Allotment) -> ILaneFees::Allotment {
    ILaneFees::Allotment {
        amount: kernel.amount,
        leaving: kernel.leaving,
        shortfall: kernel.shortfall,
        withdrawableEpoch: kernel.withdrawable_epoch,
    }
}

/// The name of the event that a fact is.
fn name(fact: &Fact) -> String {
    let text = match fact {
        Fact::Fees(fact) => format!("{fact:?}"),
        Fact::Karma(fact) => format!("{fact:?}"),
        fact => format!("{fact:?}"),
    };
    variant(&text)
}

/// What random calls must have met besides the errors of both contracts.
const MET: [&str; 17] = [
    "AllotmentSlashed",
    "Allotted",
    "AllottedToEdge",
    "Approval",
    "CreditorAuthorised",
    "ERC20InsufficientAllowance",
    "ERC20InsufficientBalance",
    "EdgeWithdrawalRequested",
    "EdgeWithdrawn",
    "FoundingClosed",
    "KarmaCredited",
    "LaneSettled",
    "ReceiptSettled",
    "Transfer",
    "UnknownPartition",
    "WithdrawalRequested",
    "Withdrawn",
];

/// Errors that no call of a deployed contract can meet, and why.
const UNREACHABLE: [&str; 5] = [
    // Of constructors: see below.
    "ContractMissing",
    "ParameterOutOfRange",
    // Of OpenZeppelin's strings: the domain's name and version are short.
    "InvalidShortString",
    "StringTooLong",
    // Our token returns true or reverts with an error of its own.
    "SafeERC20FailedOperation",
];

#[test]
fn the_chain_does_what_the_twin_of_fees_and_karma_foresees() {
    let mut burned = 0;
    let step = |run: &mut Run, number: u64| {
        run.step();
        run.check_books();
        if number.is_multiple_of(5) {
            run.check_balance();
        }
        if number.is_multiple_of(700) {
            run.check_views();
        }
        true
    };
    let seen = rounds(0..SEEDS, CALLS, Run::new, step, |run| {
        run.check_views();
        burned += run.network.twin.balance(BURNED);
        run.seen
    });
    let mut wanted: BTreeSet<String> = MET.iter().map(|name| name.to_string()).collect();
    wanted.extend(error_names("LaneFees"));
    wanted.extend(error_names("Karma"));
    seen.complete(wanted.iter().map(String::as_str).filter(|name| !UNREACHABLE.contains(name)));
    assert!(burned > 0, "a share is burned");
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let mut network = Network::new(common::params());
    let addresses = network.addresses;
    let (token, coordinator, karma) = (addresses.token, addresses.coordinator, addresses.karma.unwrap());
    let params = fees::Params::default();
    let wrong = [
        fees::Params { event_price: DATA + 1, ..params },
        fees::Params { byte_price: DATA + 1, ..params },
        fees::Params { burn_share: 10_001, ..params },
        fees::Params { slash_share: 10_001, ..params },
        fees::Params { reporter_share: 10_001, ..params },
        fees::Params { notice_epochs: 1 << 32, ..params },
    ];
    let create = |network: &mut Network, code: Bytes| {
        network.transact(0, alloy_primitives::TxKind::Create, code).failure().expect("it must be refused")
    };
    for params in wrong {
        let code = data::fees_code(token, coordinator, karma, &params);
        let reason = create(&mut network, code);
        assert!(reason.starts_with("ParameterOutOfRange("), "{reason}");
    }
    let nobody = wallet(9).address();
    let missing = [(nobody, coordinator, karma), (token, nobody, karma), (token, coordinator, nobody)];
    for (token, coordinator, karma) in missing {
        let reason = create(&mut network, data::fees_code(token, coordinator, karma, &params));
        assert!(reason.starts_with("ContractMissing("), "{reason}");
    }
    for (halving_s, halvings) in [(0, 1), (1, 0), (1, 33)] {
        let code = data::karma_code(&karma::Params { halving_s, halvings });
        let reason = create(&mut network, code);
        assert!(reason.starts_with("ParameterOutOfRange("), "{reason}");
    }
}

#[test]
fn amounts_beyond_128_bits_are_refused_by_name() {
    let mut network = Network::new(common::params());
    let (fees, karma) = (network.addresses.fees.unwrap(), network.addresses.karma.unwrap());
    let stream = Address::repeat_byte(7);
    let allot = LaneFees::allotCall { stream, streamPartition: 0, amount: U256::MAX };
    let reason = network.refused(0, fees, allot.abi_encode().into());
    assert!(reason.starts_with("AmountOutOfRange("), "{reason}");
    let request = LaneFees::requestWithdrawalCall { stream, streamPartition: 0, amount: U256::MAX };
    let reason = network.refused(0, fees, request.abi_encode().into());
    assert!(reason.starts_with("AllotmentTooSmall("), "{reason}");
    network.ok(0, karma, data::authorise(wallet(0).address()));
    let credit = Karma::creditCall { account: stream, amount: U256::MAX };
    let reason = network.refused(0, karma, credit.abi_encode().into());
    assert!(reason.starts_with("CreditOutOfRange("), "{reason}");
    assert_eq!(network.view(fees, LaneFees::depositsCall {}), 0);
    let params = network.view(fees, LaneFees::paramsCall {});
    assert_eq!(params.noticeEpochs, fees::Params::default().notice_epochs);
    assert_eq!(network.view(fees, LaneFees::coordinatorCall {}), network.addresses.coordinator);
    assert_eq!(network.view(fees, LaneFees::tokenCall {}), network.addresses.token);
    assert_eq!(network.view(fees, LaneFees::karmaCall {}), karma);
}
