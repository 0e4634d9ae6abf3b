//! GPUs: those of this machine, or why it has none. The one place that knows whether this build has CUDA.

use ironlearn::ranks::Ranks;
use ironlearn::{Error, Options};
use std::sync::Arc;

#[cfg(feature = "cuda")]
use ironlearn_cuda::{CudaError, Library};

/// A GPU to compute on.
#[cfg(feature = "cuda")]
#[derive(Clone)]
pub struct Gpu(ironlearn_cuda::Cuda);

/// There is none in this build.
#[cfg(not(feature = "cuda"))]
#[derive(Clone)]
pub enum Gpu {}

/// Why a GPU cannot be computed on.
pub struct NoGpu {
    problem: String,
    hint: String,
    /// There is a GPU, or its driver: somebody may wonder why it is not used.
    pub is_odd: bool,
}

impl NoGpu {
    #[cfg(test)]
    pub fn of(problem: &str, hint: &str, is_odd: bool) -> NoGpu {
        NoGpu { problem: problem.into(), hint: hint.into(), is_odd }
    }

    /// The error for whoever has asked for that GPU.
    pub fn error(self) -> Error {
        Error::usage(format!("--device cuda: {}", self.problem), self.hint)
    }

    /// What is said to whoever has left the choice to the program.
    pub fn warning(self) -> String {
        format!("the GPU is not used: {}; {}", self.problem, self.hint)
    }
}

#[cfg(feature = "cuda")]
impl Gpu {
    /// The GPU of this number, from 0.
    pub fn open(index: usize) -> Result<Gpu, NoGpu> {
        ironlearn_cuda::Cuda::open(index).map(Gpu).map_err(|error| NoGpu {
            is_odd: !matches!(
                error,
                CudaError::Missing { library: Library::Driver } | CudaError::NoDevice { found: 0, .. }
            ),
            problem: error.to_string(),
            hint: error.hint().into(),
        })
    }

    /// How many the driver sees; none where there is no driver.
    pub fn count() -> usize {
        ironlearn_cuda::driver::devices().map_or(0, |devices| devices.len())
    }

    /// Name and kind.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// How ranks exchange what they add up, for people. All ranks ask together.
    pub fn links(&self, ranks: &Arc<dyn Ranks>) -> Result<String, Error> {
        match self.0.links(ranks).map_err(|error| Error::device(format!("{error}; {}", error.hint())))? {
            Ok(_) => Ok("sums of ranks: from GPU to GPU, by NCCL".into()),
            Err(why) => Ok(format!("sums of ranks: through the host ({why})")),
        }
    }

    /// The options with this GPU as what computes.
    pub fn applied(&self, options: Options) -> Options {
        options.cuda(self.0.clone())
    }
}

#[cfg(not(feature = "cuda"))]
impl Gpu {
    pub fn open(_: usize) -> Result<Gpu, NoGpu> {
        Err(NoGpu {
            problem: "this build of ironlearn computes on the CPU only".into(),
            hint: "leave --device out, or build with the feature `cuda`".into(),
            is_odd: false,
        })
    }

    pub fn count() -> usize {
        0
    }

    pub fn name(&self) -> String {
        match *self {}
    }

    pub fn links(&self, _: &Arc<dyn Ranks>) -> Result<String, Error> {
        match *self {}
    }

    pub fn applied(&self, _: Options) -> Options {
        match *self {}
    }
}

/// What `doctor` tells.
#[derive(Default)]
pub struct Report {
    /// Libraries: name, and the version, or what is missing and how to get it.
    pub libraries: Vec<(&'static str, Result<String, String>)>,
    pub gpus: Vec<Description>,
}

/// A GPU that the driver sees.
pub struct Description {
    pub name: String,
    pub capability: (i32, i32),
    /// Bytes.
    pub memory: usize,
}

/// Looks for libraries and GPUs.
#[cfg(feature = "cuda")]
pub fn report() -> Report {
    let found = ironlearn_cuda::probe();
    let missing = |error: CudaError| format!("{error}: {}", error.hint());
    let version = |major: i32, minor: i32| format!("{major}.{minor}");
    let devices = found.devices.clone().unwrap_or_default();
    let driver = found.devices.map(|devices| match devices.first().map(|d| d.driver) {
        Some(n) => format!("for CUDA {}", version(n / 1000, n % 1000 / 10)),
        None => "sees no GPU".into(),
    });
    let gpu = |d: ironlearn_cuda::driver::Description| Description {
        name: d.name,
        capability: d.capability,
        memory: d.memory,
    };
    let libraries = vec![
        ("CUDA driver", driver.map_err(missing)),
        ("NVRTC", found.compiler.map(|(major, minor)| version(major, minor)).map_err(missing)),
        ("cuBLASLt", found.blas.map(|()| "found".into()).map_err(missing)),
        #[cfg(feature = "nccl")]
        ("NCCL", found.links.map(|(major, minor)| version(major, minor)).map_err(missing)),
    ];
    Report { libraries, gpus: devices.into_iter().map(gpu).collect() }
}

/// Looks for nothing: this build would not use it.
#[cfg(not(feature = "cuda"))]
pub fn report() -> Report {
    Report::default()
}
