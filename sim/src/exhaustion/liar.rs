//! A liar among four: what it may say.
//!
//! It runs no machine. At any time any broker may hear from it anything of a finite menu, made anew for what that
//! broker sees of the chain; it may say different things to different brokers, again, or nothing. `lies` bounds how
//! often it is heard. It signs any report that an honest broker signed, acknowledges everything, and may take any
//! certificate to the chain for which it sees signatures, wherever they were sent.
//!
//! | it says | with |
//! | --- | --- |
//! | `Closing` | every head of the menu, in both rounds |
//! | `Propose` | every head of the menu as a cut, in both rounds, another to each |
//! | `Report` | every entry that anybody signed |
//! | `Decline` | a head that nobody holds |
//! | `Repair` | what the publisher signed |
//! | `Cuts` | cuts that were never sealed |
//!
//! The menu of heads, for the first lane: none, each that the publisher signed, and one that goes further than any.

use std::sync::Arc;

use weir_kernel::agreement::{Cut, LaneHead};
use weir_kernel::broker::{Message, SignedEntry};
use weir_kernel::coordinator::{Entry, State, report_signing_hash};
use weir_kernel::ids::{Epoch, Hash};
use weir_kernel::signature::keyed_report;
use weir_kernel::wire;

use super::items::{Item, Items};
use super::setting::{DOMAIN, PARTITION, Setting, address};
use super::tips::Tips;

/// Everything that the liar may say to a broker that sees this state of the chain, reports apart.
pub fn menu(
    setting: &Setting,
    liar: usize,
    to: usize,
    view: &State,
    items: &mut Items,
    tips: &mut Tips,
) -> Vec<u32> {
    let partition = view.partition(PARTITION).expect("there is one partition");
    let Some(epoch) = view.epoch().checked_sub(1) else { return Vec::new() };
    let previous = partition.checksum;
    let heads = heads(setting, view.height);
    let cuts: Vec<Cut> = heads.iter().map(|heads| cut(epoch, previous, heads)).collect();
    cuts.iter().for_each(|cut| tips.learn(cut));
    let mut said: Vec<(Message, Vec<Arc<[u8]>>)> = Vec::new();
    for round in [0, 1] {
        for heads in &heads {
            let (heads, forks) = (heads.clone(), Vec::new());
            let closing = Message::Closing { partition: PARTITION, epoch, round, previous, heads, forks };
            said.push((closing, Vec::new()));
        }
        said.extend(cuts.iter().map(|cut| (Message::Propose { round, cut: cut.clone() }, Vec::new())));
    }
    let nobodys = heads.last().expect("the menu is not empty").clone();
    let forks = Vec::new();
    said.push((
        Message::Decline { partition: PARTITION, epoch, round: 0, heads: nobodys, forks },
        Vec::new(),
    ));
    for lane in &setting.lanes {
        let batches = setting.published.iter();
        let batches = batches.filter(|p| p.lane == *lane && p.from_height <= view.height);
        let batches = batches.map(|published| Arc::clone(&published.bytes)).collect();
        said.push((Message::Repair { partition: PARTITION, lane: *lane }, batches));
    }
    let after_epoch = partition.sealed_epoch;
    for cut in cuts {
        let message = Message::Cuts { partition: PARTITION, after_epoch, cuts: vec![cut] };
        said.push((message, Vec::new()));
    }
    let numbers = said.into_iter().map(|(message, batches)| {
        let frame = wire::encode(&message, &batches).into();
        items.number(Item::Frame { from: Some(liar), to, message, frame })
    });
    numbers.collect()
}

/// The liar's own report for an entry.
pub fn report(liar: usize, to: usize, entry: &Entry) -> Item {
    let digest = report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &entry.hash());
    let signature = keyed_report(&address(liar), &digest).to_vec();
    let message = Message::Report(SignedEntry { entry: *entry, signature });
    let frame = wire::encode(&message, &[]).into();
    Item::Frame { from: Some(liar), to, message, frame }
}

fn heads(setting: &Setting, height: u64) -> Vec<Vec<LaneHead>> {
    let lane = setting.lanes[0];
    let there = setting.published.iter().filter(|published| published.from_height <= height);
    let real = there.filter(|published| published.lane == lane).map(|published| published.head);
    let furthest = real.clone().next_back().unwrap_or(LaneHead::empty(lane));
    let beyond = LaneHead {
        next_sequence: furthest.next_sequence + 1,
        volume: furthest.volume + 1,
        digest: Hash([0xBB; 32]),
        ..furthest
    };
    let some = real.chain([beyond]).map(|head| vec![head]);
    [Vec::new()].into_iter().chain(some).collect()
}

fn cut(epoch: Epoch, previous: Hash, heads: &[LaneHead]) -> Cut {
    Cut { partition: PARTITION, epoch, previous, heads: heads.to_vec(), forks: Vec::new() }
}
