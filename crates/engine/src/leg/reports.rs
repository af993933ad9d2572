//! RTCP with a phone, RFC 3550 §6: what we sent and how its packets arrive, every five seconds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchroom_rtp::ReceiveStatistics;
use switchroom_rtp::rtcp::{self, ReportBlock, RtcpPacket, SenderInfo, ntp_time};

use crate::output::LegPort;
use crate::random::Random;

/// RFC 3550 §6.2: the mean time between reports; each is 0.5 to 1.5 times that (§6.3.1).
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Reports {
    cname: String,
    due: Option<Instant>,
    /// Where the phone's own reports come from.
    heard_from: Option<(LegPort, SocketAddr)>,
    packets_reported: u64,
    has_reported: bool,
    multiplexed: bool,
    pub(crate) lost_out: i32,
    jitter_out: Option<u32>,
    pub(crate) round_trip: Option<Duration>,
}

/// What a report is made of.
pub(crate) struct Contents<'a> {
    pub(crate) unix_ns: u64,
    pub(crate) ssrc: u32,
    pub(crate) info: SenderInfo,
    pub(crate) packets: u64,
    pub(crate) statistics: &'a mut ReceiveStatistics,
}

impl Reports {
    /// `cname` names this end (RFC 3550 §6.5.1).
    pub(crate) fn new(cname: String) -> Self {
        Self {
            cname,
            due: None,
            heard_from: None,
            packets_reported: 0,
            has_reported: false,
            multiplexed: false,
            lost_out: 0,
            jitter_out: None,
            round_trip: None,
        }
    }

    /// Whether reports share the port of RTP by agreement (RFC 5761 §5.1.1).
    pub(crate) fn multiplex(&mut self, multiplexed: bool) {
        self.multiplexed = multiplexed;
    }

    /// Begins to report, if it has not.
    pub(crate) fn start(&mut self, now: Instant, random: &mut Random) {
        // RFC 3550 §6.2: the first report comes after half the time.
        self.due.get_or_insert_with(|| now + interval(random) / 2);
    }

    /// The far end is another one now.
    pub(crate) fn forget_far_end(&mut self) {
        self.heard_from = None;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a report is due; the next one is put off.
    pub(crate) fn take_due(&mut self, now: Instant, random: &mut Random) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = Some(now + interval(random));
        }
        due
    }

    /// Where reports go: to where the phone's come from, else to the port above its RTP port
    /// (RFC 3550 §11). One that reports on its RTP port multiplexes (RFC 5761).
    pub(crate) fn target(&self, rtp: SocketAddr) -> (LegPort, SocketAddr) {
        match self.heard_from {
            _ if self.multiplexed => (LegPort::Rtp, rtp),
            Some((LegPort::Rtp, _)) => (LegPort::Rtp, rtp),
            Some((LegPort::Rtcp, from)) => (LegPort::Rtcp, from),
            None => {
                let port = rtp.port().checked_add(1).unwrap_or(rtp.port());
                (LegPort::Rtcp, SocketAddr::new(rtp.ip(), port))
            }
        }
    }

    /// Appends a report: as a sender if anything was sent since the last one (RFC 3550 §6.4).
    pub(crate) fn write(&mut self, now: Instant, contents: Contents<'_>, bytes: &mut Vec<u8>) {
        let Contents { unix_ns, ssrc, info, packets, statistics } = contents;
        let block = statistics.report(now);
        let blocks = block.as_slice();
        if packets == self.packets_reported {
            rtcp::write_receiver_report(ssrc, blocks, bytes);
        } else {
            let info = SenderInfo { ntp: ntp_time(unix_ns), ..info };
            rtcp::write_sender_report(ssrc, &info, blocks, bytes);
        }
        rtcp::write_source_description(ssrc, &self.cname, bytes);
        self.packets_reported = packets;
        self.has_reported = true;
    }

    /// Takes a compound packet from the phone's host; whether it was one.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        (port, from): (LegPort, SocketAddr),
        datagram: &[u8],
        contents: &mut Contents<'_>,
    ) -> bool {
        let Ok(compound) = rtcp::parse_compound(datagram) else { return false };
        let ours = rtcp::middle_of_ntp(ntp_time(contents.unix_ns));
        for packet in compound.flatten() {
            let reports = match packet {
                RtcpPacket::SenderReport { ssrc, info, reports } => {
                    contents.statistics.receive_sender_report(now, ssrc, &info);
                    reports
                }
                RtcpPacket::ReceiverReport { reports, .. } => reports,
                _ => continue,
            };
            let about_us = reports.iter().filter(|report| report.ssrc == contents.ssrc);
            about_us.for_each(|report| self.note(&report, ours));
        }
        self.heard_from = Some((port, from));
        true
    }

    /// Whether the far end knows of us by a report, so that it is owed a good-bye (RFC 3550 §6.3.7).
    pub(crate) fn has_reported(&self) -> bool {
        self.has_reported
    }

    /// The jitter of our packets as the far end reports it, in ticks of this clock.
    pub(crate) fn jitter_out_ms(&self, clock_rate: u32) -> Option<f64> {
        self.jitter_out.map(|ticks| f64::from(ticks) * 1_000.0 / f64::from(clock_rate))
    }

    fn note(&mut self, report: &ReportBlock, ours: u32) {
        self.lost_out = report.cumulative_lost;
        self.jitter_out = Some(report.jitter);
        if let Some(trip) = report.round_trip(ours) {
            self.round_trip = Some(Duration::from_secs_f64(f64::from(trip) / 65_536.0));
        }
    }
}

fn interval(random: &mut Random) -> Duration {
    INTERVAL.mul_f64(0.5 + random.fraction())
}
