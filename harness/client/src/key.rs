//! Ethereum keys: what a client signs its batches and transactions with.
//!
//! A key file holds the 32 bytes as hexadecimal digits on one line and is readable by its owner alone.
//! Secrets come from files or the environment, never from the command line, where every user of the machine
//! could read them.

use std::fmt;
use std::io::Write;
use std::path::Path;

use weir_chain::wallet::Wallet;
use weir_kernel::hash::keccak256;
use weir_kernel::ids::{Address, Hash};

/// The first account of the well-known test mnemonic ("test test … junk"): public, so worth nothing, and
/// [refused](Key::check_chain) on any chain but the development one.
const DEVELOPMENT_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// The chain on which the development key may sign.
pub const DEVELOPMENT_CHAIN_ID: u64 = 31337;

/// Longest key file that is read: a key has 66 characters.
const MAX_KEY_FILE_BYTES: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key. The text itself is not repeated: it may be a secret with a slip in it.
    #[error(
        "{source_name} does not hold a key: {reason}; a key is 64 hexadecimal digits, `weir key new` makes one"
    )]
    Unreadable {
        /// Which file or variable.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("key file {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is there and is not replaced.
    #[error("key file {path} exists already and is not replaced: choose another name")]
    Exists {
        /// The file.
        path: String,
    },
    /// The development key on a real chain.
    #[error(
        "the development key is public and is refused on chain {chain_id}: give your own with --key FILE or WEIR_KEY"
    )]
    DevelopmentKey {
        /// The chain.
        chain_id: u64,
    },
    /// The system's randomness failed.
    #[error("no randomness to make a key from: {0}")]
    Randomness(String),
}

/// A secp256k1 key with its address.
#[derive(Clone)]
pub struct Key {
    wallet: Wallet,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address())
    }
}

impl Key {
    /// A fresh random key.
    pub fn generate() -> Result<Self, KeyError> {
        loop {
            let mut bytes = [0u8; 32];
            getrandom::fill(&mut bytes).map_err(|error| KeyError::Randomness(error.to_string()))?;
            if let Ok(wallet) = Wallet::from_bytes(&bytes) {
                return Ok(Self { wallet });
            }
        }
    }

    /// The well-known development key.
    pub fn development() -> Self {
        Self::from_hex(DEVELOPMENT_KEY, "the development key").expect("the well-known key is a key")
    }

    /// Reads 64 hexadecimal digits, with or without `0x`; `source_name` says in an error where they came
    /// from.
    pub fn from_hex(text: &str, source_name: &str) -> Result<Self, KeyError> {
        let unreadable = |reason: String| KeyError::Unreadable { source_name: source_name.into(), reason };
        let bytes: Hash =
            text.trim().parse().map_err(|error: weir_kernel::ids::ParseIdError| match error {
                weir_kernel::ids::ParseIdError::Length(..) => unreadable(error.to_string()),
                weir_kernel::ids::ParseIdError::Digit(_) => {
                    unreadable("a character is not hexadecimal".into())
                }
            })?;
        Wallet::from_bytes(&bytes.0)
            .map(|wallet| Self { wallet })
            .map_err(|_| unreadable("the number is outside the curve's range".into()))
    }

    /// Reads a key file.
    pub fn read_file(path: &Path) -> Result<Self, KeyError> {
        let file = |error| KeyError::File { path: path.display().to_string(), error };
        let length = std::fs::metadata(path).map_err(file)?.len();
        if length > MAX_KEY_FILE_BYTES {
            return Err(KeyError::Unreadable {
                source_name: path.display().to_string(),
                reason: format!("it has {length} bytes"),
            });
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        Self::from_hex(&text, &path.display().to_string())
    }

    /// Writes the key to a new file that only its owner can read.
    pub fn write_new_file(&self, path: &Path) -> Result<(), KeyError> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.display().to_string() },
            _ => KeyError::File { path: path.display().to_string(), error },
        })?;
        writeln!(file, "0x{}", hex::encode(self.wallet.to_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(|error| KeyError::File { path: path.display().to_string(), error })
    }

    /// The Ethereum address of the key.
    pub fn address(&self) -> Address {
        Address(self.wallet.address().into_array())
    }

    /// Whether this is the well-known development key.
    pub fn is_development(&self) -> bool {
        self.address() == Self::development().address()
    }

    /// Refuses the development key where it is worth something: on any chain but the development one.
    pub fn check_chain(&self, chain_id: u64) -> Result<(), KeyError> {
        if chain_id != DEVELOPMENT_CHAIN_ID && self.is_development() {
            return Err(KeyError::DevelopmentKey { chain_id });
        }
        Ok(())
    }

    /// What signs transactions.
    pub(crate) fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Signs a hash: 65 bytes r, s, v with v 27 or 28.
    pub fn sign_hash(&self, hash: &Hash) -> [u8; 65] {
        self.wallet.sign_digest(hash.0.into())
    }

    /// The signature of a text as wallets make it (`personal_sign`, EIP-191): 65 bytes r, s, v.
    pub fn sign_message(&self, text: &str) -> [u8; 65] {
        let prefix = format!("\x19Ethereum Signed Message:\n{}", text.len());
        self.sign_hash(&keccak256(&[prefix.as_bytes(), text.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_key_has_its_well_known_address() {
        let key = Key::development();
        assert_eq!(key.address().to_string(), "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
        assert!(key.is_development());
        assert!(!Key::generate().expect("randomness").is_development());
    }

    #[test]
    fn the_development_key_signs_on_its_chain_only() {
        assert!(Key::development().check_chain(DEVELOPMENT_CHAIN_ID).is_ok());
        assert!(matches!(Key::development().check_chain(1), Err(KeyError::DevelopmentKey { chain_id: 1 })));
        assert!(Key::generate().expect("randomness").check_chain(1).is_ok());
    }

    #[test]
    fn a_slip_in_a_key_is_named_and_the_key_is_not_repeated() {
        let short = Key::from_hex("0x1234", "WEIR_KEY").expect_err("too short").to_string();
        assert!(short.contains("WEIR_KEY") && !short.contains("1234"), "{short}");
        let zero = Key::from_hex(&"0".repeat(64), "WEIR_KEY").expect_err("zero").to_string();
        assert!(zero.contains("range"), "{zero}");
        let letter = Key::from_hex(&"q".repeat(64), "WEIR_KEY").expect_err("letters").to_string();
        assert!(letter.contains("hexadecimal") && !letter.contains("qq"), "{letter}");
    }

    #[test]
    fn files_come_back_and_are_not_replaced() {
        let directory = std::env::temp_dir().join(format!("weir-key-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("key");
        let key = Key::generate().expect("randomness");
        key.write_new_file(&path).expect("written");
        assert_eq!(Key::read_file(&path).expect("read").address(), key.address());
        assert!(matches!(key.write_new_file(&path), Err(KeyError::Exists { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
