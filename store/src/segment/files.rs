//! The segment files: one log of records, cut into files, appended to by one writer and read by anybody.
//!
//! ```text
//!   position  0                 start of the next                      pending.start      end
//!             ├─ segment 0 ─────┼─ segment N, complete and synced ─────┼─ last segment ───┼─ in memory ─┤
//! ```
//!
//! What was written waits in memory for the sync, or for more than fits there, and then goes to the file at
//! once. A segment is synced before the next one is made, so only the last one can have a torn end.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use weir_kernel::log::Record;

use super::directory::{failed, sync_directory};
use crate::draft::Expiry;
use crate::error::LogError;
use crate::layout::Place;
use crate::limits::{OPEN_SEGMENTS, PENDING_BYTES};
use crate::record;

const EXTENSION: &str = "segment";
/// A file without content, as long as the segment was whose space was given back.
const HOLE_EXTENSION: &str = "hole";

/// The files, for readers.
pub(super) struct Segments {
    directory: PathBuf,
    files: Mutex<Files>,
    pending: Mutex<Pending>,
}

/// Files by the position at which they begin; those open for reading.
#[derive(Default)]
struct Files {
    lengths: BTreeMap<u64, u64>,
    /// Those whose space was given back.
    holes: BTreeSet<u64>,
    open: BTreeMap<u64, Arc<File>>,
}

/// What was written and not sent to the file.
#[derive(Default)]
struct Pending {
    start: u64,
    bytes: Vec<u8>,
}

impl Segments {
    /// Finds the files in a directory, making it if it is not there.
    pub(super) fn find(directory: PathBuf) -> Result<Self, LogError> {
        fs::create_dir_all(&directory).map_err(|error| failed("making", &directory, &error))?;
        let (mut files, mut holes) = (Files::default(), BTreeMap::new());
        let entries = fs::read_dir(&directory).map_err(|error| failed("listing", &directory, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed("listing", &directory, &error))?.path();
            let length = path.metadata().map_err(|error| failed("looking at", &path, &error))?.len();
            match start_of(&path) {
                Some((start, Kind::Segment)) => {
                    files.lengths.insert(start, length);
                }
                Some((start, Kind::Hole)) => {
                    holes.insert(start, length);
                }
                None => {
                    let stray = format!("it holds {}, which is no segment", path.display());
                    return Err(LogError::damaged(directory.display().to_string(), stray));
                }
            }
        }
        for (start, length) in holes {
            // With the segment still there, the freeing was interrupted and comes again.
            if let Entry::Vacant(place) = files.lengths.entry(start) {
                place.insert(length);
                files.holes.insert(start);
            }
        }
        let segments = Self { directory, files: Mutex::new(files), pending: Mutex::default() };
        segments.check_joints()?;
        Ok(segments)
    }

    /// Each file ends where the next one begins.
    fn check_joints(&self) -> Result<(), LogError> {
        let lengths = &self.files().lengths;
        for ((start, length), next) in lengths.iter().zip(lengths.keys().skip(1)) {
            if start + length != *next {
                let cause = format!("it has {length} bytes where the next one begins after {}", next - start);
                return Err(LogError::damaged(self.path(*start).display().to_string(), cause));
            }
        }
        Ok(())
    }

    /// Where the first file begins and the last one ends; `None` when there is none.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let lengths = &self.files().lengths;
        let (first, last) = (lengths.first_key_value()?, lengths.last_key_value()?);
        Some((*first.0, last.0 + last.1))
    }

    /// Bytes of all files.
    pub(super) fn disk_bytes(&self) -> u64 {
        let files = self.files();
        files.lengths.iter().filter(|(start, _)| !files.holes.contains(start)).map(|(_, length)| length).sum()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("looking up a file does not panic")
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().expect("appending to memory does not panic")
    }

    fn path(&self, start: u64) -> PathBuf {
        self.directory.join(format!("{start:020}.{EXTENSION}"))
    }

    fn hole(&self, start: u64) -> PathBuf {
        self.directory.join(format!("{start:020}.{HOLE_EXTENSION}"))
    }

    /// How error messages name a place of the log.
    pub(super) fn place(&self, position: u64) -> String {
        let start = self.files().lengths.range(..=position).next_back().map_or(0, |(start, _)| *start);
        format!("{} at byte {}", self.path(start).display(), position - start)
    }

    /// Reads a record of known length into a buffer and checks it.
    pub(super) fn read(&self, position: u64, length: usize, buffer: &mut Vec<u8>) -> Result<(), LogError> {
        buffer.resize(length, 0);
        if !self.read_pending(position, buffer) {
            let (file, start) = self.file_at(position)?;
            file.read_exact_at(buffer, position - start).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    LogError::damaged(self.place(position), "the file ends too early")
                }
                _ => LogError::io(format!("reading {}", self.place(position)), &error),
            })?;
        }
        record::check(buffer, position).map_err(|cause| LogError::damaged(self.place(position), cause))
    }

    /// Has the system read a record that is wanted soon, without waiting for it. The device then works at
    /// many reads at once, where one after another each would wait for it.
    pub(super) fn prefetch(&self, position: u64, length: usize) {
        if position >= self.pending().start {
            return;
        }
        #[cfg(target_os = "linux")]
        if let Ok((file, start)) = self.file_at(position) {
            let length = NonZeroU64::new(length as u64);
            // What goes wrong here goes wrong again when it is read.
            let _ = rustix::fs::fadvise(&*file, position - start, length, rustix::fs::Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = length;
    }

    fn read_pending(&self, position: u64, buffer: &mut [u8]) -> bool {
        let pending = self.pending();
        let Some(offset) = position.checked_sub(pending.start) else { return false };
        let found = pending.bytes.get(offset as usize..).and_then(|bytes| bytes.get(..buffer.len()));
        if let Some(found) = found {
            buffer.copy_from_slice(found);
        }
        found.is_some()
    }

    fn file_at(&self, position: u64) -> Result<(Arc<File>, u64), LogError> {
        let mut files = self.files();
        let Some(start) = files.lengths.range(..=position).next_back().map(|(start, _)| *start) else {
            let cause = format!("no segment holds position {position}");
            return Err(LogError::damaged(self.directory.display().to_string(), cause));
        };
        if let Some(file) = files.open.get(&start) {
            return Ok((file.clone(), start));
        }
        if files.open.len() >= OPEN_SEGMENTS {
            // Readers go forward, so the oldest one is the least likely to be wanted again.
            files.open.pop_first();
        }
        let path = self.path(start);
        let file = Arc::new(File::open(&path).map_err(|error| failed("opening", &path, &error))?);
        files.open.insert(start, file.clone());
        Ok((file, start))
    }

    /// The bytes of the file that holds `position`, with the position at which it begins. For recovery.
    pub(super) fn file_for_scan(&self, position: u64) -> Result<(File, u64, u64), LogError> {
        let (start, length, freed) = {
            let files = self.files();
            let found = files.lengths.range(..=position).next_back();
            let (start, length) = found.map_or((position, 0), |(start, length)| (*start, *length));
            (start, length, files.holes.contains(&start))
        };
        let path = self.path(start);
        if freed {
            let cause = "it was freed, and the index that covered it is lost";
            return Err(LogError::damaged(path.display().to_string(), cause));
        }
        let file = File::open(&path).map_err(|error| failed("opening", &path, &error))?;
        Ok((file, start, length))
    }

    /// Makes what the last file holds durable. The others are.
    pub(super) fn sync_last(&self) -> Result<(), LogError> {
        let Some(start) = self.files().lengths.last_key_value().map(|(start, _)| *start) else {
            return Ok(());
        };
        let path = self.path(start);
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("syncing", &path, &error))
    }

    /// Where the file begins that holds a position, or would.
    pub(super) fn start_of(&self, position: u64) -> u64 {
        self.files().lengths.range(..=position).next_back().map_or(position, |(start, _)| *start)
    }

    /// Where the file that begins at `start` ended and the next one begins; `u64::MAX` for the last one,
    /// `None` when it is not there.
    pub(super) fn end_of(&self, start: u64) -> Option<u64> {
        let files = self.files();
        let there = files.lengths.contains_key(&start) && !files.holes.contains(&start);
        there.then(|| files.lengths.range(start + 1..).next().map_or(u64::MAX, |(next, _)| *next))
    }

    /// Gives back the space of the file that begins at `start`, which is not the last one and of which
    /// nothing is read any more. A hole of its length takes its place, so that a lost file is told from one
    /// that was freed; holes before all files go.
    pub(super) fn free(&self, start: u64) -> Result<(), LogError> {
        let mut files = self.files();
        let (path, hole) = (self.path(start), self.hole(start));
        let length = files.lengths.get(&start).copied().unwrap_or_default();
        let dig = || {
            let file = File::create(&hole)?;
            file.set_len(length)?;
            file.sync_all()
        };
        dig().map_err(|error| failed("making", &hole, &error))?;
        sync_directory(&self.directory)?;
        fs::remove_file(&path).map_err(|error| failed("removing", &path, &error))?;
        files.open.remove(&start);
        files.holes.insert(start);
        while let Some(first) = files.lengths.first_key_value().map(|(start, _)| *start)
            && files.holes.remove(&first)
        {
            let hole = self.hole(first);
            fs::remove_file(&hole).map_err(|error| failed("removing", &hole, &error))?;
            files.lengths.remove(&first);
        }
        Ok(())
    }
}

enum Kind {
    Segment,
    Hole,
}

/// The position and kind that a file's name says; `None` for another file.
fn start_of(path: &Path) -> Option<(u64, Kind)> {
    let (stem, extension) = path.file_name()?.to_str()?.split_once('.')?;
    let kind = match extension {
        EXTENSION => Kind::Segment,
        HOLE_EXTENSION => Kind::Hole,
        _ => return None,
    };
    let start = (stem.len() == 20).then(|| stem.parse().ok()).flatten()?;
    Some((start, kind))
}

/// The one that appends.
pub(super) struct Writer {
    segments: Arc<Segments>,
    file: File,
    /// Where the last file begins.
    start: u64,
    end: Place,
    synced: u64,
    segment_bytes: u64,
}

impl Writer {
    /// Cuts the log at a place, makes what is before it durable, and appends from there on.
    pub(super) fn open(segments: Arc<Segments>, end: Place, segment_bytes: u64) -> Result<Self, LogError> {
        let last = segments.files().lengths.last_key_value().map(|(start, length)| (*start, *length));
        let (start, length) = last.unwrap_or((end.position, 0));
        let path = segments.path(start);
        let open = || -> std::io::Result<File> {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            if start + length > end.position {
                file.set_len(end.position - start)?;
            }
            file.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|error| failed("opening", &path, &error))?;
        sync_directory(&segments.directory)?;
        segments.files().lengths.insert(start, end.position - start);
        segments.pending().start = end.position;
        Ok(Self { segments, file, start, end, synced: end.position, segment_bytes })
    }

    /// Where the last file begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> Place {
        self.end
    }

    /// Begins a new file when the last one is full.
    pub(super) fn make_room(&mut self) -> Result<(), LogError> {
        if self.end.position - self.start < self.segment_bytes {
            return Ok(());
        }
        self.sync()?;
        let path = self.segments.path(self.end.position);
        let file = OpenOptions::new().create_new(true).write(true).open(&path);
        self.file = file.map_err(|error| failed("making", &path, &error))?;
        sync_directory(&self.segments.directory)?;
        self.start = self.end.position;
        self.segments.files().lengths.insert(self.start, 0);
        Ok(())
    }

    /// Appends the records of one write.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), LogError> {
        let write = self.end.writes + 1;
        let mut pending = self.segments.pending();
        let mut position = self.end.position;
        for (at, one) in records.iter().enumerate() {
            record::encode(&mut pending.bytes, one, position, write, at + 1 == records.len());
            position = pending.start + pending.bytes.len() as u64;
        }
        drop(pending);
        self.appended()
    }

    /// Appends an expiry.
    pub(super) fn append_expiry(&mut self, expiry: &Expiry) -> Result<(), LogError> {
        let (position, write) = (self.end.position, self.end.writes + 1);
        record::encode_expiry(&mut self.segments.pending().bytes, expiry, position, write);
        self.appended()
    }

    fn appended(&mut self) -> Result<(), LogError> {
        let pending = self.segments.pending();
        let waiting = pending.bytes.len();
        self.end = Place { position: pending.start + waiting as u64, writes: self.end.writes + 1 };
        drop(pending);
        if waiting >= PENDING_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends what waits in memory to the file.
    pub(super) fn flush(&mut self) -> Result<(), LogError> {
        let mut pending = self.segments.pending();
        if pending.bytes.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all_at(&pending.bytes, pending.start - self.start);
        written.map_err(|error| failed("writing to", &self.segments.path(self.start), &error))?;
        pending.start = self.end.position;
        pending.bytes.clear();
        pending.bytes.shrink_to(2 * PENDING_BYTES);
        self.segments.files().lengths.insert(self.start, self.end.position - self.start);
        Ok(())
    }

    /// The last file, where it begins, up to where it is durable, and where it ends.
    pub(super) fn exposed(&self) -> (PathBuf, u64, u64, u64) {
        let end = self.segments.pending().start;
        (self.segments.path(self.start), self.start, self.synced.max(self.start), end)
    }

    /// Makes everything that was appended durable; returns the position of its end.
    pub(super) fn sync(&mut self) -> Result<u64, LogError> {
        self.flush()?;
        if self.synced < self.end.position {
            // A file that grew is as long after fdatasync as it was made.
            let synced = self.file.sync_data();
            synced.map_err(|error| failed("syncing", &self.segments.path(self.start), &error))?;
            self.synced = self.end.position;
        }
        Ok(self.synced)
    }
}
