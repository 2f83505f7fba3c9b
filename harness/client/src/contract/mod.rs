//! Streams on the chain: creating them and granting permissions, by transactions that the client's key signs.

mod fees;
pub(crate) mod rpc;
mod stream;
mod transaction;

pub use rpc::RpcError;
pub use stream::{EVERYBODY, Grant, NewStream};
pub use transaction::TransactionError;
