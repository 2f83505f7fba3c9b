//! Events as clients see them: views into signed batches, and their JSON.
//!
//! Content is embedded as the bytes that were published. A batch signed elsewhere may call anything JSON, so it is
//! checked before it is embedded; what is not JSON is shown as the text or the bytes that it is.

use std::fmt::Write;

use serde_json::value::RawValue;
use weir_kernel::batch::{Batch, content_type};
use weir_kernel::ids::StreamPartition;
use weir_kernel::log::{Chunk, Position};

/// One event of a decoded batch. A clone shares the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView {
    batch: Batch,
    index: u32,
}

/// A chunk that is not what the kernel promises: damaged in store or on the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a broker sent events that cannot be read ({0}): the store of a replica may be damaged")]
pub struct DamagedChunk(String);

/// The events of a chunk in its order.
///
/// # Errors
///
/// [`DamagedChunk`] if a batch does not decode or a slice points outside.
pub fn events_of(chunk: &Chunk) -> Result<Vec<EventView>, DamagedChunk> {
    let decoded: Result<Vec<Batch>, _> =
        chunk.batches.iter().map(|bytes| Batch::decode(bytes.clone())).collect();
    let batches = decoded.map_err(|error| DamagedChunk(error.to_string()))?;
    let mut events = Vec::new();
    for slice in &chunk.order {
        let outside = || DamagedChunk(format!("slice {slice:?} points outside"));
        let batch = batches.get(slice.batch as usize).ok_or_else(outside)?;
        let end =
            slice.first.checked_add(slice.count).filter(|end| *end <= batch.len()).ok_or_else(outside)?;
        events.extend((slice.first..end).map(|index| EventView { batch: batch.clone(), index }));
    }
    Ok(events)
}

/// The events of a batch from `first` on.
pub fn events_from(batch: &Batch, first: u32) -> Vec<EventView> {
    (first..batch.len()).map(|index| EventView { batch: batch.clone(), index }).collect()
}

impl EventView {
    /// The signed batch that holds it.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Its number within the batch, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its number within the lane.
    pub fn sequence(&self) -> u64 {
        self.batch.header().sequence + u64::from(self.index)
    }

    /// Its stream partition.
    pub fn slot(&self) -> StreamPartition {
        self.batch.header().slot()
    }

    /// Its time in milliseconds since 1970 UTC.
    pub fn timestamp_ms(&self) -> u64 {
        self.batch.timestamp_ms(self.index).expect("the index was checked when the view was made")
    }

    /// Its place in the canonical order.
    pub fn position(&self) -> Position {
        Position { timestamp_ms: self.timestamp_ms(), lane: self.batch.lane(), sequence: self.sequence() }
    }

    /// Appends its JSON: `{"content":…,"metadata":{…}}`. With `line`, line breaks between JSON tokens of the content
    /// become spaces, so that the whole stays on one line. With `signatures`, metadata get what proves the event's
    /// origin: the batch's signed header, the session certificate if a session key signed, and the event's Merkle path.
    pub fn write_json(&self, out: &mut String, line: bool, signatures: bool) {
        let event = self.batch.event(self.index).expect("the index was checked when the view was made");
        out.push_str("{\"content\":");
        let kind = write_content(out, event.content_type, event.content, line);
        let header = self.batch.header();
        let written = write!(
            out,
            ",\"metadata\":{{\"streamId\":\"{}\",\"partition\":{},\"timestamp\":{},\"sequenceNumber\":{},\
             \"publisherId\":\"{}\",\"msgChainId\":\"{}\"",
            header.stream,
            header.stream_partition,
            event.timestamp_ms,
            event.sequence,
            header.origin,
            self.batch.lane()
        );
        written.expect("writing to a string cannot fail");
        if let Some(kind) = kind {
            write!(out, ",\"contentType\":\"{kind}\"").expect("writing to a string cannot fail");
        }
        if event.encryption_type != 0 {
            let key_id = hex::encode(event.key_id);
            write!(out, ",\"encryptionType\":{},\"keyId\":\"0x{key_id}\"", event.encryption_type)
                .expect("writing to a string cannot fail");
        }
        if signatures {
            self.write_signature(out);
        }
        out.push_str("}}");
    }

    fn write_signature(&self, out: &mut String) {
        let signed = self.batch.signed_header();
        let proof = self.batch.proof(self.index).expect("the index was checked when the view was made");
        let path: Vec<String> = proof.path.iter().map(|hash| format!("\"{hash}\"")).collect();
        write!(
            out,
            ",\"signature\":\"0x{}\",\"signatureType\":{},\"header\":\"0x{}\",\"event\":\"0x{}\",\
             \"proof\":{{\"index\":{},\"count\":{},\"path\":[{}]}}",
            hex::encode(signed.signature.as_bytes()),
            signed.signature.signature_type(),
            hex::encode(signed.header.encode()),
            hex::encode(self.batch.event_bytes(self.index).unwrap_or_default()),
            proof.index,
            proof.count,
            path.join(",")
        )
        .expect("writing to a string cannot fail");
        if let Some(certificate) = signed.certificate {
            write!(
                out,
                ",\"certificate\":{{\"expiryBlock\":{},\"signature\":\"0x{}\",\"signatureType\":{}}}",
                certificate.expiry_block,
                hex::encode(certificate.signature.as_bytes()),
                certificate.signature.signature_type()
            )
            .expect("writing to a string cannot fail");
        }
    }
}

/// Writes content as a JSON value; says how it is to be read unless it is JSON.
fn write_content(out: &mut String, kind: u8, content: &[u8], line: bool) -> Option<&'static str> {
    if kind == content_type::JSON
        && let Ok(raw) = serde_json::from_slice::<&RawValue>(content)
    {
        // A line break inside a JSON string is written \n, so that these are between tokens.
        match line && raw.get().contains(['\n', '\r']) {
            true => out.push_str(&raw.get().replace(['\n', '\r'], " ")),
            false => out.push_str(raw.get()),
        }
        return None;
    }
    let text = std::str::from_utf8(content)
        .ok()
        .filter(|_| kind == content_type::JSON || kind == content_type::TEXT);
    match text {
        Some(text) => {
            out.push_str(&serde_json::to_string(text).expect("a string has a JSON form"));
            Some("text")
        }
        None => {
            out.push('"');
            write_base64(out, content);
            out.push('"');
            Some("binary")
        }
    }
}

/// Appends bytes in base64 with padding (RFC 4648 section 4).
pub fn write_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| group.get(at).copied().unwrap_or(0));
        let word = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        for digit in 0..4 {
            let used = digit <= group.len();
            let index = (word >> (18 - 6 * digit)) as usize & 63;
            out.push(if used { char::from(DIGITS[index]) } else { '=' });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use weir_kernel::batch::{LaneWriter, NewEvent};
    use weir_kernel::ids::Hash;
    use weir_kernel::log::Slice;
    use weir_kernel::signature::{SECP256K1, SecretKey, Signature};

    /// A lane of a test publisher.
    pub(crate) fn lane(slot: StreamPartition, key: u8) -> (LaneWriter, SecretKey) {
        let key = SecretKey::from_bytes(&[key; 32]).unwrap();
        (LaneWriter::new(slot, key.address(), 0, [key.address().0[0]; 16], Hash::ZERO, SECP256K1), key)
    }

    /// The next batch of a test lane, one event a time.
    pub(crate) fn batch(lane: &mut (LaneWriter, SecretKey), times: &[u64]) -> Batch {
        let event = |time: &u64| NewEvent::new(*time, content_type::JSON, format!("{{\"at\":{time}}}"));
        let unsigned = lane.0.next_batch(times.iter().map(event).collect()).unwrap();
        let signature = Signature::Secp256k1(lane.1.sign_hash(&unsigned.signing_hash(31337)));
        unsigned.sign(signature).unwrap()
    }

    fn content(kind: u8, content: &[u8], line: bool) -> (String, Option<&'static str>) {
        let mut out = String::new();
        let kind = write_content(&mut out, kind, content, line);
        (out, kind)
    }

    #[test]
    fn json_is_embedded_as_it_came() {
        let exact = br#"{"b": 1.00, "a":"x\u00e9", "b":2}"#;
        assert_eq!(content(content_type::JSON, exact, true), (String::from_utf8_lossy(exact).into(), None));
        assert_eq!(content(content_type::JSON, b"[1,\n 2]", false).0, "[1,\n 2]");
        assert_eq!(content(content_type::JSON, b"[1,\r\n 2]", true).0, "[1,   2]");
    }

    #[test]
    fn what_only_claims_to_be_json_cannot_break_out() {
        let evil = br#"1},"metadata":{"publisherId":"0x0""#;
        let (out, kind) = content(content_type::JSON, evil, true);
        assert_eq!(kind, Some("text"));
        assert_eq!(serde_json::from_str::<String>(&out).unwrap().as_bytes(), evil);
        assert_eq!(content(content_type::JSON, b"\xff\"", true), ("\"/yI=\"".into(), Some("binary")));
        assert_eq!(content(77, b"abc", true), ("\"YWJj\"".into(), Some("binary")));
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let encoded = |text: &str| {
            let mut out = String::new();
            write_base64(&mut out, text.as_bytes());
            out
        };
        let vectors = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        vectors.iter().for_each(|(plain, wanted)| assert_eq!(encoded(plain), *wanted));
        assert_eq!((encoded("fooba"), encoded("foobar")), ("Zm9vYmE=".into(), "Zm9vYmFy".into()));
    }

    #[test]
    fn an_event_has_the_shape_that_clients_know() {
        let slot = StreamPartition { stream: [1; 20].into(), partition: 3 };
        let mut lane = lane(slot, 5);
        let batch = batch(&mut lane, &[10, 20]);
        let mut out = String::new();
        events_from(&batch, 1)[0].write_json(&mut out, true, false);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["content"]["at"], 20);
        let metadata = &json["metadata"];
        assert_eq!(
            (metadata["timestamp"].as_u64(), metadata["sequenceNumber"].as_u64()),
            (Some(20), Some(1))
        );
        assert_eq!(metadata["partition"], 3);
        assert_eq!(metadata["publisherId"], lane.1.address().to_string());
        assert_eq!(metadata["msgChainId"], batch.lane().to_string());
        assert_eq!(metadata.as_object().unwrap().len(), 6);
        out.clear();
        events_from(&batch, 1)[0].write_json(&mut out, true, true);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["metadata"]["proof"]["path"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn slices_outside_a_batch_are_refused() {
        let mut lane = lane(StreamPartition::default(), 5);
        let batches = vec![batch(&mut lane, &[10, 20]).bytes().clone()];
        let chunk = |slice| Chunk { batches: batches.clone(), order: vec![slice], ..Chunk::default() };
        let good = events_of(&chunk(Slice { batch: 0, first: 1, count: 1 })).unwrap();
        assert_eq!((good.len(), good[0].sequence()), (1, 1));
        for (batch, first, count) in [(1, 0, 1), (0, 2, 1), (0, 0, 3), (0, u32::MAX, 2)] {
            assert!(events_of(&chunk(Slice { batch, first, count })).is_err());
        }
    }
}
