//! Loops: the plan of one step, run again and again over the elements of the sequences.
//!
//! The carries live in the buffers of the loop's results: a step reads them there, and what it makes of them
//! is copied back when it is done.

use super::finite::any_not_finite;
use super::memory::{Block, Shared};
use super::tile::Addresses;
use super::{Cpu, Run, Scratch, Step, address, compile_all};
use ironlearn_ir::plan::{Home, Plan, ScanStep, View};
use ironlearn_ir::{DType, Failure};
use std::cell::RefCell;

/// A loop, ready to run.
pub struct Loop {
    body: Plan,
    steps: Vec<Step>,
    arena: Block,
    /// Addresses of the body's buffers; those of the inputs change from step to step.
    addresses: RefCell<Addresses>,
    inputs: Vec<Operand>,
    results: Vec<Operand>,
    carries: usize,
    xs: usize,
    length: usize,
    reverse: bool,
}

/// A contiguous value in the memory of the plan around the loop.
struct Operand {
    view: View,
    dtype: DType,
    checked: bool,
}

impl Operand {
    fn at(&self, run: &Run<'_>) -> *mut u8 {
        run.addresses.element(self.view.buffer, self.view.offset, self.dtype.size())
    }
    fn bytes(&self) -> usize {
        self.view.elements() * self.dtype.size()
    }
}

impl Loop {
    pub fn new(cpu: &Cpu, plan: &Plan, scan: &ScanStep) -> Result<Loop, Failure> {
        let body = scan.body.clone();
        let arena = Block::new(body.arena_bytes, "values in between of a loop")?;
        let fixed = |home: &Home| match home {
            Home::Arena(at) => Shared(arena.start().wrapping_add(*at)),
            Home::Constant(array) => Shared(address(array.data().view()).cast_mut()),
            _ => Shared(std::ptr::null_mut()),
        };
        let addresses = RefCell::new(Addresses(body.buffers.iter().map(|b| fixed(&b.home)).collect()));
        let operand = |view: &View| {
            let buffer = plan.buffer(view.buffer);
            Operand { view: view.clone(), dtype: buffer.dtype, checked: buffer.checked }
        };
        Ok(Loop {
            steps: compile_all(cpu, &body)?,
            arena,
            addresses,
            inputs: scan.inputs.iter().map(operand).collect(),
            results: scan.results.iter().map(operand).collect(),
            carries: scan.carries,
            xs: scan.xs,
            length: scan.length,
            reverse: scan.reverse,
            body,
        })
    }

    pub fn scratch(&self) -> Scratch {
        Scratch::most(self.steps.iter().map(Step::scratch))
    }

    pub fn memory_bytes(&self) -> usize {
        self.arena.bytes() + self.steps.iter().map(Step::memory_bytes).sum::<usize>()
    }

    pub fn run(&self, run: &Run<'_>) {
        for (from, to) in self.inputs[..self.carries].iter().zip(&self.results) {
            // SAFETY: both are contiguous values of one type in different buffers.
            unsafe { std::ptr::copy_nonoverlapping(from.at(run), to.at(run), to.bytes()) };
        }
        for step in 0..self.length {
            let t = if self.reverse { self.length - 1 - step } else { step };
            self.aim(run, t);
            let addresses = self.addresses.borrow();
            let inner = Run { addresses: &addresses, ..*run };
            self.steps.iter().for_each(|s| s.run(&self.body, &inner));
            self.collect(run, &addresses, t);
        }
        for result in self.results.iter().filter(|r| r.checked) {
            if any_not_finite(result.dtype, result.at(run), result.view.elements()) {
                run.mark_not_finite();
            }
        }
    }

    /// Points the body's inputs at the carries, at element `t` of the sequences, at the shared values.
    fn aim(&self, run: &Run<'_>, t: usize) {
        let mut addresses = self.addresses.borrow_mut();
        for (buffer, at) in self.body.buffers.iter().zip(&mut addresses.0) {
            let Home::Input(index) = buffer.home else { continue };
            let i = index as usize;
            *at = Shared(if i < self.carries {
                self.results[i].at(run)
            } else if i < self.carries + self.xs {
                self.inputs[i].at(run).wrapping_add(t * buffer.bytes())
            } else {
                self.inputs[i].at(run)
            });
        }
    }

    /// Copies what the body has made to the carries and to element `t` of the stacked results.
    fn collect(&self, run: &Run<'_>, addresses: &Addresses, t: usize) {
        for (i, (view, result)) in self.body.outputs.iter().zip(&self.results).enumerate() {
            let bytes = view.elements() * result.dtype.size();
            let from = addresses.element(view.buffer, view.offset, result.dtype.size());
            let to = result.at(run).wrapping_add(if i < self.carries { 0 } else { t * bytes });
            // SAFETY: outputs of the body are contiguous in its arena; a result has room for every element.
            unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
        }
    }
}
