//! Blocks, transactions and receipts, and the record in which a block is kept on disk.

use std::sync::Arc;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{
    Eip658Value, Header, Receipt as ConsensusReceipt, ReceiptEnvelope, Transaction as _, TxEnvelope,
};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy_rlp::Decodable;
use bincode::{Decode, Encode};

use crate::{limits, stand_in};

/// A signed transaction with its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The decoded transaction.
    pub envelope: TxEnvelope,
    /// Who signed it.
    pub sender: Address,
    /// Keccak-256 of the raw bytes.
    pub hash: B256,
    /// The bytes as they were submitted (EIP-2718).
    pub raw: Bytes,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub transaction_hash: B256,
    /// The block that holds it.
    pub block_number: u64,
    /// That block's hash.
    pub block_hash: B256,
    /// Its place in the block, from 0.
    pub transaction_index: u64,
    /// Who signed it.
    pub sender: Address,
    /// Whom it called; `None` for a contract creation.
    pub to: Option<Address>,
    /// The contract that it created.
    pub contract_address: Option<Address>,
    /// EIP-2718 transaction type.
    pub transaction_type: u8,
    /// Whether it ran to the end; a failed one changed nothing but the sender's nonce and balance.
    pub success: bool,
    /// Gas that it used.
    pub gas_used: u64,
    /// Gas used in the block up to and with it.
    pub cumulative_gas_used: u64,
    /// Wei that each unit of gas cost.
    pub effective_gas_price: u128,
    /// What it emitted.
    pub logs: Vec<Log>,
    /// The place in the block of its first log entry.
    pub first_log_index: u64,
    /// The data of the revert when it failed by one; [`crate::revert::reason`] reads it.
    pub revert_data: Bytes,
    /// Why the EVM stopped when it failed without reverting, as with too little gas.
    pub halt: Option<String>,
}

impl Receipt {
    /// Why the transaction failed, in words; `None` if it did not.
    pub fn failure(&self) -> Option<String> {
        if self.success {
            return None;
        }
        Some(self.halt.clone().unwrap_or_else(|| crate::revert::reason(&self.revert_data)))
    }
}

/// A block with everything that happened in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header; its RLP's Keccak-256 is the block's hash.
    pub header: Header,
    /// The block's hash.
    pub hash: B256,
    /// The transactions in the order of execution.
    pub transactions: Vec<Arc<Transaction>>,
    /// One receipt for each transaction.
    pub receipts: Vec<Receipt>,
}

impl Block {
    /// The block's number.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// All log entries of the block in order.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.receipts.iter().flat_map(|receipt| receipt.logs.iter())
    }
}

/// What executing one transaction produced; the rest of a receipt follows from its place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Outcome {
    pub success: bool,
    pub gas_used: u64,
    pub contract_address: Option<[u8; 20]>,
    pub logs: Vec<StoredLog>,
    pub revert_data: Vec<u8>,
    pub halt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredLog {
    pub address: [u8; 20],
    pub topics: Vec<[u8; 32]>,
    pub data: Vec<u8>,
}

impl From<&Log> for StoredLog {
    fn from(log: &Log) -> Self {
        let topics = log.topics().iter().map(|topic| topic.0).collect();
        Self { address: log.address.into_array(), topics, data: log.data.data.to_vec() }
    }
}

impl StoredLog {
    fn decode(self) -> Option<Log> {
        let topics = self.topics.into_iter().map(B256::from).collect();
        Log::new(Address::from(self.address), topics, self.data.into())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredTransaction {
    pub raw: Vec<u8>,
    pub sender: [u8; 20],
}

/// One record of the block log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Record {
    /// The first record: what the chain began with.
    Genesis { chain_id: u64, timestamp_s: u64, alloc: Vec<([u8; 20], [u8; 32])> },
    /// Every other: a block.
    Block { header_rlp: Vec<u8>, transactions: Vec<StoredTransaction>, outcomes: Vec<Outcome> },
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are no record.
    #[error("the record's bytes cannot be decoded: {0}")]
    Encoding(String),
    /// The record holds something impossible.
    #[error("the record holds an impossible {0}")]
    Content(&'static str),
}

pub(crate) fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, bincode::config::standard()).expect("encoding into memory cannot fail")
}

impl Record {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let config = bincode::config::standard().with_limit::<{ limits::MAX_RECORD_BYTES }>();
        let (record, read) = bincode::decode_from_slice(bytes, config)
            .map_err(|error| RecordError::Encoding(error.to_string()))?;
        if read != bytes.len() {
            return Err(RecordError::Encoding(format!("{} bytes are left over", bytes.len() - read)));
        }
        Ok(record)
    }

    pub fn of(block: &Block, outcomes: Vec<Outcome>) -> Self {
        let transactions = block
            .transactions
            .iter()
            .map(|tx| StoredTransaction { raw: tx.raw.to_vec(), sender: tx.sender.into_array() })
            .collect();
        Self::Block { header_rlp: alloy_rlp::encode(&block.header), transactions, outcomes }
    }

    pub fn into_block(self) -> Result<Block, RecordError> {
        let Self::Block { header_rlp, transactions, outcomes } = self else {
            return Err(RecordError::Content("second genesis"));
        };
        let header =
            Header::decode(&mut header_rlp.as_slice()).map_err(|_| RecordError::Content("header"))?;
        let transactions = transactions
            .into_iter()
            .map(|stored| {
                let envelope = TxEnvelope::decode_2718_exact(&stored.raw).ok()?;
                let hash = keccak256(&stored.raw);
                let (sender, raw) = (stored.sender.into(), stored.raw.into());
                Some(Arc::new(Transaction { envelope, sender, hash, raw }))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(RecordError::Content("transaction"))?;
        if transactions.len() != outcomes.len() {
            return Err(RecordError::Content("number of receipts"));
        }
        assemble(header, transactions, outcomes).ok_or(RecordError::Content("log entry"))
    }
}

/// A block out of its header, transactions and their outcomes; `None` if a log entry has more than 4 topics.
pub(crate) fn assemble(
    header: Header,
    transactions: Vec<Arc<Transaction>>,
    outcomes: Vec<Outcome>,
) -> Option<Block> {
    let hash = header.hash_slow();
    let mut receipts = Vec::with_capacity(outcomes.len());
    let (mut cumulative_gas_used, mut first_log_index) = (0, 0);
    for (index, (tx, outcome)) in transactions.iter().zip(outcomes).enumerate() {
        cumulative_gas_used += outcome.gas_used;
        let logs = outcome.logs.into_iter().map(StoredLog::decode).collect::<Option<Vec<_>>>()?;
        let emitted = logs.len() as u64;
        receipts.push(Receipt {
            transaction_hash: tx.hash,
            block_number: header.number,
            block_hash: hash,
            transaction_index: index as u64,
            sender: tx.sender,
            to: tx.envelope.to(),
            contract_address: outcome.contract_address.map(Address::from),
            transaction_type: tx.envelope.tx_type() as u8,
            success: outcome.success,
            gas_used: outcome.gas_used,
            cumulative_gas_used,
            effective_gas_price: tx.envelope.effective_gas_price(header.base_fee_per_gas),
            logs,
            first_log_index,
            revert_data: outcome.revert_data.into(),
            halt: outcome.halt,
        });
        first_log_index += emitted;
    }
    Some(Block { header, hash, transactions, receipts })
}

/// The receipts in the form whose trie root stands in the header.
pub(crate) fn consensus_receipts(
    transactions: &[Arc<Transaction>],
    outcomes: &[Outcome],
) -> Vec<ReceiptEnvelope> {
    let mut cumulative_gas_used = 0;
    let receipts = transactions.iter().zip(outcomes).map(|(tx, outcome)| {
        cumulative_gas_used += outcome.gas_used;
        let logs = outcome.logs.iter().cloned().filter_map(StoredLog::decode).collect();
        let status = Eip658Value::Eip658(outcome.success);
        let receipt = ConsensusReceipt { status, cumulative_gas_used, logs };
        ReceiptEnvelope::from_typed(tx.envelope.tx_type(), receipt.with_bloom())
    });
    receipts.collect()
}

/// Why bytes are no transaction that this chain takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeTransactionError {
    /// More bytes than a node relays.
    #[error("the transaction has {0} bytes, more than {max}", max = limits::MAX_TX_BYTES)]
    TooLong(usize),
    /// The bytes are no EIP-2718 transaction.
    #[error("the bytes are no signed transaction: {0}")]
    Encoding(String),
    /// Blob and delegation transactions are not taken.
    #[error("transactions of type {0} are not taken; use type 0, 1 or 2")]
    Type(u8),
    /// No signer can be recovered from the signature, or it is malleable (EIP-2).
    #[error("the transaction's signature is invalid")]
    Signature,
}

/// Decodes a raw transaction and recovers its sender.
pub(crate) fn decode_transaction(raw: &[u8], stand_ins: bool) -> Result<Transaction, DecodeTransactionError> {
    if raw.len() > limits::MAX_TX_BYTES {
        return Err(DecodeTransactionError::TooLong(raw.len()));
    }
    let envelope = TxEnvelope::decode_2718_exact(raw)
        .map_err(|error| DecodeTransactionError::Encoding(error.to_string()))?;
    if !matches!(envelope, TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_)) {
        return Err(DecodeTransactionError::Type(envelope.tx_type() as u8));
    }
    let stand_in = stand_ins.then(|| stand_in_sender(&envelope)).flatten();
    let sender = match stand_in {
        Some(sender) => sender,
        None => envelope.recover_signer().map_err(|_| DecodeTransactionError::Signature)?,
    };
    let raw = Bytes::from(envelope.encoded_2718());
    Ok(Transaction { hash: keccak256(&raw), envelope, sender, raw })
}

/// Who sent a transaction that a stand-in is under.
fn stand_in_sender(envelope: &TxEnvelope) -> Option<Address> {
    let signature = envelope.signature().as_bytes();
    stand_in::recover(signature.first_chunk()?, envelope.signature_hash())
}

/// The most wei that a transaction can cost its sender.
pub(crate) fn maximum_cost(tx: &Transaction) -> U256 {
    let gas = U256::from(tx.envelope.gas_limit()).saturating_mul(U256::from(tx.envelope.max_fee_per_gas()));
    gas.saturating_add(tx.envelope.value())
}
