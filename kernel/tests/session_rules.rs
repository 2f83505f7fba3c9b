//! Sessions: a certificate is good for one wallet, key, stream, chain and time; each of them wrong alone is refused.

use std::sync::Arc;

use weir_kernel::batch::{
    Batch, BatchError, Certificate, Header, LaneError, LaneWriter, NewEvent, Session, SignedHeader,
};
use weir_kernel::broker::{Refusal, RefusalCode};
use weir_kernel::codec::CodecError;
use weir_kernel::ids::{Address, Hash, StreamId, StreamPartition};
use weir_kernel::signature::{
    KEYED_HASH, KeyedHashVerifier, SECP256K1, Secp256k1Verifier, SecretKey, Signature, SignatureError,
    keyed_hash,
};
use weir_kernel::typed_data;
use weir_kernel::verify::{self, InvalidBatch};

const CHAIN_ID: u64 = 5;
const OPENING: u64 = 40;
const EXPIRY: u64 = 41;
const CERTIFICATE_BYTES: usize = 75;

fn wallet() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).expect("a valid key")
}

fn session_key() -> SecretKey {
    SecretKey::from_bytes(&[2; 32]).expect("a valid key")
}

fn stranger() -> SecretKey {
    SecretKey::from_bytes(&[3; 32]).expect("a valid key")
}

fn session() -> Session {
    Session {
        stream: StreamId([1; 20]),
        origin: wallet().address(),
        key: session_key().address(),
        expiry_block: EXPIRY,
        signature_type: SECP256K1,
    }
}

fn certified(session: &Session, by: &SecretKey, chain_id: u64) -> Certificate {
    session.certified(Signature::Secp256k1(by.sign_hash(&session.signing_hash(chain_id))))
}

fn plain_lane() -> LaneWriter {
    let slot = StreamPartition { stream: session().stream, partition: 2 };
    LaneWriter::new(slot, wallet().address(), OPENING, [5; 16], Hash::ZERO, SECP256K1)
}

fn lane() -> LaneWriter {
    let session = session();
    plain_lane().in_session(&session, certified(&session, &wallet(), CHAIN_ID)).expect("its session")
}

fn sign(lane: &mut LaneWriter, content: &[u8]) -> Batch {
    let unsigned = lane.next_batch(vec![NewEvent::new(7, 0, content)]).expect("a small event fits");
    let signature = session_key().sign_hash(&unsigned.signing_hash(CHAIN_ID));
    unsigned.sign(Signature::Secp256k1(signature)).expect("of the lane's type")
}

fn good() -> SignedHeader {
    sign(&mut lane(), b"x").signed_header()
}

/// A header that names this session and is signed by its key.
fn under(session: &Session, certificate: Certificate) -> SignedHeader {
    let header = Header { certificate: session.digest(), ..good().header };
    signed(header, &session_key(), Some(certificate))
}

fn signed(header: Header, by: &SecretKey, certificate: Option<Certificate>) -> SignedHeader {
    let signature = Signature::Secp256k1(by.sign_hash(&header.signing_hash(CHAIN_ID)));
    SignedHeader { header, signature, certificate }
}

fn refusal(signed: SignedHeader) -> InvalidBatch {
    verify::verify_header(signed, CHAIN_ID, &Secp256k1Verifier).expect_err("it must be refused")
}

fn code(error: &InvalidBatch) -> RefusalCode {
    Refusal::from(error).code
}

#[test]
fn batches_of_a_session_are_the_wallets() {
    let mut lane = lane();
    for content in [&b"one"[..], b"two"] {
        let written = sign(&mut lane, content);
        let read = verify::verify(written.bytes().clone(), CHAIN_ID, &Secp256k1Verifier).expect("signed");
        assert_eq!(
            (read.header().origin, read.header().signer),
            (wallet().address(), session_key().address())
        );
        assert_eq!(read.certificate().map(|it| it.session(read.header())), Some(session()));
        assert_eq!(read.header().certificate, session().digest());
        let start = read.signed_header().encoded_bytes();
        assert_eq!(start, 223 + 1 + 65 + CERTIFICATE_BYTES);
        assert_eq!(read.signed_header().encode(), read.bytes()[..start]);
        assert_eq!(read.signed_header().proof(), read.bytes()[224..start], "what contracts take");
        assert!(read.signed_header().is_for_contracts());
    }
    // The lane's id says nothing of sessions: it is the wallet's lane.
    assert_eq!(lane.lane(), plain_lane().lane());
    let last = sign(&mut lane.clone(), b"three");
    let mut resumed = LaneWriter::resume(&last.signed_header());
    lane = {
        sign(&mut lane, b"three");
        lane
    };
    assert_eq!(sign(&mut resumed, b"four"), sign(&mut lane, b"four"));
}

#[test]
fn a_certificate_of_another_stream_wallet_key_or_expiry_is_refused() {
    let mine = session();
    let wrong = [
        Session { stream: StreamId([9; 20]), ..mine },
        Session { origin: stranger().address(), ..mine },
        Session { key: stranger().address(), ..mine },
    ];
    for session in wrong {
        let certificate = certified(&session, &wallet(), CHAIN_ID);
        // As it is: the header names what the wallet signed.
        let error = refusal(under(&session, certificate));
        let named = InvalidBatch::Malformed(BatchError::SessionMismatch {
            header: session.digest(),
            certificate: mine.digest(),
        });
        assert_eq!((code(&error), error), (RefusalCode::SessionInvalid, named));
        // Bent: the header names what the wallet did not sign.
        let error = refusal(under(&mine, certificate));
        let unsigned = InvalidBatch::Certificate { signature_type: SECP256K1, origin: wallet().address() };
        assert_eq!((code(&error), error), (RefusalCode::SessionInvalid, unsigned));
    }
    let longer = Session { expiry_block: EXPIRY + 1, ..mine };
    let bent = Certificate { expiry_block: EXPIRY + 1, ..certified(&mine, &wallet(), CHAIN_ID) };
    assert!(matches!(refusal(under(&longer, bent)), InvalidBatch::Certificate { .. }));
    assert!(matches!(
        refusal(under(&mine, bent)),
        InvalidBatch::Malformed(BatchError::SessionMismatch { .. })
    ));
}

#[test]
fn a_certificate_by_another_or_for_another_chain_is_refused() {
    let mine = session();
    for certificate in [certified(&mine, &stranger(), CHAIN_ID), certified(&mine, &wallet(), CHAIN_ID + 1)] {
        let error = refusal(under(&mine, certificate));
        assert!(matches!(error, InvalidBatch::Certificate { .. }), "{error}");
        assert_eq!(Refusal::from(&error).code.as_str(), "session-invalid");
    }
    // The session key cannot certify itself, nor the wallet's certificate be taken for a batch's signature.
    assert!(matches!(
        refusal(under(&mine, certified(&mine, &session_key(), CHAIN_ID))),
        InvalidBatch::Certificate { .. }
    ));
    let certificate = certified(&mine, &wallet(), CHAIN_ID);
    let swapped = SignedHeader { signature: certificate.signature, ..under(&mine, certificate) };
    assert!(matches!(refusal(swapped), InvalidBatch::Signature { .. }));
}

#[test]
fn only_the_certified_key_signs() {
    let good = good();
    for by in [wallet(), stranger()] {
        let error = refusal(signed(good.header, &by, good.certificate));
        let signer = session_key().address();
        assert_eq!(error, InvalidBatch::Signature { signature_type: SECP256K1, signer });
    }
    // Without a certificate it cannot sign for the wallet at all.
    let bare = Header { certificate: Hash::ZERO, ..good.header };
    let error = refusal(signed(bare, &session_key(), None));
    let (signer, origin) = (session_key().address(), wallet().address());
    assert_eq!(error, InvalidBatch::Malformed(BatchError::Signer { signer, origin }));
    // A certificate that is named and not there, or there and not named.
    let error = refusal(signed(good.header, &session_key(), None));
    assert_eq!(error, InvalidBatch::Malformed(BatchError::Certificate(session().digest())));
    let own = Header { signer: wallet().address(), certificate: Hash::ZERO, ..good.header };
    assert!(verify::verify_header(signed(own, &wallet(), None), CHAIN_ID, &Secp256k1Verifier).is_ok());
    assert!(matches!(
        refusal(signed(own, &wallet(), good.certificate)),
        InvalidBatch::Malformed(BatchError::SessionMismatch { .. })
    ));
    // A wallet needs none for itself: one value has one encoding.
    let own = Header { signer: wallet().address(), ..good.header };
    let error = refusal(signed(own, &wallet(), good.certificate));
    assert_eq!(error, InvalidBatch::Malformed(BatchError::Certificate(session().digest())));
}

#[test]
fn a_session_is_good_for_lanes_that_open_before_it_is_over() {
    let opening = |opening_block| {
        let session = session();
        let header = Header { opening_block, ..good().header };
        signed(header, &session_key(), Some(certified(&session, &wallet(), CHAIN_ID)))
    };
    for block in [0, OPENING, EXPIRY - 1] {
        assert!(verify::verify_header(opening(block), CHAIN_ID, &Secp256k1Verifier).is_ok(), "block {block}");
    }
    for block in [EXPIRY, EXPIRY + 1, u64::MAX] {
        let error = refusal(opening(block));
        let expired = BatchError::SessionExpired { opening_block: block, expiry_block: EXPIRY };
        assert_eq!(error, InvalidBatch::Malformed(expired));
        assert_eq!(Refusal::from(&error).code.as_str(), "session-expired");
    }
}

#[test]
fn a_lane_takes_only_a_session_of_its_own() {
    let mine = session();
    let wrong = [
        Session { stream: StreamId([9; 20]), ..mine },
        Session { origin: stranger().address(), ..mine },
        Session { key: wallet().address(), ..mine },
        Session { expiry_block: OPENING, ..mine },
    ];
    for session in wrong {
        let certificate = certified(&session, &wallet(), CHAIN_ID);
        let refused = plain_lane().in_session(&session, certificate).map(|_| ());
        assert_eq!(refused, Err(LaneError::Session { session, opening_block: OPENING }));
    }
}

/// Decodes a batch of a session after a change of the bytes of its certificate.
fn with_certificate(change: impl FnOnce(&mut Vec<u8>)) -> Result<Batch, BatchError> {
    let batch = sign(&mut lane(), b"x");
    let (start, end) = (224 + 65, 224 + 65 + CERTIFICATE_BYTES);
    let mut certificate = batch.bytes()[start..end].to_vec();
    change(&mut certificate);
    let bytes = [&batch.bytes()[..start], &certificate, &batch.bytes()[end..]].concat();
    Batch::decode(Arc::from(bytes))
}

#[test]
fn a_certificate_has_one_encoding() {
    assert!(with_certificate(|_| ()).is_ok());
    let unknown = BatchError::Signature(SignatureError::Type(2));
    assert_eq!(with_certificate(|bytes| bytes[8] = 2), Err(unknown));
    let length = SignatureError::Length { signature_type: SECP256K1, wanted: 65, found: 64 };
    assert_eq!(with_certificate(|bytes| bytes[9] = 64), Err(BatchError::Signature(length)));
    assert!(matches!(with_certificate(|bytes| bytes[7] += 1), Err(BatchError::SessionMismatch { .. })));
    let bytes = good().encode();
    for length in 0..bytes.len() {
        let cut = SignedHeader::decode(&bytes[..length]);
        assert!(matches!(cut, Err(BatchError::Layout(CodecError::Truncated { .. }))), "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(SignedHeader::decode(&longer), Err(BatchError::Layout(CodecError::Trailing { .. }))));
}

#[test]
fn a_simulated_wallet_certifies_with_a_keyed_hash() {
    let (origin, key) = (Address([7; 20]), Address([8; 20]));
    let session = Session { origin, key, signature_type: KEYED_HASH, ..session() };
    let certificate = session.certified(keyed_hash(&origin, &session.signing_hash(CHAIN_ID)));
    let slot = StreamPartition { stream: session.stream, partition: 0 };
    let mut lane = LaneWriter::new(slot, origin, OPENING, [1; 16], Hash::ZERO, KEYED_HASH)
        .in_session(&session, certificate)
        .expect("its session");
    let unsigned = lane.next_batch(vec![NewEvent::new(1, 0, [])]).expect("an event fits");
    let signature = keyed_hash(&key, &unsigned.signing_hash(CHAIN_ID));
    let batch = unsigned.sign(signature).expect("of the lane's type");
    assert!(verify::verify(batch.bytes().clone(), CHAIN_ID, &KeyedHashVerifier).is_ok());
    assert!(!batch.signed_header().is_for_contracts());
    assert!(matches!(
        verify::verify(batch.bytes().clone(), CHAIN_ID, &Secp256k1Verifier),
        Err(InvalidBatch::Certificate { .. })
    ));
}

#[test]
fn what_the_wallet_signs_is_the_type_that_the_eip_says() {
    let session = session();
    let by_hand = typed_data::WordHasher::of_type(
        b"Session(address stream,address origin,address key,uint64 expiryBlock,uint8 signatureType)",
    )
    .address(&session.stream.0)
    .address(&session.origin.0)
    .address(&session.key.0)
    .uint(EXPIRY)
    .uint(1u8)
    .finish();
    assert_eq!(session.digest(), by_hand);
    let domain = typed_data::domain_separator(CHAIN_ID, &Address(session.stream.0));
    assert_eq!(session.signing_hash(CHAIN_ID), typed_data::signing_hash(&domain, &by_hand));
}
