//! What the operator lets a broker keep on disk, over the logs of all its shards.

use std::sync::atomic::{AtomicU64, Ordering};

/// A limit, and what each shard's log takes.
pub struct DiskLimit {
    limit_bytes: Option<u64>,
    taken: Vec<AtomicU64>,
}

impl DiskLimit {
    /// For so many shards that take nothing yet; `None` for no limit.
    pub fn new(limit_bytes: Option<u64>, shards: usize) -> Self {
        Self { limit_bytes, taken: (0..shards).map(|_| AtomicU64::new(0)).collect() }
    }

    /// A shard's log takes so many bytes now: whether all of them together take what they may.
    pub fn is_reached(&self, shard: u16, bytes: u64) -> bool {
        self.taken[usize::from(shard)].store(bytes, Ordering::Relaxed);
        let all = || self.taken.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum::<u64>();
        self.limit_bytes.is_some_and(|limit| all() >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_shards_take_counts() {
        let disk = DiskLimit::new(Some(100), 2);
        let taken = [(0, 60), (1, 39), (1, 40), (0, 80), (0, 10)];
        assert_eq!(
            taken.map(|(shard, bytes)| disk.is_reached(shard, bytes)),
            [false, false, true, true, false]
        );
        assert!(!DiskLimit::new(None, 1).is_reached(0, u64::MAX));
    }
}
