//! What a phone hears: one RTP stream of 50 packets a second, made of whatever there is.

use std::net::SocketAddr;
use std::time::Instant;

use switchroom_codecs::level;
use switchroom_rtp::Header;
use switchroom_rtp::digits::{EventPacket, InvalidDigits};
use switchroom_rtp::rtcp::SenderInfo;

use super::crypto::{Sealer, Secured};
use super::filler::{Filler, LONGEST};
use super::keys::{KeyStep, Keys, MOST_SAMPLES};
use super::maker::Maker;
use super::regroup::Regroup;
use crate::LegKey;
use crate::audio::{AudioCodec, AudioLevel};
use crate::graph::Frame;
use crate::output::{LegPort, Output};
use crate::random::Random;
use crate::stream::{CLOCK_RATE, Placed, Stream};
use crate::transcode::LinearFrame;

/// Packets that are put into one gap at once; a longer one is a pause of the source.
const MAX_UNFILLED: u32 = 8;

/// Milliseconds of a packet of keys, and of one that we encode.
const INTERVAL_MS: u32 = 20;

/// What is below this (-dBov) is not missed.
const QUIET: u8 = 60;

/// How audio is to be sent to a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) codec: AudioCodec,
    pub(crate) payload_type: u8,
    /// The phone makes use of copies in the packets that follow (RFC 7587 §6.1, `useinbandfec`).
    pub(crate) redundant: bool,
}

impl Format {
    /// Samples a second of what is encoded for the phone.
    pub(crate) const fn rate(self) -> u32 {
        match self.codec {
            AudioCodec::Pcmu | AudioCodec::Pcma => 8_000,
            AudioCodec::G722 => 16_000,
            AudioCodec::Opus => 24_000,
        }
    }

    /// Ticks of the RTP clock in so many milliseconds.
    const fn ticks(self, ms: u32) -> u32 {
        self.codec.clock_rate() / 1_000 * ms
    }
}

/// What was negotiated for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) format: Format,
    /// Payload type and clock of telephone events.
    pub(crate) digits: Option<(u8, u32)>,
    pub(crate) ptime_ms: u32,
}

impl Sending {
    /// Milliseconds of a packet of our own making; an encoder of Opus has 20.
    fn made_ms(&self) -> u32 {
        if self.format.codec == AudioCodec::Opus { INTERVAL_MS } else { self.ptime_ms }
    }

    fn made_ticks(&self) -> u32 {
        self.format.ticks(self.made_ms())
    }
}

/// Totals since the leg was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) filled: u64,
}

#[derive(Debug)]
pub(crate) struct LegSender {
    leg: LegKey,
    /// Where to; none while there is nowhere.
    pub(crate) target: Option<SocketAddr>,
    sending: Option<Sending>,
    stream: Stream,
    filler: Filler,
    /// Makes packets of codecs that remember: all but G.711.
    maker: Option<Box<Maker>>,
    /// For a phone that asks for packets of another length than usual.
    regroup: Option<Box<Regroup>>,
    keys: Keys,
    pub(crate) sealer: Sealer,
    pub(crate) sent: Sent,
}

impl LegSender {
    pub(crate) fn new(leg: LegKey, random: &mut Random) -> Self {
        let numbers = random.next_u64();
        Self {
            leg,
            target: None,
            sending: None,
            // Below 2^15: with a first number close to the wrap and its packet lost, the roll-over
            // counter of SRTP would not be the receiver's (RFC 3711 §3.3.1).
            stream: Stream::new(random.next_u32(), numbers as u16 >> 1, (numbers >> 32) as u32),
            filler: Filler::new(),
            maker: None,
            regroup: None,
            keys: Keys::new(),
            sealer: Sealer::default(),
            sent: Sent::default(),
        }
    }

    /// What is to be sent from now on, if anything.
    pub(crate) fn update(&mut self, sending: Option<Sending>) {
        match sending {
            None => self.stream.pause(),
            Some(sending) => {
                self.stream.set_clock(sending.format.codec.clock_rate());
                let Format { codec, redundant, .. } = sending.format;
                if self.maker.as_ref().is_none_or(|maker| !maker.makes(codec, redundant)) {
                    self.maker = Maker::new(codec, redundant).map(Box::new);
                }
                if let Some((_, clock)) = sending.digits {
                    self.keys.set_clock_rate(clock);
                }
            }
        }
        self.sending = sending;
    }

    /// Samples a second of what is mixed for the phone.
    pub(crate) fn rate(&self) -> Option<u32> {
        self.sending.map(|sending| sending.format.rate())
    }

    /// Ticks a second of what is sent.
    pub(crate) fn clock(&self) -> u32 {
        self.sending.map_or(CLOCK_RATE, |sending| sending.format.codec.clock_rate())
    }

    pub(crate) fn format(&self) -> Option<Format> {
        self.sending.filter(|_| self.target.is_some()).map(|sending| sending.format)
    }

    pub(crate) fn leg(&self) -> LegKey {
        self.leg
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.stream.ssrc
    }

    /// Other things will be heard from now on.
    pub(crate) fn inputs_changed(&mut self) {
        self.stream.expect_change();
    }

    /// Sends a packet that is encoded in our format.
    pub(crate) fn audio(&mut self, now: Instant, frame: &Frame<'_>, out: &mut Output) {
        if let Some(maker) = &mut self.maker {
            maker.pass(frame.payload);
        }
        self.deal(now, frame, out);
    }

    /// Encodes samples for the phone, at the rate of its format, and sends them.
    pub(crate) fn speak(
        &mut self,
        now: Instant,
        from: &LinearFrame,
        samples: &[i16],
        out: &mut Output,
    ) {
        let Some(sending) = self.sending.filter(|_| self.target.is_some()) else { return };
        if self.keys.is_down() {
            return;
        }
        let Some(mut maker) = self.maker.take() else { return };
        let payload = maker.speak(samples);
        if !payload.is_empty() {
            let frame = Frame {
                stream: from.stream,
                codec: sending.format.codec,
                sequence: from.sequence,
                timestamp: from.timestamp.wrapping_mul(sending.format.ticks(1) / 8),
                marker: from.marker,
                pause: from.pause,
                keep: from.keep,
                level: from.keep.then(|| AudioLevel::of_samples(samples)),
                payload,
                shared: None,
            };
            self.deal(now, &frame, out);
        }
        self.maker = Some(maker);
    }

    /// Sends what a packet holds; in packets of another length, if the phone asks for one that is
    /// not the usual one. Every phone takes 20 ms, and who says nothing takes what comes.
    fn deal(&mut self, now: Instant, frame: &Frame<'_>, out: &mut Output) {
        let Some(sending) = self.sending else { return };
        let ticks = sending.made_ticks();
        if sending.made_ms() == INTERVAL_MS || frame.ticks() == ticks {
            return self.put(now, frame, out);
        }
        let mut regroup = self.regroup.take().unwrap_or_default();
        regroup.push(frame, ticks as usize, |frame| self.put(now, frame, out));
        self.regroup = Some(regroup);
    }

    /// Sends a packet at its place, if it has one.
    fn put(&mut self, now: Instant, frame: &Frame<'_>, out: &mut Output) {
        let (Some(to), Some(sending)) = (self.target, self.sending) else { return };
        if self.keys.is_down() {
            return;
        }
        if self.stream.may_shorten(now, frame) && is_quiet(frame) {
            return self.stream.leave_out(frame);
        }
        let unfilled = self.stream.unfilled_before(now, frame, sending.made_ticks());
        if unfilled <= MAX_UNFILLED {
            for _ in 0..unfilled {
                self.fill(now, to, sending, out);
            }
        }
        let Some(placed) = self.stream.place(now, frame) else { return };
        let mut blended = [0; LONGEST];
        let payload = match sending.format.codec.law() {
            Some(law) => self.filler.hear(law, frame.payload, &mut blended),
            None => frame.payload,
        };
        self.send(to, sending.format.payload_type, placed, payload, out);
    }

    /// Queues keys to press.
    pub(crate) fn send_digits(&mut self, now: Instant, digits: &str) -> Result<(), InvalidDigits> {
        self.keys.press(now, digits)
    }

    /// When there is something to send although nothing came.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.format()?;
        let fill = (!self.keys.is_down()).then(|| self.stream.fill_deadline(now));
        fill.into_iter().chain(self.keys.deadline()).min()
    }

    /// Whether the deadline may be met some milliseconds late.
    pub(crate) fn is_flowing(&self) -> bool {
        self.keys.deadline().is_none() && self.stream.is_flowing()
    }

    /// Sends what is due. True if the last digit has been sent.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Output) -> bool {
        let (Some(to), Some(sending)) = (self.target, self.sending) else { return false };
        let finished = self.step_keys(now, to, sending, out);
        self.stream.forgive_delay(now);
        while !self.keys.is_down() && self.stream.fill_deadline(now) <= now {
            self.fill(now, to, sending, out);
        }
        finished
    }

    /// What a sender report says of the stream (RFC 3550 §6.4.1), `ntp` left out.
    pub(crate) fn info(&self, now: Instant) -> SenderInfo {
        SenderInfo {
            ntp: 0,
            rtp_timestamp: self.stream.timestamp_at(now),
            packets: self.sent.packets as u32,
            octets: self.sent.bytes as u32,
        }
    }

    fn step_keys(
        &mut self,
        now: Instant,
        to: SocketAddr,
        sending: Sending,
        out: &mut Output,
    ) -> bool {
        let step = self.keys.step(now, self.stream.next_timestamp());
        if let Some(KeyStep::Down(event)) = step {
            self.filler.forget();
            self.send_key(now, to, sending, &event, out);
        }
        step == Some(KeyStep::Finished)
    }

    fn send_key(
        &mut self,
        now: Instant,
        to: SocketAddr,
        sending: Sending,
        event: &EventPacket,
        out: &mut Output,
    ) {
        let Format { codec, payload_type, .. } = sending.format;
        let placed = self.stream.fill(now, sending.format.ticks(INTERVAL_MS));
        if let Some((payload_type, _)) = sending.digits {
            let (timestamp, marker) = (event.timestamp, event.marker);
            let placed = Placed { timestamp, marker, ..placed };
            self.send(to, payload_type, placed, &event.payload, out);
            return;
        }
        let rate = sending.format.rate();
        let mut samples = [0; MOST_SAMPLES];
        let samples = &mut samples[..(rate / 1_000 * INTERVAL_MS) as usize];
        self.keys.sound(event, rate, samples);
        match codec.law() {
            Some(law) => {
                let mut payload = [0; LONGEST];
                law.encode(samples, &mut payload);
                self.send(to, payload_type, placed, &payload[..samples.len()], out);
            }
            None => self.send_made(to, payload_type, placed, |maker| maker.speak(samples), out),
        }
    }

    fn fill(&mut self, now: Instant, to: SocketAddr, sending: Sending, out: &mut Output) {
        let placed = self.stream.fill(now, sending.made_ticks());
        let Format { codec, payload_type, .. } = sending.format;
        self.sent.filled += 1;
        let Some(law) = codec.law() else {
            let ms = sending.made_ms();
            return self.send_made(to, payload_type, placed, |maker| maker.fill(ms), out);
        };
        let mut payload = [0; LONGEST];
        let payload = &mut payload[..(sending.made_ticks() as usize).min(LONGEST)];
        self.filler.fill(law, payload);
        self.send(to, payload_type, placed, payload, out);
    }

    fn send_made(
        &mut self,
        to: SocketAddr,
        payload_type: u8,
        placed: Placed,
        make: impl FnOnce(&mut Maker) -> &[u8],
        out: &mut Output,
    ) {
        let Some(mut maker) = self.maker.take() else { return };
        self.send(to, payload_type, placed, make(&mut maker), out);
        self.maker = Some(maker);
    }

    fn send(
        &mut self,
        to: SocketAddr,
        payload_type: u8,
        placed: Placed,
        payload: &[u8],
        out: &mut Output,
    ) {
        let Placed { sequence, timestamp, marker } = placed;
        let header = Header { marker, payload_type, sequence, timestamp, ssrc: self.stream.ssrc };
        self.sent.packets += 1;
        self.sent.bytes += payload.len() as u64;
        out.send(self.leg, LegPort::Rtp, to, |bytes| {
            let start = bytes.len();
            header.write(payload, bytes);
            self.sealer.seal(Secured::Rtp, bytes, start);
        });
    }
}

/// Whether nobody would miss a packet.
fn is_quiet(frame: &Frame<'_>) -> bool {
    match frame.codec.law() {
        Some(law) => level::of_g711(law, frame.payload) >= QUIET,
        None => frame.level.is_some_and(|level| level.below_overload >= QUIET),
    }
}
