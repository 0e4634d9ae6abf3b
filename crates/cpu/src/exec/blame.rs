//! After a step that was not finite: which operation made it so.
//!
//! The state has not moved, so the step is run again, each operation alone with the kernels of the executor,
//! whose results are those of the fused step bit for bit. Then the interpreter is asked. Where neither shows
//! anything, what was found to be bad is all that is reported.

use super::finite::any_not_finite;
use super::memory::address;
use super::{Cpu, CpuProgram};
use ironlearn_ir::blame::{Kernels, Reference, alone, blame};
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::Source;
use ironlearn_ir::{
    Array, ArrayView, ControlBlock, Env, Failure, Graph, Node, NodeId, Program, SlotId, Store, TensorType,
    Unexplained,
};

/// Why a run whose values were not finite failed.
pub(super) fn explain(
    program: &CpuProgram,
    inputs: &[ArrayView<'_>],
    store: &mut Store,
    control: &ControlBlock,
) -> Failure {
    let graph = &program.plan.graph;
    let env = match Env::copied(inputs, store, control.clone()) {
        Ok(env) => env,
        Err(refused) => return refused.into(),
    };
    let mut attempts = vec![];
    let mut own = OneByOne { cpu: &program.cpu };
    let mut reference = Reference;
    let kernels: [(&str, &mut dyn Kernels); 2] =
        [("the executor, one operation after the other", &mut own), ("the interpreter", &mut reference)];
    for (name, kernels) in kernels {
        attempts.push(match blame(graph, &env, kernels) {
            Ok(Some(blame)) => return Failure::NonFinite(Box::new(blame)),
            Ok(None) => format!("run again by {name}, all values were finite"),
            Err(problem) => format!("run again by {name}, it failed: {problem}"),
        });
    }
    let values = suspects(program, inputs, store, control);
    Failure::Unexplained(Box::new(Unexplained { step: control.step, values, attempts }))
}

/// Each operation as a program of its own.
struct OneByOne<'a> {
    cpu: &'a Cpu,
}

impl Kernels for OneByOne<'_> {
    fn eval(
        &mut self,
        graph: &Graph,
        id: NodeId,
        x: &[&Array],
        control: &ControlBlock,
    ) -> Result<Array, String> {
        let node = graph.node(id);
        let mut alone = Graph { layers: graph.layers.clone(), ..Graph::default() };
        for (i, x) in x.iter().enumerate() {
            let ty = TensorType::new(x.dtype(), x.shape().clone());
            alone.inputs.push(ty.clone());
            alone.nodes.push(Node { op: Source::Input(i as u32).into(), inputs: vec![], ty, ..node.clone() });
        }
        let inputs = (0..x.len() as u32).map(NodeId).collect();
        alone.nodes.push(Node { inputs, ..node.clone() });
        alone.outputs.push((String::new(), NodeId(x.len() as u32)));
        let x: Vec<ArrayView<'_>> = x.iter().map(|x| x.view()).collect();
        let outputs = run(self.cpu, &alone, &x, &mut Store::new(), control)?;
        outputs.into_iter().next().ok_or_else(|| graph.located(id, "no value"))
    }
}

/// The outputs of a graph that updates nothing.
fn run(
    cpu: &Cpu,
    graph: &Graph,
    inputs: &[ArrayView<'_>],
    store: &mut Store,
    control: &ControlBlock,
) -> Result<Vec<Array>, String> {
    let mut program =
        cpu.compile(graph, Options { fuse: false, ..Options::default() }).map_err(|e| e.to_string())?;
    program.run(inputs, store, control).map_err(|e| e.to_string())?;
    let copy = |i: usize| program.output(i).try_to_array("a value that is looked at");
    Ok((0..graph.outputs.len()).map(copy).collect::<Result<_, _>>()?)
}

/// The values of the failed run that are not finite. Gradients are no longer in memory: they are computed again.
fn suspects(
    program: &CpuProgram,
    inputs: &[ArrayView<'_>],
    store: &mut Store,
    control: &ControlBlock,
) -> Vec<String> {
    let graph = &program.plan.graph;
    let bad = |x: ArrayView<'_>| any_not_finite(x.dtype(), address(x.data()), x.shape().elements());
    let outputs = graph.outputs.iter().enumerate().filter(|(i, _)| bad(program.output(*i)));
    let mut values: Vec<String> = outputs.map(|(_, (name, _))| format!("the output `{name}`")).collect();
    let again = Graph {
        outputs: graph.gradients.iter().map(|(_, id)| (String::new(), *id)).collect(),
        updates: vec![],
        watched: vec![],
        ..graph.clone()
    };
    let gradients = alone(graph, || run(&program.cpu, &again, inputs, store, control)).unwrap_or_default();
    let name = |slot: &SlotId| store.slot(*slot).name.as_str();
    for ((slot, _), _) in graph.gradients.iter().zip(&gradients).filter(|(_, x)| bad(x.view())) {
        values.push(format!("the gradient of `{}`", name(slot)));
    }
    for (slot, _) in &graph.updates {
        if store.spare(*slot).is_some_and(|x| bad(x.view())) {
            values.push(format!("the new value of `{}`", name(slot)));
        }
    }
    if values.is_empty() {
        values.push("a gradient, in the first run alone".into());
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ironlearn_ir::{Mode, Role, Tape, Var};

    #[test]
    fn what_no_second_run_shows_is_reported_as_unknown() {
        let mut store = Store::new();
        let add = |store: &mut Store, name: &str| {
            store.add(name, Role::Parameter, Array::of([2], vec![1.0f32, 2.0]).unwrap()).unwrap()
        };
        let slots = ["w", "v"].map(|name| add(&mut store, name));
        let tape = Tape::new(Mode::Train);
        let vars = slots.map(|s| Var::<f32>::of(tape.slot(s, store.ty(s))));
        let loss = (vars[0] * vars[1]).sum_all();
        tape.output("loss", loss.node());
        for ((slot, var), gradient) in slots.into_iter().zip(vars).zip(loss.grad(&vars)) {
            tape.watch_gradient(slot, gradient.node());
            tape.assign(slot, (var - gradient * 0.1).node());
        }
        let graph = tape.finish().unwrap().0;
        let mut program = Cpu::new(1).unwrap().compile(&graph, Options::default()).unwrap();
        let control = ControlBlock { step: 3, ..ControlBlock::default() };
        program.run(&[], &mut store, &control).unwrap();
        // A bit that flips in memory.
        store.spare_mut(slots[1]).unwrap().as_slice_mut::<f32>().unwrap()[1] = f32::NAN;
        let failure = explain(&program, &[], &mut store, &control);
        let Failure::Unexplained(unexplained) = &failure else { panic!("{failure:?}") };
        assert_eq!(
            (unexplained.step, &unexplained.values[..]),
            (3, &["the new value of `v`".to_string()][..])
        );
        let text = failure.to_string();
        assert!(
            text.contains("is not known") && text.contains("interpreter, all values were finite"),
            "{text}"
        );

        store.spare_mut(slots[1]).unwrap().as_slice_mut::<f32>().unwrap()[1] = 0.0;
        let failure = explain(&program, &[], &mut store, &control).to_string();
        assert!(failure.contains("a gradient, in the first run alone"), "{failure}");
    }

    #[test]
    fn gradients_are_computed_again_and_named() {
        let mut store = Store::new();
        let w = store.add("w", Role::Parameter, Array::of([1], vec![0.0f32]).unwrap()).unwrap();
        let tape = Tape::new(Mode::Train);
        let x = Var::<f32>::of(tape.slot(w, store.ty(w)));
        let loss = x.sqrt().sum_all();
        tape.output("loss", loss.node());
        tape.watch_gradient(w, loss.grad(&[x])[0].node());
        tape.assign(w, (x * 0.5).node());
        let graph = tape.finish().unwrap().0;
        let mut program = Cpu::new(1).unwrap().compile(&graph, Options::default()).unwrap();
        let failure = program.run(&[], &mut store, &ControlBlock::default());
        assert!(matches!(failure, Err(Failure::NonFinite(_))), "{failure:?}");
        let found = suspects(&program, &[], &mut store, &ControlBlock::default());
        assert_eq!(found, ["the gradient of `w`"]);
    }
}
