//! weir-chain
pub mod bindings;
pub mod calldata;
pub mod deploy;
pub mod facts;
pub mod limits;
pub mod mirror;
pub mod port;
pub mod revert;
pub mod rpc;
pub mod wallet;
