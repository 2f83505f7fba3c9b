//! Every interleaving of work that is shared, as far as loom's bounds go. The command is in the crate's text.
#![cfg(loom)]

use loom::sync::Arc;
use loom::thread;
use weir_queue::Share;

/// Whoever does which part, all of it is done once and comes back in order; a wake-up that is lost would be a deadlock,
/// which loom reports.
#[test]
fn shared_work_is_done_once_and_comes_back_in_order() {
    loom::model(|| {
        let share = Arc::new(Share::<u32, u32>::default());
        let helper = {
            let share = Arc::clone(&share);
            thread::spawn(move || share.help(|item| item + 10))
        };
        assert_eq!(share.run(vec![1, 2], |item| item + 10), [11, 12]);
        assert_eq!(share.run(vec![3], |item| item + 10), [13]);
        share.close();
        helper.join().unwrap();
    });
}
