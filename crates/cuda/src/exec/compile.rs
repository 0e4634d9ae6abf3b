//! A plan as kernels and copies in order.

use crate::driver::Shape;
use crate::error::CudaError;
use crate::text::{self, Argument, Kernel, Of, Target};
use ironlearn_ir::plan::{BufferId, Home, Plan, ScanStep, StepKind, View};
use ironlearn_ir::prim::Control;
use ironlearn_ir::{Failure, NodeId};
use std::sync::Arc;

/// A plan, or the body of a loop, ready to be queued.
pub struct Sequence {
    pub plan: Arc<Plan>,
    pub actions: Vec<Action>,
}

/// What is queued.
pub enum Action {
    /// A kernel: its place among all kernels of the program.
    Kernel(usize),
    /// A loop.
    Loop(Box<Loop>),
}

/// A loop over the leading axis of sequences; see [`ScanStep`].
pub struct Loop {
    pub scan: ScanStep,
    pub body: Sequence,
    /// The place of the body's arena among those of all loops.
    pub arena: usize,
}

/// A kernel as the program has it.
pub struct Compiled {
    pub name: String,
    pub arguments: Vec<Argument>,
    pub shape: Shape,
    pub node: NodeId,
}

/// Everything that a plan needs.
#[derive(Default)]
pub struct Parts {
    /// All kernels.
    pub kernels: Vec<Compiled>,
    /// Their text.
    pub text: String,
    /// Bytes of scratch memory.
    pub scratch: usize,
    /// Bytes of the arena of each loop.
    pub arenas: Vec<usize>,
    /// Fields of the control block that are read.
    pub fields: Vec<Control>,
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
        for step in &plan.steps {
            if let StepKind::Scan(scan) = &step.kind {
                let arena = self.arenas.len();
                self.arenas.push(scan.body.arena_bytes);
                let body = self.sequence(&Arc::new(scan.body.clone()), target)?;
                actions.push(Action::Loop(Box::new(Loop { scan: (**scan).clone(), body, arena })));
                let looked = scan.results.iter().filter(|v| plan.buffer(v.buffer).checked && v.elements() > 0);
                for view in looked {
                    let kernel = text::look(plan, step, self.kernels.len(), view);
                    actions.push(self.kernel(kernel));
                }
                continue;
            }
            let made = text::kernels(plan, step, self.kernels.len(), target);
            let unsupported = |what| {
                let located = plan.graph.located(step.node, &CudaError::Unsupported(what).to_string());
                Failure::Operation(format!("{located}\n  use `--device cpu`"))
            };
            for kernel in made.map_err(unsupported)? {
                actions.push(self.kernel(kernel));
            }
        }
        Ok(Sequence { plan: plan.clone(), actions })
    }

    fn kernel(&mut self, kernel: Kernel) -> Action {
        self.text.push_str(&kernel.text);
        self.scratch = self.scratch.max(kernel.scratch);
        let Kernel { name, arguments, shape, node, .. } = kernel;
        self.kernels.push(Compiled { name, arguments, shape, node });
        Action::Kernel(self.kernels.len() - 1)
    }
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
pub fn argument(argument: &Argument, addresses: &[u64], scratch: u64) -> u64 {
    match argument.of {
        Of::Buffer(id) => addresses[id.0 as usize],
        Of::Scratch => scratch,
    }
}

/// The text of all kernels of a plan, with what stands before them: for tests that compile it for many devices.
pub fn texts(plan: Plan, target: Target) -> Result<String, Failure> {
    let mut parts = Parts::default();
    parts.sequence(&Arc::new(plan), target)?;
    Ok([text::PRELUDE, &parts.text].concat())
}
