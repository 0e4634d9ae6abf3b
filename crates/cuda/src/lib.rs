//! The CUDA executor: the same plans as on the CPU, compiled for an NVIDIA GPU.
//!
//! The driver, the compiler of kernels and the library of matrix products are loaded when they are asked for: this
//! crate builds and starts without them. `choice` says which kernel a product takes, `text` writes kernels, `compiler` makes
//! machine code of them, `exec` runs
//! them, `driver` is what all of it asks of the NVIDIA driver.

pub mod blas;
pub mod choice;
pub mod compiler;
pub mod driver;
pub mod error;
pub mod exec;
pub mod nccl;
pub mod probe;
pub mod text;

pub use error::{CudaError, Library, Wrong};
pub use exec::{Cuda, CudaProgram, Options};
pub use probe::{Report, probe};
