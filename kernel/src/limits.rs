//! Every bound of the protocol, with its reason, and how the bounds relate: proven when this file compiles.

// ---- Batches ----------------------------------------------------------------------------------------------

/// Encoded bytes of a batch header: the sum of its fixed fields.
pub const HEADER_BYTES: usize = 223;

/// Longest signature in bytes: its length is one byte on the wire.
pub const MAX_SIGNATURE_BYTES: usize = 255;

/// Bytes of a session certificate beside its signature: expiry block 8, signature type 1, signature length 1.
pub const CERTIFICATE_FIELD_BYTES: usize = 10;

/// Most bytes before the events of a batch.
pub const MAX_SIGNED_HEADER_BYTES: usize =
    HEADER_BYTES + 1 + MAX_SIGNATURE_BYTES + CERTIFICATE_FIELD_BYTES + MAX_SIGNATURE_BYTES;

/// Fewest encoded bytes of an event: time 8, content type 1, encryption type 1, key id length 1, content length 4.
pub const MIN_EVENT_BYTES: usize = 15;

/// Longest key id in bytes: a hash or a UUID fits, and nothing is stored beside the content.
pub const MAX_KEY_ID_BYTES: usize = 32;

/// Most events in one batch: one signature is spread thin enough by then, and a Merkle path is at most 12 hashes.
pub const MAX_BATCH_EVENTS: u32 = 4096;

/// Most content bytes of one event: larger payloads belong in several events, so that one slow event does not hold
/// up a lane.
pub const MAX_CONTENT_BYTES: usize = 1 << 20;

/// Most encoded bytes of a batch: what one message between peers carries and one read of a store returns.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

/// Most hashes in a Merkle path: leaves are counted with 32 bits.
pub const MAX_MERKLE_PATH: usize = 32;

/// The event of the greatest size alone is a batch.
const _: () = assert!(
    MAX_SIGNED_HEADER_BYTES + MIN_EVENT_BYTES + MAX_KEY_ID_BYTES + MAX_CONTENT_BYTES <= MAX_BATCH_BYTES
);
/// The greatest count can be reached.
const _: () =
    assert!(MAX_SIGNED_HEADER_BYTES + MAX_BATCH_EVENTS as usize * MIN_EVENT_BYTES <= MAX_BATCH_BYTES);
/// Offsets in a batch, and so content lengths, fit in 32 bits.
const _: () = assert!(MAX_BATCH_BYTES <= u32::MAX as usize);
const _: () = assert!(MAX_CONTENT_BYTES <= MAX_BATCH_BYTES);
/// A key id's length fits in its byte.
const _: () = assert!(MAX_KEY_ID_BYTES <= u8::MAX as usize);

// ---- Lanes and replication --------------------------------------------------------------------------------

/// L: a header is refused this many epochs after its lane's opening epoch, so that replicas can forget closed lanes
/// for good. A publisher that runs longer rolls over to a new lane.
pub const LANE_LIFETIME_EPOCHS: u64 = 256;

/// Open lanes of one publisher in one stream partition: one for each run of its program within a lane's lifetime.
pub const MAX_OPEN_LANES: usize = 4096;

/// How far an event's time may lie ahead of a replica's clock at admission, in milliseconds: clocks of honest
/// machines differ by less.
pub const MAX_FUTURE_MS: u64 = 5 * 60 * 1000;

/// Edges that are told of a lane's progress: a publisher moves between a few, never among many.
pub const MAX_EDGES_A_LANE: usize = 8;

/// Bytes of batches that wait in a partition for what comes before them.
pub const MAX_AHEAD_BYTES: usize = 16 << 20;

/// Lanes that a partition fetches at the same time from its peers.
pub const MAX_FETCHES: usize = 32;

/// Of these, lanes that one peer is said to hold.
pub const MAX_FETCHES_A_PEER: usize = MAX_FETCHES / 4;

/// Bytes of batches in one repair: more than one whole batch, and small beside a link's queue.
pub const REPAIR_BYTES: u32 = 1 << 20;

/// Bytes of cuts in one answer.
pub const CUTS_BYTES: u32 = 1 << 20;

/// After this long without an answer, a replica asks another peer: several round trips of any link.
pub const RETRY_US: u64 = 400_000;

/// Sealed cuts that a replica collects before it can check them against the chain: a year of idle 5-minute epochs.
pub const MAX_PENDING_CUTS: usize = 1 << 17;

/// Followers of one stream partition at a replica: a fan-out above this belongs to a tree of edges.
pub const MAX_FOLLOWERS: usize = 1024;

/// A follower that has not asked again for this long is forgotten.
pub const FOLLOWER_LIFE_US: u64 = 30_000_000;

/// Streams that a broker looks at in each epoch for what their retention lets go: a look is cheap, and what goes late
/// only takes room.
pub const RETENTION_STREAMS: usize = 4096;

/// Epochs for which the members of a partition have been the same before a former one gives back what it holds: who is
/// replaced for a while is back before that, and need not fetch everything again.
pub const FORMER_EPOCHS: u64 = 8;

/// Epochs that the last seal of a partition may lie back for a former member to trust that its members are there: the
/// one that runs, and the one before it that is being sealed.
pub const FORMER_LAG_EPOCHS: u64 = 2;

/// Lanes of a partition that was left whose rows go with one block: a write of some hundred KiB.
pub const FORMER_LANES: usize = 1024;

/// Parts in which the newest content of a stream partition that is kept by size is counted: what is kept too long is at
/// most one of them.
pub const RETENTION_PARTS: u64 = 32;

/// Lanes of a subscription in which a source left something out that no other has left out yet: more than one answer
/// shows, so that what one source said of them is there when the next one answers.
pub const MAX_GAPS: usize = 4096;

// ---- Sealing ----------------------------------------------------------------------------------------------

/// Blocks that a leader has to bring a seal about before the next one's turn.
pub const ROUND_BLOCKS: u64 = 2;

// ---- Duties -----------------------------------------------------------------------------------------------

/// Blocks that a transaction gets to show its effect before it is sent again.
pub const DUTY_PATIENCE_BLOCKS: u64 = 3;

/// Times that this patience doubles while there is no effect: a refused transaction then comes every hundred blocks.
pub const DUTY_DOUBLINGS: u32 = 5;

/// The least reward or bounty that is claimed, in the token's smallest unit: 100 DATA, some epochs' worth of work, so
/// that claiming costs little of it.
pub const CLAIM_MINIMUM: u128 = 100 * crate::coordinator::params::DATA;

/// Epochs for which a suspended broker's reliability has rested before it joins again: long enough to see that no seat
/// is left to win it back on.
pub const REJOIN_PAUSE_EPOCHS: u64 = 4;

/// A lane that owes this much, in the token's smallest unit, is settled: a hundredth of a DATA.
pub const SETTLEMENT_AMOUNT: u128 = crate::coordinator::params::DATA / 100;

/// A lane that owes less is not settled at all: the transaction would cost more.
pub const SETTLEMENT_MINIMUM: u128 = crate::coordinator::params::DATA / 1_000;

/// A lane without a new event for this long is settled: it may have ended.
pub const SETTLEMENT_QUIET_EPOCHS: u64 = 4;

/// Every lane is settled once in so many epochs: eight times at least in its life.
pub const SETTLEMENT_PERIOD_EPOCHS: u64 = LANE_LIFETIME_EPOCHS / 8;

/// Lanes of a partition that a broker settles at the same time: each is a transaction.
pub const MAX_SETTLEMENTS: usize = 32;

/// The least reward for which a fork is proven to LaneFees, in the token's smallest unit.
pub const FORK_REWARD_MINIMUM: u128 = crate::coordinator::params::DATA / 100;

/// Reports of one broker that one partition's witness compares later ones with.
pub const MAX_WITNESSED: usize = 64;

/// Proofs of misconduct that one partition keeps: more than there are seats, for the brokers of several epochs.
pub const MAX_MISCONDUCT: usize = 64;

/// Every seat has its turn in each period, and what is settled then is proven by fewer seals than the contract takes.
const _: () = assert!(SETTLEMENT_PERIOD_EPOCHS > crate::coordinator::seats::SEATS as u64);
/// A suspended broker has rested and may be back before it gives anything back.
const _: () = assert!(FORMER_EPOCHS > REJOIN_PAUSE_EPOCHS);
const _: () = assert!(SETTLEMENT_MINIMUM <= SETTLEMENT_AMOUNT);
const _: () =
    assert!(SETTLEMENT_PERIOD_EPOCHS < crate::coordinator::fees::cut_proof::MAXIMUM_LATER_SEALS as u64);

// ---- Edges ------------------------------------------------------------------------------------------------

/// A batch that is not stored by then is refused as unavailable; the client may send it again.
pub const PUBLISH_TIMEOUT_US: u64 = 60_000_000;

/// An edge asks this often whether a batch is sealed that a client waits for: the replicas tell it by themselves, but
/// a message may be lost.
pub const SEAL_RETRY_US: u64 = 5_000_000;

/// A client that waits for the seal of a stored batch is told after this long that it has not come: several epochs.
pub const SEAL_TIMEOUT_US: u64 = 3_600_000_000;

/// Shards of one broker at most: more than the cores of any machine that runs one.
pub const MAX_SHARDS: u16 = 256;

/// Bytes of batches that a shard's edge holds for acknowledgement: beyond, publishers are told to slow down.
pub const MAX_PENDING_BYTES: usize = 128 << 20;

/// Stream partitions of which an edge remembers who held the last stored batch.
pub const MAX_FRESH: usize = 1 << 16;

/// A feed's source that is silent for this long is asked again; after [`FEED_MISSES`] times another one is taken.
pub const FEED_HEARTBEAT_US: u64 = 1_000_000;

/// See [`FEED_HEARTBEAT_US`].
pub const FEED_MISSES: u32 = 2;

/// Lanes in one answer to an edge that compares what it got, and that an edge remembers of a replica because they have
/// not come: the rest of a longer list is asked for in the next epoch.
pub const MAX_SURVEYED_LANES: usize = 1024;

/// What another replica holds and has not come after this long is doubted: several times what a live batch takes.
pub const SURVEY_GRACE_US: u64 = 4_000_000;

/// Lanes of a feed of which an edge remembers how far everybody who follows it has them, twice: several answers to
/// surveys, which come late or in parts. What is forgotten is looked up in each subscription.
pub const MAX_REACHED_LANES: usize = 4 * MAX_SURVEYED_LANES;

/// Epochs before its beginning from which lanes concern a subscription that begins now: the seal of what was stored
/// when it began may come that late.
pub const LATEST_EPOCHS: u64 = 2;

/// Times that a replica is asked to show what it says is left out.
pub const SURVEY_ATTEMPTS: u32 = 3;

/// A reading that gets no answer for this long goes to another replica.
pub const READ_TIMEOUT_US: u64 = 2_000_000;

/// Times that a subscription's reading is tried at its feed's source before the feed moves on.
pub const FEED_READ_ATTEMPTS: u32 = 3;

/// Times that a reading is tried at all before it is refused: every replica twice at least.
pub const READ_ATTEMPTS: u32 = 16;

/// Bytes of batches in one chunk of an answer.
pub const CHUNK_BYTES: u32 = 256 << 10;

/// Unconsumed bytes of a subscription before it leaves the live flow and reads from disk: a slow reader then costs
/// its edge nothing.
pub const SUBSCRIPTION_WINDOW_BYTES: u64 = 1 << 20;

/// How long an event may be on its way from its publisher's clock to a replica's disk: as long as an edge tries. A
/// subscription from now on that moves to another replica looks back this far: rather an event too many than a gap. A
/// clock that is further ahead of the newest block is not believed.
pub const LATEST_SLACK_MS: u64 = PUBLISH_TIMEOUT_US / 1_000;

/// Changes of seats that a view of the chain remembers, so that brokers look at what changed and not at everything:
/// more than a few blocks hold. Whoever missed more looks at everything.
pub const RESEATINGS_KEPT: usize = 1 << 12;

/// Requests open at the same time in one session, at each shard.
pub const MAX_REQUESTS: usize = 1024;

/// A chunk and a repair fit beside the message that carries them into a frame.
const _: () = assert!(CHUNK_BYTES as usize + MAX_BATCH_BYTES <= MAX_FRAME_BYTES);
const _: () = assert!(REPAIR_BYTES as usize + MAX_BATCH_BYTES <= MAX_FRAME_BYTES);
/// A subscription's window takes at least one chunk.
const _: () = assert!(SUBSCRIPTION_WINDOW_BYTES >= CHUNK_BYTES as u64);

// ---- Frames -----------------------------------------------------------------------------------------------

/// Bytes of one frame between peers.
pub const MAX_FRAME_BYTES: usize = 8 << 20;

/// Batches attached to one frame.
pub const MAX_FRAME_BATCHES: usize = 1 << 16;
