//! The search: every world that can be reached within the bounds, nearest first.

use std::fmt;
use std::time::{Duration, Instant};

use super::bounds::Bounds;
use super::explorer::Explorer;
use super::fingerprint::Numbered;
use super::items::Item;
use super::progress::Progress;
use super::properties::Broken;
use super::setting::{PARTITION, Setting, index};
use super::trace;
use super::world::{Event, World};

/// What a search found, or that it found nothing.
#[derive(Debug)]
pub struct Found {
    /// How far it went.
    pub bounds: Bounds,
    /// Worlds that were reached, each once.
    pub distinct: usize,
    /// Worlds that were generated: transitions taken.
    pub generated: u64,
    /// Events of the longest shortest way to a world.
    pub depth: usize,
    /// States of single brokers.
    pub local_states: usize,
    /// Steps through the kernel.
    pub steps: usize,
    /// Worlds in which nothing more can happen, lies apart: from each of them a seal can be reached.
    pub ends: usize,
    /// Whether every world within the bounds was reached.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
    /// What was seen on the way.
    pub seen: Seen,
    /// The shortest way to a broken promise.
    pub failure: Option<Failure>,
}

/// How many worlds show what a search is about: none would mean that it proved nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Something is stored.
    pub stored: u64,
    /// By number of seals: one, two, three or more.
    pub sealed: [u64; 3],
    /// The newcomer has its seat.
    pub handed_over: u64,
    /// The newcomer signed.
    pub newcomer_signed: u64,
    /// A broker that has lost its disk has signed, before or afterwards.
    pub lost_and_signed: u64,
    /// A replica declined a cut.
    pub declined: u64,
}

/// A broken promise, and how it came about.
#[derive(Debug)]
pub struct Failure {
    /// What is broken.
    pub broken: Broken,
    /// One line an event.
    pub trace: Vec<String>,
}

/// Where a world came from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    parent: u32,
    event: Event,
}

/// Searches everything within the bounds.
pub fn search(bounds: Bounds) -> Found {
    #[allow(clippy::disallowed_methods, reason = "how long it took is shown and decides nothing")]
    let began = Instant::now();
    let (mut explorer, first) = Explorer::new(Setting::new(bounds.clone()));
    let mut worlds: Numbered<World, Origin> = Numbered::default();
    worlds.insert(first, Origin { parent: 0, event: Event::Block(0) });
    let mut found = Found::new(bounds);
    let mut progress = Progress::default();
    let mut successors = Vec::new();
    let (mut at, mut level_end) = (0, 1);
    while at < worlds.len() {
        if at == level_end {
            found.depth += 1;
            level_end = worlds.len();
        }
        let world = *worlds.get_index(at).expect("it is below the length").0;
        explorer.successors(&world, &mut successors);
        if successors.iter().all(|(event, _)| explorer.is_lie(*event)) {
            found.ends += 1;
            if let Err(broken) = progress.check(&mut explorer, &world) {
                found.fail(&mut explorer, &worlds, at, None, broken);
            }
        }
        found.generated += successors.len() as u64;
        for (event, next) in successors.drain(..) {
            match next {
                Err(broken) if found.failure.is_none() => {
                    found.fail(&mut explorer, &worlds, at, Some(event), broken);
                }
                Err(_) => {}
                Ok(next) => {
                    let entry = worlds.entry(next);
                    if let indexmap::map::Entry::Vacant(vacant) = entry {
                        vacant.insert(Origin { parent: at as u32, event });
                        found.seen.count(&explorer, &next);
                    }
                }
            }
        }
        at += 1;
        found.complete = at == worlds.len();
        if found.failure.is_some() || worlds.len() > found.bounds.max_states {
            break;
        }
    }
    found.distinct = worlds.len();
    (found.local_states, found.steps) = explorer.counts();
    found.took = began.elapsed();
    found
}

impl Found {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            distinct: 0,
            generated: 0,
            depth: 0,
            local_states: 0,
            steps: 0,
            ends: 0,
            complete: false,
            took: Duration::ZERO,
            seen: Seen::default(),
            failure: None,
        }
    }

    fn fail(
        &mut self,
        explorer: &mut Explorer,
        worlds: &Numbered<World, Origin>,
        at: usize,
        last: Option<Event>,
        broken: Broken,
    ) {
        let mut way = Vec::from_iter(last.map(|event| (at, event)));
        let mut step = at;
        while step != 0 {
            let origin = *worlds.get_index(step).expect("a way leads back to the start").1;
            step = origin.parent as usize;
            way.push((step, origin.event));
        }
        way.reverse();
        let way: Vec<(World, Event)> = way
            .into_iter()
            .map(|(at, event)| (*worlds.get_index(at).expect("it is on the way").0, event))
            .collect();
        let mut trace = trace::lines(explorer, &way);
        if last.is_none() {
            trace.push("then everything that was said arrives, and nothing goes wrong any more".to_string());
        }
        self.failure = Some(Failure { trace, broken });
    }
}

impl Seen {
    fn count(&mut self, explorer: &Explorer, world: &World) {
        let tip = explorer.tips.get(world.tip);
        let evidence = explorer.evidence(world);
        self.stored += u64::from(evidence.has_stored(&explorer.setting, tip));
        if let Some(seals) = tip.seals.len().checked_sub(2) {
            self.sealed[seals.min(2)] += 1;
        }
        let newcomer = usize::from(explorer.setting.bounds.replicas);
        let seated = tip.state.partitions[PARTITION.0 as usize].members.contains(index(newcomer));
        self.handed_over += u64::from(seated);
        let (mut newcomer_signed, mut lost_signed, mut declined) = (false, false, false);
        for number in explorer.nets.members(world.net) {
            match explorer.items.get(*number) {
                Item::Signed { by, .. } => {
                    newcomer_signed |= *by == newcomer;
                    lost_signed |= world.spent.lost & 1 << *by != 0;
                }
                Item::Frame { message: weir_kernel::broker::Message::Decline { .. }, .. } => declined = true,
                _ => {}
            }
        }
        self.newcomer_signed += u64::from(newcomer_signed);
        self.lost_and_signed += u64::from(lost_signed);
        self.declined += u64::from(declined);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { name, replicas, blocks, .. } = &self.bounds;
        writeln!(
            f,
            "{name}: R={replicas}, {blocks} blocks: {} distinct worlds, {} generated, depth {}, {} ends, {} states of \
             brokers, {} steps, {:.1} s{}",
            self.distinct,
            self.generated,
            self.depth,
            self.ends,
            self.local_states,
            self.steps,
            self.took.as_secs_f64(),
            if self.complete { "" } else { ", not complete" }
        )?;
        writeln!(f, "  {:?}", self.seen)?;
        let Some(failure) = &self.failure else { return Ok(()) };
        writeln!(f, "  BROKEN: {}: {}", failure.broken.property, failure.broken.what)?;
        failure.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
