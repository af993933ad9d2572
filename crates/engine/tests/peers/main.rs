//! Peers against real WebRTC clients (str0m with full ICE) over a network in memory, on a clock
//! that only the test moves.
#![allow(clippy::pedantic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod client;
mod data;
mod hostile;
mod joining;
mod media;
mod moving;
mod offering;
mod world;
