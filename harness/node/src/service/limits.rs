//! Every bound of the client service and the interfaces, with its reason.

use std::time::Duration;

use weir_kernel::limits::{MAX_BATCH_BYTES, MAX_CONTENT_BYTES, SUBSCRIPTION_WINDOW_BYTES};

/// Slots (stream partitions) that the application key publishes to at the same time.
pub const MAX_PUBLISHING_SLOTS: usize = 4096;

/// Publishes that wait in one slot for the batch before them; then the publisher is told to slow down.
pub const MAX_QUEUED_PUBLISHES: usize = 1024;

/// Content bytes that are signed into one batch at most: large enough to be cheap, small enough to be quick.
pub const BATCH_TARGET_BYTES: usize = 1 << 20;

/// Lanes that one slot keeps open at the same time: publishing at several paces in time (now, and one or more
/// backfills) needs one each.
pub const MAX_LANES_A_SLOT: usize = 8;

/// Batches of one slot that wait for their seal.
pub const MAX_AWAITING_SEAL: usize = 1024;

/// A lane is left this many epochs before its life ends, so that its last batch still gets in.
pub const ROLL_OVER_EPOCHS: u64 = 16;

/// How long a batch is resent until it is given up.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stored batch waits for its seal.
pub const SEAL_TIMEOUT: Duration = Duration::from_secs(600);

/// How often an unacknowledged batch is handed to the edge again: rarely, since the edge itself offers it to replicas
/// until they answer. A batch whose edge stopped is handed to another one at once.
pub const RESEND_INTERVAL: Duration = Duration::from_secs(20);

/// How long a slot that nobody publishes to keeps its lanes.
pub const SLOT_IDLE: Duration = Duration::from_secs(600);

/// Idempotency keys that are remembered.
pub const MAX_IDEMPOTENCY_KEYS: usize = 16_384;

/// Longest idempotency key in bytes: a UUID or two hashes fit.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 256;

/// Readings of one reader that ask at the same time for their first chunk.
pub const READ_AHEAD: usize = 16;

/// How long a reader, subscriber or publisher waits between tries to find a running broker.
pub const REOPEN_PAUSE: Duration = Duration::from_millis(250);

/// How long a reader or subscriber looks for a running broker before it gives up.
pub const REOPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long opening a subscription from `latest` waits until it is live in every partition.
pub const LIVE_PATIENCE: Duration = Duration::from_secs(3);

/// Most events of a "last n" over several partitions: their places are held in memory, 64 bytes each.
pub const MAX_MERGED_LAST: u64 = 100_000;

/// Lanes whose position a subscription remembers; beyond, the oldest are forgotten.
pub const MAX_TRACKED_LANES: usize = 65_536;

/// Sign-in nonces that wait for their message.
pub const MAX_NONCES: usize = 16_384;

/// How long a nonce is good.
pub const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Signed-in tokens that are remembered.
pub const MAX_TOKENS: usize = 16_384;

/// How long a token is good; a message may ask for less.
pub const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Longest sign-in message in bytes: EIP-4361 sets no bound, wallets show a screen or two.
pub const MAX_SIGN_IN_BYTES: usize = 8192;

/// Longest WebSocket message: one batch, or one event with its JSON envelope, and slack for either.
pub const MAX_WEBSOCKET_MESSAGE_BYTES: usize = MAX_BATCH_BYTES + (64 << 10);

/// Longest body of a publish of one event: base64 or escapes make content longer than it is.
pub const MAX_EVENT_BODY_BYTES: usize = 2 * MAX_CONTENT_BYTES;

/// Longest body of a publish of many events (`batch=true`).
pub const MAX_BATCH_BODY_BYTES: usize = 8 << 20;

/// Events in one publish of many.
pub const MAX_BODY_EVENTS: usize = 16_384;

/// Signed batches in one publish over HTTP: each is answered, and the broker's replies to all of them fit its queue.
pub const MAX_BODY_BATCHES: usize = 256;

/// Longest body of anything else.
pub const MAX_CONTROL_BODY_BYTES: usize = 64 << 10;

/// Longest JSON-RPC body: a batch of transactions.
pub const MAX_RPC_BODY_BYTES: usize = 4 << 20;

/// Publishes of one WebSocket whose acknowledgement is outstanding; then it is not read further.
pub const MAX_SOCKET_PUBLISHES: usize = 256;

/// How long a WebSocket client may take to accept data before it is closed as too slow.
pub const SLOW_READER: Duration = Duration::from_secs(30);

/// How long one that was too slow has to take the reason why it is closed: what was on its way to it comes before.
pub const SLOW_CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of batches that a WebSocket subscriber is sent before its connection is flushed: a busy subscriber gets what
/// has gathered in few large writes.
pub const FLUSH_BYTES: u64 = 256 << 10;

/// Bytes of batches that a subscriber has taken before its broker is told: a quarter of the window, so that credit is
/// rare and never runs out for want of telling.
pub const CREDIT_BYTES: u64 = SUBSCRIPTION_WINDOW_BYTES / 4;

/// Bytes of batches and of what was made of them that are kept for the next subscriber: what many subscribers' windows
/// hold at about the same time.
pub const MAX_RENDERED_BYTES: usize = 32 << 20;

/// How long a closing handshake may take.
pub const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Connections that a port serves at the same time; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 4096;

/// How long an HTTP request waits for its acknowledgement level unless it says otherwise.
pub const HTTP_ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an HTTP request may ask to wait.
pub const MAX_HTTP_ACK_TIMEOUT: Duration = Duration::from_secs(600);

/// How long connections have to end by themselves when the servers shut down.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

const _: () = assert!(MAX_EVENT_BODY_BYTES <= MAX_BATCH_BODY_BYTES);
/// The longest batch is a body, with the number of its bytes.
const _: () = assert!(MAX_BATCH_BYTES + 4 <= MAX_BATCH_BODY_BYTES);
const _: () = assert!(BATCH_TARGET_BYTES + MAX_CONTENT_BYTES + (1 << 20) <= MAX_BATCH_BYTES);
