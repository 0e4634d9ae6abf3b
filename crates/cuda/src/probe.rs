//! [`probe`]: what of CUDA this machine has, and what is missing.

use crate::driver::{self, Description};
use crate::error::{CudaError, Library};
use crate::{blas, compiler};

/// What of CUDA a machine has.
#[derive(Clone, Debug)]
pub struct Report {
    /// The devices that the driver sees, or why there is no driver.
    pub devices: Result<Vec<Description>, CudaError>,
    /// The version of NVRTC, or why there is none.
    pub compiler: Result<(i32, i32), CudaError>,
    /// Whether cuBLASLt is there.
    pub blas: Result<(), CudaError>,
    /// The version of NCCL, or why there is none.
    #[cfg(feature = "nccl")]
    pub links: Result<(i32, i32), CudaError>,
}

/// Looks for the libraries and the devices. Loads libraries; makes no context.
pub fn probe() -> Report {
    Report {
        devices: driver::devices(),
        compiler: compiler::version(),
        blas: if blas::is_present() { Ok(()) } else { Err(CudaError::Missing { library: Library::Blas }) },
        #[cfg(feature = "nccl")]
        links: crate::nccl::version(),
    }
}
