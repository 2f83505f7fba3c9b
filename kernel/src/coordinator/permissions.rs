//! Permissions of streams, now and at a past block (WP 2.4.2, 2.5.1).
//!
//! A permission says until when an address may subscribe and publish, in Unix seconds of block time, and
//! whether it may grant, edit and delete. The zero address stands for everybody. Whoever verifies a batch
//! asks what held after the first block of its lane's opening epoch, so that all replicas answer alike
//! whatever they have seen since.
//!
//! History is kept for [`HISTORY_EPOCHS`] epochs: of the changes older than that only the newest stays, which
//! is what answers for the oldest block within. A question about an older block is answered from what is left
//! and may be refused though it was once allowed; lanes that old are long sealed or refused. Changes in one
//! block count as one, so that an address's history has at most one entry a block of that span.

use alloc::boxed::Box;
use core::slice;

use bincode::{Decode, Encode};

/// How many epochs back permissions are answered exactly.
pub const HISTORY_EPOCHS: u64 = 1024;

/// What an address may do with a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Permission {
    /// May subscribe until this time in Unix seconds; 0 never, `u64::MAX` for ever.
    pub subscribe_until: u64,
    /// May publish until this time in Unix seconds; 0 never, `u64::MAX` for ever.
    pub publish_until: u64,
    /// May set permissions.
    pub can_grant: bool,
    /// May change the metadata.
    pub can_edit: bool,
    /// May remove the stream.
    pub can_delete: bool,
}

impl Permission {
    /// Everything, for ever: what an owner has.
    pub const ALL: Self = Self {
        subscribe_until: u64::MAX,
        publish_until: u64::MAX,
        can_grant: true,
        can_edit: true,
        can_delete: true,
    };
}

/// Until when an address may pass on rights of a stream, and the latest end that it may give them, in Unix
/// seconds; 0 is no delegation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Delegation {
    /// For rights to subscribe.
    pub subscribe_until: u64,
    /// For rights to publish.
    pub publish_until: u64,
}

/// Whether something granted until `until` is granted at `time_s`, both in Unix seconds.
pub fn holds(until: u64, time_s: u64) -> bool {
    until > time_s
}

/// The changes of one address's permission: (block, what held after it), blocks rising. Most have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History(Changes);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Changes {
    One((u64, Permission)),
    /// More than one.
    Many(Box<[(u64, Permission)]>),
}

impl History {
    /// The first change.
    pub fn new(block: u64, permission: Permission) -> Self {
        Self(Changes::One((block, permission)))
    }

    fn changes(&self) -> &[(u64, Permission)] {
        match &self.0 {
            Changes::One(change) => slice::from_ref(change),
            Changes::Many(changes) => changes,
        }
    }

    /// What holds after the newest block.
    pub fn latest(&self) -> Permission {
        self.changes().last().map_or_else(Permission::default, |(_, permission)| *permission)
    }

    /// What held after `block`.
    pub fn at(&self, block: u64) -> Permission {
        let after = self.changes().partition_point(|(changed, _)| *changed <= block);
        after.checked_sub(1).map_or_else(Permission::default, |index| self.changes()[index].1)
    }

    /// Adds a change, and forgets those that no block from `oldest` on can see.
    pub fn set(&mut self, block: u64, permission: Permission, oldest: u64) {
        let mut changes = self.changes().to_vec();
        match changes.last_mut() {
            Some((changed, last)) if *changed == block => *last = permission,
            last => {
                assert!(last.is_none_or(|(changed, _)| *changed < block), "blocks come in order");
                changes.push((block, permission));
            }
        }
        let visible = changes.partition_point(|(changed, _)| *changed <= oldest);
        changes.drain(..visible.saturating_sub(1));
        self.0 = match changes.as_slice() {
            [change] => Changes::One(*change),
            _ => Changes::Many(changes.into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISH: Permission = Permission {
        subscribe_until: 0,
        publish_until: u64::MAX,
        can_grant: false,
        can_edit: false,
        can_delete: false,
    };

    #[test]
    fn the_past_keeps_its_answer() {
        let mut history = History::new(10, PUBLISH);
        history.set(20, Permission::default(), 0);
        assert_eq!([9, 10, 19].map(|block| history.at(block).publish_until), [0, u64::MAX, u64::MAX]);
        assert_eq!([20, 21].map(|block| history.at(block)), [Permission::default(); 2]);
        assert_eq!(history.latest(), Permission::default());
    }

    #[test]
    fn of_one_block_the_last_change_counts() {
        let mut history = History::new(10, PUBLISH);
        history.set(10, Permission::ALL, 0);
        assert_eq!(history.at(10), Permission::ALL);
        assert_eq!(history.changes().len(), 1);
    }

    #[test]
    fn forgetting_keeps_what_a_visible_block_needs() {
        let mut history = History::new(0, PUBLISH);
        (1..=50).for_each(|block| {
            let permission = Permission { publish_until: block, ..Permission::default() };
            history.set(block, permission, block.saturating_sub(10));
        });
        assert!((40..=50).all(|block| history.at(block).publish_until == block));
        assert_eq!(history.at(39), Permission::default());
        assert_eq!(history.changes().len(), 11);
    }
}
