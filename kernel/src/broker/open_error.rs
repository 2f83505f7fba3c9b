//! Why a broker cannot go on from its store.

use alloc::string::String;
use core::fmt;

use crate::ids::Address;
use crate::log::Table;

/// Why a store cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The store belongs to another broker: whose it is, who asked.
    Foreign(Address, Address),
    /// A row does not decode: table and key.
    Row(Table, String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(owner, asked) => {
                write!(f, "this store belongs to broker {owner}, not {asked}: use its own directory and key")
            }
            Self::Row(table, key) => write!(f, "row {key} of table {table:?} is damaged: restore the store"),
        }
    }
}

impl core::error::Error for OpenError {}
