//! The program `ironlearn`.
#![forbid(unsafe_code)]
fn main() {}
