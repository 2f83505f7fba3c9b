//! A connection to a network, through one of its nodes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use weir_kernel::ids::{Address, StreamId};

use crate::http::{Http, RequestError, query_value, root_cause};
use crate::info::{Info, address};
use crate::key::{Key, KeyError};
use crate::sign_in;

/// How long a node may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a node may stay silent within an answer: reading cold history takes a while.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Streams asked for at a time.
const PAGE: usize = 1000;

/// Streams that a search gives at most: whoever has more narrows it down.
const MAX_FOUND: usize = 100_000;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The text is no address of a node.
    #[error("{url:?} is not the address of a node: {reason}; give one such as http://127.0.0.1:7171")]
    Url {
        /// The text.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The node does not answer as it should.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The key may not be used there.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A stream as a node describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamInfo {
    /// How many partitions it has.
    pub partitions: u32,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it carries.
    #[serde(default)]
    pub description: String,
    /// Who created it.
    #[serde(deserialize_with = "address")]
    pub owner: Address,
}

/// A network, reached through one node. Clones share the connection and the sign-in.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    info: Info,
    key: Option<Key>,
    token: Arc<Mutex<Option<String>>>,
}

impl Client {
    /// Asks the node at `url` for its network. `key` signs batches and transactions, and signs in where
    /// reading needs a permission; a reader of public streams needs none.
    ///
    /// # Errors
    ///
    /// The address is none, nobody or something else answers, or the development key meets a real chain.
    pub async fn connect(url: &str, key: Option<Key>) -> Result<Self, ConnectError> {
        let base = check_url(url)?;
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .map_err(|error| ConnectError::Url { url: url.into(), reason: root_cause(&error) })?;
        let http = Http::new(base, client);
        let info: Info = http.json(http.request(Method::GET, "/info")).await?;
        if info.epoch_blocks == 0 {
            let reason = "an epoch of no blocks".into();
            return Err(RequestError::Garbled { url: url.into(), reason }.into());
        }
        if let Some(key) = &key {
            key.check_chain(info.chain_id)?;
        }
        Ok(Self { http, info, key, token: Arc::default() })
    }

    /// The same connection with a key to sign with.
    ///
    /// # Errors
    ///
    /// The development key on a real chain.
    pub fn with_key(self, key: Key) -> Result<Self, KeyError> {
        key.check_chain(self.info.chain_id)?;
        Ok(Self { key: Some(key), token: Arc::default(), ..self })
    }

    /// The network, as it was when this client connected.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The key that signs.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Asks for the network again: its height moves on.
    pub async fn refresh_info(&self) -> Result<Info, RequestError> {
        self.http.json(self.http.request(Method::GET, "/info")).await
    }

    /// What a node knows about a stream.
    pub async fn stream(&self, stream: StreamId) -> Result<StreamInfo, RequestError> {
        let document = self.stream_document(stream).await?;
        let url = format!("{}/streams/{stream}", self.http.base());
        let info: StreamInfo = serde_json::from_value(document)
            .map_err(|error| RequestError::Garbled { url: url.clone(), reason: error.to_string() })?;
        if info.partitions == 0 {
            return Err(RequestError::Garbled { url, reason: "a stream without partitions".into() });
        }
        Ok(info)
    }

    /// The stream as the node shows it: one JSON object.
    pub async fn stream_document(&self, stream: StreamId) -> Result<Value, RequestError> {
        self.get(&format!("/streams/{stream}")).await
    }

    /// The streams of an owner, or whose name or description holds a text, as the node lists them.
    pub async fn search(
        &self,
        owner: Option<Address>,
        text: Option<&str>,
    ) -> Result<Vec<Value>, RequestError> {
        let owner = owner.map_or_else(String::new, |owner| format!("&owner={owner}"));
        let text = text.map_or_else(String::new, |text| format!("&search={}", query_value(text)));
        let mut streams = Vec::new();
        while streams.len() < MAX_FOUND {
            let path = format!("/streams?limit={PAGE}&offset={}{owner}{text}", streams.len());
            let Value::Array(page) = self.get(&path).await? else {
                return Err(self.garbled("/streams", "no list of streams"));
            };
            let last = page.len() < PAGE;
            streams.extend(page);
            if last {
                break;
            }
        }
        Ok(streams)
    }

    /// The network's status: the object that `weir status --json` prints.
    pub async fn status(&self) -> Result<Value, RequestError> {
        self.get("/status").await
    }

    /// Stops or starts a broker of a network on this machine.
    pub async fn set_broker(&self, broker: u32, running: bool) -> Result<(), RequestError> {
        let verb = if running { "start" } else { "stop" };
        let request = self.request(Method::POST, &format!("/admin/brokers/{broker}/{verb}"));
        self.http.send(request).await.map(drop)
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// A request that carries the sign-in, if there is one.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, path);
        match self.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.token.lock().expect("no holder panics").clone()
    }

    /// Signs in with the key (EIP-4361), so that the node takes what is asked from now on as asked by its
    /// address. Does nothing without a key. Requests that are refused for want of it sign in by themselves.
    ///
    /// # Errors
    ///
    /// The node's refusal, or that it is gone.
    pub async fn sign_in(&self) -> Result<(), RequestError> {
        let Some(key) = &self.key else { return Ok(()) };
        let token = sign_in::sign_in(&self.http, self.info.chain_id, key).await?;
        *self.token.lock().expect("no holder panics") = Some(token);
        Ok(())
    }

    /// Signs in because of a refusal.
    ///
    /// # Errors
    ///
    /// The node's refusal; `refusal` itself when there is no key to sign in with.
    pub(crate) async fn sign_in_after(&self, refusal: RequestError) -> Result<(), RequestError> {
        if self.key.is_none() { Err(refusal) } else { self.sign_in().await }
    }

    /// The address of a WebSocket path: every port of a node serves both.
    pub(crate) fn websocket_url(&self, path: &str) -> String {
        let base = self.http.base();
        format!("ws{}{path}", base.strip_prefix("http").unwrap_or(base))
    }

    async fn get(&self, path: &str) -> Result<Value, RequestError> {
        match self.http.json(self.request(Method::GET, path)).await {
            Err(refusal) if refusal.wants_sign_in() && self.key.is_some() => {
                self.sign_in_after(refusal).await?;
                self.http.json(self.request(Method::GET, path)).await
            }
            answer => answer,
        }
    }

    fn garbled(&self, path: &str, reason: &str) -> RequestError {
        RequestError::Garbled { url: format!("{}{path}", self.http.base()), reason: reason.into() }
    }
}

fn check_url(url: &str) -> Result<String, ConnectError> {
    let refuse = |reason: &str| ConnectError::Url { url: url.into(), reason: reason.into() };
    let parsed = reqwest::Url::parse(url).map_err(|error| refuse(&error.to_string()))?;
    match parsed.scheme() {
        "http" if parsed.host().is_some() => {}
        "https" => {
            return Err(refuse("this client speaks plain HTTP; put a TLS proxy on your side in between"));
        }
        _ => return Err(refuse("it does not begin with http://")),
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(refuse("nothing may follow host, port and path"));
    }
    Ok(parsed.as_str().trim_end_matches('/').into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_before_it_is_used() {
        assert_eq!(check_url("http://127.0.0.1:7171/").expect("an address"), "http://127.0.0.1:7171");
        for text in ["127.0.0.1:7171", "ftp://a", "https://a", "http://", "http://a?b", ""] {
            let error = check_url(text).expect_err(text).to_string();
            assert!(error.contains("such as http://127.0.0.1:7171"), "{error}");
        }
    }
}
