//! The executor: compiles a plan for this machine and runs it.

mod blame;
mod conv;
mod dot;
mod finite;
mod fused;
mod kernels;
mod memory;
mod odometer;
mod pooling;
mod reduce;
mod region;
mod rows;
mod scan;
mod tile;
mod tree;

use crate::isa::Isa;
use crate::pool::Pool;
use ironlearn_ir::plan::{BufferId, Home, Options, Plan, PlanStep, StepKind, View, plan};
use ironlearn_ir::prim::Op;
use ironlearn_ir::program::check_inputs;
use ironlearn_ir::{
    Array, ArrayView, ControlBlock, DataRef, Failure, Graph, Program, SlotId, Store, TensorType, dispatch,
};
use memory::{Block, Shared, address, address_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tile::Addresses;

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
    Fused(fused::Fused),
    Reduce(Box<reduce::Reduce>),
    Dot(Box<dot::Dot>),
    Conv(Box<conv::Convolution>),
    Pool(Box<pooling::Pooling>),
    Gather(rows::Gather),
    ScatterAdd(rows::ScatterAdd),
    ArgMax(rows::ArgMax),
    Fill { out: View, value: f64 },
    Scan(Box<scan::Loop>),
    Region(Box<region::Region>),
    Reference { op: Op, x: Vec<View>, out: View },
}

/// A compiled plan with its memory.
pub struct CpuProgram {
    cpu: Cpu,
    plan: Plan,
    steps: Vec<Step>,
    arena: Block,
    scratch: Block,
    worker_bytes: usize,
    shared_bytes: usize,
    addresses: Addresses,
    /// Fields of the control block, one word for each buffer that holds one.
    control: Box<[u64]>,
    /// Time spent in each step so far; empty where nobody asked.
    times: Vec<Duration>,
}

/// What a step needs while it runs.
struct Run<'a> {
    pool: &'a Pool,
    addresses: &'a Addresses,
    scratch: Shared,
    shared_bytes: usize,
    worker_bytes: usize,
    not_finite: &'a AtomicBool,
    failure: &'a Mutex<Option<String>>,
}

impl Run<'_> {
    fn shared(&self) -> *mut u8 {
        self.scratch.at(0)
    }
    fn worker(&self, worker: usize) -> *mut u8 {
        self.scratch.at(self.shared_bytes + worker * self.worker_bytes)
    }
    fn mark_not_finite(&self) {
        self.not_finite.store(true, Ordering::Relaxed);
    }
    /// Records the first failure.
    fn fail(&self, message: String) {
        if let Ok(mut failure) = self.failure.lock() {
            failure.get_or_insert(message);
        }
    }
}

impl CpuProgram {
    fn new(cpu: &Cpu, plan: Plan) -> Result<CpuProgram, Failure> {
        let compiled: Result<Vec<Step>, Failure> =
            plan.steps.iter().map(|s| compile(cpu, &plan, s)).collect();
        let steps = compiled?;
        let most = steps.iter().map(Step::scratch).fold(Scratch::default(), |a, b| Scratch {
            shared: a.shared.max(b.shared),
            worker: a.worker.max(b.worker),
        });
        let worker_bytes = most.worker.next_multiple_of(memory::ALIGN);
        let shared_bytes = most.shared.next_multiple_of(memory::ALIGN);
        let scratch = Block::new(shared_bytes + worker_bytes * cpu.threads(), "scratch of the executor")?;
        let arena = Block::new(plan.arena_bytes, "values in between (the arena)")?;
        let addresses = Addresses(vec![Shared(std::ptr::null_mut()); plan.buffers.len()]);
        let control = vec![0; plan.buffers.len()].into_boxed_slice();
        Ok(CpuProgram {
            cpu: cpu.clone(),
            plan,
            steps,
            arena,
            scratch,
            worker_bytes,
            shared_bytes,
            addresses,
            control,
            times: vec![],
        })
    }

    /// The plan that was compiled.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Measures the time of every step from here on; costs two clock readings for each.
    pub fn profile(&mut self) {
        self.times = vec![Duration::ZERO; self.steps.len()];
    }

    /// Each step with the time spent in it since [`CpuProgram::profile`].
    pub fn times(&self) -> impl Iterator<Item = (&PlanStep, Duration)> {
        self.plan.steps.iter().zip(self.times.iter().copied())
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.plan.arena_bytes
    }

    /// Finds the memory of every buffer for this run.
    fn resolve(
        &mut self,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &ControlBlock,
    ) -> Result<(), Failure> {
        for (i, buffer) in self.plan.buffers.iter().enumerate() {
            let fits = |slot: SlotId, store: &Store| {
                let value = &store.slot(slot).value;
                let same = value.dtype() == buffer.dtype && value.shape().elements() == buffer.len;
                if same {
                    Ok(())
                } else {
                    let (name, ty) = (&store.slot(slot).name, store.ty(slot));
                    let built = format!("{} elements of `{}`", buffer.len, buffer.dtype);
                    Err(Failure::Operation(format!(
                        "slot `{name}` is {ty}; the program was built for {built}"
                    )))
                }
            };
            self.addresses.0[i] = Shared(match &buffer.home {
                Home::Arena(at) => self.arena.start().wrapping_add(*at),
                // Each worker has its own, see `region`.
                Home::Block { .. } => std::ptr::null_mut(),
                Home::Input(index) => address(inputs[*index as usize].data()).cast_mut(),
                Home::Slot(slot) => {
                    fits(*slot, store)?;
                    address(store.slot(*slot).value.data().view()).cast_mut()
                }
                Home::Spare(slot) => {
                    fits(*slot, store)?;
                    address_mut(store.spare_mut(*slot))
                }
                Home::Constant(array) => address(array.data().view()).cast_mut(),
                Home::Control(field) => {
                    self.control[i] = control_bits(control, *field);
                    (&raw mut self.control[i]).cast()
                }
            });
        }
        Ok(())
    }
}

impl Program for CpuProgram {
    fn run(
        &mut self,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &ControlBlock,
    ) -> Result<(), Failure> {
        check_inputs(&self.plan.graph, inputs)?;
        self.resolve(inputs, store, control)?;
        if cfg!(debug_assertions) {
            self.arena.poison();
        }
        let (not_finite, failure) = (AtomicBool::new(false), Mutex::new(None));
        let run = Run {
            pool: &self.cpu.pool,
            addresses: &self.addresses,
            scratch: Shared(self.scratch.start()),
            shared_bytes: self.shared_bytes,
            worker_bytes: self.worker_bytes,
            not_finite: &not_finite,
            failure: &failure,
        };
        for (i, (step, planned)) in self.steps.iter().zip(&self.plan.steps).enumerate() {
            let begin = (!self.times.is_empty()).then(Instant::now);
            step.run(&self.plan, &run);
            if let Some(begin) = begin {
                self.times[i] += begin.elapsed();
            }
            if let Ok(Some(message)) = failure.lock().map(|f| f.clone()) {
                return Err(Failure::Operation(self.plan.graph.located(planned.node, &message)));
            }
        }
        if not_finite.load(Ordering::Relaxed) {
            return Err(blame::explain(self, inputs, store, control));
        }
        for (slot, _) in &self.plan.graph.updates {
            store.commit(*slot);
        }
        Ok(())
    }

    fn output(&self, index: usize) -> ArrayView<'_> {
        let view = &self.plan.outputs[index];
        let (_, id) = &self.plan.graph.outputs[index];
        let ty = &self.plan.graph.node(*id).ty;
        let at = match self.plan.buffer(view.buffer).home {
            Home::Arena(at) => self.arena.start().wrapping_add(at + view.offset * ty.dtype.size()),
            _ => self.arena.start(),
        };
        // SAFETY: outputs live in the arena to the end of the plan, which wrote valid elements of this type;
        // the arena is not written while `self` is borrowed.
        let data: DataRef<'_> = unsafe { data_at(at, ty) };
        ArrayView::of(&ty.shape, data)
    }

    fn memory_bytes(&self) -> usize {
        self.arena.bytes() + self.scratch.bytes() + self.steps.iter().map(Step::memory_bytes).sum::<usize>()
    }
}

/// # Safety
/// `at` points to as many valid elements of the type as its shape has, for the lifetime of the result.
unsafe fn data_at<'a>(at: *const u8, ty: &TensorType) -> DataRef<'a> {
    let n = ty.shape.elements();
    dispatch!(ty.dtype, T => {
        // SAFETY: as the caller promises.
        ironlearn_ir::Stored::wrap_ref(unsafe { std::slice::from_raw_parts(at.cast::<T>(), n) })
    })
}

fn control_bits(control: &ControlBlock, field: ironlearn_ir::prim::Control) -> u64 {
    use ironlearn_ir::prim::Control;
    match field {
        Control::Step => control.step as u64,
        Control::Seed => control.seed as u64,
        Control::FirstRow => control.first_row as u64,
        Control::LearningRate => control.learning_rate.to_bits(),
        Control::Number(i) => control.numbers.get(i as usize).copied().unwrap_or(0.0).to_bits(),
    }
}

fn compile_all(cpu: &Cpu, plan: &Plan) -> Result<Vec<Step>, Failure> {
    plan.steps.iter().map(|s| compile(cpu, plan, s)).collect()
}

fn compile(cpu: &Cpu, plan: &Plan, step: &PlanStep) -> Result<Step, Failure> {
    let dtype = |id: BufferId| plan.buffer(id).dtype;
    let made = match &step.kind {
        StepKind::Fused { program, stores } => {
            fused::Fused::new(cpu.isa, plan, program, stores).map(Step::Fused)
        }
        StepKind::Reduce { program, value, fold, extent, out } => {
            reduce::Reduce::new(cpu.isa, plan, program, *value, *fold, *extent, out)
                .map(|r| Step::Reduce(Box::new(r)))
        }
        StepKind::Dot(dot) => {
            dot::Dot::new(cpu.isa, plan, dot, cpu.threads()).map(|d| Step::Dot(Box::new(d)))
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
        })),
        StepKind::ScatterAdd { x, index, out } => Ok(Step::ScatterAdd(rows::ScatterAdd {
            dtype: dtype(x.buffer),
            index_dtype: dtype(index.buffer),
            x: x.clone(),
            index: index.clone(),
            out: out.clone(),
        })),
        StepKind::ArgMax { x, out } => {
            Ok(Step::ArgMax(rows::ArgMax { dtype: dtype(x.buffer), x: x.clone(), out: out.clone() }))
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
        if let Step::Scan(s) = self { s.memory_bytes() } else { 0 }
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

/// Leaves an operation to the interpreter's evaluation.
fn reference(plan: &Plan, op: &Op, x: &[View], out: &View, run: &Run<'_>) -> Result<(), String> {
    let ty = |v: &View| TensorType::new(plan.buffer(v.buffer).dtype, v.dims.clone());
    let operand = |v: &View| {
        let ty = ty(v);
        let at = run.addresses.element(v.buffer, v.offset, ty.dtype.size());
        // SAFETY: the plan's verifier has checked the view, and that it is written.
        Array::new(ty.shape.clone(), unsafe { data_at(at, &ty) }.to_owned())
    };
    let operands = x.iter().map(operand).collect::<Result<Vec<Array>, String>>()?;
    let result = op.primitive().eval(&operands.iter().collect::<Vec<_>>(), &ty(out))?;
    let size = result.dtype().size();
    let to = run.addresses.element(out.buffer, out.offset, size);
    // SAFETY: the result has the type and the length of the contiguous view.
    unsafe { std::ptr::copy_nonoverlapping(address(result.data().view()), to, out.elements() * size) };
    Ok(())
}
