//! [`CudaError`]: what can go wrong with a GPU, and what to do about it.

use ironlearn_ir::Failure;
use std::fmt;

/// What is wrong about an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A kernel has made it, and there is no such element.
    Place,
    /// It is a number of the data, at this position of its array, and there is no such element.
    Data {
        /// Counted from 0.
        position: i64,
    },
    /// Several elements were to be used at once from it on, which do not lie where that is possible.
    Alignment,
}

/// Why something on the GPU came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum CudaError {
    /// A library is missing.
    Missing {
        /// Which.
        library: Library,
    },
    /// The driver is there, but no such device.
    NoDevice {
        /// The index that was asked for.
        asked: usize,
        /// How many there are.
        found: usize,
    },
    /// A call failed.
    Call {
        /// The function.
        call: &'static str,
        /// The code's name and description.
        problem: String,
    },
    /// The context was lost to an earlier failure: nothing can run on it any more.
    Lost {
        /// The first failure.
        first: String,
    },
    /// Memory of the device was asked for and not given.
    Memory {
        /// How much.
        bytes: usize,
        /// What for.
        purpose: String,
        /// Bytes that were free, and of all of it.
        free: usize,
        /// Bytes of the device.
        total: usize,
    },
    /// The compiler did not take a kernel: a fault of Iron Learn.
    Compile {
        /// What it said.
        log: String,
    },
    /// A kernel was about to be launched with arguments that it does not have: a fault of Iron Learn.
    Launch {
        /// The kernel.
        kernel: String,
        /// What is wrong.
        problem: String,
    },
    /// A kernel met an index out of range, or one from which several elements cannot be read at once.
    Index {
        /// The kernel, or the operation that picks by an index from data.
        kernel: String,
        /// The argument, or where the operation was recorded.
        argument: String,
        /// The index.
        index: i64,
        /// How many elements there are, or bytes that were to be read or written at once.
        length: i64,
        /// What is wrong about it.
        wrong: Wrong,
    },
    /// The plan holds something that the GPU has no kernel for.
    Unsupported(String),
    /// The ranks that share a step could not add up what they have: why.
    Ranks(String),
}

/// A library that CUDA consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `libcuda`, which comes with the driver.
    Driver,
    /// `libnvrtc`, the compiler of kernels.
    Compiler,
    /// `libcublasLt`, matrix products.
    Blas,
    /// `libnccl`, links between the GPUs of ranks.
    Links,
}

impl Library {
    /// The name, and how to get it.
    fn remedy(self) -> (&'static str, &'static str) {
        match self {
            Library::Driver => (
                "the NVIDIA driver (libcuda)",
                "install the NVIDIA driver for your card, or use `--device cpu`",
            ),
            Library::Compiler => (
                "the kernel compiler NVRTC (libnvrtc)",
                "install the CUDA toolkit, or the Python package nvidia-cuda-nvrtc and put its lib folder in \
                 LD_LIBRARY_PATH",
            ),
            Library::Links => (
                "the library NCCL (libnccl)",
                "install NCCL, or the Python package nvidia-nccl-cu13 and put its lib folder in LD_LIBRARY_PATH; \
                 without it ranks on GPUs exchange sums through the host",
            ),
            Library::Blas => (
                "the library of matrix products cuBLASLt (libcublasLt)",
                "install the CUDA toolkit, or the Python package nvidia-cublas and put its lib folder in \
                 LD_LIBRARY_PATH",
            ),
        }
    }
}

impl CudaError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            CudaError::Missing { library } => library.remedy().1,
            CudaError::NoDevice { .. } => "see `ironlearn doctor`, or use `--device cpu`",
            CudaError::Memory { .. } => {
                "use smaller batches, or a smaller network, or end what else uses the GPU"
            }
            CudaError::Index { wrong: Wrong::Data { .. }, .. } => "check the data of this step",
            CudaError::Lost { .. } => "start the program again; a run goes on from its last checkpoint",
            CudaError::Unsupported(_) => "use `--device cpu`",
            CudaError::Ranks(_) => "start all ranks again; a run goes on from its last checkpoint",
            _ => {
                "set IRONLEARN_CUDA_CHECK=1, which names what a kernel did wrong; this is likely a fault of \
                 Iron Learn that is worth a report"
            }
        }
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CudaError::Missing { library } => {
                write!(f, "{} was not found on this machine", library.remedy().0)
            }
            CudaError::NoDevice { asked, found: 0 } => {
                write!(f, "the NVIDIA driver sees no GPU (number {asked} was asked for)")
            }
            CudaError::NoDevice { asked, found } => {
                write!(f, "there is no GPU number {asked}: the driver sees {found}, counted from 0")
            }
            CudaError::Call { call, problem } => write!(f, "{call} failed: {problem}"),
            CudaError::Lost { first } => write!(f, "the GPU was lost earlier: {first}"),
            CudaError::Memory { bytes, purpose, free, total } => write!(
                f,
                "out of GPU memory: {bytes} bytes for {purpose}, where {free} of {total} bytes are free"
            ),
            CudaError::Compile { log } => write!(f, "the kernel compiler refused a kernel:\n{log}"),
            CudaError::Launch { kernel, problem } => {
                write!(f, "kernel `{kernel}` was not launched: {problem}")
            }
            CudaError::Index { kernel, argument, index, length, wrong: Wrong::Data { position } } => write!(
                f,
                "{kernel}: index {index} at position {position} is outside of 0..{length}\n  {argument}"
            ),
            CudaError::Index { kernel, argument, index, length, wrong: Wrong::Alignment } => write!(
                f,
                "kernel `{kernel}` was about to use {length} bytes at once from element {index} of its argument \
                 `{argument}` on, whose address they do not divide"
            ),
            CudaError::Index { kernel, argument, index, length, wrong: Wrong::Place } => write!(
                f,
                "kernel `{kernel}` was about to use element {index} of its argument `{argument}`, which has {length}"
            ),
            CudaError::Unsupported(what) => write!(f, "no CUDA kernel for {what}"),
            CudaError::Ranks(problem) => write!(f, "ranks that share a step: {problem}"),
        }
    }
}

impl std::error::Error for CudaError {}

impl From<CudaError> for Failure {
    fn from(error: CudaError) -> Failure {
        match error {
            CudaError::Index { wrong: Wrong::Data { .. }, .. } => Failure::Operation(error.to_string()),
            CudaError::Memory { bytes, purpose, free, total } => Failure::Memory {
                bytes,
                purpose: format!("{purpose} on the GPU, where {free} of {total} bytes are free"),
            },
            _ => Failure::Device(format!("{error}; {}", error.hint())),
        }
    }
}
