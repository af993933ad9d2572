//! One continuous RTP stream, whatever it is made of.
//!
//! A phone's RTP stream keeps its SSRC, counts its packets without a gap of ours and keeps one time
//! line, while its content comes from one source, then another, from fillers and from digits. A
//! source's own gaps and reordering are kept: the phone hides a loss better than we do.

use std::time::{Duration, Instant};

use crate::graph::Frame;

/// Ticks a second of G.711, and of its samples.
pub(crate) const CLOCK_RATE: u32 = 8_000;
/// A source that jumps further ahead than this starts a new numbering, and so does one that falls
/// further behind (RFC 3550 appendix A.1: `MAX_DROPOUT` and `MAX_MISORDER`).
const MAX_DROPOUT: u64 = 3_000;
const MAX_MISORDER: u64 = 100;
/// How much further than real time a source's timestamps may run in a gap before they are a jump.
const MAX_TIME_JUMP: Duration = Duration::from_millis(200);
/// A new source that begins this much before the old one's last packet has been played is let wait
/// for its next packet: else each switch would add delay at the phone.
const EARLY: Duration = Duration::from_millis(10);
/// A deadline that is met this late was missed by ourselves, not by the source: its packets have
/// been held up too.
const HELD_UP: Duration = Duration::from_millis(30);
/// Packets that come after their place was filled are dropped for so long; then the source's path
/// has become slower, and its later packets get a place of their own.
const MAX_LATE: Duration = Duration::from_millis(60);
/// How much more than it has played the phone may be sent of a source whose words are kept.
const MAX_AHEAD: Duration = Duration::from_millis(500);
/// How much more than it has played the phone may be sent at all: a source that sends faster than
/// time passes would put off whatever comes after it.
const MOST_AHEAD: Duration = Duration::from_secs(2);
/// With so much in hand, the phone is spared what is not heard.
const ENOUGH_AHEAD: Duration = Duration::from_millis(100);
/// Packets in a row after which a source counts as flowing.
const STEADY: u32 = 4;
/// How long a flowing source may be late before its place is filled: what jitter usually is.
const PATIENCE: Duration = Duration::from_millis(60);
/// The same for a source that stutters (DTX) or has not begun.
const IMPATIENCE: Duration = Duration::from_millis(10);

/// The header fields that depend on a packet's place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
}

/// The numbering of one outgoing stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    /// Ticks a second.
    clock: u32,
    next_sequence: u64,
    /// Timestamp right after the newest packet.
    end: u32,
    source: Option<Numbering>,
    /// Bit n: packet `next_sequence - 1 - n` was sent.
    sent: u64,
    line: Option<TimeLine>,
    /// When the phone plays what, if it began with the packet that came last of all. Followed for
    /// sources whose words are kept.
    played: Option<TimeLine>,
    /// Nothing is to be sent at present (hold).
    paused: bool,
    /// The newest packet was not the source's.
    filled: bool,
    steady: u32,
    late_since: Option<Instant>,
    marker_owed: bool,
}

/// How the numbers of the present source become ours.
#[derive(Debug, Clone, Copy)]
struct Numbering {
    stream: u64,
    newest: u64,
    first: u64,
    sequence_offset: u64,
    timestamp_offset: u32,
}

/// Which moment belongs to which timestamp.
#[derive(Debug, Clone, Copy)]
struct TimeLine {
    at: Instant,
    timestamp: u32,
    clock: u32,
}

impl TimeLine {
    fn due(&self, timestamp: u32) -> Instant {
        let ticks = timestamp.wrapping_sub(self.timestamp).cast_signed();
        let distance = duration_of(ticks.unsigned_abs(), self.clock);
        if ticks < 0 {
            self.at.checked_sub(distance).unwrap_or(self.at)
        } else {
            self.at + distance
        }
    }

    /// Follows a source's clock: quickly when it comes early, slowly when it comes late, so that
    /// jitter does not move the line.
    fn observe(&mut self, now: Instant, timestamp: u32) {
        let due = self.due(timestamp);
        let early = due.saturating_duration_since(now) / 8;
        let late = now.saturating_duration_since(due) / 32;
        *self = Self { at: due.checked_sub(early).unwrap_or(due) + late, timestamp, ..*self };
    }
}

impl Stream {
    /// SSRC and first numbers are random (RFC 3550 §5.1).
    pub(crate) fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32) -> Self {
        Self {
            ssrc,
            clock: CLOCK_RATE,
            next_sequence: 0x1_0000 + u64::from(first_sequence),
            end: first_timestamp,
            source: None,
            sent: 0,
            line: None,
            played: None,
            paused: false,
            filled: true,
            steady: 0,
            late_since: None,
            marker_owed: true,
        }
    }

    /// Counts in other ticks from now on: another codec. What comes next follows what was sent
    /// (RFC 7160 §4.1).
    pub(crate) fn set_clock(&mut self, clock: u32) {
        if self.clock == clock {
            return;
        }
        let end = self.end;
        let moved = |line: TimeLine| TimeLine { at: line.due(end), timestamp: end, clock };
        (self.line, self.played) = (self.line.map(moved), self.played.map(moved));
        (self.clock, self.source) = (clock, None);
    }

    /// The place of a source's packet; `None` if it comes too late or too early to be sent.
    pub(crate) fn place(&mut self, now: Instant, frame: &Frame<'_>) -> Option<Placed> {
        self.begin_or_resume(now, now);
        if self.in_hand(now) > MOST_AHEAD {
            return None;
        }
        let numbering = match self.source {
            Some(source) if source.stream == frame.stream => {
                if frame.sequence <= source.newest {
                    return self.place_reordered(now, source, frame);
                }
                let ahead = self.ahead_of_end(source, frame);
                // A word that begins is never cut: what was put into its place was silence.
                let keep = frame.marker || frame.keep && self.in_hand(now) < MAX_AHEAD;
                if ahead < 0 && self.filled && !keep && !self.is_late_for_good(now) {
                    return None;
                }
                if frame.keep && ahead > 0 && !self.in_hand(now).is_zero() {
                    // In the pause before it the phone has not played all that it was sent.
                    return Some(self.append(now, self.next_to_end(frame), frame));
                }
                if ahead < 0 || self.is_jump(now, source, frame, ahead) {
                    self.switch(now, frame)?
                } else {
                    source
                }
            }
            _ => self.switch(now, frame)?,
        };
        Some(self.append(now, numbering, frame))
    }

    /// Whole frames of `ticks` that are missing between the newest packet and this one of the
    /// present source, when it is our fillers that stopped short.
    pub(crate) fn unfilled_before(&self, now: Instant, frame: &Frame<'_>, ticks: u32) -> u32 {
        match self.source {
            Some(source) if source.stream == frame.stream && self.filled => {
                let ahead = self.ahead_of_end(source, frame);
                let jump = ahead < 0 || self.is_jump(now, source, frame, ahead);
                if jump { 0 } else { ahead.unsigned_abs() / ticks.max(1) }
            }
            _ => 0,
        }
    }

    /// The place of a packet of our own making that lasts `ticks`.
    pub(crate) fn fill(&mut self, now: Instant, ticks: u32) -> Placed {
        // As late as the fillers that follow, so that they come at an even pace.
        self.begin_or_resume(now, now.checked_sub(IMPATIENCE).unwrap_or(now));
        let timestamp = self.end;
        self.end = timestamp.wrapping_add(ticks);
        if let (Some(line), Some(played)) = (&mut self.line, self.played) {
            // Where the phone had more in hand than the line knew, the line is as far behind.
            if played.due(timestamp) > line.due(timestamp) + PATIENCE {
                let at = now.checked_sub(IMPATIENCE).unwrap_or(now);
                *line = TimeLine { at, timestamp, ..*line };
            }
            self.note_sent(now, timestamp);
        }
        let marker = std::mem::take(&mut self.marker_owed);
        Placed { sequence: self.take_sequence(), timestamp, marker }
    }

    /// When the place after the newest packet has to be filled: not before the phone has played
    /// what it was sent.
    pub(crate) fn fill_deadline(&self, now: Instant) -> Instant {
        let patience = if self.is_flowing() { PATIENCE } else { IMPATIENCE };
        let due = self.line.map_or(now, |line| line.due(self.end) + patience);
        self.played.map_or(due, |played| due.max(played.due(self.end)))
    }

    /// How much the phone has been sent that it has not played yet.
    fn in_hand(&self, now: Instant) -> Duration {
        self.played
            .map_or(Duration::ZERO, |played| played.due(self.end).saturating_duration_since(now))
    }

    /// Whether a packet of silence may be left out, since words came late and the phone lags behind.
    pub(crate) fn may_shorten(&self, now: Instant, frame: &Frame<'_>) -> bool {
        let same = self.source.is_some_and(|source| source.stream == frame.stream);
        frame.keep && same && !self.filled && self.in_hand(now) > ENOUGH_AHEAD
    }

    /// Leaves a packet of the present source out; the next one takes its place.
    pub(crate) fn leave_out(&mut self, frame: &Frame<'_>) {
        if let Some(source) = &mut self.source {
            (source.newest, source.first) = (frame.sequence, frame.sequence + 1);
            source.sequence_offset = source.sequence_offset.wrapping_sub(1);
            source.timestamp_offset = source.timestamp_offset.wrapping_sub(frame.ticks());
        }
    }

    /// Whether the source has been sending without our help.
    pub(crate) fn is_flowing(&self) -> bool {
        self.steady >= STEADY
    }

    /// The timestamp of what is sent next.
    pub(crate) fn next_timestamp(&self) -> u32 {
        self.end
    }

    /// Nothing is sent from now on; what is sent next comes as much later as time passes.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// To be called before filling. If we were late ourselves, the line begins anew from now: filling
    /// all that was missed would drown what is still on its way.
    pub(crate) fn forgive_delay(&mut self, now: Instant) {
        let missed_by = now.saturating_duration_since(self.fill_deadline(now));
        if missed_by > HELD_UP && !self.paused && self.line.is_some() {
            self.line = Some(self.line_at(now));
        }
    }

    /// What was heard up to now is no guide to what comes.
    pub(crate) fn expect_change(&mut self) {
        self.steady = 0;
    }

    /// The timestamp that belongs to `now` on our time line (RFC 3550 §6.4.1, sender report).
    pub(crate) fn timestamp_at(&self, now: Instant) -> u32 {
        let Some(line) = self.line else { return self.end };
        let ahead = self.ticks_of(now.saturating_duration_since(line.at));
        let behind = self.ticks_of(line.at.saturating_duration_since(now));
        line.timestamp.wrapping_add(ahead).wrapping_sub(behind)
    }

    fn ahead_of_end(&self, source: Numbering, frame: &Frame<'_>) -> i32 {
        let timestamp = frame.timestamp.wrapping_add(source.timestamp_offset);
        timestamp.wrapping_sub(self.end).cast_signed()
    }

    fn is_late_for_good(&mut self, now: Instant) -> bool {
        let since = *self.late_since.get_or_insert(now);
        now.saturating_duration_since(since) >= MAX_LATE
    }

    fn is_jump(&self, now: Instant, source: Numbering, frame: &Frame<'_>, ahead: i32) -> bool {
        let Some(line) = self.line else { return true };
        let passed = now.saturating_duration_since(line.due(self.end));
        frame.sequence > source.newest + MAX_DROPOUT
            || i64::from(ahead) > i64::from(self.ticks_of(passed + MAX_TIME_JUMP))
    }

    /// A packet that others overtook keeps its place, unless something else was put there.
    fn place_reordered(
        &mut self,
        now: Instant,
        source: Numbering,
        frame: &Frame<'_>,
    ) -> Option<Placed> {
        if source.newest - frame.sequence > MAX_MISORDER {
            let numbering = self.switch(now, frame)?;
            return Some(self.append(now, numbering, frame));
        }
        let sequence = frame.sequence.wrapping_add(source.sequence_offset);
        let bit = self.bit(sequence)?;
        if self.filled || frame.sequence < source.first || self.sent & bit != 0 {
            return None;
        }
        self.sent |= bit;
        let timestamp = frame.timestamp.wrapping_add(source.timestamp_offset);
        Some(Placed { sequence: sequence as u16, timestamp, marker: frame.marker })
    }

    /// Goes on where the last source stopped: the next number, and the time that follows.
    fn switch(&mut self, now: Instant, frame: &Frame<'_>) -> Option<Numbering> {
        if let Some(line) = &mut self.line {
            let due = line.due(self.end);
            if now + EARLY < due {
                return None;
            }
            if now > due {
                *line = TimeLine { at: now, timestamp: self.end, ..*line };
            }
        }
        self.marker_owed = true;
        Some(self.next_to_end(frame))
    }

    /// Lets a packet follow the newest one, whatever numbers it has.
    fn next_to_end(&self, frame: &Frame<'_>) -> Numbering {
        Numbering {
            stream: frame.stream,
            newest: frame.sequence,
            first: frame.sequence,
            sequence_offset: self.next_sequence.wrapping_sub(frame.sequence),
            timestamp_offset: self.end.wrapping_sub(frame.timestamp),
        }
    }

    fn append(&mut self, now: Instant, mut numbering: Numbering, frame: &Frame<'_>) -> Placed {
        let mut sequence = frame.sequence.wrapping_add(numbering.sequence_offset);
        if self.filled {
            // What we put into the gap has numbers already: go on after it.
            numbering.sequence_offset =
                numbering.sequence_offset.wrapping_add(self.next_sequence.wrapping_sub(sequence));
            numbering.first = frame.sequence;
            sequence = self.next_sequence;
        }
        numbering.newest = frame.sequence;
        let timestamp = frame.timestamp.wrapping_add(numbering.timestamp_offset);
        let advance = sequence - self.next_sequence + 1;
        self.sent = u32::try_from(advance)
            .ok()
            .and_then(|advance| self.sent.checked_shl(advance))
            .unwrap_or(0)
            | 1;
        self.next_sequence = sequence + 1;
        self.end = timestamp.wrapping_add(frame.ticks());
        self.source = Some(numbering);
        self.filled = false;
        self.late_since = None;
        self.steady = match frame {
            Frame { pause: true, .. } => 0,
            // What begins with a mark goes on (RFC 3551 §4.1): its second packet may be late, too.
            Frame { marker: true, .. } => STEADY,
            _ => self.steady.saturating_add(1),
        };
        let begun = TimeLine { at: now, timestamp, clock: self.clock };
        self.line.get_or_insert(begun).observe(now, timestamp);
        if frame.keep {
            self.note_sent(now, timestamp);
        } else {
            self.played = None;
        }
        let marker = std::mem::take(&mut self.marker_owed) || frame.marker;
        Placed { sequence: sequence as u16, timestamp, marker }
    }

    fn note_sent(&mut self, now: Instant, timestamp: u32) {
        if self.played.is_none_or(|played| played.due(timestamp) < now) {
            self.played = Some(TimeLine { at: now, timestamp, clock: self.clock });
        }
    }

    fn bit(&self, sequence: u64) -> Option<u64> {
        let behind = (self.next_sequence - 1).checked_sub(sequence)?;
        1_u64.checked_shl(u32::try_from(behind).ok()?)
    }

    fn take_sequence(&mut self) -> u16 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.sent = self.sent << 1 | 1;
        self.filled = true;
        self.steady = 0;
        sequence as u16
    }

    fn line_at(&self, at: Instant) -> TimeLine {
        TimeLine { at, timestamp: self.end, clock: self.clock }
    }

    fn ticks_of(&self, duration: Duration) -> u32 {
        (duration.as_micros() * u128::from(self.clock) / 1_000_000) as u32
    }

    /// Sets the time line to `at` where there is none, and after a hold, when the stream is as much
    /// later as time has passed.
    fn begin_or_resume(&mut self, now: Instant, at: Instant) {
        let Some(line) = self.line else {
            self.line = Some(self.line_at(at));
            return;
        };
        if std::mem::take(&mut self.paused) {
            let behind = now.saturating_duration_since(line.due(self.end));
            self.end = self.end.wrapping_add(self.ticks_of(behind));
            self.line = Some(self.line_at(at));
            self.filled = true;
            self.marker_owed = true;
            self.source = None;
        }
    }
}

fn duration_of(ticks: u32, clock: u32) -> Duration {
    Duration::from_micros(u64::from(ticks) * 1_000_000 / u64::from(clock))
}
