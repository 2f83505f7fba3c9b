//! A simulated broker's shards: engines that share nothing, behind one network address and one disk.
//!
//! What comes in is routed by the kernel's own rule, as in a node; writes and tokens are numbered anew where there are
//! several shards, so that the disk and its oracles see one broker. A disk of its own for each shard could only order
//! less: no promise spans two shards, so nothing rests on the order of their writes. What one shard says to another
//! takes a drawn time, and may get lost as a frame may.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_kernel::broker::{Addressee, OpenError, Shards, Share, Summary, Token, rows};
use weir_kernel::coordinator::State;
use weir_kernel::ids::Address;
use weir_kernel::log::{Checkpoint, Table};
use weir_kernel::marks::Marks;
use weir_kernel::rules::Rules;
use weir_kernel::time::Now;
use weir_node::engine::{Completion, Engine, Operation};

use crate::verifier::SimulationVerifier;

/// All shards of one broker.
pub struct Broker {
    shards: Shards,
    engines: Vec<Engine<SimulationVerifier>>,
    view: Arc<State>,
    written: u64,
    /// Writes that are not known to be on disk: number, shard, the shard's own number.
    unfinished: VecDeque<(u64, u16, u64)>,
}

impl Broker {
    /// Takes up a broker from what its disk remembers.
    ///
    /// # Errors
    ///
    /// As [`Engine::open_with`].
    pub fn open(
        me: Address,
        view: Arc<State>,
        checkpoint: &Checkpoint,
        (verifier, rules): (SimulationVerifier, Rules),
        shards: Shards,
    ) -> Result<Self, OpenError> {
        let open = |share| {
            let (view, verifier) = (Arc::clone(&view), verifier.clone());
            if shards == Shards::ONE {
                return Engine::open_with(me, view, checkpoint, verifier, rules);
            }
            let own = part(checkpoint, share);
            Engine::open_share(me, view, &own, verifier, rules, share)
        };
        let engines = shards.shares().map(open).collect::<Result<_, _>>()?;
        Ok(Self { shards, engines, view, written: 0, unfinished: VecDeque::new() })
    }

    /// As [`Engine::turn`], with one completion or none, for the shards that it concerns.
    pub fn turn(&mut self, now: Now, completion: Option<Completion>, operations: &mut Vec<Operation>) {
        if self.shards == Shards::ONE {
            return self.engines[0].turn(now, completion, operations);
        }
        let mut turns = Turns { broker: self, now, operations };
        match completion {
            None => turns.all(|| None),
            Some(Completion::Chain(view)) => {
                turns.broker.view = Arc::clone(&view);
                turns.all(|| Some(Completion::Chain(Arc::clone(&view))));
            }
            Some(Completion::Client(session, command)) => {
                match turns.broker.shards.of_command(&command, &turns.broker.view) {
                    Addressee::One(shard) => turns.one(shard, Completion::Client(session, command)),
                    Addressee::All => turns.all(|| Some(Completion::Client(session, command.clone()))),
                }
            }
            Some(Completion::Frame(from, frame)) => {
                let shard = turns.broker.shards.of_frame(&frame);
                turns.one(shard, Completion::Frame(from, frame));
            }
            Some(Completion::Full(full)) => turns.all(|| Some(Completion::Full(full))),
            Some(Completion::Handed(handed)) => {
                let shard = turns.broker.shards.of_handed(&handed);
                turns.one(shard, Completion::Handed(handed));
            }
            Some(Completion::Durable(index)) => turns.durable(index),
            Some(Completion::Loaded(token, chunk)) => {
                let (shard, token) = turns.broker.own(token);
                turns.one(shard, Completion::Loaded(token, chunk));
            }
            Some(Completion::LoadFailed(token, reason)) => {
                let (shard, token) = turns.broker.own(token);
                turns.one(shard, Completion::LoadFailed(token, reason));
            }
            Some(Completion::Signed(token, signature)) => {
                let (shard, token) = turns.broker.own(token);
                turns.one(shard, Completion::Signed(token, signature));
            }
        }
    }

    /// When it wants its next turn at the latest, in monotonic microseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.engines.iter().filter_map(Engine::deadline).map(|(at_us, _)| at_us).min()
    }

    /// The chain as it sees it.
    pub fn view(&self) -> &Arc<State> {
        self.engines[0].shard().view()
    }

    /// Every partition that it holds.
    pub fn summaries(&self) -> impl Iterator<Item = Summary> + '_ {
        self.engines.iter().flat_map(|engine| engine.shard().summaries())
    }

    /// Rare branches that its shards went through.
    pub fn add_marks(&self, marks: &mut Marks) {
        self.engines.iter().for_each(|engine| marks.add(engine.shard().marks()));
    }

    /// Whose token it is, and what that shard calls it.
    fn own(&self, token: Token) -> (u16, Token) {
        (self.shards.of_token(token.0), Token(token.0 / u64::from(self.shards.count())))
    }

    /// A shard's operation as one of the whole broker.
    fn number(&mut self, shard: u16, operation: &mut Operation) {
        match operation {
            Operation::Write { index, .. } => {
                self.written += 1;
                self.unfinished.push_back((self.written, shard, *index));
                *index = self.written;
            }
            Operation::Read { token, .. } | Operation::Sign { token, .. } => {
                token.0 = token.0 * u64::from(self.shards.count()) + u64::from(shard);
            }
            _ => {}
        }
    }
}

/// What a disk remembers for one shard.
fn part(checkpoint: &Checkpoint, share: Share) -> Checkpoint {
    let is_own = |(table, key, _): &&(Table, Vec<u8>, Vec<u8>)| {
        // The row that says whose disk it is concerns every shard.
        let of_all = *table == Table::Marker && key.len() != 4;
        of_all || rows::split_partition_key(key).is_none_or(|partition| share.owns(partition))
    };
    let last_index = checkpoint.last_index.iter().filter(|(partition, _)| share.owns(*partition));
    Checkpoint {
        last_index: last_index.copied().collect(),
        rows: checkpoint.rows.iter().filter(is_own).cloned().collect(),
    }
}

/// Turns of several shards at the same time.
struct Turns<'a> {
    broker: &'a mut Broker,
    now: Now,
    operations: &'a mut Vec<Operation>,
}

impl Turns<'_> {
    fn one(&mut self, shard: u16, completion: Completion) {
        self.turn(shard, Some(completion));
    }

    fn all(&mut self, completion: impl Fn() -> Option<Completion>) {
        (0..self.broker.shards.count()).for_each(|shard| self.turn(shard, completion()));
    }

    fn turn(&mut self, shard: u16, completion: Option<Completion>) {
        let begun = self.operations.len();
        self.broker.engines[usize::from(shard)].turn(self.now, completion, self.operations);
        self.operations[begun..].iter_mut().for_each(|operation| self.broker.number(shard, operation));
    }

    fn durable(&mut self, index: u64) {
        let mut reached: Vec<Option<u64>> = vec![None; usize::from(self.broker.shards.count())];
        while let Some((_, shard, own)) = self.broker.unfinished.pop_front_if(|(number, ..)| *number <= index)
        {
            reached[usize::from(shard)] = Some(own);
        }
        for (shard, own) in (0..).zip(reached) {
            own.into_iter().for_each(|own| self.one(shard, Completion::Durable(own)));
        }
    }
}
