//! Every interleaving of the crate's two types, as far as loom's bounds go. The command is in the crate's text.
#![cfg(loom)]

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use weir_queue::GroupQueue;
use weir_queue::fan_out::{Bounds, End, Ended, buffer};

/// Two threads push, one takes until the end: everything is taken once, in the order of whoever pushed it, and all
/// cost comes back. A wake-up that is lost would be a deadlock, which loom reports.
#[test]
fn groups_lose_nothing_and_keep_each_pushers_order() {
    loom::model(|| {
        let queue = Arc::new(GroupQueue::new(3));
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(('b', 1), 1).expect("not closed yet"))
        };
        let taker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut taken = Vec::new();
                while let Some(group) = queue.take() {
                    assert!(!group.items.is_empty() && group.items.len() == group.cost);
                    taken.extend(group.items);
                    queue.release(group.cost);
                }
                taken
            })
        };
        queue.push(('a', 1), 1).expect("not closed yet");
        queue.push(('a', 2), 1).expect("not closed yet");
        other.join().unwrap();
        queue.close();
        let mut taken = taker.join().unwrap();
        let of_a: Vec<_> = taken.iter().filter(|item| item.0 == 'a').copied().collect();
        assert_eq!(of_a, [('a', 1), ('a', 2)]);
        taken.sort_unstable();
        assert_eq!(taken, [('a', 1), ('a', 2), ('b', 1)]);
        assert_eq!(queue.queued(), 0);
    });
}

/// A pusher that asks for room first never has more than the bound and one item under way, and always gets room again.
#[test]
fn room_comes_back_when_the_disk_has_taken_its_group() {
    loom::model(|| {
        let queue = Arc::new(GroupQueue::new(1));
        let taker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut groups = 0;
                while let Some(group) = queue.take() {
                    assert_eq!(group.cost, 1, "a second item waits for room");
                    queue.release(group.cost);
                    groups += 1;
                }
                groups
            })
        };
        let mut pushed = 0;
        for _ in 0..2 {
            if queue.has_room() {
                queue.push((), 1).expect("not closed yet");
                pushed += 1;
            }
            assert!(queue.queued() <= 1);
        }
        queue.close();
        assert_eq!(taker.join().unwrap(), pushed);
        assert!(queue.has_room());
    });
}

/// The reader gets a beginning of what was offered, then the reason of the end, whatever the producer does meanwhile.
#[test]
fn a_reader_gets_a_beginning_and_the_reason_of_the_end() {
    loom::model(|| {
        let (feed, mut reader) = buffer(Bounds { items: 1, bytes: 10 });
        let producer = thread::spawn(move || {
            let taken = (1..=2).take_while(|item| feed.offer(*item, 1).is_ok()).count();
            drop(feed);
            taken
        });
        let mut got = Vec::new();
        let end = loop {
            match block_on(reader.recv()) {
                Ok(item) => got.push(item),
                Err(end) => break end,
            }
        };
        let taken = producer.join().unwrap();
        assert_eq!(got, (1..=taken).collect::<Vec<_>>());
        assert_eq!(end, if taken == 2 { End::Closed } else { End::Overflow });
    });
}

/// A reader that goes away at any moment leaves nothing behind, and the producer notices.
#[test]
fn a_reader_that_goes_leaves_nothing() {
    loom::model(|| {
        let (feed, mut reader) = buffer(Bounds { items: 2, bytes: 10 });
        let leaving = thread::spawn(move || {
            let first = block_on(reader.recv());
            drop(reader);
            first
        });
        feed.offer(1, 1).expect("there is room and a reader");
        let second = feed.offer(2, 1);
        assert_eq!(leaving.join().unwrap(), Ok(1));
        assert!(matches!(second, Ok(()) | Err(Ended(End::Closed))));
        assert_eq!((feed.queued_bytes(), feed.offer(3, 1)), (0, Err(Ended(End::Closed))));
    });
}
