//! Why a broker cannot go on from its store.

use alloc::string::String;
use core::fmt;

use super::sharding::Share;
use crate::ids::{Address, PartitionId};
use crate::log::Table;

/// Why a store cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The store belongs to another broker: whose it is, who asked.
    Foreign(Address, Address),
    /// A row does not decode: table and key.
    Row(Table, String),
    /// The store has rows of a partition that another shard owns: the broker had another number of shards.
    Misplaced(PartitionId, Share),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(owner, asked) => {
                write!(f, "this store belongs to broker {owner}, not {asked}: use its own directory and key")
            }
            Self::Misplaced(partition, share) => write!(
                f,
                "the store of shard {share} holds partition {partition}, which is another shard's: start the broker with \
                 the number of shards that it was first started with"
            ),
            Self::Row(table, key) => write!(f, "row {key} of table {table:?} is damaged: restore the store"),
        }
    }
}

impl core::error::Error for OpenError {}
