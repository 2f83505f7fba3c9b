//! The kernel of weir: pure state machines and rules, no I/O.
#![no_std]
extern crate alloc;

pub mod coordinator;
pub mod hash;
pub mod ids;
pub mod log;
pub mod time;
