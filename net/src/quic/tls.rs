//! TLS 1.3 with keys from the broker directory instead of certificate authorities.
//!
//! A certificate is a container for a key. Who connects must prove the key by TLS's own signature, and the key must be
//! in the directory: any entry's where we are dialled, the dialled entry's where we dial. Sessions are never resumed,
//! for a resumed one would skip that look into the directory.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, SignatureScheme, version::TLS13,
};
use weir_kernel::hash::sha256;
use weir_kernel::ids::Hash;

use super::directory::Directory;
use crate::identity::{TlsIdentity, certificate_key_hash};
use crate::wire::ALPN;

/// Whose key is acceptable.
#[derive(Debug)]
enum Expected {
    Listed(Arc<Directory>),
    Exactly(Hash),
}

#[derive(Debug)]
struct KeyVerifier {
    expected: Expected,
    provider: Arc<CryptoProvider>,
}

impl KeyVerifier {
    fn check(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !others.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        let key_hash = certificate_key_hash(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let accepted = match &self.expected {
            Expected::Listed(directory) => directory.lists_key(key_hash),
            Expected::Exactly(expected) => key_hash == *expected,
        };
        if accepted { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
}

/// The verifier of either end; both traits want the same three answers.
macro_rules! signature_methods {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(PeerIncompatible::Tls13RequiredForQuic.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check_signature(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    signature_methods!();
}

impl ClientCertVerifier for KeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    signature_methods!();
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(identity: &TlsIdentity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from(identity.certificate_der().to_vec());
    (vec![certificate], PrivatePkcs8KeyDer::from(identity.key_der().to_vec()).into())
}

/// The configuration for being dialled by anybody in the directory.
pub(super) fn server(identity: &TlsIdentity, directory: Arc<Directory>) -> Result<QuicServerConfig, Error> {
    let provider = provider();
    let expected = Expected::Listed(directory);
    let verifier = Arc::new(KeyVerifier { expected, provider: Arc::clone(&provider) });
    let (certificates, key) = chain(identity);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// The configuration for dialling the holder of one key.
pub(super) fn client(identity: &TlsIdentity, expected: Hash) -> Result<QuicClientConfig, Error> {
    let provider = provider();
    let expected = Expected::Exactly(expected);
    let verifier = Arc::new(KeyVerifier { expected, provider: Arc::clone(&provider) });
    let (certificates, key) = chain(identity);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(certificates, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// The key hash that the other end of a connection has proven.
pub(super) fn proven_key(connection: &quinn::Connection) -> Option<Hash> {
    let certificates = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    certificate_key_hash(certificates.first()?).ok()
}

/// HMAC-SHA-256 (RFC 2104) under a key derived from the identity, for QUIC's stateless resets: a node that restarted
/// can tell its peers that it forgot them, so they need not wait for the idle timeout.
pub(super) struct ResetKey([u8; 64]);

impl ResetKey {
    pub(super) fn new(identity: &TlsIdentity) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&sha256(&[b"weir stateless reset", identity.key_der()]).0);
        Self(block)
    }

    fn mac(&self, data: &[u8]) -> [u8; 32] {
        let (inner, outer) = (self.0.map(|byte| byte ^ 0x36), self.0.map(|byte| byte ^ 0x5c));
        sha256(&[&outer, &sha256(&[&inner, data]).0]).0
    }
}

impl quinn::crypto::HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.mac(data));
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), quinn::crypto::CryptoError> {
        let mac = self.mac(data);
        let same = signature.len() == mac.len();
        let differing = mac.iter().zip(signature).fold(0, |all, (a, b)| all | (a ^ b));
        if same && differing == 0 { Ok(()) } else { Err(quinn::crypto::CryptoError) }
    }
}

/// The seed of connection ids, so that a restarted node recognises those of its former life and answers them with a
/// reset.
pub(super) fn connection_id_key(identity: &TlsIdentity) -> u64 {
    let digest = sha256(&[b"weir connection ids", identity.key_der()]);
    u64::from_be_bytes(*digest.0.first_chunk().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use quinn::crypto::HmacKey;

    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_vector() {
        let mut key = ResetKey([0; 64]);
        key.0[..4].copy_from_slice(b"Jefe");
        let mac = key.mac(b"what do ya want for nothing?");
        assert_eq!(
            weir_kernel::ids::hex(&mac),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(key.verify(b"what do ya want for nothing?", &mac).is_ok());
        assert!(key.verify(b"what do ya want for nothing!", &mac).is_err());
        assert!(key.verify(b"what do ya want for nothing?", &mac[..31]).is_err());
    }
}
