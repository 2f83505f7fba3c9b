//! Ethereum JSON-RPC at a node.

use alloy_primitives::{Address, Bytes, U256};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::client::Client;
use crate::http::RequestError;

/// Why a call to the chain has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RpcError {
    /// The node did not answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The chain said no.
    #[error("the chain refuses it: {message} ({method})")]
    Refused {
        /// The method.
        method: &'static str,
        /// Why; for a contract its reason in words.
        message: String,
    },
    /// The answer is not what the method gives.
    #[error("the chain answered {method} with something else than expected: {reason}")]
    Garbled {
        /// The method.
        method: &'static str,
        /// What was wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
    data: Option<Value>,
}

/// Calls a method.
pub(crate) async fn call<T: DeserializeOwned>(
    client: &Client,
    method: &'static str,
    params: Value,
) -> Result<T, RpcError> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = client.request(Method::POST, &client.info().rpc).json(&body);
    let answer: Answer = client.http().json(request).await?;
    if let Some(failure) = answer.error {
        return Err(RpcError::Refused { method, message: message(&failure) });
    }
    serde_json::from_value(answer.result)
        .map_err(|error| RpcError::Garbled { method, reason: error.to_string() })
}

/// A reverted call carries the contract's own error: that says more than the message.
fn message(failure: &Failure) -> String {
    let data = failure.data.as_ref().and_then(Value::as_str).and_then(|data| data.parse::<Bytes>().ok());
    match data {
        Some(data) if !data.is_empty() => weir_chain::revert::reason(&data),
        _ => failure.message.clone(),
    }
}

/// A quantity: hexadecimal digits after `0x`.
pub(super) async fn quantity(client: &Client, method: &'static str, params: Value) -> Result<u128, RpcError> {
    let text: String = call(client, method, params).await?;
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    u128::from_str_radix(digits, 16)
        .map_err(|_| RpcError::Garbled { method, reason: format!("{text:?} is no quantity") })
}

/// Reads from a contract at the newest state.
pub(super) async fn view(client: &Client, to: Address, input: Vec<u8>) -> Result<Bytes, RpcError> {
    let request = json!({ "to": to, "data": Bytes::from(input) });
    call(client, "eth_call", json!([request, "latest"])).await
}

/// What a transaction asks for, as `eth_estimateGas` takes it.
pub(super) fn request(from: Address, to: Address, value: U256, input: &Bytes) -> Value {
    json!({ "from": from, "to": to, "value": value, "data": input })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contracts_reason_is_put_into_words() {
        // Error(string) with "too late" (Solidity ABI).
        let data = concat!(
            "0x08c379a0",
            "0000000000000000000000000000000000000000000000000000000000000020",
            "0000000000000000000000000000000000000000000000000000000000000008",
            "746f6f206c617465000000000000000000000000000000000000000000000000"
        );
        let failure = Failure { message: "execution reverted".into(), data: Some(data.into()) };
        assert_eq!(message(&failure), "too late");
        let failure = Failure { message: "nonce too low".into(), data: None };
        assert_eq!(message(&failure), "nonce too low");
    }
}
