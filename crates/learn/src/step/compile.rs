//! From a traced graph to a program that runs: the one place that chooses an executor.

use super::share;
use crate::{Error, memory};
use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::passes::Sharing;
use ironlearn_ir::plan::Options as PlanOptions;
use ironlearn_ir::program::Interpreted;
use ironlearn_ir::ranks::Ranks;
use ironlearn_ir::{Array, DType, Failure, Graph, Program, SlotId, passes};
use std::sync::{Arc, OnceLock};

/// How steps are built: by default for the CPU with a thread for each core.
#[derive(Clone, Default)]
pub struct Options {
    executor: Executor,
    precision: Precision,
    pub(crate) shadow: Option<Vec<Array>>,
    pub(crate) averaged: bool,
    pub(crate) micro_batches: bool,
    profile: bool,
    unchecked: bool,
    edit: Option<Edit>,
    sharing: Option<Sharing>,
    pub(crate) divides_optimizer: bool,
}

/// Changes a graph before it is compiled.
type Edit = Arc<dyn Fn(Graph) -> Graph + Send + Sync>;

/// In which numbers products are computed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Precision {
    /// Those of the model's own type.
    #[default]
    Full,
    /// The operands of `f32` matrix products are rounded to `bf16`, 8 bits of precision, and summed in `f32`.
    /// Parameters, moments and everything between products stay `f32`. Twice as fast or more where the CPU has
    /// instructions for it; convolutions and products of other types are computed in full.
    Bf16,
    /// The operands of `f32` matrix products are rounded to 10 bits of precision, with the range of `f32`, and summed
    /// in `f32`. On CUDA GPUs alone.
    Tf32,
}

/// What runs a program.
#[derive(Clone, Default)]
enum Executor {
    /// The CPU with a thread for each core, shared by all programs of the process.
    #[default]
    Shared,
    /// A CPU with threads of its own.
    Cpu(Cpu),
    /// A GPU.
    #[cfg(feature = "cuda")]
    Cuda(ironlearn_cuda::Cuda),
    /// The reference interpreter.
    Interpreter,
}

impl Options {
    /// Runs on this CPU, whose threads all steps built with it share.
    pub fn cpu(self, cpu: Cpu) -> Options {
        Options { executor: Executor::Cpu(cpu), ..self }
    }

    /// Runs on this GPU. Parameters and moments stay in its memory from step to step, and are fetched when somebody
    /// looks at them.
    #[cfg(feature = "cuda")]
    pub fn cuda(self, cuda: ironlearn_cuda::Cuda) -> Options {
        Options { executor: Executor::Cuda(cuda), ..self }
    }

    /// Runs in the reference interpreter: slow, plain, without memory planning.
    pub fn interpreted(self) -> Options {
        Options { executor: Executor::Interpreter, ..self }
    }

    /// Computes products in this precision.
    pub fn precision(self, precision: Precision) -> Options {
        Options { precision, ..self }
    }

    /// Computes every node on this batch while the step is traced, so that [`Var::peek`](ironlearn_ir::Var::peek)
    /// gives its value where it is made. For signatures of the batch's types; slow.
    pub fn shadow(self, batch: Vec<Array>) -> Options {
        Options { shadow: Some(batch), ..self }
    }

    /// Training steps that can also be taken in micro-batches, with
    /// [`Step::run_micro`](crate::Step::run_micro).
    pub fn micro_batches(self, micro_batches: bool) -> Options {
        Options { micro_batches, ..self }
    }

    /// Measures every step of the plan, for [`Step::profile`](crate::Step::profile): costs two readings of the
    /// clock for each.
    pub fn profile(self, profile: bool) -> Options {
        Options { profile, ..self }
    }

    /// Whether steps are measured.
    pub(crate) fn is_profiled(&self) -> bool {
        self.profile
    }

    /// Does not look for values that are not finite: to measure what that costs.
    #[doc(hidden)]
    pub fn unchecked(self, unchecked: bool) -> Options {
        Options { unchecked, ..self }
    }

    /// Changes every graph before it is compiled: for tests that plant faults.
    #[doc(hidden)]
    pub fn edit(self, edit: impl Fn(Graph) -> Graph + Send + Sync + 'static) -> Options {
        Options { edit: Some(Arc::new(edit)), ..self }
    }

    /// Steps of which this process computes its share: a batch is given to them whole, and they look at the rows of this
    /// rank only. See [`ironlearn_ir::ranks`].
    pub fn shared(self, sharing: impl Into<Option<Sharing>>) -> Options {
        Options { sharing: sharing.into(), ..self }
    }

    /// Whether ranks that share a step divide the moments of the optimizer among themselves: each holds and computes those
    /// of its own elements, and all gather the new parameters (stage 1 of ZeRO: Rajbhandari et al. 2020). The bits are the
    /// same; each needs less memory, and the network carries half as much again.
    pub fn divides_optimizer(self, divides_optimizer: bool) -> Options {
        Options { divides_optimizer, ..self }
    }

    /// The ranks among which steps are shared, where they are.
    pub(crate) fn ranks(&self) -> Option<Arc<dyn Ranks>> {
        self.sharing.as_ref()?.ranks.clone()
    }

    /// How steps are shared, where they are.
    pub(crate) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }

    /// What decides the bits of results: an instruction set of the CPU, or a GPU. Checkpoints name it.
    pub fn arithmetic(&self) -> String {
        match &self.executor {
            Executor::Cpu(cpu) => cpu.isa().name().into(),
            #[cfg(feature = "cuda")]
            Executor::Cuda(cuda) => cuda.name(),
            Executor::Shared | Executor::Interpreter => Isa::from_env().map_or("unknown", Isa::name).into(),
        }
    }

    /// An error where a program and what it needs beside it are more than the host's memory can hold; a GPU says so
    /// itself.
    pub(crate) fn check_memory(&self, bytes: u64, what: impl FnOnce() -> String) -> Result<(), Error> {
        match &self.executor {
            #[cfg(feature = "cuda")]
            Executor::Cuda(_) => Ok(()),
            _ => memory::check(bytes, what),
        }
    }

    /// Bytes of a data set that may be part of a program, so that its rows need not be sent with each step: a quarter of
    /// what a GPU has free; none where steps run in the host's own memory, or are computed while they are traced.
    pub(crate) fn room_for_rows(&self) -> usize {
        match &self.executor {
            #[cfg(feature = "cuda")]
            Executor::Cuda(cuda) if self.shadow.is_none() => cuda.memory().map_or(0, |(free, _)| free / 4),
            _ => 0,
        }
    }

    /// Inference with the moving average of each parameter, where the store has one; see
    /// [`Optimizer::average`](crate::optim::Optimizer::average).
    pub fn averaged(self, averaged: bool) -> Options {
        Options { averaged, ..self }
    }
}

/// A graph made ready to run by the executor of the options.
///
/// # Errors
/// [`Error::Usage`] where there is no such executor, or no plan for the graph.
pub fn compile(graph: Graph, options: &Options) -> Result<Box<dyn Program>, Error> {
    compile_divided(graph, options, &[])
}

/// As [`compile`], where ranks divide these slots among themselves.
pub(super) fn compile_divided(
    graph: Graph,
    options: &Options,
    divided: &[SlotId],
) -> Result<Box<dyn Program>, Error> {
    let graph = match &options.edit {
        None => graph,
        Some(edit) => edit(graph),
    };
    match &options.sharing {
        None => compile_all(graph, options),
        Some(sharing) => share::compile(&graph, sharing, divided, |part| compile_all(part, options)),
    }
}

/// The graph as a program of this process alone.
fn compile_all(graph: Graph, options: &Options) -> Result<Box<dyn Program>, Error> {
    let narrowed = |graph: Graph| match options.precision {
        Precision::Full | Precision::Tf32 => graph,
        Precision::Bf16 => passes::narrow_products(&graph, DType::Bf16),
    };
    let cpu = match &options.executor {
        #[cfg(feature = "cuda")]
        Executor::Cuda(_) if options.divides_optimizer && graph.ranks().is_some() => {
            return Err(Error::usage(
                "ranks on GPUs cannot divide the state of the optimizer",
                "leave out train.divide_optimizer, or use `--device cpu`",
            ));
        }
        #[cfg(feature = "cuda")]
        Executor::Cuda(cuda) => return on_gpu(&graph, cuda, options),
        _ if options.precision == Precision::Tf32 => return Err(no_tf32()),
        Executor::Interpreter => return Ok(Box::new(Interpreted::new(narrowed(graph))?)),
        Executor::Cpu(cpu) => cpu,
        Executor::Shared => shared_cpu()?,
    };
    let graph = narrowed(graph);
    // What other ranks are asked for is waited for when all else is done.
    let updates_last = graph.ranks().is_some();
    let plan_options = PlanOptions { check: !options.unchecked, updates_last, ..PlanOptions::default() };
    let mut program = cpu.compile(&graph, plan_options).map_err(|failure| failed(failure, 0))?;
    if options.profile {
        program.profile();
    }
    Ok(Box::new(program))
}

fn no_tf32() -> Error {
    Error::usage(
        "tf32 is a precision of CUDA GPUs, and this is computed on the CPU",
        "use the precision full or bf16, or a GPU (`--device cuda`)",
    )
}

/// The graph as a program of a GPU. Functions may be as rough as operands of products that are rounded.
#[cfg(feature = "cuda")]
fn on_gpu(graph: &Graph, cuda: &ironlearn_cuda::Cuda, options: &Options) -> Result<Box<dyn Program>, Error> {
    let cuda_options = ironlearn_cuda::Options {
        tf32: options.precision == Precision::Tf32,
        narrow: (options.precision == Precision::Bf16).then_some(DType::Bf16),
        fast: options.precision != Precision::Full,
        check: !options.unchecked,
        chunks: options.sharing.is_some(),
        ..ironlearn_cuda::Options::default()
    };
    let mut program = cuda.compile(graph, cuda_options).map_err(|failure| match failure {
        Failure::Device(problem) => Error::Device {
            problem,
            hint: "nothing has been run; `ironlearn doctor` shows what works".into(),
        },
        failure => failed(failure, 0),
    })?;
    if options.profile {
        program.start_profile();
    }
    Ok(Box::new(program))
}

/// The CPU with a thread for each core that all programs of the process share.
pub(crate) fn shared_cpu() -> Result<&'static Cpu, Error> {
    static SHARED: OnceLock<Result<Cpu, String>> = OnceLock::new();
    let threads = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let cpu = SHARED.get_or_init(|| Cpu::new(threads()));
    cpu.as_ref().map_err(|problem| Error::usage(problem.clone(), "unset IRONLEARN_ISA for the best there is"))
}

/// Everything that is wrong with a model, as one error.
pub(crate) fn mistakes(found: &[String]) -> Error {
    let these = if found.len() == 1 { "this".to_string() } else { format!("these {} findings", found.len()) };
    Error::usage(found.join("\n\n"), format!("correct {these}; nothing has been run"))
}

/// Why a run came to nothing, as an error.
pub(crate) fn failed(failure: Failure, step: u64) -> Error {
    match failure {
        Failure::NonFinite(blame) => {
            let mut said = blame.clone();
            // A line of this library, as a trainer enters the loss at, is of no use to whoever reads it.
            let sources = file!().trim_end_matches("step/compile.rs");
            if blame.location.starts_with(sources) {
                said.location.clear();
            }
            Error::Diverged {
                step,
                problem: said.to_string(),
                hint: format!("{}; no state has moved", blame.advice()),
                blame: Some(blame),
            }
        }
        Failure::Unexplained(unexplained) => Error::Diverged {
            step,
            problem: unexplained.to_string(),
            hint: "run it again, and `ironlearn doctor`: this can be failing memory, or a fault of Iron Learn that \
                   is worth a report; no state has moved"
                .into(),
            blame: None,
        },
        Failure::Input { .. } => Error::usage(
            failure.to_string(),
            "build the step for every shape that a batch can have, the last one included",
        ),
        Failure::Memory { bytes, purpose } => Error::Memory { what: purpose, bytes: bytes as u64, hint: String::new() },
        Failure::Device(problem) => Error::device(problem),
        Failure::Operation(problem) => Error::usage(problem, "check the data of this step"),
    }
}
