//! Running the EVM: one transaction of a block, a call that changes nothing, a gas estimate.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction, ResultAndState};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteEvm, MainBuilder, MainContext};

use super::block::{Outcome, StoredLog, Transaction};
use super::state::StateView;
use crate::{limits, stand_in};

/// The rules by which transactions run.
pub(crate) const SPEC: SpecId = SpecId::OSAKA;

/// The surroundings of an execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub chain_id: u64,
    pub number: u64,
    pub timestamp_s: u64,
    pub prevrandao: B256,
    pub base_fee_wei: u64,
    /// Whether `ecrecover` takes stand-ins for signatures.
    pub stand_ins: bool,
}

/// A call that is tried and then forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Who calls; the zero address if nobody is named.
    pub from: Address,
    /// Whom; `None` tries a contract creation.
    pub to: Option<Address>,
    /// Calldata, or the creation code.
    pub data: Bytes,
    /// Wei sent along.
    pub value: U256,
    /// Gas that it may use; [`limits::TX_GAS_LIMIT`] if nothing is said.
    pub gas: Option<u64>,
    /// Whether to run as if in the next block instead of the newest one: what a transaction sent now would
    /// see.
    pub in_next_block: bool,
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The contract refused.
    #[error("the call was refused: {reason}")]
    Revert {
        /// What the contract returned.
        data: Bytes,
        /// The same in words.
        reason: String,
    },
    /// The EVM stopped, as with too little gas.
    #[error("the call was stopped: {0}")]
    Halt(String),
    /// The call could not begin, as with too little ether.
    #[error("the call is invalid: {0}")]
    Invalid(String),
}

fn run(
    view: StateView<'_>,
    at: &Surroundings,
    tx: TxEnv,
    check_nonce: bool,
) -> Result<ResultAndState, InvalidTransaction> {
    let mut block = BlockEnv {
        number: U256::from(at.number),
        timestamp: U256::from(at.timestamp_s),
        gas_limit: limits::BLOCK_GAS_LIMIT,
        basefee: at.base_fee_wei,
        prevrandao: Some(at.prevrandao),
        ..BlockEnv::default()
    };
    block.set_blob_excess_gas_and_price(0, revm::primitives::eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE);
    let mut cfg = CfgEnv::new().with_spec_and_mainnet_gas_params(SPEC).with_chain_id(at.chain_id);
    cfg.disable_nonce_check = !check_nonce;
    let mut evm = Context::mainnet().with_db(view).with_block(block).with_cfg(cfg).build_mainnet();
    let _accepting = stand_in::accepting(at.stand_ins);
    evm.transact(tx).map_err(|error| match error {
        EVMError::Transaction(invalid) => invalid,
        EVMError::Database(never) => match never {},
        other => unreachable!("the header is ours and no precompile is replaced: {other}"),
    })
}

/// The environment of a signed transaction.
pub(crate) fn environment(tx: &Transaction) -> TxEnv {
    let envelope = &tx.envelope;
    TxEnv {
        tx_type: envelope.tx_type() as u8,
        caller: tx.sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        ..TxEnv::default()
    }
}

/// Runs a transaction. An error means that it cannot be in a block at all.
pub(crate) fn transaction(
    view: StateView<'_>,
    at: &Surroundings,
    tx: &Transaction,
) -> Result<(Outcome, revm::state::EvmState), InvalidTransaction> {
    let ResultAndState { result, state } = run(view, at, environment(tx), true)?;
    let contract_address = result.created_address().map(Address::into_array);
    let gas_used = result.tx_gas_used();
    let mut outcome = Outcome {
        success: result.is_success(),
        gas_used,
        contract_address,
        logs: Vec::new(),
        revert_data: Vec::new(),
        halt: None,
    };
    match result {
        ExecutionResult::Success { logs, .. } => outcome.logs = logs.iter().map(StoredLog::from).collect(),
        ExecutionResult::Revert { output, .. } => outcome.revert_data = output.to_vec(),
        ExecutionResult::Halt { reason, .. } => outcome.halt = Some(reason.to_string()),
    }
    Ok((outcome, state))
}

/// Tries a call without paying for gas; returns what it returned and the gas that it used.
pub(crate) fn call(
    view: StateView<'_>,
    at: &Surroundings,
    request: &CallRequest,
) -> Result<(Bytes, u64), CallError> {
    let tx = TxEnv {
        caller: request.from,
        gas_limit: request.gas.unwrap_or(limits::TX_GAS_LIMIT).min(limits::TX_GAS_LIMIT),
        gas_price: 0,
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.data.clone(),
        chain_id: Some(at.chain_id),
        ..TxEnv::default()
    };
    let at = Surroundings { base_fee_wei: 0, ..*at };
    let result = run(view, &at, tx, false).map_err(|error| CallError::Invalid(error.to_string()))?.result;
    // What a transaction must be given at least: refunds come only at the end.
    let gas = result.gas().total_gas_spent().max(result.gas().floor_gas());
    match result {
        ExecutionResult::Success { output, .. } => Ok((output.into_data(), gas)),
        ExecutionResult::Revert { output, .. } => {
            let reason = crate::revert::reason(&output);
            Err(CallError::Revert { data: output, reason })
        }
        ExecutionResult::Halt { reason, .. } => Err(CallError::Halt(reason.to_string())),
    }
}

/// The least gas limit, to within one part in 64, with which the call succeeds. A call may need more than it
/// uses, because a contract hands at most 63 of 64 parts of its gas to another (EIP-150).
pub(crate) fn estimate(
    view: StateView<'_>,
    at: &Surroundings,
    request: &CallRequest,
) -> Result<u64, CallError> {
    let (_, used) = call(view, at, request)?;
    let succeeds = |gas| call(view, at, &CallRequest { gas: Some(gas), ..request.clone() }).is_ok();
    let (mut too_little, mut enough) = (used.saturating_sub(1), request.gas.unwrap_or(limits::TX_GAS_LIMIT));
    if succeeds(used) {
        return Ok(used);
    }
    while enough - too_little > (enough / 64).max(1) {
        let middle = too_little + (enough - too_little) / 2;
        if succeeds(middle) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    Ok(enough)
}

/// The least gas limit that a transaction must have to be valid at all.
pub(crate) fn intrinsic_gas(tx: &Transaction) -> u64 {
    let envelope = &tx.envelope;
    let (accounts, slots) = envelope.access_list().map_or((0, 0), |list| {
        (list.0.len() as u64, list.0.iter().map(|item| item.storage_keys.len() as u64).sum())
    });
    let gas = revm::context_interface::cfg::gas::calculate_initial_tx_gas(
        SPEC,
        envelope.input(),
        envelope.kind().is_create(),
        accounts,
        slots,
        0,
        None,
    );
    gas.initial_total_gas().max(gas.floor_gas)
}
