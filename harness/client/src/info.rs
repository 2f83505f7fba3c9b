//! What a node tells about itself at `GET /info`.

use serde::Deserialize;
use weir_kernel::ids::Address;

/// A network as one of its nodes describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// Path of the chain's JSON-RPC at this node.
    #[serde(default = "default_rpc", alias = "rpcPath")]
    pub rpc: String,
    /// The stream registry's address.
    #[serde(deserialize_with = "address")]
    pub registry: Address,
    /// The token's address.
    #[serde(default, deserialize_with = "optional_address")]
    pub token: Option<Address>,
    /// LaneFees' address, if the network has it.
    #[serde(default, deserialize_with = "optional_address")]
    pub fees: Option<Address>,
    /// Height of the newest block that the node acts on.
    pub height: u64,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
    /// The node's version.
    #[serde(default)]
    pub version: String,
}

fn default_rpc() -> String {
    "/rpc".into()
}

fn optional_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    address(deserializer).map(Some)
}

pub(crate) fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
}
