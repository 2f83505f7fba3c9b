//! A batch's header as contracts take it. Each contract's bindings have a type of their own for it; all of them are
//! made of the same fields in the same order.

use alloy_primitives::{Address, B256, FixedBytes};
use weir_kernel::batch::Header;

/// The fields of the Solidity struct `Batches.Header`, in order.
pub(crate) type Fields = (
    u8,
    Address,
    u32,
    u8,
    Address,
    u64,
    FixedBytes<16>,
    u64,
    u32,
    u64,
    u64,
    u64,
    B256,
    B256,
    Address,
    B256,
    u8,
);

/// The fields of a header; `into()` makes them the type that a contract's bindings want.
pub(crate) fn header(header: &Header) -> Fields {
    (
        header.version,
        header.stream.0.into(),
        header.stream_partition,
        header.origin_type,
        header.origin.0.into(),
        header.opening_block,
        header.nonce.into(),
        header.sequence,
        header.count,
        header.volume,
        header.first_time_ms,
        header.last_time_ms,
        header.previous.0.into(),
        header.root.0.into(),
        header.signer.0.into(),
        header.certificate.0.into(),
        header.signature_type,
    )
}
