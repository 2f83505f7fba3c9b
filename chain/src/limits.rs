//! Every bound of the development chain, with its reason.

use alloy_primitives::U256;

/// Gas that one block holds: what Ethereum mainnet targets, so that a block full of certificates fits there
/// too.
pub const BLOCK_GAS_LIMIT: u64 = 60_000_000;

/// Gas that one transaction may ask for (EIP-7825).
pub const TX_GAS_LIMIT: u64 = 16_777_216;

/// The constant base fee in wei. Real chains move it (EIP-1559); here development accounts should last.
pub const BASE_FEE_WEI: u64 = 7;

/// What `eth_gasPrice` answers, in wei: wallets refuse prices that look broken, and this one is cheap.
pub const GAS_PRICE_WEI: u128 = 1_000_000_000;

/// The longest raw transaction, in bytes: what Ethereum nodes relay.
pub const MAX_TX_BYTES: usize = 128 * 1024;

/// Transactions that wait at most.
pub const MAX_POOL_TRANSACTIONS: usize = 16_384;

/// Bytes of raw transactions that wait at most.
pub const MAX_POOL_BYTES: usize = 64 * 1024 * 1024;

/// How far ahead of its account a transaction's nonce may be.
pub const MAX_NONCE_AHEAD: u64 = 1024;

/// A transaction replaces another of the same nonce only if it pays this many percent more.
pub const REPLACEMENT_BUMP_PERCENT: u128 = 10;

/// Blocks between two snapshots: reopening executes at most this many.
pub const SNAPSHOT_INTERVAL_BLOCKS: u64 = 256;

/// Snapshots that are kept: one to use and one to fall back to.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Decoded blocks that stay in memory; older ones are read from the block log.
pub const RECENT_BLOCKS: usize = 256;

/// Blocks that an in-memory mirror can drop again.
pub const MAX_REORG_DEPTH: usize = 64;

/// The longest record of the block log, in bytes: a full block's transactions, receipts and logs stay far
/// below, and a damaged length asks for no more memory than this.
pub const MAX_RECORD_BYTES: usize = 256 * 1024 * 1024;

/// The longest snapshot, in bytes.
pub const MAX_SNAPSHOT_BYTES: usize = 1024 * 1024 * 1024;

/// Log entries that one query answers at most.
pub const MAX_LOGS_ANSWERED: usize = 10_000;

/// Requests in one JSON-RPC batch at most.
pub const MAX_RPC_BATCH: usize = 1024;

/// Addresses, or topics at one position, in one log filter at most.
pub const MAX_FILTER_ITEMS: usize = 1024;

/// Blocks that one `eth_feeHistory` answers at most.
pub const MAX_FEE_HISTORY_BLOCKS: u64 = 1024;

/// The deployment that `weir up` makes puts this much ether, in wei, into each broker's account: one coin
/// pays for tens of thousands of full blocks at [`GAS_PRICE_WEI`].
pub const BROKER_ETHER_WEI: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

const _: () = assert!(TX_GAS_LIMIT <= BLOCK_GAS_LIMIT, "a transaction must fit a block");
const _: () = assert!(RECENT_BLOCKS >= MAX_REORG_DEPTH, "dropped blocks are taken from the recent ones");
const _: () = assert!(MAX_TX_BYTES <= MAX_POOL_BYTES, "a transaction must fit the pool");
const _: () = assert!(BASE_FEE_WEI as u128 <= GAS_PRICE_WEI, "the advertised price must pay the base fee");
