//! Each rule of the batch format, broken alone, is refused with its own reason.

use std::sync::Arc;

use weir_kernel::batch::{
    Batch, BatchError, EventError, Header, LaneError, LaneWriter, NewEvent, SignedHeader, event_leaf,
};
use weir_kernel::codec::CodecError;
use weir_kernel::ids::{Address, Hash, StreamId, StreamPartition};
use weir_kernel::limits::{HEADER_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_CONTENT_BYTES};
use weir_kernel::merkle;
use weir_kernel::signature::{
    KEYED_HASH, KeyedHashVerifier, SECP256K1, Secp256k1Verifier, Signature, SignatureError, keyed_hash,
};
use weir_kernel::verify::{self, EventProofError, InvalidBatch, Verifier};

const CHAIN_ID: u64 = 5;

fn lane(signature_type: u8) -> LaneWriter {
    let slot = StreamPartition { stream: StreamId([1; 20]), partition: 2 };
    LaneWriter::new(slot, Address([3; 20]), 40, [5; 16], Hash::ZERO, signature_type)
}

fn event(timestamp_ms: u64, content: &[u8]) -> NewEvent {
    NewEvent::new(timestamp_ms, 0, content)
}

fn sign(lane: &mut LaneWriter, events: Vec<NewEvent>) -> Batch {
    let unsigned = lane.next_batch(events).expect("within bounds");
    let signature = keyed_hash(&unsigned.header().signer, &unsigned.signing_hash(CHAIN_ID));
    unsigned.sign(signature).expect("of the lane's type")
}

/// A batch of three events, second in its lane.
fn good() -> Batch {
    let mut lane = lane(KEYED_HASH);
    sign(&mut lane, vec![event(1000, b"before")]);
    sign(&mut lane, vec![event(1000, b"one"), event(1000, b""), event(1007, b"three")])
}

/// The bytes of a header with a matching keyed hash and these encoded events.
fn assemble(header: Header, events: &[Vec<u8>]) -> Arc<[u8]> {
    let signature = keyed_hash(&header.signer, &header.signing_hash(CHAIN_ID)).as_bytes().to_vec();
    [&header.encode()[..], &[32], &signature, &events.concat()].concat().into()
}

fn encoded_events(batch: &Batch) -> Vec<Vec<u8>> {
    (0..batch.len()).map(|index| batch.event_bytes(index).expect("in range").to_vec()).collect()
}

fn root_of(header: &Header, events: &[Vec<u8>]) -> Hash {
    let leaves: Vec<Hash> =
        events.iter().zip(header.sequence..).map(|(bytes, sequence)| event_leaf(sequence, bytes)).collect();
    merkle::root(&leaves)
}

/// Decodes the good batch after a change of its header.
fn with_header(change: impl FnOnce(&mut Header)) -> Result<Batch, BatchError> {
    let mut header = *good().header();
    change(&mut header);
    Batch::decode(assemble(header, &encoded_events(&good())))
}

/// Decodes the good batch after a change of its encoded events; the root follows them.
fn with_events(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Result<Batch, BatchError> {
    let mut header = *good().header();
    let mut events = encoded_events(&good());
    change(&mut events);
    header.root = root_of(&header, &events);
    Batch::decode(assemble(header, &events))
}

#[test]
fn the_unchanged_batch_is_valid() {
    assert_eq!(with_header(|_| ()), Ok(good()));
    assert_eq!(with_events(|_| ()), Ok(good()));
    assert!(verify::verify(good().bytes().clone(), CHAIN_ID, &KeyedHashVerifier).is_ok());
}

#[test]
fn a_header_that_breaks_a_rule_is_refused_by_name() {
    let origin = Address([3; 20]);
    let other = Address([4; 20]);
    assert_eq!(with_header(|h| h.version = 2), Err(BatchError::Version(2)));
    assert_eq!(with_header(|h| h.origin_type = 1), Err(BatchError::OriginType(1)));
    assert_eq!(with_header(|h| h.signer = other), Err(BatchError::Signer { signer: other, origin }));
    assert_eq!(with_header(|h| h.certificate.0[31] = 1), {
        let mut certificate = Hash::ZERO;
        certificate.0[31] = 1;
        Err(BatchError::Certificate(certificate))
    });
    let unknown = BatchError::Signature(SignatureError::Type(2));
    assert_eq!(with_header(|h| h.signature_type = 2), Err(unknown));
    let length = SignatureError::Length { signature_type: SECP256K1, wanted: 65, found: 32 };
    assert_eq!(with_header(|h| h.signature_type = SECP256K1), Err(BatchError::Signature(length)));
    assert_eq!(with_header(|h| h.count = 0), Err(BatchError::Count(0)));
    assert_eq!(with_header(|h| h.count = MAX_BATCH_EVENTS + 1), Err(BatchError::Count(MAX_BATCH_EVENTS + 1)));
    assert_eq!(
        with_header(|h| h.sequence = u64::MAX - 2),
        Err(BatchError::SequenceOverflow { sequence: u64::MAX - 2, count: 3 })
    );
    assert_eq!(
        with_header(|h| (h.first_time_ms, h.last_time_ms) = (9, 8)),
        Err(BatchError::TimeRange { first_ms: 9, last_ms: 8 })
    );
}

#[test]
fn a_header_that_does_not_match_its_events_is_refused_by_name() {
    for header_ms in [(999, 1007), (1000, 1008), (1001, 1007), (1000, 1006)] {
        assert_eq!(
            with_header(|h| (h.first_time_ms, h.last_time_ms) = header_ms),
            Err(BatchError::TimeMismatch { header_ms, events_ms: (1000, 1007) })
        );
    }
    assert_eq!(with_header(|h| h.volume = 7), {
        Err(BatchError::Volume { volume: 7, content: 8, sequence: 1 })
    });
    assert!(with_header(|h| h.volume = 8).is_ok() && with_header(|h| h.volume = u64::MAX).is_ok());

    let root = good().header().root;
    assert_eq!(with_header(|h| h.root = Hash::ZERO), {
        Err(BatchError::Root { header: Hash::ZERO, events: root })
    });
    assert!(
        matches!(with_header(|h| h.sequence = 2), Err(BatchError::Root { header, .. }) if header == root)
    );
    // Fewer events named than there are, and more.
    assert!(matches!(
        with_header(|h| (h.count, h.last_time_ms) = (2, 1000)),
        Err(BatchError::Layout(CodecError::Trailing { .. }))
    ));
    assert!(matches!(with_header(|h| h.count = 4), Err(BatchError::Layout(CodecError::Truncated { .. }))));
}

#[test]
fn the_first_batch_of_a_lane_meters_exactly_its_content() {
    let first = sign(&mut lane(KEYED_HASH), vec![event(1, b"12345")]);
    for (volume, valid) in [(4, false), (5, true), (6, false)] {
        let mut header = *first.header();
        header.volume = volume;
        let expected = Err(BatchError::Volume { volume, content: 5, sequence: 0 });
        let found = Batch::decode(assemble(header, &encoded_events(&first)));
        assert_eq!(found, if valid { Ok(first.clone()) } else { expected });
    }
}

#[test]
fn events_that_break_a_rule_are_refused_by_name() {
    assert_eq!(
        with_events(|events| events[1][..8].copy_from_slice(&999u64.to_be_bytes())),
        Err(BatchError::TimeBack { index: 1, timestamp_ms: 999, previous_ms: 1000 })
    );
    assert_eq!(
        with_events(|events| events[2][10] = 33),
        Err(BatchError::Event { index: 2, error: EventError::KeyIdLength { bytes: 33 } })
    );
    let content_length =
        |length: u32| with_events(|events| events[2][11..15].copy_from_slice(&length.to_be_bytes()));
    for bytes in [MAX_CONTENT_BYTES + 1, u32::MAX as usize] {
        assert_eq!(
            content_length(bytes as u32),
            Err(BatchError::Event { index: 2, error: EventError::ContentLength { bytes } })
        );
    }
    let end = good().bytes().len();
    assert_eq!(
        content_length(6),
        Err(BatchError::Layout(CodecError::Truncated { offset: end - 5, wanted: 6, left: 5 }))
    );
    assert_eq!(content_length(4), Err(BatchError::Layout(CodecError::Trailing { offset: end - 1, left: 1 })));
}

#[test]
fn the_largest_batch_is_bounded_in_reading_and_writing() {
    let too_large: Arc<[u8]> = vec![1; MAX_BATCH_BYTES + 1].into();
    assert_eq!(Batch::decode(too_large), Err(BatchError::TooLarge { bytes: MAX_BATCH_BYTES + 1 }));

    let overhead = HEADER_BYTES + 1 + 32 + 4 * 15;
    let fitting = |bytes: usize| {
        let rest = bytes - overhead - 3 * MAX_CONTENT_BYTES;
        let mut events = vec![event(1, &vec![0; MAX_CONTENT_BYTES]); 3];
        events.push(event(1, &vec![0; rest]));
        events
    };
    let largest = sign(&mut lane(KEYED_HASH), fitting(MAX_BATCH_BYTES));
    assert_eq!(largest.bytes().len(), MAX_BATCH_BYTES);
    assert_eq!(Batch::decode(largest.bytes().clone()), Ok(largest));
    let refused = lane(KEYED_HASH).next_batch(fitting(MAX_BATCH_BYTES + 1)).map(|_| ());
    assert_eq!(refused, Err(LaneError::TooLarge { bytes: MAX_BATCH_BYTES + 1 }));
}

#[test]
fn the_greatest_count_is_bounded_in_reading_and_writing() {
    let most = sign(&mut lane(KEYED_HASH), vec![event(1, b""); MAX_BATCH_EVENTS as usize]);
    assert_eq!(Batch::decode(most.bytes().clone()), Ok(most.clone()));
    let last = MAX_BATCH_EVENTS - 1;
    let proof = most.proof(last).expect("the last event exists");
    assert_eq!(proof.path.len(), 12);
    let bytes = most.event_bytes(last).expect("the last event exists");
    assert!(verify::verify_event(most.header(), bytes, &proof).is_ok());

    let count = MAX_BATCH_EVENTS as usize + 1;
    let refused = lane(KEYED_HASH).next_batch(vec![event(1, b""); count]).map(|_| ());
    assert_eq!(refused, Err(LaneError::TooMany { count }));
}

#[test]
fn a_writer_refuses_by_name_and_stays_as_it_was() {
    let mut lane = lane(KEYED_HASH);
    sign(&mut lane, vec![event(50, b"abc")]);
    let before = (lane.next_sequence(), lane.volume(), lane.last_time_ms(), lane.head());
    let mut refusal = |events| lane.next_batch(events).map(|_| ()).expect_err("refused");
    assert_eq!(refusal(vec![]), LaneError::Empty);
    assert_eq!(
        refusal(vec![event(49, b"")]),
        LaneError::TimeBack { index: 0, timestamp_ms: 49, previous_ms: 50 }
    );
    assert_eq!(
        refusal(vec![event(52, b""), event(51, b"")]),
        LaneError::TimeBack { index: 1, timestamp_ms: 51, previous_ms: 52 }
    );
    let long_key = NewEvent { key_id: vec![0; 33], ..event(60, b"") };
    assert_eq!(
        refusal(vec![event(60, b""), long_key]),
        LaneError::Event { index: 1, error: EventError::KeyIdLength { bytes: 33 } }
    );
    assert_eq!((lane.next_sequence(), lane.volume(), lane.last_time_ms(), lane.head()), before);

    let unsigned = lane.next_batch(vec![event(50, b"")]).expect("an equal time is fine");
    assert_eq!(
        unsigned.sign(Signature::Secp256k1([0; 65])),
        Err(LaneError::SignatureType { wanted: KEYED_HASH, found: SECP256K1 })
    );
    let unknown = self::lane(9).next_batch(vec![event(1, b"")]).map(|_| ());
    assert_eq!(unknown, Err(LaneError::Signature(SignatureError::Type(9))));

    let signed = |header| SignedHeader { header, ..good().signed_header() };
    let last = signed(Header { sequence: u64::MAX - 1, count: 1, ..*good().header() });
    let exhausted = LaneWriter::resume(&last).next_batch(vec![event(2000, b"")]).map(|_| ());
    assert_eq!(exhausted, Err(LaneError::Exhausted));
    let metered = signed(Header { volume: u64::MAX, ..*good().header() });
    let exhausted = LaneWriter::resume(&metered).next_batch(vec![event(2000, b"x")]).map(|_| ());
    assert_eq!(exhausted, Err(LaneError::Exhausted));
}

#[test]
fn a_lane_is_a_chain_and_can_be_resumed() {
    let mut writer = lane(KEYED_HASH);
    let first = sign(&mut writer, vec![event(1, b"abc"), event(2, b"")]);
    let mut resumed = LaneWriter::resume(&first.signed_header());
    let second = sign(&mut writer, vec![event(2, b"de")]);
    assert_eq!(sign(&mut resumed, vec![event(2, b"de")]), second);
    assert_eq!((second.lane(), writer.lane()), (first.lane(), first.lane()));
    let header = second.header();
    assert_eq!((header.sequence, header.volume, header.previous), (2, 5, first.digest()));
    assert_eq!((header.next_sequence(), writer.next_sequence()), (3, 3));
    assert_eq!(writer.head(), second.digest());
}

#[test]
fn only_a_signature_for_this_chain_of_an_accepted_type_verifies() {
    let refused = InvalidBatch::Signature { signature_type: KEYED_HASH, signer: Address([3; 20]) };
    let verify = |chain_id, verifier: &dyn Verifier| {
        verify::verify(good().bytes().clone(), chain_id, verifier).map(|batch| batch.into_inner())
    };
    assert_eq!(verify(CHAIN_ID, &KeyedHashVerifier), Ok(good()));
    assert_eq!(verify(CHAIN_ID + 1, &KeyedHashVerifier), Err(refused.clone()));
    assert_eq!(verify(CHAIN_ID, &Secp256k1Verifier), Err(refused.clone()));

    let signed = good().signed_header();
    let alone = verify::verify_header(signed, CHAIN_ID, &KeyedHashVerifier).expect("signed");
    let batch = verify::verify(good().bytes().clone(), CHAIN_ID, &KeyedHashVerifier).expect("signed");
    assert_eq!(alone, batch.signed_header());
    assert_eq!(verify::verify_header(signed, CHAIN_ID, &Secp256k1Verifier), Err(refused));
    let of_another_type = SignedHeader { signature: Signature::Secp256k1([1; 65]), ..signed };
    assert!(verify::verify_header(of_another_type, CHAIN_ID, &KeyedHashVerifier).is_err());
    let broken = SignedHeader { header: Header { count: 0, ..signed.header }, ..signed };
    assert_eq!(
        verify::verify_header(broken, CHAIN_ID, &KeyedHashVerifier),
        Err(InvalidBatch::Malformed(BatchError::Count(0)))
    );
}

#[test]
fn an_event_is_proved_at_its_place_and_time_only() {
    let batch = good();
    let (header, proof) = (*batch.header(), batch.proof(1).expect("there is a second event"));
    let bytes = batch.event_bytes(1).expect("there is a second event");
    assert_eq!(verify::verify_event(&header, bytes, &proof), Ok(batch.event(1).expect("a second")));
    assert_eq!(
        verify::verify_event(&Header { count: 4, ..header }, bytes, &proof),
        Err(EventProofError::Count { proof: 3, header: 4 })
    );
    let other = batch.event_bytes(0).expect("there is a first event");
    assert_eq!(verify::verify_event(&header, other, &proof), Err(EventProofError::Root));
    assert!(matches!(
        verify::verify_event(&header, &bytes[1..], &proof),
        Err(EventProofError::Event(EventError::Layout(_)))
    ));
    assert_eq!(
        verify::verify_event(&Header { first_time_ms: 1001, ..header }, bytes, &proof),
        Err(EventProofError::Time { timestamp_ms: 1000 })
    );
}

#[test]
fn past_the_end_there_is_no_event() {
    let batch = good();
    for index in [3, 4, u32::MAX] {
        assert_eq!(batch.event(index), None);
        assert_eq!(batch.event_bytes(index), None);
        assert_eq!(batch.timestamp_ms(index), None);
        assert_eq!(batch.proof(index), None);
    }
    assert_eq!(batch.timestamp_ms(2), Some(1007));
    assert_eq!(batch.content_bytes(), 8);
}
