//! What a random graph must compute, and how far off an executor may be.
//!
//! An executor may round differently from the interpreter: it adds in another order and another precision.
//! How much of that reaches a result depends on the graph. So the interpreter runs it again with every
//! rounded float disturbed by up to [`DISTURBED`] units in its last place, sums and products by as many of
//! the sum of their terms' magnitudes (stochastic arithmetic: Vignes, "A stochastic arithmetic for reliable
//! scientific computation", 1993). The largest change of a result, in
//! maximum norm, is its spread; the bound is [`ALLOWED`] times the spread and a few units in the last place
//! of the largest element. Integers and truth values must be equal. A graph in which a disturbance changes
//! an integer, or a float by more than [`UNSTABLE`], says nothing about an executor and is drawn again.

use super::{control, numbers};
use crate::rng::Rng;
use ironlearn_ir::interpreter::{all_finite, eval_node};
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::prim::elementwise as ew;
use ironlearn_ir::prim::{MapRef, Op};
use ironlearn_ir::{Array, DType, Env, Graph, NodeId, SlotId, Store, TensorType, bf16, dispatch, f16};

/// Steps that are run, each from the state that the interpreter's last one left.
pub const STEPS: usize = 2;
/// Units in the last place by which rounded floats are disturbed; 1 in the half types, which compute in `f32`.
const DISTURBED: f64 = 24.0;
/// Disturbed runs of each step.
const RUNS: usize = 2;
/// How many spreads an executor may be off.
const ALLOWED: f64 = 3.0;
/// The largest spread, relative to the largest element.
const UNSTABLE: f64 = 0.02;

/// What one step must give.
pub struct Expected {
    /// The outputs, with the distance that is allowed in maximum norm.
    pub outputs: Vec<(Array, f64)>,
    /// The new values of slots, likewise.
    pub updates: Vec<(SlotId, Array, f64)>,
}

/// Runs the steps; `None` where the graph is not stable.
pub(super) fn expect(graph: &Graph, store: &Store, inputs: &[Array], rng: &mut Rng) -> Option<Vec<Expected>> {
    let mut store = store.clone();
    let mut steps = Vec::new();
    for step in 0..STEPS {
        let env = Env::new(inputs.to_vec(), &store, control(step));
        let values = run(graph, &env, &mut None)?;
        let mut roots: Vec<(Array, f64)> =
            graph.roots().map(|id| values[id.index()].clone().map(|a| (a, 0.0))).collect::<Option<_>>()?;
        for _ in 0..RUNS {
            let disturbed = run(graph, &env, &mut Some(&mut *rng))?;
            for ((value, spread), id) in roots.iter_mut().zip(graph.roots()) {
                *spread = spread.max(distance(value, disturbed[id.index()].as_ref()?)?);
            }
        }
        for (value, spread) in &mut roots {
            if !all_finite(value) {
                return None;
            }
            let largest = numbers(value).iter().fold(0.0f64, |m, x| m.max(x.abs()));
            if *spread > UNSTABLE * largest && *spread > 1e-6 {
                return None;
            }
            *spread = ALLOWED * *spread + 4.0 * unit(value.dtype()) * largest;
        }
        let updates = roots.split_off(graph.outputs.len());
        let updates: Vec<_> =
            graph.updates.iter().zip(updates).map(|(u, (value, allowed))| (u.0, value, allowed)).collect();
        for (slot, value, _) in &updates {
            store.set(*slot, value.clone()).ok()?;
        }
        steps.push(Expected { outputs: roots, updates });
    }
    Some(steps)
}

/// The values of all live nodes, disturbed where there is something to draw disturbances from. `None` where
/// an operation fails.
fn run(graph: &Graph, env: &Env, disturb: &mut Option<&mut Rng>) -> Option<Vec<Option<Array>>> {
    let live = graph.live();
    let mut values: Vec<Option<Array>> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        if !live[id.index()] {
            values.push(None);
            continue;
        }
        let mut value = eval_node(graph, id, env, &values).ok()?;
        if let (Some(rng), true) = (&mut *disturb, rounds(graph, id)) {
            let terms = magnitudes(graph, id, &values)?;
            shake(&mut value, &terms, rng);
        }
        values.push(Some(value));
    }
    Some(values)
}

/// True for operations whose result may be rounded differently.
fn rounds(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let exact = [
        MapRef::of::<ew::Neg>(),
        MapRef::of::<ew::Abs>(),
        MapRef::of::<ew::Floor>(),
        MapRef::of::<ew::Round>(),
        MapRef::of::<ew::Maximum>(),
        MapRef::of::<ew::Minimum>(),
    ];
    match &node.op {
        Op::Map(m) => !exact.contains(m),
        Op::Sum(_) | Op::Dot(_) | Op::Conv(_) | Op::Pool(_) | Op::ScatterAdd(_) | Op::ScanOutput(_) => true,
        Op::Cast(_) => graph.node(node.inputs[0]).ty.dtype.is_float(),
        _ => false,
    }
}

/// The distance of a float type's neighbours at 1.
fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f64::from(f16::EPSILON),
        DType::Bf16 => f64::from(bf16::EPSILON),
        DType::F32 => f64::from(f32::EPSILON),
        DType::F64 => f64::EPSILON,
        _ => 0.0,
    }
}

/// For sums of terms the sums of their magnitudes, for anything else nothing.
fn magnitudes(graph: &Graph, id: NodeId, values: &[Option<Array>]) -> Option<Vec<f64>> {
    let node = graph.node(id);
    if !matches!(node.op, Op::Sum(_) | Op::Dot(_) | Op::Conv(_) | Op::Pool(_) | Op::ScatterAdd(_)) {
        return Some(vec![]);
    }
    let abs = MapRef::of::<ew::Abs>();
    let mut inputs = Vec::new();
    for input in &node.inputs {
        let x = values[input.index()].as_ref()?;
        let ty = TensorType::new(x.dtype(), x.shape().clone());
        inputs.push(if x.dtype().is_float() { abs.0.eval(&[x], &ty).ok()? } else { x.clone() });
    }
    let sums = node.op.primitive().eval(&inputs.iter().collect::<Vec<_>>(), &node.ty).ok()?;
    Some(numbers(&sums))
}

/// Disturbs the floats of an array, relative to themselves and to the magnitude of their terms.
fn shake(a: &mut Array, terms: &[f64], rng: &mut Rng) {
    let (ulp, half) = (unit(a.dtype()), matches!(a.dtype(), DType::F16 | DType::Bf16));
    let units = if half { 1.0 } else { DISTURBED };
    let of_terms = DISTURBED * if half { unit(DType::F32) } else { ulp };
    let mut shaken = |i: usize, x: f64| {
        let term = terms.get(i).copied().unwrap_or(0.0);
        x * (1.0 + ulp * rng.float(-units, units)) + term * of_terms * rng.float(-1.0, 1.0)
    };
    dispatch!(a.dtype(), T => {
        for (i, x) in a.as_slice_mut::<T>().into_iter().flatten().enumerate() {
            if let Wide::Float(wide) = x.to_wide() {
                *x = T::narrow(Wide::Float(shaken(i, wide)));
            }
        }
    });
}

/// The largest difference of two float arrays, where NaN is equal to NaN and infinity to itself; 0 for equal
/// others. `None` where integers or truth values differ, or only one of two floats is finite.
pub(crate) fn distance(a: &Array, b: &Array) -> Option<f64> {
    if !a.dtype().is_float() || a.shape() != b.shape() || a.dtype() != b.dtype() {
        return (a == b).then_some(0.0);
    }
    let mut largest = 0.0f64;
    for (x, y) in numbers(a).into_iter().zip(numbers(b)) {
        if x == y || (x.is_nan() && y.is_nan()) {
            continue;
        }
        if !(x.is_finite() && y.is_finite()) {
            return None;
        }
        largest = largest.max((x - y).abs());
    }
    Some(largest)
}
