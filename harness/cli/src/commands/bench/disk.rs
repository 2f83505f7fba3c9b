//! What syncing a file takes on the disk that a measurement uses: beside it, because disks swing widely.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::row::percentile;
use crate::failure::Failure;

/// Syncs of one look.
const SYNCS: usize = 200;

/// Bytes between two syncs: a few small batches.
const BYTES: usize = 4096;

/// How long syncing an appended page takes.
#[derive(Clone, Copy, Debug)]
pub struct Sync {
    /// Half of the syncs took at most so many milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred did.
    pub p99_ms: f64,
}

/// Appends and syncs in a file of that folder, which is removed again.
pub fn sync(folder: &Path) -> Result<Sync, Failure> {
    let path = folder.join("sync");
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let mut file = File::create(&path).map_err(failed)?;
    let mut milliseconds = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; BYTES]).map_err(failed)?;
        let begin = Instant::now();
        file.sync_data().map_err(failed)?;
        milliseconds.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(&path).map_err(failed)?;
    milliseconds.sort_by(f64::total_cmp);
    Ok(Sync { p50_ms: percentile(&milliseconds, 50.0), p99_ms: percentile(&milliseconds, 99.0) })
}
