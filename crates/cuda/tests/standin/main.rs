//! The stand-in for CUDA that the other tests of this crate run on, against plain loops and against what the driver
//! says about each mistake. Calls are those of the driver itself, by way of cudarc.

#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod apart;
mod capture;
mod device;
mod gemm;
mod kernels;
mod mistakes;
mod products;
mod warps;
mod watched;
