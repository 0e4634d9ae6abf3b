//! The CPU executor of Iron Learn.
#![warn(missing_docs)]

pub mod denormal;
pub mod gemm;
pub mod isa;
pub mod pool;
mod simd;
