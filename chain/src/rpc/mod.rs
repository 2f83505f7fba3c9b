//! Ethereum JSON-RPC for the mirror, as a function from request to response: ethers, viem, cast and wallets
//! work against it. The HTTP server around it lives with the node.
//!
//! Only the newest state is kept: a question about an older block's state is refused with a message, one
//! about its transactions, receipts and log entries is answered. There is no method to make a block: time
//! does.

mod encode;
mod params;

use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};

use crate::limits;
use crate::mirror::{CallError, HistoryError, LogsError, Mirror, SubmitError};
use encode::{block_json, hex_quantity, log_json, receipt_json, transaction_json};
use params::{BlockTag, Params};

/// Standard JSON-RPC and Ethereum error codes (EIP-1474).
mod code {
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL: i64 = -32603;
    pub const SERVER: i64 = -32000;
    pub const LIMIT_EXCEEDED: i64 = -32005;
    pub const REVERTED: i64 = 3;
}

/// An error as the response carries it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RpcError {
    code: i64,
    message: String,
    data: Option<Value>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Revert { data, reason } => Self {
                code: code::REVERTED,
                message: format!("execution reverted: {reason}"),
                data: Some(data.to_string().into()),
            },
            other => Self::new(code::SERVER, other.to_string()),
        }
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        Self::new(code::SERVER, error.to_string())
    }
}

impl From<HistoryError> for RpcError {
    fn from(error: HistoryError) -> Self {
        Self::new(code::INTERNAL, error.to_string())
    }
}

impl From<LogsError> for RpcError {
    fn from(error: LogsError) -> Self {
        match error {
            LogsError::TooMany => Self::new(code::LIMIT_EXCEEDED, error.to_string()),
            LogsError::History(error) => error.into(),
        }
    }
}

/// Answers a request or a batch of up to [`limits::MAX_RPC_BATCH`]. `None` if nothing is to be answered
/// because everything was a notification (JSON-RPC 2.0).
pub fn handle(mirror: &mut Mirror, request: &Value) -> Option<Value> {
    let Value::Array(batch) = request else { return handle_one(mirror, request) };
    if batch.is_empty() {
        return Some(failure(&Value::Null, &RpcError::new(code::INVALID_REQUEST, "the batch is empty")));
    }
    if batch.len() > limits::MAX_RPC_BATCH {
        let message = format!("a batch holds at most {} requests", limits::MAX_RPC_BATCH);
        return Some(failure(&Value::Null, &RpcError::new(code::LIMIT_EXCEEDED, message)));
    }
    let answers: Vec<Value> = batch.iter().filter_map(|request| handle_one(mirror, request)).collect();
    (!answers.is_empty()).then_some(Value::Array(answers))
}

fn failure(id: &Value, error: &RpcError) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error.to_json() })
}

fn handle_one(mirror: &mut Mirror, request: &Value) -> Option<Value> {
    let id = request.get("id").cloned();
    let Some(method) = request.get("method").and_then(Value::as_str) else {
        let error = RpcError::new(code::INVALID_REQUEST, "a request is an object with a method");
        return Some(failure(&id.unwrap_or(Value::Null), &error));
    };
    let empty = Vec::new();
    let params = match request.get("params") {
        None | Some(Value::Null) => Ok(empty.as_slice()),
        Some(Value::Array(params)) => Ok(params.as_slice()),
        Some(_) => Err(RpcError::params("params is a list")),
    };
    let result = params.and_then(|params| dispatch(mirror, method, Params(params)));
    let id = id?;
    Some(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => failure(&id, &error),
    })
}

fn dispatch(mirror: &mut Mirror, method: &str, params: Params<'_>) -> Result<Value, RpcError> {
    match method {
        "web3_clientVersion" => Ok(concat!("weir/v", env!("CARGO_PKG_VERSION")).into()),
        "net_version" => Ok(mirror.chain_id().to_string().into()),
        "net_listening" => Ok(true.into()),
        "eth_chainId" => Ok(hex_quantity(mirror.chain_id())),
        "eth_blockNumber" => Ok(hex_quantity(mirror.height())),
        "eth_syncing" => Ok(false.into()),
        "eth_accounts" => Ok(json!([])),
        "eth_gasPrice" => Ok(hex_quantity(limits::GAS_PRICE_WEI)),
        "eth_maxPriorityFeePerGas" => Ok(hex_quantity(0u64)),
        "eth_feeHistory" => fee_history(mirror, params),
        "eth_getBalance" => {
            params.state_block(mirror, 1)?;
            Ok(hex_quantity(mirror.balance(params.required::<Address>(0, "address")?)))
        }
        "eth_getTransactionCount" => {
            let address = params.required::<Address>(0, "address")?;
            let pending = params.state_block(mirror, 1)? == BlockTag::Pending;
            Ok(hex_quantity(if pending { mirror.pending_nonce(address) } else { mirror.nonce(address) }))
        }
        "eth_getCode" => {
            params.state_block(mirror, 1)?;
            Ok(mirror.code(params.required::<Address>(0, "address")?).to_string().into())
        }
        "eth_getStorageAt" => {
            params.state_block(mirror, 2)?;
            let (address, slot) =
                (params.required::<Address>(0, "address")?, params.required::<U256>(1, "slot")?);
            Ok(mirror.storage_at(address, slot).to_string().into())
        }
        "eth_call" => {
            let mut request = params.call(0)?;
            request.in_next_block = params.state_block(mirror, 1)? == BlockTag::Pending;
            Ok(mirror.simulate(&request)?.to_string().into())
        }
        "eth_estimateGas" => {
            params.state_block(mirror, 1)?;
            Ok(hex_quantity(mirror.estimate_gas(&params.call(0)?)?))
        }
        "eth_sendRawTransaction" => {
            let raw = params.bytes(0, "raw transaction")?;
            Ok(mirror.submit(&raw)?.to_string().into())
        }
        "eth_getTransactionReceipt" => {
            let hash = params.required::<B256>(0, "transaction hash")?;
            Ok(mirror.receipt(hash)?.map_or(Value::Null, |receipt| receipt_json(&receipt)))
        }
        "eth_getTransactionByHash" => {
            let found = mirror.transaction(params.required::<B256>(0, "transaction hash")?)?;
            Ok(found.map_or(Value::Null, |found| {
                let place = found.place.as_ref();
                let place = place.map(|(block, index)| (&block.header, block.hash, *index));
                transaction_json(&found.transaction, place)
            }))
        }
        "eth_getBlockByNumber" => {
            let number = params.block(mirror, 0)?;
            let full = params.flag(1)?;
            Ok(mirror.block(number)?.map_or(Value::Null, |block| block_json(&block, full)))
        }
        "eth_getBlockByHash" => {
            let block = mirror.block_by_hash(params.required::<B256>(0, "block hash")?)?;
            let full = params.flag(1)?;
            Ok(block.map_or(Value::Null, |block| block_json(&block, full)))
        }
        "eth_getLogs" => {
            let filter = params.filter(mirror, 0)?;
            Ok(mirror.logs(&filter)?.iter().map(log_json).collect())
        }
        other => {
            let message = format!("the method {other} does not exist or is not available");
            Err(RpcError::new(code::METHOD_NOT_FOUND, message))
        }
    }
}

fn fee_history(mirror: &Mirror, params: Params<'_>) -> Result<Value, RpcError> {
    let asked = params.required::<U256>(0, "number of blocks")?;
    let newest = params.block(mirror, 1)?.min(mirror.height());
    let asked = asked.saturating_to::<u64>().min(limits::MAX_FEE_HISTORY_BLOCKS).min(newest + 1);
    let oldest = newest + 1 - asked;
    let percentiles = params.list_length(2)?;
    let mut used = Vec::with_capacity(asked as usize);
    for number in oldest..oldest + asked {
        let block = mirror.block(number)?;
        used.push(block.map_or(0.0, |block| block.header.gas_used as f64 / limits::BLOCK_GAS_LIMIT as f64));
    }
    let fees: Vec<Value> = (0..=asked).map(|_| hex_quantity(limits::BASE_FEE_WEI)).collect();
    let mut answer = json!({
        "oldestBlock": hex_quantity(oldest),
        "baseFeePerGas": fees,
        "gasUsedRatio": used,
    });
    if percentiles > 0 {
        // Nobody needs to offer a priority fee, so at every percentile it is zero.
        let rewards = vec![vec![hex_quantity(0u64); percentiles]; asked as usize];
        answer["reward"] = json!(rewards);
    }
    Ok(answer)
}
