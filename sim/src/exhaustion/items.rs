//! What brokers have said so far: a set that only grows.
//!
//! A message stays in the set after it was delivered. So it may arrive at any time, in any order, any number of times,
//! or never: delay, reordering, duplication and loss need no events of their own, and what a timer would say again
//! needs no timer. What a replica told the publisher's edge, and what it signed, is kept beside the messages as
//! evidence; nobody receives it.

use std::sync::Arc;

use weir_kernel::agreement::LaneHead;
use weir_kernel::broker::Message;
use weir_kernel::coordinator::Entry;
use weir_kernel::ids::Epoch;

use super::fingerprint::{Fingerprint, Numbered};

/// Something that was said.
#[derive(Clone, Debug)]
pub enum Item {
    /// A frame to a broker; `from` is `None` for the publisher's edge.
    Frame {
        /// Who sent it.
        from: Option<usize>,
        /// To whom.
        to: usize,
        /// What it says.
        message: Message,
        /// The frame, as on the wire.
        frame: Arc<[u8]>,
    },
    /// A replica told the edge what is on its disk.
    Receipt {
        /// The replica.
        by: usize,
        /// The epoch that it named.
        epoch: Epoch,
        /// The head.
        head: LaneHead,
        /// The replica has lost its disk since.
        before_loss: bool,
    },
    /// A replica signed an entry.
    Signed {
        /// The replica.
        by: usize,
        /// The entry.
        entry: Entry,
    },
    /// A certificate is there for the chain to take.
    Certificate {
        /// What it seals.
        entry: Entry,
        /// Whose reports it has, rising.
        signers: Vec<usize>,
    },
}

impl Item {
    fn fingerprint(&self) -> u128 {
        use std::fmt::Write;
        let mut fingerprint = Fingerprint::default();
        if let Self::Frame { from, to, frame, .. } = self {
            fingerprint.number(from.map_or(u64::MAX, |from| from as u64));
            fingerprint.number(*to as u64);
            fingerprint.bytes(frame);
        } else {
            write!(fingerprint, "{self:?}").expect("it takes everything");
        }
        fingerprint.value()
    }
}

/// Every item that was ever made, numbered.
#[derive(Debug, Default)]
pub struct Items {
    table: Numbered<u128, Item>,
}

impl Items {
    /// The number of an item.
    pub fn number(&mut self, item: Item) -> u32 {
        let fingerprint = item.fingerprint();
        let entry = self.table.entry(fingerprint);
        let number = u32::try_from(entry.index()).expect("items are numbered with 32 bits");
        entry.or_insert(item);
        number
    }

    /// An item by its number.
    pub fn get(&self, number: u32) -> &Item {
        self.table.get_index(number as usize).expect("numbers are of items").1
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// One set of items.
#[derive(Debug)]
pub struct Net {
    /// Frames by recipient.
    pub inboxes: Vec<Box<[u32]>>,
    /// Certificates that the chain may take.
    pub certificates: Box<[u32]>,
}

/// Every set of items that was ever reached, numbered.
#[derive(Debug)]
pub struct Nets {
    table: Numbered<Box<[u32]>, Net>,
    brokers: usize,
}

impl Nets {
    /// No sets yet.
    pub fn new(brokers: usize) -> Self {
        Self { table: Numbered::default(), brokers }
    }

    /// The number of the set of these items.
    pub fn number(&mut self, mut members: Vec<u32>, items: &Items) -> u32 {
        members.sort_unstable();
        members.dedup();
        let brokers = self.brokers;
        let entry = self.table.entry(members.into_boxed_slice());
        let number = u32::try_from(entry.index()).expect("sets are numbered with 32 bits");
        if let indexmap::map::Entry::Vacant(vacant) = entry {
            let net = sorted_out(vacant.key(), items, brokers);
            vacant.insert(net);
        }
        number
    }

    /// The set with more in it, and some taken out.
    pub fn with(&mut self, number: u32, added: &[u32], removed: &[u32], items: &Items) -> u32 {
        let before = self.members(number);
        if removed.is_empty() && added.iter().all(|item| before.binary_search(item).is_ok()) {
            return number;
        }
        let kept = before.iter().filter(|item| !removed.contains(item));
        let members = kept.chain(added).copied().collect();
        self.number(members, items)
    }

    /// The items of a set, rising.
    pub fn members(&self, number: u32) -> &[u32] {
        self.table.get_index(number as usize).expect("numbers are of sets").0
    }

    /// A set, sorted out.
    pub fn get(&self, number: u32) -> &Net {
        self.table.get_index(number as usize).expect("numbers are of sets").1
    }
}

fn sorted_out(members: &[u32], items: &Items, brokers: usize) -> Net {
    let mut inboxes = vec![Vec::new(); brokers];
    let mut certificates = Vec::new();
    for number in members {
        match items.get(*number) {
            Item::Frame { to, .. } => inboxes[*to].push(*number),
            Item::Certificate { .. } => certificates.push(*number),
            Item::Receipt { .. } | Item::Signed { .. } => {}
        }
    }
    Net {
        inboxes: inboxes.into_iter().map(Vec::into_boxed_slice).collect(),
        certificates: certificates.into_boxed_slice(),
    }
}
