//! Opus by libopus, at the rate of the sound at hand: a phone's 8 kHz is never taken to 48.
//!
//! The only file of this crate that calls C.
#![expect(unsafe_code, reason = "libopus is a C library; each call says why it is sound")]

use std::fmt;
use std::ptr::NonNull;

use opusic_sys as ffi;

/// Concealment keeps its loudness for so long …
const KEPT_MS: u32 = 60;
/// … and is silent after so long: libopus by itself goes on with noise.
const FADED_MS: u32 = 200;

/// A frame this small says that the sender has stopped because of silence (RFC 6716 §2.1.9).
const DTX_PACKET: usize = 2;

/// The largest packet an encoder here produces: a 20 ms frame at the highest bit rate.
pub const MAX_PACKET: usize = 1_275;

/// The longest sound one packet may hold (RFC 6716 §3.2.5).
const LONGEST_MS: u32 = 120;

/// CPU against quality, 0 to 10. At 5 an 8 kHz frame takes half of the time it takes at 10, and
/// nobody hears the difference on a telephone line.
const COMPLEXITY: i32 = 5;

/// The loss an encoder with error correction prepares for, in percent.
const EXPECTED_LOSS: i32 = 10;

/// Why libopus refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpusError {
    /// Sampling rate or frame size is none that Opus has, or the output has no room.
    BadArgument,
    /// The packet is damaged.
    InvalidPacket,
    /// No memory for the state.
    OutOfMemory,
    /// Something that libopus should not answer here, with its code.
    Internal(i32),
}

impl fmt::Display for OpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadArgument => f.write_str("not a rate, frame size or buffer Opus can use"),
            Self::InvalidPacket => f.write_str("damaged Opus packet"),
            Self::OutOfMemory => f.write_str("no memory for an Opus codec"),
            Self::Internal(code) => write!(f, "libopus failed with code {code}"),
        }
    }
}

impl std::error::Error for OpusError {}

/// Turns a negative return value of libopus into an error.
fn check(result: i32) -> Result<usize, OpusError> {
    match result {
        ffi::OPUS_BAD_ARG | ffi::OPUS_BUFFER_TOO_SMALL => Err(OpusError::BadArgument),
        ffi::OPUS_INVALID_PACKET => Err(OpusError::InvalidPacket),
        ffi::OPUS_ALLOC_FAIL => Err(OpusError::OutOfMemory),
        code => usize::try_from(code).map_err(|_| OpusError::Internal(code)),
    }
}

/// Samples at `sample_rate` that a packet decodes to, from its first octets (RFC 6716 §3.1);
/// `None` when they are no Opus packet of at most 120 ms.
#[must_use]
pub fn packet_samples(packet: &[u8], sample_rate: u32) -> Option<usize> {
    let (&toc, rest) = packet.split_first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3F),
    };
    // RFC 6716 §3.1 table 2, in units of 2.5 ms.
    let units = match toc >> 3 {
        config @ 0..=11 => [4, 8, 16, 24][usize::from(config & 3)],
        config @ 12..=15 => [4, 8][usize::from(config & 1)],
        config => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let units = units * frames;
    (1..=48).contains(&units).then(|| (units * (sample_rate / 400)) as usize)
}

/// Whether a packet only says that the sender is silent from here on (DTX): its next one comes when
/// there is something to hear again, or in 400 ms.
#[must_use]
pub fn announces_silence(packet: &[u8]) -> bool {
    (1..=DTX_PACKET).contains(&packet.len())
}

/// How a stream is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpusEncoderConfig {
    /// 8,000, 12,000, 16,000, 24,000 or 48,000.
    pub sample_rate: u32,
    /// Bits a second, 6,000 to 510,000.
    pub bitrate: u32,
    /// Whether each packet carries a coarse copy of the one before (RFC 6716 §2.1.7).
    pub in_band_fec: bool,
}

impl OpusEncoderConfig {
    /// Telephone speech at this rate, without error correction.
    #[must_use]
    pub fn speech(sample_rate: u32) -> Self {
        let bitrate = match sample_rate {
            ..=8_000 => 20_000,
            8_001..=16_000 => 24_000,
            _ => 32_000,
        };
        Self { sample_rate, bitrate, in_band_fec: false }
    }
}

/// Encodes one mono stream.
#[derive(Debug)]
pub struct OpusEncoder {
    state: NonNull<ffi::OpusEncoder>,
}

// SAFETY: the state is one block of memory without thread-local parts; nobody else has the
// pointer, and every use of it takes `&mut self`.
unsafe impl Send for OpusEncoder {}

impl OpusEncoder {
    /// An encoder tuned for speech.
    pub fn new(config: OpusEncoderConfig) -> Result<Self, OpusError> {
        let rate = config.sample_rate.cast_signed();
        let mut error = ffi::OPUS_OK;
        // SAFETY: `error` outlives the call; any value of the other arguments is checked by it.
        let state = unsafe {
            ffi::opus_encoder_create(rate, 1, ffi::OPUS_APPLICATION_VOIP, &raw mut error)
        };
        check(error)?;
        let state = NonNull::new(state).ok_or(OpusError::OutOfMemory)?;
        let mut encoder = Self { state };
        let loss = if config.in_band_fec { EXPECTED_LOSS } else { 0 };
        encoder.set(ffi::OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY)?;
        encoder.set(ffi::OPUS_SET_BITRATE_REQUEST, config.bitrate.cast_signed())?;
        encoder.set(ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_VOICE)?;
        encoder.set(ffi::OPUS_SET_INBAND_FEC_REQUEST, i32::from(config.in_band_fec))?;
        encoder.set(ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, loss)?;
        Ok(encoder)
    }

    /// Encodes one frame of 2.5, 5, 10, 20, 40 or 60 ms and returns the size of the packet.
    pub fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Result<usize, OpusError> {
        let (count, room) = (size(samples.len())?, size(packet.len())?);
        // SAFETY: the state is alive; libopus reads `count` samples, one channel, and writes at
        // most `room` octets, which are the lengths of the two slices.
        check(unsafe {
            let (samples, packet) = (samples.as_ptr(), packet.as_mut_ptr());
            ffi::opus_encode(self.state.as_ptr(), samples, count, packet, room)
        })
    }

    fn set(&mut self, request: i32, value: i32) -> Result<(), OpusError> {
        // SAFETY: the state is alive, and each request made here takes one 32-bit integer.
        check(unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), request, value) }).map(drop)
    }
}

impl Drop for OpusEncoder {
    fn drop(&mut self) {
        // SAFETY: it was made by opus_encoder_create and is destroyed once.
        unsafe { ffi::opus_encoder_destroy(self.state.as_ptr()) }
    }
}

/// Decodes one stream, to mono at a rate of our choice whatever the sender used.
#[derive(Debug)]
pub struct OpusDecoder {
    state: NonNull<ffi::OpusDecoder>,
    sample_rate: u32,
    /// Samples made up since the last packet; `None` while the sender is known to be silent, when
    /// comfort noise goes on.
    concealed: Option<u32>,
}

// SAFETY: as for the encoder.
unsafe impl Send for OpusDecoder {}

impl OpusDecoder {
    /// A decoder to 8,000, 12,000, 16,000, 24,000 or 48,000 samples a second.
    pub fn new(sample_rate: u32) -> Result<Self, OpusError> {
        let mut error = ffi::OPUS_OK;
        // SAFETY: `error` outlives the call; any value of the other arguments is checked by it.
        let state =
            unsafe { ffi::opus_decoder_create(sample_rate.cast_signed(), 1, &raw mut error) };
        check(error)?;
        let state = NonNull::new(state).ok_or(OpusError::OutOfMemory)?;
        Ok(Self { state, sample_rate, concealed: Some(0) })
    }

    /// Decodes a packet and returns how many samples it held; `samples` must have room for them
    /// ([`packet_samples`], or 120 ms for any).
    pub fn decode(&mut self, packet: &[u8], samples: &mut [i16]) -> Result<usize, OpusError> {
        if packet.is_empty() {
            return Err(OpusError::InvalidPacket); // to libopus that would mean loss
        }
        self.concealed = (!announces_silence(packet)).then_some(0);
        self.run(Some(packet), samples, false)
    }

    /// Makes up for a lost packet: fills `samples`, a multiple of 2.5 ms, with what might have
    /// followed, silence after 200 ms.
    pub fn conceal(&mut self, samples: &mut [i16]) -> Result<(), OpusError> {
        let largest = (self.sample_rate / 1_000 * LONGEST_MS) as usize;
        for part in samples.chunks_mut(largest) {
            self.run(None, part, false)?;
            self.fade(part);
        }
        Ok(())
    }

    fn fade(&mut self, samples: &mut [i16]) {
        let Some(concealed) = &mut self.concealed else { return };
        let kept = self.sample_rate / 1_000 * KEPT_MS;
        let faded = self.sample_rate / 1_000 * FADED_MS;
        for sample in samples {
            let left = faded.saturating_sub(*concealed).min(faded - kept);
            let scaled = i64::from(*sample) * i64::from(left) / i64::from(faded - kept);
            *sample = scaled as i16;
            *concealed = concealed.saturating_add(1);
        }
    }

    /// Makes up for a lost packet from the copy that the packet after it may carry, and as
    /// [`Self::conceal`] when it carries none. `samples` is as long as what was lost. The packet
    /// itself must then be decoded too.
    pub fn recover(&mut self, next: &[u8], samples: &mut [i16]) -> Result<(), OpusError> {
        if next.is_empty() {
            return self.conceal(samples);
        }
        self.run(Some(next), samples, true).map(drop)
    }

    fn run(
        &mut self,
        packet: Option<&[u8]>,
        samples: &mut [i16],
        fec: bool,
    ) -> Result<usize, OpusError> {
        let (data, length) = match packet {
            Some(packet) => (packet.as_ptr(), size(packet.len())?),
            None => (std::ptr::null(), 0),
        };
        let room = size(samples.len())?;
        // SAFETY: the state is alive; `data` is null (which means loss) or `length` octets long,
        // and libopus writes at most `room` samples of one channel, the length of the slice.
        check(unsafe {
            let samples = samples.as_mut_ptr();
            ffi::opus_decode(self.state.as_ptr(), data, length, samples, room, i32::from(fec))
        })
    }
}

impl Drop for OpusDecoder {
    fn drop(&mut self) {
        // SAFETY: it was made by opus_decoder_create and is destroyed once.
        unsafe { ffi::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

fn size(length: usize) -> Result<i32, OpusError> {
    i32::try_from(length).map_err(|_| OpusError::BadArgument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;
    use crate::tone::{Segment, ToneGenerator};

    const RATES: [u32; 3] = [8_000, 16_000, 48_000];

    fn tone(rate: u32, seconds: u32) -> Vec<i16> {
        let segment = Segment { frequencies: vec![440.0], duration: f64::from(seconds) };
        let mut samples = vec![0; (rate * seconds) as usize];
        let _ = ToneGenerator::new(rate, &[segment], -20.0, false).unwrap().fill(&mut samples);
        samples
    }

    fn encode(config: OpusEncoderConfig, samples: &[i16]) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(config).unwrap();
        let mut packet = [0; MAX_PACKET];
        let frames = samples.chunks_exact(config.sample_rate as usize / 50);
        frames
            .map(|frame| {
                let size = encoder.encode(frame, &mut packet).unwrap();
                packet[..size].to_vec()
            })
            .collect()
    }

    #[test]
    fn a_tone_keeps_its_level_from_any_rate_to_any_rate() {
        for from in RATES {
            let packets = encode(OpusEncoderConfig::speech(from), &tone(from, 1));
            for to in RATES {
                let mut decoder = OpusDecoder::new(to).unwrap();
                let (mut frame, mut heard) = (vec![0; to as usize / 50], Vec::new());
                for packet in &packets {
                    assert_eq!(packet_samples(packet, to), Some(frame.len()));
                    assert_eq!(decoder.decode(packet, &mut frame), Ok(frame.len()));
                    heard.extend_from_slice(&frame);
                }
                let level = level::of_samples(&heard[heard.len() / 2..]);
                assert!((19..=21).contains(&level), "{from} to {to}: -{level} dBov");
            }
        }
    }

    #[test]
    fn a_lost_packet_is_concealed_and_a_long_loss_fades_away() {
        let packets = encode(OpusEncoderConfig::speech(8_000), &tone(8_000, 1));
        let mut decoder = OpusDecoder::new(8_000).unwrap();
        let mut frame = [0; 160];
        for packet in &packets {
            decoder.decode(packet, &mut frame).unwrap();
        }
        decoder.conceal(&mut frame).unwrap();
        assert!(level::of_samples(&frame) < 26);
        let mut second = [0; 8_000];
        decoder.conceal(&mut second).unwrap();
        let faded = level::of_samples(&second[7_000..]);
        assert_eq!(faded, level::SILENCE);
    }

    #[test]
    fn the_copy_in_the_next_packet_is_closer_to_what_was_lost_than_a_guess() {
        let config = OpusEncoderConfig { in_band_fec: true, ..OpusEncoderConfig::speech(16_000) };
        // A tone after silence: nothing before the loss hints at it.
        let mut samples = vec![0; 16_000];
        samples.extend(tone(16_000, 1));
        let packets = encode(config, &samples);
        let recovered_level = |fec: bool| {
            let mut decoder = OpusDecoder::new(16_000).unwrap();
            let mut frame = [0; 320];
            for packet in &packets[..50] {
                decoder.decode(packet, &mut frame).unwrap();
            }
            // Packets 50 and 51 are lost: the first is gone, the copy of the second arrives.
            decoder.conceal(&mut frame).unwrap();
            if fec {
                decoder.recover(&packets[52], &mut frame).unwrap();
            } else {
                decoder.conceal(&mut frame).unwrap();
            }
            level::of_samples(&frame)
        };
        let (recovered, guessed) = (recovered_level(true), recovered_level(false));
        assert!(recovered + 30 < guessed, "-{recovered} and -{guessed} dBov");
    }

    #[test]
    fn impossible_rates_and_frames_are_refused() {
        let refused = OpusEncoder::new(OpusEncoderConfig::speech(44_100)).err();
        assert_eq!(refused, Some(OpusError::BadArgument));
        assert_eq!(OpusDecoder::new(0).err(), Some(OpusError::BadArgument));
        let mut encoder = OpusEncoder::new(OpusEncoderConfig::speech(8_000)).unwrap();
        let mut packet = [0; MAX_PACKET];
        assert_eq!(encoder.encode(&[0; 161], &mut packet), Err(OpusError::BadArgument));
        assert_eq!(encoder.encode(&[], &mut packet), Err(OpusError::BadArgument));
        assert_eq!(encoder.encode(&[0; 160], &mut []), Err(OpusError::BadArgument));
    }

    #[test]
    fn a_buffer_too_small_for_the_packet_is_an_error_not_an_overrun() {
        let packets = encode(OpusEncoderConfig::speech(48_000), &tone(48_000, 1));
        let mut decoder = OpusDecoder::new(48_000).unwrap();
        assert_eq!(decoder.decode(&packets[0], &mut [0; 480]), Err(OpusError::BadArgument));
        assert_eq!(decoder.decode(&[], &mut [0; 960]), Err(OpusError::InvalidPacket));
        assert_eq!(decoder.conceal(&mut [0; 7]), Err(OpusError::BadArgument));
    }

    #[test]
    fn the_duration_is_read_off_the_first_octets() {
        assert_eq!(packet_samples(&[0x00], 8_000), Some(80)); // SILK 10 ms
        assert_eq!(packet_samples(&[0x19], 8_000), Some(960)); // 2 frames of SILK 60 ms
        assert_eq!(packet_samples(&[0x68], 48_000), Some(960)); // hybrid 20 ms
        assert_eq!(packet_samples(&[0x80], 48_000), Some(120)); // CELT 2.5 ms
        assert_eq!(packet_samples(&[0xFB, 3], 48_000), Some(2_880)); // 3 frames of CELT 20 ms
        assert_eq!(packet_samples(&[0x1B, 3], 8_000), None); // 180 ms
        assert_eq!(packet_samples(&[0x03, 0], 8_000), None);
        assert_eq!(packet_samples(&[0x03], 8_000), None);
        assert_eq!(packet_samples(&[], 8_000), None);
    }

    #[test]
    fn garbage_is_decoded_or_refused_but_never_harmful() {
        let mut random = switchroom_netem::Random::new(6716);
        let mut decoder = OpusDecoder::new(8_000).unwrap();
        let (mut packet, mut samples) = ([0; 160], [0; 960]);
        for _ in 0..5_000 {
            let size = random.below(161) as usize;
            random.fill(&mut packet[..size]);
            let announced = packet_samples(&packet[..size], 8_000);
            if let Ok(count) = decoder.decode(&packet[..size], &mut samples) {
                assert_eq!(Some(count), announced);
            }
            let _ = decoder.recover(&packet[..size], &mut samples[..160]);
        }
    }
}
