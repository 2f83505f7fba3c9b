//! Who signs batches: the wallet itself, or for a while a fresh key that the wallet certified once (WP 2.4.9).

use std::time::Duration;

use serde_json::{Value, json};
use weir_kernel::batch::{Certificate, LaneWriter, Session, Signature, UnsignedBatch};
use weir_kernel::ids::{Address, StreamId};
use weir_kernel::signature::SECP256K1;

use super::PublishError;
use crate::client::Client;
use crate::contract::rpc;
use crate::key::Key;

/// Blocks over which the time between two is averaged.
const AVERAGED_BLOCKS: u64 = 1000;

/// Signs the batches of one wallet in one stream.
#[derive(Debug)]
pub(crate) struct Signer {
    origin: Address,
    /// The wallet's key; in a session the session's, which is in memory and nowhere else.
    key: Key,
    session: Option<(Session, Certificate)>,
}

impl Signer {
    /// The wallet signs every batch.
    pub fn wallet(key: Key) -> Self {
        Self { origin: key.address(), key, session: None }
    }

    /// The wallet signs now, once, and a fresh key from then on, up to a block.
    pub fn in_session(
        wallet: &Key,
        stream: StreamId,
        expiry_block: u64,
        chain_id: u64,
    ) -> Result<Self, PublishError> {
        let key = Key::generate()?;
        let origin = wallet.address();
        let session = Session { stream, origin, key: key.address(), expiry_block, signature_type: SECP256K1 };
        let signature = Signature::Secp256k1(wallet.sign_hash(&session.signing_hash(chain_id)));
        Ok(Self { origin, key, session: Some((session, session.certified(signature))) })
    }

    /// Whose batches they are.
    pub fn origin(&self) -> Address {
        self.origin
    }

    /// The first block in which nothing can be signed any more, if there is one.
    pub fn expiry_block(&self) -> Option<u64> {
        self.session.map(|(session, _)| session.expiry_block)
    }

    /// A lane that this signs, which opens before the session is over.
    pub fn opened(&self, lane: LaneWriter) -> LaneWriter {
        match &self.session {
            Some((session, certificate)) => lane
                .in_session(session, *certificate)
                .expect("the lane is the wallet's, in the session's stream, and opens before its end"),
            None => lane,
        }
    }

    /// Signs a batch.
    pub fn sign(&self, batch: &UnsignedBatch, chain_id: u64) -> Signature {
        Signature::Secp256k1(self.key.sign_hash(&batch.signing_hash(chain_id)))
    }
}

/// The first block after `life` from the block of that height, by the time that the chain's last blocks took.
pub(super) async fn expiry_block(client: &Client, height: u64, life: Duration) -> Result<u64, PublishError> {
    let (last, last_s) = block(client, "latest".into()).await?;
    let (first, first_s) = block(client, format!("{:#x}", last.saturating_sub(AVERAGED_BLOCKS))).await?;
    Ok(height.saturating_add(blocks_of(life, last - first.min(last), last_s.saturating_sub(first_s))))
}

/// How many blocks fit into a time, when so many took so many seconds: one at least.
fn blocks_of(life: Duration, blocks: u64, seconds: u64) -> u64 {
    let (blocks, seconds) = (u128::from(blocks.max(1)), u128::from(seconds.max(1)));
    let fit = u128::from(life.as_secs()) * blocks / seconds;
    u64::try_from(fit).unwrap_or(u64::MAX).max(1)
}

/// Height and time of a block.
async fn block(client: &Client, which: String) -> Result<(u64, u64), PublishError> {
    const METHOD: &str = "eth_getBlockByNumber";
    let block: Value = rpc::call(client, METHOD, json!([which, false])).await?;
    let quantity = |field: &str| {
        let digits = block[field].as_str().and_then(|text| text.strip_prefix("0x"));
        digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| rpc::RpcError::Garbled {
            method: METHOD,
            reason: format!("block {which} has no {field}"),
        })
    };
    Ok((quantity("number")?, quantity("timestamp")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_as_many_blocks_as_fit_into_it() {
        let hour = Duration::from_secs(3600);
        assert_eq!(blocks_of(hour, 1000, 1000), 3600);
        assert_eq!(blocks_of(hour, 1000, 12_000), 300);
        assert_eq!(blocks_of(hour, 1000, 250), 14_400);
        assert_eq!(blocks_of(hour, 0, 0), 3600, "a chain of one block");
        assert_eq!(blocks_of(Duration::from_secs(1), 10, 120), 1, "one at least");
        assert_eq!(blocks_of(Duration::MAX, u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn a_session_signs_for_its_wallet_with_a_key_of_its_own() {
        let wallet = Key::development();
        let session = Signer::in_session(&wallet, StreamId([7; 20]), 90, 31337).expect("randomness");
        assert_eq!((session.origin(), session.expiry_block()), (wallet.address(), Some(90)));
        assert_ne!(session.key.address(), wallet.address());
        let again = Signer::in_session(&wallet, StreamId([7; 20]), 90, 31337).expect("randomness");
        assert_ne!(session.key.address(), again.key.address(), "every session has a fresh key");
        let own = Signer::wallet(wallet.clone());
        assert_eq!((own.origin(), own.expiry_block()), (wallet.address(), None));
    }
}
