//! A counterexample in words: one line an event, with what came of it.

use weir_kernel::agreement::LaneHead;
use weir_kernel::broker::Message;
use weir_kernel::coordinator::Entry;

use super::explorer::Explorer;
use super::items::Item;
use super::properties::short;
use super::setting::name;
use super::tips::EMPTY;
use super::world::{Event, Happening, World};

/// A line for each event on the way.
pub fn lines(explorer: &mut Explorer, way: &[(World, Event)]) -> Vec<String> {
    let numbered = way.iter().zip(1..);
    numbered
        .map(|((world, event), number)| format!("{number:2}. {}", line(explorer, world, *event)))
        .collect()
}

fn line(explorer: &mut Explorer, world: &World, event: Event) -> String {
    let (broker, happening) = match event {
        Event::Block(certificate) => return block(explorer, world, certificate),
        Event::To(broker, happening) => (usize::from(broker), happening),
    };
    let what = match happening {
        Happening::Frame(number) => match explorer.items.get(number) {
            Item::Frame { from, message, .. } => {
                let from = from.map_or("edge".to_string(), |from| name(from).to_string());
                format!("{from} -> {}: {}", name(broker), said(message))
            }
            _ => unreachable!("only frames are delivered"),
        },
        Happening::Synced => format!("{} syncs its disk", name(broker)),
        Happening::Block(tip) => {
            let state = &explorer.tips.get(tip).state;
            format!("{} sees block {} of epoch {}", name(broker), state.height, state.epoch())
        }
        Happening::Elapsed => format!("{}'s timers run out", name(broker)),
        Happening::Crash(true) => format!("{} crashes and restarts, its writes kept", name(broker)),
        Happening::Crash(false) => format!("{} crashes and restarts, what was not synced lost", name(broker)),
        Happening::DiskLost => format!("{} restarts with an empty disk", name(broker)),
    };
    let items = explorer.reaction(broker, world.locals[broker], happening).map(|(_, items)| items);
    let items = items.unwrap_or_default();
    let led: Vec<String> = items.iter().filter_map(|number| came(explorer.items.get(*number))).collect();
    if led.is_empty() { what } else { format!("{what}  =>  {}", led.join("; ")) }
}

fn block(explorer: &Explorer, world: &World, certificate: u32) -> String {
    let state = &explorer.tips.get(world.tip).state;
    let height = state.height + 1;
    let of = format!("block {height} of epoch {}", state.epoch_of(height));
    if certificate == EMPTY {
        return of;
    }
    let Item::Certificate { entry, signers } = explorer.items.get(certificate) else {
        unreachable!("only certificates are sent to the chain")
    };
    let signers: String = signers.iter().map(|signer| name(*signer)).collect();
    let heads = explorer.tips.cut(&entry.checksum).map(|cut| heads(&cut.heads)).unwrap_or_default();
    format!("{of} seals {} with {heads}, signed by {signers}", round(entry))
}

fn said(message: &Message) -> String {
    match message {
        Message::Append { .. } => "Append".to_string(),
        Message::Fetch { from, .. } => format!("Fetch from {from}"),
        Message::Repair { .. } => "Repair".to_string(),
        Message::Closing { epoch, round, heads: of, .. } => {
            format!("Closing of epoch {epoch}, round {round}, with {}", heads(of))
        }
        Message::Propose { round, cut } => {
            let (epoch, checksum) = (cut.epoch, short(&cut.checksum()));
            format!("Propose {checksum} for epoch {epoch}, round {round}, with {}", heads(&cut.heads))
        }
        Message::Report(report) => format!("Report of {}", round(&report.entry)),
        Message::Decline { epoch, round, heads: of, .. } => {
            format!("Decline of epoch {epoch}, round {round}, having {}", heads(of))
        }
        Message::CutsWanted { after_epoch, .. } => format!("CutsWanted after epoch {after_epoch}"),
        Message::Cuts { cuts, .. } => {
            let epochs: Vec<u64> = cuts.iter().map(|cut| cut.epoch).collect();
            format!("Cuts of epochs {epochs:?}")
        }
        other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_string(),
    }
}

fn came(item: &Item) -> Option<String> {
    match item {
        Item::Frame { to, message, .. } => Some(format!("to {}: {}", name(*to), said(message))),
        Item::Receipt { by, epoch, head, .. } => {
            Some(format!("{} acknowledges {} in epoch {epoch}", name(*by), heads(&[*head])))
        }
        Item::Signed { by, entry } => Some(format!("{} signs {}", name(*by), round(entry))),
        Item::Certificate { entry, .. } => Some(format!("a certificate of {}", round(entry))),
    }
}

fn round(entry: &Entry) -> String {
    format!("{} for epoch {}, round {}", short(&entry.checksum), entry.epoch, entry.round)
}

fn heads(heads: &[LaneHead]) -> String {
    if heads.is_empty() {
        return "nothing".to_string();
    }
    let named = heads.iter().map(|head| {
        let lane: String = head.lane.to_string().chars().take(6).collect();
        format!("{} of {lane}", head.next_sequence)
    });
    named.collect::<Vec<_>>().join(", ")
}
