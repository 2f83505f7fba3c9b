//! The fan-out buffer: one producer, many readers, each with a bounded queue of its own.
//!
//! What is delivered is made once and shared: an item is something that is cheap to clone, such as an [`Arc`] of a
//! signed batch, however many readers get it. A reader's queue is bounded by entries and bytes. The producer never
//! waits: a reader whose queue is full is ended as [`Behind`], what it had is freed at once, and neither the producer
//! nor the other readers notice more than that.
//!
//! A queue that is empty takes one item of any size. Items come out in the order in which they were sent; the end comes
//! after the last, but for a reader that is behind, for which it comes at once.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, lock};

/// How much a reader may leave in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Items.
    pub entries: usize,
    /// Bytes of all items together.
    pub bytes: usize,
}

/// The reader took too little: it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind;

/// Why a reader gets nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It left too much in its queue; what was there is gone.
    Behind,
    /// The producer has ended; everything was taken.
    Over,
}

/// What the queues hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Readers.
    pub readers: usize,
    /// Items in all queues.
    pub entries: usize,
    /// Bytes in all queues, an item as often as it is queued.
    pub bytes: usize,
    /// The most bytes that the queue of any reader ever held.
    pub most_bytes: usize,
    /// Readers that were ended because they took too little.
    pub behind: u64,
}

/// The producer's side, and where readers join. A clone is the same buffer.
#[derive(Debug)]
pub struct Fanout<K, T> {
    shared: Arc<Shared<K, T>>,
}

#[derive(Debug)]
struct Shared<K, T> {
    limit: Limit,
    readers: Mutex<Readers<K, T>>,
}

#[derive(Debug)]
struct Readers<K, T> {
    queues: BTreeMap<K, Arc<Mutex<Queue<T>>>>,
    is_over: bool,
    /// Of readers that are gone.
    most_bytes: usize,
    behind: u64,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    most_bytes: usize,
    end: Option<End>,
    waker: Option<Waker>,
}

/// A reader's side. Dropping it leaves.
#[derive(Debug)]
pub struct Reader<K: Ord, T> {
    key: K,
    shared: Arc<Shared<K, T>>,
    queue: Arc<Mutex<Queue<T>>>,
}

impl<K, T> Clone for Fanout<K, T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Queue<T> {
    /// Ends it; says whom to wake.
    fn end(&mut self, end: End) -> Option<Waker> {
        self.end.get_or_insert(end);
        self.waker.take()
    }
}

impl<K: Ord + Clone, T> Fanout<K, T> {
    /// A buffer whose readers may each leave so much.
    pub fn new(limit: Limit) -> Self {
        assert!(limit.entries > 0, "a queue takes one item at least");
        let readers = Readers { queues: BTreeMap::new(), is_over: false, most_bytes: 0, behind: 0 };
        Self { shared: Arc::new(Shared { limit, readers: Mutex::new(readers) }) }
    }

    /// A new reader, which gets what is sent to `key` from now on. Keys are used once.
    pub fn subscribe(&self, key: K) -> Reader<K, T> {
        let queue = Queue { items: VecDeque::new(), bytes: 0, most_bytes: 0, end: None, waker: None };
        let queue = Arc::new(Mutex::new(queue));
        let mut readers = lock(&self.shared.readers);
        if readers.is_over {
            lock(&queue).end = Some(End::Over);
        } else {
            let before = readers.queues.insert(key.clone(), Arc::clone(&queue));
            assert!(before.is_none(), "two readers of one key");
        }
        drop(readers);
        Reader { key, shared: Arc::clone(&self.shared), queue }
    }

    /// Queues an item of so many bytes for a reader. One that has left is passed over.
    ///
    /// # Errors
    ///
    /// [`Behind`], once: the reader's queue was full, and the reader is ended.
    pub fn send(&self, key: &K, item: T, bytes: usize) -> Result<(), Behind> {
        let mut readers = lock(&self.shared.readers);
        let Some(queue) = readers.queues.get(key) else { return Ok(()) };
        let mut state = lock(queue);
        let Limit { entries, bytes: most } = self.shared.limit;
        let is_full = state.items.len() >= entries || state.bytes + bytes > most;
        if !is_full || state.items.is_empty() {
            state.bytes += bytes;
            state.most_bytes = state.most_bytes.max(state.bytes);
            state.items.push_back((item, bytes));
            let waker = state.waker.take();
            drop(state);
            drop(readers);
            waker.into_iter().for_each(Waker::wake);
            return Ok(());
        }
        let lost = std::mem::take(&mut state.items);
        state.bytes = 0;
        let (waker, most_bytes) = (state.end(End::Behind), state.most_bytes);
        drop(state);
        let queue = readers.queues.remove(key);
        readers.most_bytes = readers.most_bytes.max(most_bytes);
        readers.behind += 1;
        drop(readers);
        drop((lost, queue));
        waker.into_iter().for_each(Waker::wake);
        Err(Behind)
    }

    /// Ends every reader, now and to come: each still gets what it has.
    pub fn end(&self) {
        let mut readers = lock(&self.shared.readers);
        readers.is_over = true;
        let queues = std::mem::take(&mut readers.queues);
        drop(readers);
        for queue in queues.into_values() {
            let waker = lock(&queue).end(End::Over);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// What the queues hold now.
    pub fn held(&self) -> Held {
        let readers = lock(&self.shared.readers);
        let gone = Held { most_bytes: readers.most_bytes, behind: readers.behind, ..Held::default() };
        readers.queues.values().fold(gone, |held, queue| {
            let queue = lock(queue);
            Held {
                readers: held.readers + 1,
                entries: held.entries + queue.items.len(),
                bytes: held.bytes + queue.bytes,
                most_bytes: held.most_bytes.max(queue.most_bytes),
                ..held
            }
        })
    }
}

impl<K: Ord, T> Reader<K, T> {
    /// The next item, or the end; waits for it. Safe to drop before it is ready: nothing is lost.
    ///
    /// # Errors
    ///
    /// [`End`] says why there is nothing more.
    pub async fn next(&mut self) -> Result<T, End> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, to be polled.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<T, End>> {
        let mut queue = lock(&self.queue);
        match take(&mut queue) {
            Some(taken) => Poll::Ready(taken),
            None => {
                // Kept under the lock under which an item comes: it is seen here, or its sender sees the waker.
                queue.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next item or the end, if it is there already.
    pub fn try_next(&mut self) -> Option<Result<T, End>> {
        take(&mut lock(&self.queue))
    }
}

fn take<T>(queue: &mut Queue<T>) -> Option<Result<T, End>> {
    match queue.items.pop_front() {
        Some((item, bytes)) => {
            assert!(queue.bytes >= bytes, "an item counts the same coming and going");
            queue.bytes -= bytes;
            Some(Ok(item))
        }
        None => queue.end.map(Err),
    }
}

impl<K: Ord, T> Drop for Reader<K, T> {
    fn drop(&mut self) {
        let mut readers = lock(&self.shared.readers);
        // Its own queue only: the key of one that was ended may be another's by now.
        if readers.queues.get(&self.key).is_some_and(|queue| Arc::ptr_eq(queue, &self.queue)) {
            readers.queues.remove(&self.key);
            readers.most_bytes = readers.most_bytes.max(lock(&self.queue).most_bytes);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { entries: 3, bytes: 10 };

    #[test]
    fn a_reader_that_takes_too_little_is_ended_and_the_others_do_not_notice() {
        let fanout = Fanout::new(LIMIT);
        let (mut slow, mut fast) = (fanout.subscribe(1), fanout.subscribe(2));
        let item = std::sync::Arc::new("event");
        for number in 0..4 {
            assert_eq!(fanout.send(&1, item.clone(), 1), if number < 3 { Ok(()) } else { Err(Behind) });
            assert_eq!(fanout.send(&2, item.clone(), 1), Ok(()));
            assert_eq!(fast.try_next(), Some(Ok(item.clone())));
        }
        assert_eq!(slow.try_next(), Some(Err(End::Behind)), "what it had is gone");
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
        assert_eq!(fanout.send(&1, item, 1), Ok(()), "it is told once");
        assert_eq!(fanout.held(), Held { readers: 1, entries: 0, bytes: 0, most_bytes: 3, behind: 1 });
        assert_eq!(fast.try_next(), None);
    }

    #[test]
    fn bytes_are_bounded_but_one_item_of_any_size_fits() {
        let fanout = Fanout::new(LIMIT);
        let mut reader = fanout.subscribe(1);
        fanout.send(&1, 'a', 50).unwrap();
        assert_eq!(fanout.held().bytes, 50);
        assert_eq!(reader.try_next(), Some(Ok('a')));
        fanout.send(&1, 'b', 6).unwrap();
        fanout.send(&1, 'c', 4).unwrap();
        assert_eq!(fanout.send(&1, 'd', 1), Err(Behind));
    }

    #[test]
    fn the_end_comes_after_the_last_item() {
        let fanout = Fanout::new(LIMIT);
        let mut reader = fanout.subscribe(1);
        fanout.send(&1, 'a', 1).unwrap();
        fanout.end();
        assert_eq!(reader.try_next(), Some(Ok('a')));
        assert_eq!(reader.try_next(), Some(Err(End::Over)));
        assert_eq!(fanout.subscribe(2).try_next(), Some(Err(End::Over)));
    }

    #[test]
    fn who_leaves_frees_what_it_had() {
        let fanout = Fanout::new(LIMIT);
        let reader = fanout.subscribe(1);
        let item = std::sync::Arc::new(());
        fanout.send(&1, item.clone(), 1).unwrap();
        drop(reader);
        assert_eq!((std::sync::Arc::strong_count(&item), fanout.held().readers), (1, 0));
        fanout.send(&1, item, 1).unwrap();
    }
}
