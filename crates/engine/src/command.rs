//! What the engine can be told. Numbers of things are chosen by whoever commands.

use std::net::SocketAddr;
use std::time::Duration;

use switchroom_rtp::srtp::Suite;

use crate::audio::AudioCodec;
use crate::peer::{ChannelLabel, Mid, PeerKind, RemoteTransport};

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
    /// Tell when the phone has been sent all that was received for it by now; a few ticks at most.
    PlayOut {
        /// The leg.
        leg: u64,
    },
    /// What is done to the sound of a phone before anybody hears it.
    SetProcessing {
        /// The leg.
        leg: u64,
        /// Whether noise behind the voice is taken away.
        denoise: bool,
        /// Whether keys are told by their tones, too: for phones without telephone events.
        detect_tones: bool,
    },
    /// Count what one leg did; answered by [`crate::event::Event::LegStats`].
    LegStats {
        /// Comes back in the answer.
        request: u64,
        /// The leg.
        leg: u64,
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
    /// Do something with a WebRTC client.
    Peer {
        /// Which one.
        peer: u64,
        /// What.
        command: PeerCommand,
    },
    /// End a player and forget it.
    StopPlayer {
        /// The player.
        player: u64,
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
    /// What the phone's `fmtp` says of it; empty if it says nothing.
    pub parameters: String,
}

impl LegCodec {
    /// Whether the phone sets a parameter to 1, as in `useinbandfec=1`.
    #[must_use]
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.split(';').any(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            name.trim().eq_ignore_ascii_case(parameter) && value.trim() == "1"
        })
    }
}

/// Keys of SRTP as session descriptions exchange them (RFC 4568).
#[derive(Clone, PartialEq, Eq)]
pub struct LegCrypto {
    /// How packets are protected, both ways.
    pub suite: Suite,
    /// Master key and salt of what we send, [`Suite::key_size`] octets.
    pub our_key: Vec<u8>,
    /// The same of what the phone sends.
    pub their_key: Vec<u8>,
    /// Octets of the master key identifier in the phone's packets (RFC 3711 §3.1); usually 0.
    pub their_mki_size: usize,
}

impl std::fmt::Debug for LegCrypto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LegCrypto({:?}, …)", self.suite)
    }
}

/// What was negotiated with a phone.
#[derive(Debug, Clone, PartialEq)]
pub struct LegMedia {
    /// Where its SDP wants RTP; none while it cannot receive.
    pub remote: Option<SocketAddr>,
    /// Payload types that are understood from it, `CN` and further clocks of `telephone-event` among
    /// them; the first audio codec is sent.
    pub codecs: Vec<LegCodec>,
    /// Telephone events (RFC 4733) as we send them, if negotiated.
    pub digits: Option<LegCodec>,
    /// From our side.
    pub direction: Direction,
    /// Length of the packets that the phone is sent, in milliseconds. At 20, what is passed through
    /// keeps its own.
    pub ptime_ms: u32,
    /// Tell when nothing came from the phone for so long.
    pub media_timeout: Option<Duration>,
    /// The same before its first packet of all; none if that is no different.
    pub first_timeout: Option<Duration>,
    /// SRTP, if negotiated: then nothing else is sent or taken.
    pub crypto: Option<LegCrypto>,
    /// RTCP goes over the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
}

/// What can be done with a WebRTC client. A `request` comes back in
/// [`crate::event::Event::PeerReply`].
#[derive(Debug, Clone, PartialEq)]
pub enum PeerCommand {
    /// Make it, under a number that was never used.
    Open {
        /// Who writes the offers.
        kind: PeerKind,
    },
    /// Answer an offer of the client; replied to with the answer.
    AcceptOffer {
        /// Comes back in the reply.
        request: u64,
        /// The offer.
        sdp: String,
    },
    /// What to write into our offer; replied to with the transport.
    Describe {
        /// Comes back in the reply.
        request: u64,
    },
    /// New ICE credentials for our next offer; replied to with the transport.
    RestartIce {
        /// Comes back in the reply.
        request: u64,
    },
    /// Take the transport part of the client's answer.
    ApplyAnswer {
        /// Comes back in the reply.
        request: u64,
        /// The client's side.
        remote: RemoteTransport,
    },
    /// Add a section to our offer on which we send.
    DeclareSender {
        /// Its name.
        mid: Mid,
        /// Random, and the one that the offer names.
        ssrc: u32,
    },
    /// Give a section on which we send another SSRC, for another track.
    RenewSender {
        /// The section.
        mid: Mid,
        /// Random, and the one that the next offer or answer names.
        ssrc: u32,
    },
    /// Which of the offered payload types the client takes on a section.
    SetSenderPayloadTypes {
        /// The section.
        mid: Mid,
        /// All of them.
        payload_types: Vec<(AudioCodec, u8)>,
    },
    /// A candidate that the client trickled.
    AddRemoteCandidate {
        /// As in `a=…`.
        candidate: String,
    },
    /// What the client sends on a section becomes a source.
    Receive {
        /// The section.
        mid: Mid,
        /// The source's number.
        source: u64,
    },
    /// What the client hears on a section becomes a sink.
    Send {
        /// The section.
        mid: Mid,
        /// The sink's number.
        sink: u64,
    },
    /// Send a data message.
    SendData {
        /// Over which channel.
        label: ChannelLabel,
        /// The message.
        payload: Vec<u8>,
    },
    /// Say good-bye and forget it, with its sources and sinks.
    Close,
}
