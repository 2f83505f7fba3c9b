//! The front of a broker of several shards: a thread that brings what comes in to the shard that it is for.
//!
//! It looks at no more of a frame than says whose it is; the shard decodes and verifies it. While one shard has no room
//! it takes in nothing: all shards share the streams of a peer, and what stands behind cannot overtake.

use std::sync::Arc;
use std::time::Duration;

use weir_kernel::broker::{Addressee, Shards};
use weir_kernel::coordinator::State;

use super::door::Door;
use super::inbox::{Arrival, Inbox, Taken};
use crate::engine::Completion;
use crate::handle::{NodeStatistics, Replies};

/// The longest sleep: the number of peers is refreshed at least this often.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// Everything that the front's thread owns.
pub struct Front {
    /// Where it comes in.
    pub door: Door,
    /// By what it is woken.
    pub inbox: Arc<Inbox>,
    /// Where it goes, by shard.
    pub shards: Vec<Arc<Inbox>>,
    /// How many they are.
    pub of: Shards,
    /// The chain as it was seen last.
    pub view: Arc<State>,
    /// Tells status how many peers there are.
    pub replies: Replies,
}

impl Front {
    /// Runs until the broker is stopped or fails.
    pub fn run(mut self) {
        let mut sorted: Vec<Vec<Arrival>> = self.shards.iter().map(|_| Vec::new()).collect();
        let (mut more, mut peers) = (false, 0);
        while !self.inbox.life().is_stopping() {
            let (completions, _) = self.inbox.take(if more { Duration::ZERO } else { MAX_SLEEP }, false);
            for completion in completions {
                if let Completion::Chain(view) = completion {
                    self.door.set_peers(&view);
                    self.view = view;
                }
            }
            // A shard that was full says so when it is not any more.
            more = self.shards.iter().all(|shard| shard.has_room());
            if more {
                let taken = self.door.take_in();
                more = taken.more;
                self.sort(taken, &mut sorted);
                self.shards.iter().zip(&mut sorted).for_each(|(shard, arrivals)| shard.arrive(arrivals));
            }
            if self.door.peers() != peers {
                peers = self.door.peers();
                let statistics = NodeStatistics { peers, ..NodeStatistics::default() };
                self.replies.set_statistics(self.of.count(), statistics);
            }
        }
    }

    fn sort(&self, taken: Taken, sorted: &mut [Vec<Arrival>]) {
        for (from, frame) in taken.frames {
            sorted[usize::from(self.of.of_frame(&frame))].push(Arrival::Frame((from, frame)));
        }
        for command in taken.commands {
            let Completion::Client(session, command) = command else { continue };
            match self.of.of_command(&command, &self.view) {
                Addressee::One(shard) => {
                    sorted[usize::from(shard)].push(Arrival::Command(session, command));
                }
                Addressee::All => {
                    let tell =
                        |shard: &mut Vec<Arrival>| shard.push(Arrival::Command(session, command.clone()));
                    sorted.iter_mut().for_each(tell);
                }
            }
        }
    }
}

/// However the front ends, the broker's other threads end with it.
impl Drop for Front {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the front panicked: please report this with the log as a bug";
            self.inbox.life().fail(String::from(reason));
        }
    }
}
