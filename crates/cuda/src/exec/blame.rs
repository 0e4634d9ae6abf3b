//! After a step that was not finite: which operation made it so.
//!
//! The state has not moved, so the step is run again by the interpreter. Where that shows nothing, what was found to
//! be bad is all that is reported.

use super::CudaProgram;
use super::linked::Fetched;
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
