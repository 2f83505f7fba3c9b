//! Watching a run: what happens, in the order in which it happens, told to whoever asked.
//!
//! Traces, diagrams and the causal slice are made from this. Nobody who watches changes anything.

use bytes::Bytes;
use weir_kernel::broker::{Command, Reply};
use weir_kernel::coordinator::{Fact, State};
use weir_node::engine::{Completion, Operation};

use crate::faults::Fault;
use crate::report::Violation;
use crate::tape::Actor;

/// Something that happened. Nodes are numbered from 0; times are in virtual microseconds.
#[derive(Debug)]
pub enum Happening<'a> {
    /// A node's engine took a turn.
    Turn {
        /// The node.
        node: u32,
        /// How many turns it took before this one, over all its processes.
        step: u64,
        /// What it was told; `None` when only time had passed.
        input: Option<&'a Completion>,
        /// What it wants done.
        operations: &'a [Operation],
    },
    /// A frame went onto a link.
    Sent {
        /// From this node.
        from: u32,
        /// To this one.
        to: u32,
        /// The how-manieth on this link, from 0: it names the frame.
        ordinal: u64,
        /// Its bytes.
        frame: &'a Bytes,
        /// How long each copy takes; none when the frame is lost.
        delays_us: &'a [u64],
    },
    /// A frame reached a node, which may be down; if not, its [`Happening::Turn`] follows.
    Received {
        /// From this node.
        from: u32,
        /// To this one.
        to: u32,
        /// The how-manieth on this link, from 0.
        ordinal: u64,
        /// When it went onto the link.
        sent_us: u64,
    },
    /// A client told its edge something.
    Asked {
        /// The client.
        client: Actor,
        /// The edge.
        node: u32,
        /// What.
        command: &'a Command,
    },
    /// A client was told something.
    Answered {
        /// The client.
        client: Actor,
        /// The edge.
        node: u32,
        /// What.
        reply: &'a Reply,
    },
    /// A process starts.
    Start {
        /// The node.
        node: u32,
    },
    /// A process ends.
    Crash {
        /// The node.
        node: u32,
        /// Whether its disk is lost too.
        wiped: bool,
    },
    /// A fault begins.
    FaultBegins(&'a Fault),
    /// A fault ends.
    FaultEnds(&'a Fault),
    /// The chain made a block.
    Block {
        /// What brokers will see.
        view: &'a State,
        /// What the block's logs say.
        facts: &'a [Fact],
    },
    /// From now on nothing goes wrong.
    Heal,
    /// A promise did not hold.
    Violated(&'a Violation),
}

/// Somebody who watches.
pub trait Observer {
    /// Something happened.
    fn observe(&mut self, at_us: u64, happening: &Happening<'_>);
}
