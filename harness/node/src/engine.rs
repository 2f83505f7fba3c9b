//! The engine: kernel shard and ports joined by queues, with nothing in it that waits.
//!
//! ```text
//!   frames, durable, loaded, signed, blocks, commands          frames, writes, reads, signatures, intents, replies
//!        ── Completion ──►  turn(now)  ── decode, verify ── Shard::step ── encode ──►  Operation ──
//! ```
//!
//! [`Engine::turn`] takes what was completed and says what to begin. It reads no clock and does no I/O, so the same
//! engine runs under tokio's sockets in a node and under the event heap of the simulator.

use std::sync::Arc;

use bytes::Bytes;
use weir_kernel::broker::{
    Command, Handed, Input, Message, OpenError, Output, Reply, SessionId, Shard, Share, Token, Trace, Why,
};
use weir_kernel::coordinator::{Intent, State};
use weir_kernel::ids::{Address, Hash};
use weir_kernel::log::{Checkpoint, Chunk, Expiry, Query, Record};
use weir_kernel::rules::Rules;
use weir_kernel::time::Now;
use weir_kernel::verify::Verifier;
use weir_kernel::wire::{self, Domain, FrameError, Received};
use weir_net::Channel;

/// Something that was waited for has happened.
#[derive(Clone, Debug)]
pub enum Completion {
    /// A frame came from a peer that the transport vouches for.
    Frame(Address, Bytes),
    /// A client wants something.
    Client(SessionId, Command),
    /// The confirmed chain moved on.
    Chain(Arc<State>),
    /// Every write up to this index is on disk.
    Durable(u64),
    /// A read is done.
    Loaded(Token, Chunk),
    /// A read failed, with the store's reason.
    LoadFailed(Token, String),
    /// A hash is signed: r, s, v.
    Signed(Token, [u8; 65]),
    /// Another shard of the broker says something.
    Handed(Handed),
    /// The disk holds as much as it may, or does not any more.
    Full(bool),
}

/// Something to begin; order matters only among writes.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Send a frame to a peer.
    Send {
        /// The peer.
        to: Address,
        /// Which of the peer's queues.
        channel: Channel,
        /// The frame.
        frame: Bytes,
    },
    /// Persist records and sync; complete with [`Completion::Durable`].
    Write {
        /// Rises from write to write.
        index: u64,
        /// The records.
        records: Vec<Record>,
    },
    /// Read the log; complete with [`Completion::Loaded`] or [`Completion::LoadFailed`].
    Read {
        /// Names the completion.
        token: Token,
        /// The query.
        query: Query,
        /// About how many bytes of batches.
        budget_bytes: u32,
    },
    /// Drop what is too old from the log, beside what is more urgent; nothing waits for it.
    Expire(Expiry),
    /// Sign with the broker's key; complete with [`Completion::Signed`].
    Sign {
        /// Names the completion.
        token: Token,
        /// What to sign.
        digest: Hash,
    },
    /// Send a transaction to the chain from the broker's account.
    Submit(Intent),
    /// Tell a client.
    Reply(SessionId, Reply),
    /// Give something to another shard of the broker, as [`Completion::Handed`]; where too much waits there, it is
    /// dropped.
    Hand(u16, Handed),
    /// Tell the operator.
    Trace(Trace),
    /// A frame was refused; nobody else is disturbed.
    Refused(Address, FrameError),
}

/// Decodes frames and checks what is signed in them, as the engine that it is from does: on any thread.
#[derive(Clone, Debug)]
pub struct Decoder<V> {
    domain: Domain,
    verifier: V,
}

impl<V: Verifier> Decoder<V> {
    /// Decodes a frame that the transport vouches for.
    ///
    /// # Errors
    ///
    /// [`FrameError`] says what is wrong with it.
    pub fn decode(&self, from: Address, frame: &[u8]) -> Result<Received, FrameError> {
        wire::decode(frame, from, self.domain, &self.verifier)
    }
}

/// A broker without its surroundings, or one of the shards of a broker.
#[derive(Debug)]
pub struct Engine<V> {
    shard: Shard,
    decoder: Decoder<V>,
    outputs: Vec<Output>,
}

impl<V: Verifier> Engine<V> {
    /// Takes up a broker from what its store remembers and the first view of the chain.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the store is another broker's or damaged.
    pub fn open(
        me: Address,
        view: Arc<State>,
        checkpoint: &Checkpoint,
        verifier: V,
    ) -> Result<Self, OpenError> {
        Self::open_with(me, view, checkpoint, verifier, Rules::sound())
    }

    /// The same under given rules: a released program has the sound ones alone.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_with(
        me: Address,
        view: Arc<State>,
        checkpoint: &Checkpoint,
        verifier: V,
        rules: Rules,
    ) -> Result<Self, OpenError> {
        Self::open_share(me, view, checkpoint, verifier, rules, Share::WHOLE)
    }

    /// One of a broker's shards, from what its own store remembers.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], and if the store holds what is another shard's.
    pub fn open_share(
        me: Address,
        view: Arc<State>,
        checkpoint: &Checkpoint,
        verifier: V,
        rules: Rules,
        share: Share,
    ) -> Result<Self, OpenError> {
        let domain = Domain { chain_id: view.chain_id, coordinator: view.contracts.coordinator };
        let shard = Shard::open_share(me, Arc::clone(&view), checkpoint, rules, share)?;
        Ok(Self { shard, decoder: Decoder { domain, verifier }, outputs: Vec::new() })
    }

    /// Takes in what was completed, in order, and adds what to begin to `operations`. A due deadline is taken up too.
    pub fn turn(
        &mut self,
        now: Now,
        completions: impl IntoIterator<Item = Completion>,
        operations: &mut Vec<Operation>,
    ) {
        for completion in completions {
            match self.input_of(completion) {
                Ok(input) => self.step(now, input, operations),
                Err((from, error)) => operations.push(Operation::Refused(from, error)),
            }
        }
        if self.deadline().is_some_and(|(at_us, _)| at_us <= now.monotonic_us) {
            self.step(now, Input::Elapsed, operations);
        }
    }

    /// What decodes for this engine, to be used before its turn: [`Engine::receive`] takes the result.
    pub fn decoder(&self) -> &Decoder<V> {
        &self.decoder
    }

    /// Takes in a frame that was decoded before, as a turn would have.
    pub fn receive(&mut self, now: Now, from: Address, received: Received, operations: &mut Vec<Operation>) {
        self.step(now, Input::Peer(from, received), operations);
    }

    /// When to take the next turn at the latest, in monotonic microseconds, and why.
    pub fn deadline(&self) -> Option<(u64, Why)> {
        self.shard.deadline()
    }

    /// The kernel inside.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    fn input_of(&self, completion: Completion) -> Result<Input, (Address, FrameError)> {
        Ok(match completion {
            Completion::Frame(from, frame) => {
                Input::Peer(from, self.decoder.decode(from, &frame).map_err(|error| (from, error))?)
            }
            Completion::Client(session, command) => Input::Client(session, command),
            Completion::Chain(view) => Input::Chain(view),
            Completion::Durable(index) => Input::Durable(index),
            Completion::Loaded(token, chunk) => Input::Loaded(token, chunk),
            Completion::LoadFailed(token, reason) => Input::LoadFailed(token, reason),
            Completion::Signed(token, signature) => Input::Signed(token, signature),
            Completion::Handed(handed) => Input::Handed(handed),
            Completion::Full(full) => Input::Full(full),
        })
    }

    fn step(&mut self, now: Now, input: Input, operations: &mut Vec<Operation>) {
        self.shard.step(now, input, &mut self.outputs);
        let mut last = None;
        operations.extend(self.outputs.drain(..).map(|output| operation_of(output, &mut last)));
        self.outputs.shrink_to(OUTPUTS_KEPT);
    }
}

/// Room for so many outputs stays from step to step: more are rare, and thousands of engines may be in one process.
const OUTPUTS_KEPT: usize = 8;

/// What was sent last in a step: the same to several peers, one after the other, is encoded once.
type LastSent = Option<(Message, Vec<Arc<[u8]>>, Bytes)>;

fn frame_of(message: Message, batches: Vec<Arc<[u8]>>, last: &mut LastSent) -> Bytes {
    let same_batches = |known: &[Arc<[u8]>]| {
        known.len() == batches.len() && known.iter().zip(&batches).all(|(a, b)| Arc::ptr_eq(a, b))
    };
    match last {
        Some((known, sent, frame)) if *known == message && same_batches(sent) => frame.clone(),
        _ => {
            let frame = Bytes::from(wire::encode(&message, &batches));
            last.insert((message, batches, frame)).2.clone()
        }
    }
}

fn operation_of(output: Output, last: &mut LastSent) -> Operation {
    match output {
        Output::Send(to, message, batches) => {
            let channel = channel_of(&message);
            Operation::Send { to, channel, frame: frame_of(message, batches, last) }
        }
        Output::Write(index, records) => Operation::Write { index, records },
        Output::Read(token, query, budget_bytes) => Operation::Read { token, query, budget_bytes },
        Output::Expire(expiry) => Operation::Expire(expiry),
        Output::Sign(token, digest) => Operation::Sign { token, digest },
        Output::Submit(intent) => Operation::Submit(intent),
        Output::Reply(session, reply) => Operation::Reply(session, reply),
        Output::Hand(shard, handed) => Operation::Hand(shard, handed),
        Output::Event(trace) => Operation::Trace(trace),
    }
}

/// Repair, catching up and history go beside the live flow, never before it.
fn channel_of(message: &Message) -> Channel {
    match message {
        Message::Repair { .. } | Message::Cuts { .. } | Message::Answer { .. } => Channel::Bulk,
        _ => Channel::Live,
    }
}
