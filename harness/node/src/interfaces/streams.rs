//! Streams as JSON resources: create, show, list.
//!
//! `POST /streams` signs with the application key and is for development networks: elsewhere people create streams
//! with their own keys through the chain's JSON-RPC.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address as ChainAddress, Bytes, TxKind, U256};
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use weir_chain::calldata;
use weir_chain::mirror::{CallError, CallRequest};
use weir_chain::port::Chain;
use weir_chain::wallet::Account;
use weir_kernel::coordinator::{State as ChainState, Stream};
use weir_kernel::ids::{Address, StreamId};

use super::body::read_body;
use super::error::{ApiError, json_response};
use super::server::Peer;
use super::services::Services;
use crate::service::limits::MAX_CONTROL_BODY_BYTES;

/// Streams in one answer at most, and unless it is said otherwise.
const MAX_LISTED: usize = 1000;
const LISTED: usize = 100;

/// How long a transaction may take to be in a confirmed block.
const CONFIRMATION: Duration = Duration::from_secs(60);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreateBody {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default = "one")]
    partitions: u32,
    /// Opens reading to everybody.
    #[serde(default)]
    public: bool,
    /// Opens publishing to everybody.
    #[serde(default)]
    public_publish: bool,
}

fn one() -> u32 {
    1
}

/// Creates a stream; answers 201 with it once every broker of this process can know it.
pub async fn create(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (_, caller) = services.request(&headers, &uri, &[], peer)?;
    services.access.check_signs_for(caller)?;
    if !services.development {
        return Err(ApiError::unauthorized(
            "this node creates streams only on development networks: send the transaction yourself to POST /rpc",
        ));
    }
    let body = read_body(&headers, body, MAX_CONTROL_BODY_BYTES).await?;
    let wanted: CreateBody = serde_json::from_slice(&body).map_err(|error| {
        ApiError::invalid(format!(
            "send {{\"name\":…, \"description\"?, \"partitions\"?, \"public\"?, \"publicPublish\"?}}: {error}"
        ))
    })?;
    // In a task of its own, so that a client that goes away does not leave a transaction half sent.
    let task = tokio::spawn({
        let services = services.clone();
        async move { create_stream(&services, &wanted).await }
    });
    let stream = task.await.map_err(|error| ApiError::internal(error.to_string()))??;
    let view = services.gateway.view()?;
    let shown = view.stream(stream).map(|found| show(stream, found));
    let body = shown.ok_or_else(|| ApiError::unavailable("the stream was removed again meanwhile"))?;
    let location = format!("/streams/{stream}");
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, body.to_string()).into_response())
}

async fn create_stream(services: &Services, wanted: &CreateBody) -> Result<StreamId, ApiError> {
    let wallet = services.wallet.lock().await;
    let view = services.gateway.view()?;
    let owner = Address(wallet.address().into_array());
    if let Some(stream) = view.stream_named(owner, &wanted.name) {
        return Err(ApiError::duplicate(format!(
            "{owner} has a stream named {:?} already: {stream}",
            wanted.name
        )));
    }
    let input = calldata::create_stream(
        &wanted.name,
        &wanted.description,
        wanted.partitions,
        wanted.public,
        wanted.public_publish,
    );
    let registry = ChainAddress::from(view.contracts.registry.0);
    let hash = send(services, &wallet, registry, input)?;
    drop(wallet);
    let deadline = Instant::now() + CONFIRMATION;
    let late = || {
        ApiError::unavailable("the transaction was sent and is in no block yet: look at GET /streams later")
    };
    let receipt = loop {
        let found = services.chain.receipt(hash).map_err(|error| ApiError::internal(error.to_string()))?;
        match found {
            Some(receipt) => break receipt,
            None if Instant::now() > deadline => return Err(late()),
            None => sleep(POLL).await,
        }
    };
    if let Some(reason) = receipt.failure() {
        return Err(ApiError::invalid(format!("the registry refused the stream: {reason}")));
    }
    // `StreamCreated(address indexed stream, address indexed owner, …)`: the first indexed argument is the id.
    let created = receipt.logs.iter().find(|log| log.address == registry && log.topics().len() == 3);
    let stream = created
        .map(|log| StreamId(ChainAddress::from_word(log.topics()[1]).into_array()))
        .ok_or_else(|| ApiError::internal("the registry did not report the stream that it created"))?;
    while !services
        .gateway
        .nodes()
        .iter()
        .all(|node| !node.is_running() || node.view().stream(stream).is_some())
    {
        if Instant::now() > deadline {
            return Err(late());
        }
        sleep(POLL).await;
    }
    Ok(stream)
}

/// Signs and sends a transaction of the application key.
fn send(
    services: &Services,
    wallet: &weir_chain::wallet::Wallet,
    to: ChainAddress,
    input: Bytes,
) -> Result<alloy_primitives::B256, ApiError> {
    let chain = &services.chain;
    let call = CallRequest {
        from: wallet.address(),
        to: Some(to),
        data: input.clone(),
        in_next_block: true,
        ..CallRequest::default()
    };
    let gas = chain.estimate_gas(&call).map_err(|error| match error {
        CallError::Revert { reason, .. } => {
            ApiError::invalid(format!("the registry refuses the stream: {reason}"))
        }
        other => ApiError::unavailable(other.to_string()),
    })?;
    let mut account = Account::new(wallet.clone(), chain.chain_id(), chain.nonce(wallet.address()));
    let raw = account.sign(TxKind::Call(to), U256::ZERO, input, gas);
    chain
        .submit(&raw)
        .map_err(|error| ApiError::unavailable(format!("the chain refuses the transaction: {error}")))
}

/// `GET /streams/{id}`.
pub async fn get(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let stream = services.stream(&id)?;
    let view = services.gateway.view()?;
    let found = view.stream(stream).ok_or_else(|| crate::service::gateway::no_stream(stream))?;
    Ok(json_response(StatusCode::OK, show(stream, found).to_string()))
}

/// `GET /streams?owner=&search=&offset=&limit=`: streams by id; a search is in names and descriptions, in any case.
pub async fn list(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let known = ["owner", "search", "offset", "limit"];
    let (parameters, _) = services.request(&headers, &uri, &known, peer)?;
    let owner = parameters.parse::<Address>("owner", "an address: 0x and 40 hexadecimal digits")?;
    let search = parameters.text("search").map(str::to_lowercase);
    let offset = parameters.parse::<usize>("offset", "a number from 0")?.unwrap_or(0);
    let limit = parameters.parse::<usize>("limit", "a number")?.unwrap_or(LISTED).min(MAX_LISTED);
    let view = services.gateway.view()?;
    let streams: Vec<Value> = matching(&view, owner, search.as_deref()).skip(offset).take(limit).collect();
    Ok(json_response(StatusCode::OK, Value::Array(streams).to_string()))
}

fn matching<'a>(
    view: &'a ChainState,
    owner: Option<Address>,
    search: Option<&'a str>,
) -> impl Iterator<Item = Value> + 'a {
    let wanted = move |stream: &Stream| {
        let holds = |text: &str| search.is_none_or(|search| text.to_lowercase().contains(search));
        stream.exists_at(view.height)
            && owner.is_none_or(|owner| owner == stream.owner)
            && (holds(stream.name()) || holds(stream.description()))
    };
    view.streams.iter().filter(move |(_, stream)| wanted(stream)).map(|(id, stream)| show(*id, stream))
}

/// A stream as JSON.
fn show(id: StreamId, stream: &Stream) -> Value {
    let everybody = stream.permission(Address::ZERO);
    let retention = stream.retention();
    json!({
        "id": id.to_string(),
        "name": stream.name(),
        "description": stream.description(),
        "partitions": stream.partitions,
        "owner": stream.owner.to_string(),
        "public": everybody.subscribe_until > 0,
        "publicPublish": everybody.publish_until > 0,
        "retention": { "ageSeconds": retention.age_s, "sizeBytes": retention.size_bytes },
        "createdBlock": stream.created_block,
    })
}
