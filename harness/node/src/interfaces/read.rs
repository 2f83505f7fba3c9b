//! `GET /streams/{id}/data/partitions/{p}/last|from|range`: stored events, streamed in canonical order.
//!
//! `{p}` is a partition or `all`. Bounds are inclusive and intersect. `format` is `object` (a JSON array of events),
//! `jsonl` (one a line), `raw` (a JSON array of the signed batches that hold them, in base64, with which of their
//! events are meant) or `binary`. However long the answer, it is made as it is taken. An answer that breaks off ends
//! the connection in error, never as if it were complete.
//!
//! `binary` is for programs that read much and check signatures by themselves: records of a length u32, which counts
//! what follows it; the number u32 of the first event that is meant; how many u32; and the signed batch. All three are
//! big-endian. Each event is meant once, though a batch may come again with later events. Of `all`, partitions come one
//! after the other; within one, batches are ordered by the first event that is meant.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use weir_kernel::broker::{Reading, Refusal};
use weir_kernel::ids::{LaneId, StreamId, StreamPartition};
use weir_kernel::log::Position;

use super::counters::count;
use super::error::{ApiError, json_response};
use super::query::{Parameters, wrong};
use super::server::Peer;
use super::services::Services;
use crate::service::batches::{BatchPart, BatchReader};
use crate::service::event::{EventView, JsonWriter, write_base64};
use crate::service::reader::{LAST_POSITION, ReadRequest, Reader};

/// Bytes of an answer that are made at a time.
const PIECE_BYTES: usize = 64 << 10;

const KNOWN: [&str; 10] = [
    "count",
    "fromTimestamp",
    "toTimestamp",
    "fromSequenceNumber",
    "toSequenceNumber",
    "publisherId",
    "msgChainId",
    "format",
    "signatures",
    "version",
];

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Object,
    Lines,
    Raw,
    Binary,
}

impl Format {
    fn media(self) -> &'static str {
        match self {
            Self::Object | Self::Raw => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Binary => "application/octet-stream",
        }
    }
}

/// See the module's text.
pub async fn data(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path((id, partition, operation)): Path<(String, String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (parameters, caller) = services.request(&headers, &uri, &KNOWN, peer)?;
    let stream = services.stream(&id)?;
    let request = read_request(stream, &partition, &operation, &parameters)?;
    let format = match parameters.text("format") {
        None | Some("object") => Format::Object,
        Some("jsonl") => Format::Lines,
        Some("raw") => Format::Raw,
        Some("binary") => Format::Binary,
        Some(text) => return Err(wrong("format", text, "object, jsonl, raw or binary")),
    };
    let signatures = parameters.flag("signatures")?;
    let identity = services.access.identity(caller);
    if format == Format::Binary {
        let reader = BatchReader::open(services.gateway.clone(), identity, request)?;
        return binary(services, reader).await;
    }
    let mut reader = Reader::open(services.gateway.clone(), identity, request).await?;
    // The first event is waited for, so that what is refused has its status.
    let first = reader.next().await?;
    let answer = Answer {
        services,
        reader,
        next: first,
        writer: JsonWriter::default(),
        format,
        signatures,
        stage: Stage::Begin,
    };
    let stream = futures_util::stream::unfold(answer, |mut answer| async move {
        let piece = answer.piece().await?;
        Some((piece, answer))
    });
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, format.media())], Body::from_stream(stream)).into_response())
}

/// An answer in binary batches.
async fn binary(services: Arc<Services>, mut reader: BatchReader) -> Result<Response, ApiError> {
    // As above: what is refused has its status.
    let first = reader.next().await?;
    let stream = futures_util::stream::unfold((reader, first), move |(mut reader, mut next)| {
        let services = Arc::clone(&services);
        async move {
            let mut out = Vec::new();
            let mut written = 0;
            while out.len() < PIECE_BYTES {
                let Some(part) = next.take() else { break };
                written += u64::from(part.count);
                write_part(&mut out, &part);
                match reader.next().await {
                    Ok(after) => next = after,
                    Err(refusal) => {
                        tracing::warn!(%refusal, "an answer broke off");
                        return Some((Err(refusal), (reader, None)));
                    }
                }
                if *services.shutdown.borrow() {
                    return Some((Err(stopping()), (reader, None)));
                }
            }
            count(&services.counters.delivered, written);
            (!out.is_empty()).then(|| (Ok(Bytes::from(out)), (reader, next)))
        }
    });
    let media = Format::Binary.media();
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, media)], Body::from_stream(stream)).into_response())
}

fn write_part(out: &mut Vec<u8>, part: &BatchPart) {
    let length = u32::try_from(8 + part.bytes.len()).expect("a batch is shorter than 4 GiB");
    for number in [length, part.first, part.count] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&part.bytes);
}

fn stopping() -> Refusal {
    Refusal::new(weir_kernel::broker::RefusalCode::Unavailable, "this node is stopping: ask again")
}

/// What a path and its parameters ask for.
fn read_request(
    stream: StreamId,
    partition: &str,
    operation: &str,
    parameters: &Parameters,
) -> Result<ReadRequest, ApiError> {
    let partition = match partition {
        "all" => None,
        text => Some(text.parse().map_err(|_| {
            ApiError::invalid(format!("{text:?} is no partition: it must be a number from 0, or \"all\""))
        })?),
    };
    let refuse = |names: &[&str]| match names.iter().find(|name| parameters.text(name).is_some()) {
        Some(name) => {
            Err(ApiError::invalid(format!("query parameter {name:?} does not go with {operation:?}")))
        }
        None => Ok(()),
    };
    let number = |name| parameters.parse::<u64>(name, "a number from 0");
    let lane = parameters.parse::<LaneId>("msgChainId", "a lane id: 0x and 64 hexadecimal digits")?;
    let reading = match operation {
        "last" => {
            refuse(&KNOWN[1..7])?;
            Reading::Last(number("count")?.unwrap_or(1))
        }
        "from" | "range" => {
            refuse(&["count"])?;
            let from = parameters.required("fromTimestamp", parameters.time_ms("fromTimestamp")?)?;
            let to = match operation {
                "range" => Some(parameters.required("toTimestamp", parameters.time_ms("toTimestamp")?)?),
                _ => refuse(&["toTimestamp", "toSequenceNumber"]).map(|()| None)?,
            };
            let origin = parameters.parse("publisherId", "an address: 0x and 40 hexadecimal digits")?;
            let last = to.map_or(LAST_POSITION, |timestamp_ms| Position { timestamp_ms, ..LAST_POSITION });
            Reading::Range { from: Position::at(from), to: last, origin }
        }
        text => {
            return Err(ApiError::not_found(format!(
                "there is no {text:?} of data: ask for last, from or range"
            )));
        }
    };
    let from_sequence = number("fromSequenceNumber")?;
    let to_sequence = number("toSequenceNumber")?;
    Ok(ReadRequest { stream, partition, reading, lane, from_sequence, to_sequence })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Middle,
    Over,
}

/// An answer as it is written.
struct Answer {
    services: Arc<Services>,
    reader: Reader,
    next: Option<EventView>,
    writer: JsonWriter,
    format: Format,
    signatures: bool,
    stage: Stage,
}

impl Answer {
    /// The next piece; `None` after the last.
    async fn piece(&mut self) -> Option<Result<Bytes, Refusal>> {
        if self.stage == Stage::Over {
            return None;
        }
        let mut out = String::new();
        if self.stage == Stage::Begin && self.format != Format::Lines {
            out.push('[');
        }
        let mut written = 0;
        while out.len() < PIECE_BYTES {
            if *self.services.shutdown.borrow() {
                self.stage = Stage::Over;
                return Some(Err(stopping()));
            }
            let Some(event) = self.next.take() else {
                self.end(&mut out);
                break;
            };
            if self.stage == Stage::Middle && self.format != Format::Lines {
                out.push_str(",\n");
            }
            self.stage = Stage::Middle;
            if let Err(refusal) = self.write(&mut out, event, &mut written).await {
                tracing::warn!(%refusal, "an answer broke off");
                self.stage = Stage::Over;
                return Some(Err(refusal));
            }
        }
        count(&self.services.counters.delivered, written);
        Some(Ok(Bytes::from(out)))
    }

    fn end(&mut self, out: &mut String) {
        self.stage = Stage::Over;
        if self.format != Format::Lines {
            out.push_str("]\n");
        }
    }

    /// Writes an event, in the raw format with all that follow it in its batch, and reads the one after.
    async fn write(&mut self, out: &mut String, event: EventView, written: &mut u64) -> Result<(), Refusal> {
        let mut run = 1;
        self.next = self.reader.next().await?;
        if self.format == Format::Raw {
            while self.next.as_ref().is_some_and(|next| {
                next.batch().digest() == event.batch().digest() && next.index() == event.index() + run
            }) {
                run += 1;
                self.next = self.reader.next().await?;
            }
            out.push_str("{\"batch\":\"");
            write_base64(out, event.batch().bytes());
            out.push_str(&format!(
                "\",\"partition\":{},\"first\":{},\"count\":{run}}}",
                event.slot().partition,
                event.index()
            ));
        } else {
            self.writer.write(out, &event, self.format == Format::Lines, self.signatures);
            if self.format == Format::Lines {
                out.push('\n');
            }
        }
        *written += u64::from(run);
        Ok(())
    }
}

/// `GET /streams/{id}/metadata/partitions/{p}`: who keeps a stream partition, where it was kept before, and what it
/// spans.
pub async fn metadata(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path((id, partition)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, caller) = services.request(&headers, &uri, &[], peer)?;
    let stream = services.stream(&id)?;
    let number = partition.parse().map_err(|_| {
        ApiError::invalid(format!("{partition:?} is no partition: it must be a number from 0"))
    })?;
    let slot = StreamPartition { stream, partition: number };
    services.gateway.check_slot(slot)?;
    let identity = services.access.identity(caller);
    let end = |reading| async {
        let request = ReadRequest {
            stream,
            partition: Some(number),
            reading,
            lane: None,
            from_sequence: None,
            to_sequence: None,
        };
        let mut reader = Reader::open(services.gateway.clone(), identity, request).await?;
        let event = reader.next().await?;
        let place = |event: EventView| {
            json!({
                "timestamp": event.timestamp_ms(),
                "sequenceNumber": event.sequence(),
                "msgChainId": event.batch().lane().to_string(),
                "publisherId": event.batch().header().origin.to_string(),
            })
        };
        Ok::<_, ApiError>(event.map(place))
    };
    let first = end(Reading::Range { from: Position::default(), to: LAST_POSITION, origin: None }).await?;
    let last = end(Reading::Last(1)).await?;
    let view = services.gateway.view()?;
    let home = view.home(slot);
    let homes: Vec<_> = view
        .homes(slot)
        .iter()
        .map(|home| json!({ "fromEpoch": home.from_epoch, "networkPartition": home.partition.0 }))
        .collect();
    let sealed = view.partition(home);
    let members = sealed.map(|partition| partition.members).unwrap_or_default();
    let replicas: Vec<String> = members
        .brokers()
        .filter_map(|index| view.address_of(index))
        .map(|address| address.to_string())
        .collect();
    let body = json!({
        "streamId": stream.to_string(),
        "partition": number,
        "networkPartition": home.0,
        "homes": homes,
        "replicas": replicas,
        "sealedEpoch": sealed.map(|partition| partition.sealed_epoch),
        "checksum": sealed.map(|partition| partition.checksum.to_string()),
        "firstMessage": first,
        "lastMessage": last,
    });
    Ok(json_response(StatusCode::OK, body.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(partition: &str, operation: &str, query: &str) -> Result<ReadRequest, ApiError> {
        let parameters = Parameters::read(&format!("/x?{query}").parse().unwrap(), &KNOWN)?;
        read_request(StreamId([1; 20]), partition, operation, &parameters)
    }

    #[test]
    fn a_path_says_what_to_read() {
        assert_eq!(request("3", "last", "").unwrap().reading, Reading::Last(1));
        assert_eq!(request("all", "last", "count=7").unwrap().partition, None);
        let range = request("0", "range", "fromTimestamp=5&toTimestamp=9&fromSequenceNumber=2").unwrap();
        let Reading::Range { from, to, .. } = range.reading else { panic!("a range was asked for") };
        assert_eq!((from, to.timestamp_ms, to.sequence), (Position::at(5), 9, u64::MAX));
        assert_eq!(range.from_sequence, Some(2));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let reason = |partition, operation, query| request(partition, operation, query).unwrap_err().reason;
        assert!(reason("x", "last", "").contains("\"x\""));
        assert!(reason("0", "first", "").contains("\"first\""));
        assert!(reason("0", "from", "").contains("fromTimestamp"));
        assert!(reason("0", "range", "fromTimestamp=1").contains("toTimestamp"));
        assert!(reason("0", "last", "fromTimestamp=1").contains("fromTimestamp"));
        assert!(reason("0", "last", "count=-1").contains("\"-1\""));
        assert!(reason("0", "from", "fromTimestamp=1&count=2").contains("count"));
        assert!(reason("0", "from", "fromTimestamp=1&publisherId=me").contains("publisherId"));
    }
}
