//! weir-fuzz
