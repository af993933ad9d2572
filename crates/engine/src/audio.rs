//! What audio is made of: the codecs that cross a leg or a peer, and how loud a packet is.

use switchroom_codecs::g711::Law;
use switchroom_codecs::level;

/// The audio codecs that the engine forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// RFC 7587, 48 kHz RTP clock.
    Opus,
    /// G.711 µ-law, RFC 3551 payload type 0.
    Pcmu,
    /// G.711 A-law, RFC 3551 payload type 8.
    Pcma,
    /// RFC 3551 payload type 9; 16 kHz sound on an 8 kHz RTP clock (RFC 3551 §4.5.2).
    G722,
}

impl AudioCodec {
    /// Every codec, in the order in which they index a table.
    pub const ALL: [Self; 4] = [Self::Opus, Self::Pcmu, Self::Pcma, Self::G722];

    /// Ticks of the RTP clock per second.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
        }
    }

    /// Its name in SDP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// The codec of this SDP name; names are compared without case (RFC 8866 §6.6).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The curve, if this is one of the two forms of G.711.
    #[must_use]
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Mu),
            Self::Pcma => Some(Law::A),
            Self::Opus | Self::G722 => None,
        }
    }
}

/// A set of audio codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CodecSet(u8);

impl CodecSet {
    /// Whether the codec is in the set.
    #[must_use]
    pub const fn contains(self, codec: AudioCodec) -> bool {
        self.0 & (1 << codec as u8) != 0
    }

    /// Whether nothing can be sent.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<AudioCodec> for CodecSet {
    fn from_iter<I: IntoIterator<Item = AudioCodec>>(codecs: I) -> Self {
        Self(codecs.into_iter().fold(0, |bits, codec| bits | 1 << codec as u8))
    }
}

/// What the audio level header extension says of a packet (RFC 6464).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// Level below overload in dB: 0 is the loudest, 127 is silence.
    pub below_overload: u8,
    /// Whether the sender's detector heard a voice.
    pub voice: bool,
}

/// A packet at least this loud (-dBov) counts as voice.
pub(crate) const VOICE: u8 = 50;

impl AudioLevel {
    /// That of linear samples.
    pub(crate) fn of_samples(samples: &[i16]) -> Self {
        let below_overload = level::of_samples(samples);
        Self { below_overload, voice: below_overload <= VOICE }
    }

    /// That of G.711; other codecs would have to be decoded.
    pub(crate) fn of_payload(codec: AudioCodec, payload: &[u8]) -> Option<Self> {
        let below_overload = level::of_g711(codec.law()?, payload);
        Some(Self { below_overload, voice: below_overload <= VOICE })
    }
}
