//! The executor: compiles a plan for a GPU and runs it.

mod blame;
mod bytes;
mod compile;
mod copies;
mod exchange;
mod inputs;
mod linked;
mod measured;
mod memory;
mod outputs;
mod program;
mod scan;
mod slots;
mod state;
#[cfg(test)]
mod tests;
mod uses;

pub use compile::kernels;
pub use program::CudaProgram;

use crate::blas::Blas;
use crate::compiler;
use crate::driver::Context;
use crate::error::CudaError;
use crate::nccl::Links;
use crate::text::Target;
use compile::FURTHEST;
use ironlearn_ir::plan::{Options as PlanOptions, Plan, Regions, plan};
use ironlearn_ir::ranks::Ranks;
use ironlearn_ir::{DType, Failure, Graph, passes};
use std::env;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Links to the GPUs of other ranks, or why there are none.
type Linked = Result<Arc<Links>, String>;

/// What has been found of ranks that share steps.
type Known = Vec<(Weak<dyn Ranks>, Linked)>;

/// A GPU, shared by all programs that are compiled for it.
#[derive(Clone)]
pub struct Cuda {
    context: Arc<Context>,
    blas: Arc<Blas>,
    checked: bool,
    links: Arc<Mutex<Known>>,
}

/// How programs are compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Operands of `f32` products are rounded to 10 bits of precision, and summed in `f32`.
    pub tf32: bool,
    /// Operands of `f32` products, and what is computed for them, are rounded to this type.
    pub narrow: Option<DType>,
    /// Functions such as `tanh` may be approximate, as fits operands that are rounded.
    pub fast: bool,
    /// Computes elementwise operations together.
    pub fuse: bool,
    /// Products of little work have a kernel of their own.
    pub thin: bool,
    /// Takes rows through narrow layers on the chip.
    pub regions: bool,
    /// Looks for values that are not finite.
    pub check: bool,
    /// The graph computes chunks of rows, each by itself, and other programs compute the rest: a chunk's bits do not depend
    /// on which others are in the same program.
    pub chunks: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tf32: false,
            narrow: None,
            fast: false,
            fuse: true,
            thin: true,
            regions: true,
            check: true,
            chunks: false,
        }
    }
}

impl Cuda {
    /// The GPU of this number, from 0. With `IRONLEARN_CUDA_CHECK=1` every access of a kernel is checked.
    ///
    /// # Errors
    /// [`CudaError`] where there is none, or a library is missing.
    pub fn open(index: usize) -> Result<Cuda, CudaError> {
        let context = Context::open(index)?;
        compiler::version()?;
        let blas = Arc::new(Blas::open(&context)?);
        let checked = env::var_os("IRONLEARN_CUDA_CHECK").is_some_and(|v| v != "0" && !v.is_empty());
        Ok(Cuda { context, blas, checked, links: Arc::default() })
    }

    /// The same GPU; whether every access of kernels compiled from here on is checked.
    pub fn checked(self, checked: bool) -> Cuda {
        Cuda { checked, ..self }
    }

    /// Name and kind, such as `NVIDIA H200 (sm_90)`.
    pub fn name(&self) -> String {
        let d = self.context.description();
        format!("{} (sm_{}{})", d.name, d.capability.0, d.capability.1)
    }

    /// Bytes of memory that are free, and all.
    pub fn memory(&self) -> Result<(usize, usize), CudaError> {
        self.context.memory()
    }

    /// Plans and compiles a graph.
    pub fn compile(&self, graph: &Graph, options: Options) -> Result<CudaProgram, Failure> {
        CudaProgram::new(self, planned(graph, options)?, options)
    }

    /// Links to the GPUs of other ranks, which ask the first time together; or why what they add up goes through the host.
    ///
    /// # Errors
    /// Those of the library, and of the ranks.
    pub fn links(&self, ranks: &Arc<dyn Ranks>) -> Result<Linked, CudaError> {
        let all = || self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            all().iter().find(|(of, _)| of.upgrade().is_some_and(|of| Arc::ptr_eq(&of, ranks))).cloned();
        if let Some((_, links)) = known {
            return Ok(links);
        }
        let links = match ranks.count() {
            1 => Err("there is one rank".to_string()),
            // Other ranks may be threads, and ask this very GPU.
            _ => Links::new(&self.context, &**ranks)?.map(Arc::new),
        };
        let mut all = all();
        all.retain(|(of, _)| of.strong_count() > 0);
        all.push((Arc::downgrade(ranks), links.clone()));
        Ok(links)
    }

    fn target(&self, options: Options) -> Target {
        let device = self.context.description();
        let hopper = device.capability == (9, 0);
        Target { multiprocessors: device.multiprocessors, tf32: options.tf32, thin: options.thin, hopper }
    }
}

/// Bytes of shared memory that every architecture from 8.0 on gives a block.
const ON_CHIP: usize = 96 << 10;

/// The plan of a graph for GPUs.
pub fn planned(graph: &Graph, options: Options) -> Result<Plan, Failure> {
    let plan_options = PlanOptions {
        fuse: options.fuse,
        check: options.check,
        // A chunk would be one only where it is the first of its program.
        regions: if options.regions && !options.chunks { Regions::OnChip(ON_CHIP) } else { Regions::None },
        updates_last: true,
        epilogues: true,
        apart: FURTHEST,
    };
    let graph = match options.fuse {
        true => passes::thin_products(graph),
        false => graph.clone(),
    };
    let graph = match options.narrow {
        Some(narrow) => passes::narrow_values(&graph, narrow),
        None => graph,
    };
    plan(&graph, plan_options).map_err(|e| Failure::Operation(format!("no plan: {e}")))
}
