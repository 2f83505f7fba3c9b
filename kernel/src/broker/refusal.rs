//! Why a batch, a reading or a subscription is refused: stable codes for programs, sentences for people.

use alloc::string::{String, ToString};
use core::fmt;

use bincode::{Decode, Encode};

use crate::batch::BatchError;
use crate::verify::InvalidBatch;

/// Stable machine-readable reasons, as clients see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum RefusalCode {
    /// The batch breaks a rule of the format or of its lane.
    Invalid,
    /// The publisher or reader has no permission.
    Unauthorized,
    /// Too much at once: try again later.
    RateLimited,
    /// The same events are held already.
    Duplicate,
    /// Something before this is missing, or a clock is off.
    OutOfOrder,
    /// The lane was forked by its publisher and is closed.
    Forked,
    /// A deposit does not cover this.
    PaymentRequired,
    /// No replica can serve this now.
    Unavailable,
    /// There is no such stream.
    NotFound,
    /// The session that signed is over.
    SessionExpired,
    /// The session's certificate is not the publisher's for this stream, key and chain.
    SessionInvalid,
}

impl RefusalCode {
    /// The code as it appears in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate-limited",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out-of-order",
            Self::Forked => "forked",
            Self::PaymentRequired => "payment-required",
            Self::Unavailable => "unavailable",
            Self::NotFound => "not-found",
            Self::SessionExpired => "session-expired",
            Self::SessionInvalid => "session-invalid",
        }
    }
}

/// A refusal: a value, never a panic and never silence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// Machine-readable.
    pub code: RefusalCode,
    /// What was wrong, where, and what to do.
    pub reason: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl From<&InvalidBatch> for Refusal {
    fn from(error: &InvalidBatch) -> Self {
        let code = match error {
            InvalidBatch::Malformed(BatchError::SessionExpired { .. }) => RefusalCode::SessionExpired,
            InvalidBatch::Malformed(BatchError::SessionMismatch { .. })
            | InvalidBatch::Certificate { .. } => RefusalCode::SessionInvalid,
            InvalidBatch::Malformed(_) | InvalidBatch::Signature { .. } => RefusalCode::Invalid,
        };
        Self::new(code, error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.reason)
    }
}

impl core::error::Error for Refusal {}
