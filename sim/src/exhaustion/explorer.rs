//! The transitions: from a world, everything that can happen next.
//!
//! A world is a tuple of numbers: the state of each broker, the set of what was said, the block, and what of the
//! faults is spent. Each broker's state and each set is kept once, and each (state, input) of a broker is stepped
//! through the kernel once; a world's successors are then looked up.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_kernel::broker::Message;
use weir_kernel::ids::{Epoch, LaneId};
use weir_kernel::wire;

use super::fingerprint::Numbered;
use super::items::{Item, Items, Nets};
use super::liar;
use super::local::{Local, Step, Told, adopted};
use super::properties::{self, Broken, Evidence, Property};
use super::setting::{PARTITION, Setting, index};
use super::tips::{EMPTY, Tips};
use super::world::{Event, Happening, MAX_BROKERS, Spent, Successor, World};

/// What happening to a broker leads to.
#[derive(Debug)]
pub struct Outcome {
    /// The broker's state after it.
    pub local: u32,
    /// What it said.
    pub items: Box<[u32]>,
    /// What it shows by itself.
    pub broken: Option<Box<Broken>>,
}

/// A broker's state with what the search asks of it often.
#[derive(Debug)]
struct Held {
    local: Local,
    /// Events of each lane in its log.
    events: Vec<u64>,
    unsynced: bool,
    sealed_epoch: Epoch,
}

/// All that was met so far.
pub struct Explorer {
    /// What does not change.
    pub setting: Setting,
    /// What was ever said.
    pub items: Items,
    /// Sets of it.
    pub nets: Nets,
    /// The chain.
    pub tips: Tips,
    held: Numbered<u128, Held>,
    outcomes: Numbered<(u32, u8, u64), Outcome>,
    menus: BTreeMap<(u32, usize), Vec<u32>>,
    liar_reports: BTreeMap<(u32, usize), u32>,
}

impl Explorer {
    /// The world before the first event, and what will be met.
    pub fn new(setting: Setting) -> (Self, World) {
        let tips = Tips::new(&setting);
        let brokers = setting.bounds.brokers();
        let mut explorer = Self {
            nets: Nets::new(brokers),
            items: Items::default(),
            tips,
            held: Numbered::default(),
            outcomes: Numbered::default(),
            menus: BTreeMap::new(),
            liar_reports: BTreeMap::new(),
            setting,
        };
        let appends = explorer.appends();
        let net = explorer.nets.number(appends, &explorer.items);
        let mut locals = [u32::MAX; MAX_BROKERS];
        for broker in explorer.honest() {
            let local = Local::new(&explorer.setting, &explorer.tips, broker);
            locals[broker] = explorer.hold(local);
        }
        let tip = Tips::start(&explorer.setting);
        let world = World { locals, net, tip, spent: Spent::default() };
        (explorer, world)
    }

    /// The publisher's batches on their way to every broker: the first items, batch by batch.
    fn appends(&mut self) -> Vec<u32> {
        let mut numbers = Vec::new();
        for published in &self.setting.published {
            for to in 0..self.setting.bounds.brokers() {
                let message = Message::Append { partition: PARTITION };
                let frame = wire::encode(&message, std::slice::from_ref(&published.bytes)).into();
                numbers.push(self.items.number(Item::Frame { from: None, to, message, frame }));
            }
        }
        numbers
    }

    /// Every broker but the liar.
    pub fn honest(&self) -> Vec<usize> {
        let liar = self.setting.bounds.liar();
        (0..self.setting.bounds.brokers()).filter(|broker| Some(*broker) != liar).collect()
    }

    fn hold(&mut self, local: Local) -> u32 {
        let entry = self.held.entry(local.fingerprint());
        let number = u32::try_from(entry.index()).expect("states are numbered with 32 bits");
        let disk = local.newest_disk();
        let events = self.setting.lanes.iter().map(|lane| disk.events(*lane)).collect();
        let unsynced = !local.unsynced.is_empty();
        let sealed_epoch = adopted(&local).map_or(0, |(epoch, _)| epoch);
        entry.or_insert(Held { local, events, unsynced, sealed_epoch });
        number
    }

    fn held(&self, local: u32) -> &Held {
        self.held.get_index(local as usize).expect("numbers are of states").1
    }

    /// A broker's state.
    pub fn local(&self, local: u32) -> &Local {
        &self.held(local).local
    }

    pub(super) fn sealed_epoch(&self, world: &World, broker: usize) -> Epoch {
        self.held(world.locals[broker]).sealed_epoch
    }

    pub(super) fn holds_lane(&self, world: &World, broker: usize, lane: &LaneId) -> bool {
        let events = self.setting.published.iter().filter(|published| published.lane == *lane).count();
        let at = self.setting.lanes.iter().position(|of| of == lane);
        at.is_some_and(|at| self.held(world.locals[broker]).events[at] >= events as u64)
    }

    /// How many states of brokers, and how many steps through the kernel.
    pub fn counts(&self) -> (usize, usize) {
        (self.held.len(), self.outcomes.len())
    }

    /// What happening to a broker leads to: stepped through the kernel once.
    pub fn outcome(&mut self, broker: usize, local: u32, happening: Happening) -> &Outcome {
        let (kind, argument) = happening.code();
        let key = (local, kind, u64::from(argument) << 8 | broker as u64);
        if let Some(known) = self.outcomes.get_index_of(&key) {
            return self.outcomes.get_index(known).expect("it was just found").1;
        }
        let outcome = self.step(broker, local, happening);
        self.outcomes.entry(key).or_insert(outcome)
    }

    fn step(&mut self, broker: usize, local: u32, happening: Happening) -> Outcome {
        let before = &self.held(local).local;
        let stepped = catch_unwind(AssertUnwindSafe(|| self.run(broker, before, happening)));
        let step = match stepped {
            Ok(step) => step,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()));
                let what = text.unwrap_or_else(|| "a panic without a text".to_string());
                let broken = Some(Box::new(Broken { property: Property::NoPanic, what }));
                return Outcome { local, items: Box::default(), broken };
            }
        };
        for item in &step.items {
            if let Item::Frame { message: Message::Propose { cut, .. }, .. } = item {
                self.tips.learn(cut);
            }
        }
        let broken = properties::of_step(&self.tips, broker, &step).map(Box::new);
        let Step { local, items, .. } = step;
        let items = items.into_iter().map(|item| self.items.number(item)).collect();
        Outcome { local: self.hold(local), items, broken }
    }

    fn run(&self, broker: usize, before: &Local, happening: Happening) -> Step {
        let (setting, tips) = (&self.setting, &self.tips);
        let told = match happening {
            Happening::Frame(number) => {
                let Item::Frame { from, frame, .. } = self.items.get(number) else {
                    unreachable!("only frames are delivered")
                };
                Told::Frame(*from, frame)
            }
            Happening::Synced => Told::Synced,
            Happening::Block(tip) => Told::Block(tip),
            Happening::Elapsed => Told::Elapsed,
            Happening::Crash(keep) => return before.crash(setting, tips, broker, keep),
            Happening::DiskLost => return before.lose_disk(setting, tips, broker),
        };
        before.tell(setting, tips, broker, told)
    }

    /// Everything that can happen next and changes something.
    pub fn successors(&mut self, world: &World, found: &mut Vec<Successor>) {
        for broker in self.honest() {
            let local = world.locals[broker];
            for number in self.deliverable(world, broker) {
                self.follow(world, broker, Happening::Frame(number), found);
            }
            if self.held(local).unsynced {
                self.follow(world, broker, Happening::Synced, found);
            }
            let next = self.tips.next(world.tip, self.local(local).tip);
            if let Some(next) = next.filter(|_| self.setting.bounds.lag_blocks > 0) {
                self.follow(world, broker, Happening::Block(next), found);
            }
            self.faults(world, broker, found);
        }
        self.blocks(world, found);
    }

    fn faults(&mut self, world: &World, broker: usize, found: &mut Vec<Successor>) {
        let (bounds, spent) = (&self.setting.bounds, world.spent);
        let (crashes, timers) = (bounds.crashes, bounds.timers);
        let may_lose = u32::from(spent.lost_disks) < bounds.lost_disks;
        if u32::from(spent.crashes) < crashes {
            self.follow(world, broker, Happening::Crash(false), found);
            if self.held(world.locals[broker]).unsynced {
                self.follow(world, broker, Happening::Crash(true), found);
            }
        }
        if may_lose {
            self.follow(world, broker, Happening::DiskLost, found);
        }
        if u32::from(spent.timers) < timers {
            self.follow(world, broker, Happening::Elapsed, found);
        }
    }

    /// Frames that may reach a broker now.
    fn deliverable(&mut self, world: &World, broker: usize) -> Vec<u32> {
        let mut numbers = self.nets.get(world.net).inboxes[broker].to_vec();
        numbers.retain(|number| self.is_due(world, broker, *number));
        let may_lie = u32::from(world.spent.lies) < self.setting.bounds.lies;
        if let Some(liar) = self.setting.bounds.liar().filter(|_| may_lie) {
            self.lies(world, liar, broker, &mut numbers);
        }
        numbers
    }

    /// A batch comes once it is signed, in lane order, and only to a member: an edge sends to nobody else.
    pub fn is_due(&self, world: &World, broker: usize, number: u32) -> bool {
        let at = number as usize / self.setting.bounds.brokers();
        let Some(published) = self.setting.published.get(at) else { return true };
        let held = self.held(world.locals[broker]);
        let lane = self.setting.lanes.iter().position(|lane| *lane == published.lane);
        let in_order = lane.is_some_and(|lane| held.events[lane] >= published.sequence);
        let view = &self.tips.get(held.local.tip).state;
        let is_there = self.tips.get(world.tip).state.height >= published.from_height;
        is_there && in_order && view.is_member(PARTITION, index(broker), view.epoch())
    }

    fn lies(&mut self, world: &World, liar: usize, broker: usize, numbers: &mut Vec<u32>) {
        let seen = self.local(world.locals[broker]).tip;
        if !self.menus.contains_key(&(seen, broker)) {
            let view = std::sync::Arc::clone(&self.tips.get(seen).state);
            let menu = liar::menu(&self.setting, liar, broker, &view, &mut self.items, &mut self.tips);
            self.menus.insert((seen, broker), menu);
        }
        numbers.extend(&self.menus[&(seen, broker)]);
        for number in self.nets.members(world.net).to_vec() {
            let Item::Signed { entry, .. } = self.items.get(number) else { continue };
            let entry = *entry;
            let items = &mut self.items;
            let report = self.liar_reports.entry((number, broker));
            numbers.push(*report.or_insert_with(|| items.number(liar::report(liar, broker, &entry))));
        }
    }

    /// Whether an event is that a broker hears from the liar.
    pub fn is_lie(&self, event: Event) -> bool {
        let Event::To(_, Happening::Frame(number)) = event else { return false };
        let Item::Frame { from, .. } = self.items.get(number) else { return false };
        from.is_some() && *from == self.setting.bounds.liar()
    }

    fn follow(&mut self, world: &World, broker: usize, happening: Happening, found: &mut Vec<Successor>) {
        if let Some(next) = self.after(world, broker, happening) {
            found.push((Event::To(broker as u8, happening), next));
        }
    }

    /// The world after something happened to a broker; `None` if nothing changes.
    pub fn after(
        &mut self,
        world: &World,
        broker: usize,
        happening: Happening,
    ) -> Option<Result<World, Broken>> {
        let (local, items) = match self.reaction(broker, world.locals[broker], happening) {
            Ok(reaction) => reaction,
            Err(broken) => return Some(Err(broken)),
        };
        let removed = if happening == Happening::DiskLost { self.retire(world, broker) } else { Vec::new() };
        let kept: Vec<u32> = removed.iter().map(|(_, kept)| *kept).collect();
        let removed: Vec<u32> = removed.iter().map(|(gone, _)| *gone).collect();
        let added = [&items[..], &kept].concat();
        let mut next = *world;
        next.locals[broker] = local;
        next.net = self.nets.with(world.net, &added, &removed, &self.items);
        next.spent.count(broker, happening, self.is_lie(Event::To(broker as u8, happening)));
        if next == *world {
            return None;
        }
        if let Some(broken) = self.judge(&next, broker, &items) {
            return Some(Err(broken));
        }
        next.net = self.nets.with(next.net, &[], &self.stale(&next), &self.items);
        (next != *world).then_some(Ok(next))
    }

    /// What a broker becomes and says; with fast disks, with every sync that follows.
    pub fn reaction(
        &mut self,
        broker: usize,
        local: u32,
        happening: Happening,
    ) -> Result<(u32, Vec<u32>), Broken> {
        let slow_disks = self.setting.bounds.slow_disks;
        let (mut local, mut next, mut said) = (local, Some(happening), Vec::new());
        while let Some(happening) = next {
            let outcome = self.outcome(broker, local, happening);
            if let Some(broken) = &outcome.broken {
                return Err(Broken::clone(broken));
            }
            local = outcome.local;
            said.extend_from_slice(&outcome.items);
            next = (!slow_disks && self.held(local).unsynced).then_some(Happening::Synced);
        }
        Ok((local, said))
    }

    /// Receipts of a broker that loses its disk: what they say counts, but no more against its later word.
    fn retire(&mut self, world: &World, broker: usize) -> Vec<(u32, u32)> {
        let mut retired = Vec::new();
        for number in self.nets.members(world.net).to_vec() {
            if let Item::Receipt { by, epoch, head, before_loss: false } = *self.items.get(number)
                && by == broker
            {
                let kept = self.items.number(Item::Receipt { by, epoch, head, before_loss: true });
                retired.push((number, kept));
            }
        }
        retired
    }

    /// What new items and all before them show together.
    fn judge(&self, world: &World, broker: usize, new: &[u32]) -> Option<Broken> {
        let evidence = self.evidence(world);
        let mut receipts = false;
        for number in new {
            match self.items.get(*number) {
                Item::Signed { entry, .. } => {
                    if let Some(broken) = evidence.of_report(&self.tips, broker, entry) {
                        return Some(broken);
                    }
                }
                Item::Receipt { .. } => receipts = true,
                Item::Frame { .. } | Item::Certificate { .. } => {}
            }
        }
        receipts.then(|| evidence.of_seals(&self.setting, self.tips.get(world.tip))).flatten()
    }

    /// What was said in a world.
    pub fn evidence(&self, world: &World) -> Evidence<'_> {
        Evidence { items: &self.items, said: self.nets.members(world.net) }
    }

    fn blocks(&mut self, world: &World, found: &mut Vec<Successor>) {
        let (bounds, tip) = (&self.setting.bounds, self.tips.get(world.tip));
        let made = tip.state.height - self.setting.start_height();
        let length = tip.line.len() as u64;
        let behind = |broker: &usize| {
            let seen = self.tips.get(self.local(world.locals[*broker]).tip).line.len() as u64;
            length - seen >= bounds.lag_blocks.max(1)
        };
        if made >= bounds.blocks || self.honest().iter().any(behind) {
            return;
        }
        let certificates = self.certificates(world);
        for certificate in [EMPTY].into_iter().chain(certificates) {
            let Some(next) = self.block(world, certificate) else { continue };
            let next = next.and_then(|next| self.seen_by_all(&next));
            found.push((Event::Block(certificate), next));
        }
    }

    /// Without lag every broker sees a block when it is made.
    fn seen_by_all(&mut self, world: &World) -> Result<World, Broken> {
        if self.setting.bounds.lag_blocks > 0 {
            return Ok(*world);
        }
        self.honest().into_iter().try_fold(*world, |world, broker| {
            match self.tips.next(world.tip, self.local(world.locals[broker]).tip) {
                Some(tip) => self.after(&world, broker, Happening::Block(tip)).unwrap_or(Ok(world)),
                None => Ok(world),
            }
        })
    }

    /// Certificates that somebody may send. A liar sends every one for which there are signatures.
    fn certificates(&mut self, world: &World) -> Vec<u32> {
        let mut certificates = self.nets.get(world.net).certificates.to_vec();
        if let Some(liar) = self.setting.bounds.liar() {
            let mut signed: BTreeMap<[u8; 32], (weir_kernel::coordinator::Entry, Vec<usize>)> =
                BTreeMap::new();
            for number in self.nets.members(world.net) {
                if let Item::Signed { by, entry } = self.items.get(*number) {
                    signed.entry(entry.hash().0).or_insert((*entry, vec![liar])).1.push(*by);
                }
            }
            for (entry, mut signers) in signed.into_values() {
                signers.sort_unstable();
                signers.dedup();
                if signers.len() >= self.setting.quorum() {
                    certificates.push(self.items.number(Item::Certificate { entry, signers }));
                }
            }
        }
        certificates
    }

    /// The world after a block; `None` if the contracts refuse the certificate.
    pub fn block(&mut self, world: &World, certificate: u32) -> Option<Result<World, Broken>> {
        let taken = (certificate != EMPTY).then(|| match self.items.get(certificate) {
            Item::Certificate { entry, signers } => (certificate, entry, &signers[..]),
            _ => unreachable!("only certificates are sent to the chain"),
        });
        let tip = self.tips.extend(world.tip, taken)?;
        let next = World { tip, ..*world };
        if let Some(broken) = &self.tips.get(tip).broken {
            return Some(Err(broken.clone()));
        }
        let sealed = certificate != EMPTY;
        let evidence = self.evidence(&next);
        let broken = sealed.then(|| evidence.of_seals(&self.setting, self.tips.get(tip))).flatten();
        if let Some(broken) = broken {
            return Some(Err(broken));
        }
        let net = self.nets.with(next.net, &[], &self.stale(&next), &self.items);
        Some(Ok(World { net, ..next }))
    }
}
