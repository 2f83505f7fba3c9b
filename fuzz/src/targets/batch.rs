//! Batches: what decodes is canonical, proves each of its events, and decodes again; what is written decodes.

use std::sync::Arc;

use weir_kernel::batch::{Batch, Event, Header, LaneWriter, NewEvent, SignedHeader};
use weir_kernel::ids::{Address, Hash, StreamId, StreamPartition};
use weir_kernel::limits::HEADER_BYTES;
use weir_kernel::signature::{KEYED_HASH, KeyedReportVerifier};
use weir_kernel::verify::{verify, verify_event, verify_header};

use crate::input::Input;
use crate::verifier::{DOMAIN, in_session, sign_batch};

/// Events of a batch whose proofs are checked: each proof hashes the whole batch.
const PROOFS: u32 = 16;

/// Any bytes as a batch.
pub fn batch(data: &[u8]) {
    let bytes: Arc<[u8]> = data.into();
    let verified = verify(bytes.clone(), DOMAIN.chain_id, &KeyedReportVerifier);
    match Batch::decode(bytes.clone()) {
        Ok(batch) => {
            check(&batch, &bytes);
            assert_eq!(verified.is_ok(), is_signed(&batch), "verification is decoding and a signature");
        }
        Err(_) => assert!(verified.is_err(), "what does not decode is not verified"),
    }
}

/// Bytes as what a publisher writes: the batch must be accepted, and no other bytes for it.
pub fn batch_written(data: &[u8]) {
    let mut input = Input::new(data);
    let slot = StreamPartition { stream: StreamId(input.array()), partition: u32::from(input.byte()) };
    let mut lane =
        LaneWriter::new(slot, Address(input.array()), input.number(), input.array(), Hash::ZERO, KEYED_HASH);
    if input.byte() & 1 == 1 {
        let key = Address(input.array());
        let expiry_block = input.near(lane.opening_block());
        let is_good = expiry_block > lane.opening_block() && key != lane.origin();
        let certified = in_session(lane.clone(), key, expiry_block);
        assert_eq!(certified.is_ok(), is_good, "sessions are taken up to their end, for other keys");
        lane = certified.unwrap_or(lane);
    }
    let mut time_ms = 0;
    for _ in 0..1 + input.below(3) {
        let events: Vec<NewEvent> = (0..input.below(20))
            .map(|_| {
                time_ms = u64::saturating_add(time_ms, input.number());
                let mut event = NewEvent::new(time_ms, input.byte(), input.bytes(64));
                event.key_id = input.bytes(34).to_vec();
                event
            })
            .collect();
        let before = lane.clone();
        let Ok(unsigned) = lane.next_batch(events.clone()) else {
            assert_eq!(
                lane.next_sequence(),
                before.next_sequence(),
                "a refused batch leaves the lane as it was"
            );
            continue;
        };
        let written = sign_batch(unsigned);
        let read = verify(written.bytes().clone(), DOMAIN.chain_id, &KeyedReportVerifier)
            .unwrap_or_else(|error| panic!("a written batch is refused: {error}"));
        assert!(
            read.events().map(|event| event.to_new()).eq(events),
            "events come back as they were written"
        );
        assert_eq!(LaneWriter::resume(&read.signed_header()).next_sequence(), lane.next_sequence());
        check(&read, read.bytes());
        change_one_byte(&mut input, &written);
    }
}

/// One changed byte is noticed: the batch does not decode, or its signature is not good any more.
fn change_one_byte(input: &mut Input<'_>, batch: &Batch) {
    let mut bytes = batch.bytes().to_vec();
    let at = input.below(bytes.len());
    let change = input.byte();
    bytes[at] ^= change;
    let accepted = verify(bytes.into(), DOMAIN.chain_id, &KeyedReportVerifier).is_ok();
    assert_eq!(accepted, change == 0, "byte {at} changed by {change:#x}");
}

fn is_signed(batch: &Batch) -> bool {
    verify_header(batch.signed_header(), DOMAIN.chain_id, &KeyedReportVerifier).is_ok()
}

/// An event's bytes by the specification, written a second time here.
fn encode_event(event: &Event<'_>) -> Vec<u8> {
    let mut bytes = event.timestamp_ms.to_be_bytes().to_vec();
    bytes.extend([event.content_type, event.encryption_type, event.key_id.len() as u8]);
    bytes.extend(event.key_id);
    bytes.extend((event.content.len() as u32).to_be_bytes());
    bytes.extend(event.content);
    bytes
}

fn check(batch: &Batch, bytes: &Arc<[u8]>) {
    let signed = batch.signed_header();
    let start = signed.encoded_bytes();
    assert_eq!(signed.encode(), bytes[..start], "the signed header is what the batch starts with");
    assert_eq!(SignedHeader::decode(&bytes[..start]), Ok(signed));
    assert_eq!(Header::decode(&bytes[..HEADER_BYTES]).as_ref(), Ok(batch.header()));
    let mut again = signed.encode();
    for (event, index) in batch.events().zip(0..) {
        let encoded = batch.event_bytes(index).expect("every event has its bytes");
        let written = encode_event(&event);
        assert_eq!(written, encoded, "event {index} has one encoding");
        assert_eq!(batch.timestamp_ms(index), Some(event.timestamp_ms));
        again.extend(written);
    }
    assert_eq!(again, bytes[..], "a batch has one encoding");
    assert_eq!(Batch::decode(bytes.clone()).as_ref(), Ok(batch), "what was accepted is accepted again");
    for index in 0..batch.len().min(PROOFS) {
        let proof = batch.proof(index).expect("every event has a proof");
        let encoded = batch.event_bytes(index).expect("every event has its bytes");
        let event = verify_event(batch.header(), encoded, &proof).expect("the proof is good");
        assert_eq!(Some(event), batch.event(index));
    }
    assert!(batch.event(batch.len()).is_none() && batch.proof(batch.len()).is_none());
}
