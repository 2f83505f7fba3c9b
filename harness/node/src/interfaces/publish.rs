//! `POST /streams/{id}`: publish one event, or with `batch=true` many, signed by the application key.
//!
//! The body is JSON (any value; an array is one event unless `batch=true`), or with `Content-Type: text/plain` a
//! text, or with `application/octet-stream` bytes. `ack` is the level to wait for, `timeout` how many seconds at most.
//! The answer is 200 once the level is reached, 202 with a URL that reads the events back if it is not yet, or the
//! error. Without an `Idempotency-Key` a repeated request publishes again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use weir_kernel::batch::content_type;
use weir_kernel::broker::{Level, Refusal};
use weir_kernel::ids::StreamId;

use super::body::{media_type, read_body};
use super::counters::count;
use super::error::{ApiError, json_response};
use super::payload::Placement;
use super::query::{Parameters, wrong};
use super::server::Peer;
use super::services::Services;
use crate::service::limits::{
    HTTP_ACK_TIMEOUT, MAX_BATCH_BODY_BYTES, MAX_BODY_EVENTS, MAX_EVENT_BODY_BYTES, MAX_HTTP_ACK_TIMEOUT,
};
use crate::service::publisher::{Progress, Receipt};

const KNOWN: [&str; 7] =
    ["partition", "partitionKey", "partitionKeyField", "timestamp", "ack", "timeout", "batch"];

/// See the module's text.
pub async fn publish(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (parameters, caller) = services.request(&headers, &uri, &KNOWN, peer)?;
    let stream = services.stream(&id)?;
    services.access.check_signs_for(caller)?;
    services.gateway.check_publish(stream, services.publisher.address())?;
    let level = parameters.level()?;
    let deadline = Instant::now() + timeout(&parameters)?;
    let placement = Placement::read(&parameters)?;
    let result = if parameters.flag("batch")? {
        if headers.contains_key("idempotency-key") {
            return Err(ApiError::invalid("Idempotency-Key is for single events, not for batch=true"));
        }
        let body = read_body(&headers, body, MAX_BATCH_BODY_BYTES).await?;
        publish_many(&services, stream, &placement, &body, level, deadline).await
    } else {
        let body = read_body(&headers, body, MAX_EVENT_BODY_BYTES).await?;
        publish_one(&services, stream, &placement, &headers, body, level, deadline).await
    };
    if result.is_err() {
        count(&services.counters.refused, 1);
    }
    result
}

async fn publish_one(
    services: &Services,
    stream: StreamId,
    placement: &Placement,
    headers: &HeaderMap,
    body: Vec<u8>,
    level: Level,
    deadline: Instant,
) -> Result<Response, ApiError> {
    let (choice, event) = match media_type(headers).as_str() {
        "text/plain" => {
            let text = String::from_utf8(body)
                .map_err(|_| ApiError::invalid("the body is no UTF-8 text: send application/octet-stream"))?;
            placement.plain_event(content_type::TEXT, text.into_bytes())?
        }
        "application/octet-stream" => placement.plain_event(content_type::BINARY, body)?,
        _ => placement.json_event(&body)?,
    };
    let key = headers.get("idempotency-key").map(|value| value.to_str());
    let key = key.transpose().map_err(|_| ApiError::invalid("Idempotency-Key must be visible ASCII"))?;
    let mut receipt = services.publisher.publish(stream, &choice, event, level, key)?;
    count(&services.counters.published, 1);
    let progress = receipt.wait(level, deadline).await;
    answer_one(&receipt, &progress, level)
}

fn answer_one(receipt: &Receipt, progress: &Progress, level: Level) -> Result<Response, ApiError> {
    if progress.reached >= Some(level) {
        return Ok(json_response(
            StatusCode::OK,
            Value::Object(acknowledgement(receipt, progress)).to_string(),
        ));
    }
    if let Some(refusal) = failure(progress) {
        return Err(refusal.into());
    }
    let mut body = acknowledgement(receipt, progress);
    body.insert(
        "reason".into(),
        json!(format!("{} is not reached yet: look at the URL later", level.as_str())),
    );
    body.insert("url".into(), json!(read_back_url(receipt, progress)));
    Ok(json_response(StatusCode::ACCEPTED, Value::Object(body).to_string()))
}

async fn publish_many(
    services: &Services,
    stream: StreamId,
    placement: &Placement,
    body: &[u8],
    level: Level,
    deadline: Instant,
) -> Result<Response, ApiError> {
    let events = placement.json_events(body, MAX_BODY_EVENTS)?;
    let total = events.len();
    let mut receipts = services.publisher.publish_all(stream, events, level)?;
    count(&services.counters.published, total as u64);
    let mut acknowledgements = Vec::new();
    let mut reached = 0;
    let mut refused = None;
    for receipt in &mut receipts {
        let progress = receipt.wait(level, deadline).await;
        let mut body = acknowledgement(receipt, &progress);
        if progress.reached >= Some(level) {
            reached += progress.place.map_or(0, |place| u64::from(place.count));
        } else if let Some(refusal) = failure(&progress) {
            body.insert("code".into(), json!(refusal.code.as_str()));
            body.insert("reason".into(), json!(refusal.reason));
            refused = refused.or(Some(refusal));
        } else {
            body.insert("url".into(), json!(read_back_url(receipt, &progress)));
        }
        acknowledgements.push(Value::Object(body));
    }
    let mut answer = json!({
        "level": level.as_str(), "count": total, "reached": reached, "acknowledgements": acknowledgements,
    });
    let status = match refused {
        Some(refusal) => {
            answer["code"] = json!(refusal.code.as_str());
            answer["reason"] = json!(format!("{reached} of {total} events reached it: {}", refusal.reason));
            super::error::status_of(refusal.code)
        }
        None if reached < total as u64 => StatusCode::ACCEPTED,
        None => StatusCode::OK,
    };
    Ok(json_response(status, answer.to_string()))
}

/// Why a publish is not going to reach its level, or has not so far.
fn failure(progress: &Progress) -> Option<Refusal> {
    // What is stored and only waits for its seal has no failure, whatever trouble there is on the way.
    let trouble = progress.trouble.clone().filter(|_| progress.reached < Some(Level::Stored));
    progress.refused.clone().or(trouble)
}

/// What is known of a publish: the fields of an acknowledgement.
pub fn acknowledgement(receipt: &Receipt, progress: &Progress) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("level".into(), json!(progress.reached.map(Level::as_str)));
    if let Some(place) = progress.place {
        body.insert("lane".into(), json!(place.lane.to_string()));
        body.insert("sequence".into(), json!(place.sequence));
        body.insert("count".into(), json!(place.count));
        body.insert("timestamp".into(), json!(place.timestamp_ms));
    }
    body.insert("partition".into(), json!(receipt.slot.partition));
    body.insert("publisherId".into(), json!(receipt.origin.to_string()));
    body
}

/// Where to look whether events are kept.
fn read_back_url(receipt: &Receipt, progress: &Progress) -> Option<String> {
    let place = progress.place?;
    Some(format!(
        "/streams/{}/data/partitions/{}/range?fromTimestamp={time}&toTimestamp={time}&fromSequenceNumber={first}\
         &toSequenceNumber={first}&msgChainId={lane}",
        receipt.slot.stream,
        receipt.slot.partition,
        time = place.timestamp_ms,
        first = place.sequence,
        lane = place.lane
    ))
}

/// How long a request waits for its level.
pub fn timeout(parameters: &Parameters) -> Result<Duration, ApiError> {
    let Some(text) = parameters.text("timeout") else { return Ok(HTTP_ACK_TIMEOUT) };
    let most = MAX_HTTP_ACK_TIMEOUT.as_secs();
    let seconds: Option<u64> = text.parse().ok().filter(|seconds| *seconds <= most);
    seconds.map(Duration::from_secs).ok_or_else(|| wrong("timeout", text, &format!("seconds, 0 to {most}")))
}
