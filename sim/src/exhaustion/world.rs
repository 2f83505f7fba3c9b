//! A world as the search sees it, and what can happen in it.

use super::properties::Broken;

/// Most brokers in a world: four replicas and a newcomer.
pub const MAX_BROKERS: usize = 5;

/// A world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Each broker's state; the liar has none.
    pub locals: [u32; MAX_BROKERS],
    /// What was said.
    pub net: u32,
    /// The block.
    pub tip: u32,
    /// Faults so far.
    pub spent: Spent,
}

/// Faults so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Crashes with a restart.
    pub crashes: u8,
    /// Times that timers ran out.
    pub timers: u8,
    /// Disks lost.
    pub lost_disks: u8,
    /// Things that the liar has said and somebody has heard.
    pub lies: u8,
    /// A bit for each broker that lost its disk.
    pub lost: u8,
}

/// Something that happens to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A frame comes, by its item.
    Frame(u32),
    /// Its disk has taken every write.
    Synced,
    /// It sees a block.
    Block(u32),
    /// Its timers run out.
    Elapsed,
    /// Its process ends and starts again; unsynced writes are kept or lost.
    Crash(bool),
    /// It starts again on an empty disk.
    DiskLost,
}

/// Something that happens in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// To a broker.
    To(u8, Happening),
    /// The chain makes a block, with this certificate or [`EMPTY`].
    Block(u32),
}

/// What can happen next, and what it leads to.
pub type Successor = (Event, Result<World, Broken>);

impl Spent {
    /// Counts what happened, if it is a fault.
    pub fn count(&mut self, broker: usize, happening: Happening, is_lie: bool) {
        self.lies += u8::from(is_lie);
        match happening {
            Happening::Crash(_) => self.crashes += 1,
            Happening::Elapsed => self.timers += 1,
            Happening::DiskLost => {
                self.lost_disks += 1;
                self.lost |= 1 << broker;
            }
            Happening::Frame(_) | Happening::Synced | Happening::Block(_) => {}
        }
    }
}

impl Happening {
    /// A number of its own.
    pub fn code(self) -> (u8, u32) {
        match self {
            Self::Frame(number) => (0, number),
            Self::Synced => (1, 0),
            Self::Block(tip) => (2, tip),
            Self::Elapsed => (3, 0),
            Self::Crash(keep) => (4, keep.into()),
            Self::DiskLost => (5, 0),
        }
    }
}
