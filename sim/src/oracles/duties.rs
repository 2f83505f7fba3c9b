//! Duties: what lanes owe is settled, and who was suspended joins again, not before it has to (WP 2.4.6, 2.4.7).

use std::collections::{BTreeMap, BTreeSet};

use weir_kernel::batch::Batch;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::{Intent, State};
use weir_kernel::ids::{Address, LaneId};

use crate::clients::published::{Publication, Publications};
use crate::report::Violation;
use crate::surroundings::note;

/// What is worth a transaction to settle.
const WORTH_SETTLING: u128 = DATA / 1_000;

/// Epochs after which a lane without new events is settled.
const QUIET_EPOCHS: u64 = 4;

/// Epochs for which a suspended broker looks on before it pays: signing in a seat that it still has costs nothing.
const PAUSE_EPOCHS: u64 = 4;

/// Blocks after which a broker tries again what it has tried often, at the latest, and to be seen doing it; twice,
/// because one transaction may wait for another.
const PATIENCE_BLOCKS: u64 = 2 * (96 + 8);

/// Epochs that a seal may take.
const SEAL_EPOCHS: u64 = 3;

/// A broker, which sees the chain like this, sends a transaction.
pub fn on_submit(
    now_us: u64,
    (who, view): (Address, &State),
    intent: &Intent,
    violations: &mut Vec<Violation>,
) {
    if !matches!(intent, Intent::Rejoin) {
        return;
    }
    let Some(broker) = view.broker_index(who).and_then(|index| view.broker(index)) else { return };
    if view.epoch() < broker.rated_epoch + PAUSE_EPOCHS {
        let (epoch, rated) = (view.epoch(), broker.rated_epoch);
        let what = format!("{who} pays to join again in epoch {epoch}, and was rated in epoch {rated}");
        note(violations, now_us, "rejoins", what);
    }
}

/// The run is over, and all was well for a while: who can join again has.
pub fn rejoined(now_us: u64, view: &State, liars: &BTreeSet<Address>, violations: &mut Vec<Violation>) {
    let late_epochs = PAUSE_EPOCHS + PATIENCE_BLOCKS.div_ceil(view.params.epoch_blocks);
    let honest = view.brokers.values().filter(|broker| !liars.contains(&broker.address));
    for broker in honest.filter(|broker| broker.left.is_none() && broker.is_suspended()) {
        let can_pay = view.balance(broker.address) >= view.params.join_fee;
        if can_pay && broker.rated_epoch + late_epochs < view.epoch() {
            let (who, rated, epoch) = (broker.address, broker.rated_epoch, view.epoch());
            let what =
                format!("{who} was rated in epoch {rated} for the last time, and is suspended in {epoch}");
            note(violations, now_us, "rejoins", what);
        }
    }
}

/// The run is over, and all was well for a while: honest lanes that ended long ago are settled, where contracts can
/// check what their publishers signed. `epoch_us` is how long an epoch takes.
pub fn settled(
    now_us: u64,
    view: &State,
    publications: &Publications,
    epoch_us: u64,
    violations: &mut Vec<Violation>,
) {
    let price = view.fees.params.event_price;
    let epochs = QUIET_EPOCHS + SEAL_EPOCHS + PATIENCE_BLOCKS.div_ceil(view.params.epoch_blocks);
    let quiet_since_us = now_us.saturating_sub(epochs * epoch_us);
    let mut ends: BTreeMap<LaneId, &Publication> = BTreeMap::new();
    ends.extend(publications.honest().map(|(lane, _, publication)| (lane, publication)));
    let ended = |known: &&Publication| known.stored_us.is_some_and(|stored_us| stored_us < quiet_since_us);
    for (lane, last) in ends.into_iter().filter(|(_, last)| ended(last)) {
        let Ok(batch) = Batch::decode(last.bytes.clone()) else { continue };
        let beyond = |events: u64| u128::from(events.saturating_sub(view.fees.params.free_events));
        let events = view.fees.lane(&lane).settled.events;
        let owed = beyond(last.next_sequence).saturating_sub(beyond(events)) * price;
        if owed >= WORTH_SETTLING && view.fees.allotment(batch.header().origin, last.slot).amount >= owed {
            let what =
                format!("lane {lane} has {} events, and {events} of them are settled", last.next_sequence);
            note(violations, now_us, "settled", what);
        }
    }
}
