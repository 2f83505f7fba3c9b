//! Brokers that take time to keep an event: while one is busy, what comes from others waits in its order.

use std::collections::{BTreeMap, VecDeque};

use weir_kernel::log::Record;
use weir_node::engine::Completion;

use super::{Event, World};

/// Frames that wait at a broker at most; more are lost, as a bounded queue loses them.
const QUEUE: usize = 4_096;

/// Who is busy until when, and what waits there.
#[derive(Debug, Default)]
pub(crate) struct Service {
    /// In virtual nanoseconds.
    busy_ns: BTreeMap<usize, u64>,
    waiting: BTreeMap<usize, VecDeque<Event>>,
}

impl World<'_> {
    /// A broker writes: keeping the events takes its time.
    pub(super) fn occupy(&mut self, node: usize, records: &[Record]) {
        if self.scenario.event_ns == 0 {
            return;
        }
        let count = |record: &Record| match record {
            Record::Batch(batch) => u64::from(batch.count),
            _ => 0,
        };
        let events: u64 = records.iter().map(count).sum();
        let busy_ns = self.service.busy_ns.entry(node).or_insert(0);
        *busy_ns = (*busy_ns).max(self.now_us * 1_000) + events * self.scenario.event_ns;
    }

    /// Until when a broker is busy, in virtual microseconds.
    fn busy_us(&self, node: usize) -> Option<u64> {
        let busy_us = self.service.busy_ns.get(&node)?.div_ceil(1_000);
        (busy_us > self.now_us).then_some(busy_us)
    }

    /// Something happens now, or when the broker that it concerns has time.
    pub(super) fn serve(&mut self, event: Event) {
        if self.scenario.event_ns == 0 {
            return self.on_event(event);
        }
        let node = match &event {
            Event::Frame { to, .. } => *to as usize,
            Event::Completion { node, completion: Completion::Client(..), .. } => *node,
            _ => return self.on_event(event),
        };
        let waits = self.service.waiting.get(&node).is_some_and(|waiting| !waiting.is_empty());
        match self.busy_us(node) {
            None if !waits => self.on_event(event),
            busy_us => {
                let waiting = self.service.waiting.entry(node).or_default();
                if waiting.len() >= QUEUE && matches!(event, Event::Frame { .. }) {
                    return;
                }
                waiting.push_back(event);
                if !waits {
                    self.heap.schedule(busy_us.unwrap_or(self.now_us), Event::Served { node });
                }
            }
        }
    }

    /// A broker has time again.
    pub(super) fn on_served(&mut self, node: usize) {
        loop {
            if let Some(busy_us) = self.busy_us(node) {
                return self.heap.schedule(busy_us, Event::Served { node });
            }
            let next = self.service.waiting.get_mut(&node).and_then(VecDeque::pop_front);
            let Some(event) = next else { return };
            self.on_event(event);
            if self.service.waiting.get(&node).is_none_or(VecDeque::is_empty) {
                return;
            }
        }
    }
}
