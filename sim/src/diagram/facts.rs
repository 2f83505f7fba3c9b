//! What the chain said in a block, in words.

use weir_kernel::coordinator::Fact;
use weir_kernel::coordinator::SealedEntry;

use super::names::{Names, plain, short};

impl Names {
    /// A fact that the diagram marks by itself; the others are counted with their block.
    pub fn fact(&self, fact: &Fact) -> Option<String> {
        Some(match fact {
            Fact::PartitionsSealed { entries, .. } => {
                let sealed: Vec<String> = entries.iter().map(sealed).collect();
                sealed.join("; ")
            }
            Fact::MembersInstalled { partition, since_epoch, members } => {
                let members: Vec<String> = members.brokers().map(|broker| self.seated(broker)).collect();
                format!("p{partition} has members {} from epoch {since_epoch} on", members.join(", "))
            }
            Fact::BrokerRegistered { broker, tickets, .. } => {
                format!("{} registers with {tickets} tickets", self.broker(broker))
            }
            Fact::BrokerLeft { index, .. } => format!("{} gives notice", self.seated(*index)),
            Fact::BrokerSlashed { index, partition, epoch, .. } => {
                format!("{} is punished for p{partition} epoch {epoch}", self.seated(*index))
            }
            Fact::QuorumLost { partition, sealed_epoch, .. } => {
                format!("p{partition} is declared lost: nothing sealed since epoch {sealed_epoch}")
            }
            Fact::PartitionsGrown { from_epoch, partitions } => {
                format!("there are {partitions} partitions from epoch {from_epoch} on")
            }
            Fact::LateReportAccepted { partition, epoch, index, .. } => {
                format!("{} reports p{partition} epoch {epoch} late", self.seated(*index))
            }
            _ => return None,
        })
    }

    /// All that a block said, in one line.
    pub fn facts(&self, facts: &[Fact]) -> String {
        let told: Vec<String> =
            facts.iter().map(|fact| self.fact(fact).unwrap_or_else(|| plain(fact))).collect();
        if told.is_empty() { "nothing".to_string() } else { told.join("; ") }
    }

    /// Whether a fact is a seal.
    pub fn is_seal(fact: &Fact) -> bool {
        matches!(fact, Fact::PartitionsSealed { .. })
    }
}

fn sealed(entry: &SealedEntry) -> String {
    let SealedEntry { partition, epoch, round, events, checksum, .. } = entry;
    let checksum = short(&checksum.0);
    format!("p{partition} is sealed for epoch {epoch} (round {round}): {events} events, checksum {checksum}")
}
