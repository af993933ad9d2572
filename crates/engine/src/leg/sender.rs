//! What a phone hears: one RTP stream of 50 packets a second, made of whatever there is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchroom_codecs::g711::Law;
use switchroom_rtp::Header;
use switchroom_rtp::digits::{DigitSender, DigitStep, DigitTiming, InvalidDigits};
use switchroom_rtp::rtcp::SenderInfo;

use crate::LegKey;
use crate::audio::AudioCodec;
use crate::graph::Frame;
use crate::output::{LegPort, Output};
use crate::random::Random;
use crate::stream::{CLOCK_RATE, Placed, Stream};

/// Packets that are put into one gap at once; a longer one is a pause of the source.
const MAX_UNFILLED: u32 = 8;

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
    digits: DigitSender,
    digit_step: Option<Instant>,
    /// An event is under way, in place of audio.
    in_event: bool,
    pub(crate) sent: Sent,
}

impl LegSender {
    pub(crate) fn new(leg: LegKey, random: &mut Random) -> Self {
        let numbers = random.next_u64();
        Self {
            leg,
            target: None,
            sending: None,
            stream: Stream::new(random.next_u32(), numbers as u16, (numbers >> 32) as u32),
            digits: DigitSender::new(CLOCK_RATE, 20, DigitTiming::default()),
            digit_step: None,
            in_event: false,
            sent: Sent::default(),
        }
    }

    /// What is to be sent from now on, if anything.
    pub(crate) fn update(&mut self, sending: Option<Sending>) {
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
        if self.in_event {
            return;
        }
        let ticks = sending.ptime_ms * (CLOCK_RATE / 1_000);
        let unfilled = self.stream.unfilled_before(now, frame, ticks);
        if unfilled <= MAX_UNFILLED {
            for _ in 0..unfilled {
                self.fill(now, to, sending, out);
            }
        }
        if let Some(placed) = self.stream.place(now, frame) {
            self.send(to, sending.format.payload_type, placed, frame.payload, out);
        }
    }

    /// Queues keys to press. Without telephone events they cannot be sent.
    pub(crate) fn send_digits(&mut self, now: Instant, digits: &str) -> Result<(), InvalidDigits> {
        self.digits.queue(digits)?;
        if self.digits.is_busy() {
            self.digit_step.get_or_insert(now);
        }
        Ok(())
    }

    /// When there is something to send although nothing came.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.format()?;
        let fill = (!self.in_event).then(|| self.stream.fill_deadline(now));
        [fill, self.digit_step].into_iter().flatten().min()
    }

    /// Whether the deadline may be met some milliseconds late.
    pub(crate) fn is_flowing(&self) -> bool {
        self.digit_step.is_none() && self.stream.is_flowing()
    }

    /// Sends what is due. True if the last digit has been sent.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Output) -> bool {
        let (Some(to), Some(sending)) = (self.target, self.sending) else { return false };
        let finished = self.step_digits(now, to, sending, out);
        while !self.in_event && self.stream.fill_deadline(now) <= now {
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

    fn step_digits(
        &mut self,
        now: Instant,
        to: SocketAddr,
        sending: Sending,
        out: &mut Output,
    ) -> bool {
        let Some(due) = self.digit_step.filter(|due| *due <= now) else { return false };
        self.digit_step = Some(due + Duration::from_millis(20));
        self.in_event = false;
        match self.digits.step(self.stream.next_timestamp()) {
            DigitStep::Event(event) => {
                self.in_event = true;
                let placed = Placed {
                    sequence: self.stream.event(now, CLOCK_RATE / 50),
                    timestamp: event.timestamp,
                    marker: event.marker,
                };
                if let Some(payload_type) = sending.digits {
                    self.send(to, payload_type, placed, &event.payload, out);
                }
                false
            }
            DigitStep::Pause => false,
            DigitStep::Idle => {
                self.digit_step = None;
                false
            }
            DigitStep::Finished => true,
        }
    }

    fn fill(&mut self, now: Instant, to: SocketAddr, sending: Sending, out: &mut Output) {
        let ticks = sending.ptime_ms * (CLOCK_RATE / 1_000);
        let placed = self.stream.fill(now, ticks);
        let silence = [sending.format.law.silence(); 480];
        let payload = &silence[..(ticks as usize).min(silence.len())];
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
        out.send(self.leg, LegPort::Rtp, to, |bytes| header.write(payload, bytes));
    }
}
