//! The twin of products and licences against the bytecode: random calls by many senders over lanes that move, cuts that
//! are sealed and windows that pass. Each call is foreseen by `decide`, and the chain must do just that: the same
//! facts in the same order or the error of the same name, and the same balances and views afterwards.

mod common;
#[path = "parity_licenses/views.rs"]
mod views;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use common::foresee::{Dice, Sent, Tally, rounds, variant};
use common::{Network, SUPPLY, kernel_address, wallet};
use weir_chain::bindings::Stream;
use weir_chain::calldata;
use weir_chain::calldata::market;
use weir_chain::deploy::deploy_market;
use weir_kernel::agreement::cut::{Cut, LaneHead};
use weir_kernel::coordinator::licenses::{self, Delivery, LaneParts, License, Order, Product};
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Call, Entry, Fact, Params, Permission};
use weir_kernel::ids::{self, Hash, PartitionId, StreamId};
use weir_kernel::merkle;

const SEED: u64 = 11;
const CALLS: u64 = 21_000;
const PARTITIONS: u32 = 2;
const PROVIDERS: u64 = 3;
const SENDERS: u64 = 8;
const PRODUCTS: usize = 12;

struct Run {
    network: Network,
    dice: Dice,
    known: BTreeSet<StreamId>,
    lanes: Vec<(LaneParts, LaneHead)>,
    cuts: BTreeMap<u32, Cut>,
    seen: Tally,
}

fn to(address: ids::Address) -> Address {
    Address::from(address.0)
}

impl Run {
    fn new(seed: u64) -> Self {
        let params = Params {
            replicas: 1,
            partitions: PARTITIONS,
            epoch_blocks: 2,
            window_epochs: 1 << 30,
            ..Params::default()
        };
        let mut network = Network::with_brokers(params, &[1_000 * DATA]);
        network.rebalance();
        let time = network.mirror.head().header.timestamp + 1;
        deploy_market(&mut network.mirror, &wallet(0), &mut network.addresses, time).unwrap();
        network.twin.contracts = network.addresses.contracts();
        network.blocks(1);
        for n in 1..=SENDERS as u8 {
            let data = calldata::transfer(wallet(n).address(), 20_000 * DATA);
            network.ok(0, network.addresses.token, data);
        }
        let mut run = Self {
            network,
            dice: Dice(seed),
            known: BTreeSet::new(),
            lanes: Vec::new(),
            cuts: BTreeMap::new(),
            seen: Tally::default(),
        };
        for n in 0..6 {
            let data = calldata::create_stream(&format!("s{n}"), "", 3, false, false);
            run.network.ok(1 + n % PROVIDERS as u8, run.network.addresses.registry, data);
        }
        run.known = run.network.twin.streams.keys().copied().collect();
        run
    }

    fn key(&mut self) -> u8 {
        1 + self.dice.roll(SENDERS) as u8
    }

    fn stream(&mut self) -> StreamId {
        let streams: Vec<_> = self.known.iter().copied().collect();
        self.dice.pick(&streams)
    }

    /// A product, if there is one yet.
    fn product(&mut self) -> Option<(ids::Address, License)> {
        let products = &self.network.twin.licenses.products;
        if products.is_empty() {
            return None;
        }
        let at = self.dice.roll(products.len() as u64) as usize;
        products.iter().nth(at).map(|(address, license)| (*address, license.as_ref().clone()))
    }

    /// The key of an account that may send.
    fn key_of(&self, account: ids::Address) -> u8 {
        (0..=SENDERS as u8).find(|n| kernel_address(wallet(*n).address()) == account).unwrap_or(0)
    }

    /// Lanes move and a cut of some partition is sealed.
    fn seal(&mut self) {
        let partition = self.dice.roll(PARTITIONS.into()) as u32;
        let present = self.network.twin.partition(PartitionId(partition)).unwrap();
        let epoch = self.network.epoch() - 1;
        if epoch <= present.sealed_epoch {
            return self.network.blocks(1);
        }
        let previous = present.checksum;
        if self.lanes.len() < 4 || self.dice.roll(8) == 0 {
            self.open_lane();
        }
        let mut heads = BTreeMap::new();
        for _ in 0..1 + self.dice.roll(6) {
            let at = self.dice.roll(self.lanes.len() as u64) as usize;
            let head = &mut self.lanes[at].1;
            head.next_sequence += 1 + self.dice.roll(3);
            head.volume += 10;
            head.digest = Hash([self.dice.roll(256) as u8; 32]);
            heads.insert(head.lane, *head);
        }
        let heads: Vec<LaneHead> = heads.into_values().collect();
        let cut = Cut { partition: PartitionId(partition), epoch, previous, heads, forks: Vec::new() };
        let entry = Entry {
            partition: cut.partition,
            epoch,
            round: 1,
            previous,
            checksum: cut.checksum(),
            events: 1,
            volume: 10,
        };
        let certificate = self.network.certificate(entry, &[1]);
        let data = calldata::submit_certificates([&certificate]);
        self.network.ok(1, self.network.addresses.coordinator, data);
        self.cuts.insert(partition, cut);
    }

    fn open_lane(&mut self) {
        let height = self.network.mirror.height();
        let parts = LaneParts {
            stream: self.stream(),
            stream_partition: self.dice.roll(3) as u32,
            origin_type: 0,
            origin: kernel_address(wallet(self.key()).address()),
            opening_block: height - self.dice.roll(height.min(40)),
            nonce: [self.dice.roll(256) as u8; 16],
        };
        let head = LaneHead::empty(parts.lane());
        if self.lanes.iter().all(|(_, other)| other.lane != head.lane) {
            self.lanes.push((parts, head));
        }
    }

    /// A call of somebody, with its calldata.
    fn call(&mut self) -> Option<Sent> {
        let few = self.network.twin.licenses.products.len() < PRODUCTS;
        match self.dice.roll(40) {
            0 if few => self.offer(),
            0..=9 => self.order(),
            10..=15 => self.pay(),
            16..=25 => self.prove(),
            26..=29 => self.settle(),
            30..=31 => self.withdraw(),
            32 => self.administer(),
            33..=35 => self.approve(),
            36 => self.refill(),
            _ => self.permit(),
        }
    }

    fn offer(&mut self) -> Option<Sent> {
        let provider = 1 + self.dice.roll(PROVIDERS) as u8;
        let owner = kernel_address(wallet(provider).address());
        let mut streams: Vec<StreamId> = self.known.iter().copied().collect();
        let careless = self.dice.roll(5) == 0;
        streams.retain(|id| {
            let stream = self.network.twin.stream(*id).unwrap();
            careless || stream.owner == owner && stream.removed_block().is_none()
        });
        let keep = 1 + self.dice.roll(3) as usize;
        streams.truncate(keep);
        let mut product = Product {
            beneficiary: if self.dice.roll(2) == 0 { owner } else { kernel_address(wallet(8).address()) },
            price_per_second: self.dice.pick(&[1, 7, 1_000_000_007, 1_000_000_000_000_000, u64::MAX]),
            minimum_seconds: self.dice.pick(&[1, 5, 20]),
            window_seconds: self.dice.pick(&[1, 4, 9, 30]),
            minimum_events: self.dice.pick(&[1, 1, 3]),
            terms: "sha256:00".into(),
            streams,
        };
        match self.dice.roll(20) {
            0 => product.beneficiary = ids::Address::ZERO,
            1 => product.price_per_second = 0,
            2 => product.window_seconds = 31 * 86_400,
            3 => product.terms = "t".repeat(257),
            4 => product.streams = vec![],
            5 => product.streams.reverse(),
            6 => product.streams = vec![StreamId([1; 20]); 17],
            7 => product.streams.push(StreamId([0xFF; 20])),
            8 => product.minimum_events = 0,
            9 => product.minimum_seconds = licenses::MAXIMUM_SECONDS + 1,
            _ => {}
        }
        let factory = self.network.addresses.license_factory.unwrap();
        Some((provider, factory, market::offer(&product), Call::Licenses(licenses::Call::Offer(product))))
    }

    /// An order and who places it.
    fn new_order(&mut self, license: &License) -> (u8, Order) {
        let minimum = license.product.minimum_seconds;
        let duration = match self.dice.roll(25) {
            0 => minimum - 1,
            1 => licenses::MAXIMUM_SECONDS + 1,
            2 => u64::MAX,
            _ => minimum + self.dice.roll(60),
        };
        let key_bytes = match self.dice.roll(20) {
            0 => 0,
            1 => 31,
            2 => 2049,
            _ => 33,
        };
        let public_key = vec![self.dice.roll(256) as u8; key_bytes];
        let count = license.licences.len() as u64;
        if count > 0 && self.dice.roll(3) == 0 {
            let beyond = u64::from(self.dice.roll(8) == 0);
            let licence = 1 + self.dice.roll(count + beyond);
            let buyer = license.licences.get(&licence).map(|l| self.key_of(l.buyer));
            let sender = if self.dice.roll(6) == 0 { self.key() } else { buyer.unwrap_or(1) };
            let public_key = if self.dice.roll(2) == 0 { Vec::new() } else { public_key };
            return (sender, Order { licence, duration, public_key });
        }
        (self.key(), Order { licence: 0, duration, public_key })
    }

    fn order(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let (sender, order) = self.new_order(&held);
        let data = market::order(&order);
        Some((sender, to(license), data, Call::Licenses(licenses::Call::Order { license, order })))
    }

    fn pay(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let (sender, order) = self.new_order(&held);
        let price = held.product.price_of(order.duration);
        let amount = if self.dice.roll(8) == 0 { price.wrapping_add(1) } else { price };
        let data = market::pay_for_order(to(license), amount, &order);
        let call = Call::Licenses(licenses::Call::Pay { license, amount, order });
        Some((sender, self.network.addresses.token, data, call))
    }

    fn prove(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let partition = self.dice.roll(PARTITIONS.into()) as u32;
        let cut = self.cuts.get(&partition)?;
        let sold = |head: &LaneHead| {
            let (parts, _) = self.lanes.iter().find(|(_, lane)| lane.lane == head.lane).unwrap();
            held.product.streams.contains(&parts.stream)
        };
        let leaves: Vec<Hash> = cut.heads.iter().map(LaneHead::leaf).collect();
        let good = (0..leaves.len()).find(|at| {
            let head = &cut.heads[*at];
            sold(head) && held.proved.get(&head.lane).is_none_or(|proved| *proved < head.next_sequence)
        });
        let any = self.dice.roll(leaves.len() as u64) as usize;
        let at = if self.dice.roll(5) == 0 { any } else { good.unwrap_or(any) };
        let head = cut.heads[at];
        let lane = self.lanes.iter().find(|(_, lane)| lane.lane == head.lane).unwrap().0;
        let mut delivery = Delivery {
            partition: PartitionId(partition),
            previous: cut.previous,
            lane,
            next_sequence: head.next_sequence,
            volume: head.volume,
            digest: head.digest,
            path: merkle::proof(&leaves, at as u32).unwrap(),
        };
        match self.dice.roll(40) {
            0 => delivery.previous = Hash([9; 32]),
            1 => delivery.path.path.push(Hash::ZERO),
            2 => delivery.path.index = delivery.path.count,
            3 => delivery.partition = PartitionId(PARTITIONS),
            4 => delivery.next_sequence += 1,
            5 => delivery.lane.nonce = [0xEE; 16],
            _ => {}
        }
        let data = market::prove(&delivery);
        let call = Call::Licenses(licenses::Call::Prove { license, delivery });
        Some((self.key(), to(license), data, call))
    }

    fn settle(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let beyond = 1 + u64::from(self.dice.roll(6) == 0);
        let licence = self.dice.roll(held.licences.len() as u64 + beyond);
        let call = Call::Licenses(licenses::Call::Settle { license, licence });
        Some((self.key(), to(license), market::settle_licence(licence), call))
    }

    fn withdraw(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let owed: Vec<_> = held.owed.keys().copied().collect();
        let sender = if owed.is_empty() || self.dice.roll(4) == 0 {
            self.key()
        } else {
            let account = self.dice.pick(&owed);
            self.key_of(account)
        };
        let call = Call::Licenses(licenses::Call::Withdraw { license });
        Some((sender, to(license), market::withdraw_from_licence(), call))
    }

    fn administer(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let sender = if self.dice.roll(4) == 0 { self.key() } else { self.key_of(held.provider) };
        if self.dice.roll(2) == 0 {
            let for_sale = !held.for_sale || self.dice.roll(5) != 0;
            let call = Call::Licenses(licenses::Call::SetForSale { license, for_sale });
            return Some((sender, to(license), market::set_for_sale(for_sale), call));
        }
        let beneficiary = match self.dice.roll(6) {
            0 => ids::Address::ZERO,
            _ => kernel_address(wallet(self.key()).address()),
        };
        let data = market::set_beneficiary(to(beneficiary));
        let call = Call::Licenses(licenses::Call::SetBeneficiary { license, beneficiary });
        Some((sender, to(license), data, call))
    }

    fn approve(&mut self) -> Option<Sent> {
        let (spender, _) = self.product()?;
        let value = self.dice.pick(&[0, 50, 2_000 * DATA, 9_000 * DATA, u128::MAX]);
        let sender = self.key();
        let data = calldata::approve(to(spender), value);
        Some((sender, self.network.addresses.token, data, Call::Approve { spender, value }))
    }

    /// Some tokens come back to whom the market made poor.
    fn refill(&mut self) -> Option<Sent> {
        let account = kernel_address(wallet(self.key()).address());
        let value = 500 * DATA;
        let data = calldata::transfer(to(account), value);
        Some((0, self.network.addresses.token, data, Call::Transfer { to: account, value }))
    }

    /// Mostly: an owner lets a product grant on a stream.
    fn permit(&mut self) -> Option<Sent> {
        let (license, held) = self.product()?;
        let stream = self.dice.pick(&held.product.streams);
        let owner = self.network.twin.stream(stream).unwrap().owner;
        let sender = self.key_of(owner);
        let removed = self.network.twin.streams.values().filter(|s| s.removed_block().is_some()).count();
        if removed < 2 && self.dice.roll(80) == 0 {
            let data = Stream::removeCall {}.abi_encode().into();
            return Some((sender, Address::from(stream.0), data, Call::RemoveStream { stream }));
        }
        let permission = Permission { can_grant: self.dice.roll(12) != 0, ..Permission::default() };
        let data = calldata::set_permission(to(license), &permission);
        let call = Call::SetPermission { stream, user: license, permission };
        Some((sender, Address::from(stream.0), data, call))
    }

    fn step(&mut self) -> bool {
        match self.dice.roll(24) {
            0..=4 => self.seal(),
            5 => {
                let time = self.network.mirror.head().header.timestamp + 1 + self.dice.roll(50);
                self.network.mirror.produce_block(time).unwrap();
                self.network.blocks(1);
            }
            _ => {}
        }
        let Some(sent) = self.call() else { return false };
        let call = sent.3.clone();
        let outcome = self.network.foreseen(sent).unwrap_or_else(|difference| panic!("{difference}"));
        self.seen.outcome(&outcome, name);
        if let Call::Licenses(call) = &call {
            self.check(call);
        }
        true
    }
}

/// The name of the event that a fact is of.
fn name(fact: &Fact) -> String {
    let debug = match fact {
        Fact::Licenses(fact) => format!("{fact:?}"),
        other => format!("{other:?}"),
    };
    variant(&debug)
}

/// What random calls must have met. The rest has its own tests.
const MET: [&str; 39] = [
    "AlreadyRemoved",
    "Approval",
    "BeneficiaryMissing",
    "BeneficiarySet",
    "ChecksumMismatch",
    "CutUsed",
    "DeliveryProved",
    "DurationOutOfRange",
    "ERC20InsufficientAllowance",
    "ERC20InsufficientBalance",
    "KeyLengthOutOfRange",
    "LaneNotAdvanced",
    "LicenceExpired",
    "LicencePurchased",
    "LicenceRenewed",
    "LicenceSettled",
    "MayNotGrant",
    "NotBuyer",
    "NotForSale",
    "NotPermitted",
    "NotProvider",
    "NothingOwed",
    "NothingToSettle",
    "OwnerPermissionsProtected",
    "ParameterOutOfRange",
    "PathMalformed",
    "PermissionSet",
    "ProductOffered",
    "PublicKeyMissing",
    "PublicKeySet",
    "SaleSet",
    "StreamNotInProduct",
    "StreamRemoved",
    "StreamsNotAscending",
    "Transfer",
    "UnknownLicence",
    "UnknownPartition",
    "UnknownStream",
    "WrongPayment",
];

#[test]
fn the_market_does_what_the_twin_foresees() {
    let step = |run: &mut Run, _| run.step();
    let seen = rounds(SEED..SEED + 4, CALLS, Run::new, step, |run| {
        run.network.check();
        assert_eq!(run.network.twin.supply(), SUPPLY, "tokens are neither made nor lost");
        run.seen
    });
    seen.complete(MET.into_iter().chain(["Withdrawn"]));
}
