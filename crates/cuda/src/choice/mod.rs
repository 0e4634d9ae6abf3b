//! Which kernel a matrix product takes, and how it is cut: from its shape and the number of multiprocessors alone.

pub mod thin;
pub mod tiles;
