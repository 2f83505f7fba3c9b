//! `POST /streams/{id}/batches`: publish batches that are signed elsewhere, by anybody who may publish.
//!
//! The body is a sequence of batches in canonical bytes, each after the number of its bytes (u32, big-endian), as a
//! binary reading gives them but for the slices. They are handed on in their order, so batches of one lane may stand
//! one after the other. `ack` is the level to wait for, `timeout` how many seconds at most.
//!
//! Every batch has its answer, in the order of the body: `answers` of
//! `{"lane", "sequence", "count", "partition", "publisherId", "level"}`, with `code` and `reason` where it is refused.
//! A body that is not of this form is refused as a whole, and nothing of it is published. The status is 200 if all have
//! reached the level, 202 if some have not yet, and otherwise that of the first refusal: the others may have reached it
//! all the same. A batch that is sent again is the same batch: it is answered with the level that it has.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use weir_kernel::batch::Batch;
use weir_kernel::broker::{Command, Level, Refusal, RefusalCode, Reply};
use weir_kernel::ids::StreamId;
use weir_kernel::verify::{Verified, verify};

use super::body::read_body;
use super::counters::count;
use super::error::{ApiError, json_response, status_of};
use super::publish::timeout;
use super::server::Peer;
use super::services::Services;
use crate::handle::Session;
use crate::service::limits::{MAX_BATCH_BODY_BYTES, MAX_BODY_BATCHES, REOPEN_PAUSE, RESEND_INTERVAL};
use crate::verifier::NativeVerifier;

const KNOWN: [&str; 2] = ["ack", "timeout"];

/// One batch and how far it is.
struct Published {
    batch: Verified<Batch>,
    reached: Option<Level>,
    refused: Option<Refusal>,
}

/// See the module's text.
pub async fn publish(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (parameters, _) = services.request(&headers, &uri, &KNOWN, peer)?;
    let stream = services.stream(&id)?;
    let (level, patience) = (parameters.level()?, timeout(&parameters)?);
    let bytes = read_body(&headers, body, MAX_BATCH_BODY_BYTES).await?;
    let chain_id = services.sign_in.chain_id();
    // Hashing takes a while: not on the threads that serve connections.
    let verified = tokio::task::spawn_blocking(move || verify_all(&bytes, chain_id, stream)).await;
    let mut batches = verified.map_err(|error| ApiError::internal(error.to_string()))??;
    count(&services.counters.batches, batches.len() as u64);
    for published in &mut batches {
        published.refused = services.gateway.check_slot(published.batch.header().slot()).err();
    }
    hand_on(&services, &mut batches, level, Instant::now() + patience).await;
    let refused = batches.iter().filter(|published| published.refused.is_some()).count();
    count(&services.counters.refused, refused as u64);
    Ok(answer(&batches, level))
}

/// Takes a body apart and checks every signature in it.
fn verify_all(mut body: &[u8], chain_id: u64, stream: StreamId) -> Result<Vec<Published>, ApiError> {
    let mut batches = Vec::new();
    while !body.is_empty() {
        let number = batches.len();
        if number == MAX_BODY_BATCHES {
            let reason = format!("a body has at most {MAX_BODY_BATCHES} batches: send the others in another");
            return Err(ApiError::invalid(reason));
        }
        let part = body.split_first_chunk::<4>().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            rest.split_at_checked(length)
        });
        let Some((bytes, rest)) = part else {
            let reason = format!(
                "batch {number} is cut short: each batch comes after the number of its bytes (u32, big-endian)"
            );
            return Err(ApiError::invalid(reason));
        };
        let batch = verify(bytes.into(), chain_id, &NativeVerifier).map_err(|error| {
            let refusal = Refusal::from(&error);
            ApiError { reason: format!("batch {number}: {}", refusal.reason), ..refusal.into() }
        })?;
        if batch.header().stream != stream {
            let other = batch.header().stream;
            return Err(ApiError::invalid(format!("batch {number} is of stream {other}, not of {stream}")));
        }
        batches.push(Published { batch, reached: None, refused: None });
        body = rest;
    }
    if batches.is_empty() {
        return Err(ApiError::invalid("the body has no batch"));
    }
    Ok(batches)
}

/// Publishes until each batch has reached the level or is refused, or time is up. A batch whose broker stopped goes to
/// another one.
async fn hand_on(services: &Services, batches: &mut [Published], level: Level, deadline: Instant) {
    let mut session: Option<Session> = None;
    while batches.iter().any(|published| published.is_open(level)) && Instant::now() < deadline {
        let Ok(mut open) = session.take().map_or_else(|| services.gateway.open_session(), Ok) else {
            sleep_until(deadline.min(Instant::now() + REOPEN_PAUSE)).await;
            continue;
        };
        let sent = tokio::time::timeout_at(deadline, send(&open, batches, level)).await;
        if sent.is_ok_and(|sent| sent.is_ok())
            && hear(&mut open, batches, level, deadline.min(Instant::now() + RESEND_INTERVAL)).await
        {
            session = Some(open);
        } else {
            sleep_until(deadline.min(Instant::now() + REOPEN_PAUSE)).await;
        }
    }
}

impl Published {
    /// Whether something is still to be said about it.
    fn is_open(&self, level: Level) -> bool {
        self.refused.is_none() && self.reached < Some(level)
    }
}

/// Hands every batch that is open to the broker.
async fn send(
    session: &Session,
    batches: &[Published],
    level: Level,
) -> Result<(), crate::handle::NodeStopped> {
    for (request, published) in (0..).zip(batches) {
        if published.is_open(level) {
            let batch = published.batch.clone();
            session.command(Command::Publish { request, batch, level }).await?;
        }
    }
    Ok(())
}

/// Hears about them until all is said or it is time to send again; false if the session ended.
async fn hear(session: &mut Session, batches: &mut [Published], level: Level, until: Instant) -> bool {
    while batches.iter().any(|published| published.is_open(level)) {
        let reply = tokio::select! {
            reply = session.reply() => reply,
            () = sleep_until(until) => return true,
        };
        let Some(reply) = reply else { return false };
        let (request, outcome) = match reply {
            Reply::Published { request, level, .. } => (request, Ok(level)),
            Reply::Refused { request, refusal } => (request, Err(refusal)),
            _ => continue,
        };
        let Some(published) = usize::try_from(request).ok().and_then(|at| batches.get_mut(at)) else {
            continue;
        };
        match outcome {
            Ok(level) => published.reached = published.reached.max(Some(level)),
            // What is stored only waits for its seal.
            Err(refusal) if published.reached < Some(Level::Stored) => published.refused = Some(refusal),
            Err(_) => {}
        }
    }
    true
}

fn answer(batches: &[Published], level: Level) -> Response {
    let answers: Vec<Value> = batches.iter().map(answer_one).collect();
    let reached = batches.iter().filter(|published| published.reached >= Some(level)).count();
    let mut body = json!({
        "level": level.as_str(), "count": batches.len(), "reached": reached, "answers": answers,
    });
    let refused = batches.iter().find_map(|published| published.refused.as_ref());
    let status = match refused {
        Some(refusal) => {
            body["code"] = json!(refusal.code.as_str());
            let reason = format!("{reached} of {} batches reached it: {}", batches.len(), refusal.reason);
            body["reason"] = json!(reason);
            status_of(refusal.code)
        }
        None if reached < batches.len() => {
            let reason = format!("{} is not reached yet: send the same bytes again to see", level.as_str());
            body["code"] = json!(RefusalCode::Unavailable.as_str());
            body["reason"] = json!(reason);
            StatusCode::ACCEPTED
        }
        None => StatusCode::OK,
    };
    json_response(status, body.to_string())
}

fn answer_one(published: &Published) -> Value {
    let header = published.batch.header();
    let mut answer = json!({
        "lane": published.batch.lane().to_string(),
        "sequence": header.sequence,
        "count": header.count,
        "partition": header.stream_partition,
        "publisherId": header.origin.to_string(),
        "level": published.reached.map(Level::as_str),
    });
    if let Some(refusal) = &published.refused {
        answer["code"] = json!(refusal.code.as_str());
        answer["reason"] = json!(refusal.reason);
    }
    answer
}
