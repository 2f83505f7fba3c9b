//! An inbox: what waits for an engine thread, and how it is woken.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use weir_kernel::broker::{Command, Handed, SessionId};
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;

use super::life::Life;
use crate::engine::Completion;

/// Frames and commands taken in one turn: enough to work in batches, few enough that timers stay sharp.
pub const MAX_TAKEN: usize = 1024;

/// Bytes of frames, and of clients' batches, taken in one turn: a few milliseconds of verification, after which the
/// disk gets what is verified and peers hear what is on disk.
pub const MAX_TAKEN_BYTES: usize = 256 << 10;

/// Bytes of frames and commands that may wait for a shard: several turns of it. Beyond, nothing is taken from the
/// sockets until it has caught up, for what is behind in the same QUIC stream cannot be told from what is not.
const MAX_ARRIVED_BYTES: usize = 4 << 20;

/// Bytes of what other shards say that may wait for one: about what waits for a peer at most. Beyond, it is lost, and
/// asked for again.
const MAX_HANDED_BYTES: usize = 8 << 20;

/// What a thing that waits costs in memory beside its batches.
const COST_BYTES: usize = 256;

/// A frame and who sent it.
pub type Framed = (Address, Bytes);

/// What came from outside for a shard.
#[derive(Debug)]
pub enum Arrival {
    /// Of another broker.
    Frame(Framed),
    /// Of a client.
    Command(SessionId, Command),
}

impl Arrival {
    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        COST_BYTES
            + match self {
                Self::Frame((_, frame)) => frame.len(),
                Self::Command(_, Command::Publish { batch, .. }) => batch.bytes().len(),
                Self::Command(..) => 0,
            }
    }
}

/// What a turn takes in from outside.
#[derive(Default)]
pub struct Taken {
    /// Frames, in their order.
    pub frames: Vec<Framed>,
    /// Commands, in their order.
    pub commands: Vec<Completion>,
    /// There may be more at once.
    pub more: bool,
    /// There is room again where there was none.
    pub freed: bool,
}

impl Taken {
    /// Adds one more.
    pub fn put(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Frame(framed) => self.frames.push(framed),
            Arrival::Command(session, command) => self.commands.push(Completion::Client(session, command)),
        }
    }
}

/// Completions from the broker's own threads, what other shards and the sockets bring, and the signals that anything
/// can give. Completions are answers to operations, so the engine's own bounds bound them.
pub struct Inbox {
    life: Arc<Life>,
    state: Mutex<Waiting>,
    signal: Condvar,
}

#[derive(Default)]
struct Waiting {
    completions: Vec<Completion>,
    handed_bytes: usize,
    arrivals: VecDeque<Arrival>,
    arrived_bytes: usize,
    view: Option<Arc<State>>,
    woken: bool,
}

impl Inbox {
    /// An inbox of a broker; see [`Life::inbox`].
    pub(super) fn new(life: Arc<Life>) -> Self {
        Self { life, state: Mutex::default(), signal: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().expect("no holder of the inbox panics")
    }

    /// What the broker's threads have in common.
    pub fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Adds a completion.
    pub fn push(&self, completion: Completion) {
        self.lock().completions.push(completion);
        self.wake();
    }

    /// Adds what another shard says; false if too much waits already, and it is lost.
    pub fn hand(&self, handed: Handed) -> bool {
        let bytes = COST_BYTES
            + match &handed {
                Handed::Message(received) => received.attached_bytes(),
                Handed::Stored { .. } => 0,
            };
        {
            let mut state = self.lock();
            if state.handed_bytes + bytes > MAX_HANDED_BYTES && state.handed_bytes > 0 {
                return false;
            }
            state.handed_bytes += bytes;
            state.completions.push(Completion::Handed(handed));
        }
        self.wake();
        true
    }

    /// Adds what came from outside, whether there is room or not: who brings it has asked [`Inbox::has_room`] before.
    pub fn arrive(&self, arrivals: &mut Vec<Arrival>) {
        if arrivals.is_empty() {
            return;
        }
        {
            let mut state = self.lock();
            state.arrived_bytes += arrivals.iter().map(Arrival::bytes).sum::<usize>();
            state.arrivals.extend(arrivals.drain(..));
        }
        self.wake();
    }

    /// Whether more may be brought from outside.
    pub fn has_room(&self) -> bool {
        self.arrived_bytes() < MAX_ARRIVED_BYTES
    }

    /// Bytes of what came from outside and waits.
    pub fn arrived_bytes(&self) -> usize {
        self.lock().arrived_bytes
    }

    /// Shows a newer view; only the newest one matters.
    pub fn set_view(&self, view: Arc<State>) {
        self.lock().view = Some(view);
        self.wake();
    }

    /// Wakes the thread.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.signal.notify_one();
    }

    /// Waits until something is there or `at_most` has passed, and takes it: completions all, and if `takes_in` a
    /// turn's share of what came from outside. Both at one instant, so that what another shard said before it answered
    /// a client is there when the client asks on.
    pub fn take(&self, at_most: Duration, takes_in: bool) -> (Vec<Completion>, Taken) {
        let state = self.lock();
        let ends = || self.life.is_stopping();
        let (mut state, _) = self
            .signal
            .wait_timeout_while(state, at_most, |state| !state.woken && !ends())
            .expect("no holder of the inbox panics");
        state.woken = false;
        state.handed_bytes = 0;
        let mut completions = std::mem::take(&mut state.completions);
        completions.extend(state.view.take().map(Completion::Chain));
        let taken = if takes_in { state.take_in() } else { Taken::default() };
        (completions, taken)
    }
}

impl Waiting {
    fn take_in(&mut self) -> Taken {
        let mut taken = Taken::default();
        let (mut count, before) = (0, self.arrived_bytes);
        while count < MAX_TAKEN && before - self.arrived_bytes < MAX_TAKEN_BYTES {
            let Some(arrival) = self.arrivals.pop_front() else { break };
            count += 1;
            self.arrived_bytes -= arrival.bytes();
            taken.put(arrival);
        }
        taken.more = !self.arrivals.is_empty();
        taken.freed = before >= MAX_ARRIVED_BYTES && self.arrived_bytes < MAX_ARRIVED_BYTES;
        taken
    }
}

#[cfg(test)]
mod tests {
    use weir_kernel::ids::{PartitionId, StreamId, StreamPartition};

    use super::*;

    fn frame(bytes: usize) -> Arrival {
        Arrival::Frame((Address([1; 20]), Bytes::from(vec![0; bytes])))
    }

    #[test]
    fn a_turn_takes_its_share_in_order_and_says_when_there_is_room_again() {
        let inbox = Arc::<Life>::default().inbox();
        let mut arrivals: Vec<Arrival> = (0..=MAX_ARRIVED_BYTES >> 20).map(|_| frame(1 << 20)).collect();
        arrivals.insert(0, frame(7));
        let count = arrivals.len();
        inbox.arrive(&mut arrivals);
        assert!(arrivals.is_empty() && !inbox.has_room());
        let (_, first) = inbox.take(Duration::ZERO, true);
        assert_eq!(first.frames.iter().map(|(_, frame)| frame.len()).collect::<Vec<_>>(), [7, 1 << 20]);
        assert!(first.more && !first.freed);
        let (_, second) = inbox.take(Duration::ZERO, true);
        assert!(second.more && second.freed && inbox.has_room());
        let (_, none) = inbox.take(Duration::ZERO, false);
        assert!(none.frames.is_empty());
        let rest = (0..count).map(|_| inbox.take(Duration::ZERO, true).1.frames.len()).sum::<usize>();
        assert_eq!((rest, inbox.arrived_bytes()), (count - 3, 0));
    }

    #[test]
    fn what_shards_say_is_lost_where_too_much_waits() {
        let inbox = Arc::<Life>::default().inbox();
        let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
        let note = || Handed::Stored { slot, home: PartitionId(0), holders: Default::default() };
        let taken = (0..2 * MAX_HANDED_BYTES / COST_BYTES).filter(|_| inbox.hand(note())).count();
        assert_eq!(taken, MAX_HANDED_BYTES / COST_BYTES);
        assert_eq!(inbox.take(Duration::ZERO, true).0.len(), taken);
        assert!(inbox.hand(note()));
    }

    #[test]
    fn one_failure_wakes_all_and_is_told() {
        let life = Arc::<Life>::default();
        let inboxes = [life.inbox(), life.inbox()];
        life.fail(String::from("the first"));
        life.fail(String::from("the second"));
        inboxes.iter().for_each(|inbox| drop(inbox.take(Duration::from_secs(60), true)));
        assert_eq!(life.failure().as_deref(), Some("the first"));
    }
}
