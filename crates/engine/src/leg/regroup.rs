//! Packets of the length that a phone asks for (`a=ptime`), of codecs with an octet a tick.

use crate::graph::Frame;

/// Numberings of regrouped packets are told from the source's own by this bit.
const REGROUPED: u64 = 1 << 62;

/// Joins and cuts the packets of a source; what they hold stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Regroup {
    stream: u64,
    newest: u64,
    /// Where the next packet of the source goes on, by its timestamp.
    expected: u32,
    sequence: u64,
    marker: bool,
    pending: Vec<u8>,
}

impl Regroup {
    /// Takes a packet, and gives those of `size` octets that are full to `send`. What was begun
    /// when the source breaks off is dropped: its time is over.
    pub(crate) fn push(
        &mut self,
        frame: &Frame<'_>,
        size: usize,
        mut send: impl FnMut(&Frame<'_>),
    ) {
        let same = self.stream == frame.stream;
        if same && frame.sequence <= self.newest {
            return; // overtaken
        }
        if !same || frame.timestamp != self.expected {
            let lost = frame.sequence - self.newest.min(frame.sequence) > 1;
            let missing = frame.timestamp.wrapping_sub(self.expected) as usize / size.max(1);
            if same && lost {
                // A gap of the source stays one: the phone conceals it.
                self.sequence += missing.clamp(1, 100) as u64;
            }
            self.pending.clear();
        }
        (self.stream, self.newest) = (frame.stream, frame.sequence);
        self.marker |= frame.marker;
        let begun = self.pending.len() as u32;
        self.pending.extend_from_slice(frame.payload);
        self.expected = frame.timestamp.wrapping_add(frame.ticks());
        let mut timestamp = frame.timestamp.wrapping_sub(begun);
        let full = self.pending.len() / size * size;
        for payload in self.pending[..full].chunks_exact(size) {
            send(&Frame {
                stream: frame.stream | REGROUPED,
                sequence: self.sequence,
                timestamp,
                marker: std::mem::take(&mut self.marker),
                payload,
                shared: None,
                ..*frame
            });
            self.sequence += 1;
            timestamp = timestamp.wrapping_add(size as u32);
        }
        self.pending.drain(..full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::AudioCodec;

    fn frame(sequence: u64, timestamp: u32, payload: &[u8]) -> Frame<'_> {
        Frame {
            stream: 3,
            codec: AudioCodec::Pcma,
            sequence,
            timestamp,
            marker: false,
            pause: false,
            keep: false,
            level: None,
            payload,
            shared: None,
        }
    }

    /// Number, time and octets of what comes out.
    fn push(regroup: &mut Regroup, frame: &Frame<'_>, size: usize) -> Vec<(u64, u32, Vec<u8>)> {
        let mut sent = Vec::new();
        regroup.push(frame, size, |frame| {
            sent.push((frame.sequence, frame.timestamp, frame.payload.to_vec()));
        });
        sent
    }

    #[test]
    fn every_length_becomes_every_other_and_no_octet_is_lost() {
        for from in [80, 160, 240, 320, 480] {
            for to in [80, 160, 240, 320, 480] {
                let mut regroup = Regroup::default();
                let octets: Vec<u8> = (0..4_800).map(|at| (at / 7) as u8).collect();
                let mut sent = Vec::new();
                for (at, payload) in octets.chunks(from).enumerate() {
                    let timestamp = (u32::MAX - 1_000).wrapping_add((at * from) as u32);
                    sent.append(&mut push(
                        &mut regroup,
                        &frame(at as u64 + 9, timestamp, payload),
                        to,
                    ));
                }
                let joined: Vec<u8> =
                    sent.iter().flat_map(|(_, _, octets)| octets.clone()).collect();
                assert_eq!(joined, octets, "{from} {to}");
                for pair in sent.windows(2) {
                    assert_eq!(pair[1].0, pair[0].0 + 1);
                    assert_eq!(pair[1].1.wrapping_sub(pair[0].1), to as u32);
                }
            }
        }
    }

    #[test]
    fn a_loss_stays_a_loss_and_a_pause_a_pause() {
        let mut regroup = Regroup::default();
        let octets = [1; 160];
        assert_eq!(push(&mut regroup, &frame(1, 0, &octets), 320), []);
        assert_eq!(push(&mut regroup, &frame(2, 160, &octets), 320).len(), 1);
        // Two packets lost: one of ours is missing.
        assert_eq!(push(&mut regroup, &frame(5, 640, &octets), 320), []);
        let after = push(&mut regroup, &frame(6, 800, &octets), 320);
        assert_eq!((after[0].0, after[0].1), (2, 640));
        // An overtaken packet is too late, and a pause has no number.
        assert_eq!(push(&mut regroup, &frame(4, 480, &octets), 320), []);
        assert_eq!(push(&mut regroup, &frame(7, 8_000, &octets), 320), []);
        let after = push(&mut regroup, &frame(8, 8_160, &octets), 320);
        assert_eq!((after[0].0, after[0].1), (3, 8_000));
    }
}
