//! The window of unacknowledged batches: what is sent, what is resent and when to give up. A pure machine;
//! time is an argument in milliseconds on any monotonic clock.
//!
//! ```text
//!   push ──► waiting ──next──► sent ──stored──► kept for the seal ──sealed──► done
//!               ▲               │ │                    (only if `sealed` is wanted)
//!               └── connection lost, or refused for now
//!                                 └── refused for good: done; what followed in the lane comes back to be signed anew
//! ```
//!
//! Bytes are resent exactly as they were: a second version of a batch would be a fork of its lane.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_kernel::ids::LaneId;

use super::lanes::Flight;
use weir_kernel::broker::Level;

/// Batches below the wanted quorum at a time.
const OPEN_BATCHES: usize = 64;

/// Bytes of those.
const OPEN_BYTES: usize = 16 << 20;

/// Batches kept in all, those that wait for a seal included. A node takes this many unanswered from one
/// connection.
const KEPT_BATCHES: usize = 240;

/// Bytes of those.
const KEPT_BYTES: usize = 64 << 20;

/// First pause after a refusal that may pass; it doubles.
const PAUSE_MS: u64 = 50;

/// Longest pause.
const MAX_PAUSE_MS: u64 = 2000;

/// What an acknowledgement did.
#[derive(Debug)]
pub(crate) enum Acknowledged {
    /// Nothing new.
    Nothing,
    /// The batch is stored and waits for its seal.
    Progress,
    /// The batch has reached the wanted level.
    Done(Flight),
}

/// What a refusal did.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing: the batch is not in the window, or waits to be resent already.
    Nothing,
    /// It is resent after a pause.
    Later,
    /// It is over.
    Final {
        /// The batch.
        flight: Flight,
        /// Batches that followed it in its lane, in order: nobody can take them without it, so they are
        /// signed anew.
        orphans: Vec<Flight>,
    },
}

#[derive(Debug)]
struct Entry {
    flight: Flight,
    sent: bool,
    stored: bool,
}

#[derive(Debug, Default)]
struct Pace {
    entries: usize,
    paused_until_ms: u64,
    refusals: u32,
    /// When the lane last got on: a push into an idle lane, or an acknowledgement.
    progress_ms: u64,
    last_refusal: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    wanted: Level,
    timeout_ms: u64,
    next_ticket: u64,
    entries: BTreeMap<u64, Entry>,
    tickets: BTreeMap<(LaneId, u64), u64>,
    paces: BTreeMap<LaneId, Pace>,
    /// Batches not stored yet, by stream partition.
    open: BTreeMap<u32, usize>,
    open_batches: usize,
    open_bytes: usize,
    kept_bytes: usize,
}

impl Window {
    pub fn new(wanted: Level, timeout_ms: u64) -> Self {
        Self {
            wanted,
            timeout_ms,
            next_ticket: 0,
            entries: BTreeMap::new(),
            tickets: BTreeMap::new(),
            paces: BTreeMap::new(),
            open: BTreeMap::new(),
            open_batches: 0,
            open_bytes: 0,
            kept_bytes: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether another batch may enter.
    pub fn has_room(&self) -> bool {
        self.open_batches < OPEN_BATCHES
            && self.open_bytes < OPEN_BYTES
            && self.entries.len() < KEPT_BATCHES
            && self.kept_bytes < KEPT_BYTES
    }

    /// Whether a batch of this stream partition is not stored yet: then events gather for the next one.
    pub fn is_busy(&self, partition: u32) -> bool {
        self.open.contains_key(&partition)
    }

    /// Takes a batch in; batches of a lane come in order.
    pub fn push(&mut self, flight: Flight, now_ms: u64) {
        let pace = self.paces.entry(flight.lane).or_default();
        if pace.entries == 0 {
            pace.progress_ms = now_ms;
        }
        pace.entries += 1;
        *self.open.entry(flight.partition).or_default() += 1;
        self.open_batches += 1;
        self.open_bytes += flight.bytes.len();
        self.kept_bytes += flight.bytes.len();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let name = (flight.lane, flight.sequence);
        assert!(self.tickets.insert(name, ticket).is_none(), "a batch enters the window once");
        self.entries.insert(ticket, Entry { flight, sent: false, stored: false });
    }

    /// The next batch to send: the oldest that waits and whose lane is not paused.
    pub fn next(&self, now_ms: u64) -> Option<(u64, Bytes)> {
        self.entries
            .iter()
            .find(|(_, entry)| !entry.sent && self.paces[&entry.flight.lane].paused_until_ms <= now_ms)
            .map(|(ticket, entry)| (*ticket, entry.flight.bytes.clone()))
    }

    /// The batch of this ticket is on its way.
    pub fn sent(&mut self, ticket: u64) {
        self.entries.get_mut(&ticket).expect("a ticket from next").sent = true;
    }

    /// The connection is gone: everything that is left is sent again on the next one.
    pub fn disconnected(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.sent = false);
        self.paces.values_mut().for_each(|pace| pace.paused_until_ms = 0);
    }

    pub fn acknowledged(&mut self, lane: LaneId, sequence: u64, level: Level, now_ms: u64) -> Acknowledged {
        let Some(ticket) = self.tickets.get(&(lane, sequence)).copied() else { return Acknowledged::Nothing };
        let pace = self.paces.get_mut(&lane).expect("every lane in the window has a pace");
        pace.progress_ms = now_ms;
        pace.refusals = 0;
        if level >= self.wanted {
            return Acknowledged::Done(self.remove(ticket));
        }
        let entry = self.entries.get_mut(&ticket).expect("tickets name entries");
        if level == Level::Stored && !entry.stored {
            entry.stored = true;
            let (partition, bytes) = (entry.flight.partition, entry.flight.bytes.len());
            self.leave_open(partition, bytes);
            return Acknowledged::Progress;
        }
        Acknowledged::Nothing
    }

    /// A refusal. `passing` says that it may pass: then the batch and what follows it in its lane is sent
    /// again after a pause.
    pub fn refused(
        &mut self,
        lane: LaneId,
        sequence: u64,
        passing: bool,
        why: String,
        now_ms: u64,
    ) -> Refused {
        let Some(ticket) = self.tickets.get(&(lane, sequence)).copied() else { return Refused::Nothing };
        if !passing {
            return self.refused_for_good(ticket, lane);
        }
        if !self.entries[&ticket].sent {
            return Refused::Nothing;
        }
        for (_, entry) in self.entries.range_mut(ticket..).filter(|(_, entry)| entry.flight.lane == lane) {
            entry.sent = false;
        }
        let pace = self.paces.get_mut(&lane).expect("every lane in the window has a pace");
        pace.paused_until_ms = now_ms + (PAUSE_MS << pace.refusals.min(6)).min(MAX_PAUSE_MS);
        pace.refusals += 1;
        pace.last_refusal = Some(why);
        Refused::Later
    }

    fn refused_for_good(&mut self, ticket: u64, lane: LaneId) -> Refused {
        let flight = self.remove(ticket);
        let followers: Vec<u64> = self
            .entries
            .range(ticket..)
            .filter(|(_, entry)| entry.flight.lane == lane)
            .map(|(ticket, _)| *ticket)
            .collect();
        let orphans = followers.into_iter().map(|ticket| self.remove(ticket)).collect();
        Refused::Final { flight, orphans }
    }

    /// When something is due: a pause ends, or a lane has made no progress for the whole timeout.
    pub fn wake_ms(&self, now_ms: u64) -> Option<u64> {
        let pauses = self.paces.values().map(|pace| pace.paused_until_ms).filter(|until| *until > now_ms);
        let deadlines = self.paces.values().map(|pace| pace.progress_ms + self.timeout_ms);
        pauses.chain(deadlines).min()
    }

    /// Whether a lane has made no progress for the whole timeout; what the node said last, if anything.
    pub fn expired(&self, now_ms: u64) -> Option<Option<String>> {
        self.paces
            .values()
            .find(|pace| now_ms >= pace.progress_ms + self.timeout_ms)
            .map(|pace| pace.last_refusal.clone())
    }

    /// Everything that is left, in order.
    pub fn drain(&mut self) -> Vec<Flight> {
        let tickets: Vec<u64> = self.entries.keys().copied().collect();
        tickets.into_iter().map(|ticket| self.remove(ticket)).collect()
    }

    fn remove(&mut self, ticket: u64) -> Flight {
        let entry = self.entries.remove(&ticket).expect("tickets name entries");
        let flight = entry.flight;
        self.tickets.remove(&(flight.lane, flight.sequence));
        self.kept_bytes -= flight.bytes.len();
        if !entry.stored {
            self.leave_open(flight.partition, flight.bytes.len());
        }
        let pace = self.paces.get_mut(&flight.lane).expect("every lane in the window has a pace");
        pace.entries -= 1;
        if pace.entries == 0 {
            self.paces.remove(&flight.lane);
        }
        flight
    }

    fn leave_open(&mut self, partition: u32, bytes: usize) {
        self.open_batches -= 1;
        self.open_bytes -= bytes;
        let left = self.open.get_mut(&partition).expect("an open batch is counted");
        *left -= 1;
        if *left == 0 {
            self.open.remove(&partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LaneId = LaneId([1; 32]);
    const B: LaneId = LaneId([2; 32]);

    fn flight(lane: LaneId, sequence: u64) -> Flight {
        Flight {
            lane,
            sequence,
            partition: u32::from(lane.0[0]),
            bytes: vec![0; 100].into(),
            events: Vec::new(),
        }
    }

    fn window(wanted: Level, flights: &[(LaneId, u64)]) -> Window {
        let mut window = Window::new(wanted, 1000);
        flights.iter().for_each(|(lane, sequence)| window.push(flight(*lane, *sequence), 0));
        window
    }

    /// Sends everything that may go now; what went, by ticket.
    fn send(window: &mut Window, now_ms: u64) -> Vec<u64> {
        std::iter::from_fn(|| {
            let (ticket, _) = window.next(now_ms)?;
            window.sent(ticket);
            Some(ticket)
        })
        .collect()
    }

    #[test]
    fn everything_is_sent_once_and_again_after_the_connection_is_lost() {
        let mut window = window(Level::Stored, &[(A, 0), (B, 0), (A, 5)]);
        assert_eq!(send(&mut window, 0), [0, 1, 2]);
        assert!(send(&mut window, 0).is_empty());
        assert!(matches!(window.acknowledged(B, 0, Level::Stored, 1), Acknowledged::Done(_)));
        assert!(matches!(window.acknowledged(B, 0, Level::Stored, 1), Acknowledged::Nothing));
        window.disconnected();
        assert_eq!(send(&mut window, 1), [0, 2]);
    }

    #[test]
    fn the_window_fills_and_empties() {
        let mut window = Window::new(Level::Stored, 1000);
        let mut sequence = 0;
        while window.has_room() {
            window.push(flight(A, sequence), 0);
            sequence += 1;
        }
        assert_eq!(sequence, OPEN_BATCHES as u64);
        assert!(window.is_busy(1) && !window.is_busy(2));
        window.acknowledged(A, 0, Level::Stored, 0);
        assert!(window.has_room());
        assert_eq!(window.drain().len(), OPEN_BATCHES - 1);
        assert!(window.is_empty() && !window.is_busy(1));
        assert_eq!((window.open_bytes, window.kept_bytes, window.paces.len()), (0, 0, 0));
    }

    #[test]
    fn a_stored_batch_makes_room_but_is_kept_for_its_seal() {
        let mut window = window(Level::Sealed, &[(A, 0)]);
        send(&mut window, 0);
        assert!(matches!(window.acknowledged(A, 0, Level::Accepted, 0), Acknowledged::Nothing));
        assert!(window.is_busy(1));
        assert!(matches!(window.acknowledged(A, 0, Level::Stored, 500), Acknowledged::Progress));
        assert!(!window.is_busy(1) && !window.is_empty());
        assert!(window.expired(1499).is_none(), "being stored is progress");
        assert!(window.expired(1500).is_some());
        window.disconnected();
        assert_eq!(send(&mut window, 600), [0], "its seal is asked for on the next connection");
        assert!(matches!(window.acknowledged(A, 0, Level::Sealed, 700), Acknowledged::Done(_)));
    }

    #[test]
    fn a_passing_refusal_holds_the_lane_back_and_no_other() {
        let mut window = window(Level::Stored, &[(A, 0), (A, 1), (B, 0)]);
        send(&mut window, 0);
        assert!(matches!(window.refused(A, 0, true, "busy".into(), 10), Refused::Later));
        // What followed it was refused for the gap: that is known already.
        assert!(matches!(window.refused(A, 1, true, "gap".into(), 10), Refused::Nothing));
        assert!(send(&mut window, 10).is_empty());
        assert_eq!(window.wake_ms(10), Some(60));
        assert_eq!(send(&mut window, 60), [0, 1]);
        assert!(matches!(window.refused(A, 0, true, "busy".into(), 60), Refused::Later));
        assert_eq!(window.wake_ms(60), Some(160), "the pause doubles");
        assert_eq!(window.expired(1000), Some(Some("busy".into())));
    }

    #[test]
    fn a_final_refusal_gives_back_what_followed_in_its_lane() {
        let mut window = window(Level::Stored, &[(A, 0), (A, 1), (B, 0), (A, 2)]);
        send(&mut window, 0);
        window.acknowledged(A, 0, Level::Stored, 1);
        match window.refused(A, 1, false, "too big".into(), 2) {
            Refused::Final { flight, orphans } => {
                assert_eq!(flight.sequence, 1);
                assert_eq!(orphans.iter().map(|orphan| orphan.sequence).collect::<Vec<_>>(), [2]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(window.drain().len(), 1);
    }

    #[test]
    fn a_lane_that_gets_on_is_not_given_up() {
        let mut window = window(Level::Stored, &[(A, 0), (A, 1)]);
        send(&mut window, 0);
        assert_eq!(window.wake_ms(0), Some(1000));
        window.acknowledged(A, 0, Level::Stored, 900);
        assert!(window.expired(1000).is_none());
        assert_eq!(window.expired(1900), Some(None));
    }
}
