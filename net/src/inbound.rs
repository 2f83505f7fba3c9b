//! What waits for the engine: events of all peers in one bounded queue, fair between peers.
//!
//! Each peer has an inbox with a lane a channel. `poll` gives out refusals, then beginnings and ends of sessions,
//! then frames: peers in turn, live before bulk but for one in [`limits::BULK_SHARE`]. A peer with a full lane is no
//! longer read ([`Inbound::room`]), which disturbs nobody else.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use weir_kernel::ids::Address;

use crate::close::{CloseCode, CloseReason, RefuseReason};
use crate::counters::{Counters, add};
use crate::limits::{self, FRAME_COST_BYTES};
use crate::{Channel, NetEvent, Waker};

/// Numbers the sessions of one transport, so that a late word from an old one is recognised.
pub(crate) type SessionId = u64;

pub(crate) struct Inbound {
    state: Mutex<State>,
    room: Notify,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct State {
    inboxes: BTreeMap<Address, Inbox>,
    /// Peers with a beginning or an end to tell, each once.
    notices: VecDeque<Address>,
    /// Peers with frames, each once a channel, the next to serve first.
    ready: [VecDeque<Address>; 2],
    /// Bytes that wait, a channel.
    queued: [usize; 2],
    refused: VecDeque<(SocketAddr, RefuseReason)>,
    /// Frames given out since both channels began to have some, modulo the bulk share.
    turn: u32,
    /// Whether something arrived that nobody was woken for yet would be news: true before the first arrival and
    /// after each poll that took everything.
    idle: bool,
    waker: Option<Waker>,
}

struct Inbox {
    session: SessionId,
    /// The end of an earlier session that the engine knows of and has not been told.
    before: Option<CloseReason>,
    told: bool,
    ended: Option<CloseReason>,
    lanes: [VecDeque<Bytes>; 2],
    bytes: [usize; 2],
}

impl Inbox {
    fn has_notice(&self) -> bool {
        self.before.is_some()
            || !self.told
            || (self.ended.is_some() && self.lanes.iter().all(VecDeque::is_empty))
    }
}

impl State {
    fn note(&mut self, address: Address) {
        if !self.notices.contains(&address) {
            self.notices.push_back(address);
        }
    }

    fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.notices.is_empty() && self.ready.iter().all(VecDeque::is_empty)
    }

    /// Throws away a peer's frames; returns how many.
    fn clear(&mut self, address: Address) -> usize {
        let Some(inbox) = self.inboxes.get_mut(&address) else { return 0 };
        let mut thrown = 0;
        for channel in Channel::ALL.map(Channel::index) {
            thrown += inbox.lanes[channel].len();
            inbox.lanes[channel].clear();
            self.queued[channel] -= std::mem::take(&mut inbox.bytes[channel]);
            self.ready[channel].retain(|peer| *peer != address);
        }
        thrown
    }

    fn next(&mut self) -> Option<NetEvent> {
        if let Some((remote, reason)) = self.refused.pop_front() {
            return Some(NetEvent::Refused { remote, reason });
        }
        if let Some(event) = self.next_notice() {
            return Some(event);
        }
        let contended = self.ready.iter().all(|ready| !ready.is_empty());
        self.turn = if contended { (self.turn + 1) % limits::BULK_SHARE } else { 0 };
        let order = if contended && self.turn == 0 { [1, 0] } else { [0, 1] };
        order.into_iter().find_map(|channel| self.next_frame(channel))
    }

    fn next_notice(&mut self) -> Option<NetEvent> {
        let address = *self.notices.front()?;
        let inbox = self.inboxes.get_mut(&address).expect("a notice belongs to an inbox");
        let event = if let Some(reason) = inbox.before.take() {
            NetEvent::Disconnected(address, reason)
        } else if !inbox.told {
            inbox.told = true;
            NetEvent::Connected(address)
        } else {
            let reason = inbox.ended.take().expect("a notice is a beginning or an end");
            self.inboxes.remove(&address);
            NetEvent::Disconnected(address, reason)
        };
        if !self.inboxes.get(&address).is_some_and(Inbox::has_notice) {
            self.notices.pop_front();
        }
        Some(event)
    }

    fn next_frame(&mut self, channel: usize) -> Option<NetEvent> {
        let from = self.ready[channel].pop_front()?;
        let inbox = self.inboxes.get_mut(&from).expect("a ready peer has an inbox");
        let frame = inbox.lanes[channel].pop_front().expect("a ready peer has a frame");
        let cost = frame.len() + FRAME_COST_BYTES;
        inbox.bytes[channel] -= cost;
        self.queued[channel] -= cost;
        if !inbox.lanes[channel].is_empty() {
            self.ready[channel].push_back(from);
        } else if inbox.has_notice() {
            self.note(from);
        }
        Some(NetEvent::Received { from, frame })
    }

    /// The waker, if the engine may be asleep and does not know that something is here.
    fn arrival(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.idle, false) { self.waker.clone() } else { None }
    }
}

impl Inbound {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { state: Mutex::new(State { idle: true, ..State::default() }), room: Notify::new(), counters }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes the engine if that is news to it.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, waker) = {
            let mut state = self.lock();
            let result = change(&mut state);
            let waker = if state.is_empty() { None } else { state.arrival() };
            (result, waker)
        };
        if let Some(waker) = waker {
            waker();
        }
        result
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        let mut state = self.lock();
        state.waker = Some(Arc::clone(&waker));
        let waiting = !state.is_empty();
        drop(state);
        if waiting {
            waker();
        }
    }

    /// Begins a session; an earlier one of the same peer that is still here ends, its frames are lost.
    pub(crate) fn open(&self, address: Address, session: SessionId) {
        add(&self.counters.sessions_opened, 1);
        self.change(|state| {
            let thrown = state.clear(address);
            add(&self.counters.frames_discarded, thrown);
            let before = state.inboxes.remove(&address).and_then(|old| {
                let end = old.ended.unwrap_or_else(|| {
                    add(&self.counters.sessions_closed, 1);
                    CloseReason::Local(CloseCode::Replaced)
                });
                if old.told { Some(end) } else { old.before }
            });
            let (lanes, bytes) = Default::default();
            state.inboxes.insert(address, Inbox { session, before, told: false, ended: None, lanes, bytes });
            state.note(address);
        });
        self.room.notify_waiters();
    }

    /// Ends a session; with `cut` what it sent is not given out any more.
    pub(crate) fn end(&self, address: Address, session: SessionId, reason: CloseReason, cut: bool) {
        self.change(|state| {
            let Some(inbox) = state.inboxes.get_mut(&address) else { return };
            if inbox.session != session || inbox.ended.is_some() {
                return;
            }
            inbox.ended = Some(reason);
            add(&self.counters.sessions_closed, 1);
            if cut {
                let thrown = state.clear(address);
                add(&self.counters.frames_discarded, thrown);
            }
            if state.inboxes.get(&address).is_some_and(Inbox::has_notice) {
                state.note(address);
            }
        });
        self.room.notify_waiters();
    }

    /// Queues frames of a session; those of an ended one are dropped.
    pub(crate) fn push(&self, address: Address, session: SessionId, channel: Channel, frames: Vec<Bytes>) {
        let lane = channel.index();
        self.change(|state| {
            let inbox = state.inboxes.get_mut(&address).filter(|i| i.session == session && i.ended.is_none());
            let Some(inbox) = inbox else {
                add(&self.counters.frames_discarded, frames.len());
                return;
            };
            if frames.is_empty() {
                return;
            }
            if inbox.lanes[lane].is_empty() {
                state.ready[lane].push_back(address);
            }
            let bytes: usize = frames.iter().map(Bytes::len).sum();
            let cost = bytes + frames.len() * FRAME_COST_BYTES;
            inbox.bytes[lane] += cost;
            state.queued[lane] += cost;
            add(&self.counters.frames_received, frames.len());
            add(&self.counters.bytes_received, bytes);
            inbox.lanes[lane].extend(frames);
        });
    }

    /// Bytes of a peer that wait on a channel.
    pub(crate) fn queued(&self, address: Address, channel: Channel) -> usize {
        self.lock().inboxes.get(&address).map_or(0, |inbox| inbox.bytes[channel.index()])
    }

    /// Bytes of all peers that wait, with what each frame costs beside its length.
    pub(crate) fn queued_in_all(&self) -> usize {
        self.lock().queued.iter().sum()
    }

    /// Waits until a stream may be read; false once its session is over.
    pub(crate) async fn room(&self, address: Address, session: SessionId, channel: Channel) -> bool {
        loop {
            let freed = self.room.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let state = self.lock();
                let Some(inbox) = state.inboxes.get(&address).filter(|inbox| inbox.session == session) else {
                    return false;
                };
                let lane = channel.index();
                if inbox.bytes[lane] < limits::PEER_IN_BYTES && state.queued[lane] < limits::TOTAL_IN_BYTES {
                    return inbox.ended.is_none();
                }
            }
            freed.await;
        }
    }

    pub(crate) fn refuse(&self, remote: SocketAddr, reason: RefuseReason) {
        add(&self.counters.handshakes_refused, 1);
        self.change(|state| {
            if state.refused.len() < limits::MAX_REFUSED_QUEUED {
                state.refused.push_back((remote, reason));
            }
        });
    }

    pub(crate) fn poll(&self, max: usize) -> Vec<NetEvent> {
        let mut state = self.lock();
        let mut events = Vec::new();
        while events.len() < max {
            let Some(event) = state.next() else { break };
            events.push(event);
        }
        state.idle = state.is_empty();
        let waker = if state.idle { None } else { state.waker.clone() };
        drop(state);
        if events.iter().any(|event| matches!(event, NetEvent::Received { .. })) {
            self.room.notify_waiters();
        }
        if let Some(waker) = waker {
            waker();
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address([1; 20]);
    const B: Address = Address([2; 20]);

    fn inbound() -> Inbound {
        Inbound::new(Arc::default())
    }

    fn frame(from: Address, text: &'static str) -> NetEvent {
        NetEvent::Received { from, frame: Bytes::from_static(text.as_bytes()) }
    }

    fn texts(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn peers_take_turns_and_live_goes_first() {
        let inbound = inbound();
        inbound.open(A, 1);
        inbound.open(B, 2);
        inbound.push(A, 1, Channel::Bulk, texts(&["a3"]));
        inbound.push(A, 1, Channel::Live, texts(&["a1", "a2"]));
        inbound.push(B, 2, Channel::Live, texts(&["b1"]));
        let expected = [
            NetEvent::Connected(A),
            NetEvent::Connected(B),
            frame(A, "a1"),
            frame(B, "b1"),
            frame(A, "a2"),
            frame(A, "a3"),
        ];
        assert_eq!(inbound.poll(100), expected);
    }

    #[test]
    fn bulk_gets_its_share_of_a_busy_network() {
        let inbound = inbound();
        inbound.open(A, 1);
        inbound.push(A, 1, Channel::Bulk, texts(&["bulk"; 10]));
        inbound.push(A, 1, Channel::Live, texts(&["live"; 100]));
        inbound.poll(1);
        let first: Vec<_> = inbound.poll(16);
        assert_eq!(first.iter().filter(|event| **event == frame(A, "bulk")).count(), 2);
    }

    #[test]
    fn an_end_follows_the_last_frame() {
        let inbound = inbound();
        inbound.open(A, 1);
        inbound.push(A, 1, Channel::Live, texts(&["last"]));
        inbound.end(A, 1, CloseReason::TimedOut, false);
        inbound.push(A, 1, Channel::Live, texts(&["too late"]));
        let expected =
            [NetEvent::Connected(A), frame(A, "last"), NetEvent::Disconnected(A, CloseReason::TimedOut)];
        assert_eq!(inbound.poll(100), expected);
        assert_eq!(inbound.counters.snapshot().frames_discarded, 1);
    }

    #[test]
    fn a_cut_loses_what_waits() {
        let inbound = inbound();
        inbound.open(A, 1);
        inbound.push(A, 1, Channel::Live, texts(&["lost"]));
        inbound.end(A, 1, CloseReason::Local(CloseCode::Removed), true);
        let end = NetEvent::Disconnected(A, CloseReason::Local(CloseCode::Removed));
        assert_eq!(inbound.poll(100), [NetEvent::Connected(A), end]);
        assert_eq!(inbound.queued(A, Channel::Live), 0);
    }

    #[test]
    fn beginnings_and_ends_alternate_however_late_the_poll() {
        let inbound = inbound();
        inbound.open(A, 1);
        inbound.poll(10);
        inbound.end(A, 1, CloseReason::TimedOut, false);
        for session in 2..10 {
            inbound.open(A, session);
            inbound.push(A, session, Channel::Live, texts(&["x"]));
        }
        inbound.end(A, 8, CloseReason::Reset, false);
        let end = NetEvent::Disconnected(A, CloseReason::TimedOut);
        assert_eq!(inbound.poll(100), [end, NetEvent::Connected(A), frame(A, "x")]);
    }

    #[test]
    fn the_waker_is_called_once_a_sleep_and_again_for_leftovers() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let calls = Arc::new(AtomicUsize::new(0));
        let inbound = inbound();
        let seen = Arc::clone(&calls);
        inbound.set_waker(Arc::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        }));
        inbound.open(A, 1);
        inbound.push(A, 1, Channel::Live, texts(&["1", "2"]));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        inbound.poll(1);
        assert_eq!(calls.load(Ordering::SeqCst), 2, "something is left");
        inbound.poll(10);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        inbound.push(A, 1, Channel::Live, texts(&["3"]));
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn refusals_are_bounded() {
        let inbound = inbound();
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        for _ in 0..limits::MAX_REFUSED_QUEUED + 5 {
            inbound.refuse(remote, RefuseReason::Tls(String::new()));
        }
        assert_eq!(inbound.poll(1000).len(), limits::MAX_REFUSED_QUEUED);
        assert_eq!(inbound.counters.snapshot().handshakes_refused, limits::MAX_REFUSED_QUEUED as u64 + 5);
    }
}
