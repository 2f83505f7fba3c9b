//! What can be run: a scenario that breaks one of these would break the simulator, not the protocol.

use super::{Scenario, ScenarioError};
use weir_kernel::limits::MAX_SHARDS;

use crate::faults::{FaultKind, mix};
use crate::random::MILLION;
use crate::tape::MAX_NUMBER;

/// Brokers at most.
const MAX_BROKERS: u32 = 20_000;

/// Clients of a role at most.
const MAX_CLIENTS: u32 = 1_000_000;

/// Free events of a lane at most: a debtor signs them all.
const MAX_FREE_EVENTS: u64 = 100_000;
/// A broker keeps an event a minute at least.
const MAX_EVENT_NS: u64 = 60_000_000_000;

/// Virtual time at most: ten years.
const MAX_DURATION_MS: u64 = 10 * 366 * 24 * 3_600 * 1_000;

/// Faults of a list at most.
const MAX_FAULTS: usize = 1_000_000;

fn impossible<T>(
    field: &'static str,
    value: impl ToString,
    reason: &'static str,
) -> Result<T, ScenarioError> {
    Err(ScenarioError::Impossible { field, value: value.to_string(), reason })
}

impl Scenario {
    /// Whether it can be run.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Impossible`] with the first field that forbids it.
    pub fn check(&self) -> Result<(), ScenarioError> {
        self.check_counts()?;
        self.check_ranges()?;
        self.check_rates()?;
        self.check_faults()
    }

    fn check_counts(&self) -> Result<(), ScenarioError> {
        let at_least_one: [(&'static str, u64, u64); 16] = [
            ("retention_s", self.retention_s.saturating_add(1), MAX_DURATION_MS),
            ("clients_from_ms", self.clients_from_ms.saturating_add(1), MAX_DURATION_MS),
            ("event_ns", self.event_ns.saturating_add(1), MAX_EVENT_NS),
            ("brokers", u64::from(self.brokers), u64::from(MAX_BROKERS)),
            ("joins", self.joins.len() as u64 + 1, u64::from(MAX_BROKERS)),
            ("shards", u64::from(self.shards), u64::from(MAX_SHARDS)),
            ("replicas", u64::from(self.replicas), 7),
            ("partitions", u64::from(self.partitions), 100_000),
            ("partitions_per_broker", u64::from(self.partitions_per_broker) + 1, 1_000),
            ("epoch_blocks", self.epoch_blocks, 1_000_000),
            ("block_ms", self.block_ms, 3_600_000),
            ("confirmations", u64::from(self.confirmations), 64),
            ("streams", u64::from(self.streams), 10_000),
            ("stream_partitions", u64::from(self.stream_partitions), 100),
            ("publish_interval_ms", self.publish_interval_ms, MAX_DURATION_MS),
            ("lane_batches", u64::from(self.lane_batches), u64::from(u32::MAX)),
        ];
        for (field, value, most) in at_least_one {
            if value == 0 || value > most {
                return impossible(field, value, "there must be at least one, and not more than can be run");
            }
        }
        if self.replicas < 3 {
            return impossible("replicas", self.replicas, "a quorum that survives a fault needs three seats");
        }
        if self.block_ms * self.epoch_blocks == 0 || self.duration_ms > MAX_DURATION_MS {
            return impossible("duration_ms", self.duration_ms, "a run ends within ten years");
        }
        if self.heal_ms >= self.duration_ms {
            return impossible("heal_ms", self.heal_ms, "the healed part is shorter than the run");
        }
        let cheats = [self.forks.saturating_mul(2), self.gaps, self.misdaters, self.debtors];
        let clients = [self.publishers, self.subscribers, self.guests].into_iter().chain(cheats);
        if let Some(count) = { clients }.find(|count| *count > MAX_CLIENTS.min(MAX_NUMBER)) {
            return impossible(
                "publishers, subscribers, guests, forks, gaps, misdaters or debtors",
                count,
                "there are a million at most",
            );
        }
        if let Some(free) = self.free_events.filter(|free| *free > MAX_FREE_EVENTS) {
            return impossible("free_events", free, "leave it out where everything is free");
        }
        if self.debtors > 0 && self.free_events.is_none() {
            return impossible(
                "debtors",
                self.debtors,
                "nobody owes anything where `free_events` is not set",
            );
        }
        if self.batch_events > 10_000 {
            return impossible("batch_events", self.batch_events, "a batch has 10000 events at most");
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), ScenarioError> {
        let ranges = [
            ("links.delay_us", self.links.delay_us),
            ("links.hold_us", self.links.hold_us),
            ("sync_us", self.sync_us),
            ("read_us", self.read_us),
            ("view_us", self.view_us),
            ("transaction_us", self.transaction_us),
            ("crash_down_ms", self.crash_down_ms),
            ("cut_ms", self.cut_ms),
        ];
        for (field, (low, high)) in ranges {
            if low > high || high > MAX_DURATION_MS {
                return impossible(
                    field,
                    format!("{low} to {high}"),
                    "a range goes up, to ten years at most",
                );
            }
        }
        Ok(())
    }

    fn check_rates(&self) -> Result<(), ScenarioError> {
        let rates = [
            ("links.loss", self.links.loss),
            ("links.duplication", self.links.duplication),
            ("links.reordering", self.links.reordering),
            ("transaction_loss", self.transaction_loss),
            ("sealed_share", self.sealed_share),
        ];
        let moments = self.crash_at.iter().map(|crash| ("crash_at.rate", crash.rate));
        for (field, rate) in rates.into_iter().chain(moments) {
            if rate > MILLION {
                return impossible(field, rate, "it is counted in a million");
            }
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), ScenarioError> {
        if let Some(name) = self.fault_intervals_ms.keys().find(|name| !mix::is_planned(name)) {
            return impossible("fault_intervals_ms", name, "no fault with a rate has this name");
        }
        if self.faults.len() > MAX_FAULTS {
            return impossible("faults", self.faults.len(), "there are a million at most");
        }
        let nobody = |broker: &u32| *broker >= self.all_brokers();
        for fault in &self.faults {
            if let Some(reason) = fault.kind.problem() {
                return impossible("faults.kind", format!("{:?}", fault.kind), reason);
            }
            let several = fault.kind.side();
            if let Some(broker) = several.iter().chain([&fault.broker]).find(|broker| nobody(broker)) {
                return impossible(
                    "faults.broker",
                    broker,
                    "brokers are numbered from 0, those that join included",
                );
            }
            match fault.kind {
                FaultKind::Reorg { blocks } if blocks == 0 || blocks >= self.confirmations => {
                    return impossible(
                        "faults.kind.reorg.blocks",
                        blocks,
                        "at least one block is replaced, and fewer than `confirmations`: more is a deep-reorg",
                    );
                }
                FaultKind::DeepReorg { blocks } if blocks < self.confirmations => {
                    return impossible(
                        "faults.kind.deep-reorg.blocks",
                        blocks,
                        "nobody notices a branch that is shorter than `confirmations`",
                    );
                }
                _ => {}
            }
            if fault.at_ms > MAX_DURATION_MS || fault.down_ms > MAX_DURATION_MS {
                return impossible("faults.at_ms", fault.at_ms, "a run ends within ten years");
            }
        }
        let edges = self.forking.edges.iter().flatten();
        if let Some(edge) = edges.into_iter().find(|edge| nobody(edge)) {
            return impossible(
                "forking.edges",
                edge,
                "brokers are numbered from 0, those that join included",
            );
        }
        Ok(())
    }
}
