//! Sign-in with Ethereum (EIP-4361) over HTTP: `GET /auth/nonce`, `POST /auth/sign-in`, `POST /auth/sign-out`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::body::read_body;
use super::error::{ApiError, json_response};
use super::query::Parameters;
use super::services::Services;
use crate::service::limits::MAX_SIGN_IN_BYTES;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInBody {
    message: String,
    signature: String,
}

/// A nonce, and what else a sign-in message must name.
pub async fn nonce(State(services): State<Arc<Services>>, uri: Uri) -> Result<Response, ApiError> {
    Parameters::read(&uri, &[])?;
    let body = json!({
        "nonce": services.sign_in.nonce(Timestamp::now()),
        "chainId": services.sign_in.chain_id(),
        "domains": services.sign_in.domains().collect::<Vec<_>>(),
        "statement": "sign an EIP-4361 message with this nonce and POST it as {message, signature} to /auth/sign-in",
    });
    Ok(json_response(StatusCode::OK, body.to_string()))
}

/// Trades a signed message for a bearer token.
pub async fn sign_in(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read_body(&headers, body, MAX_SIGN_IN_BYTES).await?;
    let SignInBody { message, signature } = serde_json::from_slice(&body).map_err(|error| {
        ApiError::invalid(format!("send {{\"message\":…,\"signature\":\"0x…\"}}: {error}"))
    })?;
    let digits = signature.strip_prefix("0x").unwrap_or(&signature);
    let signature = hex::decode(digits)
        .map_err(|_| ApiError::invalid("the signature is 0x and 130 hexadecimal digits"))?;
    let token = services.sign_in.sign_in(&message, &signature, Timestamp::now())?;
    let body = json!({
        "token": token.token,
        "address": token.address.to_string(),
        "expiresAt": token.expires_at.to_string(),
    });
    Ok(json_response(StatusCode::OK, body.to_string()))
}

/// Forgets the token that the request carries.
pub async fn sign_out(
    State(services): State<Arc<Services>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let token = headers
        .get(axum::http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| ApiError::unauthenticated("send the token to forget as Authorization: Bearer"))?;
    let forgotten = services.sign_in.sign_out(token, Timestamp::now());
    Ok(json_response(StatusCode::OK, json!({ "signedOut": forgotten }).to_string()))
}
