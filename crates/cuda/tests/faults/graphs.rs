//! Small steps that the tests run.

use ironlearn_cuda::{Cuda, CudaProgram, Options};
use ironlearn_ir::{Array, ArrayView, ControlBlock, DType, Dyn, Failure, Graph, Mode, Program, Role, SlotId};
use ironlearn_ir::{Store, Tape, TensorType, Var};

/// A step with its state.
pub struct Small {
    pub graph: Graph,
    pub store: Store,
    pub slot: SlotId,
}

impl Small {
    /// One slot of four numbers, `w`, and what a step makes of it.
    pub fn new(start: f32, step: impl for<'g> FnOnce(&'g Tape, Dyn<'g>, SlotId) -> Dyn<'g>) -> Small {
        let mut store = Store::new();
        let value =
            Array::of([4], vec![start, start + 0.25, start + 0.5, start + 0.75]).expect("four numbers");
        let slot = store.add("w", Role::Parameter, value).expect("a new name");
        let tape = Tape::new(Mode::Train);
        let next = step(&tape, tape.slot(slot, TensorType::new(DType::F32, [4])), slot);
        tape.assign(slot, next);
        Small { graph: tape.finish().expect("a sound graph").0, store, slot }
    }

    /// `w + x`, where `x` is the input.
    pub fn sum() -> Small {
        Small::new(1.0, |tape, w, _| w + tape.input::<f32>([4]).node())
    }

    /// The program.
    pub fn compile(&self, cuda: &Cuda) -> Result<CudaProgram, Failure> {
        cuda.compile(&self.graph, Options::default())
    }

    /// The bits of the state.
    pub fn bits(&self) -> Vec<u32> {
        let value = self.store.slot(self.slot).value();
        value.as_slice::<f32>().unwrap_or_default().iter().map(|x| x.to_bits()).collect()
    }
}

/// One run.
pub fn run(program: &mut dyn Program, inputs: &[&Array], store: &mut Store) -> Result<(), Failure> {
    let views: Vec<ArrayView<'_>> = inputs.iter().map(|a| a.view()).collect();
    program.run(&views, store, &ControlBlock::default())
}

/// Several runs, of which each is one step further; gives how many were done.
pub fn run_many(program: &mut dyn Program, n: usize, store: &mut Store) -> (usize, i64, Result<(), Failure>) {
    let mut control = ControlBlock::default();
    let (done, result) = program.run_many(n, &[], store, &mut control, &mut |c| c.step += 1);
    (done, control.step, result)
}

/// Four ones.
pub fn ones() -> Array {
    Array::of([4], vec![1.0f32; 4]).expect("four numbers")
}

/// A value as a variable.
pub fn var<'g>(value: Dyn<'g>) -> Var<'g, f32> {
    Var::of(value)
}
