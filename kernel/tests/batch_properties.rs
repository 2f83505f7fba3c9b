//! What holds for every batch: it reads back as written, in one encoding only, and no changed byte verifies.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use weir_kernel::batch::{Batch, Header, LaneWriter, NewEvent, Session, SignedHeader};
use weir_kernel::ids::{Hash, StreamId, StreamPartition};
use weir_kernel::signature::{
    KEYED_HASH, KeyedHashVerifier, SECP256K1, Secp256k1Verifier, SecretKey, Signature, keyed_hash,
};
use weir_kernel::verify::{self, Verifier};

const CHAIN_ID: u64 = 1;

fn key() -> SecretKey {
    SecretKey::from_bytes(&[0x42; 32]).expect("a valid key")
}

fn events() -> impl Strategy<Value = Vec<NewEvent>> {
    let event = (0..3u64, any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..=32), vec(any::<u8>(), 0..60));
    vec(event, 1..12).prop_map(|events| {
        let mut timestamp_ms = 1_700_000_000_000;
        events
            .into_iter()
            .map(|(step, content_type, encryption_type, key_id, content)| {
                timestamp_ms += step;
                NewEvent { timestamp_ms, content_type, encryption_type, key_id, content }
            })
            .collect()
    })
}

fn lane() -> impl Strategy<Value = LaneWriter> {
    let kind = || prop_oneof![Just(SECP256K1), Just(KEYED_HASH)];
    let parts = (any::<[u8; 20]>(), any::<u32>(), any::<u64>(), any::<[u8; 16]>(), any::<[u8; 32]>(), kind());
    (parts, proptest::option::of((kind(), any::<u64>()))).prop_map(
        |((stream, partition, opening_block, nonce, previous, kind), session)| {
            let slot = StreamPartition { stream: StreamId(stream), partition };
            let lane = LaneWriter::new(slot, key().address(), opening_block, nonce, Hash(previous), kind);
            match session {
                Some((wallets, blocks)) if opening_block < u64::MAX => {
                    in_session(lane, wallets, opening_block.saturating_add(blocks.max(1)))
                }
                _ => lane,
            }
        },
    )
}

fn session_key() -> SecretKey {
    SecretKey::from_bytes(&[0x43; 32]).expect("a valid key")
}

/// Has the session key sign in a lane; the wallet signs the certificate with that type.
fn in_session(lane: LaneWriter, wallets: u8, expiry_block: u64) -> LaneWriter {
    let session = Session {
        stream: lane.slot().stream,
        origin: key().address(),
        key: session_key().address(),
        expiry_block,
        signature_type: wallets,
    };
    let signature = signed(&key(), wallets, &session.signing_hash(CHAIN_ID));
    lane.in_session(&session, session.certified(signature)).expect("the session is the lane's")
}

fn signed(key: &SecretKey, kind: u8, hash: &Hash) -> Signature {
    match kind {
        SECP256K1 => Signature::Secp256k1(key.sign_hash(hash)),
        _ => keyed_hash(&key.address(), hash),
    }
}

fn sign(lane: &mut LaneWriter, events: Vec<NewEvent>) -> Batch {
    let unsigned = lane.next_batch(events).expect("within bounds");
    let hash = unsigned.signing_hash(CHAIN_ID);
    let signer = if unsigned.header().certificate.is_zero() { key() } else { session_key() };
    let signature = signed(&signer, unsigned.header().signature_type, &hash);
    unsigned.sign(signature).expect("of the lane's type")
}

/// Accepts both types, so that a mutation of the type byte meets a verifier for it.
struct Both;

impl Verifier for Both {
    fn verify(
        &self,
        kind: u8,
        signer: &weir_kernel::ids::Address,
        signing_hash: &Hash,
        signature: &[u8],
    ) -> bool {
        Secp256k1Verifier.verify(kind, signer, signing_hash, signature)
            || KeyedHashVerifier.verify(kind, signer, signing_hash, signature)
    }
}

fn is_refused(bytes: Vec<u8>) -> bool {
    verify::verify(Arc::from(bytes), CHAIN_ID, &Both).is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_reads_back_as_written(mut lane in lane(), rounds in vec(events(), 1..3)) {
        for events in rounds {
            let shift = lane.last_time_ms().saturating_sub(events[0].timestamp_ms);
            let events: Vec<_> = events.into_iter()
                .map(|event| NewEvent { timestamp_ms: event.timestamp_ms + shift, ..event })
                .collect();
            let (sequence, head) = (lane.next_sequence(), lane.head());
            let written = sign(&mut lane, events.clone());
            let read = verify::verify(written.bytes().clone(), CHAIN_ID, &Both).expect("valid");
            prop_assert_eq!(&*read, &written);
            prop_assert_eq!(read.signed_header(), written_header(&written));
            prop_assert_eq!((read.lane(), read.digest()), (lane.lane(), lane.head()));
            prop_assert_eq!((read.header().sequence, read.header().previous), (sequence, head));
            prop_assert_eq!(read.content_bytes(), events.iter().map(|event| event.content.len() as u64).sum());
            prop_assert_eq!(read.events().map(|event| event.to_new()).collect::<Vec<_>>(), events);
            for (index, event) in (0..read.len()).zip(read.events()) {
                let proof = read.proof(index).expect("in range");
                let bytes = read.event_bytes(index).expect("in range");
                prop_assert_eq!(verify::verify_event(read.header(), bytes, &proof), Ok(event));
                prop_assert_eq!(read.timestamp_ms(index), Some(event.timestamp_ms));
                prop_assert_eq!(event.sequence, sequence + u64::from(index));
            }
        }
    }

    #[test]
    fn headers_have_one_encoding(mut lane in lane(), events in events()) {
        let config = bincode::config::standard();
        let signed = sign(&mut lane, events).signed_header();
        prop_assert_eq!(Header::decode(&signed.header.encode()), Ok(signed.header));
        prop_assert_eq!(SignedHeader::decode(&signed.encode()), Ok(signed));
        let frame = bincode::encode_to_vec(signed, config).expect("encodes");
        let (read, length) = bincode::decode_from_slice::<SignedHeader, _>(&frame, config).expect("decodes");
        prop_assert_eq!((read, length), (signed, frame.len()));
        for bytes in [[&signed.encode()[..], &[0]].concat(), signed.encode()[1..].to_vec(), vec![]] {
            prop_assert!(SignedHeader::decode(&bytes).is_err());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..600)) {
        prop_assert!(is_refused(bytes));
    }

    #[test]
    fn a_batch_with_a_changed_stretch_is_refused(
        mut lane in lane(),
        events in events(),
        place in any::<prop::sample::Index>(),
        stretch in vec(any::<u8>(), 1..40),
    ) {
        let good = sign(&mut lane, events).bytes().to_vec();
        let start = place.index(good.len());
        let end = (start + stretch.len()).min(good.len());
        let mut bad = good.clone();
        bad[start..end].copy_from_slice(&stretch[..end - start]);
        prop_assert_eq!(is_refused(bad.clone()), bad != good);
    }
}

fn written_header(batch: &Batch) -> verify::Verified<SignedHeader> {
    verify::verify_header(batch.signed_header(), CHAIN_ID, &Both).expect("signed")
}

/// Every bit of a batch of each signature type, and every length short of it.
#[test]
fn no_changed_bit_and_no_cut_verifies() {
    let kinds = [SECP256K1, KEYED_HASH];
    for (kind, wallets) in
        kinds.into_iter().flat_map(|kind| [(kind, None), (kind, Some(kinds[0])), (kind, Some(kinds[1]))])
    {
        let slot = StreamPartition { stream: StreamId([1; 20]), partition: 0 };
        let lane = LaneWriter::new(slot, key().address(), 9, [2; 16], Hash::ZERO, kind);
        let mut lane = match wallets {
            Some(wallets) => in_session(lane, wallets, 500),
            None => lane,
        };
        sign(&mut lane, vec![NewEvent::new(7, 0, b"before")]);
        let events = vec![
            NewEvent { key_id: vec![1, 2], ..NewEvent::new(8, 1, b"{}") },
            NewEvent::new(8, 2, b"text"),
            NewEvent::new(9, 0, b""),
        ];
        let good = sign(&mut lane, events).bytes().to_vec();
        assert!(!is_refused(good.clone()));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(is_refused(bad), "type {kind:#x}: bit {} of byte {} may change", bit % 8, bit / 8);
        }
        for length in 0..good.len() {
            assert!(is_refused(good[..length].to_vec()), "type {kind:#x}: cut at {length}");
        }
        assert!(is_refused([&good[..], &[0]].concat()));
    }
}
