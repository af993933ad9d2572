//! What the engine can be told. Numbers of things are chosen by whoever commands.

use std::net::SocketAddr;
use std::time::Duration;

/// One instruction. Those about things that are gone have no effect: they crossed an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Set what a leg sends and accepts; 183, 200, re-INVITE and hold are all this.
    UpdateLeg {
        /// The leg.
        leg: u64,
        /// All of it, whole.
        media: LegMedia,
    },
    /// Press keys towards the phone: `0-9 * # A-D`, `w` for half a second of nothing.
    SendDigits {
        /// The leg.
        leg: u64,
        /// Which keys.
        digits: String,
    },
    /// Say good-bye and let the ports go.
    CloseLeg {
        /// The leg.
        leg: u64,
    },
    /// What a sink hears from now on: nothing, one source as it comes, or several mixed.
    SetInputs {
        /// The sink.
        sink: u64,
        /// Sources and how loud each is: 1.0 leaves it as it is.
        inputs: Vec<(u64, f32)>,
    },
    /// Count everything; answered by [`crate::event::Event::Stats`].
    Stats {
        /// Comes back in the answer.
        request: u64,
    },
}

/// Whether a leg sends, receives, both or neither; from our side (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// We send, the phone does not.
    SendOnly,
    /// The phone sends, we do not.
    RecvOnly,
    /// Neither: both on hold.
    Inactive,
}

impl Direction {
    /// The direction of this SDP attribute.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// Whether the phone is to be sent anything.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the phone is heard.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// A payload type as negotiated with a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegCodec {
    /// 0 to 127.
    pub payload_type: u8,
    /// Encoding name of the `rtpmap`, such as `PCMU` or `telephone-event`.
    pub name: String,
    /// Ticks a second.
    pub clock_rate: u32,
}

/// What was negotiated with a phone.
#[derive(Debug, Clone, PartialEq)]
pub struct LegMedia {
    /// Where its SDP wants RTP; none while it cannot receive.
    pub remote: Option<SocketAddr>,
    /// Payload types that are understood from it; the first one that we can encode is sent.
    pub codecs: Vec<LegCodec>,
    /// Telephone events (RFC 4733), if negotiated.
    pub digits: Option<LegCodec>,
    /// From our side.
    pub direction: Direction,
    /// Length of the packets that we make ourselves, in milliseconds.
    pub ptime_ms: u32,
    /// Tell when nothing came from the phone for so long.
    pub media_timeout: Option<Duration>,
}
