//! Calls that carry what replicas signed: certificates, alone and shared, conflicting reports, late ones.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes};
use weir_chain::bindings::INetworkCoordinator as I;
use weir_chain::calldata;
use weir_kernel::agreement::cut;
use weir_kernel::coordinator::conduct::{LATE_ROUND, absent_seat};
use weir_kernel::coordinator::{Call, Certificate, Entry, Seats, SignedCertificate, SignedReport, entry};
use weir_kernel::ids::{self, BrokerIndex, Hash, PartitionId};

use super::Run;
use super::common::{CHAIN_ID, kernel_address, wallet};

impl Run {
    pub fn certificates(&mut self, sender: u8) -> (u8, Address, Bytes, Call) {
        let mut certificates: Vec<(Certificate, SignedCertificate)> = Vec::new();
        for _ in 0..1 + self.dice.roll(3) {
            certificates.push(self.certificate());
        }
        let data = calldata::submit_certificates(certificates.iter().map(|(certificate, _)| certificate));
        let signed = certificates.into_iter().map(|(_, signed)| signed).collect();
        (sender, self.network.addresses.coordinator, data, Call::SubmitCertificates(signed))
    }

    /// Entries of partitions that mostly have members in common, signed by most of these.
    fn certificate(&mut self) -> (Certificate, SignedCertificate) {
        let mut partitions: BTreeSet<PartitionId> = BTreeSet::from([self.partition()]);
        if self.dice.roll(3) == 0 {
            partitions.insert(self.partition());
            partitions.insert(self.partition());
        }
        let epoch = self.network.epoch().saturating_sub(self.dice.roll(4));
        let mut entries: Vec<Entry> =
            partitions.iter().map(|partition| self.network.entry(partition.0, epoch)).collect();
        match self.dice.roll(40) {
            0 => entries[0].previous = cut::kept(Hash([5; 32])),
            1 => entries[0].partition = PartitionId(1 << 21),
            2 => entries.clear(),
            3 => entries.push(entries[0]),
            4 => entries = vec![entries[0]; 65],
            5 => entries.reverse(),
            _ => {}
        }
        let keys = self.signers(&partitions, epoch);
        let mut certificate = if entries.is_empty() {
            Certificate::default()
        } else {
            self.network.shared_certificate(&entries, &keys)
        };
        let mut signers: Vec<Option<ids::Address>> =
            keys.iter().map(|key| Some(kernel_address(wallet(*key).address()))).collect();
        signers.truncate(certificate.signatures.len());
        if self.dice.roll(25) == 0 && !signers.is_empty() {
            certificate.signatures[0] = [0; 65];
            signers[0] = None;
        }
        (certificate, SignedCertificate { entries, signers })
    }

    /// The members that all these partitions need; every fifth broker is lazy.
    fn signers(&mut self, partitions: &BTreeSet<PartitionId>, epoch: u64) -> Vec<u8> {
        let mut common: Option<BTreeSet<u8>> = None;
        for partition in partitions {
            let sets = self.network.twin.needed_sets(*partition, epoch);
            let keys: BTreeSet<u8> = sets.iter().flat_map(|set: &Seats| self.network.keys(*set)).collect();
            common =
                Some(common.map_or(keys.clone(), |common| common.intersection(&keys).copied().collect()));
        }
        let mut keys: Vec<u8> = common.unwrap_or_default().into_iter().collect();
        if self.dice.roll(4) != 0 {
            keys.retain(|key| key % 5 != 0);
        }
        if self.dice.roll(4) == 0 && !keys.is_empty() {
            let silent = self.dice.roll(keys.len() as u64) as usize;
            keys.remove(silent);
        }
        match self.dice.roll(16) {
            0 => keys.push(self.key()),
            1 => keys.truncate(2),
            2 => keys.reverse(),
            3 => keys.extend(keys.clone()),
            _ => {}
        }
        keys
    }

    /// One broker's two reports, conflicting or not quite.
    pub fn slash(&mut self, sender: u8) -> (u8, Address, Bytes, Call) {
        let index = BrokerIndex(self.dice.roll(12) as u32);
        let honest = self.network.twin.address_of(index).and_then(|account| self.network.key_of(account));
        let key = if self.dice.roll(6) == 0 { self.key() } else { honest.unwrap_or(sender) };
        let mut entry = self.network.entry(self.dice.roll(2) as u32, self.dice.roll(2));
        entry.previous = Hash::ZERO;
        let mut other = Entry { checksum: cut::kept(Hash([7; 32])), ..entry };
        match self.dice.roll(12) {
            0 => other.checksum = entry.checksum,
            1 => other.round += 1,
            2 => other.previous = cut::kept(Hash([1; 32])),
            _ => {}
        }
        let (a, first) = self.report(entry, key);
        let (b, second) = self.report(other, key);
        let data = calldata::slash(index, a, b);
        (sender, self.network.addresses.coordinator, data, Call::Slash { index, reports: [first, second] })
    }

    /// A report of one entry, alone or under the root of more; sometimes no signature at all.
    fn report(&mut self, entry: Entry, key: u8) -> (I::Report, SignedReport) {
        let path: Vec<B256> =
            (0..self.dice.roll(3)).map(|_| B256::repeat_byte(self.dice.roll(9) as u8)).collect();
        let neighbours: Vec<Hash> = path.iter().map(|hash| Hash(hash.0)).collect();
        let root = B256::from(entry::root_of_path(entry.hash(), &neighbours).0);
        let digest = calldata::report_digest(CHAIN_ID, self.network.addresses.coordinator, root);
        let mut signature = wallet(key).sign_digest(digest);
        let mut signer = Some(kernel_address(wallet(key).address()));
        if self.dice.roll(15) == 0 {
            (signature, signer) = ([0; 65], None);
        }
        (calldata::report(&entry, &path, &signature), SignedReport { entry, signer })
    }

    /// A late report of the last seal by some member of the partition.
    pub fn late_report(&mut self, sender: u8) -> (u8, Address, Bytes, Call) {
        let id = self.partition();
        let partition = self.network.twin.partition(id).expect("a partition");
        let mut entry = Entry {
            partition: id,
            epoch: partition.sealed_epoch,
            round: LATE_ROUND,
            checksum: partition.checksum,
            ..Entry::default()
        };
        let mut members = self.network.keys(partition.members);
        members.extend(self.network.keys(partition.previous_members));
        let absent = |key: &u8| {
            let account = kernel_address(wallet(*key).address());
            self.network
                .twin
                .broker_index(account)
                .is_some_and(|index| absent_seat(partition, index).is_some())
        };
        if self.dice.roll(3) > 0 && members.iter().any(absent) {
            members.retain(absent);
        }
        match self.dice.roll(16) {
            0 => entry.partition = PartitionId(9),
            1 => entry.round = 0,
            2 => entry.epoch += 1,
            3 => entry.checksum = cut::kept(Hash([8; 32])),
            4 => members = vec![self.key()],
            _ => {}
        }
        let at = self.dice.roll(members.len().max(1) as u64) as usize;
        let key = members.get(at).copied().unwrap_or(sender);
        let (report, signed) = self.report(entry, key);
        let data = calldata::report_late(report);
        (sender, self.network.addresses.coordinator, data, Call::ReportLate(signed))
    }
}
