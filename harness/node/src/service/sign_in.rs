//! Sign in with Ethereum (EIP-4361): nonces out, bearer tokens back.
//!
//! A client asks for a nonce, has its wallet sign a message that names this node, the chain and the nonce, and
//! trades message and signature for a token. Tokens live in memory: after a restart clients sign in again. Nonces
//! are good once, so a message that was seen on the wire is worth nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use weir_kernel::ids::Address;

use super::limits::{MAX_NONCES, MAX_TOKENS, NONCE_LIFE, TOKEN_LIFE};
use super::siwe::{SignInError, SignInMessage, check_signature};

/// A bearer token and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// 64 hexadecimal digits; a secret.
    pub token: String,
    /// Who signed in.
    pub address: Address,
    /// Not good from then on.
    pub expires_at: Timestamp,
}

/// Hands out nonces and tokens.
#[derive(Debug)]
pub struct SignIn {
    chain_id: u64,
    domains: BTreeSet<String>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    nonces: Expiring<()>,
    tokens: Expiring<Address>,
}

/// Entries by key that are forgotten at their time, or earlier, oldest first, when there are too many.
#[derive(Debug)]
struct Expiring<V> {
    entries: BTreeMap<String, (Timestamp, V)>,
    by_time: BTreeSet<(Timestamp, String)>,
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<V> Expiring<V> {
    fn insert(&mut self, key: String, until: Timestamp, value: V, most: usize) {
        self.by_time.insert((until, key.clone()));
        self.entries.insert(key, (until, value));
        while self.entries.len() > most {
            let Some((_, oldest)) = self.by_time.pop_first() else { break };
            self.entries.remove(&oldest);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while self.by_time.first().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.entries.remove(&key);
            }
        }
    }

    fn get(&mut self, key: &str, now: Timestamp) -> Option<&V> {
        self.forget(now);
        self.entries.get(key).map(|(_, value)| value)
    }

    fn take(&mut self, key: &str, now: Timestamp) -> Option<V> {
        self.forget(now);
        let (until, value) = self.entries.remove(key)?;
        self.by_time.remove(&(until, key.to_owned()));
        Some(value)
    }
}

impl SignIn {
    /// For one chain. `domains` are the authorities (`host` or `host:port`) that this node is reached by; a message
    /// for any other is refused, so that another site cannot pass on what was signed for it.
    pub fn new(chain_id: u64, domains: impl IntoIterator<Item = String>) -> Self {
        let domains = domains.into_iter().map(|domain| domain.to_ascii_lowercase()).collect();
        Self { chain_id, domains, books: Mutex::default() }
    }

    /// The chain id that messages must name.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The authorities that messages may name, in order.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(String::as_str)
    }

    /// A nonce for one message, good for [`NONCE_LIFE`].
    pub fn nonce(&self, now: Timestamp) -> String {
        let nonce = random_hex::<16>();
        self.books().nonces.insert(nonce.clone(), after(now, NONCE_LIFE), (), MAX_NONCES);
        nonce
    }

    /// Trades a signed message for a token.
    ///
    /// # Errors
    ///
    /// [`SignInError`] says which check failed. The nonce is used up only by a message that is right in everything
    /// else, so that nobody can spend another's.
    pub fn sign_in(&self, text: &str, signature: &[u8], now: Timestamp) -> Result<Token, SignInError> {
        let message = SignInMessage::parse(text)?;
        if !self.domains.contains(&message.domain.to_ascii_lowercase()) {
            let expected = self.domains().collect::<Vec<_>>().join(", ");
            return Err(SignInError::WrongDomain { found: message.domain, expected });
        }
        if message.chain_id != self.chain_id {
            return Err(SignInError::WrongChain { found: message.chain_id, expected: self.chain_id });
        }
        message.check_times(now)?;
        check_signature(text, signature, message.address)?;
        let mut books = self.books();
        books.nonces.take(&message.nonce, now).ok_or(SignInError::UnknownNonce)?;
        let latest = after(now, TOKEN_LIFE);
        let expires_at = message.expiration_time.map_or(latest, |expiration| expiration.min(latest));
        let token = random_hex::<32>();
        books.tokens.insert(token.clone(), expires_at, message.address, MAX_TOKENS);
        Ok(Token { token, address: message.address, expires_at })
    }

    /// Whom a token stands for now.
    pub fn address(&self, token: &str, now: Timestamp) -> Option<Address> {
        self.books().tokens.get(token, now).copied()
    }

    /// Forgets a token.
    pub fn sign_out(&self, token: &str, now: Timestamp) -> bool {
        self.books().tokens.take(token, now).is_some()
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().expect("no holder panics")
    }
}

fn after(now: Timestamp, life: Duration) -> Timestamp {
    now.checked_add(life).unwrap_or(Timestamp::MAX)
}

/// Hexadecimal digits of `N` random bytes.
fn random_hex<const N: usize>() -> String {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::siwe::personal_hash;
    use weir_kernel::signature::SecretKey;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn signed(key: &SecretKey, domain: &str, chain_id: u64, nonce: &str) -> (String, Vec<u8>) {
        let address = key.address();
        let text = format!(
            "{domain} wants you to sign in with your Ethereum account:\n{address}\n\n\nURI: http://{domain}\n\
             Version: 1\nChain ID: {chain_id}\nNonce: {nonce}\nIssued At: {}\nExpiration Time: {}",
            at(0),
            at(3600)
        );
        let bytes = key.sign_hash(&personal_hash(&text)).to_vec();
        (text, bytes)
    }

    #[test]
    fn a_message_buys_one_token_once() {
        let sign_in = SignIn::new(31337, ["localhost:7171".to_owned()]);
        let key = SecretKey::from_bytes(&[9; 32]).unwrap();
        let nonce = sign_in.nonce(at(0));
        let (text, signature) = signed(&key, "localhost:7171", 31337, &nonce);
        let token = sign_in.sign_in(&text, &signature, at(1)).unwrap();
        assert_eq!(sign_in.address(&token.token, at(2)), Some(key.address()));
        assert_eq!(token.expires_at, at(3600));
        assert_eq!(sign_in.address(&token.token, at(3600)), None);
        assert_eq!(sign_in.sign_in(&text, &signature, at(1)), Err(SignInError::UnknownNonce));
        assert!(!sign_in.sign_out(&token.token, at(3601)));
    }

    #[test]
    fn each_check_refuses_by_name_and_spends_nothing() {
        let sign_in = SignIn::new(31337, ["localhost:7171".to_owned()]);
        let key = SecretKey::from_bytes(&[9; 32]).unwrap();
        let nonce = sign_in.nonce(at(0));
        let refuse = |domain: &str, chain_id, nonce: &str, now| {
            let (text, signature) = signed(&key, domain, chain_id, nonce);
            sign_in.sign_in(&text, &signature, now).unwrap_err()
        };
        assert!(matches!(refuse("evil.example", 31337, &nonce, at(1)), SignInError::WrongDomain { .. }));
        assert!(matches!(refuse("localhost:7171", 1, &nonce, at(1)), SignInError::WrongChain { .. }));
        assert!(matches!(refuse("localhost:7171", 31337, &nonce, at(3600)), SignInError::NotNow(_)));
        assert_eq!(refuse("localhost:7171", 31337, "0000000000000000", at(1)), SignInError::UnknownNonce);
        let (text, signature) = signed(&key, "localhost:7171", 31337, &nonce);
        assert!(sign_in.sign_in(&text, &signature, at(299)).is_ok());
    }

    #[test]
    fn a_nonce_grows_old() {
        let sign_in = SignIn::new(31337, ["localhost:7171".to_owned()]);
        let key = SecretKey::from_bytes(&[9; 32]).unwrap();
        let nonce = sign_in.nonce(at(0));
        let (text, signature) = signed(&key, "localhost:7171", 31337, &nonce);
        assert_eq!(sign_in.sign_in(&text, &signature, at(300)), Err(SignInError::UnknownNonce));
    }

    #[test]
    fn the_books_are_bounded_and_drop_the_oldest() {
        let mut book = Expiring::default();
        (0..10).for_each(|n| book.insert(n.to_string(), at(n), n, 4));
        assert_eq!(book.entries.len(), 4);
        assert_eq!(book.get("5", at(0)), None);
        assert_eq!(book.get("6", at(0)), Some(&6));
        assert_eq!(book.get("6", at(6)), None);
        assert_eq!(book.by_time.len(), book.entries.len());
    }
}
