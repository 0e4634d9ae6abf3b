//! The executor: compiles a plan for this machine and runs it.

mod adam;
mod argmax;
mod blame;
mod chain;
mod codes;
mod conv;
mod copy;
mod dot;
mod finite;
mod fold;
mod fused;
mod kernels;
mod measured;
mod memory;
mod odometer;
mod pooling;
mod program;
mod quick;
mod random;
mod reduce;
mod region;
mod registers;
mod rows;
mod scan;
mod small;
mod table;
mod tile;
mod tree;
mod work;

use crate::isa::Isa;
use crate::pool::Pool;
use ironlearn_ir::plan::{BufferId, Options, Plan, PlanStep, StepKind, View, plan};
use ironlearn_ir::prim::Op;
use ironlearn_ir::{Array, Failure, Graph, TensorType};
use measured::Measured;
use memory::{Shared, address};
use program::data_at;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tile::Addresses;

pub use program::CpuProgram;

/// The CPU: its instruction set and a pool of threads, shared by all programs compiled for it.
#[derive(Clone)]
pub struct Cpu {
    isa: Isa,
    pool: Arc<Pool>,
}

impl Cpu {
    /// The CPU with this many threads, the caller's included. The instruction set is the best that there is,
    /// or what `IRONLEARN_ISA` asks for; an error where that is not there.
    pub fn new(threads: usize) -> Result<Cpu, String> {
        Ok(Cpu::with_isa(Isa::from_env()?, threads))
    }

    /// The CPU with a given instruction set.
    pub fn with_isa(isa: Isa, threads: usize) -> Cpu {
        Cpu { isa, pool: Arc::new(Pool::new(threads.max(1))) }
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Plans and compiles a graph.
    pub fn compile(&self, graph: &Graph, options: Options) -> Result<CpuProgram, Failure> {
        let plan = plan(graph, options).map_err(|e| Failure::Operation(format!("no plan: {e}")))?;
        CpuProgram::new(self, plan)
    }
}

/// Scratch memory of a step, in bytes.
#[derive(Clone, Copy, Default)]
struct Scratch {
    /// For the step as a whole.
    shared: usize,
    /// For each thread.
    worker: usize,
}

impl Scratch {
    /// Enough for each of some steps.
    fn most(all: impl Iterator<Item = Scratch>) -> Scratch {
        all.fold(Scratch::default(), |a, b| Scratch {
            shared: a.shared.max(b.shared),
            worker: a.worker.max(b.worker),
        })
    }
}

enum Step {
    Fused(Box<fused::Fused>),
    Reduce(Box<reduce::Reduce>),
    Dot(Box<dot::Dot>),
    Conv(Box<conv::Convolution>),
    Pool(Box<pooling::Pooling>),
    Gather(rows::Gather),
    ScatterAdd(rows::ScatterAdd),
    ArgMax(argmax::ArgMax),
    Fill { out: View, value: f64 },
    Scan(Box<scan::Loop>),
    Region(Box<region::Region>),
    Reference { op: Op, x: Vec<View>, out: View },
}

/// What a step needs while it runs.
struct Run<'a> {
    pool: &'a Pool,
    addresses: &'a Addresses,
    scratch: Shared,
    shared_bytes: usize,
    worker_bytes: usize,
    trouble: &'a Trouble,
    /// Where the program is profiled.
    measured: Option<&'a Measured>,
}

/// What went wrong in a run.
#[derive(Default)]
struct Trouble {
    not_finite: AtomicBool,
    /// There is a message.
    failed: AtomicBool,
    message: Mutex<Option<String>>,
}

impl Trouble {
    /// The first failure.
    #[inline(always)]
    fn failure(&self) -> Option<String> {
        if self.failed.load(Ordering::Relaxed) { self.message() } else { None }
    }
    #[cold]
    fn message(&self) -> Option<String> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn found_not_finite(&self) -> bool {
        self.not_finite.load(Ordering::Relaxed)
    }
}

impl Run<'_> {
    fn shared(&self) -> *mut u8 {
        self.scratch.at(0)
    }
    fn worker(&self, worker: usize) -> *mut u8 {
        self.scratch.at(self.shared_bytes + worker * self.worker_bytes)
    }
    /// Calls `f(task, worker)` for every task: on this thread where there is no more than one, or one thread
    /// only, else with the pool. Denormals are flushed by whoever runs the program.
    #[inline(always)]
    fn each(&self, tasks: usize, f: impl Fn(usize, usize) + Sync) {
        if let Some(measured) = self.measured {
            measured.each(self.pool, tasks, &f);
        } else if tasks > 1 && self.pool.threads() > 1 {
            self.pool.run(tasks, &f);
        } else {
            (0..tasks).for_each(|task| f(task, 0));
        }
    }
    fn mark_not_finite(&self) {
        self.trouble.not_finite.store(true, Ordering::Relaxed);
    }
    /// Records the first failure.
    fn fail(&self, message: String) {
        let mut first = self.trouble.message.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(message);
        self.trouble.failed.store(true, Ordering::Relaxed);
    }
}

fn compile_all(cpu: &Cpu, plan: &Plan) -> Result<Vec<Step>, Failure> {
    plan.steps.iter().map(|s| compile(cpu, plan, s)).collect()
}

fn compile(cpu: &Cpu, plan: &Plan, step: &PlanStep) -> Result<Step, Failure> {
    let dtype = |id: BufferId| plan.buffer(id).dtype;
    let made = match &step.kind {
        StepKind::Fused { program, stores } => {
            fused::Fused::new(cpu.isa, plan, program, stores).map(|f| Step::Fused(Box::new(f)))
        }
        StepKind::Reduce { program, value, fold, extent, out } => {
            reduce::Reduce::new(cpu.isa, plan, program, *value, *fold, *extent, out)
                .map(|r| Step::Reduce(Box::new(r)))
        }
        StepKind::Dot(dot) => {
            dot::Dot::new(cpu.isa, plan, dot, cpu.threads()).map(|d| Step::Dot(Box::new(d)))
        }
        StepKind::Product(_) | StepKind::Rows(_) => {
            Err("the CPU has no products with an end; plan without them".into())
        }
        StepKind::Conv { conv, x, y, out } => {
            conv::Convolution::new(cpu.isa, plan, conv, x, y, out).map(|c| Step::Conv(Box::new(c)))
        }
        StepKind::Pool { pool, x, out } => {
            pooling::Pooling::new(cpu.isa, plan, pool, x, out).map(|p| Step::Pool(Box::new(p)))
        }
        StepKind::Gather { x, index, out } => Ok(Step::Gather(rows::Gather {
            dtype: dtype(x.buffer),
            index_dtype: dtype(index.buffer),
            x: x.clone(),
            index: index.clone(),
            out: out.clone(),
            table: table::Table::new(cpu.isa, x, dtype(x.buffer)),
        })),
        StepKind::ScatterAdd { x, index, out } => Ok(Step::ScatterAdd(rows::ScatterAdd {
            dtype: dtype(x.buffer),
            index_dtype: dtype(index.buffer),
            x: x.clone(),
            index: index.clone(),
            out: out.clone(),
        })),
        StepKind::ArgMax { x, out } => {
            let (isa, dtype) = (cpu.isa, dtype(x.buffer));
            Ok(Step::ArgMax(argmax::ArgMax { isa, dtype, x: x.clone(), out: out.clone() }))
        }
        StepKind::Fill { out, value } => Ok(Step::Fill { out: out.clone(), value: *value }),
        StepKind::Scan(s) => return scan::Loop::new(cpu, plan, s).map(|s| Step::Scan(Box::new(s))),
        StepKind::Region(r) => {
            region::Region::new(cpu.isa, plan, r, cpu.threads()).map(|r| Step::Region(Box::new(r)))
        }
        StepKind::Reference { op, x, out } => {
            Ok(Step::Reference { op: op.clone(), x: x.clone(), out: out.clone() })
        }
    };
    made.map_err(|e| Failure::Operation(plan.graph.located(step.node, &e)))
}

impl Step {
    fn scratch(&self) -> Scratch {
        match self {
            Step::Fused(f) => f.scratch(),
            Step::Reduce(r) => r.scratch(),
            Step::Dot(d) => d.scratch(),
            Step::Conv(c) => c.scratch(),
            Step::Scan(s) => s.scratch(),
            Step::Region(r) => r.scratch(),
            _ => Scratch::default(),
        }
    }

    /// Bytes that the step owns itself.
    fn memory_bytes(&self) -> usize {
        match self {
            Step::Scan(s) => s.memory_bytes(),
            Step::Region(r) => r.memory_bytes(),
            Step::Conv(c) => c.memory_bytes(),
            _ => 0,
        }
    }

    fn run(&self, plan: &Plan, run: &Run<'_>) {
        match self {
            Step::Fused(f) => f.run(run),
            Step::Reduce(r) => r.run(run),
            Step::Dot(d) => d.run(run),
            Step::Conv(c) => c.run(run),
            Step::Pool(p) => p.run(run),
            Step::Scan(s) => s.run(run),
            Step::Region(r) => r.run(run),
            Step::Gather(g) => g.run(run),
            Step::ScatterAdd(s) => s.run(run),
            Step::ArgMax(a) => a.run(run),
            Step::Fill { out, value } => rows::fill(plan, out, *value, run),
            Step::Reference { op, x, out } => {
                if let Err(message) = reference(plan, op, x, out, run) {
                    run.fail(message);
                }
            }
        }
    }
}

/// Leaves an operation to the interpreter's evaluation; reductions of ranks begin with the copy that is made of their
/// pieces, and what has been reduced is copied once.
fn reference(plan: &Plan, op: &Op, x: &[View], out: &View, run: &Run<'_>) -> Result<(), String> {
    let ty = |v: &View| TensorType::new(plan.buffer(v.buffer).dtype, v.dims.clone());
    let operand = |v: &View| {
        let ty = ty(v);
        let at = run.addresses.element(v.buffer, v.offset, ty.dtype.size());
        // SAFETY: the plan's verifier has checked the view, and that it is written.
        Array::new(ty.shape.clone(), unsafe { data_at(at, &ty) }.try_to_owned(&ty)?)
    };
    let operands = x.iter().map(operand).collect::<Result<Vec<Array>, String>>()?;
    let result = match op {
        Op::AllReduceStart(start) => Arc::new(start.begin(operands)?),
        Op::AllReduceDone(done) => done.finish()?,
        _ => Arc::new(op.primitive().eval(&operands.iter().collect::<Vec<_>>(), &ty(out))?),
    };
    let (found, planned) = (TensorType::new(result.dtype(), [result.data().len()]), ty(out));
    if (found.dtype, found.shape.elements()) != (planned.dtype, planned.shape.elements()) {
        return Err(format!("{} gave {found}, not {planned}", op.name()));
    }
    let size = result.dtype().size();
    let to = run.addresses.element(out.buffer, out.offset, size);
    // SAFETY: the result has the type and the length of the contiguous view.
    unsafe { std::ptr::copy_nonoverlapping(address(result.data().view()), to, out.elements() * size) };
    Ok(())
}
