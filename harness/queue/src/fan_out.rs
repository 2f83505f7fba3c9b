//! The buffer between one producer that serves many readers and one of these readers.
//!
//! The producer never waits: what finds no room ends this reader's buffer and nobody else's. The reader still gets
//! what was taken in before the end, then the reason of the end.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, lock};

/// How much may wait for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Items at most.
    pub items: usize,
    /// Bytes at most; an item that is larger than all of it is taken when nothing else waits.
    pub bytes: usize,
}

/// Why a buffer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The producer is done.
    Closed,
    /// The reader did not take what it was sent.
    Overflow,
}

/// No room: the buffer has ended for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended(pub End);

/// The producer's end. Dropping it closes the buffer.
#[derive(Debug)]
pub struct Feed<T> {
    shared: Arc<Shared<T>>,
}

/// The reader's end. When it is dropped nothing is kept any more.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    bounds: Bounds,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    end: Option<End>,
    waker: Option<Waker>,
}

/// A buffer: the end that is fed and the end that is read.
pub fn buffer<T>(bounds: Bounds) -> (Feed<T>, Reader<T>) {
    let state = State { items: VecDeque::new(), bytes: 0, end: None, waker: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), bounds });
    (Feed { shared: Arc::clone(&shared) }, Reader { shared })
}

impl<T> Shared<T> {
    /// Ends the buffer; the first reason stays.
    fn end(&self, why: End) {
        let waker = {
            let mut state = lock(&self.state);
            state.end.get_or_insert(why);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Feed<T> {
    /// Hands an item to the reader.
    ///
    /// # Errors
    ///
    /// [`Ended`]: the reader takes nothing any more, because it is gone or because the item found no room.
    pub fn offer(&self, item: T, bytes: usize) -> Result<(), Ended> {
        let (waker, result) = {
            let mut state = lock(&self.shared.state);
            if let Some(end) = state.end {
                return Err(Ended(end));
            }
            let Bounds { items: most, bytes: most_bytes } = self.shared.bounds;
            let fits = state.items.is_empty()
                || state.items.len() < most && state.bytes.saturating_add(bytes) <= most_bytes;
            let result = if fits {
                state.bytes += bytes;
                state.items.push_back((item, bytes));
                Ok(())
            } else {
                state.end = Some(End::Overflow);
                Err(Ended(End::Overflow))
            };
            (state.waker.take(), result)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Bytes that wait for the reader.
    pub fn queued_bytes(&self) -> usize {
        lock(&self.shared.state).bytes
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.shared.end(End::Closed);
    }
}

impl<T> Reader<T> {
    /// The next item, or why there is none any more. Safe to drop before it is ready: nothing is lost.
    ///
    /// # Errors
    ///
    /// The reason of the end, once everything before it was given out.
    pub async fn recv(&mut self) -> Result<T, End> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`Reader::recv`], for whoever polls.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<T, End>> {
        let mut state = lock(&self.shared.state);
        if let Some((item, bytes)) = state.items.pop_front() {
            state.bytes -= bytes;
            return Poll::Ready(Ok(item));
        }
        if let Some(end) = state.end {
            return Poll::Ready(Err(end));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let items = {
            let mut state = lock(&self.shared.state);
            state.end.get_or_insert(End::Closed);
            state.bytes = 0;
            state.waker = None;
            std::mem::take(&mut state.items)
        };
        drop(items);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::pin::pin;
    use std::task::Wake;

    use super::*;

    const FEW: Bounds = Bounds { items: 2, bytes: 100 };

    struct Nothing;

    impl Wake for Nothing {
        fn wake(self: std::sync::Arc<Self>) {}
    }

    fn now<T>(reader: &mut Reader<T>) -> Option<Result<T, End>> {
        let waker = Waker::from(std::sync::Arc::new(Nothing));
        match pin!(reader.recv()).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ready) => Some(ready),
            Poll::Pending => None,
        }
    }

    #[test]
    fn too_many_items_end_it_and_those_before_are_given_out() {
        let (feed, mut reader) = buffer(FEW);
        assert_eq!(now(&mut reader), None);
        assert_eq!([1, 2, 3].map(|item| feed.offer(item, 1)), [Ok(()), Ok(()), Err(Ended(End::Overflow))]);
        assert_eq!(feed.offer(4, 1), Err(Ended(End::Overflow)), "an end is an end");
        assert_eq!(now(&mut reader), Some(Ok(1)));
        assert_eq!(now(&mut reader), Some(Ok(2)));
        assert_eq!(now(&mut reader), Some(Err(End::Overflow)));
    }

    #[test]
    fn too_many_bytes_end_it_but_one_item_always_fits() {
        let (feed, mut reader) = buffer(FEW);
        assert_eq!(feed.offer("large", 1_000), Ok(()));
        assert_eq!(feed.offer("small", 1), Err(Ended(End::Overflow)));
        assert_eq!(now(&mut reader), Some(Ok("large")));
        assert_eq!(feed.queued_bytes(), 0);
    }

    #[test]
    fn each_end_notices_that_the_other_is_gone() {
        let (feed, mut reader) = buffer(FEW);
        feed.offer('a', 1).unwrap();
        drop(feed);
        assert_eq!([now(&mut reader), now(&mut reader)], [Some(Ok('a')), Some(Err(End::Closed))]);
        let (feed, reader) = buffer(FEW);
        feed.offer('a', 1).unwrap();
        drop(reader);
        assert_eq!((feed.queued_bytes(), feed.offer('b', 1)), (0, Err(Ended(End::Closed))));
    }
}
