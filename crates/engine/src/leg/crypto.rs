//! SRTP with a phone: keys come with each negotiation, and the ones before are good a little longer.

use std::time::{Duration, Instant};

use switchroom_rtp::srtp::{SrtpError, SrtpReceiver, SrtpSender};

use crate::command::LegCrypto;

/// Packets under the keys before may be on the way for so long.
const OVERLAP: Duration = Duration::from_secs(2);

/// Which of the two kinds of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secured {
    Rtp,
    Rtcp,
}

/// Opens what comes from a phone.
#[derive(Debug, Default)]
pub(crate) struct Opener {
    current: Option<Box<Opening>>,
    previous: Option<(Box<SrtpReceiver>, Instant)>,
}

#[derive(Debug)]
struct Opening {
    crypto: LegCrypto,
    receiver: Box<SrtpReceiver>,
}

impl Opener {
    /// What was negotiated. The same keys again (hold, resume) go on as they are.
    pub(crate) fn update(&mut self, now: Instant, crypto: Option<&LegCrypto>) {
        let Some(crypto) = crypto else {
            *self = Self::default();
            return;
        };
        let same = |opening: &Opening| {
            opening.crypto.suite == crypto.suite && opening.crypto.their_key == crypto.their_key
        };
        if self.current.as_deref().is_some_and(same) {
            return;
        }
        let (suite, key, mki) = (crypto.suite, &crypto.their_key, crypto.their_mki_size);
        let receiver = match &self.current {
            Some(before) => before.receiver.rekeyed(suite, key, mki),
            None => SrtpReceiver::new(suite, key, mki),
        };
        // Keys of another size were refused before they came here.
        let Ok(receiver) = receiver else { return };
        let opening = Opening { crypto: crypto.clone(), receiver: Box::new(receiver) };
        let before = self.current.replace(Box::new(opening));
        self.previous = before.map(|before| (before.receiver, now + OVERLAP));
    }

    /// Whether packets have to be opened at all.
    pub(crate) fn is_on(&self) -> bool {
        self.current.is_some()
    }

    /// Opens a datagram into `packet`.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        kind: Secured,
        datagram: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<(), SrtpError> {
        let Some(current) = &mut self.current else { return Err(SrtpError::NotAuthentic) };
        self.previous.take_if(|(_, until)| *until <= now);
        let previous = self.previous.as_mut().map(|(receiver, _)| receiver);
        let mut result = Err(SrtpError::NotAuthentic);
        for receiver in [Some(&mut current.receiver), previous].into_iter().flatten() {
            packet.clear();
            packet.extend_from_slice(datagram);
            result = match kind {
                Secured::Rtp => receiver.open(packet),
                Secured::Rtcp => receiver.open_report(packet),
            };
            if result != Err(SrtpError::NotAuthentic) {
                break;
            }
        }
        result
    }
}

/// Protects what goes to a phone.
#[derive(Debug, Default)]
pub(crate) struct Sealer(Option<Box<Sealing>>);

#[derive(Debug)]
struct Sealing {
    crypto: LegCrypto,
    sender: SrtpSender,
}

impl Sealer {
    /// What was negotiated. The same key again goes on as it is.
    pub(crate) fn update(&mut self, crypto: Option<&LegCrypto>) {
        let Some(crypto) = crypto else {
            self.0 = None;
            return;
        };
        let (suite, key) = (crypto.suite, &crypto.our_key);
        match &mut self.0 {
            Some(sealing) => {
                let before = &sealing.crypto;
                if (before.suite, &before.our_key) == (suite, key) {
                    return;
                }
                // Keys of another size were refused before they came here.
                let _ = sealing.sender.rekey(suite, key);
                sealing.crypto = crypto.clone();
            }
            none => {
                let sender = SrtpSender::new(suite, key).ok();
                *none = sender.map(|sender| Box::new(Sealing { crypto: crypto.clone(), sender }));
            }
        }
    }

    /// Protects the packet at `bytes[start..]`, if it is to be. What cannot be is not sent.
    pub(crate) fn seal(&mut self, kind: Secured, bytes: &mut Vec<u8>, start: usize) {
        let Some(sealing) = &mut self.0 else { return };
        let sealed = match kind {
            Secured::Rtp => sealing.sender.protect(bytes, start),
            Secured::Rtcp => sealing.sender.protect_report(bytes, start),
        };
        if sealed.is_err() {
            bytes.truncate(start);
        }
    }
}
