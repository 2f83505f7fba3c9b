//! Links between brokers: when a frame arrives, if it does, and how often.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::scenario::LinkFaults;

/// All links of a network, each with a random stream of its own.
#[derive(Debug)]
pub struct Links {
    seed: u64,
    faults: LinkFaults,
    /// By sender and receiver.
    streams: BTreeMap<(u32, u32), Random>,
    /// How many cuts each link is under.
    cuts: BTreeMap<(u32, u32), u32>,
}

impl Links {
    /// Links that behave as `faults` says.
    pub fn new(seed: u64, faults: LinkFaults) -> Self {
        Self { seed, faults, streams: BTreeMap::new(), cuts: BTreeMap::new() }
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

    /// The delays after which copies of a frame arrive: none when it is lost.
    pub fn deliver(&mut self, from: u32, to: u32) -> impl Iterator<Item = u64> + use<> {
        let seed = self.seed;
        let random = self
            .streams
            .entry((from, to))
            .or_insert_with(|| Random::stream(seed, "link", &[u64::from(from), u64::from(to)]));
        let faults = &self.faults;
        let lost = random.chance(faults.loss) || self.cuts.contains_key(&(from, to));
        let copies = if lost { 0 } else { 1 + usize::from(random.chance(faults.duplication)) };
        let mut delays = [0; 2];
        for delay in &mut delays[..copies] {
            *delay = random.between(faults.delay_us);
            if random.chance(faults.reordering) {
                *delay += random.between(faults.hold_us);
            }
        }
        delays.into_iter().take(copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(loss: u32, duplication: u32) -> LinkFaults {
        LinkFaults { delay_us: (10, 20), loss, duplication, reordering: 0, hold_us: (0, 0) }
    }

    #[test]
    fn rates_are_kept_and_healing_ends_them() {
        let mut links = Links::new(1, faults(200_000, 300_000));
        let counts: Vec<usize> = (0..10_000).map(|_| links.deliver(1, 2).count()).collect();
        let lost = counts.iter().filter(|count| **count == 0).count();
        let twice = counts.iter().filter(|count| **count == 2).count();
        assert!((1_800..2_200).contains(&lost), "{lost} lost");
        assert!((2_200..2_600).contains(&twice), "{twice} twice: 30 % of what is not lost");
        links.heal();
        assert!((0..1000).all(|_| links.deliver(1, 2).count() == 1));
    }

    #[test]
    fn a_cut_goes_one_way_until_it_is_mended() {
        let mut links = Links::new(1, faults(0, 0));
        let passes = |links: &mut Links, from, to| links.deliver(from, to).count() == 1;
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
        let mut alone = Links::new(1, faults(0, 0));
        let mut beside = Links::new(1, faults(0, 0));
        let first: Vec<u64> = (0..50).flat_map(|_| alone.deliver(1, 2)).collect();
        let second: Vec<u64> = (0..50)
            .flat_map(|_| {
                beside.deliver(2, 1).for_each(drop);
                beside.deliver(1, 2)
            })
            .collect();
        assert_eq!(first, second);
    }
}
