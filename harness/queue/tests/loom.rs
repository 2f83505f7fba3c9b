//! Every interleaving of the crate's two types, as far as loom's bounds go. The command is in the crate's text.
#![cfg(loom)]

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use weir_queue::{Behind, End, Fanout, GroupQueue, Limit, Reader};

/// Tries every interleaving in which threads are interrupted at most three times: with more to do, all of them would
/// take hours, and mistakes show with one or two.
fn model_bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Two threads push, one takes until the end: everything is taken once, in the order of whoever pushed it, and all
/// cost comes back. A wake-up that is lost would be a deadlock, which loom reports.
#[test]
fn groups_lose_nothing_and_keep_each_pushers_order() {
    model_bounded(|| {
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

/// Nor has it more on the way to the disk, counted from before the push to the end of the write.
#[test]
fn what_is_not_written_yet_is_bounded() {
    model_bounded(|| {
        const ITEM: usize = 2;
        const BUDGET: usize = 3;
        let queue = Arc::new(GroupQueue::new(BUDGET));
        let unwritten = Arc::new(AtomicUsize::new(0));
        let taker = {
            let (queue, unwritten) = (Arc::clone(&queue), Arc::clone(&unwritten));
            thread::spawn(move || {
                while let Some(group) = queue.take() {
                    unwritten.fetch_sub(group.cost, Ordering::SeqCst);
                    queue.release(group.cost);
                }
            })
        };
        for number in 0..3 {
            if queue.has_room() {
                let before = unwritten.fetch_add(ITEM, Ordering::SeqCst);
                assert!(before < BUDGET, "{before} were not written, and there was room");
                queue.push(number, ITEM).expect("not closed yet");
            }
        }
        queue.close();
        taker.join().unwrap();
        assert_eq!((unwritten.load(Ordering::SeqCst), queue.queued()), (0, 0));
    });
}

#[test]
fn a_close_wakes_a_taker_that_waits() {
    loom::model(|| {
        let queue = Arc::new(GroupQueue::<u32>::new(100));
        let taker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take())
        };
        queue.close();
        assert_eq!(taker.join().unwrap(), None);
        assert!(queue.push(1, 1).is_err());
    });
}

/// Reads until the end.
fn read_all(reader: &mut Reader<u32, Arc<u32>>) -> (Vec<u32>, End) {
    let mut items = Vec::new();
    loop {
        match block_on(reader.next()) {
            Ok(item) => items.push(*item),
            Err(end) => return (items, end),
        }
    }
}

#[test]
fn a_reader_that_waits_is_woken_for_every_item_and_the_end() {
    loom::model(|| {
        let fanout = Fanout::new(Limit { entries: 8, bytes: 8 });
        let mut reader = fanout.subscribe(1);
        let thread = thread::spawn(move || read_all(&mut reader));
        fanout.send(&1, Arc::new(1), 1).unwrap();
        fanout.send(&1, Arc::new(2), 1).unwrap();
        fanout.end();
        assert_eq!(thread.join().unwrap(), (vec![1, 2], End::Over));
    });
}

/// Reader 1 reads beside a producer that may be faster, reader 2 has time: whatever becomes of the first, the second
/// gets everything, and an item is kept once and freed when it was read.
#[test]
fn a_slow_reader_is_ended_and_another_gets_everything() {
    model_bounded(|| {
        let fanout = Fanout::new(Limit { entries: 1, bytes: 8 });
        let (mut slow, mut patient) = (fanout.subscribe(1), fanout.subscribe(2));
        let thread = thread::spawn(move || read_all(&mut slow));
        let mut told = 0;
        let mut patiently = Vec::new();
        for number in 0..2 {
            let item = Arc::new(number);
            told += u32::from(fanout.send(&1, Arc::clone(&item), 1) == Err(Behind));
            assert_eq!(fanout.send(&2, item, 1), Ok(()));
            patiently.push(*patient.try_next().expect("it was sent").expect("it is open"));
        }
        assert!(fanout.held().bytes <= 1);
        fanout.end();
        let (items, end) = thread.join().unwrap();
        assert_eq!(patiently, [0, 1]);
        assert!(items.iter().copied().eq(0..items.len() as u32), "in order, without gaps: {items:?}");
        match end {
            End::Over => assert_eq!((items.len(), told), (2, 0)),
            End::Behind => assert!(items.len() < 2 && told == 1, "{items:?}, told {told} times"),
        }
    });
}

#[test]
fn a_reader_may_leave_while_it_is_sent_to() {
    loom::model(|| {
        let fanout = Fanout::new(Limit { entries: 2, bytes: 8 });
        let mut leaver = fanout.subscribe(1);
        let item = Arc::new(7);
        let thread = thread::spawn(move || drop(leaver.try_next()));
        assert_eq!(fanout.send(&1, Arc::clone(&item), 1), Ok(()));
        fanout.end();
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&item), 1, "nobody holds what nobody reads");
    });
}
