//! How many shards a broker's data directory is for, and where their stores are.
//!
//! ```text
//!   one shard         the directory is its store
//!   several shards    SHARDS      "weir-shards 4\n", written before any store is made
//!                     shard-0/    the store of the first
//!                     shard-1/ …
//! ```
//!
//! The number is chosen at the first start and stays: each store holds its shard's partitions alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use weir_kernel::broker::Shards;

const SHARDS_FILE: &str = "SHARDS";
const SHARDS_FILE_NEW: &str = "SHARDS.new";
const SHARDS_NAME: &str = "weir-shards";

/// How many shards a broker is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardCount {
    /// So many; a directory with another number is refused.
    Exactly(Shards),
    /// So many in a new directory, and as many as there are in one with a store.
    IfNew(Shards),
}

impl ShardCount {
    /// One shard a core, for a broker that has the machine's cores for itself but for so many more brokers like it.
    pub fn a_core(brokers: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let each = cores / (brokers.max(1) as usize);
        let shards = u16::try_from(each).ok().and_then(Shards::new);
        Self::IfNew(shards.unwrap_or(Shards::ONE))
    }

    /// The same for a directory that keeps what it has.
    pub fn if_new(self) -> Self {
        Self::IfNew(self.wanted())
    }

    fn wanted(self) -> Shards {
        match self {
            Self::Exactly(shards) | Self::IfNew(shards) => shards,
        }
    }
}

/// Why a directory's stores cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The system refuses.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file does not say how many.
    #[error("{} does not say how many shards there are: restore it, it is one line like \"{SHARDS_NAME} 4\"", .0.display())]
    Unreadable(PathBuf),
    /// There is another number of shards than was asked for.
    #[error(
        "{} was made for {found} shards, not {asked}: start the broker with {found} or without a number; to change \
         it, have the broker leave, and start it anew in an empty directory",
        .directory.display()
    )]
    Changed {
        /// The broker's directory.
        directory: PathBuf,
        /// Its shards.
        found: Shards,
        /// What was asked for.
        asked: Shards,
    },
}

/// The directories of the stores, by shard. Writes down how many there are where that is new.
///
/// # Errors
///
/// [`LayoutError`] if the directory is for another number, or cannot be read or written.
pub fn stores(directory: &Path, count: ShardCount) -> Result<Vec<PathBuf>, LayoutError> {
    let shards = match found(directory)? {
        Some(found) => match count {
            ShardCount::Exactly(asked) if asked != found => {
                return Err(LayoutError::Changed { directory: directory.to_owned(), found, asked });
            }
            _ => found,
        },
        None => {
            let wanted = count.wanted();
            if wanted != Shards::ONE {
                write(directory, wanted)?;
            }
            wanted
        }
    };
    Ok(match shards {
        Shards::ONE => vec![directory.to_owned()],
        several => {
            several.shares().map(|share| directory.join(format!("shard-{}", share.number()))).collect()
        }
    })
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::Io { what, path, source }
}

/// How many shards a directory is for; `None` for a new one.
fn found(directory: &Path) -> Result<Option<Shards>, LayoutError> {
    let path = directory.join(SHARDS_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let count = text.strip_prefix(SHARDS_NAME).and_then(|count| count.trim().parse().ok());
            let shards = count.and_then(Shards::new).filter(|shards| *shards != Shards::ONE);
            return shards.map(Some).ok_or(LayoutError::Unreadable(path));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(LayoutError::Unreadable(path)),
        Err(error) => return Err(failed("reading", &path)(error)),
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("listing", directory)(error)),
    };
    for entry in entries {
        // A file whose writing was interrupted is none.
        if entry.map_err(failed("listing", directory))?.file_name() != SHARDS_FILE_NEW {
            return Ok(Some(Shards::ONE));
        }
    }
    Ok(None)
}

/// Writes down, durably, how many shards there are.
fn write(directory: &Path, shards: Shards) -> Result<(), LayoutError> {
    fs::create_dir_all(directory).map_err(failed("making", directory))?;
    let (new, path) = (directory.join(SHARDS_FILE_NEW), directory.join(SHARDS_FILE));
    let mut file = File::create(&new).map_err(failed("making", &new))?;
    let text = format!("{SHARDS_NAME} {shards}\n");
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("writing", &new))?;
    fs::rename(&new, &path).map_err(failed("renaming", &new))?;
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(failed("syncing", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u16) -> Shards {
        Shards::new(count).unwrap()
    }

    #[test]
    fn the_first_start_decides_and_another_number_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        fs::create_dir(&path).unwrap();
        fs::write(path.join(SHARDS_FILE_NEW), "weir").unwrap();
        let made = stores(&path, ShardCount::IfNew(shards(3))).unwrap();
        assert_eq!(made, ["shard-0", "shard-1", "shard-2"].map(|name| path.join(name)));
        assert_eq!(stores(&path, ShardCount::IfNew(shards(2))).unwrap(), made);
        assert_eq!(stores(&path, ShardCount::Exactly(shards(3))).unwrap(), made);
        let refused = stores(&path, ShardCount::Exactly(Shards::ONE)).unwrap_err().to_string();
        assert!(refused.contains("made for 3 shards, not 1") && refused.contains("store"), "{refused}");
    }

    #[test]
    fn a_store_without_the_file_is_one_shard() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("FORMAT"), "weir-store 2\n").unwrap();
        assert_eq!(stores(path, ShardCount::IfNew(shards(4))).unwrap(), [path]);
        let refused = stores(path, ShardCount::Exactly(shards(4)));
        assert!(matches!(refused, Err(LayoutError::Changed { found: Shards::ONE, .. })));
    }

    #[test]
    fn one_shard_is_the_directory_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        assert_eq!(stores(&path, ShardCount::Exactly(Shards::ONE)).unwrap(), std::slice::from_ref(&path));
        assert!(!path.exists(), "the store makes it");
    }

    #[test]
    fn a_file_that_says_nothing_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "weir-shards", "weir-shards 1", "weir-shards x", "weir-shards 99999999"] {
            fs::write(directory.path().join(SHARDS_FILE), text).unwrap();
            let found = stores(directory.path(), ShardCount::IfNew(shards(2)));
            assert!(matches!(found, Err(LayoutError::Unreadable(_))), "{text:?}");
        }
    }
}
