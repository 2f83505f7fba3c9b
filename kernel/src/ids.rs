//! Identifiers: fixed-size names for everything the protocol talks about.
//!
//! A stream is named by the address of its contract, a broker by its Ethereum address (and on chain by a 24-bit
//! index), a lane by a hash. All of them order bytewise, so that every map in the kernel has one order
//! everywhere.

use alloc::string::String;
use core::fmt;

use bincode::{Decode, Encode};

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// All bytes zero: the absent value where the protocol has one.
            pub const ZERO: Self = Self([0; $len]);

            /// Whether this is the absent value.
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }

            /// The bytes, most significant first.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = ParseIdError;

            /// Reads hexadecimal digits, with or without `0x`.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0u8; $len];
                parse_hex(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }
    };
}

bytes_id!(
    /// A 32-byte hash: SHA-256 for content, Keccak-256 for what a contract checks.
    Hash,
    32
);
bytes_id!(
    /// A 20-byte Ethereum address: an account, a contract, a broker.
    Address,
    20
);
bytes_id!(
    /// A stream: the address of its stream contract (WP 2.4.2).
    StreamId,
    20
);
bytes_id!(
    /// A lane: what one publisher sends to one stream partition in one run of its program.
    LaneId,
    32
);

/// One of a stream's own partitions (WP 2.4.5): where a lane lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct StreamPartition {
    /// The stream.
    pub stream: StreamId,
    /// Which of the stream's partitions, from 0.
    pub partition: u32,
}

/// A partition: one share of the whole network's traffic, in which brokers hold seats (WP 2.4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A broker's 24-bit index on chain; 0 means a vacant seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BrokerIndex(pub u32);

impl fmt::Display for BrokerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An epoch: a fixed span of chain blocks; each partition is sealed once an epoch.
pub type Epoch = u64;

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseIdError {
    /// The text has another number of digits: wanted, found.
    Length(usize, usize),
    /// This character is no hexadecimal digit.
    Digit(char),
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(wanted, found) => {
                write!(f, "wanted {wanted} hexadecimal digits after an optional 0x, found {found} characters")
            }
            Self::Digit(c) => write!(f, "{c:?} is not a hexadecimal digit"),
        }
    }
}

impl core::error::Error for ParseIdError {}

fn parse_hex(text: &str, out: &mut [u8]) -> Result<(), ParseIdError> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let found = digits.chars().count();
    if found != out.len() * 2 {
        return Err(ParseIdError::Length(out.len() * 2, found));
    }
    for (position, c) in digits.chars().enumerate() {
        let nibble = c.to_digit(16).ok_or(ParseIdError::Digit(c))? as u8;
        out[position / 2] = out[position / 2] << 4 | nibble;
    }
    Ok(())
}

/// The bytes as lower-case hexadecimal digits without a prefix.
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
