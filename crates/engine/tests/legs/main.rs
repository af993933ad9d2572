//! Phones on a virtual network and a virtual clock.
#![allow(clippy::unwrap_used, clippy::unchecked_time_subtraction)] // a test may fail by panicking

mod continuity;
mod crypto;
mod digits;
mod hostile;
mod latching;
mod mixing;
mod reports;
mod timing;
mod voice;
mod wideband;
mod world;
