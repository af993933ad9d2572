//! Official-like clients and phones in one engine, on a virtual network and a virtual clock.
#![allow(clippy::pedantic, clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

#[path = "../peers/client.rs"]
mod client;
mod hardship;
mod sound;
mod speakers;
mod tone;
mod world;
