//! Headers of sessions, good and bad, and what the contracts recover from them.

use weir_kernel::batch::{Certificate, Header, Session, SignedHeader};
use weir_kernel::coordinator::fees::RecoveredHeader;
use weir_kernel::coordinator::session::RecoveredSession;
use weir_kernel::ids::{Address, Hash, StreamId};
use weir_kernel::signature::{KEYED_HASH, SECP256K1, Signature, keyed_hash, recover};

use super::{CHAIN_ID, kernel_address, wallet};

/// Signs in sessions.
pub const SESSION_KEY: u8 = 30;

/// Bytes of the header's own signature in a proof.
const SIGNATURE_BYTES: usize = 65;

/// Ways in which [`spoilt`] can be wrong.
pub const SPOILT: u64 = 10;

fn sign(key: u8, hash: &Hash) -> Signature {
    Signature::Secp256k1(wallet(key).sign_digest(hash.0.into()))
}

/// A session of a header's lane.
pub fn session(header: &Header, expiry_block: u64) -> Session {
    let key = kernel_address(wallet(SESSION_KEY).address());
    let (stream, origin) = (header.stream, header.origin);
    Session { stream, origin, key, expiry_block, signature_type: SECP256K1 }
}

/// The header as the session key signs it, with what `by` certifies.
pub fn certified(header: &Header, session: &Session, by: u8) -> SignedHeader {
    let certificate = session.certified(sign(by, &session.signing_hash(CHAIN_ID)));
    named(header, session.digest(), Some(certificate))
}

/// The header as the session key signs it, naming a session.
fn named(header: &Header, session: Hash, certificate: Option<Certificate>) -> SignedHeader {
    let signer = kernel_address(wallet(SESSION_KEY).address());
    let header = Header { signer, certificate: session, ..*header };
    let signature = sign(SESSION_KEY, &header.signing_hash(CHAIN_ID));
    SignedHeader { header, signature, certificate }
}

/// The header in a session that is not good for it, one of [`SPOILT`] ways. `by` is its origin's key.
pub fn spoilt(header: &Header, by: u8, way: u64) -> SignedHeader {
    let good = session(header, header.opening_block.saturating_add(20));
    let foreign = |session: Session| {
        let certificate = session.certified(sign(by, &session.signing_hash(CHAIN_ID)));
        named(header, good.digest(), Some(certificate))
    };
    match way {
        // Over when the lane opens.
        0 => certified(header, &session(header, header.opening_block), by),
        // Another stream's, wallet's and key's, which the header does not name, and which it names.
        1 => foreign(Session { stream: StreamId([0x77; 20]), ..good }),
        2 => certified(header, &Session { stream: StreamId([0x77; 20]), ..good }, by),
        3 => foreign(Session { key: kernel_address(wallet(31).address()), ..good }),
        4 => certified(header, &Session { origin: Address([0x55; 20]), ..good }, by),
        // Signed by another wallet, and for another chain.
        5 => certified(header, &good, by + 1),
        6 => {
            let certificate = good.certified(sign(by, &good.signing_hash(CHAIN_ID + 1)));
            named(header, good.digest(), Some(certificate))
        }
        // A life made longer afterwards.
        7 => {
            let longer = Session { expiry_block: good.expiry_block + 1, ..good };
            let signature = sign(by, &good.signing_hash(CHAIN_ID));
            named(header, longer.digest(), Some(longer.certified(signature)))
        }
        // Named and not there; of a type that no contract checks.
        8 => named(header, good.digest(), None),
        _ => {
            let simulated = Session { signature_type: KEYED_HASH, ..good };
            let signature = keyed_hash(&header.origin, &simulated.signing_hash(CHAIN_ID));
            named(header, simulated.digest(), Some(simulated.certified(signature)))
        }
    }
}

/// What contracts recover from a header and the bytes that prove it.
pub fn recovered(header: &Header, proof: &[u8]) -> RecoveredHeader {
    let hash = header.signing_hash(CHAIN_ID);
    if header.certificate.is_zero() {
        return RecoveredHeader { header: *header, signer: recover(&hash, proof), session: None };
    }
    let own = proof.get(..SIGNATURE_BYTES).unwrap_or_default();
    RecoveredHeader {
        header: *header,
        signer: recover(&hash, own),
        session: recovered_session(header, proof),
    }
}

/// The certificate, of the one type and length that contracts read.
fn recovered_session(header: &Header, proof: &[u8]) -> Option<RecoveredSession> {
    let certificate = proof.get(SIGNATURE_BYTES..).filter(|rest| rest.len() == 10 + SIGNATURE_BYTES)?;
    if certificate[8..10] != [SECP256K1, 65] {
        return None;
    }
    let expiry_block = u64::from_be_bytes(*certificate.first_chunk()?);
    let named = Session { key: header.signer, ..session(header, expiry_block) };
    let wallet = recover(&named.signing_hash(CHAIN_ID), &certificate[10..]);
    Some(RecoveredSession { expiry_block, wallet })
}
