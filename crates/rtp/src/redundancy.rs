//! Redundant audio (RFC 2198): a packet that carries copies of earlier ones.

/// Copies that one packet may carry; nobody sends more than a few.
pub const MAX_COPIES: usize = 9;

/// One block: an audio payload, and how much earlier than the packet it was sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// What the payload is.
    pub payload_type: u8,
    /// In ticks before the packet's timestamp, 14 bits; 0 for the packet's own sound.
    pub earlier: u32,
    /// The payload; empty where a sender had nothing to repeat.
    pub payload: &'a [u8],
}

/// The blocks of a packet, the oldest first and its own sound last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'a> {
    copies: [Block<'a>; MAX_COPIES],
    count: usize,
    /// The packet's own sound.
    pub primary: Block<'a>,
}

impl<'a> Blocks<'a> {
    /// Reads a payload; none if it is not whole, or has more copies than anybody sends.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let nothing = Block { payload_type: 0, earlier: 0, payload: &[] };
        let (mut copies, mut lengths, mut count) = ([nothing; MAX_COPIES], [0; MAX_COPIES], 0);
        let mut rest = payload;
        // RFC 2198 §3: the first bit says that another header follows; the last one is short.
        while rest.first()? & 0x80 != 0 {
            let (header, tail) = rest.split_first_chunk::<4>()?;
            let [kind, offset, both, length] = header.map(u32::from);
            let copy = copies.get_mut(count)?;
            copy.payload_type = (kind & 0x7f) as u8;
            copy.earlier = offset << 6 | both >> 2;
            lengths[count] = ((both & 3) << 8 | length) as usize;
            (rest, count) = (tail, count + 1);
        }
        let (&payload_type, mut rest) = rest.split_first()?;
        for (copy, length) in copies.iter_mut().zip(lengths).take(count) {
            (copy.payload, rest) = rest.split_at_checked(length)?;
        }
        Some(Self { copies, count, primary: Block { payload_type, earlier: 0, payload: rest } })
    }

    /// Copies of earlier packets, the oldest first.
    #[must_use]
    pub fn copies(&self) -> &[Block<'a>] {
        &self.copies[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchroom_netem::Random;

    /// A header's first octet: payload type 111, and another header follows.
    const FIRST: u8 = 0xef;

    #[test]
    fn copies_and_the_packets_own_sound_are_told_apart() {
        // RFC 2198 §3: F, block PT, timestamp offset (14 bits), block length (10 bits).
        let header = |earlier: u32, length: u8| {
            [FIRST, (earlier >> 6) as u8, ((earlier & 0x3f) << 2) as u8, length]
        };
        let mut packet = [header(1_920, 3), header(960, 2)].concat();
        packet.push(111);
        packet.extend(*b"oldnonow");
        let blocks = Blocks::parse(&packet).unwrap();
        let block = |earlier, payload| Block { payload_type: 111, earlier, payload };
        assert_eq!(blocks.copies(), [block(1_920, &b"old"[..]), block(960, b"no")]);
        assert_eq!(blocks.primary, block(0, b"now"));
    }

    #[test]
    fn a_packet_without_copies_is_its_own_sound_after_one_octet() {
        let blocks = Blocks::parse(&[111, 7, 8, 9]).unwrap();
        assert!(blocks.copies().is_empty());
        assert_eq!(blocks.primary.payload, [7, 8, 9]);
    }

    #[test]
    fn a_length_uses_ten_bits() {
        let mut packet = vec![FIRST, 0, 3, 255, 111];
        packet.extend([5; 1_023]);
        let blocks = Blocks::parse(&packet).unwrap();
        assert_eq!((blocks.copies()[0].payload.len(), blocks.primary.payload.len()), (1_023, 0));
    }

    #[test]
    fn what_is_cut_short_or_endless_is_refused() {
        assert_eq!(Blocks::parse(&[]), None);
        assert_eq!(Blocks::parse(&[FIRST, 0, 0]), None);
        assert_eq!(Blocks::parse(&[FIRST, 0, 0, 4, 111, 1, 2, 3]), None);
        assert_eq!(Blocks::parse(&[0xff; 400]), None);
        let mut random = Random::new(2_198);
        let mut packet = [0; 64];
        for _ in 0..20_000 {
            let size = random.below(65) as usize;
            random.fill(&mut packet[..size]);
            if let Some(blocks) = Blocks::parse(&packet[..size]) {
                let held: usize = blocks.copies().iter().map(|copy| copy.payload.len()).sum();
                assert!(held + blocks.primary.payload.len() < size);
            }
        }
    }
}
