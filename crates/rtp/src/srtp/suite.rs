//! The crypto suites of session descriptions (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2).

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Suite {
    /// AES-128 in counter mode, HMAC-SHA1 cut to 80 bits: what every SRTP stack has.
    AesCm128Sha1_80,
    /// The same with a tag of 32 bits on RTP; RTCP has 80 all the same (RFC 4568 §6.2.2).
    AesCm128Sha1_32,
    /// AES-256 in counter mode (RFC 6188).
    AesCm256Sha1_80,
    /// The same with a tag of 32 bits on RTP.
    AesCm256Sha1_32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 6] = [
        Self::AesCm128Sha1_80,
        Self::AesCm128Sha1_32,
        Self::AesCm256Sha1_80,
        Self::AesCm256Sha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Its name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of this name. `AES_CM_256_…`, which drafts of RFC 6188 had and phones still send,
    /// is taken, too.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "AES_CM_256_HMAC_SHA1_80" => Some(Self::AesCm256Sha1_80),
            "AES_CM_256_HMAC_SHA1_32" => Some(Self::AesCm256Sha1_32),
            name => Self::ALL.into_iter().find(|suite| suite.name() == name),
        }
    }

    /// Octets of master key and master salt together.
    #[must_use]
    pub const fn key_size(self) -> usize {
        self.cipher_key_size() + self.salt_size()
    }

    pub(super) const fn cipher_key_size(self) -> usize {
        match self {
            Self::AesCm128Sha1_80 | Self::AesCm128Sha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256Sha1_80 | Self::AesCm256Sha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    pub(super) const fn salt_size(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    pub(super) const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// Octets that authenticate an RTP packet.
    pub(super) const fn rtp_tag_size(self) -> usize {
        match self {
            Self::AesCm128Sha1_80 | Self::AesCm256Sha1_80 => 10,
            Self::AesCm128Sha1_32 | Self::AesCm256Sha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Octets that authenticate an RTCP packet.
    pub(super) const fn rtcp_tag_size(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}
