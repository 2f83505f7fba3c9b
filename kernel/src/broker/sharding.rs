//! Which of a broker's shards a thing belongs to: the one rule by which a node, a simulator and the kernel itself
//! route.
//!
//! ```text
//!   a partition's data, its sealing, its deposits      ── shard: partition mod shards
//!   batches on their way to a quorum of a partition     ── the partition's shard
//!   readings, subscriptions and feeds of a stream       ── shard: stream id mod shards
//!   the answer to a question of an edge                 ── shard: token mod shards
//!   who a session is, and its end                       ── every shard
//! ```
//!
//! Shards share nothing: what one has to say to another goes out as [`Output::Hand`](super::Output::Hand) and comes in
//! as [`Input::Handed`](super::Input::Handed), and like a message between brokers it may come late or never. Everything
//! that has to be durable or signed is of one partition, so no promise ever spans two shards.
//!
//! A broker keeps its number of shards for the life of its store, because each shard's log holds its partitions alone.

use core::fmt;

use super::admission;
use super::io::{Command, Handed};
use super::message::Message;
use crate::coordinator::State;
use crate::ids::{PartitionId, StreamId};
use crate::limits::MAX_SHARDS;
use crate::log::Query;
use crate::wire;

/// How many shards a broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(u16);

/// One of a broker's shards: what it owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    number: u16,
    of: Shards,
}

/// Who is to get something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// The shard with this number.
    One(u16),
    /// Every shard.
    All,
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of)
    }
}

impl Shards {
    /// A broker that is one shard.
    pub const ONE: Self = Self(1);

    /// So many shards; `None` unless there are 1 to [`MAX_SHARDS`].
    pub fn new(count: u16) -> Option<Self> {
        (1..=MAX_SHARDS).contains(&count).then_some(Self(count))
    }

    /// How many they are.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Every shard.
    pub fn shares(self) -> impl Iterator<Item = Share> {
        (0..self.0).map(move |number| Share { number, of: self })
    }

    /// The shard of a partition.
    pub fn of_partition(self, partition: PartitionId) -> u16 {
        self.place(u64::from(partition.0))
    }

    /// The shard that serves the readers of a stream. Ids are addresses that the chain made by hashing, so they spread.
    pub fn of_stream(self, stream: StreamId) -> u16 {
        let tail = stream.0.last_chunk::<4>().expect("an id has 20 bytes");
        self.place(u64::from(u32::from_be_bytes(*tail)))
    }

    /// The shard that asked under this token.
    pub fn of_token(self, token: u64) -> u16 {
        self.place(token)
    }

    /// The shard that a message is for, whichever broker it is from. What no shard can answer goes to the first, which
    /// says so.
    pub fn of_message(self, message: &Message) -> u16 {
        match message {
            Message::Append { partition }
            | Message::Acknowledge { partition, .. }
            | Message::Refuse { partition, .. }
            | Message::Sealed { partition, .. }
            | Message::Fetch { partition, .. }
            | Message::Repair { partition, .. }
            | Message::Gone { partition, .. }
            | Message::Closing { partition, .. }
            | Message::Decline { partition, .. }
            | Message::HeadsWanted { partition }
            | Message::Heads { partition, .. }
            | Message::CutsWanted { partition, .. }
            | Message::Cuts { partition, .. }
            | Message::Follow { partition, .. }
            | Message::Unfollow { partition, .. }
            | Message::Survey { partition, .. }
            | Message::ReadLane { partition, .. } => self.of_partition(*partition),
            Message::Propose { cut, .. } => self.of_partition(cut.partition),
            Message::Report(report) => self.of_partition(report.entry.partition),
            Message::Read { query, .. } => {
                partition_of(query).map_or(0, |partition| self.of_partition(partition))
            }
            Message::Answer { token, .. } | Message::ReadFailed { token, .. } => self.of_token(*token),
            Message::Following { slot, .. }
            | Message::Live { slot, .. }
            | Message::Withdrawn { slot, .. }
            | Message::Surveyed { slot, .. } => self.of_stream(slot.stream),
        }
    }

    /// The shard that a frame is for. What is no frame goes to the first, which says so.
    pub fn of_frame(self, frame: &[u8]) -> u16 {
        match self {
            Self::ONE => 0,
            _ => wire::peek(frame).map_or(0, |message| self.of_message(&message)),
        }
    }

    /// The shard that another one hands something to.
    pub fn of_handed(self, handed: &Handed) -> u16 {
        match handed {
            Handed::Message(received) => self.of_message(received.message()),
            Handed::Stored { slot, .. } => self.of_stream(slot.stream),
        }
    }

    /// The shards that a client's command is for. A request's number does not say whose it is, so all are told how it
    /// goes on; those that do not know it do nothing.
    ///
    /// A batch whose home this view does not know yet goes to the first shard; that one refuses it for the moment
    /// unless it is its own.
    pub fn of_command(self, command: &Command, view: &State) -> Addressee {
        match command {
            _ if self == Self::ONE => Addressee::One(0),
            Command::Publish { batch, .. } => {
                let home = admission::home(view, batch.header());
                Addressee::One(home.map_or(0, |home| self.of_partition(home)))
            }
            Command::Read { slot, .. } => Addressee::One(self.of_stream(slot.stream)),
            Command::Subscribe { stream, .. } => Addressee::One(self.of_stream(*stream)),
            Command::Identify(_) | Command::More { .. } | Command::Cancel { .. } | Command::Close => {
                Addressee::All
            }
        }
    }

    fn place(self, number: u64) -> u16 {
        u16::try_from(number % u64::from(self.0)).expect("a remainder is below its divisor")
    }
}

impl Share {
    /// The only shard of a broker.
    pub const WHOLE: Self = Self { number: 0, of: Shards::ONE };

    /// Its number, from 0.
    pub fn number(self) -> u16 {
        self.number
    }

    /// All shards of the broker.
    pub fn of(self) -> Shards {
        self.of
    }

    /// Whether it does what a broker does once, not once a partition.
    pub fn is_first(self) -> bool {
        self.number == 0
    }

    /// Whether a partition is this shard's.
    pub fn owns(self, partition: PartitionId) -> bool {
        self.of.of_partition(partition) == self.number
    }

    /// The n-th token of this shard: no two shards have the same, and [`Shards::of_token`] finds whose it is.
    pub fn token(self, nth: u64) -> u64 {
        nth * u64::from(self.of.0) + u64::from(self.number)
    }
}

/// The partition whose data answers a query; `None` for those that only a broker asks of its own log.
pub fn partition_of(query: &Query) -> Option<PartitionId> {
    match query {
        Query::Range { partition, .. } | Query::Last { partition, .. } | Query::Append { partition, .. } => {
            Some(*partition)
        }
        Query::Lane { .. } | Query::Rows { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::agreement::Cut;
    use crate::broker::SignedEntry;
    use crate::broker::io::{From, Reading};
    use crate::broker::refusal::RefusalCode;
    use crate::coordinator::Entry;
    use crate::ids::{Hash, LaneId, StreamPartition};
    use crate::log::Table;

    const PARTITION: PartitionId = PartitionId(7);
    const SLOT: StreamPartition = StreamPartition { stream: StreamId([8; 20]), partition: 3 };
    const TOKEN: u64 = 3 * 9 + 2;

    fn query() -> Query {
        Query::Append { partition: PARTITION, slot: SLOT, after_index: 0 }
    }

    /// What is kept, stored or sealed of a partition.
    fn of_the_partition() -> Vec<Message> {
        let (partition, lane, slot) = (PARTITION, LaneId([5; 32]), SLOT);
        let cut = Cut { partition, epoch: 1, previous: Hash::ZERO, heads: Vec::new(), forks: Vec::new() };
        let entry = Entry::of_cut(&cut, 0, |_| (0, 0));
        alloc::vec![
            Message::Append { partition },
            Message::Acknowledge { partition, epoch: 1, heads: Vec::new() },
            Message::Refuse {
                partition,
                lane,
                sequence: 0,
                code: RefusalCode::Invalid,
                reason: String::new()
            },
            Message::Fetch { partition, lane, from: 0 },
            Message::Repair { partition, lane },
            Message::Gone { partition, lane, epoch: 1, before: 0, header: None },
            Message::Closing {
                partition,
                epoch: 1,
                round: 0,
                previous: Hash::ZERO,
                heads: Vec::new(),
                forks: Vec::new(),
            },
            Message::Propose { round: 0, cut },
            Message::Report(SignedEntry { entry, signature: Vec::new() }),
            Message::Decline { partition, epoch: 1, round: 0, heads: Vec::new(), forks: Vec::new() },
            Message::Sealed { partition, epoch: 1, heads: Vec::new() },
            Message::HeadsWanted { partition },
            Message::Heads { partition, heads: Vec::new() },
            Message::CutsWanted { partition, after_epoch: 0 },
            Message::Cuts { partition, after_epoch: 0, cuts: Vec::new() },
            Message::Read { token: TOKEN, query: query(), budget_bytes: 1 },
            Message::Follow { partition, slot },
            Message::Unfollow { partition, slot },
            Message::Survey { partition, slot, since: 1, after: lane },
            Message::ReadLane { token: TOKEN, partition, lane, from: 3 },
        ]
    }

    #[test]
    fn each_message_goes_to_whom_it_concerns() {
        let three = Shards::new(3).unwrap();
        for message in of_the_partition() {
            assert_eq!(three.of_message(&message), 1, "{message:?}");
            assert_eq!(Shards::ONE.of_message(&message), 0);
        }
        let (partition, slot, stream) = (PARTITION, SLOT, three.of_stream(SLOT.stream));
        assert_ne!(stream, 1, "the stream's readers are not where its data is");
        let of_the_stream = [
            Message::Following { partition, slot, index: 0 },
            Message::Live { partition, slot, previous_index: 0, index: 1 },
            Message::Withdrawn { partition, slot, lane: LaneId([5; 32]), from: 0 },
            Message::Surveyed {
                partition,
                slot,
                since: 1,
                after: LaneId::ZERO,
                up_to: 2,
                lanes: Vec::new(),
                more: false,
            },
        ];
        of_the_stream.iter().for_each(|message| assert_eq!(three.of_message(message), stream));
        let answers = [
            Message::Answer { token: TOKEN, order: Vec::new(), last_index: 0, total: 0, next: None },
            Message::ReadFailed { token: TOKEN, reason: String::new() },
        ];
        answers.iter().for_each(|message| assert_eq!(three.of_message(message), 2));
        let rows = Query::Rows { table: Table::Cut, prefix: Vec::new(), after: Vec::new() };
        assert_eq!(three.of_message(&Message::Read { token: 1, query: rows, budget_bytes: 1 }), 0);
    }

    #[test]
    fn tokens_and_partitions_have_one_owner_each() {
        for shards in [1, 2, 3, MAX_SHARDS].map(|count| Shards::new(count).unwrap()) {
            for share in shards.shares() {
                assert!((1..50).all(|nth| shards.of_token(share.token(nth)) == share.number()));
            }
            let owners = |id| shards.shares().filter(|share| share.owns(PartitionId(id))).count();
            assert!((0..200).all(|id| owners(id) == 1));
            assert_eq!(shards.shares().filter(|share| share.is_first()).count(), 1);
        }
        assert_eq!((1..4).map(|nth| Share::WHOLE.token(nth)).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((Shards::new(0), Shards::new(MAX_SHARDS + 1)), (None, None));
    }

    #[test]
    fn what_a_client_asks_goes_where_its_answers_come() {
        let (three, view) = (Shards::new(3).unwrap(), State::default());
        let stream = Addressee::One(three.of_stream(SLOT.stream));
        let read = Command::Read { request: 1, slot: SLOT, reading: Reading::Last(1) };
        assert_eq!(three.of_command(&read, &view), stream);
        let (partitions, from) = (Vec::new(), From::All);
        let subscribe = Command::Subscribe { request: 1, stream: SLOT.stream, partitions, from };
        assert_eq!(three.of_command(&subscribe, &view), stream);
        let more = Command::More { request: 1, bytes: 1 };
        for command in [Command::Identify(None), more, Command::Cancel { request: 1 }, Command::Close] {
            assert_eq!(three.of_command(&command, &view), Addressee::All);
            assert_eq!(Shards::ONE.of_command(&command, &view), Addressee::One(0));
        }
    }
}
