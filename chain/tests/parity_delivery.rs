//! The twin of event delivery against the bytecode: random calls by many senders, with subscribers that keep what they
//! get, revert, burn gas, answer with much, or call back. What a subscriber does is an input of the twin; everything
//! else is foreseen, and the chain must do just that.

mod common;

use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_sol_types::SolCall;
use common::foresee::{Dice, Sent, Tally, rounds, variant};
use common::session::{SESSION_KEY, SPOILT, recovered};
use common::{CHAIN_ID, Network, SUPPLY, kernel_address, params, session, wallet};
use weir_chain::bindings::EventDelivery;
use weir_chain::calldata;
use weir_chain::calldata::market;
use weir_chain::deploy::deploy_market;
use weir_kernel::batch::{Batch, LaneWriter, NewEvent, Session};
use weir_kernel::coordinator::delivery::{self, Callee, Delivery, Terms};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Call, Fact, Permission};
use weir_kernel::ids::{self, Hash, StreamId, StreamPartition};
use weir_kernel::signature::{SECP256K1, Signature};

mod hostile {
    alloy_sol_types::sol!(
        #[derive(Debug)]
        HostileSubscriber,
        "../contracts/artifacts/testing/HostileSubscriber.json"
    );
}
use hostile::HostileSubscriber;

const SEED: u64 = 23;
const CALLS: u64 = 21_000;
const SENDERS: u64 = 8;
const PUBLISHERS: u64 = 3;
const KEEP: u8 = 0;
const REVERT: u8 = 1;
const REVERT_WITH_MUCH: u8 = 2;
const BURN_GAS: u8 = 3;
const REENTER: u8 = 4;
const RETURN_MUCH: u8 = 5;

struct Subscriber {
    at: Address,
    owner: u8,
    behaviour: u8,
}

struct Run {
    network: Network,
    dice: Dice,
    streams: Vec<StreamId>,
    subscribers: Vec<Subscriber>,
    batches: Vec<Batch>,
    seen: Tally,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut network = Network::new(params());
        let time = network.mirror.head().header.timestamp + 1;
        deploy_market(&mut network.mirror, &wallet(0), &mut network.addresses, time).unwrap();
        network.twin.contracts = network.addresses.contracts();
        network.blocks(1);
        let (token, registry) = (network.addresses.token, network.addresses.registry);
        for n in 1..=SENDERS as u8 {
            network.ok(0, token, calldata::transfer(wallet(n).address(), 5_000 * DATA));
        }
        for n in 0..3 {
            network.ok(1, registry, calldata::create_stream(&format!("s{n}"), "", 2, false, n == 0));
        }
        let streams: Vec<StreamId> = network.twin.streams.keys().copied().collect();
        let subscribers = (0..3)
            .map(|n| {
                let owner = 4 + n;
                let code = HostileSubscriber::BYTECODE.clone();
                let receipt = network.transact(owner, TxKind::Create, code);
                Subscriber { at: receipt.contract_address.unwrap(), owner, behaviour: KEEP }
            })
            .collect();
        let seen = Tally::default();
        let mut run = Self { network, dice: Dice(seed), streams, subscribers, batches: Vec::new(), seen };
        (0..40).for_each(|_| run.publish());
        run
    }

    fn key(&mut self) -> u8 {
        1 + self.dice.roll(SENDERS) as u8
    }

    /// A batch of some publisher, in a lane of its own.
    fn publish(&mut self) {
        let slot = StreamPartition { stream: self.dice.pick(&self.streams), partition: 0 };
        let key = 1 + self.dice.roll(PUBLISHERS) as u8;
        let origin = kernel_address(wallet(key).address());
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.dice.roll(u64::MAX).to_be_bytes());
        let mut lane = LaneWriter::new(slot, origin, 1, nonce, Hash::ZERO, SECP256K1);
        let mut signer = key;
        if self.dice.roll(3) == 0 {
            lane = self.in_session(lane, key);
            signer = SESSION_KEY;
        }
        let events = (0..1 + self.dice.roll(7))
            .map(|n| NewEvent::new(1_000 + n, 1, vec![b'x'; self.dice.roll(90) as usize]))
            .collect();
        let unsigned = lane.next_batch(events).unwrap();
        let digest = B256::from(unsigned.signing_hash(CHAIN_ID).0);
        let signature = Signature::Secp256k1(wallet(signer).sign_digest(digest));
        self.batches.push(unsigned.sign(signature).unwrap());
    }

    /// Lets the session key sign in a lane; some sessions end soon.
    fn in_session(&mut self, lane: LaneWriter, key: u8) -> LaneWriter {
        let expiry_block = self.network.mirror.height() + self.dice.roll(80) + 2;
        let session = Session {
            stream: lane.slot().stream,
            origin: lane.origin(),
            key: kernel_address(wallet(SESSION_KEY).address()),
            expiry_block,
            signature_type: SECP256K1,
        };
        let digest = B256::from(session.signing_hash(CHAIN_ID).0);
        let certificate = session.certified(Signature::Secp256k1(wallet(key).sign_digest(digest)));
        lane.in_session(&session, certificate).unwrap()
    }

    fn call(&mut self) -> Option<Sent> {
        match self.dice.roll(40) {
            0..=2 => self.subscribe(),
            3..=5 => self.top_up(),
            6..=8 => self.pay(),
            9..=11 => self.withdraw(),
            12..=14 => self.approve(),
            15 => self.permit(),
            _ => self.deliver(),
        }
    }

    fn subscription(&mut self) -> u64 {
        let count = self.network.twin.delivery.subscriptions.len() as u64;
        let beyond = 1 + u64::from(self.dice.roll(20) == 0);
        // Mostly the newest, which still have something to deliver.
        let newest = count.min(12);
        if count == 0 { 1 } else { count - newest + self.dice.roll(newest + beyond) }
    }

    fn subscribe(&mut self) -> Option<Sent> {
        let at = self.dice.roll(self.subscribers.len() as u64) as usize;
        let (subscriber, owner) = (self.subscribers[at].at, self.subscribers[at].owner);
        let mut callee = Callee { has_code: true, owner: Some(kernel_address(wallet(owner).address())) };
        let mut terms = Terms {
            subscriber: kernel_address(subscriber),
            stream: self.dice.pick(&self.streams),
            bounty: self.dice.pick(&[1, 10, DATA]),
            callback_gas: self.dice.pick(&[5_000, 400_000, 400_000, 400_000]),
            rate_events: self.dice.pick(&[1, 2, 1_000]),
            rate_seconds: self.dice.pick(&[1, 60, 3_600]),
        };
        match self.dice.roll(24) {
            0 => terms.bounty = 0,
            1 => terms.callback_gas = 4_999,
            2 => terms.callback_gas = 2_000_001,
            3 => terms.rate_events = 0,
            4 => terms.rate_seconds = 0,
            5 => terms.stream = StreamId([7; 20]),
            6 => {
                terms.subscriber = kernel_address(wallet(owner).address());
                callee = Callee::default();
            }
            7 => {
                // A contract without an owner.
                terms.subscriber = kernel_address(self.network.addresses.token);
                callee.owner = None;
            }
            _ => {}
        }
        let sender = if self.dice.roll(10) == 0 { self.key() } else { owner };
        let budget = self.dice.pick(&[0, 3, 1_000, 50 * DATA]);
        let data = market::subscribe(&terms, budget);
        let call = delivery::Call::Subscribe { terms, budget, callee };
        Some((sender, self.network.addresses.event_delivery.unwrap(), data, Call::Delivery(call)))
    }

    fn top_up(&mut self) -> Option<Sent> {
        let (subscription, amount) = (self.subscription(), self.dice.pick(&[0, 5, DATA, 9_000 * DATA]));
        let call = delivery::Call::TopUp { subscription, amount };
        let at = self.network.addresses.event_delivery.unwrap();
        Some((self.key(), at, market::top_up(subscription, amount), Call::Delivery(call)))
    }

    fn pay(&mut self) -> Option<Sent> {
        let (subscription, amount) = (self.subscription(), self.dice.pick(&[0, 5, DATA, 9_000 * DATA]));
        let at = self.network.addresses.event_delivery.unwrap();
        let data = market::pay_for_subscription(at, subscription, amount);
        let call = delivery::Call::Pay { subscription, amount };
        Some((self.key(), self.network.addresses.token, data, Call::Delivery(call)))
    }

    fn withdraw(&mut self) -> Option<Sent> {
        let subscription = self.subscription();
        let controller = self.network.twin.delivery.subscription(subscription).map(|s| s.controller);
        let owner = (4..7).find(|n| Some(kernel_address(wallet(*n).address())) == controller);
        let sender = if self.dice.roll(5) == 0 { self.key() } else { owner.unwrap_or(1) };
        let amount = self.dice.pick(&[0, 1, 2, DATA]);
        let call = delivery::Call::Withdraw { subscription, amount };
        let at = self.network.addresses.event_delivery.unwrap();
        Some((sender, at, market::withdraw_budget(subscription, amount), Call::Delivery(call)))
    }

    fn approve(&mut self) -> Option<Sent> {
        let spender = self.network.addresses.event_delivery.unwrap();
        let value = self.dice.pick(&[0, 4, 100 * DATA, 20_000 * DATA, u128::MAX]);
        let data = calldata::approve(spender, value);
        let call = Call::Approve { spender: kernel_address(spender), value };
        Some((self.key(), self.network.addresses.token, data, call))
    }

    /// A publisher's right comes or goes.
    fn permit(&mut self) -> Option<Sent> {
        let stream = self.dice.pick(&self.streams);
        let user = wallet(1 + self.dice.roll(PUBLISHERS) as u8).address();
        let publish_until = self.dice.pick(&[0, u64::MAX, u64::MAX]);
        let permission = Permission { publish_until, ..Permission::default() };
        let data = calldata::set_permission(user, &permission);
        let call = Call::SetPermission { stream, user: kernel_address(user), permission };
        Some((1, Address::from(stream.0), data, call))
    }

    fn deliver(&mut self) -> Option<Sent> {
        let subscription = self.subscription();
        let subscribed = self.network.twin.delivery.subscription(subscription).cloned();
        let fits =
            |batch: &&Batch| subscribed.as_ref().is_none_or(|s| s.terms.stream == batch.header().stream);
        let fitting: Vec<&Batch> = self.batches.iter().filter(fits).collect();
        let batch = if fitting.is_empty() || self.dice.roll(25) == 0 {
            let at = self.dice.roll(self.batches.len() as u64) as usize;
            self.batches[at].clone()
        } else {
            self.dice.pick(&fitting).clone()
        };
        let index = self.dice.roll(batch.len().into()) as u32;
        let mut delivery = Delivery {
            header: *batch.header(),
            recovered: None,
            session: None,
            index,
            path: batch.proof(index).unwrap().path,
            encoded: batch.event_bytes(index).unwrap().to_vec(),
        };
        let mut signature = batch.signed_header().proof();
        self.spoil(&mut delivery, &mut signature);
        let found = recovered(&delivery.header, &signature);
        (delivery.recovered, delivery.session) = (found.signer, found.session);
        let accepted = subscribed.is_some_and(|s| self.accepts(&s.terms));
        let data = market::deliver(subscription, &delivery, &signature);
        let call = delivery::Call::Deliver { subscription, delivery: Box::new(delivery), accepted };
        let at = self.network.addresses.event_delivery.unwrap();
        Some((self.key(), at, data, Call::Delivery(call)))
    }

    /// Sometimes something is wrong with a delivery.
    fn spoil(&mut self, delivery: &mut Delivery, signature: &mut Vec<u8>) {
        let header = &mut delivery.header;
        let mut resign = false;
        match self.dice.roll(60) {
            0 => header.version = 2,
            1 => header.origin_type = 1,
            2 => header.signer = ids::Address([9; 20]),
            3 => header.certificate = Hash([1; 32]),
            4 => header.signature_type = 0xF0,
            5 => header.count = 4_097,
            6 => header.sequence = u64::MAX,
            7 => header.last_time_ms = 0,
            8 => delivery.encoded.push(0),
            9 => delivery.encoded.truncate(14),
            10 => delivery.encoded[10] = 33,
            11 => delivery.encoded = vec![0; 65_537],
            12 => delivery.path.push(Hash::ZERO),
            13 => delivery.index = delivery.header.count,
            14 => delivery.encoded[8] ^= 1,
            15 => {
                header.last_time_ms = header.first_time_ms;
                (header.first_time_ms, header.last_time_ms) = (0, 1);
            }
            // High s: the same signature with the other root, which is refused.
            16 => signature[32..64].fill(0xFF),
            17 => signature[64] = 29,
            18 => drop(signature.pop()),
            19 => {
                header.origin = kernel_address(wallet(9).address());
                header.signer = header.origin;
                resign = true;
            }
            20 => {
                let digest = B256::from(header.signing_hash(CHAIN_ID).0);
                *signature = wallet(11).sign_digest(digest).to_vec();
            }
            21 if signature.len() > 65 => {
                // One byte of a certificate: expiry, type, length, r, s or v.
                let at = 65 + self.dice.roll(75) as usize;
                signature[at] ^= 1 + self.dice.roll(255) as u8;
            }
            22 => {
                let origin = delivery.header.origin;
                let key = (1..=PUBLISHERS as u8).find(|key| kernel_address(wallet(*key).address()) == origin);
                let spoilt = session::spoilt(&delivery.header, key.unwrap(), self.dice.roll(SPOILT));
                delivery.header = spoilt.header;
                *signature = spoilt.proof();
            }
            _ => {}
        }
        if resign {
            let digest = B256::from(delivery.header.signing_hash(CHAIN_ID).0);
            *signature = wallet(9).sign_digest(digest).to_vec();
        }
    }

    /// What a subscriber does with the gas of these terms.
    fn accepts(&self, terms: &Terms) -> bool {
        let found = self.subscribers.iter().find(|s| kernel_address(s.at) == terms.subscriber);
        let enough = terms.callback_gas > 5_000;
        enough && found.is_some_and(|s| [KEEP, REENTER, RETURN_MUCH].contains(&s.behaviour))
    }

    fn step(&mut self) -> bool {
        match self.dice.roll(20) {
            0 => {
                let at = self.dice.roll(self.subscribers.len() as u64) as usize;
                let behaviour =
                    self.dice.pick(&[KEEP, KEEP, REVERT, REVERT_WITH_MUCH, BURN_GAS, REENTER, RETURN_MUCH]);
                let Subscriber { at, owner, behaviour: ref mut present } = self.subscribers[at];
                *present = behaviour;
                let data = HostileSubscriber::behaveCall { behaviour_: behaviour }.abi_encode();
                self.network.ok(owner, at, data.into());
            }
            1 => {
                let time = self.network.mirror.head().header.timestamp + 1 + self.dice.roll(5_000);
                self.network.mirror.produce_block(time).unwrap();
                self.network.blocks(1);
            }
            2..=4 => self.publish(),
            _ => {}
        }
        if self.batches.len() > 60 {
            self.batches.remove(0);
        }
        let Some(sent) = self.call() else { return false };
        let call = sent.3.clone();
        let outcome = self.network.foreseen(sent).unwrap_or_else(|difference| panic!("{difference}"));
        self.seen.outcome(&outcome, name);
        if let Call::Delivery(call) = &call {
            self.check(call);
        }
        true
    }

    /// After a call: the books balance, and the views say what the twin says.
    fn check(&self, call: &delivery::Call) {
        use delivery::Call as C;
        let at = self.network.addresses.event_delivery.unwrap();
        let held = &self.network.twin.delivery;
        let budgets: u128 = held.subscriptions.values().map(|s| s.budget).sum();
        assert_eq!(budgets, held.budgets, "budgets add up");
        let balance = self.network.twin.balance(kernel_address(at));
        assert_eq!(balance, budgets, "the balance is the sum of the budgets");
        assert_eq!(self.network.tokens(at), balance);
        assert_eq!(self.network.view(at, EventDelivery::budgetsCall {}), budgets);
        let count: u64 = self.network.view(at, EventDelivery::subscriptionCountCall {}).to();
        assert_eq!(count, held.subscriptions.len() as u64);
        let number = match call {
            C::Subscribe { .. } => count,
            C::TopUp { subscription, .. } | C::Pay { subscription, .. } => *subscription,
            C::Withdraw { subscription, .. } | C::Deliver { subscription, .. } => *subscription,
        };
        let subscription = U256::from(number);
        let found = self.network.view(at, EventDelivery::subscriptionOfCall { subscription });
        let Some(expected) = held.subscription(number) else {
            return assert_eq!(found.controller, Address::ZERO);
        };
        assert_eq!(kernel_address(found.subscriber), expected.terms.subscriber);
        assert_eq!(kernel_address(found.controller), expected.controller);
        assert_eq!((found.bounty, found.budget), (expected.terms.bounty, expected.budget));
        assert_eq!((found.rateSpan, found.rateUsed), (expected.rate_span, expected.rate_used));
        if let C::Deliver { delivery, .. } = call {
            let lane = delivery.header.lane();
            let sequence = delivery.header.sequence.wrapping_add(delivery.index.into());
            let call = EventDelivery::isDeliveredCall { subscription, lane: lane.0.into(), sequence };
            assert_eq!(self.network.view(at, call), expected.delivered.contains(&(lane, sequence)));
        }
    }
}

/// The name of the event that a fact is of; of a delivery also whether it was accepted.
fn name(fact: &Fact) -> String {
    let debug = match fact {
        Fact::Delivery(delivery::Fact::EventDelivered { accepted, .. }) => {
            return format!("EventDelivered, {}", if *accepted { "accepted" } else { "not accepted" });
        }
        Fact::Delivery(fact) => format!("{fact:?}"),
        other => format!("{other:?}"),
    };
    variant(&debug)
}

/// What random calls must have met. The rest has its own tests.
const MET: [&str; 31] = [
    "AlreadyDelivered",
    "AmountOutOfRange",
    "Approval",
    "BudgetAdded",
    "BudgetSpent",
    "BudgetTooSmall",
    "BudgetWithdrawn",
    "ERC20InsufficientAllowance",
    "ERC20InsufficientBalance",
    "EventDelivered, accepted",
    "EventDelivered, not accepted",
    "EventMalformed",
    "EventTooLong",
    "HeaderMalformed",
    "NotController",
    "NotInBatch",
    "NotSubscriberOrOwner",
    "ParameterOutOfRange",
    "PathMalformed",
    "PermissionSet",
    "PublisherNotPermitted",
    "RateExceeded",
    "SessionEnded",
    "SessionInvalid",
    "SignatureMismatch",
    "Subscribed",
    "SubscriberWithoutCode",
    "TimeOutOfRange",
    "Transfer",
    "UnknownStream",
    "UnknownSubscription",
];

#[test]
fn the_delivery_contract_does_what_the_twin_foresees() {
    let step = |run: &mut Run, _| run.step();
    let seen = rounds(SEED..SEED + 4, CALLS, Run::new, step, |run| {
        run.network.check();
        assert_eq!(run.network.twin.supply(), SUPPLY, "tokens are neither made nor lost");
        for subscriber in &run.subscribers {
            let reentered = run.network.view(subscriber.at, HostileSubscriber::reenteredCall {});
            assert_eq!(reentered, U256::ZERO, "nothing can be called while a subscriber runs");
        }
        run.seen
    });
    seen.complete(MET.into_iter().chain(["WrongStream"]));
}
