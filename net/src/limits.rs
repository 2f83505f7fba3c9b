//! Every bound of the transport, in one place, with its reason.
//!
//! Whoever is on the other end of a connection is either a stranger, who must cost next to nothing, or a
//! registered broker, who may be hostile but must be able to hurt only its own connection.

use std::time::Duration;

use crate::Channel;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Longest frame, in bytes, that is sent or accepted: the kernel's largest message (a run of records for
/// repair) fits, and one peer can make this node hold at most two of them in pieces.
pub const MAX_FRAME_BYTES: usize = 8 * MIB;

/// A peer that accepts only shorter frames than this, in bytes, cannot carry the protocol's ordinary messages
/// and is refused.
pub const MIN_PEER_FRAME_BYTES: usize = 64 * KIB;

/// Longest hello, in bytes: the fields of today fill 60; the rest is room for later versions.
pub const MAX_HELLO_BYTES: usize = KIB;

/// What a frame costs in every queue beyond its own length, in bytes, so that empty frames are not free.
pub const FRAME_COST_BYTES: usize = 64;

/// Outgoing bytes a peer may have waiting on the live channel: a second of a saturated gigabit link holds
/// fifteen times as much, so whoever fills it is not keeping up with live events.
pub const LIVE_OUT_BYTES: usize = 8 * MIB + FRAME_COST_BYTES;

/// Outgoing bytes a peer may have waiting on the bulk channel: two of the largest frames, so that a repair
/// always has the next one ready.
pub const BULK_OUT_BYTES: usize = 16 * MIB + 2 * FRAME_COST_BYTES;

/// Received bytes of one peer and channel that wait for the engine; above it the stream is no longer read and
/// QUIC's flow control stops the sender. What has come by then, at most [`STREAM_WINDOW_BYTES`], is taken all the same.
pub const PEER_IN_BYTES: usize = 4 * MIB;

/// Received bytes of one channel that wait for the engine over all peers; above it no stream of that channel is
/// read. Channels are counted apart, so that bulk cannot stop live.
pub const TOTAL_IN_BYTES: usize = 64 * MIB;

/// Refusals kept for the engine to see; more are only counted, for strangers must not fill memory.
pub const MAX_REFUSED_QUEUED: usize = 64;

/// Of this many frames handed out while both channels have some, one comes from bulk: live goes first, but
/// a saturated live channel does not stop repair.
pub const BULK_SHARE: u32 = 8;

/// Flow control window of one stream, in bytes: 40 MB/s at 100 ms round trip.
pub const STREAM_WINDOW_BYTES: u32 = 4 * MIB as u32;

/// Flow control window of a connection, in bytes, in both directions: a stalled bulk stream holds at most its own
/// window (and about as much again on its way to being acknowledged), which leaves live a whole window.
pub const CONNECTION_WINDOW_BYTES: u32 = 3 * STREAM_WINDOW_BYTES;

/// Bytes of a frame for which memory is set aside when only its length has come: an ordinary frame is then put
/// together without being moved as it grows, and an empty promise costs little.
pub const READ_STEP_BYTES: usize = 64 * KIB;

/// Chunks taken from a stream at a time. A chunk is what one packet brought, at most
/// [`STREAM_WINDOW_BYTES`] in all.
pub const READ_STEP_CHUNKS: usize = 64;

/// Bytes handed to a stream at a time.
pub const WRITE_BATCH_BYTES: usize = 256 * KIB;

/// Frames up to this many bytes are copied into a shared buffer on the way out and into their own buffer on the
/// way in: copying a little is cheaper than many small chunks, and a kept frame then keeps only itself alive.
pub const COPY_FRAME_BYTES: usize = 16 * KIB;

/// Longest certificate, in bytes, that is parsed: an Ed25519 one takes about 350.
pub const MAX_CERTIFICATE_BYTES: usize = 4 * KIB;

/// Longest `host:port`, in bytes: a DNS name is at most 253.
pub const MAX_ENDPOINT_BYTES: usize = 253 + 6;

/// Connections that may be between their first packet and their validated hello; more are refused unread.
pub const MAX_HANDSHAKES: usize = 256;

/// Above this many such connections a new one must first prove that it receives at the address it sends from
/// (a QUIC retry), so that spoofed packets keep no state here.
pub const VALIDATE_ABOVE_HANDSHAKES: usize = 32;

/// A TLS handshake takes two round trips; whoever needs longer than this is not there.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A hello takes one round trip after the handshake.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Name lookups are cut off after this.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A silent connection is closed after this: longer than any routine hiccup, shorter than an epoch.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection without traffic sends a probe this often, so that three may be lost before it counts as silent.
pub const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// First wait before a peer is dialled again.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// Longest wait before a peer is dialled again: a returning peer is found within it.
pub const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// A session that lasted this long starts the waits afresh; a shorter one counts as a failed attempt.
pub const STABLE_SESSION: Duration = Duration::from_secs(1);

/// How long closing waits for the peers to be told.
pub const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Outgoing bytes that may wait on a channel to one peer.
pub const fn out_bytes(channel: Channel) -> usize {
    match channel {
        Channel::Live => LIVE_OUT_BYTES,
        Channel::Bulk => BULK_OUT_BYTES,
    }
}

const _: () = {
    assert!(LIVE_OUT_BYTES >= MAX_FRAME_BYTES + FRAME_COST_BYTES, "the largest frame fits an empty queue");
    assert!(BULK_OUT_BYTES >= LIVE_OUT_BYTES);
    assert!(MIN_PEER_FRAME_BYTES <= MAX_FRAME_BYTES);
    assert!(MAX_FRAME_BYTES <= u32::MAX as usize, "a frame's length fits its prefix");
    assert!(TOTAL_IN_BYTES >= PEER_IN_BYTES);
    assert!(CONNECTION_WINDOW_BYTES >= 3 * STREAM_WINDOW_BYTES, "a stalled stream leaves the other a window");
    assert!(KEEP_ALIVE.as_millis() * 3 < IDLE_TIMEOUT.as_millis());
    assert!(BACKOFF_FIRST.as_millis() < BACKOFF_CAP.as_millis());
    assert!(VALIDATE_ABOVE_HANDSHAKES < MAX_HANDSHAKES);
    assert!(COPY_FRAME_BYTES <= WRITE_BATCH_BYTES);
};
