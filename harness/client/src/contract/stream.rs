//! The stream registry and the stream contracts (WP 2.4.2, 2.5.1, 2.5.2).

use alloy_primitives::{self as alloy, U256};
use alloy_sol_types::{SolCall, SolEvent};
use weir_chain::bindings::{Stream, StreamRegistry};
use weir_chain::calldata;
use weir_kernel::coordinator::Retention;
use weir_kernel::ids::{Address, StreamId};

use super::rpc::{self, RpcError};
use super::transaction::{self, TransactionError};
use crate::client::Client;

/// In a grant: everybody, whoever they are.
pub const EVERYBODY: Address = Address::ZERO;

/// A stream to create. The registry checks the bounds.
#[derive(Clone, Debug)]
pub struct NewStream {
    /// 1 to 128 bytes, unique among the owner's streams.
    pub name: String,
    /// At most 4096 bytes.
    pub description: String,
    /// 1 to 1024, fixed for the stream's life.
    pub partitions: u32,
    /// Whether everybody may subscribe.
    pub public_subscribe: bool,
    /// Whether everybody may publish.
    pub public_publish: bool,
}

/// A change of somebody's permissions; `None` leaves a right as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Until when to subscribe: unix seconds, exclusive; 0 takes the right away, `u64::MAX` gives it for
    /// ever.
    pub subscribe_until_s: Option<u64>,
    /// Until when to publish.
    pub publish_until_s: Option<u64>,
}

impl Client {
    /// Sends ether, in wei, and waits until the node acts on the block.
    ///
    /// # Errors
    ///
    /// The client has no key or too little ether, or why the chain cannot be asked.
    pub async fn send_ether(&self, to: Address, wei: u128) -> Result<(), TransactionError> {
        let to = alloy::Address::from(to.0);
        transaction::send(self, to, U256::from(wei), alloy::Bytes::new()).await.map(drop)
    }

    /// Creates a stream that belongs to the client's key, and waits until the node knows it.
    ///
    /// # Errors
    ///
    /// The registry's refusal in words, or why the chain cannot be asked.
    pub async fn create_stream(&self, new: &NewStream) -> Result<StreamId, TransactionError> {
        let input = calldata::create_stream(
            &new.name,
            &new.description,
            new.partitions,
            new.public_subscribe,
            new.public_publish,
        );
        let registry = alloy::Address::from(self.info().registry.0);
        let receipt = transaction::send(self, registry, U256::ZERO, input).await?;
        let created = receipt
            .logs
            .iter()
            .filter(|log| log.address == registry)
            .find_map(|log| StreamRegistry::StreamCreated::decode_raw_log(&log.topics, &log.data).ok());
        let created = created.ok_or_else(|| {
            TransactionError::NoEffect(format!(
                "{registry} created no stream: the node names another registry"
            ))
        })?;
        Ok(StreamId(created.stream.into_array()))
    }

    /// Changes what somebody may do with a stream; [`EVERYBODY`] stands for all.
    ///
    /// # Errors
    ///
    /// The stream's refusal in words, or why the chain cannot be asked.
    pub async fn grant(&self, stream: StreamId, user: Address, grant: Grant) -> Result<(), TransactionError> {
        let contract = alloy::Address::from(stream.0);
        let user = alloy::Address::from(user.0);
        let answer = rpc::view(self, contract, Stream::permissionOfCall { user }.abi_encode()).await?;
        let mut permission = Stream::permissionOfCall::abi_decode_returns(&answer).map_err(|error| {
            let reason = format!("{stream} is no stream: {error}");
            RpcError::Garbled { method: "eth_call", reason }
        })?;
        if let Some(until) = grant.subscribe_until_s {
            permission.subscribeUntil = until;
        }
        if let Some(until) = grant.publish_until_s {
            permission.publishUntil = until;
        }
        let input = Stream::setPermissionCall { user, permission }.abi_encode();
        self.change::<Stream::PermissionSet>(stream, input.into(), "granted").await
    }

    /// Says for how long and how much of a stream brokers keep; the default is without a bound.
    ///
    /// # Errors
    ///
    /// The stream's refusal in words, or why the chain cannot be asked.
    pub async fn set_retention(
        &self,
        stream: StreamId,
        retention: Retention,
    ) -> Result<(), TransactionError> {
        self.change::<Stream::RetentionSet>(stream, calldata::set_retention(&retention), "set").await
    }

    /// Sends a call that a stream answers with an event: without that, what was called is no stream.
    async fn change<E: SolEvent>(
        &self,
        stream: StreamId,
        input: alloy::Bytes,
        done: &str,
    ) -> Result<(), TransactionError> {
        let contract = alloy::Address::from(stream.0);
        let receipt = transaction::send(self, contract, U256::ZERO, input).await?;
        if !receipt.logs.iter().any(|log| E::decode_raw_log(&log.topics, &log.data).is_ok()) {
            return Err(TransactionError::NoEffect(format!("{stream} is no stream: nothing was {done}")));
        }
        Ok(())
    }
}
