//! The reference interpreter: runs any graph slowly and plainly, node by node. It is the oracle of the tests
//! and the tool that finds a NaN.

use crate::prim::{Control, Op, Source};
use crate::{Array, ArrayView, Data, Graph, NodeId, Refused, SlotId, Store};
use std::collections::HashMap;

/// The control block: what changes from step to step.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ControlBlock {
    /// Optimizer steps done before this one.
    pub step: i64,
    /// The run's seed.
    pub seed: i64,
    /// Position of the batch's first row among all rows of this optimizer step.
    pub first_row: i64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Further numbers.
    pub numbers: Vec<f64>,
}

impl ControlBlock {
    /// A field as a scalar.
    pub fn field(&self, field: Control) -> Array {
        match field {
            Control::Step => Array::scalar(self.step),
            Control::Seed => Array::scalar(self.seed),
            Control::FirstRow => Array::scalar(self.first_row),
            Control::LearningRate => Array::scalar(self.learning_rate),
            Control::Number(i) => Array::scalar(self.numbers.get(i as usize).copied().unwrap_or(0.0)),
        }
    }

    /// A field as the word that executors keep it in: an integer, or the bits of a float.
    pub fn word(&self, field: Control) -> u64 {
        match field {
            Control::Step => self.step as u64,
            Control::Seed => self.seed as u64,
            Control::FirstRow => self.first_row as u64,
            Control::LearningRate => self.learning_rate.to_bits(),
            Control::Number(i) => self.numbers.get(i as usize).copied().unwrap_or(0.0).to_bits(),
        }
    }
}

/// What a graph needs from outside.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// The step's inputs.
    pub inputs: Vec<Array>,
    /// The committed state.
    pub slots: HashMap<SlotId, Array>,
    /// The control block.
    pub control: ControlBlock,
}

impl Env {
    /// Inputs and control block with the state of a store. Ends the program where memory is refused: for tests, and
    /// small ones.
    pub fn new(inputs: Vec<Array>, store: &Store, control: ControlBlock) -> Env {
        let slots = store.ids().map(|id| (id, store.slot(id).value().clone())).collect();
        Env { inputs, slots, control }
    }

    /// Copies of inputs and control block, with the state of a store.
    ///
    /// # Errors
    /// [`Refused`] where there is no memory for them.
    pub fn copied(inputs: &[ArrayView<'_>], store: &Store, control: ControlBlock) -> Result<Env, Refused> {
        let inputs = inputs.iter().map(|x| x.try_to_array("a copy of the batch"));
        let slot = |id: SlotId| Ok((id, store.slot(id).value().view().try_to_array(&store.slot(id).name)?));
        Ok(Env {
            inputs: inputs.collect::<Result<_, _>>()?,
            slots: store.ids().map(slot).collect::<Result<_, _>>()?,
            control,
        })
    }
}

/// Computes one node from the values of the nodes before it.
pub fn eval_node(graph: &Graph, id: NodeId, env: &Env, values: &[Option<Array>]) -> Result<Array, String> {
    let node = graph.node(id);
    let fail = |what: String| graph.located(id, &what);
    match &node.op {
        Op::Source(Source::Input(i)) => {
            let input = env.inputs.get(*i as usize).ok_or_else(|| fail(format!("no input {i}")))?;
            Ok(input.view().try_to_array(&node.ty)?)
        }
        Op::Source(Source::Slot(s)) => {
            let value = env.slots.get(s).ok_or_else(|| fail(format!("no slot {}", s.0)))?;
            Ok(value.view().try_to_array(&node.ty)?)
        }
        Op::Source(Source::Control(c)) => Ok(env.control.field(*c)),
        Op::ScanOutput(output) => {
            let mut results = run_scan(graph, node.inputs[0], values)?;
            Ok(results.swap_remove(output.index))
        }
        op => {
            let x: Option<Vec<&Array>> = node.inputs.iter().map(|x| values[x.index()].as_ref()).collect();
            op.primitive()
                .eval(&x.ok_or_else(|| fail("an operand has no value".into()))?, &node.ty)
                .map_err(fail)
        }
    }
}

/// All results of a scan.
fn run_scan(graph: &Graph, id: NodeId, values: &[Option<Array>]) -> Result<Vec<Array>, String> {
    let node = graph.node(id);
    let x: Option<Vec<&Array>> = node.inputs.iter().map(|x| values[x.index()].as_ref()).collect();
    match (&node.op, x) {
        (Op::Scan(scan), Some(x)) => scan.run(&x).map_err(|what| graph.located(id, &what)),
        _ => Err(graph.located(id, "no scan with all operands")),
    }
}

/// The values of all nodes that a root depends on.
pub fn interpret(graph: &Graph, env: &Env) -> Result<Vec<Option<Array>>, String> {
    let live = graph.live();
    let mut values = Vec::with_capacity(graph.nodes.len());
    let mut scans: HashMap<NodeId, Vec<Array>> = HashMap::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let value = match &node.op {
            _ if !live[id.index()] => None,
            Op::Scan(_) => {
                let results = run_scan(graph, id, &values)?;
                let first = results[0].view().try_to_array(&node.ty)?;
                scans.insert(id, results);
                Some(first)
            }
            Op::ScanOutput(output) if scans.contains_key(&node.inputs[0]) => {
                Some(scans[&node.inputs[0]][output.index].view().try_to_array(&node.ty)?)
            }
            _ => Some(eval_node(graph, id, env, &values)?),
        };
        values.push(value);
    }
    Ok(values)
}

/// True where every element is finite; truth values and integers always are.
pub fn all_finite(array: &Array) -> bool {
    match array.data() {
        Data::F16(v) => v.iter().all(|x| x.is_finite()),
        Data::Bf16(v) => v.iter().all(|x| x.is_finite()),
        Data::F32(v) => v.iter().all(|x| x.is_finite()),
        Data::F64(v) => v.iter().all(|x| x.is_finite()),
        Data::C64(v) => v.iter().all(|x| x.is_finite()),
        Data::C128(v) => v.iter().all(|x| x.is_finite()),
        _ => true,
    }
}
