//! Plans of one operation: what eager operations run, by the executor that also trains. A plan is made when an
//! operation meets operands of some types for the first time, and kept for the next time.

use crate::step::shared_cpu;
use ironlearn_cpu::CpuProgram;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::Op;
use ironlearn_ir::{Array, ArrayView, ControlBlock, Mode, Program, Store, Tape, TensorType};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Most plans that are kept; beyond it all are dropped, and those in use are made again.
const MOST: usize = 256;
/// Working memory, in bytes, above which a plan is not worth keeping.
const LARGE: usize = 1 << 20;

type Key = (Op, Vec<TensorType>);

static PLANS: Mutex<Option<HashMap<Key, CpuProgram>>> = Mutex::new(None);

/// The result of one operation; `None` where the executor cannot compute it, or refuses the operands' values:
/// the operation's own evaluation says why.
pub(super) fn run(op: &Op, types: &[TensorType], out: &TensorType, x: &[ArrayView<'_>]) -> Option<Array> {
    let key = (op.clone(), types.to_vec());
    // Taken out while it runs, so that threads do not wait for each other.
    let kept = with_plans(|plans| plans.remove(&key));
    let mut program = match kept {
        Some(program) => program,
        None => compile(op, types, out)?,
    };
    program.run(x, &mut Store::new(), &ControlBlock::default()).ok()?;
    let result = program.output(0).to_array();
    if program.memory_bytes() <= LARGE {
        with_plans(|plans| {
            if plans.len() >= MOST {
                plans.clear();
            }
            plans.insert(key, program);
        });
    }
    Some(result)
}

fn compile(op: &Op, types: &[TensorType], out: &TensorType) -> Option<CpuProgram> {
    let tape = Tape::new(Mode::Infer);
    let inputs: Vec<_> = types.iter().map(|ty| tape.input_of(ty.clone())).collect();
    let result = tape.push(op.clone(), &inputs);
    if result.ty() != *out {
        return None;
    }
    tape.output("result", result);
    let (graph, _) = tape.finish().ok()?;
    shared_cpu().ok()?.compile(&graph, Options::default()).ok()
}

fn with_plans<T>(f: impl FnOnce(&mut HashMap<Key, CpuProgram>) -> T) -> T {
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    f(plans.get_or_insert_default())
}
