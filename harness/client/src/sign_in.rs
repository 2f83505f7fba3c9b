//! Signing in with an Ethereum key (EIP-4361), for streams that not everybody may read.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::http::{Http, RequestError};
use crate::key::Key;
use crate::time::{format_time_ms, now_ms};

/// How long the message is good: it is used at once.
const MESSAGE_LIFE_MS: u64 = 120_000;

#[derive(Deserialize)]
struct Nonce {
    nonce: String,
}

#[derive(Deserialize)]
struct SignedIn {
    token: String,
}

/// Trades a signed message for a bearer token.
pub(crate) async fn sign_in(http: &Http, chain_id: u64, key: &Key) -> Result<String, RequestError> {
    let Nonce { nonce } = http.json(http.request(Method::GET, "/auth/nonce")).await?;
    let message = message(http.base(), chain_id, key, &nonce, now_ms());
    let signature = format!("0x{}", hex::encode(key.sign_message(&message)));
    let body = json!({ "message": message, "signature": signature });
    let SignedIn { token } = http.json(http.request(Method::POST, "/auth/sign-in").json(&body)).await?;
    Ok(token)
}

/// The text that EIP-4361 prescribes, line by line.
fn message(base: &str, chain_id: u64, key: &Key, nonce: &str, now_ms: u64) -> String {
    let domain = base.split("://").nth(1).unwrap_or(base).split('/').next().unwrap_or(base);
    let issued = format_time_ms(now_ms);
    let expires = format_time_ms(now_ms + MESSAGE_LIFE_MS);
    format!(
        "{domain} wants you to sign in with your Ethereum account:\n{address}\n\n\
         Read streams of weir.\n\nURI: {base}\nVersion: 1\nChain ID: {chain_id}\nNonce: {nonce}\n\
         Issued At: {issued}\nExpiration Time: {expires}",
        address = key.wallet().address().to_checksum(None),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_prescribed_lines() {
        let text =
            message("http://127.0.0.1:7171", 31337, &Key::development(), "abcdef12", 1_517_966_773_840);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "127.0.0.1:7171 wants you to sign in with your Ethereum account:",
                "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                "",
                "Read streams of weir.",
                "",
                "URI: http://127.0.0.1:7171",
                "Version: 1",
                "Chain ID: 31337",
                "Nonce: abcdef12",
                "Issued At: 2018-02-07T01:26:13.84Z",
                "Expiration Time: 2018-02-07T01:28:13.84Z",
            ]
        );
    }
}
