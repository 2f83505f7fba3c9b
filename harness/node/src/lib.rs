//! weir-node
pub mod engine;
pub mod follower;
pub mod handle;
pub mod node;
