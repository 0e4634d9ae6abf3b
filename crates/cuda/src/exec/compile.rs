//! A plan as kernels and copies in order.

use super::exchange::{self, Begin, Finish};
use super::linked::Linked;
use super::memory::Memory;
use crate::blas::{Blas, Problem, Product};
use crate::error::CudaError;
use crate::text::{self, Argument, Kernel, Of, Target};
use ironlearn_ir::plan::{BufferId, DotStep, Home, Plan, PlanStep, ScanStep, StepKind, View};
use ironlearn_ir::prim::Control;
use ironlearn_ir::{DType, Failure};
use std::collections::HashMap;
use std::sync::Arc;

/// So many kernels back at most is a step computed with another.
pub(super) const FURTHEST: usize = 16;

/// A plan, or the body of a loop, ready to be queued.
pub struct Sequence {
    pub plan: Arc<Plan>,
    pub actions: Vec<Action>,
    /// The step of the plan that each action is of.
    pub steps: Vec<usize>,
}

/// What is queued.
pub enum Action {
    /// A kernel: its place among all kernels of the program.
    Kernel(usize),
    /// A product that cuBLASLt computes.
    Product(Box<Multiplication>),
    /// A loop.
    Loop(Box<Loop>),
    /// Begins a reduction among ranks.
    Begin(Box<Begin>),
    /// Needs the result of one.
    Finish(Box<Finish>),
}

/// A product that cuBLASLt computes.
pub struct Multiplication {
    pub dot: DotStep,
    pub product: Product,
}

/// A loop over the leading axis of sequences; see [`ScanStep`].
pub struct Loop {
    pub scan: ScanStep,
    pub body: Sequence,
    /// The place of the body's arena among those of all loops.
    pub arena: usize,
}

/// Everything that a plan needs.
#[derive(Default)]
pub struct Parts {
    /// The library of matrix products; without it all are kernels.
    pub blas: Option<Arc<Blas>>,
    /// Operands of `f32` products may be rounded.
    pub tf32: bool,
    /// See [`Options::chunks`](super::Options::chunks).
    pub chunks: bool,
    /// All kernels.
    pub kernels: Vec<Kernel>,
    /// Bytes of scratch memory.
    pub scratch: usize,
    /// Counters of all kernels.
    pub counters: usize,
    /// Bytes of the arena of each loop.
    pub arenas: Vec<usize>,
    /// Fields of the control block that are read.
    pub fields: Vec<Control>,
    /// This rank, where the GPUs of all are linked.
    pub linked: Option<usize>,
    /// Bytes of what they exchange.
    pub exchange: usize,
    /// Where results are in it, by their keys.
    pub results: HashMap<u32, usize>,
}

impl Parts {
    /// The actions of a plan.
    pub fn sequence(&mut self, plan: &Arc<Plan>, target: Target) -> Result<Sequence, Failure> {
        for buffer in &plan.buffers {
            if let Home::Control(field) = buffer.home
                && !self.fields.contains(&field)
            {
                self.fields.push(field);
            }
        }
        let mut actions = Vec::new();
        let mut steps = Vec::new();
        // What was queued since the last loop.
        let mut runs: Vec<Run> = Vec::new();
        for (number, step) in plan.steps.iter().enumerate() {
            steps.resize(actions.len(), number.saturating_sub(1));
            if let StepKind::Scan(scan) = &step.kind {
                let arena = self.arenas.len();
                self.arenas.push(scan.body.arena_bytes);
                let body = self.sequence(&Arc::new(scan.body.clone()), target)?;
                actions.push(Action::Loop(Box::new(Loop { scan: (**scan).clone(), body, arena })));
                self.look(plan, step, &mut actions);
                runs.clear();
                continue;
            }
            if let Some(action) = self.exchanged(plan, step)? {
                actions.push(action);
                self.look(plan, step, &mut actions);
                runs.push(Run { kernel: None, places: places(plan, step) });
                continue;
            }
            if let Some(product) = self.product(plan, step, target)? {
                actions.push(product);
                self.look(plan, step, &mut actions);
                runs.push(Run { kernel: None, places: places(plan, step) });
                continue;
            }
            let made = text::kernels(plan, step, self.kernels.len(), target);
            let made = made.map_err(|what| unsupported(plan, step, what))?;
            if self.joined(plan, &mut runs, step, &made) {
                continue;
            }
            for kernel in made {
                runs.push(Run { kernel: Some(self.kernels.len()), places: places(plan, step) });
                actions.push(self.kernel(kernel));
            }
        }
        steps.resize(actions.len(), plan.steps.len().saturating_sub(1));
        self.place();
        Ok(Sequence { plan: plan.clone(), actions, steps })
    }

    /// What a step does that speaks with other ranks.
    fn exchanged(&mut self, plan: &Plan, step: &PlanStep) -> Result<Option<Action>, Failure> {
        let Some(mut action) = exchange::action(step) else { return Ok(None) };
        let mut room = |bytes: usize| {
            let at = self.exchange;
            self.exchange = (at + bytes).next_multiple_of(256);
            at
        };
        match (&mut action, self.linked) {
            (Action::Begin(begin), Some(rank)) => {
                let received = begin.folding(rank, [0; 2]).received();
                let places = [room(received), room(begin.start.ty.bytes())];
                let kernel = text::fold(plan, step, self.kernels.len(), &begin.folding(rank, places));
                let kernel = kernel.map_err(|what| unsupported(plan, step, what))?;
                self.results.insert(begin.start.key, places[1]);
                begin.linked = Some(Linked { kernel: self.kernels.len(), rank, places });
                self.kernels.push(kernel);
            }
            (Action::Finish(finish), Some(_)) => finish.from = self.results.get(&finish.done.key).copied(),
            _ => {}
        }
        Ok(Some(action))
    }

    /// Looks at what a step has written where its kernels do not.
    fn look(&mut self, plan: &Plan, step: &PlanStep, actions: &mut Vec<Action>) {
        for view in step.writes() {
            let buffer = plan.buffer(view.buffer);
            if buffer.checked && buffer.dtype.is_float() && view.elements() > 0 {
                let kernel = text::look(plan, step, self.kernels.len(), view);
                actions.push(self.kernel(kernel));
            }
        }
    }

    /// The step as a product of cuBLASLt, where it can be one. New state is written by kernels, which stop after a
    /// failure.
    fn product(&mut self, plan: &Plan, step: &PlanStep, target: Target) -> Result<Option<Action>, Failure> {
        let (StepKind::Dot(dot), Some(blas)) = (&step.kind, &self.blas) else { return Ok(None) };
        let (x, out) = (plan.buffer(dot.x.buffer), plan.buffer(dot.out.buffer));
        if matches!(out.home, Home::Spare(_)) {
            return Ok(None);
        }
        // Exact products on tensor cores beat the library's, and so do thin ones.
        let exact = x.dtype == DType::F32 && !self.tf32 && text::is_on_tensor_cores(dot);
        if exact || (out.dtype == DType::F32 && text::is_thin(dot, x.dtype, target)) {
            return Ok(None);
        }
        // A product that ends with a sum over chunks is never the library's: then none is that could end so.
        if self.chunks && text::is_by_templates(plan, step, dot) {
            return Ok(None);
        }
        let Some(mut problem) = Problem::of(plan, dot, self.tf32) else { return Ok(None) };
        if self.chunks {
            problem.forget_start();
        }
        let Some(product) = Product::new(blas, &problem)? else { return Ok(None) };
        self.scratch = self.scratch.max(product.workspace());
        Ok(Some(Action::Product(Box::new(Multiplication { dot: dot.clone(), product }))))
    }

    fn kernel(&mut self, kernel: Kernel) -> Action {
        self.kernels.push(kernel);
        Action::Kernel(self.kernels.len() - 1)
    }

    /// Gives kernels, which others have joined, their scratch memory and counters.
    fn place(&mut self) {
        self.counters = 0;
        for kernel in &mut self.kernels {
            for argument in &mut kernel.arguments {
                if let Of::Counters(first) = &mut argument.of {
                    *first = self.counters;
                }
            }
            self.counters += kernel.counters;
            self.scratch = self.scratch.max(kernel.scratch);
        }
    }

    /// Makes one kernel of a step and of an earlier one, the earliest that can be: what needs the step can then be one with
    /// later ones. They are computed at once where neither needs anything that the
    /// other writes, or one after the other where both are little work; no kernel between them may need anything that the
    /// step writes, or write what it needs. True where it did: then nothing more is to be done.
    fn joined(&mut self, plan: &Plan, runs: &mut [Run], step: &PlanStep, kernels: &[Kernel]) -> bool {
        let [only] = kernels else { return false };
        let new = places(plan, step);
        let waits_for = |run: &Run| new.iter().any(|n| run.places.iter().any(|r| r.conflicts(n)));
        let furthest = runs.len().saturating_sub(FURTHEST);
        let last = runs[furthest..].iter().rposition(waits_for).map(|at| furthest + at);
        for (at, run) in runs.iter_mut().enumerate().skip(last.unwrap_or(furthest)) {
            let Some(kernel) = run.kernel else { continue };
            let earlier = &mut self.kernels[kernel];
            if (last != Some(at) && earlier.join(only)) || earlier.follow(only) {
                run.places.extend(new);
                return true;
            }
        }
        false
    }

    /// The text of all kernels, with what stands before them.
    pub fn text(&self) -> String {
        text::program(&self.kernels.iter().map(Kernel::text).collect::<Vec<_>>())
    }
}

fn unsupported(plan: &Plan, step: &PlanStep, what: text::No) -> Failure {
    let located = plan.graph.located(step.node, &CudaError::Unsupported(what).to_string());
    Failure::Operation(format!("{located}\n  use `--device cpu`"))
}

/// What was queued: a kernel, which others may join, or something else, which nothing joins.
struct Run {
    /// The kernel's place among all kernels.
    kernel: Option<usize>,
    /// What its steps read and write.
    places: Vec<Place>,
}

/// Memory that a step reads or writes.
struct Place {
    home: Home,
    bytes: usize,
    writes: bool,
}

impl Place {
    /// True where the order of two steps matters.
    fn conflicts(&self, other: &Place) -> bool {
        // Asked first: constants, which may be long, are not compared.
        (self.writes || other.writes)
            && match (&self.home, &other.home) {
                (Home::Arena(a), Home::Arena(b)) => *a < b + other.bytes && *b < a + self.bytes,
                (a, b) => a == b,
            }
    }
}

fn places(plan: &Plan, step: &PlanStep) -> Vec<Place> {
    let place = |view: &View, writes| {
        let buffer = plan.buffer(view.buffer);
        Place { home: buffer.home.clone(), bytes: buffer.bytes(), writes }
    };
    let reads = step.reads().into_iter().map(|view| place(&view, false));
    reads.chain(step.writes().into_iter().map(|view| place(view, true))).collect()
}

/// The address of a view's first element.
pub fn address(plan: &Plan, addresses: &[u64], view: &View) -> u64 {
    let BufferId(id) = view.buffer;
    addresses[id as usize] + (view.offset * plan.buffer(view.buffer).dtype.size()) as u64
}

/// The bytes of a contiguous view.
pub fn bytes(plan: &Plan, view: &View) -> usize {
    view.elements() * plan.buffer(view.buffer).dtype.size()
}

/// The address of an argument.
pub fn argument(argument: &Argument, addresses: &[u64], memory: &Memory) -> u64 {
    match argument.of {
        Of::Buffer(id) => addresses[id.0 as usize],
        Of::Scratch => memory.scratch.at(),
        Of::Counters(first) => memory.counters.at() + 4 * first as u64,
        Of::Exchange(at) => memory.exchange.at() + at as u64,
        Of::Chip(_) => 0,
    }
}

/// All kernels of a plan: for tests that compile them for many devices.
pub fn kernels(plan: Plan, target: Target) -> Result<Vec<Kernel>, Failure> {
    let mut parts = Parts::default();
    parts.sequence(&Arc::new(plan), target)?;
    Ok(parts.kernels)
}
