//! The chain of a weir network: Ethereum as far as a node needs it.
//!
//! ```text
//!   wallets, ethers, CLI ──JSON-RPC──▶ rpc ──▶ mirror ◀── port::Chain ── node
//!                                               │  revm, pool, block log, snapshots
//!   contracts/artifacts ──▶ bindings ──▶ deploy, calldata   (what is sent)
//!                                   └──▶ facts, revert      (what comes back)
//! ```
//!
//! [`mirror`] is a chain in process that runs the contracts' real bytecode: the development network, the
//! simulator and the tests run on it. [`rpc`] answers Ethereum JSON-RPC for it. [`port`] is what a node needs
//! of any chain. [`bindings`] are the contracts as types, [`deploy`] puts them on a chain, [`calldata`] says
//! what nodes send ([`fees`] for LaneFees and Karma), [`facts`] turns log entries into what the kernel understands,
//! [`revert`] turns refusals into words, and [`wallet`] signs. [`gas`] says what calls cost.
//!
//! ```
//! use std::collections::BTreeMap;
//! use alloy_primitives::{B256, TxKind, U256};
//! use weir_chain::deploy::{Deployment, deploy};
//! use weir_chain::mirror::{Genesis, Mirror};
//! use weir_chain::wallet::{Account, Wallet};
//! use weir_chain::{calldata, limits};
//! use weir_kernel::coordinator::{Params, params::DATA};
//!
//! let wallet = Wallet::from_bytes(&[7; 32])?;
//! let alloc = BTreeMap::from([(wallet.address(), limits::BROKER_ETHER_WEI)]);
//! let mut mirror = Mirror::in_memory(&Genesis { chain_id: 31337, timestamp_s: 1_800_000_000, alloc });
//! let params = Params::default();
//! let deployment = Deployment { supply: 1_000_000 * DATA, reserve: 1_000 * DATA, params };
//! let addresses = deploy(&mut mirror, &wallet, &deployment, 1_800_000_001)?;
//!
//! let mut account = Account::new(wallet.clone(), mirror.chain_id(), mirror.nonce(wallet.address()));
//! let create = calldata::create_stream("temperature", "degrees Celsius", 1, true, false);
//! let hash = mirror.submit(&account.sign(TxKind::Call(addresses.registry), U256::ZERO, create, 1_000_000))?;
//! mirror.produce_block(1_800_000_002)?;
//! let receipt = mirror.receipt(hash)?.expect("the block holds it");
//! assert_eq!(receipt.failure(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bindings;
pub mod calldata;
pub mod deploy;
pub mod facts;
pub mod fees;
pub mod gas;
pub mod limits;
pub mod mirror;
pub mod port;
pub mod revert;
pub mod rpc;
pub mod stand_in;
pub mod wallet;
