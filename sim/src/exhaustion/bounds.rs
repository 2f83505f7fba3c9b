//! Bounds: how large a world is searched, and what may go wrong in it.

use weir_kernel::rules::Rules;

/// A lane's batch that the publisher sends to every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Which lane, from 0. The batches of one lane are published in the order given.
    pub lane: usize,
    /// Blocks after the start from which on it may arrive anywhere.
    pub after_blocks: u64,
}

/// One mistake in the surroundings of the brokers, so that a search can show that it finds what it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A disk says that a write is durable before it is.
    SyncLies,
    /// A disk that lost its contents still holds the row that says whose it is and that it was there.
    LossUnnoticed,
    /// A restart loses the rows of signed reports.
    ReportsForgotten,
    /// A disk that lost its contents is taken up on a view of the chain from before the epoch that it acted in.
    LossOnOldView,
}

/// The size of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What it is called.
    pub name: &'static str,
    /// R: 3 or 4.
    pub replicas: u8,
    /// What is published.
    pub publications: Vec<Publication>,
    /// Blocks an epoch, at least 2: a round of sealing has two.
    pub epoch_blocks: u64,
    /// Blocks that the chain makes after the start, which is the first block of the partition's first epoch.
    pub blocks: u64,
    /// Blocks that a broker may be behind the chain; 0 if all see a block when it is made.
    pub lag_blocks: u64,
    /// Whether a sync is an event of its own, so that anything can happen between a write and its sync; else a write
    /// is durable at once.
    pub slow_disks: bool,
    /// Whether one more broker has drawn a better seat: the first seal brings it in.
    pub handover: bool,
    /// Crashes with a restart, of all brokers together. Each comes in two forms: unsynced writes lost, or kept.
    pub crashes: u32,
    /// Disks lost, of all brokers together.
    pub lost_disks: u32,
    /// Whether the last of the first members lies (R = 4 only).
    pub liar: bool,
    /// Things that the liar says and somebody hears.
    pub lies: u32,
    /// Times that a broker's timers run out, of all brokers together.
    pub timers: u32,
    /// Most states that are looked at before the search gives up and says so.
    pub max_states: usize,
    /// A mistake in the surroundings to be found.
    pub sabotage: Option<Sabotage>,
    /// The kernel's rules, or rules with a mistake to be found.
    pub rules: Rules,
}

impl Bounds {
    /// Three replicas, one lane with one batch, two epochs, nothing goes wrong but delay and loss of messages.
    pub fn calm(name: &'static str, replicas: u8) -> Self {
        Self {
            name,
            replicas,
            publications: vec![Publication { lane: 0, after_blocks: 0 }],
            epoch_blocks: 2,
            blocks: 4,
            lag_blocks: 0,
            slow_disks: false,
            handover: false,
            crashes: 0,
            lost_disks: 0,
            liar: false,
            lies: 4,
            timers: 0,
            max_states: 50_000_000,
            sabotage: None,
            rules: Rules::sound(),
        }
    }

    /// Brokers that run the kernel's machines or lie: R, and the newcomer.
    pub fn brokers(&self) -> usize {
        usize::from(self.replicas) + usize::from(self.handover)
    }

    /// Which broker lies.
    pub fn liar(&self) -> Option<usize> {
        self.liar.then(|| usize::from(self.replicas) - 1)
    }

    /// What the test command searches, in about half a minute.
    pub fn small() -> Vec<Self> {
        vec![
            Self { lag_blocks: 1, ..Self::calm("three-late", 3) },
            Self { blocks: 3, ..Self::calm("three-two-batches", 3).publishing(&[(0, 0), (0, 2)]) },
            Self { blocks: 3, ..Self::calm("three-two-lanes", 3).publishing(&[(0, 0), (1, 0)]) },
            Self { blocks: 1, crashes: 1, slow_disks: true, lag_blocks: 1, ..Self::calm("three-crash", 3) },
            Self { blocks: 3, crashes: 1, ..Self::calm("three-restart", 3) },
            Self { blocks: 3, lost_disks: 1, timers: 1, ..Self::calm("three-lost-disk", 3) },
            Self { blocks: 5, handover: true, ..Self::calm("three-handover", 3).publishing(&[(0, 4)]) },
            Self { blocks: 3, ..Self::calm("four", 4) },
            Self { blocks: 3, liar: true, lies: 3, ..Self::calm("four-liar", 4) },
        ]
    }

    /// What a person searches by the command in the module's text.
    pub fn large() -> Vec<Self> {
        vec![
            Self { blocks: 5, ..Self::calm("three-two-epochs", 3) },
            Self { blocks: 4, lag_blocks: 2, ..Self::calm("three-later", 3) },
            Self { ..Self::calm("three-two-batches-late", 3).publishing(&[(0, 0), (0, 2)]) },
            Self { blocks: 1, crashes: 2, slow_disks: true, lag_blocks: 1, ..Self::calm("three-crashes", 3) },
            Self { crashes: 1, ..Self::calm("three-restart-late", 3) },
            Self { lost_disks: 1, ..Self::calm("three-lost-disk-late", 3) },
            Self {
                blocks: 6,
                handover: true,
                ..Self::calm("three-handover-sealed", 3).publishing(&[(0, 4)])
            },
            Self { ..Self::calm("four-late", 4) },
            Self { blocks: 3, liar: true, lies: 5, ..Self::calm("four-liar-sealed", 4) },
            Self { liar: true, lies: 3, ..Self::calm("four-liar-late", 4) },
            Self { blocks: 3, liar: true, lies: 3, lost_disks: 1, ..Self::calm("four-liar-lost-disk", 4) },
        ]
    }

    /// With these batches: the lane, and the blocks after the start.
    fn publishing(self, batches: &[(usize, u64)]) -> Self {
        let publications = batches
            .iter()
            .map(|(lane, after_blocks)| Publication { lane: *lane, after_blocks: *after_blocks });
        Self { publications: publications.collect(), ..self }
    }
}
