//! RTCP compound packets, RFC 3550 §6: reports, the canonical name, good-bye.

use crate::ParseError;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const REPORT_BLOCK_SIZE: usize = 24;
const CNAME: u8 = 1;
/// Seconds from 1900, where NTP begins to count, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// Wall-clock time as NTP's 32.32 fixed point, from nanoseconds since 1970.
#[must_use]
pub fn ntp_time(unix_ns: u64) -> u64 {
    let seconds = unix_ns / 1_000_000_000 + NTP_EPOCH;
    let fraction = ((unix_ns % 1_000_000_000) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

/// The middle 32 bits of an NTP time, as reports carry them (RFC 3550 §6.4.1, LSR).
#[must_use]
pub fn middle_of_ntp(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// What a sender says about its own stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderInfo {
    /// When this report was sent, [`ntp_time`].
    pub ntp: u64,
    /// The same moment on the clock of the stream's RTP timestamps.
    pub rtp_timestamp: u32,
    /// Packets sent since the stream began, modulo 2^32.
    pub packets: u32,
    /// Payload octets sent since the stream began, modulo 2^32.
    pub octets: u32,
}

/// What a receiver says about one stream it hears (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the stream began; negative with duplicates. 24 bits, clamped.
    pub cumulative_lost: i32,
    /// Highest sequence number seen, with the number of wraps in the upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp ticks.
    pub jitter: u32,
    /// [`middle_of_ntp`] of the last sender report heard; 0 when none.
    pub last_sender_report: u32,
    /// Time since that report in 1/65536 s; 0 when none.
    pub delay_since: u32,
}

impl ReportBlock {
    /// The round trip in 1/65536 s at `now` (middle of NTP), when this block answers a report of
    /// ours (RFC 3550 §6.4.1). `None` without one, or when the far end's figures are impossible.
    #[must_use]
    pub fn round_trip(&self, now: u32) -> Option<u32> {
        if self.last_sender_report == 0 {
            return None;
        }
        let elapsed = now.wrapping_sub(self.last_sender_report);
        elapsed.checked_sub(self.delay_since).filter(|&trip| trip < 1 << 24)
    }

    fn to_bytes(self) -> [u8; REPORT_BLOCK_SIZE] {
        let mut bytes = [0; REPORT_BLOCK_SIZE];
        bytes[0..4].copy_from_slice(&self.ssrc.to_be_bytes());
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF);
        bytes[4..8].copy_from_slice(&lost.to_be_bytes());
        bytes[4] = self.fraction_lost;
        bytes[8..12].copy_from_slice(&self.highest_sequence.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.jitter.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.last_sender_report.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.delay_since.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; REPORT_BLOCK_SIZE]) -> Self {
        Self {
            ssrc: word(bytes, 0),
            fraction_lost: bytes[4],
            // The upper octet is the fraction: shift it out and the sign in.
            cumulative_lost: (word(bytes, 4) << 8).cast_signed() >> 8,
            highest_sequence: word(bytes, 8),
            jitter: word(bytes, 12),
            last_sender_report: word(bytes, 16),
            delay_since: word(bytes, 20),
        }
    }
}

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RtcpPacket<'a> {
    /// From somebody who sends, and perhaps receives.
    SenderReport {
        /// The reporter's own stream.
        ssrc: u32,
        /// About that stream.
        info: SenderInfo,
        /// About the streams it hears.
        reports: ReportBlocks<'a>,
    },
    /// From somebody who only receives.
    ReceiverReport {
        /// The reporter.
        ssrc: u32,
        /// About the streams it hears.
        reports: ReportBlocks<'a>,
    },
    /// The first chunk's source and its canonical name, when it carries one.
    SourceDescription {
        /// The source described.
        ssrc: u32,
        /// As it came: UTF-8 by the RFC, unchecked here.
        cname: Option<&'a [u8]>,
    },
    /// Sources that stop sending, four octets each.
    Goodbye {
        /// SSRCs in network order.
        sources: &'a [u8],
    },
    /// Feedback, extended reports and everything else, by type.
    Other {
        /// The packet type field.
        packet_type: u8,
    },
}

/// The report blocks of a sender or receiver report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl ReportBlocks<'_> {
    /// The blocks in the order they were sent.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> {
        self.0.as_chunks::<REPORT_BLOCK_SIZE>().0.iter().map(ReportBlock::from_bytes)
    }
}

/// Reads a compound packet. It must begin with a report, as RFC 3550 §6.1 and appendix A.2 ask:
/// that keeps most garbage out. Packets after the first damaged one are not given out.
pub fn parse_compound(datagram: &[u8]) -> Result<Compound<'_>, ParseError> {
    let head = datagram.first_chunk::<4>().ok_or(ParseError::Truncated)?;
    if head[0] >> 6 != 2 {
        return Err(ParseError::Version);
    }
    if !matches!(head[1], SENDER_REPORT | RECEIVER_REPORT) {
        return Err(ParseError::NotAReport);
    }
    Ok(Compound { rest: datagram })
}

/// The packets of a compound packet, one after another.
#[derive(Clone, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = split_packet(self.rest).and_then(|(packet, rest)| {
            self.rest = rest;
            parse_packet(packet)
        });
        if result.is_err() {
            self.rest = &[];
        }
        Some(result)
    }
}

fn split_packet(rest: &[u8]) -> Result<(&[u8], &[u8]), ParseError> {
    let head = rest.first_chunk::<4>().ok_or(ParseError::Truncated)?;
    if head[0] >> 6 != 2 {
        return Err(ParseError::Version);
    }
    let words = usize::from(u16::from_be_bytes([head[2], head[3]])) + 1;
    let (packet, rest) = rest.split_at_checked(words * 4).ok_or(ParseError::Truncated)?;
    if head[0] & 0x20 == 0 {
        return Ok((packet, rest));
    }
    let padding = usize::from(packet[packet.len() - 1]);
    if padding == 0 || padding % 4 != 0 || padding > packet.len() - 4 {
        return Err(ParseError::Padding);
    }
    Ok((&packet[..packet.len() - padding], rest))
}

fn parse_packet(packet: &[u8]) -> Result<RtcpPacket<'_>, ParseError> {
    let (head, body) = packet.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
    let count = usize::from(head[0] & 0x1F);
    match head[1] {
        SENDER_REPORT => {
            let (fixed, body) = body.split_first_chunk::<24>().ok_or(ParseError::Truncated)?;
            let info = SenderInfo {
                ntp: u64::from(word(fixed, 4)) << 32 | u64::from(word(fixed, 8)),
                rtp_timestamp: word(fixed, 12),
                packets: word(fixed, 16),
                octets: word(fixed, 20),
            };
            let reports = report_blocks(body, count)?;
            Ok(RtcpPacket::SenderReport { ssrc: word(fixed, 0), info, reports })
        }
        RECEIVER_REPORT => {
            let (fixed, body) = body.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
            let reports = report_blocks(body, count)?;
            Ok(RtcpPacket::ReceiverReport { ssrc: word(fixed, 0), reports })
        }
        SOURCE_DESCRIPTION if count > 0 => {
            let (fixed, items) = body.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
            Ok(RtcpPacket::SourceDescription { ssrc: word(fixed, 0), cname: find_cname(items)? })
        }
        GOODBYE => {
            let sources = body.get(..count * 4).ok_or(ParseError::Truncated)?;
            Ok(RtcpPacket::Goodbye { sources })
        }
        packet_type => Ok(RtcpPacket::Other { packet_type }),
    }
}

fn report_blocks(body: &[u8], count: usize) -> Result<ReportBlocks<'_>, ParseError> {
    body.get(..count * REPORT_BLOCK_SIZE).map(ReportBlocks).ok_or(ParseError::Truncated)
}

/// Walks the items of one chunk (RFC 3550 §6.5); type 0 ends it.
fn find_cname(mut items: &[u8]) -> Result<Option<&[u8]>, ParseError> {
    while let Some((&kind, rest)) = items.split_first()
        && kind != 0
    {
        let (&size, rest) = rest.split_first().ok_or(ParseError::Truncated)?;
        let (content, rest) =
            rest.split_at_checked(usize::from(size)).ok_or(ParseError::Truncated)?;
        if kind == CNAME {
            return Ok(Some(content));
        }
        items = rest;
    }
    Ok(None)
}

/// Appends a sender report. At most 31 blocks fit (RFC 3550 §6.4.1); more are left out.
pub fn write_sender_report(
    ssrc: u32,
    info: &SenderInfo,
    reports: &[ReportBlock],
    out: &mut Vec<u8>,
) {
    let reports = &reports[..reports.len().min(31)];
    write_head(SENDER_REPORT, reports.len(), 6 + 6 * reports.len(), out);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&info.ntp.to_be_bytes());
    out.extend_from_slice(&info.rtp_timestamp.to_be_bytes());
    out.extend_from_slice(&info.packets.to_be_bytes());
    out.extend_from_slice(&info.octets.to_be_bytes());
    out.extend(reports.iter().flat_map(|report| report.to_bytes()));
}

/// Appends a receiver report. At most 31 blocks fit (RFC 3550 §6.4.2); more are left out.
pub fn write_receiver_report(ssrc: u32, reports: &[ReportBlock], out: &mut Vec<u8>) {
    let reports = &reports[..reports.len().min(31)];
    write_head(RECEIVER_REPORT, reports.len(), 1 + 6 * reports.len(), out);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend(reports.iter().flat_map(|report| report.to_bytes()));
}

/// Appends a source description with the canonical name, which every compound packet carries
/// (RFC 3550 §6.1). At most 255 octets of the name are sent.
pub fn write_source_description(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let cname = &cname.as_bytes()[..cname.len().min(255)];
    // The chunk ends with one to four zero octets, on a word boundary (RFC 3550 §6.5).
    let words = (4 + 2 + cname.len()) / 4 + 1;
    write_head(SOURCE_DESCRIPTION, 1, words, out);
    let end = out.len() + words * 4;
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(end, 0);
}

/// Appends a good-bye for one source (RFC 3550 §6.6).
pub fn write_goodbye(ssrc: u32, out: &mut Vec<u8>) {
    write_head(GOODBYE, 1, 1, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

fn write_head(packet_type: u8, count: usize, words_after: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x80 | count as u8, packet_type]);
    out.extend_from_slice(&(words_after as u16).to_be_bytes());
}

/// The 32-bit word at `offset`, which the callers have checked to be there.
fn word(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: SenderInfo = SenderInfo {
        ntp: 0x0123_4567_89AB_CDEF,
        rtp_timestamp: 160_000,
        packets: 1_000,
        octets: 160_000,
    };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 7,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest_sequence: 0x0002_FFFF,
        jitter: 12,
        last_sender_report: 0x4567_89AB,
        delay_since: 65_536,
    };

    fn packets(datagram: &[u8]) -> Vec<RtcpPacket<'_>> {
        parse_compound(datagram).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_compound_packet_reads_back_as_it_was_written() {
        let mut datagram = Vec::new();
        write_sender_report(1, &INFO, &[BLOCK], &mut datagram);
        write_source_description(1, "leg@192.0.2.1", &mut datagram);
        write_goodbye(1, &mut datagram);
        let packets = packets(&datagram);
        let [first, second, third] = packets[..] else { panic!("{packets:?}") };
        let RtcpPacket::SenderReport { ssrc: 1, info, reports } = first else {
            panic!("{first:?}")
        };
        assert_eq!(info, INFO);
        assert_eq!(reports.iter().collect::<Vec<_>>(), [BLOCK]);
        assert_eq!(
            second,
            RtcpPacket::SourceDescription { ssrc: 1, cname: Some(b"leg@192.0.2.1") }
        );
        assert_eq!(third, RtcpPacket::Goodbye { sources: &[0, 0, 0, 1] });
    }

    #[test]
    fn every_length_of_name_ends_on_a_word_boundary_with_a_zero() {
        for size in 0..=255 {
            let mut datagram = Vec::new();
            write_receiver_report(2, &[], &mut datagram);
            let name = "n".repeat(size);
            write_source_description(2, &name, &mut datagram);
            assert_eq!(datagram.len() % 4, 0);
            assert_eq!(datagram.last(), Some(&0));
            let described = RtcpPacket::SourceDescription { ssrc: 2, cname: Some(name.as_bytes()) };
            assert_eq!(packets(&datagram)[1], described);
        }
    }

    #[test]
    fn lost_packets_saturate_at_24_bits() {
        for (count, expected) in [(i32::MAX, 0x7F_FFFF), (i32::MIN, -0x80_0000), (5, 5)] {
            let block = ReportBlock { cumulative_lost: count, ..BLOCK };
            assert_eq!(ReportBlock::from_bytes(&block.to_bytes()).cumulative_lost, expected);
        }
    }

    #[test]
    fn more_than_31_blocks_are_cut() {
        let mut datagram = Vec::new();
        write_receiver_report(2, &[BLOCK; 40], &mut datagram);
        let RtcpPacket::ReceiverReport { reports, .. } = packets(&datagram)[0] else { panic!() };
        assert_eq!(reports.iter().count(), 31);
    }

    #[test]
    fn ntp_time_counts_from_1900_in_binary_fractions() {
        assert_eq!(ntp_time(0), 2_208_988_800 << 32);
        assert_eq!(ntp_time(1_500_000_000), 2_208_988_801 << 32 | 1 << 31);
        assert_eq!(middle_of_ntp(0x0123_4567_89AB_CDEF), 0x4567_89AB);
    }

    #[test]
    fn a_round_trip_needs_a_report_and_believable_figures() {
        let answered = ReportBlock { last_sender_report: 1_000, delay_since: 300, ..BLOCK };
        assert_eq!(answered.round_trip(1_500), Some(200));
        assert_eq!(answered.round_trip(1_200), None);
        assert_eq!(answered.round_trip(999), None);
        assert_eq!(ReportBlock { last_sender_report: 0, ..answered }.round_trip(1_500), None);
    }

    #[test]
    fn a_compound_packet_must_begin_with_a_report() {
        let mut datagram = Vec::new();
        write_goodbye(1, &mut datagram);
        assert_eq!(parse_compound(&datagram).err(), Some(ParseError::NotAReport));
        assert_eq!(parse_compound(&[0x80, 200]).err(), Some(ParseError::Truncated));
        assert_eq!(parse_compound(&[0x00, 200, 0, 1]).err(), Some(ParseError::Version));
    }

    #[test]
    fn a_report_that_promises_more_blocks_than_it_has_ends_the_walk() {
        let mut datagram = Vec::new();
        write_receiver_report(2, &[BLOCK], &mut datagram);
        datagram[0] |= 2;
        let all: Vec<_> = parse_compound(&datagram).unwrap().collect();
        assert_eq!(all, [Err(ParseError::Truncated)]);
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = switchroom_netem::Random::new(3551);
        let mut datagram = [0; 128];
        for _ in 0..200_000 {
            let size = random.below(129) as usize;
            random.fill(&mut datagram[..size]);
            for at in (0..size.saturating_sub(4)).step_by(28) {
                datagram[at] = 0x80 | datagram[at] & 0x3F;
                datagram[at + 1] = 200 + random.below(5) as u8;
                datagram[at + 2] = 0;
                datagram[at + 3] = random.below(9) as u8;
            }
            if let Ok(compound) = parse_compound(&datagram[..size]) {
                for packet in compound.flatten() {
                    if let RtcpPacket::SenderReport { reports, .. } = packet {
                        assert!(reports.iter().count() <= 31);
                    }
                }
            }
        }
    }
}
