//! Blocks, transactions, receipts and log entries as Ethereum JSON-RPC writes them.

use std::fmt::LowerHex;

use alloy_consensus::{Header, Transaction as _, TxEnvelope};
use alloy_primitives::{B256, Bloom};
use serde_json::{Value, json};

use crate::mirror::{Block, PlacedLog, Receipt, Transaction};

/// A quantity: hexadecimal digits without leading zeros.
pub(super) fn hex_quantity(value: impl LowerHex) -> Value {
    format!("{value:#x}").into()
}

pub(super) fn log_json(placed: &PlacedLog) -> Value {
    json!({
        "address": placed.log.address.to_checksum(None),
        "topics": placed.log.topics().iter().map(B256::to_string).collect::<Vec<_>>(),
        "data": placed.log.data.data.to_string(),
        "blockNumber": hex_quantity(placed.block_number),
        "blockHash": placed.block_hash.to_string(),
        "blockTimestamp": hex_quantity(placed.block_timestamp_s),
        "transactionHash": placed.transaction_hash.to_string(),
        "transactionIndex": hex_quantity(placed.transaction_index),
        "logIndex": hex_quantity(placed.log_index),
        "removed": false,
    })
}

pub(super) fn receipt_json(receipt: &Receipt) -> Value {
    let bloom: Bloom = receipt.logs.iter().collect();
    let logs = receipt.logs.iter().enumerate().map(|(position, log)| {
        json!({
            "address": log.address.to_checksum(None),
            "topics": log.topics().iter().map(B256::to_string).collect::<Vec<_>>(),
            "data": log.data.data.to_string(),
            "blockNumber": hex_quantity(receipt.block_number),
            "blockHash": receipt.block_hash.to_string(),
            "transactionHash": receipt.transaction_hash.to_string(),
            "transactionIndex": hex_quantity(receipt.transaction_index),
            "logIndex": hex_quantity(receipt.first_log_index + position as u64),
            "removed": false,
        })
    });
    let mut answer = json!({
        "type": hex_quantity(receipt.transaction_type),
        "status": hex_quantity(u8::from(receipt.success)),
        "transactionHash": receipt.transaction_hash.to_string(),
        "transactionIndex": hex_quantity(receipt.transaction_index),
        "blockHash": receipt.block_hash.to_string(),
        "blockNumber": hex_quantity(receipt.block_number),
        "from": receipt.sender.to_checksum(None),
        "to": receipt.to.map(|to| to.to_checksum(None)),
        "contractAddress": receipt.contract_address.map(|address| address.to_checksum(None)),
        "gasUsed": hex_quantity(receipt.gas_used),
        "cumulativeGasUsed": hex_quantity(receipt.cumulative_gas_used),
        "effectiveGasPrice": hex_quantity(receipt.effective_gas_price),
        "logs": logs.collect::<Vec<_>>(),
        "logsBloom": bloom.to_string(),
    });
    if let Some(reason) = receipt.failure() {
        // No standard field, but what everybody looks for after a failed transaction.
        answer["revertReason"] = reason.into();
    }
    answer
}

pub(super) fn transaction_json(tx: &Transaction, place: Option<(&Header, B256, usize)>) -> Value {
    let envelope = &tx.envelope;
    let base_fee = place.and_then(|(header, ..)| header.base_fee_per_gas);
    let mut answer = json!({
        "type": hex_quantity(envelope.tx_type() as u8),
        "hash": tx.hash.to_string(),
        "blockHash": place.map(|(_, hash, _)| hash.to_string()),
        "blockNumber": place.map(|(header, ..)| hex_quantity(header.number)),
        "transactionIndex": place.map(|(.., index)| hex_quantity(index as u64)),
        "from": tx.sender.to_checksum(None),
        "to": envelope.to().map(|to| to.to_checksum(None)),
        "nonce": hex_quantity(envelope.nonce()),
        "value": hex_quantity(envelope.value()),
        "gas": hex_quantity(envelope.gas_limit()),
        "gasPrice": hex_quantity(envelope.effective_gas_price(base_fee)),
        "input": envelope.input().to_string(),
        "chainId": envelope.chain_id().map(hex_quantity),
    });
    if let TxEnvelope::Eip1559(_) = envelope {
        answer["maxFeePerGas"] = hex_quantity(envelope.max_fee_per_gas());
        answer["maxPriorityFeePerGas"] =
            hex_quantity(envelope.max_priority_fee_per_gas().unwrap_or_default());
    }
    if let Some(list) = envelope.access_list() {
        let item = |item: &alloy_eips::eip2930::AccessListItem| {
            let keys: Vec<_> = item.storage_keys.iter().map(B256::to_string).collect();
            json!({ "address": item.address.to_checksum(None), "storageKeys": keys })
        };
        answer["accessList"] = list.0.iter().map(item).collect();
    }
    let signature = envelope.signature();
    answer["r"] = hex_quantity(signature.r());
    answer["s"] = hex_quantity(signature.s());
    let parity = u64::from(signature.v());
    if let (TxEnvelope::Legacy(_), Some(chain_id)) = (envelope, envelope.chain_id()) {
        answer["v"] = hex_quantity(chain_id * 2 + 35 + parity);
    } else {
        answer["v"] = hex_quantity(parity);
        answer["yParity"] = hex_quantity(parity);
    }
    answer
}

pub(super) fn block_json(block: &Block, full: bool) -> Value {
    let header = &block.header;
    let size =
        alloy_rlp::encode(header).len() + block.transactions.iter().map(|tx| tx.raw.len()).sum::<usize>();
    let transactions = block.transactions.iter().enumerate().map(|(index, tx)| match full {
        true => transaction_json(tx, Some((header, block.hash, index))),
        false => tx.hash.to_string().into(),
    });
    json!({
        "number": hex_quantity(header.number),
        "hash": block.hash.to_string(),
        "parentHash": header.parent_hash.to_string(),
        "sha3Uncles": header.ommers_hash.to_string(),
        "miner": header.beneficiary.to_checksum(None),
        "stateRoot": header.state_root.to_string(),
        "transactionsRoot": header.transactions_root.to_string(),
        "receiptsRoot": header.receipts_root.to_string(),
        "logsBloom": header.logs_bloom.to_string(),
        "difficulty": hex_quantity(header.difficulty),
        "totalDifficulty": hex_quantity(0u64),
        "gasLimit": hex_quantity(header.gas_limit),
        "gasUsed": hex_quantity(header.gas_used),
        "timestamp": hex_quantity(header.timestamp),
        "extraData": header.extra_data.to_string(),
        "mixHash": header.mix_hash.to_string(),
        "nonce": header.nonce.to_string(),
        "baseFeePerGas": header.base_fee_per_gas.map(hex_quantity),
        "withdrawalsRoot": header.withdrawals_root.map(|root| root.to_string()),
        "withdrawals": [],
        "blobGasUsed": header.blob_gas_used.map(hex_quantity),
        "excessBlobGas": header.excess_blob_gas.map(hex_quantity),
        "parentBeaconBlockRoot": header.parent_beacon_block_root.map(|root| root.to_string()),
        "requestsHash": header.requests_hash.map(|hash| hash.to_string()),
        "size": hex_quantity(size),
        "uncles": [],
        "transactions": transactions.collect::<Vec<Value>>(),
    })
}
