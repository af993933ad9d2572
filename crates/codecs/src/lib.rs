//! G.711, G.722, Opus, resampling, tones, mixing, levels and
//! noise suppression: samples in, samples out.
//!
//! Sound is 16-bit linear, mono, in frames of 20 ms unless a function says otherwise. Nothing
//! here knows packets, time or sockets.

pub mod conceal;
pub mod denoise;
pub mod g711;
pub mod g722;
pub mod keys;
pub mod level;
pub mod mixer;
pub mod opus;
pub mod resample;
pub mod tone;
