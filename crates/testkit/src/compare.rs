//! Executors compared on [random graphs](crate::random_graph).

use crate::random_graph::{Expected, RandomGraph, control, distance};
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{Array, ArrayView, Env, Graph, NodeId, Program, Store, dispatch, interpret};

/// Runs a program and compares every step with what the interpreter gives: integers and truth values exactly,
/// floats within the bounds of [`crate::random_graph`]. Each step begins with the interpreter's state.
pub fn agrees(graph: &RandomGraph, program: &mut dyn Program) -> Result<(), String> {
    let mut store = graph.store.clone();
    for (step, expected) in graph.expected.iter().enumerate() {
        run(graph, program, &mut store, step)?;
        compare(graph, expected, program, &store).map_err(|e| format!("{}, step {step}: {e}", graph.name))?;
        for (slot, value, _) in &expected.updates {
            store.set(*slot, value.clone())?;
        }
    }
    Ok(())
}

/// Runs two programs, each with its own state, and compares every bit of outputs and state.
pub fn same_bits(graph: &RandomGraph, a: &mut dyn Program, b: &mut dyn Program) -> Result<(), String> {
    let (mut left, mut right) = (graph.store.clone(), graph.store.clone());
    for step in 0..graph.expected.len() {
        run(graph, a, &mut left, step)?;
        run(graph, b, &mut right, step)?;
        for (i, (name, _)) in graph.graph.outputs.iter().enumerate() {
            if bits(a.output(i)) != bits(b.output(i)) {
                return Err(format!("{}, step {step}: output `{name}` differs", graph.name));
            }
        }
        for id in left.ids() {
            if bits(left.slot(id).value().view()) != bits(right.slot(id).value().view()) {
                return Err(format!("{}, step {step}: slot `{}` differs", graph.name, left.slot(id).name));
            }
        }
    }
    Ok(())
}

/// The outputs of a graph, by the interpreter.
///
/// # Errors
/// What the interpreter says.
pub fn interpreted(graph: &Graph, env: &Env) -> Result<Vec<Array>, String> {
    let values = interpret(graph, env)?;
    let take = |id: &NodeId| values[id.index()].clone().ok_or("an output has no value");
    Ok(graph.outputs.iter().map(|(_, id)| take(id)).collect::<Result<_, _>>()?)
}

/// Of arrays of `f32` the norm of their difference, and that of the right one.
pub fn norms(found: &Array, right: &Array) -> [f64; 2] {
    let [found, right] = [found, right].map(|a| a.as_slice::<f32>().expect("an array of f32"));
    assert_eq!(found.len(), right.len(), "as many elements");
    let norm = |terms: &mut dyn Iterator<Item = f64>| terms.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut found.iter().zip(right).map(|(f, r)| f64::from(*f) - f64::from(*r)));
    [off, norm(&mut right.iter().map(|&r| f64::from(r)))]
}

fn run(graph: &RandomGraph, program: &mut dyn Program, store: &mut Store, step: usize) -> Result<(), String> {
    let inputs: Vec<ArrayView<'_>> = graph.inputs.iter().map(|a| a.view()).collect();
    program.run(&inputs, store, &control(step)).map_err(|e| format!("{}, step {step}: {e}", graph.name))
}

fn compare(
    graph: &RandomGraph,
    expected: &Expected,
    program: &dyn Program,
    store: &Store,
) -> Result<(), String> {
    for (i, (value, allowed)) in expected.outputs.iter().enumerate() {
        let name = &graph.graph.outputs[i].0;
        close(value, &program.output(i).to_array(), *allowed).map_err(|e| format!("output `{name}`: {e}"))?;
    }
    for (slot, value, allowed) in &expected.updates {
        let slot = store.slot(*slot);
        close(value, slot.value(), *allowed).map_err(|e| format!("slot `{}`: {e}", slot.name))?;
    }
    Ok(())
}

fn close(expected: &Array, found: &Array, allowed: f64) -> Result<(), String> {
    match distance(expected, found) {
        Some(distance) if distance <= allowed => Ok(()),
        distance => Err(format!(
            "off by {distance:?}, allowed are {allowed:e}\nexpected {expected:?}\nfound    {found:?}"
        )),
    }
}

/// The bits of the elements: −0 differs from 0.
pub(crate) fn bits(a: ArrayView<'_>) -> Vec<[u64; 2]> {
    dispatch!(a.dtype(), T => {
        let values = a.as_slice::<T>().unwrap_or_default();
        values.iter().map(|x| match x.to_wide() {
            Wide::Int(x) => [x as u64, 0],
            Wide::Float(x) => [x.to_bits(), 0],
            Wide::Complex(re, im) => [re.to_bits(), im.to_bits()],
        }).collect()
    })
}
