//! Who asks: an API key, a signed-in address, the development key, or nobody.
//!
//! On a development network a caller on this machine needs no key: it counts as the application key's holder. A web
//! page that a browser on this machine shows is no such caller, so requests that name a host or origin other than
//! this machine do not count (they could come from any site, directly or by a renamed host).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use weir_kernel::hash::sha256;
use weir_kernel::ids::{Address, Hash};

use super::error::ApiError;
use crate::service::SignIn;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// Somebody for whom the application key signs.
    Application,
    /// Somebody who signed in (EIP-4361).
    SignedIn(Address),
}

/// The rules of one node.
#[derive(Debug)]
pub struct Access {
    keys: BTreeSet<Hash>,
    development: bool,
    application: Address,
}

impl Access {
    /// With these API keys. `development` lets callers on this machine in without; `application` is the application
    /// key's address.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>, development: bool, application: Address) -> Self {
        let keys = keys.into_iter().map(|key| sha256(&[key.as_bytes()])).collect();
        Self { keys, development, application }
    }

    /// Finds out who asks. `api_key` is the one in the query, if there is one.
    ///
    /// # Errors
    ///
    /// A credential that is none of ours: 401, never silently nobody.
    pub fn caller(
        &self,
        sign_in: &SignIn,
        headers: &HeaderMap,
        api_key: Option<&str>,
        peer: SocketAddr,
    ) -> Result<Caller, ApiError> {
        let Some(credential) = api_key.map(Ok).or_else(|| bearer(headers)).transpose()? else {
            let trusted =
                self.development && peer.ip().to_canonical().is_loopback() && is_of_this_machine(headers);
            return Ok(if trusted { Caller::Application } else { Caller::Anonymous });
        };
        if self.keys.contains(&sha256(&[credential.as_bytes()])) {
            return Ok(Caller::Application);
        }
        let signed_in = sign_in.address(credential, Timestamp::now()).map(Caller::SignedIn);
        signed_in.ok_or_else(|| {
            ApiError::unauthenticated(
                "this API key or token is unknown or too old: sign in again (GET /auth/nonce), or ask for a key",
            )
        })
    }

    /// The address that a caller reads as.
    pub fn identity(&self, caller: Caller) -> Option<Address> {
        match caller {
            Caller::Anonymous => None,
            Caller::Application => Some(self.application),
            Caller::SignedIn(address) => Some(address),
        }
    }

    /// Whether the application key signs for a caller.
    ///
    /// # Errors
    ///
    /// Says what to do instead.
    pub fn check_signs_for(&self, caller: Caller) -> Result<(), ApiError> {
        match caller {
            Caller::Application => Ok(()),
            Caller::Anonymous => Err(ApiError::unauthenticated(
                "this node signs only for holders of its API keys: give one as ?apiKey= or Authorization: Bearer, \
                 or sign batches yourself and send them over WebSocket",
            )),
            Caller::SignedIn(address) => Err(ApiError::unauthorized(format!(
                "this node does not sign for {address}: sign batches yourself and send them over WebSocket, or use \
                 an API key"
            ))),
        }
    }

    /// Whether a caller may stop and start brokers.
    ///
    /// # Errors
    ///
    /// Says who may.
    pub fn check_administers(&self, caller: Caller, peer: SocketAddr) -> Result<(), ApiError> {
        if caller == Caller::Application && peer.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(ApiError::unauthorized("brokers are stopped and started only from the machine they run on"))
    }
}

fn bearer(headers: &HeaderMap) -> Option<Result<&str, ApiError>> {
    let value = headers.get(header::AUTHORIZATION)?;
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    Some(
        token.ok_or_else(|| {
            ApiError::unauthenticated("Authorization must be \"Bearer\" and an API key or token")
        }),
    )
}

/// Whether host and origin, if named, are this machine.
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let host = |value: &str| is_loopback_authority(value);
    let origin =
        |value: &str| value.split_once("://").is_some_and(|(_, authority)| is_loopback_authority(authority));
    let holds = |name, test: &dyn Fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(test))
    };
    holds(header::HOST, &host) && holds(header::ORIGIN, &origin)
}

fn is_loopback_authority(authority: &str) -> bool {
    let without_port = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = without_port.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(
        development: bool,
        peer: &str,
        headers: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Caller, u16> {
        let access = Access::new(["secret"], development, Address([1; 20]));
        let sign_in = SignIn::new(1, []);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        access.caller(&sign_in, &map, key, peer.parse().unwrap()).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn only_this_machine_needs_no_key_and_only_in_development() {
        let local = [("host", "127.0.0.1:7171")];
        assert_eq!(caller(true, "127.0.0.1:5", &local, None), Ok(Caller::Application));
        assert_eq!(caller(true, "[::1]:5", &[("host", "[::1]:7171")], None), Ok(Caller::Application));
        assert_eq!(caller(false, "127.0.0.1:5", &local, None), Ok(Caller::Anonymous));
        assert_eq!(caller(true, "10.0.0.9:5", &local, None), Ok(Caller::Anonymous));
    }

    #[test]
    fn a_web_page_of_another_site_is_not_this_machine() {
        let foreign_origin = [("host", "localhost:7171"), ("origin", "https://evil.example")];
        let renamed_host = [("host", "evil.example:7171")];
        let opaque_origin = [("host", "localhost:7171"), ("origin", "null")];
        let own_page = [("host", "localhost:7171"), ("origin", "http://localhost:3000")];
        for headers in [&foreign_origin[..], &renamed_host, &opaque_origin] {
            assert_eq!(caller(true, "127.0.0.1:5", headers, None), Ok(Caller::Anonymous));
        }
        assert_eq!(caller(true, "127.0.0.1:5", &own_page, None), Ok(Caller::Application));
        assert!(!is_loopback_authority("localhost.evil.example"));
        assert!(!is_loopback_authority("127.0.0.1.evil.example:80"));
    }

    #[test]
    fn credentials_count_or_are_refused() {
        assert_eq!(caller(false, "10.0.0.9:5", &[], Some("secret")), Ok(Caller::Application));
        assert_eq!(
            caller(false, "10.0.0.9:5", &[("authorization", "bearer secret")], None),
            Ok(Caller::Application)
        );
        assert_eq!(caller(true, "127.0.0.1:5", &[], Some("guess")), Err(401));
        assert_eq!(caller(true, "127.0.0.1:5", &[("authorization", "Basic eA==")], None), Err(401));
    }
}
