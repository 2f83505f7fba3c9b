//! Growth: the number of partitions follows the number of brokers (WP 2.4.5).
//!
//! More brokers can carry more partitions, so the network wants `partitions_per_broker` for each active broker, which
//! is one that has its draw and has not left. Anybody may have the missing ones added. They are never taken away: a
//! partition that lanes live in cannot go, and one without is idle. A new partition begins vacant and is founded like
//! any other; until it is, nothing is at home there (see [`homes`](super::homes)).

use super::fact::Fact;
use super::refusal::Refusal;
use super::state::State;

/// The most partitions that a network grows to: a node looks at each of them in every block.
pub const MAXIMUM_PARTITIONS: u32 = 1 << 20;

/// How many partitions the network should have by its active brokers; 0 if it never grows.
pub fn wanted(state: &State) -> u32 {
    if state.params.partitions_per_broker == 0 {
        return 0;
    }
    let active = |broker: &&alloc::sync::Arc<super::Broker>| broker.draw.is_some() && broker.left.is_none();
    let brokers = state.brokers.values().filter(active).count() as u64;
    let wanted = brokers * u64::from(state.params.partitions_per_broker);
    u32::try_from(wanted).unwrap_or(u32::MAX).min(MAXIMUM_PARTITIONS)
}

/// `growPartitions`, which anybody may call.
pub(super) fn grow(state: &State) -> Result<Fact, Refusal> {
    let (partitions, wanted) = (state.partition_count(), wanted(state));
    if wanted <= partitions {
        return Err(Refusal::NothingToGrow { partitions, wanted });
    }
    Ok(Fact::PartitionsGrown { from_epoch: state.epoch() + 1, partitions: wanted })
}

/// The network has this many partitions now; the new ones are vacant.
pub(super) fn grown(state: &mut State, partitions: u32) {
    let present = state.partition_count();
    assert!(partitions > present, "partitions are only added: {partitions} after {present}");
    state.add_partitions(partitions);
}
