//! What a phone hears: one RTP stream of 50 packets a second, made of whatever there is.

use std::net::SocketAddr;
use std::time::Instant;

use switchroom_codecs::g711::Law;
use switchroom_codecs::level;
use switchroom_rtp::Header;
use switchroom_rtp::digits::{EventPacket, InvalidDigits};
use switchroom_rtp::rtcp::SenderInfo;

use super::crypto::{Sealer, Secured};
use super::filler::{Filler, LONGEST};
use super::keys::{INTERVAL_TICKS, KeyStep, Keys};
use crate::LegKey;
use crate::audio::AudioCodec;
use crate::graph::Frame;
use crate::output::{LegPort, Output};
use crate::random::Random;
use crate::stream::{CLOCK_RATE, Placed, Stream};

/// Packets that are put into one gap at once; a longer one is a pause of the source.
const MAX_UNFILLED: u32 = 8;

/// What is below this (-dBov) is not missed.
const QUIET: u8 = 60;

/// How audio is to be sent to a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) codec: AudioCodec,
    pub(crate) law: Law,
    pub(crate) payload_type: u8,
}

/// What was negotiated for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) format: Format,
    /// Payload type of telephone events.
    pub(crate) digits: Option<u8>,
    pub(crate) ptime_ms: u32,
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
            keys: Keys::new(),
            sealer: Sealer::default(),
            sent: Sent::default(),
        }
    }

    /// What is to be sent from now on, if anything.
    pub(crate) fn update(&mut self, sending: Option<Sending>) {
        if sending.is_none() {
            self.stream.pause();
        }
        self.sending = sending;
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
        let (Some(to), Some(sending)) = (self.target, self.sending) else { return };
        if self.keys.is_down() {
            return;
        }
        if self.stream.may_shorten(now, frame)
            && level::of_g711(sending.format.law, frame.payload) >= QUIET
        {
            return self.stream.leave_out(frame);
        }
        let ticks = sending.ptime_ms * (CLOCK_RATE / 1_000);
        let unfilled = self.stream.unfilled_before(now, frame, ticks);
        if unfilled <= MAX_UNFILLED {
            for _ in 0..unfilled {
                self.fill(now, to, sending, out);
            }
        }
        if let Some(placed) = self.stream.place(now, frame) {
            let mut blended = [0; LONGEST];
            let payload = self.filler.hear(sending.format.law, frame.payload, &mut blended);
            self.send(to, sending.format.payload_type, placed, payload, out);
        }
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
        let placed = self.stream.fill(now, INTERVAL_TICKS);
        if let Some(payload_type) = sending.digits {
            let (timestamp, marker) = (event.timestamp, event.marker);
            let placed = Placed { timestamp, marker, ..placed };
            self.send(to, payload_type, placed, &event.payload, out);
        } else {
            let mut payload = [0; INTERVAL_TICKS as usize];
            self.keys.sound(event, sending.format.law, &mut payload);
            self.send(to, sending.format.payload_type, placed, &payload, out);
        }
    }

    fn fill(&mut self, now: Instant, to: SocketAddr, sending: Sending, out: &mut Output) {
        let ticks = sending.ptime_ms * (CLOCK_RATE / 1_000);
        let placed = self.stream.fill(now, ticks);
        let mut payload = [0; LONGEST];
        let payload = &mut payload[..(ticks as usize).min(LONGEST)];
        self.filler.fill(sending.format.law, payload);
        self.sent.filled += 1;
        self.send(to, sending.format.payload_type, placed, payload, out);
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
