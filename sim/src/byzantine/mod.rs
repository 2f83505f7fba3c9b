//! Byzantine brokers: each is one file with a name.
//!
//! ```text
//!   frames ──► hears ──► the production Engine ──► Operation ──► says ──► links, chain
//!              withholds, answers by itself              changes, withholds, adds
//! ```
//!
//! A liar is a wrapper around the real engine with the broker's real keys: what the engine wants done is what an honest
//! broker would do, and the wrapper transforms it, withholds it, and adds messages and reports. So a liar has
//! everything that a real one has, and nothing that a real one lacks: it signs with its own key alone. Oracles watch
//! the engine before the wrapper; what is lied is judged by what becomes of the others.
//!
//! At most f of a partition's replicas may lie for the protocol's promises to hold. More of them is a scenario of its
//! own: then an oracle has to name what broke.

use std::collections::VecDeque;

use bytes::Bytes;
use weir_kernel::broker::{Message, SignedEntry};
use weir_kernel::coordinator::{Entry, Intent, report_signing_hash};
use weir_kernel::ids::{Address, Hash};
use weir_kernel::wire::{self, Domain, Received};
use weir_node::engine::{Completion, Operation};

use crate::faults::FaultKind;
use crate::tape::{Actor, Purpose};
use crate::world::World;

pub mod censor;
pub mod checksum_liar;
pub mod equivocator;
pub mod flooder;
pub mod lazy_copier;
pub mod replayer;
pub mod wire_mutator;
pub mod withholder;

/// What a liar remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    frames: VecDeque<(Address, Bytes)>,
    intents: VecDeque<Intent>,
    copied: lazy_copier::Copied,
    told: withholder::Told,
}

impl World<'_> {
    /// A broker begins to lie: from now on its word alone is worth nothing.
    pub(crate) fn begin_lie(&mut self, node: usize) {
        let address = self.nodes[node].address;
        self.suspects.insert(address);
        self.oracles.brokers.liars.insert(address);
    }

    /// What a broker does of what its engine wants done; `None` for nothing.
    pub(crate) fn says(&mut self, node: usize, operation: Operation) -> Option<Operation> {
        let mut operation = operation;
        for index in 0..self.active.len() {
            let fault = self.active[index];
            if fault.broker as usize != node {
                continue;
            }
            operation = match fault.kind {
                FaultKind::SilentLeader => self.say_as_silent_leader(node, operation),
                FaultKind::Equivocator => self.say_as_equivocator(node, operation),
                FaultKind::Censor => self.say_as_censor(node, operation),
                FaultKind::ChecksumLiar => self.say_as_checksum_liar(node, operation),
                FaultKind::Replayer => self.say_as_replayer(node, operation),
                FaultKind::Flooder => self.say_as_flooder(node, operation),
                FaultKind::WireMutator => self.say_as_wire_mutator(node, operation),
                FaultKind::Withholder => self.say_as_withholder(node, operation),
                _ => Some(operation),
            }?;
        }
        Some(operation)
    }

    /// Whether a broker's engine gets to hear something.
    pub(crate) fn hears(&mut self, node: usize, completion: &Completion) -> bool {
        let Completion::Frame(from, frame) = completion else { return true };
        for index in 0..self.active.len() {
            let fault = self.active[index];
            if fault.broker as usize != node || !self.nodes[node].is_up() {
                continue;
            }
            let heard = match fault.kind {
                FaultKind::Censor => self.hear_as_censor(node, *from, frame),
                FaultKind::LazyCopier => self.hear_as_lazy_copier(node, *from, frame),
                _ => true,
            };
            if !heard {
                return false;
            }
        }
        true
    }

    /// What signatures in frames are for.
    pub(crate) fn domain(&self) -> Domain {
        let view = self.chain.view();
        Domain { chain_id: view.chain_id, coordinator: view.contracts.coordinator }
    }

    fn open(&self, from: Address, frame: &[u8]) -> Option<Received> {
        wire::decode(frame, from, self.domain(), &self.verifier).ok()
    }

    /// What a broker is about to send.
    pub(crate) fn own_frame(&self, node: usize, frame: &[u8]) -> Option<Received> {
        self.open(self.nodes[node].address, frame)
    }

    /// Sends a message that no engine asked for.
    fn tell(&mut self, node: usize, to: Address, message: &Message) {
        self.send(node, to, wire::encode(message, &[]).into());
    }

    /// A report with the broker's own signature.
    fn signed(&mut self, node: usize, entry: Entry) -> Message {
        let domain = self.domain();
        let digest = report_signing_hash(domain.chain_id, &domain.coordinator, &entry.hash());
        let signer = &self.nodes[node];
        let signature = self.verifier.sign(&signer.key, signer.address, &digest);
        Message::Report(SignedEntry { entry, signature: signature.to_vec() })
    }

    /// The other brokers.
    fn others(&self, node: usize) -> Vec<Address> {
        let all = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        all.map(|(_, other)| other.address).collect()
    }

    /// Decides whether a liar does something now, and a number that says what.
    fn lies_now(&mut self, node: usize, per_million: u32) -> Option<u64> {
        let mut decide = self.decider.of(Actor::Node(node as u32), &mut self.nodes[node].counts);
        decide.happens(Purpose::Lie, |random| random.chance(per_million).then(|| random.next_u64()))
    }
}

/// Another checksum than this one, which the chain could keep as well: it keeps the first bytes.
fn twisted(checksum: Hash) -> Hash {
    let Hash(mut bytes) = checksum;
    bytes[0] ^= 1;
    Hash(bytes)
}
