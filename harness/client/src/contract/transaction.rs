//! Sending a transaction and waiting for its receipt.

use std::time::Duration;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::rpc::{self, RpcError};
use crate::client::Client;

/// How long a transaction may take to be in a block that the node acts on.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the receipt is asked for.
const RECEIPT_INTERVAL: Duration = Duration::from_millis(200);

/// Times that a transaction is signed anew because another program took its nonce.
const NONCE_ATTEMPTS: u32 = 5;

/// Why a transaction did not do what it should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransactionError {
    /// The client has no key to sign with.
    #[error("this needs a key: give one with --key FILE or WEIR_KEY")]
    NoKey,
    /// The key's account cannot pay for the transaction.
    #[error(
        "{address} cannot pay for the transaction ({reason}): send it ether; on a development network \
         `weir key fund --key FILE` does"
    )]
    NoEther {
        /// The account.
        address: Address,
        /// What the chain said.
        reason: String,
    },
    /// A call to the chain failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// It is in a block, and the contract refused it there.
    #[error("transaction {hash} was reverted: {reason}")]
    Reverted {
        /// Its hash.
        hash: B256,
        /// The contract's reason.
        reason: String,
    },
    /// It is not in a block yet.
    #[error(
        "transaction {hash} is in no block after {seconds} s: it may still come, look before sending it again"
    )]
    Pending {
        /// Its hash.
        hash: B256,
        /// How long was waited.
        seconds: u64,
    },
    /// It went through without the expected effect: the address is no such contract.
    #[error("{0}")]
    NoEffect(String),
}

/// A transaction's receipt, as far as it is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    transaction_hash: B256,
    status: String,
    pub block_number: String,
    #[serde(default)]
    pub logs: Vec<Log>,
    revert_reason: Option<String>,
}

/// A log entry.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Log {
    pub address: Address,
    pub topics: Vec<B256>,
    pub data: Bytes,
}

/// Sends a call to a contract, or only ether, and waits until it is in a block and the node acts on that block.
pub(super) async fn send(
    client: &Client,
    to: Address,
    value: U256,
    input: Bytes,
) -> Result<Receipt, TransactionError> {
    let hash = submit(client, to, value, input).await?;
    outcome(client, hash).await
}

/// Sends calls to a contract, each of which may go through whatever becomes of the others, and waits for all.
pub(super) async fn send_all(
    client: &Client,
    to: Address,
    calls: Vec<Bytes>,
) -> Result<(), TransactionError> {
    let mut sent = Vec::with_capacity(calls.len());
    for input in calls {
        sent.push(submit(client, to, U256::ZERO, input).await?);
    }
    for hash in sent {
        outcome(client, hash).await?;
    }
    Ok(())
}

async fn outcome(client: &Client, hash: B256) -> Result<Receipt, TransactionError> {
    let receipt = wait(client, hash).await?;
    if receipt.status != "0x1" {
        let reason = receipt.revert_reason.unwrap_or_else(|| "the chain gave no reason".into());
        return Err(TransactionError::Reverted { hash: receipt.transaction_hash, reason });
    }
    Ok(receipt)
}

async fn submit(client: &Client, to: Address, value: U256, input: Bytes) -> Result<B256, TransactionError> {
    let wallet = client.key().ok_or(TransactionError::NoKey)?.wallet();
    let from = wallet.address();
    // Estimating runs the call: what would be reverted is refused here, with its reason and for free.
    let estimate =
        rpc::quantity(client, "eth_estimateGas", json!([rpc::request(from, to, value, &input)])).await?;
    let price = rpc::quantity(client, "eth_gasPrice", json!([])).await?;
    let mut attempt = 1;
    loop {
        let nonce = rpc::quantity(client, "eth_getTransactionCount", json!([from, "pending"])).await?;
        let raw = wallet.sign_transaction(TxEip1559 {
            chain_id: client.info().chain_id,
            nonce: u64::try_from(nonce).unwrap_or(u64::MAX),
            // The state may have moved between estimate and block: a fifth more is only offered, not spent.
            gas_limit: u64::try_from(estimate + estimate / 5).unwrap_or(u64::MAX),
            max_fee_per_gas: price.saturating_mul(2),
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(to),
            value,
            access_list: Default::default(),
            input: input.clone(),
        });
        match rpc::call(client, "eth_sendRawTransaction", json!([raw])).await {
            Ok(hash) => return Ok(hash),
            Err(RpcError::Refused { message, .. })
                if attempt < NONCE_ATTEMPTS && message.to_lowercase().contains("nonce") =>
            {
                attempt += 1;
                sleep(RECEIPT_INTERVAL).await;
            }
            Err(RpcError::Refused { message, .. }) if message.contains("insufficient funds") => {
                return Err(TransactionError::NoEther { address: from, reason: message });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn wait(client: &Client, hash: B256) -> Result<Receipt, TransactionError> {
    let deadline = Instant::now() + RECEIPT_TIMEOUT;
    loop {
        let receipt: Option<Receipt> = rpc::call(client, "eth_getTransactionReceipt", json!([hash])).await?;
        if let Some(receipt) = receipt {
            // Only once the node acts on the block does a publish or a grant that follows see the effect.
            let height = client.refresh_info().await.map_err(RpcError::from)?.height;
            let digits = receipt.block_number.strip_prefix("0x").unwrap_or(&receipt.block_number);
            if u64::from_str_radix(digits, 16).is_ok_and(|block| block <= height) {
                return Ok(receipt);
            }
        }
        if Instant::now() >= deadline {
            return Err(TransactionError::Pending { hash, seconds: RECEIPT_TIMEOUT.as_secs() });
        }
        sleep(RECEIPT_INTERVAL).await;
    }
}
