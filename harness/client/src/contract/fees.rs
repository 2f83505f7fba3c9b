//! Allotting tokens to stream partitions, and taking them back (WP 2.4.7).

use alloy_primitives::{self as alloy, Bytes, U256};
use weir_chain::{calldata, fees};
use weir_kernel::ids::{Address, StreamPartition};

use super::transaction::{self, TransactionError};
use crate::client::Client;

impl Client {
    /// Sends tokens, in the smallest unit, and waits until the node acts on the block.
    ///
    /// # Errors
    ///
    /// The token's refusal in words, or why the chain cannot be asked.
    pub async fn send_tokens(&self, to: Address, amount: u128) -> Result<(), TransactionError> {
        let input = calldata::transfer(alloy::Address::from(to.0), amount);
        transaction::send(self, self.data_coin()?, U256::ZERO, input).await.map(drop)
    }

    /// Allots this much, in the token's smallest unit, to each of these stream partitions for what the client's key
    /// publishes there: brokers take it for as long as that covers it.
    ///
    /// # Errors
    ///
    /// The network charges nothing, the key has too few tokens, or why the chain cannot be asked.
    pub async fn allot(&self, slots: &[StreamPartition], amount: u128) -> Result<(), TransactionError> {
        let (token, fees) = (self.data_coin()?, self.lane_fees()?);
        let total = amount.saturating_mul(slots.len() as u128);
        transaction::send(self, token, U256::ZERO, calldata::approve(fees, total)).await?;
        let calls: Vec<Bytes> = slots.iter().map(|slot| fees::allot(*slot, amount)).collect();
        transaction::send_all(self, fees, calls).await
    }

    /// Asks for a part of the allotment to a stream partition back; it can be had after a notice.
    ///
    /// # Errors
    ///
    /// That much is not allotted, or why the chain cannot be asked.
    pub async fn request_withdrawal(
        &self,
        slot: StreamPartition,
        amount: u128,
    ) -> Result<(), TransactionError> {
        let input = fees::request_withdrawal(slot, amount);
        transaction::send(self, self.lane_fees()?, U256::ZERO, input).await.map(drop)
    }

    /// Takes back what was asked for, once the notice is over.
    ///
    /// # Errors
    ///
    /// Nothing was asked for, the notice is not over, or why the chain cannot be asked.
    pub async fn withdraw(&self, slot: StreamPartition) -> Result<(), TransactionError> {
        transaction::send(self, self.lane_fees()?, U256::ZERO, fees::withdraw(slot)).await.map(drop)
    }

    fn data_coin(&self) -> Result<alloy::Address, TransactionError> {
        contract(self.info().token, "token")
    }

    fn lane_fees(&self) -> Result<alloy::Address, TransactionError> {
        contract(self.info().fees, "LaneFees contract, so publishing is free")
    }
}

fn contract(address: Option<Address>, what: &str) -> Result<alloy::Address, TransactionError> {
    let address = address.filter(|address| !address.is_zero());
    let missing = || TransactionError::NoEffect(format!("this network has no {what}"));
    address.map(|address| alloy::Address::from(address.0)).ok_or_else(missing)
}
