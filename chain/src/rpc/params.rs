//! Reading a request's parameters. Whatever is wrong is an error that names the parameter.

use std::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::Value;

use super::RpcError;
use crate::limits;
use crate::mirror::{CallRequest, LogFilter, Mirror};

/// Which block's state is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockTag {
    /// The newest block.
    Latest,
    /// The block that comes next.
    Pending,
}

/// A value that is written as a string in hexadecimal digits.
pub(super) trait Hex: Sized {
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! fixed_hex {
    ($($name:ty),*) => {$(
        impl Hex for $name {
            fn parse(text: &str) -> Option<Self> {
                text.starts_with("0x").then(|| <$name>::from_str(text).ok()).flatten()
            }
        }
    )*};
}

fixed_hex!(Address, B256, Bytes);

impl Hex for U256 {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").filter(|digits| !digits.is_empty())?;
        Self::from_str_radix(digits, 16).ok()
    }
}

fn hex<T: Hex>(value: &Value, name: &str) -> Result<T, RpcError> {
    // Numbers as JSON numbers are no Ethereum JSON-RPC, but some tools send them for block counts.
    let number = value.as_u64().map(|number| format!("{number:#x}"));
    let text = value.as_str().or(number.as_deref());
    text.and_then(T::parse).ok_or_else(|| RpcError::params(format!("{name} is malformed: {value}")))
}

fn field<T: Hex>(object: &Value, name: &str) -> Result<Option<T>, RpcError> {
    object.get(name).filter(|value| !value.is_null()).map(|value| hex(value, name)).transpose()
}

/// A request's parameters by position.
#[derive(Clone, Copy)]
pub(super) struct Params<'a>(pub &'a [Value]);

impl<'a> Params<'a> {
    fn get(&self, position: usize) -> Option<&'a Value> {
        self.0.get(position).filter(|value| !value.is_null())
    }

    fn present(&self, position: usize, name: &str) -> Result<&'a Value, RpcError> {
        self.get(position)
            .ok_or_else(|| RpcError::params(format!("parameter {} ({name}) is missing", position + 1)))
    }

    pub fn required<T: Hex>(&self, position: usize, name: &str) -> Result<T, RpcError> {
        hex(self.present(position, name)?, name)
    }

    pub fn bytes(&self, position: usize, name: &str) -> Result<Bytes, RpcError> {
        self.required(position, name)
    }

    pub fn flag(&self, position: usize) -> Result<bool, RpcError> {
        match self.get(position) {
            None => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| RpcError::params(format!("parameter {} is true or false", position + 1))),
        }
    }

    pub fn list_length(&self, position: usize) -> Result<usize, RpcError> {
        match self.get(position) {
            None => Ok(0),
            Some(Value::Array(list)) if list.len() <= limits::MAX_FILTER_ITEMS => Ok(list.len()),
            Some(_) => Err(RpcError::params(format!("parameter {} is no list or too long", position + 1))),
        }
    }

    /// The number of the block that is named.
    pub fn block(&self, mirror: &Mirror, position: usize) -> Result<u64, RpcError> {
        block_number(mirror, self.present(position, "block")?)
    }

    /// The block whose state is named: only the newest is kept. Objects of EIP-1898 are understood.
    pub fn state_block(&self, mirror: &Mirror, position: usize) -> Result<BlockTag, RpcError> {
        let Some(mut value) = self.get(position) else { return Ok(BlockTag::Latest) };
        if value == "pending" {
            return Ok(BlockTag::Pending);
        }
        let number = if let Some(hash) = field::<B256>(value, "blockHash")? {
            let block = mirror.block_by_hash(hash)?;
            block.ok_or_else(|| RpcError::new(super::code::SERVER, format!("no block {hash}")))?.number()
        } else {
            value = value.get("blockNumber").unwrap_or(value);
            block_number(mirror, value)?
        };
        if number == mirror.height() {
            return Ok(BlockTag::Latest);
        }
        let message = if number > mirror.height() {
            format!("there is no block {number} yet, the newest is {}", mirror.height())
        } else {
            format!("the state of block {number} is not kept, ask for latest")
        };
        Err(RpcError::new(super::code::SERVER, message))
    }

    /// A call object.
    pub fn call(&self, position: usize) -> Result<CallRequest, RpcError> {
        let object = self.present(position, "call")?;
        if !object.is_object() {
            return Err(RpcError::params("the call is an object"));
        }
        let (input, data) = (field::<Bytes>(object, "input")?, field::<Bytes>(object, "data")?);
        if input.is_some() && data.is_some() && input != data {
            return Err(RpcError::params("input and data differ: give one of them"));
        }
        Ok(CallRequest {
            from: field(object, "from")?.unwrap_or_default(),
            to: field(object, "to")?,
            data: input.or(data).unwrap_or_default(),
            value: field(object, "value")?.unwrap_or_default(),
            gas: field::<U256>(object, "gas")?.map(|gas| gas.saturating_to()),
            in_next_block: false,
        })
    }

    /// A log filter.
    pub fn filter(&self, mirror: &Mirror, position: usize) -> Result<LogFilter, RpcError> {
        let object = self.present(position, "filter")?;
        let (mut from_block, mut to_block) = (mirror.height(), mirror.height());
        if let Some(hash) = field::<B256>(object, "blockHash")? {
            if object.get("fromBlock").is_some() || object.get("toBlock").is_some() {
                return Err(RpcError::params("give either blockHash or fromBlock and toBlock"));
            }
            let block = mirror.block_by_hash(hash)?;
            let block =
                block.ok_or_else(|| RpcError::new(super::code::SERVER, format!("no block {hash}")))?;
            (from_block, to_block) = (block.number(), block.number());
        }
        if let Some(value) = object.get("fromBlock").filter(|value| !value.is_null()) {
            from_block = block_number(mirror, value)?;
        }
        if let Some(value) = object.get("toBlock").filter(|value| !value.is_null()) {
            to_block = block_number(mirror, value)?;
        }
        let addresses = one_or_many(object.get("address"), "address")?;
        let topics = match object.get("topics") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(topics)) if topics.len() <= 4 => {
                topics.iter().map(|topic| one_or_many(Some(topic), "topics")).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(RpcError::params("topics is a list of at most 4")),
        };
        Ok(LogFilter { from_block, to_block, addresses, topics })
    }
}

fn one_or_many<T: Hex>(value: Option<&Value>, name: &str) -> Result<Vec<T>, RpcError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() > limits::MAX_FILTER_ITEMS => {
            Err(RpcError::params(format!("{name} holds more than {} values", limits::MAX_FILTER_ITEMS)))
        }
        Some(Value::Array(list)) => list.iter().map(|value| hex(value, name)).collect(),
        Some(value) => Ok(vec![hex(value, name)?]),
    }
}

fn block_number(mirror: &Mirror, value: &Value) -> Result<u64, RpcError> {
    match value.as_str() {
        // A block is final as soon as it exists.
        Some("latest" | "pending" | "safe" | "finalized") => Ok(mirror.height()),
        Some("earliest") => Ok(0),
        _ => Ok(hex::<U256>(value, "block")?.saturating_to()),
    }
}
