//! What the tests of Iron Learn share.

pub mod gradcheck;
pub mod registry;
pub mod rng;
