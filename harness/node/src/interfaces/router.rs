//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::services::Services;
use super::{auth, batches, publish, read, socket_publish, socket_subscribe, streams, system};

/// The one router that both ports serve.
pub fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/streams", get(streams::list).post(streams::create))
        .route("/streams/{id}", get(streams::get).post(publish::publish))
        .route("/streams/{id}/batches", post(batches::publish))
        .route("/streams/{id}/publish", get(socket_publish::publish))
        .route("/streams/{id}/subscribe", get(socket_subscribe::subscribe))
        .route("/streams/{id}/data/partitions/{partition}/{operation}", get(read::data))
        .route("/streams/{id}/metadata/partitions/{partition}", get(read::metadata))
        .route("/auth/nonce", get(auth::nonce))
        .route("/auth/sign-in", post(auth::sign_in))
        .route("/auth/sign-out", post(auth::sign_out))
        .route("/info", get(system::info))
        .route("/status", get(system::status))
        .route("/healthz", get(system::health))
        .route("/readyz", get(system::ready))
        .route("/metrics", get(system::metrics))
        .route("/rpc", post(system::rpc))
        .route("/admin/brokers/{broker}/{action}", post(system::switch))
        .fallback(system::nowhere)
        .method_not_allowed_fallback(system::wrong_method)
        .with_state(services)
}
