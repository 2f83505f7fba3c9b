//! Access: nobody is served a stream that it may not read by the chain as its edge knows it (WP 2.4.2).
//!
//! An edge that hears of a block late serves for so long; one that has heard that a permission is over does not.

use std::collections::BTreeMap;

use weir_kernel::broker::{Command, Reply, SessionId};
use weir_kernel::coordinator::{Fact, State};
use weir_kernel::ids::{Address, StreamId};

use crate::report::Violation;
use crate::surroundings::note;

/// Until when somebody may read a stream, in Unix seconds, from a block on.
type Grants = Vec<(u64, u64)>;

/// Who may read what, kept from the contracts' events, and who asks.
#[derive(Debug, Default)]
pub struct Access {
    begun: bool,
    grants: BTreeMap<(StreamId, Address), Grants>,
    identities: BTreeMap<SessionId, Address>,
}

impl Access {
    /// A block was made.
    pub fn on_block(&mut self, view: &State, facts: &[Fact]) {
        if !std::mem::replace(&mut self.begun, true) {
            for (stream, known) in view.streams.iter() {
                for user in known.permissions.keys() {
                    let until_s = known.permission(*user).subscribe_until;
                    self.grants.insert((*stream, *user), vec![(0, until_s)]);
                }
            }
            return;
        }
        for fact in facts {
            if let Fact::PermissionSet { stream, user, permission } = fact {
                let grants = self.grants.entry((*stream, *user)).or_default();
                grants.push((view.height, permission.subscribe_until));
            }
        }
    }

    /// A client says something to its edge, which has found out who it is.
    pub fn on_command(&mut self, session: SessionId, command: &Command) {
        match command {
            Command::Identify(Some(identity)) => drop(self.identities.insert(session, *identity)),
            Command::Identify(None) | Command::Close => drop(self.identities.remove(&session)),
            _ => {}
        }
    }

    /// An edge, which sees the chain as `view` says, gives something to a client.
    pub fn on_reply(
        &self,
        now_us: u64,
        (edge, session): (Address, SessionId),
        reply: &Reply,
        view: &State,
        violations: &mut Vec<Violation>,
    ) {
        let (Reply::Chunk { slot, .. } | Reply::Live { slot, .. }) = reply else { return };
        let identity = self.identities.get(&session).copied();
        let may = |user| self.until_s(slot.stream, user, view.height) > view.timestamp_s;
        if !may(Address::ZERO) && !identity.is_some_and(may) {
            let what = format!(
                "{edge} serves {identity:?} from stream {}, in block {} at {} s",
                slot.stream, view.height, view.timestamp_s
            );
            note(violations, now_us, "access", what);
        }
    }

    fn until_s(&self, stream: StreamId, user: Address, height: u64) -> u64 {
        let grants = self.grants.get(&(stream, user)).into_iter().flatten();
        grants.take_while(|(block, _)| *block <= height).last().map_or(0, |(_, until_s)| *until_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::coordinator::{Contracts, Params, Permission};
    use weir_kernel::ids::StreamPartition;
    use weir_kernel::log::Chunk;

    const STREAM: StreamId = StreamId([1; 20]);
    const READER: Address = Address([2; 20]);

    /// Violations when the reader is served at this height and time; it may read from block 5 until second 100.
    fn served(session: u64, height: u64, timestamp_s: u64) -> usize {
        let mut view = State::new(1, Contracts::default(), Params::default());
        let (mut access, mut violations) = (Access::default(), Vec::new());
        access.on_block(&view, &[]);
        view.height = 5;
        let permission = Permission { subscribe_until: 100, ..Permission::default() };
        access.on_block(&view, &[Fact::PermissionSet { stream: STREAM, user: READER, permission }]);
        access.on_command(SessionId(1), &Command::Identify(Some(READER)));
        (view.height, view.timestamp_s) = (height, timestamp_s);
        let slot = StreamPartition { stream: STREAM, partition: 0 };
        let reply = Reply::Chunk { request: 1, slot, chunk: Chunk::default() };
        access.on_reply(0, (Address([9; 20]), SessionId(session)), &reply, &view, &mut violations);
        violations.len()
    }

    #[test]
    fn who_is_served_before_or_after_its_time_is_noticed() {
        assert_eq!(served(1, 5, 99), 0);
        assert_eq!(served(1, 5, 100), 1, "it is over");
        assert_eq!(served(1, 4, 99), 1, "it has not begun");
        assert_eq!(served(2, 5, 99), 1, "it is somebody else's");
    }
}
