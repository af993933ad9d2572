//! The RTP header, RFC 3550 §5.1, read in place and written by hand.

use std::fmt;

/// The version this and every RTP stack speaks, in the two top bits of the first octet.
const VERSION: u8 = 2;

/// Why a datagram is not an RTP or RTCP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParseError {
    /// Fewer octets than the headers announce.
    Truncated,
    /// The version field is not 2.
    Version,
    /// The padding count is zero or larger than the packet.
    Padding,
    /// An RTCP compound packet that does not begin with a report (RFC 3550 §6.1).
    NotAReport,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "packet is shorter than its headers say",
            Self::Version => "RTP version is not 2",
            Self::Padding => "padding does not fit the packet",
            Self::NotAReport => "compound packet does not begin with a report",
        })
    }
}

impl std::error::Error for ParseError {}

/// Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 §4: 64–95 in the
/// payload type field, that is RTCP types 192–223).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.len() >= 2 && datagram[0] >> 6 == VERSION && (192..=223).contains(&datagram[1])
}

/// Octets of an RTP packet's header with contributors and extension: what SRTP leaves readable.
pub(crate) fn header_size(datagram: &[u8]) -> Result<usize, ParseError> {
    let Some((fixed, rest)) = datagram.split_first_chunk::<{ Header::SIZE }>() else {
        return Err(ParseError::Truncated);
    };
    if fixed[0] >> 6 != VERSION {
        return Err(ParseError::Version);
    }
    let contributors_size = usize::from(fixed[0] & 0x0F) * 4;
    let rest = rest.get(contributors_size..).ok_or(ParseError::Truncated)?;
    let rest = if fixed[0] & 0x10 == 0 { rest } else { split_extension(rest)?.1 };
    Ok(datagram.len() - rest.len())
}

/// The fixed part of a header, as a sender fills it in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// First packet of a talk spurt, or of an event (RFC 3551 §4.1, RFC 4733 §2.3).
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Counts packets, modulo 2^16.
    pub sequence: u16,
    /// Counts ticks of the payload's clock, modulo 2^32.
    pub timestamp: u32,
    /// The stream this packet belongs to.
    pub ssrc: u32,
}

impl Header {
    /// Octets of a header without contributors and extension.
    pub const SIZE: usize = 12;

    /// The header in network order; no padding, contributors or extension.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = VERSION << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7F;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }

    /// Appends header and payload to `out`.
    pub fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(Self::SIZE + payload.len());
        out.extend_from_slice(&self.to_bytes());
        out.extend_from_slice(payload);
    }
}

/// A received packet; everything but the fixed header borrows from the datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// The fixed part of the header.
    pub header: Header,
    /// Contributing sources, four octets each.
    pub contributors: &'a [u8],
    /// Profile and content of the header extension (RFC 3550 §5.3.1).
    pub extension: Option<(u16, &'a [u8])>,
    /// What is left, padding removed. May be empty.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one datagram. Never panics, copies nothing but the fixed header.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let Some((fixed, rest)) = datagram.split_first_chunk::<{ Header::SIZE }>() else {
            return Err(ParseError::Truncated);
        };
        if fixed[0] >> 6 != VERSION {
            return Err(ParseError::Version);
        }
        let contributors_size = usize::from(fixed[0] & 0x0F) * 4;
        let (contributors, rest) =
            rest.split_at_checked(contributors_size).ok_or(ParseError::Truncated)?;
        let (extension, rest) =
            if fixed[0] & 0x10 == 0 { (None, rest) } else { split_extension(rest)? };
        let payload = if fixed[0] & 0x20 == 0 { rest } else { without_padding(rest)? };
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Ok(Self { header, contributors, extension, payload })
    }

    /// The content of extension element `id`, in the one-octet or two-octet form of RFC 8285.
    #[must_use]
    pub fn extension_element(&self, id: u8) -> Option<&'a [u8]> {
        let (profile, mut content) = self.extension?;
        let two_octets = match profile {
            0xBEDE => false,                           // RFC 8285 §4.2
            other if other & 0xFFF0 == 0x1000 => true, // RFC 8285 §4.3
            _ => return None,
        };
        while let Some((&first, rest)) = content.split_first() {
            if first == 0 {
                content = rest; // padding between elements
                continue;
            }
            let (found, size, rest) = if two_octets {
                let (&size, rest) = rest.split_first()?;
                (first, usize::from(size), rest)
            } else if first >> 4 == 15 {
                return None; // RFC 8285 §4.2: 15 ends the processing
            } else {
                (first >> 4, usize::from(first & 0x0F) + 1, rest)
            };
            let (element, rest) = rest.split_at_checked(size)?;
            if found == id {
                return Some(element);
            }
            content = rest;
        }
        None
    }
}

type Extension<'a> = Option<(u16, &'a [u8])>;

fn split_extension(rest: &[u8]) -> Result<(Extension<'_>, &[u8]), ParseError> {
    let (head, rest) = rest.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
    let profile = u16::from_be_bytes([head[0], head[1]]);
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (content, rest) = rest.split_at_checked(words * 4).ok_or(ParseError::Truncated)?;
    Ok((Some((profile, content)), rest))
}

/// RFC 3550 §5.1: the last octet counts the padding, itself included.
fn without_padding(rest: &[u8]) -> Result<&[u8], ParseError> {
    let count = usize::from(*rest.last().ok_or(ParseError::Padding)?);
    if count == 0 || count > rest.len() {
        return Err(ParseError::Padding);
    }
    Ok(&rest[..rest.len() - count])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 0xABCD,
        timestamp: 0x0102_0304,
        ssrc: 0xDEAD_BEEF,
    };

    #[test]
    fn a_written_packet_reads_back_as_it_was() {
        let mut datagram = Vec::new();
        HEADER.write(b"payload", &mut datagram);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!(packet.payload, b"payload");
        assert_eq!((packet.contributors, packet.extension), (&[][..], None));
    }

    #[test]
    fn the_header_has_the_layout_of_the_rfc() {
        let expected = [0x80, 0xE5, 0xAB, 0xCD, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF];
        assert_eq!(HEADER.to_bytes(), expected);
    }

    #[test]
    fn contributors_extension_and_padding_are_cut_off_the_payload() {
        let mut datagram = vec![0x80 | 0x20 | 0x10 | 2];
        datagram.extend_from_slice(&HEADER.to_bytes()[1..]);
        datagram.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
        datagram.extend_from_slice(&[0xBE, 0xDE, 0, 1, 0x10, 0x85, 0, 0]);
        datagram.extend_from_slice(b"speech");
        datagram.extend_from_slice(&[0, 0, 3]);
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.contributors, [0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(packet.extension, Some((0xBEDE, &[0x10, 0x85, 0, 0][..])));
        assert_eq!(packet.extension_element(1), Some(&[0x85][..]));
        assert_eq!(packet.extension_element(2), None);
        assert_eq!(packet.payload, b"speech");
    }

    #[test]
    fn two_octet_extension_elements_are_found() {
        let content = [0, 3, 0, 7, 2, 0xAA, 0xBB, 0];
        let packet = Packet {
            header: HEADER,
            contributors: &[],
            extension: Some((0x1000, &content)),
            payload: &[],
        };
        assert_eq!(packet.extension_element(3), Some(&[][..]));
        assert_eq!(packet.extension_element(7), Some(&[0xAA, 0xBB][..]));
    }

    #[test]
    fn each_kind_of_damage_has_its_error() {
        let good = HEADER.to_bytes();
        assert_eq!(Packet::parse(&good[..11]), Err(ParseError::Truncated));
        let with_first = |first: u8| [&[first][..], &good[1..]].concat();
        assert_eq!(Packet::parse(&with_first(0x40)), Err(ParseError::Version));
        assert_eq!(Packet::parse(&with_first(0x81)), Err(ParseError::Truncated));
        assert_eq!(Packet::parse(&with_first(0x90)), Err(ParseError::Truncated));
        assert_eq!(Packet::parse(&with_first(0xA0)), Err(ParseError::Padding));
        let zero_padding = [&with_first(0xA0)[..], &[1, 2, 0]].concat();
        assert_eq!(Packet::parse(&zero_padding), Err(ParseError::Padding));
    }

    #[test]
    fn garbage_never_panics_and_never_yields_more_than_it_holds() {
        let mut random = switchroom_netem::Random::new(3550);
        let mut datagram = [0; 96];
        for _ in 0..200_000 {
            let size = random.below(97) as usize;
            random.fill(&mut datagram[..size]);
            if size > 0 && random.chance(0.8) {
                datagram[0] = 0x80 | datagram[0] & 0x3F; // get past the version
            }
            if let Ok(packet) = Packet::parse(&datagram[..size]) {
                assert!(packet.payload.len() + Header::SIZE <= size);
                let _ = packet.extension_element((datagram[1] & 15).max(1));
            }
            let _ = is_rtcp(&datagram[..size]);
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_on_a_shared_port() {
        assert!(is_rtcp(&[0x80, 200, 0, 1]));
        assert!(is_rtcp(&[0x81, 201]));
        assert!(!is_rtcp(&HEADER.to_bytes()));
        assert!(!is_rtcp(&[0x80]));
        assert!(!is_rtcp(b"\x00\xC8"));
    }
}
