//! Call legs, WebRTC peers and what joins them; time and datagrams are passed in.
//!
//! Everything is a source or a sink. [`Engine`] takes commands, datagrams and the time, and fills an
//! [`Output`] with datagrams and events; it opens no socket and reads no clock. One input of a sink
//! is passed through as its packets come, several are mixed.
//!
//! * `source`, `sink`, `graph`: what can be heard, what hears, and how a packet gets across,
//! * `leg`: the RTP side of a phone, in and out,
//! * `voice`: a phone's sound decoded and made even, where it is not passed through,
//! * `stream`: the one continuous RTP stream that a phone gets, whatever it is made of,
//! * [`peer`]: WebRTC clients, and `peers`: their place among sources and sinks,
//! * `engine`: commands and deadlines.

pub mod command;
pub mod event;
pub mod peer;
pub mod stats;

mod audio;
mod comfort;
mod deadlines;
mod engine;
mod graph;
mod leg;
mod mixer;
mod output;
mod peers;
mod player;
mod playout;
mod quick_hash;
mod random;
mod sink;
mod source;
mod speaker;
mod stream;
mod transcode;
mod voice;
mod voices;

pub use audio::{AudioCodec, AudioLevel, CodecSet};
pub use engine::{Config, Engine, LegIds, LegKey};
pub use output::{LegPacket, LegPort, Output};
pub use player::{PlayerIds, PlayerSound};
pub use switchroom_rtp::srtp;
