//! `ironlearn serve` as its clients meet it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod answers;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod figures;
mod limits;
mod malformed;
mod overload;
