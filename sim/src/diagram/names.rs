//! Who and what, in words: brokers by their numbers, lanes by their publishers, messages by what they say.

use std::collections::BTreeMap;

use weir_kernel::agreement::{Cut, LaneHead};
use weir_kernel::batch::Batch;
use weir_kernel::broker::{Command, Message, Reading, Reply};
use weir_kernel::coordinator::State;
use weir_kernel::ids::{Address, BrokerIndex, LaneId, StreamId, StreamPartition};
use weir_kernel::log::{Chunk, Query};
use weir_kernel::signature::SecretKey;
use weir_kernel::wire::decode_row;

use crate::scenario::{Scenario, key_bytes};
use crate::tape::Actor;

/// Lanes and heads that are named one by one; of longer lists the rest is counted.
const LISTED: usize = 3;

/// Characters of a reason that are shown.
const REASON_CHARS: usize = 120;

/// What a message is about: a colour in the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Events on their way to replicas, and their acknowledgements.
    Append,
    /// What a replica lacks.
    Repair,
    /// Closing, proposing, reporting: how an epoch is sealed.
    Agreement,
    /// Readers and subscribers.
    Read,
    /// Between a client and its edge.
    Client,
}

/// Who takes part in a run: brokers by address.
#[derive(Clone, Debug)]
pub struct Cast {
    brokers: BTreeMap<Address, u32>,
    count: u32,
}

impl Cast {
    /// Those of a run from this seed. Keys follow from it, whoever decides.
    pub fn of(seed: u64, scenario: &Scenario) -> Self {
        let count = scenario.all_brokers();
        let address = |number: u32| {
            let bytes = key_bytes(seed, "broker", u64::from(number));
            SecretKey::from_bytes(&bytes).expect("the key is in range").address()
        };
        Self { brokers: (0..count).map(|number| (address(number), number)).collect(), count }
    }

    /// Brokers, those included that join later.
    pub fn brokers(&self) -> u32 {
        self.count
    }
}

/// What is known by name so far: lanes get theirs when they are first published to.
#[derive(Debug)]
pub struct Names {
    cast: Cast,
    indices: BTreeMap<BrokerIndex, u32>,
    streams: BTreeMap<StreamId, String>,
    lanes: BTreeMap<LaneId, String>,
    opened: BTreeMap<Actor, u32>,
}

impl Names {
    /// Nothing but the brokers is known yet.
    pub fn new(cast: &Cast) -> Self {
        let cast = cast.clone();
        let (indices, streams, lanes, opened) = Default::default();
        Self { cast, indices, streams, lanes, opened }
    }

    /// Learns streams and brokers' indices from the chain.
    pub fn learn_chain(&mut self, view: &State) {
        if self.streams.len() < view.streams.len() {
            let named = view.streams.iter().map(|(id, stream)| (*id, stream.name().to_owned()));
            self.streams = named.collect();
        }
        for index in (self.indices.len() as u32 + 1..).map(BrokerIndex) {
            let Some(address) = view.address_of(index) else { break };
            self.indices.insert(index, self.cast.brokers.get(&address).copied().unwrap_or(u32::MAX));
        }
    }

    /// Learns a lane from the client that publishes to it.
    pub fn learn_command(&mut self, client: Actor, command: &Command) {
        let Command::Publish { batch, .. } = command else { return };
        let lane = batch.lane();
        if !self.lanes.contains_key(&lane) {
            let number = self.opened.entry(client).or_default();
            self.lanes.insert(lane, format!("{client}/lane{number}"));
            *number += 1;
        }
    }

    /// The broker with this account.
    pub fn broker(&self, address: &Address) -> String {
        match self.cast.brokers.get(address) {
            Some(number) => Actor::Node(*number).to_string(),
            None => short(&address.0),
        }
    }

    /// The broker with this index on chain.
    pub fn seated(&self, index: BrokerIndex) -> String {
        match self.indices.get(&index) {
            Some(number) if *number != u32::MAX => Actor::Node(*number).to_string(),
            _ => format!("broker {index}"),
        }
    }

    /// A lane.
    pub fn lane(&self, lane: &LaneId) -> String {
        self.lanes.get(lane).cloned().unwrap_or_else(|| format!("lane {}", short(&lane.0)))
    }

    /// What an oracle says, with lanes by their names where it has their numbers.
    pub fn readable(&self, text: &str) -> String {
        let mut readable = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("0x") {
            let (before, number) = rest.split_at(at);
            readable.push_str(before);
            let lane = number.get(..66).and_then(|number| number.parse::<LaneId>().ok());
            let (shown, taken) = match lane.and_then(|lane| self.lanes.get(&lane)) {
                Some(name) => (name.as_str(), 66),
                None => ("0x", 2),
            };
            readable.push_str(shown);
            rest = &number[taken..];
        }
        readable + rest
    }

    /// A stream partition.
    pub fn slot(&self, slot: StreamPartition) -> String {
        format!("{}[{}]", self.stream(slot.stream), slot.partition)
    }

    fn stream(&self, stream: StreamId) -> String {
        self.streams.get(&stream).cloned().unwrap_or_else(|| short(&stream.0))
    }

    /// A batch: its lane and the events that it holds.
    pub fn batch(&self, batch: &Batch) -> String {
        let header = batch.header();
        format!("{} {}..{}", self.lane(&batch.lane()), header.sequence, header.next_sequence())
    }

    fn batches(&self, attached: Vec<Vec<u8>>) -> String {
        let named = attached.into_iter().map(|bytes| match Batch::decode(bytes.into()) {
            Ok(batch) => self.batch(&batch),
            Err(error) => format!("no batch ({error})"),
        });
        listed(named.collect())
    }

    fn heads(&self, heads: &[LaneHead]) -> String {
        listed(
            heads
                .iter()
                .map(|head| format!("{} up to {}", self.lane(&head.lane), head.next_sequence))
                .collect(),
        )
    }

    fn cut(&self, cut: &Cut) -> String {
        let forks = match cut.forks.len() {
            0 => String::new(),
            count => format!(", {count} forked"),
        };
        format!("p{} epoch {}: {}{forks}", cut.partition, cut.epoch, self.heads(&cut.heads))
    }

    /// A frame between brokers.
    pub fn frame(&self, frame: &[u8]) -> (Class, String) {
        // The first byte is the version; then comes the message with its batches.
        let decoded = frame.get(1..).and_then(decode_row::<(Message, Vec<Vec<u8>>)>);
        match decoded {
            Some((message, attached)) => self.message(&message, attached),
            None => (Class::Append, format!("{} bytes that are no frame", frame.len())),
        }
    }

    fn message(&self, message: &Message, attached: Vec<Vec<u8>>) -> (Class, String) {
        use Class::{Agreement, Append, Read, Repair};
        match message {
            Message::Append { partition } => {
                (Append, format!("Append p{partition}: {}", self.batches(attached)))
            }
            Message::Acknowledge { partition, epoch, heads } => {
                (Append, format!("Acknowledge p{partition} epoch {epoch}: {}", self.heads(heads)))
            }
            Message::Refuse { partition, lane, sequence, code, reason } => {
                let (lane, code, reason) = (self.lane(lane), code.as_str(), words(reason));
                (Append, format!("Refuse p{partition}: {lane} {sequence}, {code}: {reason}"))
            }
            Message::Fetch { partition, lane, from } => {
                (Repair, format!("Fetch p{partition}: {} from {from}", self.lane(lane)))
            }
            Message::Repair { partition, lane } => {
                (Repair, format!("Repair p{partition} {}: {}", self.lane(lane), self.batches(attached)))
            }
            Message::HeadsWanted { partition } => (Repair, format!("HeadsWanted p{partition}")),
            Message::Heads { partition, heads } => {
                (Repair, format!("Heads p{partition}: {}", self.heads(heads)))
            }
            Message::CutsWanted { partition, after_epoch } => {
                (Repair, format!("CutsWanted p{partition} after epoch {after_epoch}"))
            }
            Message::Cuts { partition, after_epoch, cuts } => {
                let cuts = listed(cuts.iter().map(|cut| self.cut(cut)).collect());
                (Repair, format!("Cuts p{partition} after epoch {after_epoch}: {cuts}"))
            }
            Message::Closing { .. }
            | Message::Propose { .. }
            | Message::Report(_)
            | Message::Decline { .. }
            | Message::Sealed { .. } => (Agreement, self.agreement(message)),
            _ => (Read, self.reading(message, attached)),
        }
    }

    fn agreement(&self, message: &Message) -> String {
        match message {
            Message::Closing { partition, epoch, round, heads, forks, .. } => {
                let (heads, forks) = (self.heads(heads), forks.len());
                format!("Closing p{partition} epoch {epoch} round {round}: {heads}; {forks} forks")
            }
            Message::Propose { round, cut } => format!("Propose round {round}, {}", self.cut(cut)),
            Message::Report(report) => {
                let entry = &report.entry;
                let (partition, epoch, round) = (entry.partition, entry.epoch, entry.round);
                format!(
                    "Report p{partition} epoch {epoch} round {round}: checksum {}",
                    short(&entry.checksum.0)
                )
            }
            Message::Decline { partition, epoch, round, heads, .. } => {
                format!("Decline p{partition} epoch {epoch} round {round}: {}", self.heads(heads))
            }
            Message::Sealed { partition, epoch, heads } => {
                format!("Sealed p{partition} epoch {epoch}: {}", self.heads(heads))
            }
            other => plain(other),
        }
    }

    fn reading(&self, message: &Message, attached: Vec<Vec<u8>>) -> String {
        match message {
            Message::Read { token, query, .. } => format!("Read {token}: {}", self.query(query)),
            Message::Answer { token, order, next, .. } => {
                let events: u64 = order.iter().map(|slice| u64::from(slice.count)).sum();
                let more = if next.is_some() { ", more to come" } else { "" };
                format!("Answer {token}: {events} events of {}{more}", self.batches(attached))
            }
            Message::ReadFailed { token, reason } => format!("ReadFailed {token}: {}", words(reason)),
            Message::Follow { partition, slot } => format!("Follow p{partition} {}", self.slot(*slot)),
            Message::Following { partition, slot, index } => {
                format!("Following p{partition} {} after {index}", self.slot(*slot))
            }
            Message::Unfollow { partition, slot } => format!("Unfollow p{partition} {}", self.slot(*slot)),
            Message::Live { partition, slot, previous_index, index } => {
                let (slot, batches) = (self.slot(*slot), self.batches(attached));
                format!("Live p{partition} {slot} {index} after {previous_index}: {batches}")
            }
            Message::Withdrawn { partition, lane, from, .. } => {
                format!("Withdrawn p{partition}: {} from {from}", self.lane(lane))
            }
            Message::Survey { partition, slot, since, .. } => {
                format!("Survey p{partition} {} since epoch {since}", self.slot(*slot))
            }
            Message::Surveyed { partition, slot, lanes, .. } => {
                let heads: Vec<String> = lanes
                    .iter()
                    .map(|moved| format!("{}:{}", self.lane(&moved.lane), moved.next_sequence))
                    .collect();
                format!("Surveyed p{partition} {}: {}", self.slot(*slot), heads.join(", "))
            }
            Message::ReadLane { token, partition, lane, from } => {
                format!("ReadLane {token}: p{partition} {} from {from}", self.lane(lane))
            }
            Message::Gone { partition, lane, before, .. } => {
                format!("Gone p{partition}: {} before {before}", self.lane(lane))
            }
            other => plain(other),
        }
    }

    fn query(&self, query: &Query) -> String {
        match query {
            Query::Range { partition, slot, .. } => format!("a range of p{partition} {}", self.slot(*slot)),
            Query::Last { partition, slot, count, .. } => {
                format!("the last {count} of p{partition} {}", self.slot(*slot))
            }
            Query::Append { partition, slot, after_index } => {
                format!("p{partition} {} after {after_index}", self.slot(*slot))
            }
            other => plain(other),
        }
    }

    /// What a client asks.
    pub fn command(&self, command: &Command) -> String {
        match command {
            Command::Publish { request, batch, level } => {
                format!("Publish {request}: {}, {}", self.batch(batch), level.as_str())
            }
            Command::Read { request, slot, reading } => {
                let what = match reading {
                    Reading::Last(count) => format!("the last {count}"),
                    Reading::Range { .. } => "a range".to_string(),
                };
                format!("Read {request}: {what} of {}", self.slot(*slot))
            }
            Command::Subscribe { request, stream, partitions, from } => {
                format!("Subscribe {request}: {} {partitions:?} from {from:?}", self.stream(*stream))
            }
            Command::More { request, bytes } => format!("More {request}: {bytes} bytes taken in"),
            Command::Cancel { request } => format!("Cancel {request}"),
            Command::Identify(who) => match who {
                Some(address) => format!("Identify {}", short(&address.0)),
                None => "Identify nobody".to_string(),
            },
            Command::Close => "Close".to_string(),
        }
    }

    /// What a client is told.
    pub fn reply(&self, reply: &Reply) -> String {
        match reply {
            Reply::Published { request, lane, next_sequence, level } => {
                format!("{} {request}: {} up to {next_sequence}", level.as_str(), self.lane(lane))
            }
            Reply::Refused { request, refusal } => {
                format!("Refused {request}: {}: {}", refusal.code.as_str(), words(&refusal.reason))
            }
            Reply::Chunk { request, slot, chunk } => {
                format!("Chunk {request}: {} of {}", chunk_words(chunk), self.slot(*slot))
            }
            Reply::End { request } => format!("End {request}"),
            Reply::CaughtUp { request, slot } => format!("CaughtUp {request}: {}", self.slot(*slot)),
            Reply::Live { request, batch, first, .. } => {
                format!("Live {request}: {} from its event {first} on", self.batch(batch))
            }
            Reply::Withdrawn { request, lane, from } => {
                format!("Withdrawn {request}: {} from {from}", self.lane(lane))
            }
        }
    }
}

fn chunk_words(chunk: &Chunk) -> String {
    let events: u64 = chunk.order.iter().map(|slice| u64::from(slice.count)).sum();
    format!("{events} events in {} batches", chunk.batches.len())
}

/// The first of a list, and how many more there are.
pub(super) fn listed(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match (names.is_empty(), more) {
        (true, _) => "nothing".to_string(),
        (_, 0) => shown,
        _ => format!("{shown} and {more} more"),
    }
}

/// The first bytes, which tell apart.
pub(super) fn short(bytes: &[u8]) -> String {
    bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A reason, not longer than a line.
pub(super) fn words(reason: &str) -> String {
    let mut shown: String = reason.chars().take(REASON_CHARS).collect();
    if shown.len() < reason.len() {
        shown.push('…');
    }
    shown
}

/// The name of a variant, for what has no words of its own.
pub(super) fn plain(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::ids::PartitionId;
    use weir_kernel::wire::encode;

    #[test]
    fn messages_are_named_by_what_they_say() {
        let names = Names::new(&Cast::of(1, &Scenario::calm(4)));
        let head = |first: u8| LaneHead { next_sequence: 7, ..LaneHead::empty(LaneId([first; 32])) };
        let heads = (1..6).map(head).collect();
        let frame = encode(&Message::Heads { partition: PartitionId(3), heads }, &[]);
        let (class, text) = names.frame(&frame);
        assert_eq!(class, Class::Repair);
        assert_eq!(
            text,
            "Heads p3: lane 01010101 up to 7, lane 02020202 up to 7, lane 03030303 up to 7 and 2 more"
        );
        let frame = encode(&Message::Append { partition: PartitionId(0) }, &[vec![1, 2, 3].into()]);
        let (class, text) = names.frame(&frame);
        assert!(class == Class::Append && text.starts_with("Append p0: no batch ("), "{text}");
        assert_eq!(names.frame(&[1, 255, 255]).1, "3 bytes that are no frame");
        assert_eq!(names.frame(&[]).1, "0 bytes that are no frame");
    }

    #[test]
    fn brokers_are_known_by_their_keys() {
        let cast = Cast::of(9, &Scenario::calm(5));
        let names = Names::new(&cast);
        assert_eq!(cast.brokers(), 5);
        let address = SecretKey::from_bytes(&key_bytes(9, "broker", 3)).unwrap().address();
        assert_eq!(names.broker(&address), "node:3");
        assert_eq!(names.broker(&Address([0xab; 20])), "abababab");
        let mut names = names;
        names.lanes.insert(LaneId([0x5a; 32]), "publisher:0/lane0".to_string());
        let text = format!("{} lacks 3, {} and 0x5a do not: é0x", LaneId([0x5a; 32]), LaneId([1; 32]));
        let readable = format!("publisher:0/lane0 lacks 3, {} and 0x5a do not: é0x", LaneId([1; 32]));
        assert_eq!(names.readable(&text), readable);
        assert_eq!(words(&"x".repeat(200)).chars().count(), REASON_CHARS + 1);
    }
}
