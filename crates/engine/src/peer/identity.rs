//! Who we are towards every client: one DTLS certificate, and a secret for ICE credentials.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use str0m::IceCreds;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::crypto::from_feature_flags;

/// Letters of ICE credentials: a subset of `ice-char` (RFC 8839 §5.4), 64 of them.
const ICE_CHARS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";

/// The DTLS certificate that all peers share, and the source of their ICE credentials.
///
/// Credentials are derived from the certificate's private key, because str0m makes its own with a
/// generator that is not meant for secrets: who sees some could foretell others.
pub struct Identity {
    certificate: DtlsCert,
    crypto: CryptoProvider,
    issued: AtomicU64,
}

impl Identity {
    /// Makes a new key and a self-signed certificate. Takes about a millisecond.
    ///
    /// # Panics
    /// If the cryptographic library cannot make keys.
    #[must_use]
    pub fn generate() -> Self {
        let crypto = from_feature_flags();
        let certificate =
            crypto.dtls_provider.generate_certificate().expect("the provider makes certificates");
        Self { certificate, crypto, issued: AtomicU64::new(0) }
    }

    pub(super) fn certificate(&self) -> DtlsCert {
        self.certificate.clone()
    }

    pub(super) fn crypto(&self) -> &CryptoProvider {
        &self.crypto
    }

    pub(super) fn hmac_sha1(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        self.crypto.sha1_hmac_provider.sha1_hmac(key, payloads)
    }

    /// Credentials that nobody was given before. RFC 8445 §5.3 asks for 24 random bits in the
    /// fragment and 128 in the password; these have 72 and 144.
    pub(super) fn ice_credentials(&self) -> IceCreds {
        let number = self.issued.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let derive = |purpose: &[u8], length: usize| {
            let bytes = self.hmac_sha1(&self.certificate.private_key, &[purpose, &number]);
            spell(&bytes, length)
        };
        IceCreds { ufrag: derive(b"ice-ufrag", 12), pass: derive(b"ice-pwd", 24) }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Writes 6 bits a letter.
fn spell(bytes: &[u8; 20], length: usize) -> String {
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    (0..length)
        .map(|letter| (0..6).fold(0, |value, i| value << 1 | bit(letter * 6 + i)))
        .map(|value| char::from(ICE_CHARS[value]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_credential_is_new_and_well_formed() {
        let identity = Identity::generate();
        let (a, b) = (identity.ice_credentials(), identity.ice_credentials());
        assert_ne!(a.ufrag, b.ufrag);
        assert_ne!(a.pass, b.pass);
        assert_eq!((a.ufrag.len(), a.pass.len()), (12, 24));
        assert!(a.pass.bytes().all(|c| ICE_CHARS.contains(&c)));
    }

    #[test]
    fn two_identities_share_nothing() {
        let (a, b) = (Identity::generate(), Identity::generate());
        assert_ne!(a.ice_credentials().pass, b.ice_credentials().pass);
        assert_ne!(a.certificate.certificate, b.certificate.certificate);
    }
}
