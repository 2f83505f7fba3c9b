//! Progress: from a world, what happens if from now on nothing goes wrong any more.
//!
//! Everything that was said arrives, disks sync, every broker sees every block, the chain takes the first certificate
//! that it gets, timers run out if that alone does not help; whoever lied is silent. If then nothing is sealed within
//! a number of blocks, the world is one that no seal can be reached from.

use super::explorer::Explorer;
use super::fingerprint::Numbered;
use super::properties::{Broken, Property};
use super::tips::EMPTY;
use super::world::{Happening, World};

/// Blocks within which a seal must come: every broker leads in that time, with and without timers.
const PATIENCE_BLOCKS: usize = 24;

/// Blocks without timers before them.
const CALM_BLOCKS: usize = 8;

/// Deliveries to everybody between two blocks: more than any exchange of questions and answers takes.
const EXCHANGES: usize = 64;

/// Worlds from which a seal is known to be reachable.
#[derive(Debug, Default)]
pub struct Progress {
    known: Numbered<World, ()>,
}

impl Progress {
    /// Whether a further seal can be reached from here.
    pub fn check(&mut self, explorer: &mut Explorer, world: &World) -> Result<(), Broken> {
        if !is_promised(explorer, world) {
            return Ok(());
        }
        let sealed = |explorer: &Explorer, world: &World| explorer.tips.get(world.tip).seals.len();
        let before = sealed(explorer, world);
        let mut passed = Vec::new();
        let mut world = *world;
        for block in 0..PATIENCE_BLOCKS {
            if self.known.contains_key(&world) {
                break;
            }
            passed.push(world);
            world = deliver_all(explorer, &world)?;
            if block >= CALM_BLOCKS {
                world = tell_all(explorer, &world, |_, _| Some(Happening::Elapsed))?;
                world = deliver_all(explorer, &world)?;
            }
            world = advance(explorer, &world)?;
            if sealed(explorer, &world) > before {
                break;
            }
        }
        if sealed(explorer, &world) == before && !self.known.contains_key(&world) {
            let what = format!("nothing is sealed within {PATIENCE_BLOCKS} blocks after the faults stop");
            return Err(Broken { property: Property::Progress, what });
        }
        self.known.extend(passed.into_iter().map(|world| (world, ())));
        Ok(())
    }
}

/// Sealing is promised while at most R−q seats are silent, lying or waiting after a lost disk.
fn is_promised(explorer: &Explorer, world: &World) -> bool {
    let bounds = &explorer.setting.bounds;
    let faulty = world.spent.lost.count_ones() as usize + usize::from(bounds.liar);
    faulty <= usize::from(bounds.replicas) - explorer.setting.quorum()
}

fn deliver_all(explorer: &mut Explorer, world: &World) -> Result<World, Broken> {
    let mut world = *world;
    for _ in 0..EXCHANGES {
        let before = world;
        for broker in explorer.honest() {
            let inbox = explorer.nets.get(world.net).inboxes[broker].to_vec();
            for number in inbox {
                if explorer.is_due(&world, broker, number) {
                    world = tell(explorer, &world, broker, Happening::Frame(number))?;
                }
            }
            world = tell(explorer, &world, broker, Happening::Synced)?;
        }
        if world == before {
            return Ok(world);
        }
    }
    Ok(world)
}

/// A block with the first certificate that the chain takes, seen by everybody.
fn advance(explorer: &mut Explorer, world: &World) -> Result<World, Broken> {
    let mut certificates = explorer.nets.get(world.net).certificates.to_vec();
    certificates.push(EMPTY);
    let next = certificates.into_iter().find_map(|certificate| explorer.block(world, certificate));
    let mut world = next.expect("an empty block is always taken")?;
    loop {
        let before = world;
        world = tell_all(explorer, &world, |explorer, (world, broker)| {
            let seen = explorer.local(world.locals[broker]).tip;
            explorer.tips.next(world.tip, seen).map(Happening::Block)
        })?;
        world = tell_all(explorer, &world, |_, _| Some(Happening::Synced))?;
        if world == before {
            return Ok(world);
        }
    }
}

fn tell_all(
    explorer: &mut Explorer,
    world: &World,
    what: impl Fn(&Explorer, (&World, usize)) -> Option<Happening>,
) -> Result<World, Broken> {
    explorer.honest().into_iter().try_fold(*world, |world, broker| match what(explorer, (&world, broker)) {
        Some(happening) => tell(explorer, &world, broker, happening),
        None => Ok(world),
    })
}

fn tell(
    explorer: &mut Explorer,
    world: &World,
    broker: usize,
    happening: Happening,
) -> Result<World, Broken> {
    let syncs_nothing =
        happening == Happening::Synced && explorer.local(world.locals[broker]).unsynced.is_empty();
    if syncs_nothing {
        return Ok(*world);
    }
    let mut next = explorer.after(world, broker, happening).unwrap_or(Ok(*world))?;
    // What helps is no fault.
    next.spent = world.spent;
    Ok(next)
}
