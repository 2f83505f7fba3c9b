//! Keys that sign: transactions for the chain, digests for the protocol.

use std::fmt;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use k256::ecdsa::SigningKey;

use crate::{limits, stand_in};

/// Why bytes are no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 32 bytes in hexadecimal digits.
    #[error("a private key is 64 hexadecimal digits, with or without 0x")]
    Format,
    /// Zero, or not below the order of the curve.
    #[error("these 32 bytes are no secp256k1 private key")]
    Range,
}

/// A private key and the address that belongs to it. Its debug text shows only the address.
#[derive(Clone)]
pub struct Wallet {
    key: SigningKey,
    address: Address,
    /// Whether stand-ins come instead of signatures.
    stands_in: bool,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Wallet {
    /// The wallet of a private key.
    pub fn from_bytes(key: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(key.into()).map_err(|_| KeyError::Range)?;
        let point = key.verifying_key().to_encoded_point(false);
        let address = Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..]);
        Ok(Self { key, address, stands_in: false })
    }

    /// The wallet of a private key written in hexadecimal digits, with or without `0x`.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim().strip_prefix("0x").unwrap_or(text.trim());
        let mut key = [0; 32];
        hex::decode_to_slice(digits, &mut key).map_err(|_| KeyError::Format)?;
        Self::from_bytes(&key)
    }

    /// The same account, which signs with stand-ins, as only simulations take them: [`stand_in`].
    pub fn standing_in(self) -> Self {
        Self { stands_in: true, ..self }
    }

    /// The private key.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes().into()
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest as it is: r, s and v (27 or 28), s in the lower half. The same digest gives the same
    /// signature (RFC 6979).
    pub fn sign_digest(&self, digest: B256) -> [u8; 65] {
        self.sign(digest).as_bytes()
    }

    fn sign(&self, digest: B256) -> Signature {
        if self.stands_in {
            return Signature::from_raw_array(&stand_in::sign(self.address, digest)).expect("v is 27");
        }
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(digest.as_slice()).expect("a 32-byte digest can be signed");
        Signature::from((signature, recovery)).normalized_s()
    }

    /// Signs a transaction and returns its raw bytes (EIP-2718).
    pub fn sign_transaction(&self, tx: TxEip1559) -> Bytes {
        let signature = self.sign(tx.signature_hash());
        TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
    }
}

/// A wallet on a chain: it counts the nonces of what it signs.
#[derive(Clone, Debug)]
pub struct Account {
    wallet: Wallet,
    chain_id: u64,
    nonce: u64,
}

impl Account {
    /// An account whose next transaction has this nonce.
    pub fn new(wallet: Wallet, chain_id: u64, nonce: u64) -> Self {
        Self { wallet, chain_id, nonce }
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.wallet.address
    }

    /// The wallet.
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// The nonce of the next transaction.
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Continues with this nonce, as the chain gives it: after a refused or lost transaction.
    pub fn resync(&mut self, nonce: u64) {
        self.nonce = nonce;
    }

    /// Signs a transaction with the next nonce. The fee offered is [`limits::GAS_PRICE_WEI`], of which only
    /// the base fee is taken.
    pub fn sign(&mut self, to: TxKind, value: U256, input: Bytes, gas_limit: u64) -> Bytes {
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: limits::GAS_PRICE_WEI,
            max_priority_fee_per_gas: 0,
            to,
            value,
            access_list: Default::default(),
            input,
        };
        self.nonce += 1;
        self.wallet.sign_transaction(tx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first well-known development account.
    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn a_known_key_has_its_known_address() {
        let wallet = Wallet::from_hex(KEY).unwrap();
        assert_eq!(wallet.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(Wallet::from_bytes(&wallet.to_bytes()).unwrap().address(), wallet.address());
        assert!(!format!("{wallet:?}").contains("ac0974"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(Wallet::from_hex("0x12").unwrap_err(), KeyError::Format);
        assert_eq!(Wallet::from_hex("zz").unwrap_err(), KeyError::Format);
        assert_eq!(Wallet::from_bytes(&[0; 32]).unwrap_err(), KeyError::Range);
        assert_eq!(Wallet::from_bytes(&[0xff; 32]).unwrap_err(), KeyError::Range);
    }

    #[test]
    fn signatures_recover_to_the_signer_and_are_low() {
        let wallet = Wallet::from_hex(KEY).unwrap();
        for n in 0..32u8 {
            let digest = keccak256([n]);
            let bytes = wallet.sign_digest(digest);
            assert!(bytes[64] == 27 || bytes[64] == 28);
            let signature = Signature::from_raw_array(&bytes).unwrap();
            assert_eq!(signature.normalize_s(), None);
            assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), wallet.address());
        }
    }
}
