//! Verification, which is most of a broker's work: a shard that has much of it shares it with cores that have none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use weir_kernel::ids::Address;
use weir_kernel::wire::{FrameError, Received};
use weir_queue::Share;

use super::inbox::Framed;
use crate::engine::Decoder;
use crate::verifier::NativeVerifier;

/// Threads that help to verify at most: what one connection brings keeps no more of them busy.
const MAX_HELPERS: usize = 7;

/// Bytes of frames below which verifying them is no work for several threads.
const SHARED_BYTES: usize = 16 << 10;

/// What a frame was.
pub type Decoded = (Address, Result<Received, FrameError>);

/// The helpers of all shards of a broker: one shard has them at a time.
pub struct Verifying {
    share: Share<Framed, Decoded>,
    turn: Mutex<()>,
    cores: usize,
    /// Shards that are at work.
    awake: AtomicUsize,
}

/// While it lives, a shard is at work.
pub struct Awake<'a>(&'a AtomicUsize);

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Verifying {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { share: Share::default(), turn: Mutex::default(), cores, awake: AtomicUsize::new(0) }
    }
}

impl Verifying {
    /// How many threads are to help: the cores beside one shard's own.
    pub fn helpers(&self) -> usize {
        (self.cores - 1).min(MAX_HELPERS)
    }

    /// A helper's work, until the end.
    pub fn help(self: Arc<Self>, decoder: &Decoder<NativeVerifier>) {
        self.share.help(|(from, frame)| (from, decoder.decode(from, &frame)));
    }

    /// A shard begins to work.
    pub fn wake(&self) -> Awake<'_> {
        self.awake.fetch_add(1, Ordering::Relaxed);
        Awake(&self.awake)
    }

    /// Decodes and verifies frames, on several cores where there is enough to do and a core has nothing to do. Results
    /// come in the order of the frames.
    pub fn decode(&self, decoder: &Decoder<NativeVerifier>, frames: Vec<Framed>) -> Vec<Decoded> {
        let decode = |(from, frame): Framed| (from, decoder.decode(from, &frame));
        let bytes: usize = frames.iter().map(|(_, frame)| frame.len()).sum();
        let is_worth_it = frames.len() > 1 && bytes >= SHARED_BYTES;
        if is_worth_it
            && self.awake.load(Ordering::Relaxed) < self.cores
            && let Ok(_turn) = self.turn.try_lock()
        {
            return self.share.run(frames, decode);
        }
        frames.into_iter().map(decode).collect()
    }

    /// Lets the helpers go.
    pub fn close(&self) {
        self.share.close();
    }
}
