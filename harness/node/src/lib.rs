//! weir-node
pub mod engine;
pub mod follower;
pub mod handle;
pub mod interfaces;
pub mod network;
pub mod node;
pub mod service;
