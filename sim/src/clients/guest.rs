//! Guests: subscribers to a stream that is not public, each allowed to read it for a while (WP 2.4.2, 2.5.1).
//!
//! Guests check that they are let in while they may read; that they are not served any longer is for the oracle
//! [`crate::oracles::access`], which knows what each edge has heard of the chain.

use weir_kernel::broker::{Command, From, RefusalCode, Reply};
use weir_kernel::ids::{Address, StreamId};

use crate::surroundings::{Effect, Surroundings};
use crate::tape::Purpose;

/// Mean time between looks at whether to come back, or to take events in.
const LOOK_US: u64 = 1_500_000;

/// One guest.
#[derive(Debug)]
pub struct Guest {
    me: Address,
    stream: StreamId,
    /// Until when it may read, in Unix seconds.
    until_s: u64,
    request: u64,
    open: bool,
    untaken_bytes: u64,
    /// Batches that came.
    pub delivered: u64,
}

impl Guest {
    /// Subscribes to all partitions of a stream as `me`.
    pub fn new(me: Address, stream: StreamId, until_s: u64) -> Self {
        Self { me, stream, until_s, request: 0, open: false, untaken_bytes: 0, delivered: 0 }
    }

    pub(super) fn on_connected(&mut self, s: &mut Surroundings<'_>) {
        self.request += 1;
        self.untaken_bytes = 0;
        self.open = true;
        s.command(Command::Identify(Some(self.me)));
        let (request, stream) = (self.request, self.stream);
        s.command(Command::Subscribe { request, stream, partitions: Vec::new(), from: From::All });
    }

    pub(super) fn on_wake(&mut self, s: &mut Surroundings<'_>) {
        if self.untaken_bytes > 0 {
            let (request, bytes) = (self.request, std::mem::take(&mut self.untaken_bytes));
            s.command(Command::More { request, bytes });
        }
        if !self.open {
            s.effects.push(Effect::Move);
        }
        let wait_us = s.decide.around(Purpose::Wait, LOOK_US);
        s.effects.push(Effect::WakeIn(wait_us));
    }

    pub(super) fn on_reply(&mut self, s: &mut Surroundings<'_>, reply: Reply) {
        match reply {
            Reply::Chunk { request, chunk, .. } if request == self.request => {
                self.delivered += chunk.batches.len() as u64;
                self.untaken_bytes += chunk.batches.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
            }
            Reply::Live { request, batch, .. } if request == self.request => {
                self.delivered += 1;
                self.untaken_bytes += batch.bytes().len() as u64;
            }
            Reply::Refused { request, refusal } if request == self.request => {
                self.open = false;
                let over = s.wall_ms / 1_000 >= self.until_s;
                let expected = refusal.code == RefusalCode::Unavailable
                    || refusal.code == RefusalCode::Unauthorized && over;
                if !expected {
                    s.violation("admission", format!("a guest was refused: {refusal}"));
                }
            }
            Reply::Published { .. } | Reply::End { .. } => {
                s.violation("sessions", "a guest got an answer to a question it never asked".into());
            }
            // It is told of withdrawals and of catching up, or an answer belongs to an earlier session.
            _ => {}
        }
    }
}
