//! After a step that failed: which operation made a value that is not finite, or met an index that is wrong.
//!
//! Where a value is not finite the state has not moved, so the step is run again by the interpreter. Where that shows
//! nothing, what was found to be bad is all that is reported.

use super::CudaProgram;
use super::linked::Fetched;
use super::state::Failed;
use crate::error::{CudaError, Wrong};
use crate::text::Kernel;
use ironlearn_ir::blame::{Kernels, Reference, blame};
use ironlearn_ir::{ArrayView, ControlBlock, Env, Failure, Program, Store, Unexplained, interpreter};

/// Why a run whose values were not finite failed.
pub fn explain(
    program: &CudaProgram,
    inputs: &[ArrayView<'_>],
    store: &mut Store,
    control: &ControlBlock,
) -> Failure {
    let graph = &program.plan.graph;
    let env = match Env::copied(inputs, store, control.clone()) {
        Ok(env) => env,
        Err(refused) => return refused.into(),
    };
    let (mut reference, mut fetched) = (Reference, Fetched { program });
    let kernels: &mut dyn Kernels = if program.links.is_some() { &mut fetched } else { &mut reference };
    let attempt = match blame(graph, &env, kernels) {
        Ok(Some(blame)) => return Failure::NonFinite(Box::new(blame)),
        Ok(None) => "run again by the interpreter, all values were finite".to_string(),
        Err(problem) => format!("run again by the interpreter, it failed: {problem}"),
    };
    let bad =
        |i: &usize| program.output(*i).try_to_array("an output").is_ok_and(|x| !interpreter::all_finite(&x));
    let outputs = (0..graph.outputs.len()).filter(bad);
    let mut values: Vec<String> = outputs.map(|i| format!("the output `{}`", graph.outputs[i].0)).collect();
    if values.is_empty() {
        values.push("a gradient or a new value, on the GPU alone".into());
    }
    Failure::Unexplained(Box::new(Unexplained { step: control.step, values, attempts: vec![attempt] }))
}

/// Why an index was wrong.
pub fn index(kernels: &[Kernel], failed: Failed) -> CudaError {
    let kernel = kernels.get(failed.kernel);
    let named = kernel.and_then(|k| match failed.wrong {
        Wrong::Data { .. } => {
            let pick = k.picks.get(failed.argument)?;
            Some((pick.operation.to_owned(), pick.place.clone()))
        }
        Wrong::Place | Wrong::Alignment => {
            // What lies on a chip is no argument.
            let argument = k.arguments.iter().find(|a| a.number() == failed.argument);
            Some((k.name.clone(), argument.map_or_else(String::new, |a| a.name.clone())))
        }
    });
    let (kernel, argument) = named.unwrap_or_default();
    CudaError::Index { kernel, argument, index: failed.index, length: failed.length, wrong: failed.wrong }
}
