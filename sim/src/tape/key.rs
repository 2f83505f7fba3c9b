//! Names of decisions: who decides, what about, and for which time.
//!
//! A decision is found by its name and never by its place on the tape, so it is found again when others are gone.

use std::fmt;
use std::str::FromStr;

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Role {
    /// Publishes and wants acknowledgements.
    Publisher,
    /// Signs two branches of a lane.
    Equivocator,
    /// Follows streams.
    Subscriber,
    /// Asks for what is kept.
    Reader,
    /// Follows a stream for as long as it may.
    Guest,
    /// Leaves a gap in its lane.
    Gap,
    /// Dates events wrongly.
    Misdater,
    /// Floods a lane without a deposit.
    Debtor,
}

impl Role {
    /// All of them, each at the place of its number.
    pub const ALL: [Self; 8] = [
        Self::Publisher,
        Self::Equivocator,
        Self::Subscriber,
        Self::Reader,
        Self::Guest,
        Self::Gap,
        Self::Misdater,
        Self::Debtor,
    ];

    /// Its name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Equivocator => "equivocator",
            Self::Subscriber => "subscriber",
            Self::Reader => "reader",
            Self::Guest => "guest",
            Self::Gap => "gap",
            Self::Misdater => "misdater",
            Self::Debtor => "debtor",
        }
    }
}

/// Who a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The network as a whole.
    Network,
    /// The chain.
    Chain,
    /// A broker, from 0.
    Node(u32),
    /// The way from a broker to another.
    Link(u32, u32),
    /// A client, from 0 for each role.
    Client(Role, u32),
}

/// Brokers and clients of a role are below this: their numbers fit into [`Actor::packed`].
pub const MAX_NUMBER: u32 = 1 << 28;

impl Actor {
    /// One number for each actor; its order is that of actors.
    pub fn packed(self) -> u64 {
        let (kind, high, low) = match self {
            Self::Network => (0, 0, 0),
            Self::Chain => (1, 0, 0),
            Self::Node(number) => (2, 0, number),
            Self::Link(from, to) => (3, from, to),
            Self::Client(role, number) => (4, role as u32, number),
        };
        assert!(high < MAX_NUMBER && low < MAX_NUMBER, "actors are numbered from 0");
        kind << 56 | u64::from(high) << 28 | u64::from(low)
    }

    /// The actor with this number.
    pub fn unpacked(packed: u64) -> Option<Self> {
        let mask = u64::from(MAX_NUMBER) - 1;
        let (high, low) = ((packed >> 28 & mask) as u32, (packed & mask) as u32);
        let actor = match packed >> 56 {
            0 => Self::Network,
            1 => Self::Chain,
            2 => Self::Node(low),
            3 => Self::Link(high, low),
            4 => Self::Client(*Role::ALL.get(high as usize)?, low),
            _ => return None,
        };
        (actor.packed() == packed).then_some(actor)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => write!(f, "network"),
            Self::Chain => write!(f, "chain"),
            Self::Node(number) => write!(f, "node:{number}"),
            Self::Link(from, to) => write!(f, "link:{from}>{to}"),
            Self::Client(role, number) => write!(f, "{}:{number}", role.name()),
        }
    }
}

/// A text that names no actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names nobody: write network, chain, node:3, link:0>3 or publisher:2")]
pub struct ActorError(pub String);

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let wrong = || ActorError(text.chars().take(60).collect());
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number < MAX_NUMBER);
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("network", "") => Ok(Self::Network),
            ("chain", "") => Ok(Self::Chain),
            ("node", rest) => number(rest).map(Self::Node).ok_or_else(wrong),
            ("link", rest) => {
                let ends = rest.split_once('>').ok_or_else(wrong)?;
                let ends = number(ends.0).zip(number(ends.1)).ok_or_else(wrong)?;
                Ok(Self::Link(ends.0, ends.1))
            }
            (kind, rest) => {
                let role = Role::ALL.into_iter().find(|role| role.name() == kind);
                let (role, number) = role.zip(number(rest)).ok_or_else(wrong)?;
                Ok(Self::Client(role, number))
            }
        }
    }
}

impl serde::Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Actor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Lists purposes once: number on the tape, name in texts, meaning of the value, and what holds without a record.
macro_rules! purposes {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal $name:literal,)*) => {
        /// What a decision is about. Numbers are part of the tape's format: a new purpose takes the next free one.
        ///
        /// The documentation of each says what its value means, and what holds when the tape has no record of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Purpose {
            $($(#[doc = $doc])* $variant = $number,)*
        }

        impl Purpose {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The purpose with this number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name in texts.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

purposes! {
    /// Link: microseconds that a frame takes. Without a record: the scenario's least delay.
    Delay = 0 "delay",
    /// Link: a frame is lost (1). Without: it is not.
    Loss = 1 "lost",
    /// Link: a frame comes twice; the value is what the second copy takes, in microseconds. Without: once.
    Duplicate = 2 "twice",
    /// Link: a frame is held up for so many microseconds. Without: it is not.
    Hold = 3 "held",
    /// Node: microseconds that a sync takes. Without: the scenario's least.
    Sync = 4 "sync",
    /// Node: microseconds that a read takes. Without: the scenario's least.
    Read = 5 "read",
    /// Node: microseconds until a signature is there. Without: the least.
    Sign = 6 "sign",
    /// Node: microseconds after which it sees the block whose height the ordinal is. Without: the scenario's least.
    View = 7 "view",
    /// Node: microseconds until a transaction waits at the chain. Without: the scenario's least.
    Transaction = 8 "transaction",
    /// Node: a transaction is lost on the way (1). Without: it is not.
    TransactionLoss = 9 "transaction-lost",
    /// Node: tickets that it registers with. Without: 1.
    Tickets = 10 "tickets",
    /// Node: it crashes now that a report was written; the value is how long it is down, in milliseconds. Without: not.
    CrashReportWritten = 11 "crash-report-written",
    /// Node: it crashes between a report's sync and its signature, as above.
    CrashReportDurable = 12 "crash-report-durable",
    /// Node: it crashes in the block that gives its seat away, as above.
    CrashReplaced = 13 "crash-replaced",
    /// Client: the node that it connects to; if that is down, the next one that is up. Without: node 0.
    Edge = 14 "edge",
    /// Client: microseconds that a command takes to its edge. Without: the least.
    Command = 15 "command",
    /// Client: microseconds that a reply takes from its edge. Without: the least.
    Reply = 16 "reply",
    /// Client: microseconds after which it comes into being. Without: 0.
    Begin = 17 "begin",
    /// Client: what it works on: a stream or a stream partition by its place among all. Without: the first.
    Subject = 18 "subject",
    /// Client: microseconds until it wakes again. Without: the mean.
    Wait = 19 "wait",
    /// Publisher: it publishes at the wake whose number the ordinal is: partition, events and level, see
    /// [`crate::clients::publisher`]. Without: it publishes nothing then.
    Publish = 20 "publish",
    /// Publisher: the number that the content of what it publishes at this wake grows from. Without: 0, which stands
    /// for the smallest events there are.
    Payload = 21 "payload",
    /// Client: it leaves its edge for another (1). Without: it stays.
    Move = 22 "move",
    /// Subscriber: what it asks for: 0 all, 1 from now on, else that many milliseconds after the start. Without: all.
    From = 23 "from",
    /// Subscriber: it takes events in slowly (1). Without: at once.
    Slow = 24 "slow",
    /// Subscriber: it changes edges now and then (1). Without: never of itself.
    Restless = 25 "restless",
    /// Reader: it asks for the last so many events. Without: for the whole range.
    Last = 26 "last",
    /// Network: draws of a plan of faults, never on a tape: the plan is in the tape's scenario.
    Plan = 27 "plan",
    /// Network: draws of a swarm's scenario, never on a tape: the tape has the scenario.
    Swarm = 28 "swarm",
    /// Client: identities that follow from the seed, never on a tape: lane nonces and the branches of forks.
    Identity = 29 "identity",
    /// Node: a liar does something that its engine did not ask for; the value says what. Without: it does not.
    Lie = 30 "lie",
    /// Node: of the writes that were not synced, how many a torn write leaves. Without: none.
    TornWrite = 31 "torn-write",
    /// Link: the bit of a frame that is flipped, counted round and round. Without: none is.
    Corruption = 32 "corrupted",
    /// Node: microseconds that a transaction waits for its block beyond what is usual. Without: none.
    Inclusion = 33 "included-late",
    /// Node: microseconds until another shard of it hears what one says. Without: the least.
    Handover = 34 "handed-over",
    /// Node: what one shard says to another is lost (1). Without: it is not.
    HandoverLoss = 35 "handover-lost",
}

impl Purpose {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The purpose with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.name() == name)
    }
}

/// For each purpose, how many decisions an actor has made: the next one's ordinal.
#[derive(Clone, Debug)]
pub struct Counts([u32; Purpose::COUNT]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Purpose::COUNT])
    }
}

impl Counts {
    /// The ordinal of the next decision for this purpose, which thereby is made.
    pub fn next(&mut self, purpose: Purpose) -> u64 {
        let count = &mut self.0[purpose as usize];
        *count += 1;
        u64::from(*count) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_there_and_back() {
        for (number, purpose) in (0..).zip(Purpose::ALL) {
            assert_eq!(*purpose as u8, number, "numbers are dense: counts are indexed by them");
            assert_eq!(Purpose::from_number(number), Some(*purpose));
            assert_eq!(Purpose::from_name(purpose.name()), Some(*purpose));
        }
        assert_eq!(Purpose::from_number(Purpose::COUNT as u8), None);
        let mut actors = vec![Actor::Network, Actor::Chain, Actor::Node(7), Actor::Link(3, 0)];
        actors.extend(Role::ALL.map(|role| Actor::Client(role, 2)));
        for actor in &actors {
            assert_eq!(actor.to_string().parse(), Ok(*actor));
            assert_eq!(Actor::unpacked(actor.packed()), Some(*actor));
        }
        assert!(actors.is_sorted() && actors.iter().map(|actor| actor.packed()).is_sorted());
    }

    #[test]
    fn other_texts_and_numbers_name_nobody() {
        for text in
            ["", "node", "node:", "node:-1", "node:268435456", "link:1", "link:1>", "broker:1", "chain:1"]
        {
            assert_eq!(text.parse::<Actor>(), Err(ActorError(text.into())));
        }
        for packed in [1, 5 << 56, 4 << 56 | 9 << 28, u64::MAX] {
            assert_eq!(Actor::unpacked(packed), None);
        }
    }
}
