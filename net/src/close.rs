//! Why connections end: codes that travel, and what an engine is told.

use std::fmt;

/// Application error codes with which a connection is closed. The numbers are part of the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseCode {
    /// The node stops.
    Shutdown,
    /// The directory no longer lists the peer, or lists it with another key.
    Removed,
    /// The same peer opened a newer connection.
    Replaced,
    /// The hello cannot be read.
    HelloMalformed,
    /// No protocol version is common.
    VersionMismatch,
    /// The peer follows another chain.
    ChainMismatch,
    /// The TLS key is not that of the address in the hello, or one end is not whom the other meant.
    IdentityMismatch,
    /// Of two peers only the one with the lower address dials.
    WrongDialler,
    /// The limits in the hello are too small to talk.
    LimitsRefused,
    /// A frame announces more bytes than the limit.
    FrameTooLarge,
    /// A stream of an unknown kind, in the wrong place, or ended.
    StreamMisuse,
    /// No hello came in time.
    HelloTimeout,
}

/// Codes and their texts, in the order of the numbers.
const CODES: [(CloseCode, &str); 12] = [
    (CloseCode::Shutdown, "the node stops"),
    (CloseCode::Removed, "the broker directory no longer lists this key"),
    (CloseCode::Replaced, "a newer connection of the same peer took over"),
    (CloseCode::HelloMalformed, "the hello cannot be read"),
    (CloseCode::VersionMismatch, "no protocol version in common"),
    (CloseCode::ChainMismatch, "the peers follow different chains"),
    (CloseCode::IdentityMismatch, "the TLS key does not belong to the address"),
    (CloseCode::WrongDialler, "only the peer with the lower address dials"),
    (CloseCode::LimitsRefused, "the announced limits are too small"),
    (CloseCode::FrameTooLarge, "a frame is longer than the limit"),
    (CloseCode::StreamMisuse, "a stream of an unknown kind, in the wrong place, or ended"),
    (CloseCode::HelloTimeout, "no hello in time"),
];

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u32 {
        CODES.iter().position(|(code, _)| *code == self).expect("every code is in the table") as u32
    }

    /// The code of a number, `None` where this version knows none.
    pub fn from_code(code: u64) -> Option<Self> {
        CODES.get(usize::try_from(code).ok()?).map(|(code, _)| *code)
    }

    /// What it means; sent along with the number for whoever reads packet captures.
    pub fn text(self) -> &'static str {
        CODES[self.code() as usize].1
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// This node closed it.
    Local(CloseCode),
    /// The peer closed it.
    Remote(CloseCode),
    /// The peer closed it with a code of another version.
    RemoteUnknown(u64),
    /// The peer was silent for [`crate::limits::IDLE_TIMEOUT`].
    TimedOut,
    /// The peer forgot the connection: it restarted without saying so.
    Reset,
    /// QUIC itself failed.
    Transport(String),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(code) => write!(f, "closed here: {code}"),
            Self::Remote(code) => write!(f, "closed by the peer: {code}"),
            Self::RemoteUnknown(code) => write!(f, "closed by the peer with the unknown code {code}"),
            Self::TimedOut => f.write_str("the peer fell silent"),
            Self::Reset => f.write_str("the peer restarted"),
            Self::Transport(text) => write!(f, "QUIC failed: {text}"),
        }
    }
}

/// Why a connection did not become a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefuseReason {
    /// TLS failed at one of the ends: a key outside the directory, another protocol name, a bad signature.
    Tls(String),
    /// The hello was refused here or there.
    Hello(CloseReason),
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(text) => write!(f, "TLS refused: {text}"),
            Self::Hello(reason) => write!(f, "hello refused: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_pinned() {
        assert_eq!(CloseCode::Shutdown.code(), 0);
        assert_eq!(CloseCode::IdentityMismatch.code(), 6);
        assert_eq!(CloseCode::HelloTimeout.code(), 11);
        for (number, (code, _)) in CODES.iter().enumerate() {
            assert_eq!(code.code() as usize, number);
            assert_eq!(CloseCode::from_code(number as u64), Some(*code));
        }
        assert_eq!(CloseCode::from_code(12), None);
        assert_eq!(CloseCode::from_code(u64::MAX), None);
    }
}
