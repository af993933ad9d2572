//! Session keys and what is done with them: the only file here that calls the cryptography library.

use std::borrow::Cow;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};

use super::{SrtpError, Suite};

/// Octets of the longest authentication key (RFC 3711 §5.2).
const AUTH_KEY_SIZE: usize = 20;
/// Octets of a salt as counter mode takes it; shorter ones are followed by zeros (RFC 7714 §11).
const SALT_SIZE: usize = 14;
/// Octets of the authentication tag of Galois/counter mode.
const GCM_TAG_SIZE: usize = 16;

/// RFC 3711 §4.3.2: which session keys are wanted.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Rtp,
    Rtcp,
}

/// One direction's keys for one kind of packets.
pub(super) struct SessionKeys {
    cipher: Cipher,
    salt: [u8; SALT_SIZE],
}

enum Cipher {
    CounterMode(Box<CounterMode>),
    Galois(Box<LessSafeKey>),
}

struct CounterMode {
    key: EncryptingKey,
    auth: hmac::Key,
}

impl SessionKeys {
    /// RFC 3711 §4.3.1, with a key derivation rate of zero.
    pub(super) fn derive(suite: Suite, master: &[u8], purpose: Purpose) -> Result<Self, SrtpError> {
        if master.len() != suite.key_size() {
            return Err(SrtpError::BadKey);
        }
        let (master_key, master_salt) = master.split_at(suite.cipher_key_size());
        let prf = counter_mode(master_key)?;
        let first_label = match purpose {
            Purpose::Rtp => 0,
            Purpose::Rtcp => 3,
        };
        let derive = |label: u8, output: &mut [u8]| {
            let mut iv = [0; 16];
            iv[..master_salt.len()].copy_from_slice(master_salt);
            iv[7] ^= first_label + label;
            output.fill(0);
            encrypt(&prf, iv, output)
        };
        let mut key = [0; 32];
        let key = &mut key[..suite.cipher_key_size()];
        derive(0, key)?;
        let mut salt = [0; SALT_SIZE];
        derive(2, &mut salt[..suite.salt_size()])?;
        let cipher = if suite.is_aead() {
            let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
            let key = UnboundKey::new(algorithm, key).map_err(|_| SrtpError::BadKey)?;
            Cipher::Galois(Box::new(LessSafeKey::new(key)))
        } else {
            let mut auth = [0; AUTH_KEY_SIZE];
            derive(1, &mut auth)?;
            let auth = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth);
            Cipher::CounterMode(Box::new(CounterMode { key: counter_mode(key)?, auth }))
        };
        Ok(Self { cipher, salt })
    }

    /// Encrypts `packet[start + clear..]` in place and appends what authenticates it. `trailer` is
    /// authenticated and not sent (the roll-over counter), or sent by the caller (the index of
    /// RTCP).
    pub(super) fn seal(
        &self,
        packet: &mut Vec<u8>,
        sealing: &Sealing<'_>,
    ) -> Result<(), SrtpError> {
        let Sealing { start, clear, ssrc, index, trailer, sent_trailer, tag_size } = *sealing;
        match &self.cipher {
            Cipher::CounterMode(mode) => {
                let CounterMode { key, auth } = &**mode;
                encrypt(key, self.counter(ssrc, index), &mut packet[start + clear..])?;
                packet.extend_from_slice(sent_trailer);
                let tag = sign(auth, &packet[start..], trailer);
                packet.extend_from_slice(&tag.as_ref()[..tag_size]);
            }
            Cipher::Galois(key) => {
                let nonce = Nonce::assume_unique_for_key(self.nonce(ssrc, index));
                let (header, content) = packet[start..].split_at_mut(clear);
                let aad = associated(header, sent_trailer);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*aad), content)
                    .map_err(|_| SrtpError::NotAuthentic)?;
                packet.extend_from_slice(tag.as_ref());
                packet.extend_from_slice(sent_trailer);
            }
        }
        Ok(())
    }

    /// Whether a packet of counter mode is authentic: all but its tag, and what follows unsent.
    pub(super) fn verify(&self, signed: &[u8], trailer: &[u8], tag: &[u8]) -> bool {
        let Cipher::CounterMode(mode) = &self.cipher else { return false };
        let expected = sign(&mode.auth, signed, trailer);
        expected
            .as_ref()
            .get(..tag.len())
            .is_some_and(|expected| verify_slices_are_equal(expected, tag).is_ok())
    }

    /// Encrypts or decrypts by counter mode.
    pub(super) fn apply(&self, ssrc: u32, index: u64, content: &mut [u8]) -> Result<(), SrtpError> {
        match &self.cipher {
            Cipher::CounterMode(mode) => encrypt(&mode.key, self.counter(ssrc, index), content),
            Cipher::Galois(_) => Err(SrtpError::NotAuthentic),
        }
    }

    /// Decrypts and authenticates by Galois/counter mode: `content` ends with its tag, which stays.
    pub(super) fn open(
        &self,
        (ssrc, index): (u32, u64),
        header: &[u8],
        trailer: &[u8],
        content: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let Cipher::Galois(key) = &self.cipher else { return Err(SrtpError::NotAuthentic) };
        if content.len() < GCM_TAG_SIZE {
            return Err(SrtpError::Malformed);
        }
        let nonce = Nonce::assume_unique_for_key(self.nonce(ssrc, index));
        let aad = associated(header, trailer);
        key.open_in_place(nonce, Aad::from(&*aad), content)
            .map(|plain| plain.len())
            .map_err(|_| SrtpError::NotAuthentic)
    }

    #[cfg(test)]
    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether this is the key that packets are authenticated by.
    #[cfg(test)]
    pub(super) fn is_authenticated_by(&self, key: &[u8]) -> bool {
        let other = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        self.verify(b"packet", b"1", sign(&other, b"packet", b"1").as_ref())
    }

    /// RFC 3711 §4.1.1.
    fn counter(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[..SALT_SIZE].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        iv
    }

    /// RFC 7714 §8.1 and §9.1.
    fn nonce(&self, ssrc: u32, index: u64) -> [u8; NONCE_LEN] {
        let mut iv = [0; NONCE_LEN];
        iv.copy_from_slice(&self.salt[..NONCE_LEN]);
        xor(&mut iv[2..6], &ssrc.to_be_bytes());
        xor(&mut iv[6..12], &index.to_be_bytes()[2..]);
        iv
    }
}

/// What [`SessionKeys::seal`] needs to know of a packet.
#[derive(Clone, Copy)]
pub(super) struct Sealing<'a> {
    /// Where it begins in the buffer.
    pub(super) start: usize,
    /// Octets at its beginning that stay readable.
    pub(super) clear: usize,
    pub(super) ssrc: u32,
    pub(super) index: u64,
    /// Authenticated by counter mode, and never sent.
    pub(super) trailer: &'a [u8],
    /// Authenticated and sent: the index of RTCP.
    pub(super) sent_trailer: &'a [u8],
    pub(super) tag_size: usize,
}

/// RFC 7714 §8.2 and §9.2: the header, for RTCP followed by its index.
fn associated<'a>(header: &'a [u8], trailer: &[u8]) -> Cow<'a, [u8]> {
    if trailer.is_empty() { header.into() } else { [header, trailer].concat().into() }
}

fn counter_mode(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, key)
        .and_then(EncryptingKey::ctr)
        .map_err(|_| SrtpError::BadKey)
}

fn encrypt(key: &EncryptingKey, iv: [u8; 16], content: &mut [u8]) -> Result<(), SrtpError> {
    key.less_safe_encrypt(content, EncryptionContext::Iv128(iv.into()))
        .map(drop)
        .map_err(|_| SrtpError::BadKey)
}

fn sign(key: &hmac::Key, signed: &[u8], trailer: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(signed);
    context.update(trailer);
    context.sign()
}

fn xor(bytes: &mut [u8], other: &[u8]) {
    bytes.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}
