//! Planted faults: each is found, named, and leaves what it does not concern as it was.

#[path = "../common/mod.rs"]
mod common;

mod apart;
mod cache;
mod data;
mod device;
mod graphs;
mod not_finite;
mod threads;
