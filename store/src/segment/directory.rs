//! The data directory: who holds it, which format it has, and where its parts are.
//!
//! ```text
//!   LOCK        an exclusive lock of the operating system for as long as the log or a reader lives
//!   FORMAT      "weir-store 2\n"
//!   SYNCED      how much of the log was synced: found missing, it is damage and not a crash
//!   segments/   the log
//!   index/      the database with the index
//!   index.new/  a database whose making was interrupted: removed at the next opening
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::LogError;
use crate::layout::{self, FORMAT};
use crate::limits::FORMAT_FILE_BYTES;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_FILE_NEW: &str = "FORMAT.new";
const FORMAT_NAME: &str = "weir-store";
const SYNCED_FILE: &str = "SYNCED";
const SEGMENTS: &str = "segments";
const DATABASE: &str = "index";
const KEYSPACES: &str = "keyspaces";
const DATABASE_NEW: &str = "index.new";

/// A data directory that this process holds.
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Drop for Directory {
    /// Closing the file is not enough: a process that was forked from this one and has not begun its own
    /// program yet has the file open too.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock of {} was not given back", self.path.display());
        }
    }
}

impl Directory {
    /// Takes the directory, making it if it is not there, and checks its format.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        fs::create_dir_all(path).map_err(|error| failed("making", path, &error))?;
        // Looked at before the lock file is made, so that nothing is written into a foreign directory.
        refuse_foreign(path)?;
        let lock = lock(path)?;
        let directory = Self { path: path.to_owned(), lock };
        directory.check_format()?;
        Ok(directory)
    }

    /// Where the segment files are.
    pub(super) fn segments(&self) -> PathBuf {
        self.path.join(SEGMENTS)
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Opens the record of what was synced.
    pub(super) fn synced(&self) -> Result<Synced, LogError> {
        let path = self.path.join(SYNCED_FILE);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|error| failed("opening", &path, &error))?;
        Ok(Synced { file, path })
    }

    /// Refuses a database with stray folders among its keyspaces: the engine takes their names for numbers
    /// and would abort the process.
    pub(super) fn check_database(&self) -> Result<(), LogError> {
        let path = self.database().join(KEYSPACES);
        let entries = fs::read_dir(&path).map_err(|error| failed("listing", &path, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("listing", &path, &error))?;
            let folder = entry.file_type().map_err(|error| failed("listing", &path, &error))?.is_dir();
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if folder && number.is_none() {
                let stray = format!("it holds {:?}, which is no keyspace", entry.file_name());
                return Err(LogError::damaged(path.display().to_string(), stray));
            }
        }
        Ok(())
    }

    /// Where a new database is made, so that an interrupted making is never mistaken for a database; empty.
    pub(super) fn new_database(&self) -> Result<PathBuf, LogError> {
        let path = self.path.join(DATABASE_NEW);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(failed("clearing", &path, &error))
            }
            _ => Ok(path),
        }
    }

    /// Makes the new database the database, durably.
    pub(super) fn install_database(&self) -> Result<(), LogError> {
        let (from, to) = (self.path.join(DATABASE_NEW), self.database());
        fs::rename(&from, &to).map_err(|error| failed("renaming", &from, &error))?;
        sync_directory(&self.path)
    }

    /// Reads the FORMAT file, or writes it into a directory that has none.
    fn check_format(&self) -> Result<(), LogError> {
        let path = self.path.join(FORMAT_FILE);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                file.take(FORMAT_FILE_BYTES)
                    .read_to_end(&mut text)
                    .map_err(|error| failed("reading", &path, &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return self.write_format(),
            Err(error) => return Err(failed("reading", &path, &error)),
        }
        let text = String::from_utf8_lossy(&text);
        if text == format_line() {
            return Ok(());
        }
        let found = text.trim_end().to_owned();
        let directory = self.path.clone();
        if found.split(' ').next() == Some(FORMAT_NAME) {
            return Err(LogError::Version { directory, found, supported: FORMAT });
        }
        Err(LogError::Foreign { directory, found: format!("its FORMAT file says {found:?}") })
    }

    fn write_format(&self) -> Result<(), LogError> {
        let (new, path) = (self.path.join(FORMAT_FILE_NEW), self.path.join(FORMAT_FILE));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(format_line().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| failed("writing", &path, &error))?;
        sync_directory(&self.path)
    }
}

/// How much of the log was synced, kept beside it.
///
/// A record that cannot be read is taken for the torn end of the log, as after a crash, so a damaged one
/// could pass for an older state. This file is written after each sync and never synced itself: it may lag
/// behind, which only makes the check weaker, and it never runs ahead of what is durable.
pub(super) struct Synced {
    file: File,
    path: PathBuf,
}

impl Synced {
    /// The position that is recorded; 0 when there is none, or none that is whole.
    pub(super) fn read(&mut self) -> Result<u64, LogError> {
        let mut bytes = Vec::new();
        self.file.rewind().map_err(|error| failed("reading", &self.path, &error))?;
        let mut file = Read::by_ref(&mut self.file).take(layout::SYNCED_BYTES as u64);
        file.read_to_end(&mut bytes).map_err(|error| failed("reading", &self.path, &error))?;
        Ok(layout::read_synced(&bytes).unwrap_or(0))
    }

    /// Records a position.
    pub(super) fn write(&mut self, position: u64) -> Result<(), LogError> {
        let written = self.file.write_all_at(&layout::synced(position), 0);
        written.map_err(|error| failed("writing", &self.path, &error))
    }
}

fn format_line() -> String {
    format!("{FORMAT_NAME} {FORMAT}\n")
}

/// A system error while doing something with a file.
pub(super) fn failed(doing: &str, path: &Path, error: &std::io::Error) -> LogError {
    LogError::io(format!("{doing} {}", path.display()), error)
}

fn lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failed("opening", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed("locking", &path, &error)),
    }
}

/// A directory without a FORMAT file may hold only what an interrupted first opening left.
fn refuse_foreign(path: &Path) -> Result<(), LogError> {
    if path.join(FORMAT_FILE).exists() {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| failed("listing", path, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| failed("listing", path, &error))?.file_name();
        if name != LOCK_FILE && name != FORMAT_FILE_NEW {
            let found = format!("it has no FORMAT file but holds {}", Path::new(&name).display());
            return Err(LogError::Foreign { directory: path.to_owned(), found });
        }
    }
    Ok(())
}

/// A rename is durable once its directory is.
pub(super) fn sync_directory(path: &Path) -> Result<(), LogError> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(|error| failed("syncing", path, &error))
}
