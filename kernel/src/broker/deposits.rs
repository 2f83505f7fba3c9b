//! Whether a publisher's allotment covers what it sends: an admission rule (WP 2.4.7).
//!
//! All lanes of (publisher, stream partition) share one allotment, so a replica adds up what each of its lanes owes
//! beyond what is settled. A batch is taken if the sum with this batch is covered. Like every admission rule it is
//! asked only before a replica first takes a batch from an edge, never of a batch that another replica holds.
//!
//! The sum is made anew for each view of the chain, in one pass over the lanes and only when it is asked for, and kept
//! up by addition until the next.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::lane::Lane;
use super::refusal::{Refusal, RefusalCode};
use crate::agreement::LaneHead;
use crate::batch::Header;
use crate::coordinator::State;
use crate::coordinator::fees::{Meter, coverage::unsettled};
use crate::coordinator::params::DATA;
use crate::ids::{Address, LaneId, StreamPartition};

/// Decimals of an amount in a sentence.
const SHOWN_UNIT: u128 = DATA / 10_000;

/// What publishers owe one replica's partition.
#[derive(Clone, Debug, Default)]
pub struct Deposits {
    height: Option<u64>,
    owed: BTreeMap<(Address, StreamPartition), u128>,
}

/// The meter of a lane whose last header is this.
fn meter(header: &Header) -> Meter {
    Meter { events: header.next_sequence(), volume: header.volume }
}

fn at(head: &LaneHead) -> Meter {
    Meter { events: head.next_sequence, volume: head.volume }
}

impl Deposits {
    /// Whether the next batch of a lane is covered together with everything else that its publisher has here.
    pub fn check(
        &mut self,
        view: &State,
        lanes: &BTreeMap<LaneId, Lane>,
        header: &Header,
        id: LaneId,
    ) -> Result<(), Refusal> {
        if view.contracts.fees.is_zero() {
            return Ok(());
        }
        self.take_stock(view, lanes);
        let before = lanes.get(&id).map_or(0, |lane| unsettled(&view.fees, &id, at(&lane.head())));
        let owed = self.owed.get(&(header.origin, header.slot())).copied().unwrap_or(0);
        let with_it = owed.saturating_sub(before).saturating_add(unsettled(&view.fees, &id, meter(header)));
        covered(view, header, with_it)
    }

    /// A batch was appended to a lane that stood at `before`.
    pub fn note(&mut self, view: &State, before: &LaneHead, header: &Header) {
        if self.height == Some(view.height) {
            let id = before.lane;
            let more = unsettled(&view.fees, &id, meter(header)).saturating_sub(unsettled(
                &view.fees,
                &id,
                at(before),
            ));
            if more > 0 {
                let owed = self.owed.entry((header.origin, header.slot())).or_default();
                *owed = owed.saturating_add(more);
            }
        }
    }

    fn take_stock(&mut self, view: &State, lanes: &BTreeMap<LaneId, Lane>) {
        if self.height == Some(view.height) {
            return;
        }
        self.height = Some(view.height);
        self.owed.clear();
        for (id, lane) in lanes {
            let owes = unsettled(&view.fees, id, at(&lane.head()));
            if owes > 0 {
                let owed = self.owed.entry((lane.origin, lane.slot)).or_default();
                *owed = owed.saturating_add(owes);
            }
        }
    }
}

/// Whether a batch is covered as far as an edge can tell, which knows this lane alone.
pub fn check_alone(view: &State, header: &Header, id: LaneId) -> Result<(), Refusal> {
    if view.contracts.fees.is_zero() {
        return Ok(());
    }
    covered(view, header, unsettled(&view.fees, &id, meter(header)))
}

fn covered(view: &State, header: &Header, owed: u128) -> Result<(), Refusal> {
    let staying = view.fees.allotment(header.origin, header.slot()).staying();
    if owed <= staying {
        return Ok(());
    }
    let (stream, partition) = (header.stream, header.stream_partition);
    Err(Refusal::new(
        RefusalCode::PaymentRequired,
        format!(
            "{} has allotted {} DATA to partition {partition} of stream {stream} and would owe {} DATA there: allot at \
             least {} DATA more to LaneFees ({}), as with `weir fees allot {stream} AMOUNT --partition {partition}`",
            header.origin,
            shown(staying / SHOWN_UNIT),
            shown(owed.div_ceil(SHOWN_UNIT)),
            shown((owed - staying).div_ceil(SHOWN_UNIT)),
            view.contracts.fees,
        ),
    ))
}

/// An amount of ten-thousandths.
fn shown(parts: u128) -> String {
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::fixture::{self, ORIGIN, SLOT};
    use crate::batch::{Batch, LaneWriter};
    use crate::coordinator::fees::{Allotment, Lane as Settled, Params};
    use crate::coordinator::{Contracts, Params as Coordinator};
    use alloc::sync::Arc;

    /// Events cost a DATA each; the allotment holds this many.
    fn view(allotted: u128) -> State {
        let contracts = Contracts { fees: Address([9; 20]), ..Contracts::default() };
        let mut view = State::new(1, contracts, Coordinator::default());
        let fees = Arc::make_mut(&mut view.fees);
        fees.params = Params { event_price: DATA, byte_price: 0, free_events: 0, ..Params::default() };
        fees.allotments.insert((ORIGIN, SLOT), Allotment { amount: allotted * DATA, ..Allotment::default() });
        view
    }

    fn next(writer: &mut LaneWriter) -> Batch {
        fixture::next(writer, &[10])
    }

    /// Appends a batch as a replica does.
    fn append(deposits: &mut Deposits, view: &State, lanes: &mut BTreeMap<LaneId, Lane>, batch: &Batch) {
        let lane = lanes.entry(batch.header().lane()).or_insert_with(|| Lane::open(batch.header()));
        deposits.note(view, &lane.head(), batch.header());
        lane.append(batch.signed_header(), 1);
    }

    #[test]
    fn lanes_of_one_publisher_share_what_is_allotted() {
        let (mut deposits, mut lanes, view) = (Deposits::default(), BTreeMap::new(), view(3));
        let (mut a, mut b) = (fixture::writer(1), fixture::writer(2));
        for batch in [next(&mut a), next(&mut b), next(&mut a)] {
            deposits.check(&view, &lanes, batch.header(), batch.lane()).expect("three events are covered");
            append(&mut deposits, &view, &mut lanes, &batch);
        }
        let fourth = next(&mut b);
        let refusal =
            deposits.check(&view, &lanes, fourth.header(), fourth.lane()).expect_err("four are not");
        assert_eq!(refusal.code, RefusalCode::PaymentRequired);
        for part in ["3.0000 DATA", "4.0000 DATA", "1.0000 DATA more", "--partition 2", "weir fees allot"] {
            assert!(refusal.reason.contains(part), "{part}: {}", refusal.reason);
        }
        check_alone(&view, fourth.header(), fourth.lane()).expect("an edge sees this lane alone");
    }

    #[test]
    fn a_settlement_makes_room_and_a_withdrawal_takes_it() {
        let (mut deposits, mut lanes, mut chain) = (Deposits::default(), BTreeMap::new(), view(1));
        let mut a = fixture::writer(1);
        let (first, second) = (next(&mut a), next(&mut a));
        append(&mut deposits, &chain, &mut lanes, &first);
        assert!(deposits.check(&chain, &lanes, second.header(), second.lane()).is_err());
        let settled = Settled { settled: Meter { events: 1, volume: 1 }, is_slashed: false };
        Arc::make_mut(&mut chain.fees).lanes.insert(first.header().lane(), settled);
        chain.height += 1;
        assert!(deposits.check(&chain, &lanes, second.header(), second.lane()).is_ok());
        let leaving = Allotment { amount: DATA, leaving: DATA, ..Allotment::default() };
        Arc::make_mut(&mut chain.fees).allotments.insert((ORIGIN, SLOT), leaving);
        chain.height += 1;
        assert!(deposits.check(&chain, &lanes, second.header(), second.lane()).is_err());
        assert!(check_alone(&chain, second.header(), second.lane()).is_err());
    }

    #[test]
    fn a_network_without_fees_asks_for_nothing() {
        let mut chain = view(0);
        let batch = next(&mut fixture::writer(1));
        assert!(check_alone(&chain, batch.header(), batch.lane()).is_err());
        chain.contracts.fees = Address::ZERO;
        assert!(check_alone(&chain, batch.header(), batch.lane()).is_ok());
        assert!(Deposits::default().check(&chain, &BTreeMap::new(), batch.header(), batch.lane()).is_ok());
    }
}
