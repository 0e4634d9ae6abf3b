//! [`CpuProgram`]: a compiled plan with its memory, and how it is run.

use super::blame;
use super::measured::Measured;
use super::memory::{self, Block, Shared, address, address_mut};
use super::tile::Addresses;
use super::{Cpu, Run, Scratch, Step, Trouble, compile_all};
use crate::denormal::FlushDenormals;
use ironlearn_ir::plan::{Buffer, Home, Plan, PlanStep};
use ironlearn_ir::prim::Control;
use ironlearn_ir::profile::{SharedWork, StepProfile};
use ironlearn_ir::program::check_inputs;
use ironlearn_ir::{
    ArrayView, ControlBlock, DataRef, Failure, Program, Shape, SlotId, Store, TensorType, dispatch,
};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A compiled plan with its memory.
pub struct CpuProgram {
    pub(super) cpu: Cpu,
    pub(super) plan: Plan,
    steps: Vec<Step>,
    arena: Block,
    scratch: Block,
    worker_bytes: usize,
    shared_bytes: usize,
    /// Addresses of all buffers: as the store has them, and as it will have them after a step, when every slot
    /// that is updated and its spare have changed places.
    addresses: [Addresses; 2],
    /// Buffers whose memory is the caller's: inputs, slots, spares.
    moving: Vec<usize>,
    /// The slots that a step updates.
    updates: Arc<[SlotId]>,
    /// Fields of the control block, each with the word that its buffer is.
    control: Box<[(Control, AtomicU64)]>,
    times: Times,
    /// What stands for outputs whose memory has been handed over.
    nothing: Shape,
    /// Whether outputs are in the arena.
    has_outputs: bool,
}

/// What a profile is made of.
#[derive(Default)]
struct Times {
    /// Runs so far.
    calls: u64,
    /// Time spent in each step, and what of it was shared; empty where nobody asked.
    steps: Vec<(Duration, SharedWork)>,
}

/// The updates of a number of steps, committed when this is dropped, so that the store is never left with a
/// step's unfinished values.
struct Commit<'a> {
    store: &'a mut Store,
    updates: &'a [SlotId],
    /// Steps done.
    done: usize,
}

impl Commit<'_> {
    /// Which addresses the next step uses.
    fn side(&self) -> usize {
        self.done % 2
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        if self.side() == 1 {
            self.updates.iter().for_each(|&slot| self.store.commit(slot));
        }
    }
}

/// What an arena is for.
const ARENA: &str = "values in between (the arena)";
/// What scratch is for.
const SCRATCH: &str = "scratch of the executor";

/// What is handed over.
struct Memory {
    arena: Block,
    scratch: Block,
}

impl CpuProgram {
    pub(super) fn new(cpu: &Cpu, plan: Plan) -> Result<CpuProgram, Failure> {
        let steps = compile_all(cpu, &plan)?;
        let most = Scratch::most(steps.iter().map(Step::scratch));
        let worker_bytes = most.worker.next_multiple_of(memory::ALIGN);
        let shared_bytes = most.shared.next_multiple_of(memory::ALIGN);
        let scratch = Block::new(shared_bytes + worker_bytes * cpu.threads(), SCRATCH)?;
        let arena = Block::new(plan.arena_bytes, ARENA)?;
        let control: Box<[(Control, AtomicU64)]> = plan.buffers.iter().filter_map(field).collect();
        let mut words = control.iter();
        let fixed = |buffer: &Buffer| match &buffer.home {
            Home::Arena(at) => arena.start().wrapping_add(*at),
            Home::Constant(array) => address(array.data().view()).cast_mut(),
            Home::Control(_) => words.next().map_or(std::ptr::null_mut(), |w| w.1.as_ptr().cast()),
            // Each worker has its own, see `region`.
            Home::Block { .. } => std::ptr::null_mut(),
            Home::Input(_) | Home::Slot(_) | Home::Spare(_) => std::ptr::null_mut(),
        };
        let addresses = Addresses(plan.buffers.iter().map(fixed).map(Shared).collect());
        let moves =
            |&i: &usize| matches!(plan.buffers[i].home, Home::Input(_) | Home::Slot(_) | Home::Spare(_));
        let updates = plan.graph.updates.iter().map(|u| u.0).collect();
        let moving = (0..plan.buffers.len()).filter(moves).collect();
        Ok(CpuProgram {
            cpu: cpu.clone(),
            plan,
            steps,
            arena,
            scratch,
            worker_bytes,
            shared_bytes,
            addresses: [addresses.clone(), addresses],
            moving,
            updates,
            control,
            times: Times::default(),
            nothing: Shape::from([0]),
            // Zeros.
            has_outputs: true,
        })
    }

    /// The plan that was compiled.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Measures the time of every step from here on; costs two clock readings for each.
    pub fn profile(&mut self) {
        self.times =
            Times { calls: 0, steps: vec![(Duration::ZERO, SharedWork::default()); self.steps.len()] };
    }

    /// Each step with the time spent in it since [`CpuProgram::profile`].
    pub fn times(&self) -> impl Iterator<Item = (&PlanStep, Duration)> {
        self.plan.steps.iter().zip(self.times.steps.iter().map(|(time, _)| *time))
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.plan.arena_bytes
    }

    /// Makes a block the arena.
    fn settle(&mut self, arena: Block) {
        for (i, buffer) in self.plan.buffers.iter().enumerate() {
            if let Home::Arena(at) = buffer.home {
                let place = Shared(arena.start().wrapping_add(at));
                self.addresses.iter_mut().for_each(|addresses| addresses.0[i] = place);
            }
        }
        self.arena = arena;
        self.has_outputs = false;
    }

    fn scratch_bytes(&self) -> usize {
        self.shared_bytes + self.worker_bytes * self.cpu.threads()
    }

    /// Makes sure that there is working memory: it may have been handed over.
    fn ensure_memory(&mut self) -> Result<(), Failure> {
        if self.arena.bytes() < self.plan.arena_bytes {
            self.settle(Block::new(self.plan.arena_bytes, ARENA)?);
        }
        if self.scratch.bytes() < self.scratch_bytes() {
            self.scratch = Block::new(self.scratch_bytes(), SCRATCH)?;
        }
        Ok(())
    }

    /// Finds the memory of the buffers that are the caller's, for the next step and the one after it.
    fn resolve(&mut self, inputs: &[ArrayView<'_>], store: &mut Store) -> Result<(), Failure> {
        for &i in &self.moving {
            let buffer = &self.plan.buffers[i];
            let value = |slot: SlotId, store: &Store| -> Result<*mut u8, Failure> {
                fits(buffer, slot, store)?;
                Ok(address(store.slot(slot).value().data().view()).cast_mut())
            };
            let (now, then) = match buffer.home {
                Home::Slot(slot) if self.updates.contains(&slot) => {
                    (value(slot, store)?, address_mut(store.spare_mut(slot)?))
                }
                Home::Slot(slot) => (value(slot, store)?, value(slot, store)?),
                Home::Spare(slot) => (address_mut(store.spare_mut(slot)?), value(slot, store)?),
                Home::Input(index) => {
                    let at = address(inputs[index as usize].data()).cast_mut();
                    (at, at)
                }
                _ => continue,
            };
            self.addresses[0].0[i] = Shared(now);
            self.addresses[1].0[i] = Shared(then);
        }
        // What a device had is fetched now, or lost.
        store.lost().map_or(Ok(()), |problem| Err(Failure::Device(problem.to_string())))
    }

    /// Runs all steps once, on one side of the addresses; true where all values that are checked are finite.
    fn pass(&mut self, side: usize, control: &ControlBlock) -> Result<bool, Failure> {
        for (field, word) in &self.control {
            word.store(control.word(*field), Ordering::Relaxed);
        }
        self.has_outputs = false;
        if cfg!(debug_assertions) {
            self.arena.poison();
        }
        let (trouble, measured) = (Trouble::default(), Measured::default());
        let timed = !self.times.steps.is_empty();
        let run = Run {
            pool: &self.cpu.pool,
            addresses: &self.addresses[side],
            scratch: Shared(self.scratch.start()),
            shared_bytes: self.shared_bytes,
            worker_bytes: self.worker_bytes,
            trouble: &trouble,
            measured: timed.then_some(&measured),
        };
        self.times.calls += u64::from(timed);
        for (i, step) in self.steps.iter().enumerate() {
            let begin = timed.then(Instant::now);
            step.run(&self.plan, &run);
            if let Some(begin) = begin {
                let (time, shared) = &mut self.times.steps[i];
                *time += begin.elapsed();
                measured.take(shared);
            }
            if let Some(message) = trouble.failure() {
                let node = self.plan.steps[i].node;
                return Err(Failure::Operation(self.plan.graph.located(node, &message)));
            }
        }
        self.has_outputs = true;
        Ok(!trouble.found_not_finite())
    }
}

impl Program for CpuProgram {
    fn run(
        &mut self,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &ControlBlock,
    ) -> Result<(), Failure> {
        self.run_many(1, inputs, store, &mut control.clone(), &mut |_| ()).1
    }

    fn run_many(
        &mut self,
        n: usize,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &mut ControlBlock,
        next: &mut dyn FnMut(&mut ControlBlock),
    ) -> (usize, Result<(), Failure>) {
        let ready = check_inputs(&self.plan.graph, inputs)
            .and_then(|()| self.resolve(inputs, store))
            .and_then(|()| self.ensure_memory());
        if let Err(failure) = ready {
            return (0, Err(failure));
        }
        let updates = self.updates.clone();
        let mut commit = Commit { store, updates: &updates, done: 0 };
        let flush = FlushDenormals::enter();
        let mut finite = Ok(true);
        while commit.done < n {
            finite = self.pass(commit.side(), control);
            if !matches!(finite, Ok(true)) {
                break;
            }
            commit.done += 1;
            next(control);
        }
        drop(flush);
        let done = commit.done;
        drop(commit);
        let result = match finite {
            Ok(true) => Ok(()),
            Ok(false) => Err(blame::explain(self, inputs, store, control)),
            Err(failure) => Err(failure),
        };
        (done, result)
    }

    fn output(&self, index: usize) -> ArrayView<'_> {
        if !self.has_outputs {
            return ArrayView::of(&self.nothing, DataRef::U8(&[]));
        }
        let view = &self.plan.outputs[index];
        let (_, id) = &self.plan.graph.outputs[index];
        let ty = &self.plan.graph.node(*id).ty;
        let at = match self.plan.buffer(view.buffer).home {
            Home::Arena(at) => self.arena.start().wrapping_add(at + view.offset * ty.dtype.size()),
            _ => self.arena.start(),
        };
        // SAFETY: outputs live in the arena to the end of the plan, which wrote valid elements of this type in a run
        // that came to its end, with this arena; before the first one they are zeros. The arena is this program's
        // alone, and not written while `self` is borrowed.
        let data: DataRef<'_> = unsafe { data_at(at, ty) };
        ArrayView::of(&ty.shape, data)
    }

    fn memory_bytes(&self) -> usize {
        self.arena.bytes() + self.scratch.bytes() + self.steps.iter().map(Step::memory_bytes).sum::<usize>()
    }

    fn arena_bytes(&self) -> usize {
        self.plan.arena_bytes
    }

    fn handed_over_bytes(&self) -> usize {
        self.arena.bytes() + self.scratch.bytes()
    }

    fn take_memory(&mut self) -> Option<Box<dyn Any>> {
        let [none, nothing] = [Block::new(0, ARENA).ok()?, Block::new(0, SCRATCH).ok()?];
        let arena = std::mem::replace(&mut self.arena, none);
        let scratch = std::mem::replace(&mut self.scratch, nothing);
        self.has_outputs = false;
        Some(Box::new(Memory { arena, scratch }))
    }

    fn give_memory(&mut self, memory: Box<dyn Any>) {
        let Ok(memory) = memory.downcast::<Memory>() else { return };
        let Memory { arena, scratch } = *memory;
        if arena.bytes() >= self.plan.arena_bytes {
            self.settle(arena);
        }
        if scratch.bytes() >= self.scratch_bytes() {
            self.scratch = scratch;
        }
    }

    fn start_profile(&mut self) {
        self.profile();
    }

    fn step_profiles(&self) -> Vec<StepProfile> {
        let steps = self.plan.steps.iter().zip(&self.times.steps);
        let of = |(step, (time, shared)): (&PlanStep, &(Duration, SharedWork))| {
            StepProfile::new(&self.plan, step, self.times.calls, time.as_secs_f64(), *shared)
        };
        steps.map(of).collect()
    }
}

/// An error where a slot is not of the type that a buffer was planned for.
fn fits(buffer: &Buffer, slot: SlotId, store: &Store) -> Result<(), Failure> {
    let value = store.slot(slot).value();
    if value.dtype() == buffer.dtype && value.data().len() == buffer.len {
        return Ok(());
    }
    let (name, ty) = (&store.slot(slot).name, store.ty(slot));
    let built = format!("{} elements of `{}`", buffer.len, buffer.dtype);
    Err(Failure::Operation(format!("slot `{name}` is {ty}; the program was built for {built}")))
}

/// The field of the control block that a buffer is.
fn field(buffer: &Buffer) -> Option<(Control, AtomicU64)> {
    match buffer.home {
        Home::Control(field) => Some((field, AtomicU64::new(0))),
        _ => None,
    }
}

/// # Safety
/// `at` points to as many valid elements of the type as its shape has, for the lifetime of the result.
pub(super) unsafe fn data_at<'a>(at: *const u8, ty: &TensorType) -> DataRef<'a> {
    let n = ty.shape.elements();
    dispatch!(ty.dtype, T => {
        // SAFETY: as the caller promises.
        ironlearn_ir::Stored::wrap_ref(unsafe { std::slice::from_raw_parts(at.cast::<T>(), n) })
    })
}
