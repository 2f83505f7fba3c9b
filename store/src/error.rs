//! What can go wrong with a log, in words that a person can act on.

use std::path::PathBuf;

use thiserror::Error;

/// Why a log could not be opened, written, synced or read. Causes are kept as text so that the first one can
/// be repeated by every later call of a poisoned log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// Another process (or another log of this one) holds the directory.
    #[error(
        "data directory {} is in use by another process: stop that process or choose another directory",
        .directory.display()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// The directory holds something else.
    #[error(
        "{} is not a weir data directory ({found}): choose an empty directory or one that weir made",
        .directory.display()
    )]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// What was found there.
        found: String,
    },
    /// The directory was written by another version of this program.
    #[error(
        "data directory {} has format {found:?} and this program reads format {supported}: \
         use the program that wrote it, or start with an empty directory",
        .directory.display()
    )]
    Version {
        /// The data directory.
        directory: PathBuf,
        /// The version that its FORMAT file names.
        found: String,
        /// The version that this program reads and writes.
        supported: u32,
    },
    /// What was read is not what was written.
    #[error(
        "{place} is damaged ({cause}): the disk or a copy of the directory is faulty; \
         move the broker's whole data directory away and let it fetch its data again"
    )]
    Damaged {
        /// Keyspace and key, or the directory.
        place: String,
        /// What does not fit.
        cause: String,
    },
    /// No room on the device.
    #[error("no space left while {doing}: free space on that device, then restart the broker")]
    Full {
        /// What was being done, and where.
        doing: String,
    },
    /// The operating system refused.
    #[error("{doing} failed: {cause}")]
    Io {
        /// What was being done, and where.
        doing: String,
        /// The system's own words.
        cause: String,
    },
    /// An earlier write or sync failed: nothing may be built on what came after it.
    #[error(
        "the log stopped taking writes after an earlier failure and needs a restart; the first failure: {cause}"
    )]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The caller broke the contract of the port: a bug above the store.
    #[error("a record breaks the log's contract: {rule}")]
    Contract {
        /// The rule and the offending values.
        rule: String,
    },
}

impl LogError {
    /// A system error, told apart by whether the device is full.
    pub(crate) fn io(doing: impl Into<String>, error: &std::io::Error) -> Self {
        let doing = doing.into();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { doing },
            _ => Self::Io { doing, cause: error.to_string() },
        }
    }

    pub(crate) fn damaged(place: impl Into<String>, cause: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), cause: cause.into() }
    }

    pub(crate) fn contract(rule: impl Into<String>) -> Self {
        Self::Contract { rule: rule.into() }
    }
}

/// Remembers the first failure of a writer, so that nothing is written after it.
#[derive(Debug, Default)]
pub(crate) struct Poison(Option<String>);

impl Poison {
    pub(crate) fn check(&self) -> Result<(), LogError> {
        match &self.0 {
            Some(cause) => Err(LogError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Passes a result through and remembers it when it is the first failure.
    pub(crate) fn watch<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error) = &result
            && self.0.is_none()
        {
            tracing::error!(%error, "the event log is poisoned");
            self.0 = Some(error.to_string());
        }
        result
    }
}
