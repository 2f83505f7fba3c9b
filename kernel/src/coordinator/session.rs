//! Session certificates as contracts check them (WP 2.4.9): whether a header that another than its origin signed is its
//! origin's, as [`verify`](crate::verify::verify_header) has it.

use crate::batch::{Header, Session};
use crate::ids::Address;
use crate::signature::SECP256K1;

/// A certificate with the account that its signature recovers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredSession {
    /// Height of the first block in which the session is over.
    pub expiry_block: u64,
    /// Who signed it; `None` if no account can have made the signature.
    pub wallet: Option<Address>,
}

/// The origin signs itself, or has signed this certificate for the signer, the lane's stream and a block after its
/// opening. `session` is `None` where there is no certificate, or not one of the type that contracts check.
pub fn is_certified(header: &Header, session: Option<&RecoveredSession>) -> bool {
    if header.certificate.is_zero() {
        return true;
    }
    session.is_some_and(|given| {
        let named = Session {
            stream: header.stream,
            origin: header.origin,
            key: header.signer,
            expiry_block: given.expiry_block,
            signature_type: SECP256K1,
        };
        named.digest() == header.certificate
            && header.opening_block < given.expiry_block
            && given.wallet == Some(header.origin)
    })
}
