//! The node about itself: info, status, health, metrics, the chain's JSON-RPC, and the administration of brokers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::body::read_body;
use super::error::{ApiError, json_response};
use super::server::Peer;
use super::services::Services;
use crate::service::limits::MAX_RPC_BODY_BYTES;
use crate::service::status::status_of;

/// `GET /info`: where everything is.
pub async fn info(State(services): State<Arc<Services>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let view = services.gateway.view()?;
    let [http, websocket] = services.listening;
    // Clients use the name they came by: the node may be known by another one than the address it listens on.
    let host =
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_plain_host(host));
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let reached = |address: SocketAddr| match name {
        Some(name) if address.ip().is_unspecified() => format!("{name}:{}", address.port()),
        _ => address.to_string(),
    };
    let mut body = json!({
        "chainId": view.chain_id,
        "rpc": "/rpc",
        "http": format!("http://{}", reached(http)),
        "websocket": format!("ws://{}", reached(websocket)),
        "registry": view.contracts.registry.to_string(),
        "coordinator": view.contracts.coordinator.to_string(),
        "token": view.contracts.token.to_string(),
        "height": view.height,
        "epoch": view.epoch(),
        "epochBlocks": view.params.epoch_blocks,
        "replicas": view.params.replicas,
        "partitions": view.partition_count(),
        "application": services.publisher.address().to_string(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let optional = [
        ("fees", view.contracts.fees),
        ("karma", view.contracts.karma),
        ("licenseFactory", view.contracts.license_factory),
        ("eventDelivery", view.contracts.event_delivery),
    ];
    for (name, address) in optional.into_iter().filter(|(_, address)| !address.is_zero()) {
        body[name] = address.to_string().into();
    }
    Ok(json_response(StatusCode::OK, body.to_string()))
}

fn is_plain_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

/// `GET /status`.
pub async fn status(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    let status = status_of(&services.gateway)?;
    let body = serde_json::to_string(&status).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(json_response(StatusCode::OK, body))
}

/// `GET /healthz`: the process answers.
pub async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: a broker runs and the partitions that the network began with have members. One that was added has
/// nothing to serve before.
pub async fn ready(State(services): State<Arc<Services>>) -> Result<&'static str, ApiError> {
    if services.gateway.running() == 0 {
        return Err(ApiError::unavailable("no broker of this process is running"));
    }
    let view = services.gateway.view()?;
    let first = view.partitions.iter().take(view.params.partitions as usize);
    let waiting = first.filter(|partition| !partition.founded).count();
    if waiting > 0 {
        return Err(ApiError::unavailable(format!("{waiting} partitions have no members yet")));
    }
    Ok("ready\n")
}

/// `GET /metrics`, in the Prometheus text format.
pub async fn metrics(State(services): State<Arc<Services>>) -> Response {
    let text = services.counters.render(&services.gateway);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// `POST /rpc`: Ethereum JSON-RPC of the chain.
pub async fn rpc(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read_body(&headers, body, MAX_RPC_BODY_BYTES).await?;
    let request: Value = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let error = json!({ "code": -32700, "message": format!("malformed JSON: {error}") });
            let answer = json!({ "jsonrpc": "2.0", "id": null, "error": error });
            return Ok(json_response(StatusCode::OK, answer.to_string()));
        }
    };
    let chain = services.chain.clone();
    // Calls run the EVM: not on the threads that serve connections.
    let answer = tokio::task::spawn_blocking(move || chain.rpc(&request));
    match answer.await.map_err(|error| ApiError::internal(error.to_string()))? {
        Some(answer) => Ok(json_response(StatusCode::OK, answer.to_string())),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// `POST /admin/brokers/{n}/stop|start`.
pub async fn switch(
    State(services): State<Arc<Services>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Path((broker, action)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, caller) = services.request(&headers, &uri, &[], peer)?;
    services.access.check_administers(caller, peer)?;
    let running = match action.as_str() {
        "start" => true,
        "stop" => false,
        text => {
            return Err(ApiError::not_found(format!("a broker can be stopped and started, not {text:?}")));
        }
    };
    let number: usize = broker
        .parse()
        .map_err(|_| ApiError::invalid(format!("{broker:?} is no number of a broker: they count from 0")))?;
    let brokers = services.gateway.nodes().len();
    if number >= brokers {
        return Err(ApiError::not_found(format!("there are brokers 0 to {}, not {number}", brokers - 1)));
    }
    let switch = services.switch.clone();
    let switch =
        switch.ok_or_else(|| ApiError::not_found("this node's broker cannot be stopped over HTTP"))?;
    switch.set_running(number, running).await.map_err(ApiError::duplicate)?;
    Ok(json_response(StatusCode::OK, json!({ "broker": number, "running": running }).to_string()))
}

/// Anything else.
pub async fn nowhere(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", uri.path()))
}

/// A known path with another method.
pub async fn wrong_method(uri: Uri) -> ApiError {
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "unsupported",
        reason: format!("{} does not take this method", uri.path()),
    }
}
