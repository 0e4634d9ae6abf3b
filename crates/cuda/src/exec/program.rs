//! [`CudaProgram`]: a compiled plan with its memory, and how it is run.

use super::compile::{self, Action, Parts, Sequence};
use super::copies::Copies;
use super::exchange::Exchange;
use super::inputs::Inputs;
use super::measured::Measured;
use super::memory::Memory;
use super::outputs::{Outputs, REPORTED};
use super::slots::DeviceSlots;
use super::state::{MOST_STEPS, Outcome, RunState};
use super::uses::Used;
use super::{Cuda, Options, blame};
use crate::compiler;
use crate::driver::{Context, Function, Graph as Recording, Module, Shape};
use crate::error::CudaError;
use crate::nccl::Links;
use crate::text::Kernel;
use ironlearn_ir::plan::{Home, Plan, View};
use ironlearn_ir::profile::{SharedWork, StepProfile};
use ironlearn_ir::program::check_inputs;
use ironlearn_ir::store::Resident;
use ironlearn_ir::{ArrayView, ControlBlock, Failure, Program, SlotId, Store};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// So many steps are recorded as one, where that many are asked for; of two or more even numbers, so that values and
/// next values are where they were.
const UNITS: [usize; 4] = [32, 8, 2, 1];

/// A compiled plan with its memory.
pub struct CudaProgram {
    pub(super) context: Arc<Context>,
    pub(super) plan: Arc<Plan>,
    pub(super) sequence: Sequence,
    /// Where steps are shared among ranks.
    pub(super) exchange: Option<Exchange>,
    kernels: Vec<Kernel>,
    functions: Vec<Function>,
    advance: Function,
    pub(super) copies: Copies,
    pub(super) memory: Memory,
    pub(super) state: RunState,
    inputs: Inputs,
    outputs: Outputs,
    /// Slots that are read or written.
    slots: Vec<Used>,
    /// Recorded work, by the addresses of all slots and the number of steps: in parts, where ranks share a step.
    recordings: HashMap<(Vec<[u64; 2]>, usize), Vec<Recording>>,
    /// Where the GPUs of all ranks are linked.
    pub(super) links: Option<Arc<Links>>,
    /// Where the program is profiled.
    pub(super) measured: Option<Measured>,
    // The code of the kernels, dropped last.
    _module: Module,
}

impl CudaProgram {
    pub(super) fn new(cuda: &Cuda, plan: Plan, options: Options) -> Result<CudaProgram, Failure> {
        let (context, plan) = (cuda.context.clone(), Arc::new(plan));
        let links = match plan.graph.ranks() {
            Some(ranks) => cuda.links(ranks)?.ok(),
            None => None,
        };
        let mut parts = Parts {
            blas: Some(cuda.blas.clone()),
            tf32: options.tf32,
            chunks: options.chunks,
            linked: links.as_ref().map(|links| links.rank()),
            ..Parts::default()
        };
        let sequence = parts.sequence(&plan, cuda.target(options))?;
        let code = compiler::compile(&context, &parts.text(), cuda.checked, options.fast)?;
        let module = Module::load(&context, &code)?;
        let function = |k: &Kernel| module.function(&k.name, k.arguments.len() + 1, k.shape.shared);
        let functions = parts.kernels.iter().map(function).collect::<Result<_, _>>()?;
        let memory = Memory::new(&context, &plan, &sequence, &parts)?;
        let inputs = Inputs::new(RunState::end(parts.fields.len()), &plan.graph.inputs);
        Ok(CudaProgram {
            advance: module.function("il_advance", 5 + 3 * REPORTED, 0)?,
            copies: Copies::new(&module)?,
            state: RunState::new(&context, parts.fields, inputs.bytes())?,
            inputs,
            outputs: Outputs::new(&context, &plan)?,
            context,
            slots: Used::all(&plan),
            exchange: Exchange::new(&cuda.context, &sequence.actions)?,
            plan,
            sequence,
            kernels: parts.kernels,
            functions,
            memory,
            recordings: HashMap::new(),
            links,
            measured: None,
            _module: module,
        })
    }

    /// The plan that was compiled.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The number of kernels of a step.
    pub fn kernels(&self) -> usize {
        self.kernels.len()
    }

    /// The addresses of all buffers of the plan, where values and next values of slots have these.
    pub(super) fn addresses(&self, slots: &[[u64; 2]]) -> Vec<u64> {
        let of = |id: SlotId, spare: usize| {
            self.slots.iter().position(|used| used.id == id).map_or(0, |i| slots[i][spare])
        };
        let at = |(i, home): (usize, &Home)| match home {
            Home::Arena(at) => self.memory.arena.at() + *at as u64,
            Home::Input(index) => self.state.at() + self.inputs.start(*index as usize) as u64,
            Home::Slot(id) => of(*id, 0),
            Home::Spare(id) => of(*id, 1),
            Home::Control(field) => self.state.field(*field).unwrap_or(0),
            Home::Constant(_) => self.memory.constant(None, i),
            Home::Block { .. } => 0,
        };
        self.plan.buffers.iter().map(|b| &b.home).enumerate().map(at).collect()
    }

    /// Queues one step.
    fn queue(&self, addresses: &[u64]) -> Result<(), CudaError> {
        self.queue_part(None, 0..self.sequence.actions.len(), addresses)
    }

    /// Queues some actions of a step; with the last of them, what counts the step.
    pub(super) fn queue_part(
        &self,
        exchange: Option<&Exchange>,
        part: Range<usize>,
        addresses: &[u64],
    ) -> Result<(), CudaError> {
        let is_last = part.end == self.sequence.actions.len();
        for i in part {
            let action = &self.sequence.actions[i];
            // The mark of a result that is waited for was made before.
            let is_marked = exchange.is_some() && matches!(action, Action::Finish(_));
            if let (Some(measured), false) = (&self.measured, is_marked) {
                measured.mark(i)?;
            }
            match action {
                Action::Begin(_) | Action::Finish(_) => {
                    self.queue_exchange(exchange, i, action, addresses)?
                }
                _ => self.queue_action(&self.sequence, action, addresses)?,
            }
        }
        if !is_last {
            return Ok(());
        }
        self.measured.as_ref().map_or(Ok(()), |measured| measured.mark(self.sequence.actions.len()))?;
        self.queue_advance()
    }

    /// Queues the kernel that ends a step.
    fn queue_advance(&self) -> Result<(), CudaError> {
        let fields = self.state.fields() as u64;
        let shape = Shape { grid: [1, 1, 1], block: 32.max(fields.next_power_of_two() as u32), shared: 0 };
        let state = &self.state;
        let mut words = [0; 5 + 3 * REPORTED];
        words[..5].copy_from_slice(&[state.at(), state.control(), state.table(), fields, state.report()]);
        let reported = self.outputs.reported(&self.plan, self.memory.arena.at());
        for (word, copy) in words[5..].chunks_exact_mut(3).zip(reported) {
            word.copy_from_slice(&[copy.from, copy.to, copy.bytes as u64]);
        }
        self.advance.launch(&self.context, "il_advance", shape, &mut words)
    }

    /// Queues an action that needs nobody else.
    pub(super) fn queue_action(
        &self,
        sequence: &Sequence,
        action: &Action,
        addresses: &[u64],
    ) -> Result<(), CudaError> {
        match action {
            Action::Kernel(index) => self.launch(*index, addresses),
            Action::Product(p) => {
                let at = |view: &View| compile::address(&sequence.plan, addresses, view);
                p.product.queue(at(&p.dot.x), at(&p.dot.y), at(&p.dot.out), self.memory.scratch.at())
            }
            Action::Loop(l) => self.queue_loop(&sequence.plan, l, addresses),
            // Those of the whole step are its parts', and a loop has none.
            Action::Begin(_) | Action::Finish(_) => Ok(()),
        }
    }

    pub(super) fn launch(&self, index: usize, addresses: &[u64]) -> Result<(), CudaError> {
        let kernel = &self.kernels[index];
        let word = |a| compile::argument(a, addresses, &self.memory);
        let mut words: Vec<u64> = kernel.arguments.iter().map(word).collect();
        words.push(self.state.at());
        self.functions[index].launch(&self.context, &kernel.name, kernel.shape, &mut words)
    }

    /// Where values and next values are after one more step.
    fn turned(&self, slots: &[[u64; 2]]) -> Vec<[u64; 2]> {
        let turn = |([value, next], used): (&[u64; 2], &Used)| {
            if used.moves { [*next, *value] } else { [*value, *next] }
        };
        slots.iter().zip(&self.slots).map(turn).collect()
    }

    /// So many steps as one, or a step in its parts: recorded where they were not before.
    pub(super) fn record(
        &mut self,
        exchange: Option<&Exchange>,
        slots: &[[u64; 2]],
        steps: usize,
    ) -> Result<&[Recording], CudaError> {
        let key = (slots.to_vec(), steps);
        if !self.recordings.contains_key(&key) {
            let sides = [self.addresses(slots), self.addresses(&self.turned(slots))];
            let all = || (0..steps).try_for_each(|step| self.queue(&sides[step % 2]));
            let part = |part| Recording::record(&self.context, || self.queue_part(exchange, part, &sides[0]));
            let recordings = match exchange {
                None => vec![Recording::record(&self.context, all)?],
                Some(exchange) => exchange.parts().map(part).collect::<Result<_, _>>()?,
            };
            self.recordings.insert(key.clone(), recordings);
        }
        Ok(self.recordings.get(&key).map_or(&[], Vec::as_slice))
    }

    /// Runs up to [`MOST_STEPS`] steps whose inputs and control blocks are on their way, the slots being where `slots` says;
    /// gives what came of it.
    fn run_steps(&mut self, mut slots: Vec<[u64; 2]>, steps: usize) -> Result<Outcome, CudaError> {
        if self.measured.is_some() {
            self.queue(&self.addresses(&slots))?;
            return self.end_run();
        }
        let mut left = steps;
        for unit in UNITS {
            while left >= unit {
                self.record(None, &slots, unit)?.iter().try_for_each(Recording::launch)?;
                left -= unit;
                if unit % 2 == 1 {
                    slots = self.turned(&slots);
                }
            }
        }
        self.end_run()
    }

    /// Fetches the results, waits for all that is queued, and gives what came of it.
    pub(super) fn end_run(&mut self) -> Result<Outcome, CudaError> {
        self.outputs.fetch(&self.plan, &self.memory.arena)?;
        self.context.synchronize()?;
        if let Some(measured) = &mut self.measured {
            measured.add(&self.sequence.steps)?;
        }
        Ok(self.state.outcome())
    }

    /// Where the slots are.
    fn places(&self, device: &DeviceSlots, store: &Store) -> Result<Vec<[u64; 2]>, CudaError> {
        self.slots.iter().map(|used| device.addresses(store, used.id, used.moves)).collect()
    }

    fn try_run_many(
        &mut self,
        n: usize,
        inputs: &[ArrayView<'_>],
        store: &mut Store,
        control: &mut ControlBlock,
        next: &mut dyn FnMut(&mut ControlBlock),
        done: &mut usize,
    ) -> Result<(), Failure> {
        check_inputs(&self.plan.graph, inputs)?;
        self.context.alive()?;
        if let Some(cause) = store.lost() {
            return Err(lost(cause.to_string()));
        }
        self.slots.iter().try_for_each(|used| used.fits(store))?;
        let resident = DeviceSlots::of(store, &self.context).map_err(lost)?;
        let device = on_device(&*resident)?;
        let context = self.context.clone();
        while *done < n {
            let is_single = self.measured.is_some() || self.exchange.is_some();
            let most = if is_single { 1 } else { MOST_STEPS };
            let steps = (n - *done).min(most);
            let mut controls = vec![control.clone()];
            for _ in 0..steps {
                let mut following = controls[controls.len() - 1].clone();
                next(&mut following);
                controls.push(following);
            }
            let turn = context.turn();
            let new = match *done {
                0 => self.inputs.write(self.state.host_mut(), inputs),
                _ => Vec::new(),
            };
            let places = self.places(device, store)?;
            self.state.begin(&controls, &new)?;
            self.inputs.sent();
            let outcome = if self.exchange.is_some() {
                // Others have their turn while this one waits for other ranks.
                drop(turn);
                self.run_among_ranks(&places)?
            } else {
                let ran = self.run_steps(places, steps);
                drop(turn);
                ran?
            };
            let counted = outcome.done.min(steps);
            for used in self.slots.iter().filter(|used| used.moves && counted > 0) {
                device.moved(store, used.id, counted);
            }
            *done += counted;
            *control = controls.swap_remove(counted);
            if let Some(failed) = outcome.failed {
                return Err(blame::index(&self.kernels, failed).into());
            }
            if outcome.not_finite {
                return Err(blame::explain(self, inputs, store, control));
            }
        }
        Ok(())
    }
}

fn on_device(resident: &dyn Resident) -> Result<&DeviceSlots, Failure> {
    resident.as_any().downcast_ref().ok_or_else(|| lost("the state is on another device".into()))
}

fn lost(problem: String) -> Failure {
    CudaError::Lost { first: problem }.into()
}

impl Program for CudaProgram {
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
        let mut done = 0;
        let result = self.try_run_many(n, inputs, store, control, next, &mut done);
        (done, result)
    }

    fn output(&self, index: usize) -> ArrayView<'_> {
        self.outputs.get(index)
    }

    fn reserve(&mut self, store: &mut Store) -> Result<(), Failure> {
        let resident = DeviceSlots::of(store, &self.context).map_err(lost)?;
        let _turn = self.context.turn();
        self.places(on_device(&*resident)?, store)?;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes() + self.inputs.bytes()
    }

    fn arena_bytes(&self) -> usize {
        self.plan.arena_bytes
    }

    fn start_profile(&mut self) {
        // A profile that cannot be made shows nothing.
        self.measured = Measured::new(&self.context, self.plan.steps.len(), self.sequence.actions.len()).ok();
    }

    fn step_profiles(&self) -> Vec<StepProfile> {
        let Some(measured) = &self.measured else { return Vec::new() };
        let steps = self.plan.steps.iter().zip(&measured.seconds);
        let of = |(step, &seconds)| {
            StepProfile::new(&self.plan, step, measured.calls, seconds, SharedWork::default())
        };
        steps.map(of).collect()
    }
}
