//! Sign-in messages: reading and checking EIP-4361 text and the EIP-191 signature under it.
//!
//! The text is read strictly by the grammar of EIP-4361, so that what the wallet showed is what is checked:
//!
//! ```text
//! ${domain} wants you to sign in with your Ethereum account:
//! ${address}
//!
//! ${statement}                          (optional, one line, followed by an empty one)
//!
//! URI: ${uri}
//! Version: 1
//! Chain ID: ${chain-id}
//! Nonce: ${nonce}
//! Issued At: ${issued-at}
//! Expiration Time: ${expiration-time}   (optional)
//! Not Before: ${not-before}             (optional)
//! Request ID: ${request-id}             (optional)
//! Resources:                            (optional, then lines "- ${uri}")
//! ```
//!
//! Addresses are read in any letter case: whoever signs with the key is the address, whatever its spelling.

use jiff::Timestamp;
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, Hash};
use weir_kernel::signature::recover;

/// How far a message may be issued ahead of this machine's clock, in seconds.
const CLOCK_SLACK_S: i64 = 60;

/// What a sign-in message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInMessage {
    /// The authority that asks, as `host` or `host:port`; a scheme before it is dropped.
    pub domain: String,
    /// Who signs in.
    pub address: Address,
    /// The chain that the address belongs to.
    pub chain_id: u64,
    /// What this node handed out.
    pub nonce: String,
    /// When it was written.
    pub issued_at: Timestamp,
    /// Not good from then on.
    pub expiration_time: Option<Timestamp>,
    /// Not good before then.
    pub not_before: Option<Timestamp>,
}

/// Why a sign-in is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The text is no EIP-4361 message.
    #[error("the message is no EIP-4361 sign-in: {0}")]
    Malformed(String),
    /// The message was written for somebody else.
    #[error(
        "the message is for domain {found:?}, this node answers to {expected}: sign a message for this node"
    )]
    WrongDomain {
        /// What the message names.
        found: String,
        /// What this node answers to, for people.
        expected: String,
    },
    /// The message names another chain.
    #[error("the message names chain {found}, this network's is {expected}")]
    WrongChain {
        /// What the message names.
        found: u64,
        /// This network's.
        expected: u64,
    },
    /// The nonce is not one of this node's, was used, or is too old.
    #[error("the nonce is unknown, used or too old: get a new one from GET /auth/nonce and sign again")]
    UnknownNonce,
    /// Outside the message's own times.
    #[error("the message is not valid now: {0}")]
    NotNow(String),
    /// The signature is not the address's.
    #[error("the signature is not {0}'s over this message (EIP-191 personal_sign)")]
    WrongSignature(Address),
}

impl SignInMessage {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`SignInError::Malformed`] names the first line that is not as EIP-4361 has it.
    pub fn parse(text: &str) -> Result<Self, SignInError> {
        let mut lines = text.split('\n').peekable();
        let domain = lines
            .next()
            .and_then(|line| line.strip_suffix(" wants you to sign in with your Ethereum account:"))
            .filter(|domain| !domain.is_empty())
            .ok_or_else(|| {
                malformed("line 1 must be \"DOMAIN wants you to sign in with your Ethereum account:\"")
            })?;
        let domain = domain.split_once("://").map_or(domain, |(_, authority)| authority).to_owned();
        let address = lines.next().unwrap_or_default();
        let address = address
            .starts_with("0x")
            .then(|| address.parse::<Address>().ok())
            .flatten()
            .ok_or_else(|| malformed("line 2 must be the address, 0x and 40 hexadecimal digits"))?;
        if lines.next() != Some("") {
            return Err(malformed("line 3 must be empty"));
        }
        if lines.peek().is_some_and(|line| !line.is_empty()) {
            lines.next();
        }
        if lines.next() != Some("") {
            return Err(malformed("an empty line must come before \"URI: \""));
        }
        let uri = field(lines.next(), "URI: ")?;
        if uri.is_empty() {
            return Err(malformed("the URI is empty"));
        }
        if field(lines.next(), "Version: ")? != "1" {
            return Err(malformed("the version must be 1"));
        }
        let chain_id = field(lines.next(), "Chain ID: ")?
            .parse()
            .map_err(|_| malformed("the chain id must be a decimal number"))?;
        let nonce = field(lines.next(), "Nonce: ")?;
        if nonce.len() < 8 || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(malformed("the nonce must be 8 or more letters and digits"));
        }
        let issued_at = time(field(lines.next(), "Issued At: ")?)?;
        let mut message = Self {
            domain,
            address,
            chain_id,
            nonce: nonce.to_owned(),
            issued_at,
            expiration_time: None,
            not_before: None,
        };
        if let Some(text) = lines.peek().and_then(|line| line.strip_prefix("Expiration Time: ")) {
            message.expiration_time = Some(time(text)?);
            lines.next();
        }
        if let Some(text) = lines.peek().and_then(|line| line.strip_prefix("Not Before: ")) {
            message.not_before = Some(time(text)?);
            lines.next();
        }
        lines.next_if(|line| line.starts_with("Request ID: "));
        if lines.next_if_eq(&"Resources:").is_some() {
            while lines.next_if(|line| line.starts_with("- ")).is_some() {}
        }
        match lines.next() {
            None => Ok(message),
            Some(line) => Err(malformed(&format!("unexpected line {line:?}"))),
        }
    }

    /// Checks the message's own times.
    ///
    /// # Errors
    ///
    /// [`SignInError::NotNow`] says which of them.
    pub fn check_times(&self, now: Timestamp) -> Result<(), SignInError> {
        if self.issued_at.as_second() > now.as_second().saturating_add(CLOCK_SLACK_S) {
            return Err(SignInError::NotNow(format!("it was issued at {}, in the future", self.issued_at)));
        }
        if let Some(expiration) = self.expiration_time.filter(|expiration| *expiration <= now) {
            return Err(SignInError::NotNow(format!("it expired at {expiration}")));
        }
        if let Some(start) = self.not_before.filter(|start| *start > now) {
            return Err(SignInError::NotNow(format!("it is good only from {start}")));
        }
        Ok(())
    }
}

/// Checks an EIP-191 `personal_sign` signature: 65 bytes r, s, v with v of 27, 28, 0 or 1, s in the lower half.
///
/// # Errors
///
/// [`SignInError::WrongSignature`] if it is not `address`'s over `text`.
pub fn check_signature(text: &str, signature: &[u8], address: Address) -> Result<(), SignInError> {
    let wrong = || SignInError::WrongSignature(address);
    let mut signature: [u8; 65] = signature.try_into().map_err(|_| wrong())?;
    if signature[64] < 27 {
        signature[64] += 27;
    }
    match recover(&personal_hash(text), &signature) {
        Some(signer) if signer == address => Ok(()),
        _ => Err(wrong()),
    }
}

/// The hash that a wallet signs for a text (EIP-191, version `E`).
pub fn personal_hash(text: &str) -> Hash {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", text.len());
    keccak256(&[prefix.as_bytes(), text.as_bytes()])
}

fn field<'a>(line: Option<&'a str>, name: &str) -> Result<&'a str, SignInError> {
    line.and_then(|line| line.strip_prefix(name))
        .ok_or_else(|| malformed(&format!("expected a line \"{name}...\", found {:?}", line.unwrap_or(""))))
}

fn time(text: &str) -> Result<Timestamp, SignInError> {
    text.parse().map_err(|_| malformed(&format!("{text:?} is no RFC 3339 time")))
}

fn malformed(what: &str) -> SignInError {
    SignInError::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::signature::SecretKey;

    const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    fn text(extra: &str) -> String {
        format!(
            "localhost:7171 wants you to sign in with your Ethereum account:\n{ADDRESS}\n\nRead my streams\n\n\
             URI: http://localhost:7171\nVersion: 1\nChain ID: 31337\nNonce: 0123456789abcdef\n\
             Issued At: 2026-01-02T03:04:05Z{extra}"
        )
    }

    #[test]
    fn a_message_is_read_with_and_without_statement() {
        let message = SignInMessage::parse(&text("\nExpiration Time: 2026-01-03T00:00:00.5+01:00")).unwrap();
        assert_eq!(message.domain, "localhost:7171");
        assert_eq!(message.address, ADDRESS.parse().unwrap());
        assert_eq!((message.chain_id, message.nonce.as_str()), (31337, "0123456789abcdef"));
        assert_eq!(message.expiration_time.unwrap().to_string(), "2026-01-02T23:00:00.5Z");
        let silent = text("").replace("Read my streams\n", "");
        assert_eq!(SignInMessage::parse(&silent).unwrap().nonce, message.nonce);
        let full = text("\nNot Before: 2026-01-02T00:00:00Z\nRequest ID: 7\nResources:\n- https://a.example");
        assert!(SignInMessage::parse(&full).unwrap().not_before.is_some());
    }

    #[test]
    fn other_text_is_refused_with_the_line() {
        let refused = |text: String| SignInMessage::parse(&text).unwrap_err().to_string();
        assert!(refused(String::new()).contains("line 1"));
        assert!(refused(text("").replace(ADDRESS, "0x12")).contains("line 2"));
        assert!(refused(text("").replace("Version: 1", "Version: 2")).contains("version"));
        assert!(refused(text("").replace("0123456789abcdef", "short")).contains("nonce"));
        assert!(refused(text("").replace("31337", "x")).contains("chain id"));
        assert!(refused(text("\nSomething: else")).contains("unexpected line"));
        assert!(refused(text("\nExpiration Time: tomorrow")).contains("RFC 3339"));
    }

    #[test]
    fn times_bound_a_message() {
        let message = SignInMessage::parse(&text(
            "\nExpiration Time: 2026-01-02T04:00:00Z\nNot Before: 2026-01-02T03:30:00Z",
        ))
        .unwrap();
        let at = |text: &str| message.check_times(text.parse().unwrap());
        assert_eq!(at("2026-01-02T03:45:00Z"), Ok(()));
        assert!(matches!(at("2026-01-02T03:20:00Z"), Err(SignInError::NotNow(_))));
        assert!(matches!(at("2026-01-02T04:00:00Z"), Err(SignInError::NotNow(_))));
        assert!(matches!(at("2026-01-02T03:02:00Z"), Err(SignInError::NotNow(_))));
    }

    #[test]
    fn only_the_addresss_own_signature_counts() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        let text = text("");
        let mut bytes = key.sign_hash(&personal_hash(&text)).to_vec();
        assert_eq!(check_signature(&text, &bytes, key.address()), Ok(()));
        assert!(check_signature(&text, &bytes, Address([1; 20])).is_err());
        assert!(check_signature(&format!("{text} "), &bytes, key.address()).is_err());
        assert!(check_signature(&text, &bytes[..64], key.address()).is_err());
        bytes[64] -= 27;
        assert_eq!(check_signature(&text, &bytes, key.address()), Ok(()));
        bytes[64] ^= 1;
        assert!(check_signature(&text, &bytes, key.address()).is_err());
        bytes[64] = 255;
        assert!(check_signature(&text, &bytes, key.address()).is_err());
    }
}
