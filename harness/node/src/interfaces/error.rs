//! Errors as clients see them: the one place where refusals become HTTP statuses and JSON.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use weir_kernel::broker::{Refusal, RefusalCode};

use crate::service::siwe::SignInError;

/// An error with its status: `{"code":…,"reason":…}`. Codes are those of [`RefusalCode`], and `unauthenticated`,
/// `too-large`, `unsupported` and `internal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable and machine-readable.
    pub code: &'static str,
    /// What was wrong, where, and what to do.
    pub reason: String,
}

impl ApiError {
    /// Something about the request is wrong.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid", reason: reason.into() }
    }

    /// Nobody is shown to ask.
    pub fn unauthenticated(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, code: "unauthenticated", reason: reason.into() }
    }

    /// Who asks may not.
    pub fn unauthorized(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "unauthorized", reason: reason.into() }
    }

    /// There is no such thing.
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not-found", reason: reason.into() }
    }

    /// It is longer than allowed.
    pub fn too_large(what: &str, limit_bytes: usize) -> Self {
        let reason = format!("{what} is longer than {limit_bytes} bytes: split it");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "too-large", reason }
    }

    /// It clashes with what is there.
    pub fn duplicate(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, code: "duplicate", reason: reason.into() }
    }

    /// It cannot be done now.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", reason: reason.into() }
    }

    /// A bug of this program.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "internal", reason: reason.into() }
    }
}

/// The status of a refusal.
pub fn status_of(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::Invalid => StatusCode::BAD_REQUEST,
        RefusalCode::Unauthorized => StatusCode::FORBIDDEN,
        RefusalCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::Duplicate | RefusalCode::OutOfOrder | RefusalCode::Forked => StatusCode::CONFLICT,
        RefusalCode::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        RefusalCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::NotFound => StatusCode::NOT_FOUND,
        RefusalCode::SessionExpired | RefusalCode::SessionInvalid => StatusCode::FORBIDDEN,
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self { status: status_of(refusal.code), code: refusal.code.as_str(), reason: refusal.reason }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Malformed(_) => Self::invalid(error.to_string()),
            _ => Self::unauthenticated(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code, "reason": self.reason }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON response.
pub fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
