//! The CPU executor of Iron Learn.
#![warn(missing_docs)]

pub mod denormal;
mod exec;
pub mod gemm;
pub mod isa;
pub mod pool;
mod simd;

pub use exec::{Cpu, CpuProgram};
