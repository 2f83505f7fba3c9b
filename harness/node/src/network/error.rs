//! Why a network on this machine does not start or go on.

use std::io;
use std::path::{Path, PathBuf};

use weir_chain::deploy::DeployError;
use weir_chain::mirror::{OpenError, ProduceError};

use crate::follower::FollowError;
use crate::interfaces::ServeError;
use crate::node::{NodeFailure, StartError};

/// Why a network does not start or go on: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The options cannot be meant so.
    #[error("{0}")]
    Options(String),
    /// The directory holds a network of other parameters.
    #[error(
        "the network in {} was made with {what} {found}, not {asked}, which cannot change later: leave the option \
         out, or use another directory (--dir) for a new network", directory.display()
    )]
    Changed {
        /// Where it is.
        directory: PathBuf,
        /// Which parameter.
        what: &'static str,
        /// What it is.
        found: u64,
        /// What was asked for.
        asked: u64,
    },
    /// Another process uses the directory.
    #[error(
        "{} is in use by another process{holder}: stop that network first, or use another directory (--dir)",
        directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// Which process, as ` (number 123)`, if it is known.
        holder: String,
    },
    /// The directory holds something else.
    #[error("{} is no directory of a weir network: {reason}", directory.display())]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The network was made by another version of this program.
    #[error(
        "{} is of format {found} and this program speaks format {known}: its contracts are others. Run the version \
         that made it, or begin a new network in another directory (--dir) or by removing this one", path.display()
    )]
    Format {
        /// The settings.
        path: PathBuf,
        /// Their format.
        found: u32,
        /// The format of this program.
        known: u32,
    },
    /// A file of the network cannot be understood.
    #[error(
        "{} is damaged: {reason}; restore it, or remove the whole directory to begin a new network",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A broker's keys cannot be used.
    #[error("the TLS key of a broker: {0}")]
    Tls(#[from] weir_net::identity::IdentityError),
    /// The chain cannot be opened.
    #[error(transparent)]
    Chain(#[from] OpenError),
    /// The contracts cannot be put on the chain.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// No block could be made.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// The chain cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// A transaction of the set-up failed.
    #[error("{what}: {reason}")]
    Transaction {
        /// What it was for.
        what: String,
        /// Why.
        reason: String,
    },
    /// A broker did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A broker stopped by itself.
    #[error(transparent)]
    Broker(#[from] NodeFailure),
    /// The interfaces did not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Set-up takes too long.
    #[error("{what} took more than {seconds} s: run again with logging of level info to see why")]
    Slow {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The chain's thread has ended.
    #[error("the chain has stopped{0}")]
    ChainStopped(String),
}

impl NetworkError {
    /// Whether what was asked for is at fault, not the world: a command then ends with code 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Options(_) | Self::Changed { .. })
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
