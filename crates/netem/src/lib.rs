//! Seeded loss, delay, reordering and duplication, for tests.
//!
//! Nothing here reads a clock or draws a number of its own: a test gives the seed and the time,
//! and gets the same bad day on the network each time it runs.

mod link;
mod random;

pub use link::{Conditions, Link};
pub use random::Random;
