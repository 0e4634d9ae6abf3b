//! Training on the GPU and in the interpreter from the same seed: every layer, activation, loss and optimizer.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/jobs.rs"]
mod files;
#[path = "../common/linked.rs"]
mod linked;

mod checkpoints;
mod jobs;
mod layers;
mod losses;
mod optimizers;
mod ranks;
mod twice;
