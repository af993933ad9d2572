//! Threads and UDP sockets: the only crate that reads a clock.
