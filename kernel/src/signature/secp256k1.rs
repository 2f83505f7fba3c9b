//! secp256k1 as Ethereum uses it: recoverable, low s, v 27 or 28, RFC 6979 nonces.

use core::fmt;

use k256::ecdsa::SigningKey;
use k256::elliptic_curve::ops::{LinearCombination, Reduce};
use k256::elliptic_curve::point::DecompressPoint;
use k256::elliptic_curve::scalar::IsHigh;
use k256::elliptic_curve::sec1::ToEncodedPoint;
use k256::elliptic_curve::{Group, PrimeField};
use k256::{AffinePoint, ProjectivePoint, Scalar, U256};

use super::SECP256K1;
use crate::hash::keccak256;
use crate::ids::{Address, Hash};
use crate::verify::Verifier;

/// A private key.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    address: Address,
}

/// The bytes are zero, or not below the order of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSecretKey;

impl fmt::Display for InvalidSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a private key: it is zero or not below the order of secp256k1")
    }
}

impl core::error::Error for InvalidSecretKey {}

impl SecretKey {
    /// Reads a key, most significant byte first.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidSecretKey> {
        let key = SigningKey::from_bytes(bytes.into()).map_err(|_| InvalidSecretKey)?;
        let address = address_of(key.verifying_key().as_affine());
        Ok(Self { key, address })
    }

    /// The key itself, most significant byte first: for whoever keeps it in a file.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes().into()
    }

    /// The account that this key signs for.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a hash: r, s, v. The same key and hash always give the same signature (RFC 6979).
    pub fn sign_hash(&self, hash: &Hash) -> [u8; 65] {
        let (signature, id) =
            self.key.sign_prehash_recoverable(&hash.0).expect("a hash has the length that signing wants");
        assert!(!id.is_x_reduced(), "r wraps around the order once in 2^127 signatures");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + u8::from(id.is_y_odd());
        bytes
    }
}

/// Never shows the key.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address)
    }
}

/// The account whose key made a signature (r, s, v) over a hash: what `ecrecover` returns, with the rule of
/// EIP-2 that s is in the lower half. `None` if the signature is not canonical or nobody's.
///
/// The point found satisfies the signature equation by construction, so that it is not verified once more.
pub fn recover(hash: &Hash, signature: &[u8]) -> Option<Address> {
    let signature: &[u8; 65] = signature.try_into().ok()?;
    let y_is_odd = match signature[64] {
        27 => 0,
        28 => 1,
        _ => return None,
    };
    let r_bytes = *signature.first_chunk::<32>().expect("a signature has 65 bytes");
    let s_bytes = *signature[32..].first_chunk::<32>().expect("a signature has 65 bytes");
    let r = Option::<Scalar>::from(Scalar::from_repr(r_bytes.into()))?;
    let s = Option::<Scalar>::from(Scalar::from_repr(s_bytes.into()))?;
    if bool::from(r.is_zero() | s.is_zero() | s.is_high()) {
        return None;
    }
    let point = Option::<AffinePoint>::from(AffinePoint::decompress(&r_bytes.into(), y_is_odd.into()))?;
    let z = <Scalar as Reduce<U256>>::reduce_bytes(&hash.0.into());
    let r_inverse = Option::<Scalar>::from(r.invert())?;
    // Q = (s R - z G) / r, SEC 1 section 4.1.6.
    let key = ProjectivePoint::lincomb(
        &ProjectivePoint::GENERATOR,
        &-(r_inverse * z),
        &ProjectivePoint::from(point),
        &(r_inverse * s),
    );
    if bool::from(key.is_identity()) {
        return None;
    }
    Some(address_of(&key.to_affine()))
}

/// The last 20 bytes of the Keccak-256 hash of the uncompressed point.
fn address_of(key: &AffinePoint) -> Address {
    let point = key.to_encoded_point(false);
    let hash = keccak256(&[&point.as_bytes()[1..]]);
    Address(*hash.0.last_chunk::<20>().expect("a hash has 32 bytes"))
}

/// Accepts type 1 and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secp256k1Verifier;

impl Verifier for Secp256k1Verifier {
    fn verify(&self, signature_type: u8, signer: &Address, signing_hash: &Hash, signature: &[u8]) -> bool {
        signature_type == SECP256K1 && recover(signing_hash, signature).as_ref() == Some(signer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

    fn key() -> SecretKey {
        let bytes: Hash = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
            .parse()
            .expect("32 bytes in hexadecimal");
        SecretKey::from_bytes(&bytes.0).expect("a valid key")
    }

    #[test]
    fn the_address_is_the_one_that_every_tool_knows() {
        let expected = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266".parse().expect("an address");
        assert_eq!(key().address(), expected);
        assert!(SecretKey::from_bytes(&[0; 32]).is_err());
        assert!(SecretKey::from_bytes(&[0xff; 32]).is_err());
    }

    #[test]
    fn recovery_agrees_with_the_library_that_also_verifies() {
        for number in 0..200u32 {
            let hash = sha256(&[&number.to_be_bytes()]);
            let mut bytes = key().sign_hash(&hash);
            if number % 2 == 1 {
                // Another r, s, v: usually somebody else's valid signature, sometimes nobody's.
                bytes[(number % 64) as usize] ^= 1 << (number % 8);
            }
            let library = Signature::from_slice(&bytes[..64])
                .ok()
                .filter(|signature| signature.normalize_s().is_none())
                .and_then(|signature| {
                    let id = RecoveryId::new(bytes[64] == 28, false);
                    VerifyingKey::recover_from_prehash(&hash.0, &signature, id).ok()
                })
                .map(|key| address_of(key.as_affine()));
            assert_eq!(recover(&hash, &bytes), library, "hash {number}");
            assert_eq!(library == Some(key().address()), number % 2 == 0, "hash {number}");
        }
    }

    #[test]
    fn one_signature_has_one_encoding() {
        let hash = Hash([5; 32]);
        let good = key().sign_hash(&hash);
        assert_eq!(recover(&hash, &good), Some(key().address()));
        assert_eq!(good, key().sign_hash(&hash));

        // The same signature with n - s and the other v: valid on the curve, refused here.
        let signature = Signature::from_slice(&good[..64]).expect("a signature");
        let high_s = -*signature.s().as_ref();
        let mut high = good;
        high[32..64].copy_from_slice(&high_s.to_bytes());
        high[64] = 27 + 28 - good[64];
        assert_eq!(recover(&hash, &high), None);

        for v in (0..=255).filter(|v| ![27, 28].contains(v)) {
            let mut other = good;
            other[64] = v;
            assert_eq!(recover(&hash, &other), None, "v = {v}");
        }
        assert_eq!(recover(&hash, &good[..64]), None);
        assert_eq!(recover(&hash, &[&good[..], &[0]].concat()), None);
        let mut zero_r = good;
        zero_r[..32].fill(0);
        assert_eq!(recover(&hash, &zero_r), None);
        let mut zero_s = good;
        zero_s[32..64].fill(0);
        assert_eq!(recover(&hash, &zero_s), None);
    }

    #[test]
    fn a_key_never_shows_in_debug_output() {
        assert_eq!(alloc::format!("{:?}", key()), "SecretKey(of 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266)");
    }
}
