//! Events as clients see them: views into signed batches, and their JSON.
//!
//! Content is embedded as the bytes that were published. A batch signed elsewhere may call anything JSON, so it is
//! checked before it is embedded; what is not JSON is shown as the text or the bytes that it is.

use std::fmt::Write;

use serde_json::value::RawValue;
use weir_kernel::batch::{Batch, content_type, event_leaf};
use weir_kernel::ids::{Hash, StreamPartition};
use weir_kernel::log::{Chunk, Position};
use weir_kernel::merkle;

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

impl DamagedChunk {
    /// For this reason.
    pub(super) fn new(reason: String) -> Self {
        Self(reason)
    }
}

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

impl EventView {
    /// The event at `index` of a batch, from 0; `None` past the end.
    pub fn new(batch: Batch, index: u32) -> Option<Self> {
        (index < batch.len()).then_some(Self { batch, index })
    }

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
}

/// Writes events as JSON; what the events of a batch have in common is made once for each stretch of them.
#[derive(Debug, Default)]
pub struct JsonWriter {
    digest: Option<Hash>,
    /// From the end of the content to the time.
    before_time: String,
    /// From the sequence number to the lane.
    after_sequence: String,
    signature: Option<SignatureWriter>,
}

/// What signatures of one batch's events have in common.
#[derive(Debug)]
struct SignatureWriter {
    shared: String,
    /// The hash tree, leaves first.
    levels: Vec<Vec<Hash>>,
}

impl JsonWriter {
    /// Appends the JSON of an event: `{"content":…,"metadata":{…}}`. With `line`, line breaks between JSON tokens of
    /// the content become spaces, so that the whole stays on one line. With `signatures`, metadata get what proves the
    /// event's origin: the batch's signed header, the session certificate if a session key signed, and the event's
    /// Merkle path.
    pub fn write(&mut self, out: &mut String, view: &EventView, line: bool, signatures: bool) {
        self.turn_to(&view.batch);
        let event = view.batch.event(view.index).expect("the index was checked when the view was made");
        out.push_str("{\"content\":");
        let kind = write_content(out, event.content_type, event.content, line);
        out.push_str(&self.before_time);
        write!(out, "{},\"sequenceNumber\":{}", event.timestamp_ms, event.sequence)
            .expect("writing to a string cannot fail");
        out.push_str(&self.after_sequence);
        if let Some(kind) = kind {
            write!(out, ",\"contentType\":\"{kind}\"").expect("writing to a string cannot fail");
        }
        if event.encryption_type != 0 {
            let key_id = hex::encode(event.key_id);
            write!(out, ",\"encryptionType\":{},\"keyId\":\"0x{key_id}\"", event.encryption_type)
                .expect("writing to a string cannot fail");
        }
        if signatures {
            let signature = self.signature.get_or_insert_with(|| SignatureWriter::new(&view.batch));
            signature.write(out, view);
        }
        out.push_str("}}");
    }

    fn turn_to(&mut self, batch: &Batch) {
        if self.digest.replace(batch.digest()) == Some(batch.digest()) {
            return;
        }
        let header = batch.header();
        self.before_time = format!(
            ",\"metadata\":{{\"streamId\":\"{}\",\"partition\":{},\"timestamp\":",
            header.stream, header.stream_partition
        );
        self.after_sequence =
            format!(",\"publisherId\":\"{}\",\"msgChainId\":\"{}\"", header.origin, batch.lane());
        self.signature = None;
    }
}

impl SignatureWriter {
    fn new(batch: &Batch) -> Self {
        let signed = batch.signed_header();
        let mut shared = format!(
            ",\"signature\":\"0x{}\",\"signatureType\":{},\"header\":\"0x{}\"",
            hex::encode(signed.signature.as_bytes()),
            signed.signature.signature_type(),
            hex::encode(signed.header.encode()),
        );
        if let Some(certificate) = signed.certificate {
            write!(
                shared,
                ",\"certificate\":{{\"expiryBlock\":{},\"signature\":\"0x{}\",\"signatureType\":{}}}",
                certificate.expiry_block,
                hex::encode(certificate.signature.as_bytes()),
                certificate.signature.signature_type()
            )
            .expect("writing to a string cannot fail");
        }
        shared.push_str(",\"event\":\"0x");
        let leaf = |index: u32| {
            let bytes = batch.event_bytes(index).expect("the index is below the count");
            event_leaf(signed.header.sequence + u64::from(index), bytes)
        };
        let mut levels = vec![(0..batch.len()).map(leaf).collect::<Vec<Hash>>()];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let parent = |pair: &[Hash]| pair.get(1).map_or(pair[0], |right| merkle::node(&pair[0], right));
            let level = below.chunks(2).map(parent).collect();
            levels.push(level);
        }
        Self { shared, levels }
    }

    fn write(&self, out: &mut String, view: &EventView) {
        out.push_str(&self.shared);
        out.push_str(&hex::encode(view.batch.event_bytes(view.index).unwrap_or_default()));
        write!(out, "\",\"proof\":{{\"index\":{},\"count\":{},\"path\":[", view.index, view.batch.len())
            .expect("writing to a string cannot fail");
        let mut position = view.index as usize;
        let mut separator = "";
        for level in &self.levels {
            if let Some(neighbour) = level.get(position ^ 1) {
                write!(out, "{separator}\"{neighbour}\"").expect("writing to a string cannot fail");
                separator = ",";
            }
            position /= 2;
        }
        out.push_str("]}");
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
        let event = EventView::new(batch.clone(), 1).unwrap();
        JsonWriter::default().write(&mut out, &event, true, false);
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
        JsonWriter::default().write(&mut out, &event, true, true);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["metadata"]["proof"]["path"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn proofs_are_the_kernels() {
        let mut lane = lane(StreamPartition::default(), 5);
        let mut writer = JsonWriter::default();
        for count in 1..12u64 {
            let batch = batch(&mut lane, &(count * 100..count * 101).collect::<Vec<_>>());
            for index in 0..batch.len() {
                let mut out = String::new();
                writer.write(&mut out, &EventView::new(batch.clone(), index).unwrap(), false, true);
                let json: serde_json::Value = serde_json::from_str(&out).unwrap();
                let path: Vec<String> =
                    batch.proof(index).unwrap().path.iter().map(ToString::to_string).collect();
                assert_eq!(json["metadata"]["proof"]["path"], serde_json::json!(path), "{index} of {count}");
            }
        }
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
