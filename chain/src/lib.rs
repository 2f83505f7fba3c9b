//! weir-chain
