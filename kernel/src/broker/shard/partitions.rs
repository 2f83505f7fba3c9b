//! The machines of a shard's partitions, and when each of them wants to be woken.
//!
//! A step concerns one partition as a rule, and after each step the shard is asked when it wants the next. So what each
//! partition said last is kept beside its place, and only those are asked again that a step laid hands on. The machines
//! themselves lie elsewhere: whoever looks for the earliest does not touch them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::Why;
use crate::broker::replica::Replica;
use crate::broker::sealer::Sealer;
use crate::ids::PartitionId;

/// A partition's machines.
type Pair = (Replica, Sealer);

/// The machines of all partitions, rising by partition.
#[derive(Clone, Default)]
pub struct Partitions {
    places: Vec<Place>,
    /// The earliest of what the places want.
    due: Option<(u64, Why)>,
}

#[derive(Clone)]
struct Place {
    id: PartitionId,
    /// Whether somebody may have changed the machines since they were asked.
    stale: bool,
    due: Option<(u64, Why)>,
    machines: Box<Pair>,
}

impl Place {
    fn ask(&mut self) {
        let (replica, sealer) = &*self.machines;
        let of_replica = replica.deadline().map(|at_us| (at_us, Why::Replica(self.id)));
        let of_sealer = sealer.deadline().map(|at_us| (at_us, Why::Sealer(self.id)));
        self.due = of_replica.into_iter().chain(of_sealer).min();
        self.stale = false;
    }
}

impl Partitions {
    fn find(&self, id: PartitionId) -> Result<usize, usize> {
        self.places.binary_search_by_key(&id, |place| place.id)
    }

    /// Whether there are machines for a partition.
    pub fn contains(&self, id: PartitionId) -> bool {
        self.find(id).is_ok()
    }

    /// A partition's machines.
    pub fn get(&self, id: PartitionId) -> Option<&Pair> {
        self.find(id).ok().map(|at| &*self.places[at].machines)
    }

    /// A partition's machines, to be changed.
    pub fn get_mut(&mut self, id: PartitionId) -> Option<&mut Pair> {
        self.find(id).ok().map(|at| self.at_mut(at))
    }

    /// The same, made if there are none yet.
    pub fn get_or_insert_with(&mut self, id: PartitionId, make: impl FnOnce() -> Pair) -> &mut Pair {
        let at = self.find(id).unwrap_or_else(|at| {
            let machines = Box::new(make());
            self.places.insert(at, Place { id, stale: true, due: None, machines });
            at
        });
        self.at_mut(at)
    }

    fn at_mut(&mut self, at: usize) -> &mut Pair {
        let place = &mut self.places[at];
        place.stale = true;
        &mut place.machines
    }

    /// All machines, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.places.iter_mut().map(|place| {
            place.stale = true;
            &mut *place.machines
        })
    }

    /// All partitions with their machines.
    pub fn iter(&self) -> impl Iterator<Item = (PartitionId, &Pair)> {
        self.places.iter().map(|place| (place.id, &*place.machines))
    }

    /// All partitions.
    pub fn ids(&self) -> impl Iterator<Item = PartitionId> + '_ {
        self.places.iter().map(|place| place.id)
    }

    /// A step is over: asks those that it laid hands on.
    pub fn ask(&mut self) {
        let mut asked = false;
        for place in self.places.iter_mut().filter(|place| place.stale) {
            place.ask();
            asked = true;
        }
        if asked {
            self.due = self.places.iter().filter_map(|place| place.due).min();
        }
    }

    /// When the first of them wants to be woken, in monotonic microseconds, and why: as they were when asked last.
    pub fn deadline(&self) -> Option<(u64, Why)> {
        self.due
    }
}

impl fmt::Debug for Partitions {
    /// The machines alone: the rest follows from them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
