//! The kernel of weir: pure state machines and rules, no I/O.
#![no_std]
extern crate alloc;

pub mod agreement;
pub mod batch;
pub mod broker;
pub mod codec;
pub mod coordinator;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod log;
pub mod merkle;
pub mod partition_key;
pub mod signature;
pub mod time;
pub mod typed_data;
pub mod verify;
pub mod wire;
