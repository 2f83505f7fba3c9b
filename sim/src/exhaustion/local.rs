//! One broker of a search: the kernel's shard, its disk, and what its disk has not taken yet.
//!
//! A step is a pure function of this and one input. What the surroundings answer at once in a step, they answer at
//! once here: a read of the log (to delay it is to delay the frame that asked), and a signature (to delay it is to
//! delay the report). What they answer later is an input of its own: a sync.

use std::sync::Arc;

use weir_kernel::broker::{Input, Message, Output, Shard, Trace};
use weir_kernel::coordinator::{Entry, Intent, report_signing_hash};
use weir_kernel::ids::{Address, Hash};
use weir_kernel::limits::RETRY_US;
use weir_kernel::log::{Record, Table};
use weir_kernel::signature::{KeyedReportVerifier, keyed_report, recover_keyed_report};
use weir_kernel::time::Now;
use weir_kernel::wire;

use super::bounds::Sabotage;
use super::disk::Disk;
use super::fingerprint::Fingerprint;
use super::items::Item;
use super::setting::{DOMAIN, EDGE, Setting, address, place};
use super::tips::Tips;

/// A broker between two steps.
#[derive(Clone, Debug)]
pub struct Local {
    /// The kernel's machines.
    pub shard: Shard,
    /// What is on disk.
    pub disk: Disk,
    /// Writes on their way there, the oldest first.
    pub unsynced: Vec<Vec<Record>>,
    /// The block that it has seen.
    pub tip: u32,
    written: u64,
    /// Times that its timers ran out: its clock.
    clock: u64,
}

/// What a step led to.
#[derive(Debug)]
pub struct Step {
    /// The broker after it.
    pub local: Local,
    /// What it said.
    pub items: Vec<Item>,
    /// What it told its operator.
    pub traces: Vec<Trace>,
    /// Hashes that it signed and had not written down.
    pub unwritten: Vec<Hash>,
    /// Late reports: they attest what the chain has sealed, which needs no row of one's own.
    pub late: Vec<Entry>,
}

/// What a broker is told.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A frame came.
    Frame(Option<usize>, &'a [u8]),
    /// Every write is on disk.
    Synced,
    /// The chain has this block.
    Block(u32),
    /// Every timer that can run out does.
    Elapsed,
}

impl Local {
    /// A broker as it is when the partition is founded: started before, and up to date.
    pub fn new(setting: &Setting, tips: &Tips, broker: usize) -> Self {
        let mut step = Self::start(setting, tips, broker, Disk::default(), 0, 0);
        for tip in 1..=Tips::start(setting) {
            step = step.local.tell(setting, tips, broker, Told::Synced);
            step = step.local.tell(setting, tips, broker, Told::Block(tip));
        }
        step.local.tell(setting, tips, broker, Told::Synced).local
    }

    /// A process starts on a disk, and sees a block of the chain.
    fn start(setting: &Setting, tips: &Tips, broker: usize, disk: Disk, tip: u32, clock: u64) -> Step {
        let view = Arc::clone(&tips.get(tip).state);
        let opened = Shard::open_with(address(broker), view, &disk.checkpoint(), setting.bounds.rules);
        let shard = opened.expect("own rows are taken up");
        let local = Self { shard, disk, unsynced: Vec::new(), tip, written: 0, clock };
        local.tell(setting, tips, broker, Told::Block(tip))
    }

    /// The process ends and starts again; writes on their way are kept or lost, all of them.
    pub fn crash(&self, setting: &Setting, tips: &Tips, broker: usize, keep: bool) -> Step {
        let mut disk = if keep { self.newest_disk() } else { self.disk.clone() };
        if setting.has(Sabotage::ReportsForgotten) {
            disk.forget(Table::Report);
        }
        Self::start(setting, tips, broker, disk, self.tip, self.clock)
    }

    /// The disk is replaced by an empty one.
    pub fn lose_disk(&self, setting: &Setting, tips: &Tips, broker: usize) -> Step {
        let mut disk = Disk::default();
        if setting.has(Sabotage::LossUnnoticed) {
            let owner = wire::encode_row(&address(broker));
            disk.apply(&Record::Put { table: Table::Marker, key: b"owner".to_vec(), value: owner });
        }
        let old = setting.has(Sabotage::LossOnOldView);
        let tip = if old { 0 } else { self.tip };
        Self::start(setting, tips, broker, disk, tip, self.clock)
    }

    /// One input.
    pub fn tell(&self, setting: &Setting, tips: &Tips, broker: usize, told: Told<'_>) -> Step {
        let mut local = self.clone();
        let input = match told {
            Told::Frame(from, frame) => {
                let from = from.map_or(EDGE, address);
                match wire::decode(frame, from, DOMAIN, &KeyedReportVerifier) {
                    Ok(received) => Input::Peer(from, received),
                    Err(_) => return Step::of(local),
                }
            }
            Told::Synced => {
                local.disk = local.newest_disk();
                local.unsynced.clear();
                Input::Durable(local.written)
            }
            Told::Block(tip) => {
                local.tip = tip;
                Input::Chain(Arc::clone(&tips.get(tip).state))
            }
            Told::Elapsed => {
                local.clock += 1;
                Input::Elapsed
            }
        };
        let mut step = Step::of(local);
        step.run(setting, broker, input);
        step
    }

    /// The disk with everything that was written.
    pub fn newest_disk(&self) -> Disk {
        let mut disk = self.disk.clone();
        self.unsynced.iter().flatten().for_each(|record| disk.apply(record));
        disk
    }

    /// Stands for everything that decides what comes next.
    pub fn fingerprint(&self) -> u128 {
        use std::fmt::Write;
        let mut fingerprint = Fingerprint::default();
        write!(fingerprint, "{:?}", self.shard).expect("it takes everything");
        self.disk.fingerprint(&mut fingerprint);
        fingerprint.number(u64::MAX);
        for write in &self.unsynced {
            fingerprint.bytes(&wire::encode_row(write));
            fingerprint.number(1);
        }
        fingerprint.number(self.tip.into());
        fingerprint.number(self.clock);
        fingerprint.value()
    }

    fn now(&self) -> Now {
        Now { monotonic_us: self.clock * RETRY_US, wall_ms: 0 }
    }
}

impl Step {
    fn of(local: Local) -> Self {
        Self { local, items: Vec::new(), traces: Vec::new(), unwritten: Vec::new(), late: Vec::new() }
    }

    /// Steps until the surroundings have answered everything that they answer at once.
    fn run(&mut self, setting: &Setting, broker: usize, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut outputs = Vec::new();
            self.local.shard.step(self.local.now(), input, &mut outputs);
            for output in outputs {
                inputs.extend(self.act(setting, broker, output));
            }
        }
    }

    fn act(&mut self, setting: &Setting, broker: usize, output: Output) -> Option<Input> {
        match output {
            Output::Send(to, message, batches) => self.send(broker, to, message, &batches),
            Output::Write(index, records) => {
                self.local.written = index;
                if setting.has(Sabotage::SyncLies) {
                    self.local.unsynced.push(records);
                    return Some(Input::Durable(index));
                }
                self.local.unsynced.push(records);
            }
            Output::Read(token, query, _) => {
                return Some(Input::Loaded(token, self.local.newest_disk().read(&query)));
            }
            Output::Sign(token, hash) => {
                self.signed(broker, hash);
                return Some(Input::Signed(token, keyed_report(&address(broker), &hash)));
            }
            Output::Submit(Intent::SubmitCertificate(certificate)) => {
                let [entry] = certificate.entries[..] else { panic!("one partition gives one entry") };
                let signed = digest(&entry);
                let signer = |signature| recover_keyed_report(&signed, signature).map(place);
                let signers = certificate.signatures.iter().filter_map(signer).collect();
                self.items.push(Item::Certificate { entry, signers });
            }
            Output::Submit(Intent::ReportLate(report)) => {
                let hash = digest(&report.entry);
                self.unwritten.retain(|signed| *signed != hash);
                self.late.push(report.entry);
            }
            // Its streams are kept for good.
            Output::Expire(_) => panic!("a stream that is kept for good loses something"),
            Output::Submit(_) | Output::Reply(..) => {}
            Output::Hand(..) => unreachable!("a broker of one shard has nobody to hand anything to"),
            Output::Event(trace) => self.traces.push(trace),
        }
        None
    }

    /// What is signed was written before: the row says which entry the hash is of.
    fn signed(&mut self, broker: usize, hash: Hash) {
        let disk = self.local.newest_disk();
        let is_it = |entry: &Entry| digest(entry) == hash;
        match disk.reports().find(is_it) {
            Some(entry) => self.items.push(Item::Signed { by: broker, entry }),
            None => self.unwritten.push(hash),
        }
    }

    fn send(&mut self, broker: usize, to: Address, message: Message, batches: &[Arc<[u8]>]) {
        match &message {
            Message::Acknowledge { epoch, heads, .. } if to == EDGE => {
                let receipt = |head| Item::Receipt { by: broker, epoch: *epoch, head, before_loss: false };
                self.items.extend(heads.iter().copied().map(receipt));
            }
            // Readers take no part: whether a replica may serve them changes nothing that is sealed.
            Message::HeadsWanted { .. } | Message::Heads { .. } => {}
            _ if to == EDGE => {}
            _ => {
                let frame = wire::encode(&message, batches).into();
                self.items.push(Item::Frame { from: Some(broker), to: place(to), message, frame });
            }
        }
    }
}

/// What is signed under an entry.
fn digest(entry: &Entry) -> Hash {
    report_signing_hash(DOMAIN.chain_id, &DOMAIN.coordinator, &entry.hash())
}

/// The checksum that a broker has adopted last.
pub fn adopted(local: &Local) -> Option<(u64, Hash)> {
    local.shard.summaries().next().map(|summary| (summary.sealed_epoch, summary.checksum))
}
