//! Opening a log: what the index does not cover is read again from the segments.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, RwLock};

use super::directory::Directory;
use super::files::{Segments, Writer};
use super::index_database::{IndexDatabase, Making};
use super::layers::Layer;
use super::scan::scan;
use super::view::View;
use super::{SegmentLog, SegmentOptions, Shared, State, Unused, exchange, indexer};
use crate::draft::Draft;
use crate::error::{LogError, Poison};
use crate::index::Totals;
use crate::layout::Place;
use crate::limits;
use crate::port::LogStatistics;

/// Opens the log in a directory, making it if it is not there.
pub(super) fn open(path: &Path, options: SegmentOptions) -> Result<SegmentLog, LogError> {
    assert!(options.segment_bytes >= limits::SEGMENT_BYTES_MINIMUM, "segments are not tiny");
    assert!(options.layer_rows >= 1, "a layer holds something");
    let directory = Directory::open(path)?;
    let segments = Arc::new(Segments::find(directory.segments())?);
    let index = open_index(&directory, &options)?;
    let covered = index.covered()?;
    let mut synced = directory.synced()?;
    let durable = synced.read()?.max(covered.position);
    check_reach(&segments, covered, &index)?;

    let shared = shared(index, segments, directory, &options, path)?;
    let (end, layer_rows) = replay(&shared, covered, options.layer_rows)?;
    if end.position < durable {
        let cause = format!("whole writes end at {} of the log, which was synced to {durable}", end.position);
        return Err(LogError::damaged(shared.segments.place(end.position), cause));
    }
    let writer = Writer::open(shared.segments.clone(), end, options.segment_bytes)?;
    synced.write(end.position)?;
    shared.state().durable = end.position;
    let shared = Arc::new(shared);
    let indexer = Some(indexer::start(shared.clone())?);
    let layer_start = covered.position;
    let poison = Poison::default();
    Ok(SegmentLog { shared, writer, synced, layer_rows, layer_start, written: 0, options, poison, indexer })
}

fn open_index(directory: &Directory, options: &SegmentOptions) -> Result<IndexDatabase, LogError> {
    let path = directory.database();
    if !path.exists() {
        let new = directory.new_database()?;
        drop(IndexDatabase::open(&new, options.cache_bytes, Making::New)?);
        directory.install_database()?;
    }
    directory.check_database()?;
    IndexDatabase::open(&path, options.cache_bytes, Making::Before)
}

/// The segments begin at or before what the index covers, and go on at least to there.
fn check_reach(segments: &Segments, covered: Place, index: &IndexDatabase) -> Result<(), LogError> {
    let (first, end) = segments.span().unwrap_or_default();
    let damaged = |cause| Err(LogError::damaged(index.path().display().to_string(), cause));
    if covered.position > end {
        return damaged(format!(
            "it covers {} bytes of the log and the segments end at {end}",
            covered.position
        ));
    }
    if covered.position < first {
        let covered = covered.position;
        return damaged(format!("it covers {covered} bytes of the log and the segments begin at {first}"));
    }
    Ok(())
}

fn shared(
    index: IndexDatabase,
    segments: Arc<Segments>,
    directory: Directory,
    options: &SegmentOptions,
    path: &Path,
) -> Result<Shared, LogError> {
    let totals = index.all_totals()?;
    let mut held = LogStatistics::default();
    for totals in totals.values() {
        held.partitions += 1;
        exchange(&mut held, &Totals::default(), totals);
    }
    let mut unused = Unused::default();
    for (start, batches) in index.segment_counts()? {
        match (segments.end_of(start), batches) {
            (Some(_), 0) => drop(unused.empty.insert(start)),
            (None, 0) => drop(unused.freed.insert(start)),
            (Some(_), _) => {}
            (None, _) => {
                let cause =
                    format!("the index has {batches} batches in the segment at {start}, which is missing");
                return Err(LogError::damaged(directory.segments().display().to_string(), cause));
            }
        }
    }
    let layers = vec![Arc::new(Layer::default())];
    let state = State { layers, totals, held, durable: 0, failed: None, closing: false };
    Ok(Shared {
        index,
        segments,
        state: Mutex::new(state),
        unused: Mutex::new(unused),
        readers: RwLock::default(),
        changed: Condvar::new(),
        times: options.times,
        path: path.to_owned(),
        _directory: directory,
    })
}

/// Puts what is not indexed into a layer; returns where the log ends and how many rows the layer has. Full layers
/// are indexed on the way, so that memory is bounded however far the index is behind.
fn replay(shared: &Shared, covered: Place, layer_rows: usize) -> Result<(Place, usize), LogError> {
    // The index must not get ahead of what is durable.
    shared.segments.sync_last()?;
    let mut rows = 0;
    let scanned = scan(&shared.segments, covered, |position, records, end| {
        let draft = Draft::of(records, &View::of_writer(shared), position)
            .map_err(|error| LogError::damaged(shared.segments.place(position), error.to_string()))?;
        rows += shared.state().add(draft, shared.segments.start_of(position), &shared.segments);
        if rows >= layer_rows {
            let full = std::mem::replace(&mut shared.state().layers[0], Arc::default());
            shared.take(&full, end)?;
            rows = 0;
        }
        Ok(())
    })?;
    if let Some(cause) = scanned.torn {
        tracing::info!(
            cause,
            "the end of the log at {} was not whole",
            shared.segments.place(scanned.end.position)
        );
    }
    Ok((scanned.end, rows))
}
