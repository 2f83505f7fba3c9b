//! A node's TLS identity: an Ed25519 key and a self-signed certificate around it.
//!
//! Nobody signs these certificates: what counts is the hash of the key, which the broker's registration binds to
//! its address on chain. So the certificate may be made anew at any time, the key may not.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use weir_kernel::hash::sha256;
use weir_kernel::ids::Hash;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::limits;

const CERTIFICATE_FILE: &str = "cert.der";
const KEY_FILE: &str = "key.der";

/// The name in the certificate and in the handshake. It identifies nobody: the key does.
pub const SERVER_NAME: &str = "weir";

/// A key with its certificate. Its `Debug` shows the public hash only.
#[derive(Clone)]
pub struct TlsIdentity {
    certificate: Vec<u8>,
    key: Vec<u8>,
    key_hash: Hash,
}

/// Why there is no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read the key.
    #[error("{} has mode {mode:o}, so others can read the key: set it to 600, or replace the key", path.display())]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a certificate without its key.
    #[error("{} is missing beside its certificate: restore it, or remove the certificate to begin anew", path.display())]
    KeyMissing {
        /// Where the key should be.
        path: PathBuf,
    },
    /// The key is no Ed25519 key in PKCS#8.
    #[error("the TLS key is not an Ed25519 key in PKCS#8: {0}")]
    Key(String),
    /// The certificate cannot be read.
    #[error("the TLS certificate is not usable: {0}")]
    Certificate(CertificateError),
    /// The certificate is for another key.
    #[error("the TLS certificate belongs to another key: remove the certificate and it is made anew")]
    Mismatch,
}

/// Why a certificate is refused before its key is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Longer than [`limits::MAX_CERTIFICATE_BYTES`].
    #[error("it has {0} bytes, {max} are allowed", max = limits::MAX_CERTIFICATE_BYTES)]
    TooLong(usize),
    /// Not one whole X.509 certificate.
    #[error("it is not one X.509 certificate in DER")]
    Malformed,
}

/// SHA-256 of the SubjectPublicKeyInfo (DER) in a certificate: the name of its key on chain.
///
/// # Errors
/// [`CertificateError`] when the bytes are not one certificate of ordinary size.
pub fn certificate_key_hash(der: &[u8]) -> Result<Hash, CertificateError> {
    if der.len() > limits::MAX_CERTIFICATE_BYTES {
        return Err(CertificateError::TooLong(der.len()));
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(sha256(&[certificate.public_key().raw])),
        _ => Err(CertificateError::Malformed),
    }
}

impl TlsIdentity {
    /// A new random key with its certificate.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when the system gives no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(key_error)?;
        Self::certify(&key)
    }

    /// A key and its certificate, both DER (the key in PKCS#8).
    ///
    /// # Errors
    /// [`IdentityError`] when either is not usable or they do not belong together.
    pub fn from_der(certificate: Vec<u8>, key: Vec<u8>) -> Result<Self, IdentityError> {
        let pair = parse_key(&key)?;
        let key_hash = certificate_key_hash(&certificate).map_err(IdentityError::Certificate)?;
        if key_hash != Self::certify(&pair)?.key_hash {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self { certificate, key, key_hash })
    }

    /// A key and its certificate, both PEM.
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der).
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| IdentityError::Certificate(CertificateError::Malformed))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(key_error)?;
        Self::from_der(certificate.to_vec(), key.secret_pkcs8_der().to_vec())
    }

    /// The identity kept in a directory as `cert.der` and `key.der` (mode 600), made on the first call. A key
    /// without certificate gets a new one, its hash stays.
    ///
    /// # Errors
    /// [`IdentityError`]; an existing key is never replaced.
    pub fn load_or_create(dir: &Path) -> Result<Self, IdentityError> {
        let (key_path, certificate_path) = (dir.join(KEY_FILE), dir.join(CERTIFICATE_FILE));
        let key = read_if_there(&key_path)?;
        let certificate = read_if_there(&certificate_path)?;
        match (key, certificate) {
            (Some(key), Some(certificate)) => {
                check_mode(&key_path)?;
                Self::from_der(certificate, key)
            }
            (Some(key), None) => {
                check_mode(&key_path)?;
                let identity = Self::certify(&parse_key(&key)?)?;
                write_private(&certificate_path, &identity.certificate)?;
                Ok(identity)
            }
            (None, Some(_)) => Err(IdentityError::KeyMissing { path: key_path }),
            (None, None) => {
                let identity = Self::generate()?;
                fs::create_dir_all(dir).map_err(|source| file_error("create", dir, source))?;
                write_private(&key_path, &identity.key)?;
                write_private(&certificate_path, &identity.certificate)?;
                Ok(identity)
            }
        }
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo: what the broker registers on chain.
    pub fn key_hash(&self) -> Hash {
        self.key_hash
    }

    /// The certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The secret key, PKCS#8 DER.
    pub fn key_der(&self) -> &[u8] {
        &self.key
    }

    fn certify(key: &rcgen::KeyPair) -> Result<Self, IdentityError> {
        let params = rcgen::CertificateParams::new(vec![SERVER_NAME.to_string()]).map_err(key_error)?;
        let certificate = params.self_signed(key).map_err(key_error)?.der().to_vec();
        let key_hash = certificate_key_hash(&certificate).map_err(IdentityError::Certificate)?;
        Ok(Self { certificate, key: key.serialize_der(), key_hash })
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("key_hash", &self.key_hash).finish_non_exhaustive()
    }
}

fn key_error(error: impl fmt::Display) -> IdentityError {
    IdentityError::Key(error.to_string())
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> IdentityError {
    IdentityError::File { action, path: path.to_path_buf(), source }
}

fn parse_key(der: &[u8]) -> Result<rcgen::KeyPair, IdentityError> {
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &rcgen::PKCS_ED25519)
        .map_err(key_error)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path, error)),
    }
}

/// Refuses a key that others could have read, as ssh does.
#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|source| file_error("read", path, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(IdentityError::Exposed { path: path.to_path_buf(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), IdentityError> {
    Ok(())
}

/// Writes a file that is either whole or absent after a crash, readable by its owner only.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let draft = path.with_extension("draft");
    let written = (|| {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    written.map_err(|source| file_error("write", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_the_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tls");
        let first = TlsIdentity::load_or_create(&path).expect("created");
        let second = TlsIdentity::load_or_create(&path).expect("loaded");
        assert_eq!(first.key_hash(), second.key_hash());
        assert_eq!(first.certificate_der(), second.certificate_der());
        fs::remove_file(path.join(CERTIFICATE_FILE)).expect("removed");
        let third = TlsIdentity::load_or_create(&path).expect("certified anew");
        assert_eq!(first.key_hash(), third.key_hash());
        fs::remove_file(path.join(KEY_FILE)).expect("removed");
        assert!(matches!(TlsIdentity::load_or_create(&path), Err(IdentityError::KeyMissing { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn an_exposed_key_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        TlsIdentity::load_or_create(dir.path()).expect("created");
        let path = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let error = TlsIdentity::load_or_create(dir.path()).expect_err("refused");
        assert!(matches!(error, IdentityError::Exposed { mode: 0o644, .. }), "{error}");
    }

    #[test]
    fn keys_and_certificates_must_match() {
        let (one, two) = (TlsIdentity::generate().expect("one"), TlsIdentity::generate().expect("two"));
        assert_ne!(one.key_hash(), two.key_hash());
        let mixed = TlsIdentity::from_der(one.certificate.clone(), two.key.clone());
        assert!(matches!(mixed, Err(IdentityError::Mismatch)));
        let garbage = TlsIdentity::from_der(vec![1, 2, 3], two.key.clone());
        assert!(matches!(garbage, Err(IdentityError::Certificate(CertificateError::Malformed))));
        assert!(matches!(
            TlsIdentity::from_der(one.certificate.clone(), vec![0; 40]),
            Err(IdentityError::Key(_))
        ));
        let mut long = one.certificate.clone();
        long.push(0);
        assert_eq!(certificate_key_hash(&long), Err(CertificateError::Malformed), "trailing bytes");
    }

    #[test]
    fn pem_reads_like_der() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let params = rcgen::CertificateParams::new(vec![SERVER_NAME.to_string()]).expect("params");
        let certificate = params.self_signed(&key).expect("signed");
        let identity = TlsIdentity::from_pem(&certificate.pem(), &key.serialize_pem()).expect("read");
        assert_eq!(identity.certificate_der(), certificate.der().as_ref());
    }

    #[test]
    fn debug_keeps_the_secret() {
        let identity = TlsIdentity::generate().expect("an identity");
        let text = format!("{identity:?}");
        assert!(text.contains(&identity.key_hash().to_string()) && !text.contains("key:"), "{text}");
    }
}
