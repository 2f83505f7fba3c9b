//! The promises, restated over what was said, what is on disk and what the chain has sealed.
//!
//! Nothing here asks the kernel's machines: receipts, reports and certificates are evidence, disks are read, and the
//! chain's seals are followed cut by cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use weir_kernel::coordinator::Entry;
use weir_kernel::coordinator::conduct::LATE_ROUND;
use weir_kernel::ids::{Epoch, Hash, LaneId};

use super::items::{Item, Items};
use super::local::{Local, Step, adopted};
use super::setting::{PARTITION, Setting, index, name};
use super::tips::{Seal, Tip, Tips};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// What q replicas acknowledged in an epoch is in the first sealed cut of that epoch or a later one.
    StoredIsSealed,
    /// A replica acknowledges what is on its disk, and signs what it has written down.
    OnDiskFirst,
    /// One checksum an epoch, in rising epochs.
    OneChecksum,
    /// A lane's sealed head never goes back.
    CutsRise,
    /// Nobody honest signs a cut that leaves out what it had acknowledged in that epoch or before.
    NotBelowOwnHeads,
    /// Nobody honest signs two reports for one (epoch, round, previous).
    OneReport,
    /// Nobody honest, newcomer or not, acknowledges or signs before it holds the last sealed cut that it can see.
    HoldsItsCut,
    /// What a replica takes for sealed is what the chain has sealed, and it is on the replica's disk.
    EndsWithSealed,
    /// While at most R−q are faulty, a seal can be reached from wherever the search has been.
    Progress,
    /// No assertion of the machines fails.
    NoPanic,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StoredIsSealed => "what was stored is sealed",
            Self::OnDiskFirst => "on disk before it is said",
            Self::OneChecksum => "one checksum an epoch",
            Self::CutsRise => "a sealed cut never goes back",
            Self::NotBelowOwnHeads => "nobody signs below its own heads",
            Self::OneReport => "one report a round",
            Self::HoldsItsCut => "nobody speaks before it holds its cut",
            Self::EndsWithSealed => "replicas end with what is sealed",
            Self::Progress => "a seal can be reached",
            Self::NoPanic => "no assertion fails",
        })
    }
}

/// A promise that does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub property: Property,
    /// What was seen.
    pub what: String,
}

/// The first digits of a hash: enough to tell a few apart.
pub fn short(hash: &Hash) -> String {
    hash.to_string().chars().take(8).collect()
}

fn broken(property: Property, what: String) -> Option<Broken> {
    Some(Broken { property, what })
}

/// What one broker's step shows by itself.
pub fn of_step(tips: &Tips, broker: usize, step: &Step) -> Option<Broken> {
    let (local, who) = (&step.local, name(broker));
    if !step.unwritten.is_empty() {
        return broken(Property::OnDiskFirst, format!("{who} signed what it had not written down"));
    }
    let seals = &tips.get(local.tip).seals;
    for late in &step.late {
        let sealed = seals.iter().any(|seal| (seal.epoch, seal.checksum) == (late.epoch, late.checksum));
        if !sealed || late.round != LATE_ROUND {
            let what = format!("{who} attests {} for epoch {}", short(&late.checksum), late.epoch);
            return broken(Property::EndsWithSealed, what);
        }
    }
    for item in &step.items {
        match item {
            Item::Receipt { epoch, head, .. } => {
                let on_disk = local.disk.events(head.lane);
                if on_disk < head.next_sequence {
                    let what = format!(
                        "{who} acknowledged {} events in epoch {epoch}, {on_disk} are on its disk",
                        head.next_sequence
                    );
                    return broken(Property::OnDiskFirst, what);
                }
            }
            Item::Signed { entry, .. } if !local.disk.reports().any(|written| written == *entry) => {
                let what = format!("{who} signed for epoch {} before that was on its disk", entry.epoch);
                return broken(Property::OnDiskFirst, what);
            }
            Item::Signed { .. } => {}
            Item::Frame { .. } | Item::Certificate { .. } => continue,
        }
        if let Some(lacking) = seals.last().and_then(|seal| lacks(local, seal)) {
            return broken(Property::HoldsItsCut, format!("{who} spoke and lacks {lacking}"));
        }
    }
    ends_with_sealed(seals, who, local)
}

/// What a broker's disk lacks of a seal.
fn lacks(local: &Local, seal: &Seal) -> Option<String> {
    let mut heads = seal.heads.values();
    let missing = heads.find(|head| local.disk.events(head.lane) < head.next_sequence)?;
    let held = local.disk.events(missing.lane);
    Some(format!("{} of {} events that epoch {} sealed", held, missing.next_sequence, seal.epoch))
}

fn ends_with_sealed(seals: &[Seal], who: char, local: &Local) -> Option<Broken> {
    let (epoch, checksum) = adopted(local).filter(|(_, checksum)| !checksum.is_zero())?;
    let Some(seal) = seals.iter().find(|seal| (seal.epoch, seal.checksum) == (epoch, checksum)) else {
        let what =
            format!("{who} adopted {} for epoch {epoch}, which the chain has not sealed", short(&checksum));
        return broken(Property::EndsWithSealed, what);
    };
    lacks(local, seal).and_then(|lacking| {
        broken(Property::EndsWithSealed, format!("{who} adopted epoch {epoch} and lacks {lacking}"))
    })
}

/// What was said so far, as evidence.
pub struct Evidence<'a> {
    /// Every item.
    pub items: &'a Items,
    /// Those that were said.
    pub said: &'a [u32],
}

impl Evidence<'_> {
    fn all(&self) -> impl Iterator<Item = &Item> {
        self.said.iter().map(|number| self.items.get(*number))
    }

    /// A broker has signed: is there another report of its own, or something of its own that the cut leaves out?
    pub fn of_report(&self, tips: &Tips, by: usize, entry: &Entry) -> Option<Broken> {
        let who = name(by);
        let (epoch, round) = (entry.epoch, entry.round);
        let key = |e: &Entry| (e.epoch, e.round, e.previous);
        let named = covered(tips, entry);
        for item in self.all() {
            match item {
                Item::Signed { by: other, entry: earlier }
                    if *other == by && key(earlier) == key(entry) && earlier != entry =>
                {
                    let (a, b) = (short(&earlier.checksum), short(&entry.checksum));
                    let what = format!("{who} signed {a} and {b} for epoch {epoch}, round {round}");
                    return broken(Property::OneReport, what);
                }
                Item::Receipt { by: other, epoch: at, head, before_loss: false }
                    if *other == by
                        && *at <= epoch
                        && named.get(&head.lane).is_none_or(|sealed| *sealed < head.next_sequence) =>
                {
                    let what = format!(
                        "{who} acknowledged {} events in epoch {at} and signed a cut of epoch {epoch} with {}",
                        head.next_sequence,
                        named.get(&head.lane).unwrap_or(&0)
                    );
                    return broken(Property::NotBelowOwnHeads, what);
                }
                _ => {}
            }
        }
        None
    }

    /// Everything that is stored must be in the first sealed cut of its epoch or a later one.
    pub fn of_seals(&self, setting: &Setting, tip: &Tip) -> Option<Broken> {
        for ((epoch, lane, events), who) in self.stored(setting, tip) {
            let Some(seal) = tip.seals.iter().skip(1).find(|seal| seal.epoch >= epoch) else { continue };
            let sealed = seal.heads.get(&lane).map_or(0, |head| head.next_sequence);
            if sealed < events {
                let names: String = who.iter().map(|broker| name(*broker)).collect();
                let what = format!(
                    "{names} acknowledged {events} events in epoch {epoch}; the cut of epoch {} has {sealed}",
                    seal.epoch
                );
                return broken(Property::StoredIsSealed, what);
            }
        }
        None
    }

    /// Whether anything is stored.
    pub fn has_stored(&self, setting: &Setting, tip: &Tip) -> bool {
        !self.stored(setting, tip).is_empty()
    }

    /// What q replicas of an epoch's set have acknowledged in it, and who. The liar acknowledges everything.
    fn stored(&self, setting: &Setting, tip: &Tip) -> BTreeMap<(Epoch, LaneId, u64), BTreeSet<usize>> {
        let mut said: BTreeMap<(Epoch, LaneId, u64), BTreeSet<usize>> = BTreeMap::new();
        for item in self.all() {
            if let Item::Receipt { by, epoch, head, .. } = item {
                for events in 1..=head.next_sequence {
                    said.entry((*epoch, head.lane, events)).or_default().insert(*by);
                }
            }
        }
        said.retain(|(epoch, _, _), who| {
            let set = tip.state.acting_set(PARTITION, *epoch);
            who.extend(setting.bounds.liar());
            who.retain(|broker| set.contains(index(*broker)));
            who.len() >= setting.quorum()
        });
        said
    }
}

/// Events of each lane that are sealed if this entry is.
fn covered(tips: &Tips, entry: &Entry) -> BTreeMap<LaneId, u64> {
    let mut covered = BTreeMap::new();
    let mut checksum = entry.checksum;
    while let Some(cut) = tips.cut(&checksum) {
        for head in &cut.heads {
            covered.entry(head.lane).or_insert(head.next_sequence);
        }
        checksum = cut.previous;
    }
    covered
}
