//! Threads and UDP sockets: the only crate that reads a clock.
//!
//! [`Driver`] owns one media thread. It waits in `epoll`, hands datagrams, commands and the time to
//! the engine, and sends what the engine made of them. Sockets of legs are bound in the thread that
//! asks for the leg, so that it learns at once if there is no port.

mod driver;
mod error;
mod news;
mod ports;
mod system;
mod wav;
mod worker;

pub use driver::{Driver, DriverConfig, RtcAddress};
pub use error::DriverError;
