//! What is sent to LaneFees and Karma, as calldata; and what subscribers sign.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolConstructor};
use weir_kernel::batch::SignedHeader;
use weir_kernel::coordinator::fees as kernel;
use weir_kernel::coordinator::karma;
use weir_kernel::ids::{Hash, StreamPartition};

use crate::bindings::Karma;
use crate::bindings::fees::{ILaneFees as I, LaneFees as C};
use crate::calldata::batch::header;

fn word(hash: &Hash) -> B256 {
    hash.0.into()
}

/// The creation code of Karma; its deployer is the founder.
pub fn karma_code(params: &karma::Params) -> Bytes {
    let arguments =
        Karma::constructorCall { halvingSeconds_: params.halving_s, halvings_: params.halvings }.abi_encode();
    [Karma::BYTECODE.as_ref(), &arguments].concat().into()
}

/// The creation code of LaneFees.
pub fn fees_code(token: Address, coordinator: Address, karma: Address, params: &kernel::Params) -> Bytes {
    let p = I::Params {
        eventPrice: U256::from(params.event_price),
        bytePrice: U256::from(params.byte_price),
        freeEvents: params.free_events,
        freeVolume: params.free_volume,
        burnShare: params.burn_share,
        slashShare: params.slash_share,
        reporterShare: params.reporter_share,
        noticeEpochs: params.notice_epochs,
    };
    let call = C::constructorCall { token_: token, coordinator_: coordinator, karma_: karma, p };
    [C::BYTECODE.as_ref(), &call.abi_encode()].concat().into()
}

/// `LaneFees.allot`; LaneFees must be allowed to take the amount before.
pub fn allot(slot: StreamPartition, amount: u128) -> Bytes {
    let (stream, partition) = (Address::from(slot.stream.0), slot.partition);
    C::allotCall { stream, streamPartition: partition, amount: U256::from(amount) }.abi_encode().into()
}

/// `LaneFees.requestWithdrawal`.
pub fn request_withdrawal(slot: StreamPartition, amount: u128) -> Bytes {
    let (stream, partition) = (Address::from(slot.stream.0), slot.partition);
    let call = C::requestWithdrawalCall { stream, streamPartition: partition, amount: U256::from(amount) };
    call.abi_encode().into()
}

/// `LaneFees.withdraw`.
pub fn withdraw(slot: StreamPartition) -> Bytes {
    let (stream, partition) = (Address::from(slot.stream.0), slot.partition);
    C::withdrawCall { stream, streamPartition: partition }.abi_encode().into()
}

/// `LaneFees.settle`.
pub fn settle(signed: &SignedHeader, proof: &kernel::CutProof) -> Bytes {
    let call = C::settleCall {
        header: header(&signed.header).into(),
        signature: signed.proof().into(),
        proof: cut_proof(proof),
    };
    call.abi_encode().into()
}

/// `LaneFees.proveFork`.
pub fn prove_fork(first: &SignedHeader, second: &SignedHeader) -> Bytes {
    let call = C::proveForkCall {
        first: header(&first.header).into(),
        firstSignature: first.proof().into(),
        second: header(&second.header).into(),
        secondSignature: second.proof().into(),
    };
    call.abi_encode().into()
}

/// `LaneFees.allotToEdge`; LaneFees must be allowed to take the amount before.
pub fn allot_to_edge(edge: Address, amount: u128) -> Bytes {
    C::allotToEdgeCall { edge, amount: U256::from(amount) }.abi_encode().into()
}

/// `LaneFees.requestEdgeWithdrawal`.
pub fn request_edge_withdrawal(edge: Address, amount: u128) -> Bytes {
    C::requestEdgeWithdrawalCall { edge, amount: U256::from(amount) }.abi_encode().into()
}

/// `LaneFees.withdrawFromEdge`.
pub fn withdraw_from_edge(edge: Address) -> Bytes {
    C::withdrawFromEdgeCall { edge }.abi_encode().into()
}

/// `LaneFees.settleReceipt`; the signature is over [`kernel::Receipt::signing_hash`].
pub fn settle_receipt(subscriber: Address, receipt: &kernel::Receipt, signature: &[u8; 65]) -> Bytes {
    let receipt = I::Receipt {
        edge: receipt.edge.0.into(),
        session: word(&receipt.session),
        events: receipt.events,
        volume: receipt.volume,
    };
    let signature = Bytes::copy_from_slice(signature);
    C::settleReceiptCall { subscriber, receipt, signature }.abi_encode().into()
}

/// `Karma.authorise`.
pub fn authorise(creditor: Address) -> Bytes {
    Karma::authoriseCall { creditor }.abi_encode().into()
}

/// `Karma.closeFounding`.
pub fn close_founding() -> Bytes {
    Karma::closeFoundingCall {}.abi_encode().into()
}

/// `Karma.credit`.
pub fn credit(account: Address, amount: u128) -> Bytes {
    Karma::creditCall { account, amount: U256::from(amount) }.abi_encode().into()
}

/// A proof as LaneFees takes it.
pub fn cut_proof(proof: &kernel::CutProof) -> I::CutProof {
    I::CutProof {
        partition: proof.partition.0,
        epoch: proof.epoch,
        previous: word(&proof.previous),
        index: proof.path.index,
        count: proof.path.count,
        path: proof.path.path.iter().map(word).collect(),
        later: proof.later.iter().map(|(epoch, root)| I::Seal { epoch: *epoch, root: word(root) }).collect(),
    }
}
