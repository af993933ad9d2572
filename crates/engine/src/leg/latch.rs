//! Symmetric RTP (RFC 4961): a phone is where its packets come from, whatever its SDP says.
//!
//! Behind a NAT the address in the SDP is of no use, so RTP goes to where it comes from, once a few
//! packets in a row from one place are believable. From then on everybody else is a stranger, until
//! new SDP names another address or the phone has long been silent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchroom_rtp::Header;

/// A phone that was not heard for so long may have moved.
const SILENCE: Duration = Duration::from_secs(2);
/// Packets in a row that are asked of the host named in the SDP, and of any other.
const NEEDED_FROM_ANNOUNCED: u32 = 2;
const NEEDED_FROM_OTHERS: u32 = 3;
/// Numbers that may be missing between two packets in a row.
const MAX_GAP: u16 = 3;

/// What is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the phone's.
    Accepted,
    /// It is the phone's, which from now on is where this came from.
    Latched,
    /// It may be the phone's: wait for the next one.
    Trial,
    /// It is somebody else's.
    Stranger,
}

#[derive(Debug, Default)]
pub(crate) struct Latch {
    announced: Option<SocketAddr>,
    held: Option<Held>,
    /// The announced host and the others are tried side by side: a flood from elsewhere must not
    /// keep the phone out.
    trials: [Option<Trial>; 2],
}

#[derive(Debug, Clone, Copy)]
struct Held {
    address: SocketAddr,
    heard: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    count: u32,
}

impl Latch {
    /// New SDP. The same address again (hold, resume) changes nothing.
    pub(crate) fn announce(&mut self, address: Option<SocketAddr>) {
        if address.is_some() && address != self.announced {
            *self = Self { announced: address, ..Self::default() };
        }
    }

    /// Where RTP is to go.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.held.map(|held| held.address).or(self.announced)
    }

    /// Whether this is the phone's host, on whatever port.
    pub(crate) fn is_host(&self, from: SocketAddr) -> bool {
        self.target().is_some_and(|target| target.ip() == from.ip())
    }

    /// Judges a packet whose header was read and whose payload type was negotiated.
    pub(crate) fn judge(&mut self, now: Instant, from: SocketAddr, header: &Header) -> Verdict {
        if let Some(held) = &mut self.held {
            if held.address == from {
                held.heard = now;
                return Verdict::Accepted;
            }
            let silent = now.saturating_duration_since(held.heard) >= SILENCE;
            // Whoever was faster than the phone loses to the address that the phone announced.
            if !silent && self.announced != Some(from) {
                return Verdict::Stranger;
            }
        }
        self.try_out(now, from, header)
    }

    fn try_out(&mut self, now: Instant, from: SocketAddr, header: &Header) -> Verdict {
        let expected = self.announced.is_some_and(|announced| announced.ip() == from.ip());
        let needed = if expected { NEEDED_FROM_ANNOUNCED } else { NEEDED_FROM_OTHERS };
        let trial = &mut self.trials[usize::from(expected)];
        if trial.is_some_and(|trial| trial.was(from, header)) {
            return Verdict::Trial; // a copy proves nothing, and disproves nothing
        }
        let before = match trial {
            Some(trial) if trial.goes_on(from, header) => trial.count,
            _ => 0,
        };
        let count = before + 1;
        if count < needed {
            *trial = Some(Trial { from, ssrc: header.ssrc, sequence: header.sequence, count });
            return Verdict::Trial;
        }
        self.trials = [None; 2];
        self.held = Some(Held { address: from, heard: now });
        Verdict::Latched
    }
}

impl Trial {
    fn was(&self, from: SocketAddr, header: &Header) -> bool {
        (self.from, self.ssrc, self.sequence) == (from, header.ssrc, header.sequence)
    }

    fn goes_on(&self, from: SocketAddr, header: &Header) -> bool {
        let step = header.sequence.wrapping_sub(self.sequence);
        self.from == from && self.ssrc == header.ssrc && (1..=MAX_GAP).contains(&step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Accepted, Latched, Stranger, Trial as Tried};

    const PHONE: &str = "192.0.2.10:4000";
    const BEHIND_NAT: &str = "203.0.113.5:61000";
    const STRANGER: &str = "198.51.100.1:9";

    struct Bench {
        latch: Latch,
        now: Instant,
    }

    impl Bench {
        #[allow(clippy::disallowed_methods)] // the origin of a test's virtual time
        fn announced(address: &str) -> Self {
            let mut latch = Latch::default();
            latch.announce(Some(address.parse().unwrap()));
            Self { latch, now: Instant::now() }
        }

        fn packets(
            &mut self,
            from: &str,
            sequences: impl IntoIterator<Item = u16>,
        ) -> Vec<Verdict> {
            let from: SocketAddr = from.parse().unwrap();
            let mut judge = |sequence| {
                self.now += Duration::from_millis(20);
                let header = Header { sequence, ssrc: u32::from(from.port()), ..Header::default() };
                self.latch.judge(self.now, from, &header)
            };
            sequences.into_iter().map(&mut judge).collect()
        }

        fn target(&self) -> String {
            self.latch.target().unwrap().to_string()
        }
    }

    #[test]
    fn the_announced_host_needs_two_packets_in_a_row_on_whatever_port() {
        let mut bench = Bench::announced(PHONE);
        assert_eq!(bench.target(), PHONE);
        assert_eq!(bench.packets("192.0.2.10:4444", [65_535, 0, 1]), [Tried, Latched, Accepted]);
        assert_eq!(bench.target(), "192.0.2.10:4444");
    }

    #[test]
    fn another_host_needs_three() {
        let mut bench = Bench::announced("10.0.0.7:4000");
        assert_eq!(bench.packets(BEHIND_NAT, 5..9), [Tried, Tried, Latched, Accepted]);
        assert_eq!(bench.target(), BEHIND_NAT);
    }

    #[test]
    fn packets_that_do_not_follow_each_other_prove_nothing() {
        let mut bench = Bench::announced(PHONE);
        assert_eq!(bench.packets(PHONE, [5, 5, 4, 100, 200]), [Tried; 5]);
        assert_eq!(bench.target(), PHONE);
    }

    #[test]
    fn a_phone_whose_packets_all_come_twice_is_believed_as_soon() {
        for (address, needed) in [(PHONE, 2), (BEHIND_NAT, 3)] {
            let mut bench = Bench::announced(PHONE);
            let twice = bench.packets(address, (1..=needed).flat_map(|sequence| [sequence; 2]));
            let latched = twice.iter().position(|verdict| *verdict == Latched);
            assert_eq!(latched, Some(usize::from(needed - 1) * 2), "{twice:?}");
        }
        let mut bench = Bench::announced(PHONE);
        assert_eq!(bench.packets(BEHIND_NAT, [7; 50]), [Tried; 50]);
    }

    #[test]
    fn strangers_are_strangers_once_the_phone_is_known() {
        let mut bench = Bench::announced(PHONE);
        bench.packets(PHONE, 1..3);
        assert_eq!(bench.packets(STRANGER, 1..50), [Stranger; 49]);
        assert_eq!(bench.packets(PHONE, [60]), [Accepted]);
    }

    #[test]
    fn a_flood_from_elsewhere_does_not_keep_the_phone_out() {
        let mut bench = Bench::announced(PHONE);
        bench.packets(STRANGER, [10]);
        assert_eq!(bench.packets(PHONE, [1]), [Tried]);
        bench.packets(STRANGER, [11]);
        assert_eq!(bench.packets(PHONE, [2]), [Latched]);
        assert_eq!(bench.target(), PHONE);
    }

    #[test]
    fn the_announced_address_wins_over_whoever_was_faster() {
        let mut bench = Bench::announced(PHONE);
        assert_eq!(bench.packets(STRANGER, 1..4), [Tried, Tried, Latched]);
        assert_eq!(bench.packets(PHONE, 1..4), [Tried, Latched, Accepted]);
        assert_eq!(bench.packets(STRANGER, [4]), [Stranger]);
    }

    #[test]
    fn a_phone_that_was_silent_may_come_back_from_elsewhere() {
        let mut bench = Bench::announced(PHONE);
        bench.packets(PHONE, 1..4);
        bench.now += SILENCE;
        assert_eq!(bench.packets(BEHIND_NAT, 1..4), [Tried, Tried, Latched]);
    }

    #[test]
    fn new_sdp_with_another_address_starts_anew_and_with_the_same_does_not() {
        let mut bench = Bench::announced(PHONE);
        bench.packets(BEHIND_NAT, 1..4);
        bench.latch.announce(Some(PHONE.parse().unwrap()));
        bench.latch.announce(None);
        assert_eq!(bench.target(), BEHIND_NAT);
        bench.latch.announce(Some("192.0.2.99:5000".parse().unwrap()));
        assert_eq!(bench.target(), "192.0.2.99:5000");
        assert_eq!(bench.packets(BEHIND_NAT, [4]), [Tried]);
    }
}
