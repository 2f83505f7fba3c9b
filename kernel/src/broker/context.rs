//! What a machine may touch during one step: the time, the chain view, and the step's outputs.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::io::{Handed, Output, Reply, SessionId, Token, Trace};
use super::message::Message;
use super::sharding::Share;
use crate::batch::Batch;
use crate::coordinator::{Entry, Intent, State};
use crate::ids::{Address, BrokerIndex, Epoch, Hash, LaneId, PartitionId};
use crate::log::{Expiry, Query, Record};
use crate::marks::{Marks, Rare};
use crate::rules::{Bug, Rules};
use crate::time::Now;
use crate::verify::Verified;
use crate::wire::Received;

/// What waits for a write to be on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// A lane's batches up to this sequence.
    Appended(PartitionId, LaneId, u64),
    /// The closing of every epoch below this one: acknowledging in it may begin.
    Opened(PartitionId, Epoch),
    /// A report, before it is signed and sent to the leader.
    Reported(PartitionId, alloc::boxed::Box<Entry>, Address),
    /// Rows of a partition that was left, but for its cuts.
    RowsLeft(PartitionId),
    /// A read for an edge, under the edge's token: it must see everything that was appended before it was asked.
    Answerable(Address, u64, Query, u32),
}

/// What an answer from outside is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A lane for a peer, from this sequence on.
    Repair(Address, PartitionId, LaneId, u64),
    /// Sealed cuts for a peer, after this epoch.
    Cuts(Address, PartitionId, Epoch),
    /// A query of an edge, under its own token.
    Answer(Address, u64),
    /// A signature under an entry for a leader.
    Report(PartitionId, alloc::boxed::Box<Entry>, Address),
    /// A signature under a late report.
    LateReport(alloc::boxed::Box<Entry>),
    /// Sealed cuts for the settlement of lanes.
    Settlement(PartitionId),
    /// Sealed cuts that go with a partition that was left.
    Leaving(PartitionId),
}

/// Numbers that only rise, and what waits under them. Lives as long as the broker.
#[derive(Clone, Default)]
pub struct Ledger {
    next_write: u64,
    next_token: u64,
    waiting: VecDeque<(u64, Vec<After>)>,
    /// Rising by token. Few at a time.
    purposes: Vec<(Token, Purpose)>,
    /// Whether the disk holds as much as it may.
    full: bool,
}

impl fmt::Debug for Ledger {
    /// Numbers are shown as so many before the newest: ledgers that differ only in how much they counted before act
    /// alike, and look alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.iter().map(|(index, after)| (self.next_write - index, after));
        let purposes = self.purposes.iter().map(|(token, purpose)| (self.next_token - token.0, purpose));
        f.debug_list().entries(waiting).finish()?;
        f.debug_list().entries(purposes).finish()
    }
}

impl Ledger {
    /// What no longer waits now that writes up to `index` are on disk.
    pub fn durable(&mut self, index: u64, rules: Rules) -> Vec<After> {
        assert!(index <= self.next_write, "nothing is durable before it is written");
        let released = index + u64::from(rules.has(Bug::ReleasesBeforeDurable));
        let mut ready = Vec::new();
        while self.waiting.front().is_some_and(|(waiting, _)| *waiting <= released) {
            ready.extend(self.waiting.pop_front().into_iter().flat_map(|(_, after)| after));
        }
        ready
    }

    /// Says whether the disk holds as much as it may.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// What this answer is for; `None` if nobody waits for it.
    pub fn redeem(&mut self, token: Token) -> Option<Purpose> {
        let at = self.purposes.binary_search_by_key(&token, |(token, _)| *token).ok()?;
        Some(self.purposes.remove(at).1)
    }
}

/// One step's surroundings.
pub struct Context<'a> {
    /// The time.
    pub now: Now,
    /// This broker.
    pub me: Address,
    /// This broker's index on chain, once registered.
    pub my_index: Option<BrokerIndex>,
    /// The confirmed chain.
    pub view: &'a State,
    /// The rules in force.
    pub rules: Rules,
    /// What of the broker is this shard's.
    pub share: Share,
    ledger: &'a mut Ledger,
    marks: &'a mut Marks,
    outputs: &'a mut Vec<Output>,
    local: VecDeque<Received>,
    records: Vec<Record>,
    afters: Vec<After>,
}

impl<'a> Context<'a> {
    /// Begins a step of a broker's only shard.
    pub fn new(
        now: Now,
        (me, my_index): (Address, Option<BrokerIndex>),
        view: &'a State,
        rules: Rules,
        (ledger, marks): (&'a mut Ledger, &'a mut Marks),
        outputs: &'a mut Vec<Output>,
    ) -> Self {
        Self {
            now,
            me,
            my_index,
            view,
            rules,
            share: Share::WHOLE,
            ledger,
            marks,
            outputs,
            local: VecDeque::new(),
            records: Vec::new(),
            afters: Vec::new(),
        }
    }

    /// Sends a message; one to this shard itself is taken up within the same step.
    pub fn send(&mut self, to: Address, message: Message, batches: &[Verified<Batch>]) {
        if to == self.me {
            self.send_home(Received::local(message, batches.to_vec()));
        } else {
            let bytes = batches.iter().map(|batch| Arc::clone(batch.bytes())).collect();
            self.outputs.push(Output::Send(to, message, bytes));
        }
    }

    /// Sends a message with batches as they lie on this broker's disk.
    pub fn send_stored(&mut self, to: Address, message: Message, batches: Vec<Arc<[u8]>>) {
        if to == self.me {
            self.send_home(Received::local_stored(message, batches));
        } else {
            self.outputs.push(Output::Send(to, message, batches));
        }
    }

    fn send_home(&mut self, received: Received) {
        if self.share.of().of_message(received.message()) == self.share.number() {
            self.local.push_back(received);
        } else {
            self.hand(Handed::Message(received));
        }
    }

    /// Gives something to the other shard that it is for.
    pub fn hand(&mut self, handed: Handed) {
        let shard = self.share.of().of_handed(&handed);
        assert!(shard != self.share.number(), "a shard hands nothing to itself");
        self.outputs.push(Output::Hand(shard, handed));
    }

    /// The next message of this shard to itself.
    pub fn next_local(&mut self) -> Option<Received> {
        self.local.pop_front()
    }

    /// Adds a record to this step's write.
    pub fn write(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Has something done once this step's write, and so every earlier one, is on disk.
    pub fn after_write(&mut self, after: After) {
        self.afters.push(after);
    }

    /// Whether something was written, in this step or before, that is not known to be on disk.
    pub fn has_unfinished_writes(&self) -> bool {
        !self.records.is_empty() || !self.ledger.waiting.is_empty()
    }

    /// Whether the disk holds as much as it may.
    pub fn is_full(&self) -> bool {
        self.ledger.full
    }

    /// Reads the log.
    pub fn read(&mut self, purpose: Purpose, query: Query, budget_bytes: u32) {
        let token = self.token(purpose);
        self.outputs.push(Output::Read(token, query, budget_bytes));
    }

    /// Lets the log drop what is too old.
    pub fn expire(&mut self, expiry: Expiry) {
        self.outputs.push(Output::Expire(expiry));
    }

    /// Asks for a signature.
    pub fn sign(&mut self, purpose: Purpose, digest: Hash) {
        let token = self.token(purpose);
        self.outputs.push(Output::Sign(token, digest));
    }

    /// Sends a transaction.
    pub fn submit(&mut self, intent: Intent) {
        self.outputs.push(Output::Submit(intent));
    }

    /// Tells a client.
    pub fn reply(&mut self, session: SessionId, reply: Reply) {
        self.outputs.push(Output::Reply(session, reply));
    }

    /// Leaves a mark: this branch was taken.
    #[inline(always)]
    pub fn mark(&mut self, rare: Rare) {
        self.marks.leave(rare);
    }

    /// Leaves a mark where this is so.
    #[inline(always)]
    pub fn mark_if(&mut self, taken: bool, rare: Rare) {
        if taken {
            self.marks.leave(rare);
        }
    }

    /// Tells an operator.
    pub fn trace(&mut self, trace: Trace) {
        self.outputs.push(Output::Event(trace));
    }

    fn token(&mut self, purpose: Purpose) -> Token {
        self.ledger.next_token += 1;
        let token = Token(self.ledger.next_token);
        self.ledger.purposes.push((token, purpose));
        token
    }

    /// Ends the step: everything it wrote goes out as one write.
    pub fn finish(mut self) {
        assert!(self.local.is_empty(), "messages to oneself are taken up within the step");
        if self.records.is_empty() && self.afters.is_empty() {
            return;
        }
        self.ledger.next_write += 1;
        let index = self.ledger.next_write;
        self.ledger.waiting.push_back((index, core::mem::take(&mut self.afters)));
        self.outputs.push(Output::Write(index, core::mem::take(&mut self.records)));
    }
}
