//! What the operating system can refuse.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Why the driver could not do as it was asked.
#[derive(Debug)]
pub enum DriverError {
    /// Somebody else has the port of the WebRTC socket.
    PortInUse(SocketAddr),
    /// The WebRTC socket cannot be opened for another reason.
    Bind(SocketAddr, io::Error),
    /// No pair of ports in the range is free at this address.
    NoPortAvailable(IpAddr, (u16, u16)),
    /// The address for a leg is not one of this host.
    BadAddress(IpAddr, io::Error),
    /// Not a file that can be played, and why.
    BadFile(PathBuf, String),
    /// The operating system has no thread, descriptor or random number for us.
    System(io::Error),
    /// The media thread has ended.
    Stopped,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortInUse(at) => write!(f, "rtc port {} on {} is in use", at.port(), at.ip()),
            Self::Bind(at, error) => {
                write!(f, "rtc port {} on {} cannot be opened: {error}", at.port(), at.ip())
            }
            Self::NoPortAvailable(ip, (first, last)) => {
                write!(f, "no free pair of RTP ports from {first} to {last} on {ip}")
            }
            Self::BadAddress(ip, error) => write!(f, "no RTP port can be opened on {ip}: {error}"),
            Self::BadFile(path, reason) => {
                write!(f, "{} cannot be played: {reason}", path.display())
            }
            Self::System(error) => write!(f, "the operating system refuses: {error}"),
            Self::Stopped => f.write_str("the media engine is not running"),
        }
    }
}

impl std::error::Error for DriverError {}

impl From<io::Error> for DriverError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
