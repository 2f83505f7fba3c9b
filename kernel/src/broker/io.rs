//! Inputs and outputs of a [`Shard`](super::Shard): everything that crosses the kernel's border.
//!
//! Every output may be acted on at once: *persist before send* holds because the kernel emits what depends on a
//! write only after [`Input::Durable`] says that the write is on disk.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::message::Message;
use super::refusal::Refusal;
use crate::batch::Batch;
use crate::coordinator::{Intent, State};
use crate::ids::{Address, Hash, LaneId, PartitionId, StreamId, StreamPartition};
use crate::log::{Chunk, Expiry, Query, Record};
use crate::verify::Verified;
use crate::wire::Received;

/// A client's session at this edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Names a question that the kernel asked its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What happens to a broker.
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer said something. The transport vouches for who it was; [`crate::wire::decode`] checked signatures.
    Peer(Address, Received),
    /// A client of this edge wants something.
    Client(SessionId, Command),
    /// The chain moved on: the confirmed view. Heights never go back.
    Chain(Arc<State>),
    /// Every write up to this index is on disk.
    Durable(u64),
    /// The answer to [`Output::Read`].
    Loaded(Token, Chunk),
    /// A read failed; the store says why.
    LoadFailed(Token, String),
    /// The answer to [`Output::Sign`]: 65 bytes r, s, v.
    Signed(Token, [u8; 65]),
    /// Another shard of this broker says something.
    Handed(Handed),
    /// Whether the disk holds as much as the operator allows: then nothing new is taken from publishers (WP 2.4.8).
    Full(bool),
    /// Time passed: some deadline is due.
    Elapsed,
}

/// What one shard of a broker says to another. Most of it are messages, so that making them smaller would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Handed {
    /// What a broker says to itself, where another of its shards is concerned.
    Message(Received),
    /// Somebody holds what was just stored through this edge: readers ask there first.
    Stored {
        /// The stream partition.
        slot: StreamPartition,
        /// The partition that the batch lives in.
        home: PartitionId,
        /// Who says that it is on its disk.
        holders: BTreeSet<Address>,
    },
}

/// What a broker wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a message, with batches attached, to a peer.
    Send(Address, Message, Vec<Arc<[u8]>>),
    /// Persist; answer with [`Input::Durable`] when on disk.
    Write(u64, Vec<Record>),
    /// Read the log; answer with [`Input::Loaded`] or [`Input::LoadFailed`].
    Read(Token, Query, u32),
    /// Drop what is too old, or of a partition that was left, from the log, a little at a time and beside what is more
    /// urgent. Nothing waits for it: what is not dropped is named again later.
    Expire(Expiry),
    /// Sign this hash with the broker's key; answer with [`Input::Signed`].
    Sign(Token, Hash),
    /// Send a transaction to the chain.
    Submit(Intent),
    /// Tell a client.
    Reply(SessionId, Reply),
    /// Give something to another shard of this broker, as [`Input::Handed`]. It may be dropped where too much waits
    /// there.
    Hand(u16, Handed),
    /// Something worth a log line or a counter; changes nothing.
    Event(Trace),
}

/// When an acknowledgement is wanted (WP 2.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The edge has checked it and passed it on.
    Accepted,
    /// A quorum of replicas holds it on disk.
    Stored,
    /// It is in a certificate on chain.
    Sealed,
}

impl Level {
    /// Every level, rising.
    pub const ALL: [Level; 3] = [Level::Accepted, Level::Stored, Level::Sealed];

    /// The level as it appears in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Stored => "stored",
            Self::Sealed => "sealed",
        }
    }

    /// The level of this name in interfaces.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// Where a subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Only what comes from now on.
    Latest,
    /// Everything that is kept.
    All,
    /// Events at or after this time, milliseconds since 1970 UTC.
    Time(u64),
}

/// What a client asks of its edge. `request` is the client's own number, repeated in every answer.
#[derive(Clone, Debug)]
pub enum Command {
    /// Who the client has shown to be; without it, permissions for everybody apply.
    Identify(Option<Address>),
    /// Publish a batch; answered by [`Reply::Published`] at the wanted level, or [`Reply::Refused`].
    Publish {
        /// The client's number.
        request: u64,
        /// The batch.
        batch: Verified<Batch>,
        /// When to answer.
        level: Level,
    },
    /// Read one stream partition: a [`Reply::Chunk`], and another after each [`Command::More`].
    Read {
        /// The client's number.
        request: u64,
        /// The stream partition.
        slot: StreamPartition,
        /// What to read.
        reading: Reading,
    },
    /// Subscribe to stream partitions: history in chunks, then live batches.
    Subscribe {
        /// The client's number.
        request: u64,
        /// The stream.
        stream: StreamId,
        /// Which of its partitions; empty for all.
        partitions: Vec<u32>,
        /// Where to start.
        from: From,
    },
    /// The client has taken in this many bytes: send on. For [`Command::Read`], any number asks for the next chunk.
    More {
        /// The client's number.
        request: u64,
        /// Bytes of batches consumed.
        bytes: u64,
    },
    /// End a reading or subscription.
    Cancel {
        /// The client's number.
        request: u64,
    },
    /// The session is over.
    Close,
}

/// A client's reading of one stream partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The last events in canonical order.
    Last(u64),
    /// Events between two places of the canonical order, inclusive.
    Range {
        /// First place.
        from: crate::log::Position,
        /// Last place.
        to: crate::log::Position,
        /// Only this publisher's.
        origin: Option<Address>,
    },
}

/// What an edge tells a client. Most of what it tells are chunks, so that making them smaller would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Reply {
    /// The batch that ends before `next_sequence` in this lane has reached `level`.
    Published {
        /// The client's number.
        request: u64,
        /// The lane.
        lane: LaneId,
        /// Sequence after the batch's last event.
        next_sequence: u64,
        /// The level reached.
        level: Level,
    },
    /// The request is refused and over.
    Refused {
        /// The client's number.
        request: u64,
        /// Why.
        refusal: Refusal,
    },
    /// A part of an answer or of a subscription's history, in canonical order within the stream partition.
    Chunk {
        /// The client's number.
        request: u64,
        /// The stream partition.
        slot: StreamPartition,
        /// The events.
        chunk: Chunk,
    },
    /// A reading is complete.
    End {
        /// The client's number.
        request: u64,
    },
    /// A subscription's stream partition has delivered its history: what follows is live. Said again when it has
    /// caught up at another replica or with another home.
    CaughtUp {
        /// The client's number.
        request: u64,
        /// The stream partition.
        slot: StreamPartition,
    },
    /// Live events: those of the batch from `first` on.
    Live {
        /// The client's number.
        request: u64,
        /// The stream partition.
        slot: StreamPartition,
        /// The signed batch.
        batch: Verified<Batch>,
        /// First event of the batch to deliver, counted from 0.
        first: u32,
    },
    /// A publisher forked its lane: events from this sequence on do not count.
    Withdrawn {
        /// The client's number.
        request: u64,
        /// The lane.
        lane: LaneId,
        /// First sequence withdrawn.
        from: u64,
    },
}

/// Things worth telling an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// A peer's message was refused.
    PeerRefused(Address, String),
    /// A publisher forked a lane.
    ForkFound(PartitionId, LaneId),
    /// A cut was adopted after its certificate: partition, epoch, checksum.
    SealAdopted(PartitionId, u64, Hash),
    /// This broker began to act for a partition in an epoch.
    EpochEntered(PartitionId, u64),
    /// A duty of the broker cannot be done: which, and why.
    DutyRefused(String),
    /// Another coordinator has taken over from this epoch on: nothing is sealed here any more.
    Succeeded(Address, u64),
    /// The chain gave up epochs of a partition that nobody sealed, up to this one.
    QuorumLost(PartitionId, u64),
    /// This broker left a partition whose members hold everything, and gives the room back.
    PartitionLeft(PartitionId),
    /// A broker signed two checksums: the partition, and who.
    MisconductFound(PartitionId, Address),
    /// The store lacked its continuity marker: nothing is signed for the partition up to this epoch.
    Quarantined(PartitionId, u64),
    /// A row of the store could not be read: what and why.
    RowDamaged(String),
}
