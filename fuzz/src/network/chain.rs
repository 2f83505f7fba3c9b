//! The chain of a fuzzed network: the kernel's twin of the contracts, one block at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_kernel::batch::SignedHeader;
use weir_kernel::coordinator::params::DATA;
use weir_kernel::coordinator::session::RecoveredSession;
use weir_kernel::coordinator::{
    Block, Call, Contracts, Fact, Intent, Params, Report, SealedEntry, SignedCertificate, SignedReport,
    State, begin_block, decide, evolve, fees, report_signing_hash,
};
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, Epoch, Hash, PartitionId, StreamId};
use weir_kernel::signature::recover_keyed_report;

use crate::verifier::DOMAIN;

/// Who holds all tokens at first, and owns the stream.
const HOLDER: Address = Address([0xFF; 20]);

const CONTRACTS: Contracts = Contracts::of(DOMAIN.coordinator, Address([0xC1; 20]), Address([0xC2; 20]));

/// Contracts, and what they have ever sealed.
#[derive(Debug)]
pub struct Chain {
    state: State,
    /// Every block's state, the newest last: what a broker's view may lag behind.
    pub views: Vec<Arc<State>>,
    waiting: Vec<(Address, Intent)>,
    grows: bool,
    sealed: BTreeMap<(PartitionId, Epoch), Hash>,
    /// The one stream, open to everybody.
    pub stream: StreamId,
}

impl Chain {
    /// Deployed contracts, registered brokers with their draws, and a stream of `stream_partitions`. No partition is
    /// founded yet: seats come with [`Chain::found`].
    pub fn new(params: Params, brokers: &[Address], stream_partitions: u32) -> Self {
        let state = State::new(DOMAIN.chain_id, CONTRACTS, params);
        let mut chain = Self {
            state,
            views: Vec::new(),
            waiting: Vec::new(),
            grows: false,
            sealed: BTreeMap::new(),
            stream: StreamId::ZERO,
        };
        chain.mine();
        let supply = 1_000_000_000 * DATA;
        chain.apply(&[Fact::Transfer { from: Address::ZERO, to: HOLDER, value: supply }]);
        chain.must(HOLDER, Call::Transfer { to: CONTRACTS.coordinator, value: 1_000_000 * DATA });
        let (name, description) = ("events".to_string(), String::new());
        let create = Call::CreateStream {
            name,
            description,
            partitions: stream_partitions,
            public_subscribe: true,
            public_publish: true,
        };
        chain.must(HOLDER, create);
        chain.stream = *chain.state.streams.keys().next().expect("a stream was just created");
        for broker in brokers {
            chain.must(HOLDER, Call::Transfer { to: *broker, value: 100_000 * DATA });
            chain.must(*broker, Call::Approve { spender: CONTRACTS.coordinator, value: u128::MAX });
            let stake = chain.state.params.minimum_stake;
            let (endpoint, tls_key_hash) = ("127.0.0.1:1".to_string(), Hash([9; 32]));
            chain.must(*broker, Call::Register { stake, endpoint, tls_key_hash });
        }
        for _ in 0..chain.state.params.draw_delay + 1 {
            chain.mine();
        }
        let indexes: Vec<_> = chain.state.brokers.keys().copied().collect();
        indexes.into_iter().for_each(|index| chain.must(HOLDER, Call::RecordDraw { index }));
        chain.publish_view();
        chain
    }

    /// Fills the seats of every partition; they act from the next epoch on.
    pub fn found(&mut self) {
        let changes = weir_kernel::coordinator::useful_changes(&self.state, 64);
        self.must(HOLDER, Call::Rebalance(changes));
        assert!(self.state.partitions.iter().all(|partition| partition.founded), "every seat is filled");
        self.publish_view();
    }

    /// From now on brokers' calls for more partitions get through. Before, they are lost on the way.
    pub fn let_grow(&mut self) {
        self.grows = true;
    }

    /// The newest state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A broker sends a transaction: it is in the next block.
    pub fn submit(&mut self, from: Address, intent: Intent) {
        if self.grows || intent != Intent::GrowPartitions {
            self.waiting.push((from, intent));
        }
    }

    /// The next block, with every transaction that waits. Those that the contracts refuse do nothing.
    pub fn advance(&mut self) {
        self.mine();
        for (from, intent) in std::mem::take(&mut self.waiting) {
            let call = self.call_of(intent);
            if let Ok(facts) = decide(&self.state, self.block(), from, call) {
                self.note_seals(&facts);
                self.apply(&facts);
            }
        }
        self.publish_view();
    }

    fn note_seals(&mut self, facts: &[Fact]) {
        for fact in facts {
            let Fact::PartitionsSealed { entries, .. } = fact else { continue };
            for SealedEntry { partition, epoch, checksum, .. } in entries {
                let before = self.sealed.insert((*partition, *epoch), *checksum);
                assert!(before.is_none(), "partition {partition} epoch {epoch} is sealed once");
            }
        }
    }

    /// The checksum under which an epoch was sealed.
    pub fn sealed(&self, partition: PartitionId, epoch: Epoch) -> Option<Hash> {
        self.sealed.get(&(partition, epoch)).copied()
    }

    fn call_of(&self, intent: Intent) -> Call {
        match intent {
            Intent::RecordDraw { index } => Call::RecordDraw { index },
            Intent::Rebalance(changes) => Call::Rebalance(changes),
            Intent::Found { partition } => Call::Found { partition },
            Intent::SettleTallies(partitions) => Call::Settle(partitions),
            Intent::GrowPartitions => Call::GrowPartitions,
            Intent::Approve { spender, amount } => Call::Approve { spender, value: amount },
            Intent::Rejoin => Call::Rejoin,
            Intent::Claim => Call::Claim,
            Intent::ClaimBounty => Call::ClaimBounty,
            Intent::ReportLate(report) => Call::ReportLate(signed_report(&report)),
            Intent::Slash { index, reports } => {
                Call::Slash { index, reports: reports.each_ref().map(signed_report) }
            }
            Intent::DeclareQuorumLost { partition } => Call::DeclareQuorumLost { partition },
            Intent::Evict { partition, seat } => Call::Evict { partition, seat },
            Intent::SettleLane(settlement) => {
                let signed = recovered(&settlement.signed);
                Call::Fees(fees::Call::Settle { signed, proof: settlement.proof })
            }
            Intent::ProveFork(fork) => {
                let (first, second) = (recovered(&fork.first), recovered(&fork.second));
                Call::Fees(fees::Call::ProveFork { first, second })
            }
            Intent::SubmitCertificate(certificate) => {
                let hash = report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &certificate.root());
                let signers = certificate.signatures.iter().map(|s| recover_keyed_report(&hash, s)).collect();
                Call::SubmitCertificates(vec![SignedCertificate { entries: certificate.entries, signers }])
            }
        }
    }

    fn mine(&mut self) {
        let (number, timestamp_s) = (self.state.height + 1, self.state.timestamp_s + 1);
        begin_block(&mut self.state, number, timestamp_s);
    }

    fn block(&self) -> Block<'static> {
        Block {
            number: self.state.height,
            timestamp_s: self.state.timestamp_s,
            hash_of: &|number| Some(keccak256(&[b"block", &number.to_be_bytes()])),
        }
    }

    fn must(&mut self, from: Address, call: Call) {
        let facts = decide(&self.state, self.block(), from, call).expect("the network can be set up");
        self.apply(&facts);
    }

    fn apply(&mut self, facts: &[Fact]) {
        let block = self.block().reference();
        facts.iter().for_each(|fact| evolve(&mut self.state, block, fact));
    }

    fn publish_view(&mut self) {
        self.views.push(Arc::new(self.state.clone()));
    }
}

fn signed_report(report: &Report) -> SignedReport {
    let hash = report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &report.entry.hash());
    SignedReport { entry: report.entry, signer: recover_keyed_report(&hash, &report.signature) }
}

/// Brokers show only headers whose signature they have checked.
fn recovered(signed: &SignedHeader) -> Box<fees::RecoveredHeader> {
    let session = signed.certificate.map(|certificate| RecoveredSession {
        expiry_block: certificate.expiry_block,
        wallet: Some(signed.header.origin),
    });
    Box::new(fees::RecoveredHeader { header: signed.header, signer: Some(signed.header.signer), session })
}
