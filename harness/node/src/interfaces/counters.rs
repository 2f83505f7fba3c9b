//! What the interfaces count, as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::handle::NodeHandle;
use crate::service::Gateway;

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events handed in over HTTP or WebSocket to be signed here.
    pub published: AtomicU64,
    /// Signed batches handed in.
    pub batches: AtomicU64,
    /// Publishes refused.
    pub refused: AtomicU64,
    /// Events sent to readers and subscribers.
    pub delivered: AtomicU64,
    /// WebSockets open now.
    pub sockets: AtomicU64,
    /// WebSockets closed because their client did not take its data.
    pub slow_readers: AtomicU64,
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Counts an open WebSocket for as long as it lives.
#[derive(Debug)]
pub struct OpenSocket<'a>(&'a Counters);

impl<'a> OpenSocket<'a> {
    /// One more.
    pub fn new(counters: &'a Counters) -> Self {
        count(&counters.sockets, 1);
        Self(counters)
    }
}

impl Drop for OpenSocket<'_> {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// WebSockets open now.
    pub fn open_sockets(&self) -> u64 {
        self.sockets.load(Ordering::Relaxed)
    }

    /// All figures in the Prometheus text format, version 0.0.4.
    pub fn render(&self, gateway: &Gateway) -> String {
        let mut out = String::new();
        let own = [
            (
                "weir_published_events_total",
                "counter",
                "Events handed in to be signed here.",
                &self.published,
            ),
            ("weir_received_batches_total", "counter", "Signed batches handed in.", &self.batches),
            ("weir_refused_publishes_total", "counter", "Publishes refused.", &self.refused),
            (
                "weir_delivered_events_total",
                "counter",
                "Events sent to readers and subscribers.",
                &self.delivered,
            ),
            ("weir_websockets", "gauge", "WebSockets open now.", &self.sockets),
            ("weir_slow_readers_total", "counter", "WebSockets closed as too slow.", &self.slow_readers),
        ];
        for (name, kind, help, value) in own {
            one(&mut out, name, kind, help, value.load(Ordering::Relaxed));
        }
        let rendered = gateway.renderings().held_bytes();
        let help = "Bytes of batches and their JSON that subscribers share.";
        one(&mut out, "weir_rendered_bytes", "gauge", help, rendered);
        if let Ok(view) = gateway.view() {
            one(&mut out, "weir_chain_height", "gauge", "Newest confirmed block.", view.height);
            one(&mut out, "weir_epoch", "gauge", "Epoch of that block.", view.epoch());
            let sealed: u128 = view.partitions.iter().map(|partition| partition.events).sum();
            one(&mut out, "weir_sealed_events", "gauge", "Events sealed on chain.", sealed);
        }
        let nodes: Vec<_> = gateway
            .nodes()
            .iter()
            .map(|node| (node.address().to_string(), node.is_running(), node.statistics()))
            .collect();
        let mut family = |name: &str, help: &str, value: &dyn Fn(usize) -> u64| {
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")
                .expect("writing to a string cannot fail");
            for (index, (address, _, _)) in nodes.iter().enumerate() {
                writeln!(out, "{name}{{broker=\"{address}\"}} {}", value(index))
                    .expect("writing to a string cannot fail");
            }
        };
        family("weir_broker_running", "Whether the broker runs.", &|at| u64::from(nodes[at].1));
        family("weir_broker_events", "Events that the broker keeps.", &|at| nodes[at].2.events);
        family("weir_broker_batches", "Batches that the broker keeps.", &|at| nodes[at].2.batches);
        family("weir_broker_bytes", "Bytes of batches that the broker keeps.", &|at| nodes[at].2.bytes);
        let held: Vec<_> = gateway.nodes().iter().map(NodeHandle::held).collect();
        family("weir_broker_sessions", "Sessions of clients.", &|at| held[at].readers as u64);
        family("weir_broker_held_bytes", "Bytes that wait for sessions.", &|at| held[at].bytes as u64);
        family("weir_broker_held_bytes_most", "The most that ever waited for one session.", &|at| {
            held[at].most_bytes as u64
        });
        family("weir_broker_peers", "Peers connected to the broker.", &|at| nodes[at].2.peers);
        out
    }
}

fn one(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
        .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_follows_its_type() {
        let counters = Counters::default();
        count(&counters.published, 3);
        let text = counters.render(&Gateway::default());
        assert!(text.contains("# TYPE weir_published_events_total counter\nweir_published_events_total 3\n"));
        let open = OpenSocket::new(&counters);
        assert!(counters.render(&Gateway::default()).contains("weir_websockets 1\n"));
        drop(open);
        assert!(counters.render(&Gateway::default()).contains("weir_websockets 0\n"));
    }
}
