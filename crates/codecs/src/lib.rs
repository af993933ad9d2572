//! G.711, Opus, resampling, tones, mixing and levels: samples in, samples out.
