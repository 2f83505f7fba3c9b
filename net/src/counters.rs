//! What a transport counts: monotonic numbers for telemetry, written by its tasks, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Live counters of one transport.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// The counters at one moment. Each only grows while the transport lives.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct CountersSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads all counters; each is exact, the set is not one instant.
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl CountersSnapshot {
            /// Names and values, for an exporter.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Frames handed to a stream.
    frames_sent,
    /// Their bytes, without prefixes.
    bytes_sent,
    /// Frames taken from a stream and queued for the engine.
    frames_received,
    /// Their bytes, without prefixes.
    bytes_received,
    /// Frames refused by `send` because the queue was full.
    frames_full,
    /// Received frames thrown away because their session ended before the engine polled them.
    frames_discarded,
    /// Sessions begun.
    sessions_opened,
    /// Sessions ended.
    sessions_closed,
    /// Sessions that this node ended because the peer broke the protocol.
    sessions_misbehaved,
    /// Connections refused in the TLS handshake or the hello.
    handshakes_refused,
    /// Incoming connections refused unread because too many were in their handshake.
    handshakes_shed,
    /// Dialling attempts that reached nobody.
    dials_failed,
}

pub(crate) fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}
