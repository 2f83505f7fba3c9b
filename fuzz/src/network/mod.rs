//! A small network of brokers whose every choice comes out of a fuzzer's bytes.
//!
//! ```text
//!   bytes ─► deliver, drop, repeat a frame │ sync, crash, lose a disk │ a block, a view │ more partitions │ time
//!            │ clients │ the liar
//!              │
//!              └─ at the end of the bytes: calm. Everything arrives, time and chain move on, the liar is silent.
//! ```
//!
//! Four brokers hold the four seats of each partition, so f = 1 and q = 3. Either all four are honest and one may lose
//! its disk, or one lies. What is checked, always and after the calm, is in [`checks`].

pub mod broker;
pub mod chain;
pub mod checks;
pub mod growing;
pub mod liar;
pub mod publisher;

use std::collections::VecDeque;
use std::sync::Arc;

use weir_kernel::broker::{Command, From, Level, Reading, Reply, SessionId};
use weir_kernel::coordinator::Params;
use weir_kernel::ids::{Address, StreamPartition};
use weir_kernel::log::Position;
use weir_kernel::time::Now;
use weir_kernel::wire;

use self::broker::{Broker, Effects};
use self::chain::Chain;
use self::checks::Checks;
use self::liar::Knowledge;
use self::publisher::Lane;
use crate::input::Input;

/// Brokers, and so seats of each partition.
const BROKERS: u8 = 4;

/// Stream partitions of the one stream.
const STREAM_PARTITIONS: u32 = 3;

/// Frames on the way: beyond, the oldest are lost.
const MAX_FRAMES: usize = 256;

/// Choices of one run at most, so that an input of any length ends.
const MAX_CHOICES: usize = 1500;

/// Blocks of the calm: several epochs, so that what a restart delays is sealed too.
const CALM_BLOCKS: usize = 40;

/// Lanes of a run.
const MAX_LANES: usize = 12;

/// A session that subscribes before the calm and must get everything.
const WITNESS: SessionId = SessionId(1000);

/// A frame on its way.
#[derive(Clone, Debug)]
struct Frame {
    from: Address,
    to: Address,
    bytes: Vec<u8>,
}

/// Brokers, a chain, publishers, and frames between them.
pub struct Network {
    brokers: Vec<Broker>,
    liar: Option<Address>,
    chain: Chain,
    lanes: Vec<Lane>,
    frames: VecDeque<Frame>,
    now: Now,
    next_request: u64,
    disks_lost: usize,
    checks: Checks,
    /// What clients heard, where a directed run wants to know.
    heard: Option<Vec<(usize, SessionId, Reply)>>,
}

fn address(number: u8) -> Address {
    Address([0xB0 + number; 20])
}

impl Network {
    /// A network whose partitions' first epoch has just begun.
    pub fn new(has_liar: bool) -> Self {
        let params = Params {
            replicas: BROKERS,
            partitions: 2,
            partitions_per_broker: 2,
            epoch_blocks: 4,
            ..Params::default()
        };
        let addresses: Vec<Address> = (0..BROKERS).map(address).collect();
        let chain = Chain::new(params, &addresses, STREAM_PARTITIONS);
        let honest = &addresses[usize::from(has_liar)..];
        let view = chain.views.last().expect("the first view");
        let brokers = honest.iter().map(|address| Broker::new(*address, Arc::clone(view))).collect();
        let mut network = Self {
            brokers,
            liar: has_liar.then_some(addresses[0]),
            chain,
            lanes: Vec::new(),
            frames: VecDeque::new(),
            now: Now { monotonic_us: 1, wall_ms: 1_700_000_000_000 },
            next_request: 0,
            disks_lost: 0,
            checks: Checks::default(),
            heard: None,
        };
        network.show_newest();
        network.chain.found();
        network.show_newest();
        while !network.chain.state().height.is_multiple_of(network.chain.state().params.epoch_blocks) {
            network.chain.advance();
        }
        network.show_newest();
        network
    }

    /// Goes through the choices.
    pub fn run(&mut self, input: &mut Input<'_>) {
        for _ in 0..MAX_CHOICES {
            let Some(choice) = input.choice() else { return };
            self.choose(choice, input);
            self.check();
        }
    }

    fn choose(&mut self, choice: u8, input: &mut Input<'_>) {
        let who = input.below(self.brokers.len());
        match choice % 32 {
            0..=9 => self.deliver(input, true),
            10 => self.deliver(input, false),
            11 => drop(self.take_frame(input)),
            12..=14 => self.effect(who, |broker, now| broker.sync(now)),
            15 | 16 => self.answer(who, input.byte() == 0),
            17 => self.advance(who),
            18 => self.show(who),
            19 => self.pass(u64::from(input.byte()) * 20),
            20..=22 => self.publish(who, input),
            23 => self.publish_again(who, input),
            24 | 25 => self.command(who, input),
            26 if input.byte().is_multiple_of(4) => self.crash(who),
            27 if input.byte().is_multiple_of(8) => self.lose_disk(who),
            28 => self.tamper(input),
            29 if input.byte().is_multiple_of(16) => self.chain.let_grow(),
            _ => self.lie(input),
        }
    }

    fn effect(&mut self, who: usize, act: impl FnOnce(&mut Broker, Now) -> Effects) {
        let effects = act(&mut self.brokers[who], self.now);
        let from = self.brokers[who].address;
        for (to, bytes) in effects.frames {
            self.send(Frame { from, to, bytes });
        }
        effects.intents.into_iter().for_each(|intent| self.chain.submit(from, intent));
        for trace in &effects.traces {
            self.checks.on_trace(trace, &self.chain);
        }
        let lost = self.disks_lost + usize::from(self.liar.is_some());
        for (session, reply) in effects.replies {
            self.checks.on_reply((who, session), &reply, &self.lanes, &self.brokers, lost);
            self.heard.iter_mut().for_each(|heard| heard.push((who, session, reply.clone())));
        }
    }

    fn send(&mut self, frame: Frame) {
        self.checks.on_frame(frame.from, &frame.bytes);
        if Some(frame.to) == self.liar {
            return;
        }
        if self.frames.len() >= MAX_FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
    }

    fn take_frame(&mut self, input: &mut Input<'_>) -> Option<Frame> {
        if self.frames.is_empty() {
            return None;
        }
        // Mostly in order: deep states need some that arrive as they were sent.
        let at = if input.byte() < 160 { 0 } else { input.below(self.frames.len()) };
        self.frames.remove(at)
    }

    fn deliver(&mut self, input: &mut Input<'_>, only_once: bool) {
        let Some(frame) = self.take_frame(input) else { return };
        if !only_once {
            self.frames.push_back(frame.clone());
        }
        self.arrive(&frame);
    }

    fn arrive(&mut self, frame: &Frame) {
        if let Some(to) = self.brokers.iter().position(|broker| broker.address == frame.to) {
            self.effect(to, |broker, now| broker.deliver(now, frame.from, &frame.bytes));
        }
    }

    fn answer(&mut self, who: usize, fails: bool) {
        self.effect(who, |broker, now| broker.answer_read(now, fails).unwrap_or_default());
        self.effect(who, |broker, now| broker.answer_sign(now).unwrap_or_default());
    }

    /// A block, which one broker sees at once.
    fn advance(&mut self, who: usize) {
        self.chain.advance();
        self.now.wall_ms += 1000;
        self.show(who);
    }

    /// A broker sees the newest block, whatever it missed.
    fn show(&mut self, who: usize) {
        let place = self.chain.views.len() - 1;
        let view = Arc::clone(&self.chain.views[place]);
        self.effect(who, |broker, now| broker.see(now, place, view));
    }

    fn show_newest(&mut self) {
        for who in 0..self.brokers.len() {
            self.show(who);
            self.effect(who, |broker, now| broker.sync(now));
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now.monotonic_us += milliseconds * 1000;
        self.now.wall_ms += milliseconds;
        for who in 0..self.brokers.len() {
            let due = self.brokers[who].shard().deadline().is_some_and(|(at, _)| at <= self.now.monotonic_us);
            if due {
                self.effect(who, |broker, now| broker.elapse(now));
            }
        }
    }

    fn request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    fn publish(&mut self, who: usize, input: &mut Input<'_>) {
        let choice = usize::from(input.byte());
        let opens = choice.is_multiple_of(4) && self.lanes.len() < MAX_LANES;
        if opens || self.lanes.is_empty() {
            let slot = StreamPartition {
                stream: self.chain.stream,
                partition: choice as u32 / 4 % STREAM_PARTITIONS,
            };
            let opening_block = self.chain.state().height;
            self.lanes.push(Lane::open(slot, opening_block, self.lanes.len() as u8, choice >= 192));
        }
        let lane = if opens { self.lanes.len() - 1 } else { choice % self.lanes.len() };
        let batch = self.lanes[lane].write(input, self.now.wall_ms);
        let (request, level) = (self.request(), level(input));
        self.checks.asked((who, SessionId(1)), request, lane, &batch);
        let command = Command::Publish { request, batch, level };
        self.effect(who, |broker, now| broker.command(now, SessionId(1), command));
    }

    /// The identical bytes again, here or elsewhere.
    fn publish_again(&mut self, who: usize, input: &mut Input<'_>) {
        let lane = input.below(self.lanes.len().max(1));
        let Some(batch) = self.lanes.get(lane).and_then(|lane| input.pick(&lane.batches)).cloned() else {
            return;
        };
        let (request, level) = (self.request(), level(input));
        self.checks.asked((who, SessionId(1)), request, lane, &batch);
        let command = Command::Publish { request, batch, level };
        self.effect(who, |broker, now| broker.command(now, SessionId(1), command));
    }

    fn command(&mut self, who: usize, input: &mut Input<'_>) {
        let session = SessionId(2 + input.below(3) as u64);
        let stream = self.chain.stream;
        let slot = StreamPartition { stream, partition: input.below(4) as u32 };
        let request = self.request();
        let earlier = request.saturating_sub(1 + input.below(8) as u64);
        let command = match input.below(8) {
            0 => Command::Identify((input.byte() & 1 == 1).then_some(address(1))),
            1 => Command::Read { request, slot, reading: Reading::Last(input.number()) },
            2 => {
                let (from, to) = (Position::at(input.number()), Position::at(input.number()));
                Command::Read { request, slot, reading: Reading::Range { from, to, origin: None } }
            }
            3 | 4 => {
                let partitions = (0..input.below(3)).map(|_| input.below(4) as u32).collect();
                let from = [From::Latest, From::All, From::Time(self.now.wall_ms)][input.below(3)];
                Command::Subscribe { request, stream, partitions, from }
            }
            5 => Command::More { request: earlier, bytes: input.number() },
            6 => Command::Cancel { request: earlier },
            _ => Command::Close,
        };
        if matches!(command, Command::Close) {
            self.checks.forget((who, session));
        }
        self.effect(who, |broker, now| broker.command(now, session, command));
    }

    fn crash(&mut self, who: usize) {
        self.checks.forget_broker(who);
        self.brokers[who].crash();
        self.show(who);
    }

    /// One disk of an honest network may be lost; with a liar among four none may.
    fn lose_disk(&mut self, who: usize) {
        if self.liar.is_none() && self.disks_lost == 0 {
            self.disks_lost += 1;
            self.checks.forget_broker(who);
            self.checks.lost_disk(self.brokers[who].address);
            self.brokers[who].lose_disk();
            self.show(who);
        }
    }

    /// The liar speaks, if there is one.
    fn lie(&mut self, input: &mut Input<'_>) {
        let Some(me) = self.liar else { return };
        let (state, lanes, stream) = (self.chain.state(), &self.lanes[..], self.chain.stream);
        let (message, batches) = Knowledge { me, state, lanes, stream }.message(input);
        let to = self.brokers[input.below(self.brokers.len())].address;
        let bytes = wire::encode(&message, &batches);
        self.arrive(&Frame { from: me, to, bytes });
    }

    /// The liar passes a frame of somebody else's on as its own, with a byte changed.
    fn tamper(&mut self, input: &mut Input<'_>) {
        let (Some(me), false) = (self.liar, self.frames.is_empty()) else { return };
        let at = input.below(self.frames.len());
        let mut frame = Frame { from: me, ..self.frames[at].clone() };
        let place = input.below(frame.bytes.len());
        frame.bytes[place] ^= input.byte();
        self.arrive(&frame);
    }

    /// Everything arrives, disks are fast, the chain moves on, nobody lies.
    pub fn calm(&mut self) {
        self.show_newest();
        for who in 0..self.brokers.len() {
            let command = Command::Subscribe {
                request: 1,
                stream: self.chain.stream,
                partitions: Vec::new(),
                from: From::All,
            };
            self.effect(who, |broker, now| broker.command(now, WITNESS, command));
        }
        for _ in 0..CALM_BLOCKS {
            for _ in 0..3 {
                self.settle();
                self.pass(400);
            }
            self.chain.advance();
            self.show_newest();
            self.check();
        }
        self.checks.after_calm(&self.brokers, &self.chain, &self.lanes, WITNESS);
    }

    /// Delivers and answers until nothing is on the way.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let frame = self.frames.pop_front();
            if let Some(frame) = &frame {
                self.arrive(frame);
            }
            let waited_for: Vec<usize> =
                (0..self.brokers.len()).filter(|who| self.brokers[*who].is_waited_for()).collect();
            if frame.is_none() && waited_for.is_empty() {
                return;
            }
            for who in waited_for {
                self.effect(who, |broker, now| broker.sync(now));
                self.answer(who, false);
            }
        }
        panic!("the network talks without end though nothing happens");
    }

    fn check(&self) {
        self.checks.after_step(&self.brokers, &self.chain);
    }
}

fn level(input: &mut Input<'_>) -> Level {
    [Level::Accepted, Level::Stored, Level::Sealed][input.below(3)]
}
