//! Telephone events, RFC 4733: the keys of a phone, as packets.

mod receiver;
mod sender;

pub use receiver::{DigitReceiver, ReceivedDigit};
pub use sender::{DigitSender, DigitStep, DigitTiming, EventPacket, InvalidDigits};

/// Digits by event code (RFC 4733 §3.2 table 3), the last four in the case `LiveKit` reports.
const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'a', 'b', 'c', 'd'];

/// The event code of a digit, upper or lower case; `None` for what is no key of a phone.
#[must_use]
pub fn event_of_digit(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_lowercase();
    DIGITS.iter().position(|&known| known == digit).map(|code| code as u8)
}

/// The digit of an event code; `None` for events that are no digit.
#[must_use]
pub fn digit_of_event(event: u8) -> Option<char> {
    DIGITS.get(usize::from(event)).copied()
}

/// The four octets of an event (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventPayload {
    /// Which event; 0 to 15 are digits.
    pub event: u8,
    /// The event is over; `duration` is its whole length.
    pub end: bool,
    /// Power of the tone in -dBm0, 0 to 63.
    pub volume: u8,
    /// Ticks of the timestamp clock since the event's timestamp.
    pub duration: u16,
}

impl EventPayload {
    /// Reads the first event of a payload; `None` when it is too short. What follows (RFC 4733
    /// §2.5.1.5 would have it in RFC 2198 form) is not looked at.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low] = payload.first_chunk::<4>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3F, duration })
    }

    /// The payload in network order; the reserved bit is zero.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3F, high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_has_the_layout_of_the_rfc() {
        let payload = EventPayload { event: 11, end: true, volume: 10, duration: 800 };
        assert_eq!(payload.to_bytes(), [11, 0x8A, 3, 0x20]);
        assert_eq!(EventPayload::parse(&[11, 0x8A, 3, 0x20, 99]), Some(payload));
        assert_eq!(EventPayload::parse(&[11, 0x8A, 3]), None);
    }

    #[test]
    fn digits_and_events_are_each_others_inverse() {
        for event in 0..16 {
            let digit = digit_of_event(event).unwrap();
            assert_eq!(event_of_digit(digit), Some(event));
            assert_eq!(event_of_digit(digit.to_ascii_uppercase()), Some(event));
        }
        assert_eq!(digit_of_event(16), None);
        assert_eq!(event_of_digit('w'), None);
    }
}
