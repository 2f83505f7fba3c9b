//! Links between brokers: when a frame arrives, if it does, and how often. Each frame's fate is a decision of its own,
//! named by its link and its number there.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::scenario::LinkFaults;
use crate::tape::{Actor, Decider, Decision, Purpose};

/// All links of a network.
#[derive(Debug)]
pub struct Links {
    faults: LinkFaults,
    /// By sender: its receivers in order, and how many frames each was sent.
    frames: Vec<Vec<(u32, u32)>>,
    /// How many cuts each link is under.
    cuts: BTreeMap<(u32, u32), u32>,
    /// Until when a narrow link is busy with what it was given, in virtual microseconds.
    pub busy_us: BTreeMap<(u32, u32), u64>,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The how-manieth frame of its link, from 0.
    pub ordinal: u64,
    copies: usize,
    delays_us: [u64; 2],
}

impl Delivery {
    /// How long each copy takes: none when the frame is lost.
    pub fn delays_us(&self) -> &[u64] {
        &self.delays_us[..self.copies]
    }

    /// The same, to be changed.
    pub(crate) fn delays_us_mut(&mut self) -> &mut [u64] {
        &mut self.delays_us[..self.copies]
    }

    /// The frame is lost after all.
    pub(crate) fn lose(&mut self) {
        self.copies = 0;
    }
}

impl Links {
    /// Links between so many nodes that behave as `faults` says.
    pub fn new(nodes: usize, faults: LinkFaults) -> Self {
        Self { faults, frames: vec![Vec::new(); nodes], cuts: BTreeMap::new(), busy_us: BTreeMap::new() }
    }

    /// From now on frames are only delayed.
    pub fn heal(&mut self) {
        self.faults = LinkFaults { loss: 0, duplication: 0, reordering: 0, ..self.faults.clone() };
        self.cuts.clear();
    }

    /// Nothing passes these links, from sender to receiver, until they are mended.
    pub fn cut(&mut self, links: &[(u32, u32)]) {
        links.iter().for_each(|link| *self.cuts.entry(*link).or_default() += 1);
    }

    /// Takes one cut back.
    pub fn mend(&mut self, links: &[(u32, u32)]) {
        for link in links {
            if let Some(cuts) = self.cuts.get_mut(link) {
                *cuts -= 1;
                if *cuts == 0 {
                    self.cuts.remove(link);
                }
            }
        }
    }

    /// Decides what becomes of the next frame of a link.
    pub fn deliver(&mut self, from: u32, to: u32, decider: &mut Decider) -> Delivery {
        let ordinal = self.next_ordinal(from, to);
        let actor = Actor::Link(from, to);
        let decided = match decider.stream((actor, Purpose::Delay, ordinal)) {
            Some(mut random) => {
                let faults = &self.faults;
                let held = |random: &mut Random| {
                    random.chance(faults.reordering).then(|| random.between(faults.hold_us))
                };
                // First what is drawn in any case: it stays when a rate changes.
                let delay_us = random.between(faults.delay_us);
                let lost = random.chance(faults.loss).then_some(1);
                let hold_us = held(&mut random);
                let twice_us = random
                    .chance(faults.duplication)
                    .then(|| random.between(faults.delay_us) + held(&mut random).unwrap_or(0));
                let decided = [Some(delay_us), lost, twice_us, hold_us];
                note(decider, actor, ordinal, faults.delay_us.0, decided);
                decided
            }
            None => FRAME_PURPOSES.map(|purpose| decider.find((actor, purpose, ordinal))),
        };
        let [delay_us, lost, twice_us, hold_us] = decided;
        let first_us = delay_us.unwrap_or(self.faults.delay_us.0) + hold_us.unwrap_or(0);
        let is_lost = lost.is_some() || self.cuts.contains_key(&(from, to));
        let copies = if is_lost { 0 } else { 1 + usize::from(twice_us.is_some()) };
        Delivery { ordinal, copies, delays_us: [first_us, twice_us.unwrap_or(0)] }
    }

    fn next_ordinal(&mut self, from: u32, to: u32) -> u64 {
        let receivers = &mut self.frames[from as usize];
        let at = receivers.binary_search_by_key(&to, |(to, _)| *to).unwrap_or_else(|at| {
            receivers.insert(at, (to, 0));
            at
        });
        receivers[at].1 += 1;
        u64::from(receivers[at].1) - 1
    }
}

/// What is decided for each frame, in the order of [`Links::deliver`].
const FRAME_PURPOSES: [Purpose; 4] = [Purpose::Delay, Purpose::Loss, Purpose::Duplicate, Purpose::Hold];

/// Remembers what a frame's stream said: of a lost frame only that, and no delay that is the least anyway.
fn note(decider: &mut Decider, actor: Actor, ordinal: u64, least_us: u64, decided: [Option<u64>; 4]) {
    let is_lost = decided[1].is_some();
    for (purpose, value) in FRAME_PURPOSES.into_iter().zip(decided) {
        let is_default = purpose == Purpose::Delay && value == Some(least_us);
        if let Some(value) = value.filter(|_| !is_default && (purpose == Purpose::Loss || !is_lost)) {
            decider.note(Decision { actor, purpose, ordinal, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(loss: u32, duplication: u32) -> LinkFaults {
        LinkFaults { delay_us: (10, 20), loss, duplication, reordering: 50_000, hold_us: (100, 200) }
    }

    fn copies(links: &mut Links, from: u32, to: u32) -> usize {
        links.deliver(from, to, &mut Decider::seeded(1, false)).delays_us().len()
    }

    #[test]
    fn rates_are_kept_and_healing_ends_them() {
        let mut links = Links::new(3, faults(200_000, 300_000));
        let counts: Vec<usize> = (0..10_000).map(|_| copies(&mut links, 1, 2)).collect();
        let lost = counts.iter().filter(|count| **count == 0).count();
        let twice = counts.iter().filter(|count| **count == 2).count();
        assert!((1_800..2_200).contains(&lost), "{lost} lost");
        assert!((2_200..2_600).contains(&twice), "{twice} twice: 30 % of what is not lost");
        links.heal();
        assert!((0..1000).all(|_| copies(&mut links, 1, 2) == 1));
    }

    #[test]
    fn a_cut_goes_one_way_until_it_is_mended() {
        let mut links = Links::new(4, faults(0, 0));
        let passes = |links: &mut Links, from, to| copies(links, from, to) == 1;
        links.cut(&[(1, 2)]);
        links.cut(&[(1, 2), (3, 2)]);
        assert!(!passes(&mut links, 1, 2) && !passes(&mut links, 3, 2) && passes(&mut links, 2, 1));
        links.mend(&[(1, 2), (3, 2)]);
        assert!(!passes(&mut links, 1, 2) && passes(&mut links, 3, 2));
        links.mend(&[(1, 2)]);
        assert!(passes(&mut links, 1, 2));
    }

    #[test]
    fn other_links_do_not_disturb_a_link() {
        let mut decider = Decider::seeded(1, false);
        let (mut alone, mut beside) = (Links::new(3, faults(0, 0)), Links::new(3, faults(0, 0)));
        for _ in 0..50 {
            let delivery = alone.deliver(1, 2, &mut decider);
            beside.deliver(2, 1, &mut decider);
            beside.deliver(1, 0, &mut decider);
            assert_eq!(beside.deliver(1, 2, &mut decider), delivery);
        }
    }

    #[test]
    fn a_tape_delivers_as_its_seed_did_and_without_records_after_the_least_delay() {
        let deliver = |decider: &mut Decider| -> Vec<Delivery> {
            let mut links = Links::new(2, faults(200_000, 200_000));
            (0..500).map(|_| links.deliver(0, 1, decider)).collect()
        };
        let mut seeded = Decider::seeded(9, true);
        let first = deliver(&mut seeded);
        let tape = seeded.into_recorded().unwrap();
        let shown = |deliveries: &[Delivery]| -> Vec<Vec<u64>> {
            deliveries.iter().map(|delivery| delivery.delays_us().to_vec()).collect()
        };
        assert_eq!(shown(&deliver(&mut Decider::taped(9, tape, false))), shown(&first));
        assert_eq!(shown(&deliver(&mut Decider::taped(9, Vec::new(), false))), vec![vec![10]; 500]);
    }
}
