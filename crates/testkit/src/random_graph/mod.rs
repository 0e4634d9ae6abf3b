//! Random training steps: graphs over all operations and element types, with gradients and state, and what
//! they must compute.
//!
//! A graph is drawn operation by operation on a tape that computes real values along (`draw`), so that no
//! infinity and no huge number arises. What it must give is the interpreter's result; how far another
//! executor may be off is measured in `reference`.

mod draw;
mod reference;

pub(crate) use reference::distance;
pub use reference::{Expected, STEPS};

use crate::rng::Rng;
use draw::Draw;
use ironlearn_ir::prim::{Control, OpKind};
use ironlearn_ir::{
    Array, ControlBlock, DType, Dyn, Env, Graph, Mode, Role, SlotId, Store, Tape, TensorType, Var, dispatch,
};

/// What graphs to draw.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many operations are drawn; gradients come on top. Fewer give a smaller graph that begins alike.
    pub operations: usize,
    /// Kinds of operation to leave out.
    pub without: Vec<OpKind>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { operations: 30, without: vec![] }
    }
}

/// A training step with all it needs to run, and what it must give.
pub struct RandomGraph {
    /// The seed that it was drawn from, and how often drawing had to be repeated.
    pub name: String,
    /// The step.
    pub graph: Graph,
    /// The state before the first step.
    pub store: Store,
    /// Inputs of every step.
    pub inputs: Vec<Array>,
    /// What each of [`STEPS`] steps must give.
    pub expected: Vec<Expected>,
}

impl RandomGraph {
    /// The number of nodes that a result depends on.
    pub fn size(&self) -> usize {
        self.graph.live().iter().filter(|&&live| live).count()
    }
}

/// The control block of a step.
pub fn control(step: usize) -> ControlBlock {
    ControlBlock {
        step: 3 + step as i64,
        seed: 11,
        first_row: 2,
        learning_rate: 0.25,
        numbers: vec![0.5, -1.25],
    }
}

/// The graph of a seed. Graphs whose results hang on single roundings are drawn again.
pub fn random_graph(seed: u64, settings: &Settings) -> RandomGraph {
    for attempt in 0u64.. {
        let mut rng = Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(attempt));
        let (store, inputs) = surroundings(&mut rng);
        let graph = match trace(&store, &inputs, &mut rng, settings) {
            Ok(graph) => graph,
            // The generator only draws what fits; a mistake is one of its own, or of a derivative rule.
            Err(message) => panic!("random graph {seed}, attempt {attempt}: {message}"),
        };
        if let Some(expected) = reference::expect(&graph, &store, &inputs, &mut rng) {
            return RandomGraph { name: format!("seed {seed}.{attempt}"), graph, store, inputs, expected };
        }
    }
    unreachable!("one of endless attempts succeeds")
}

/// The graph with the fewest operations, of those that this seed begins with, for which `fails` holds.
pub fn smallest(seed: u64, settings: &Settings, fails: impl Fn(&RandomGraph) -> bool) -> Option<RandomGraph> {
    let fewer = |operations| random_graph(seed, &Settings { operations, ..settings.clone() });
    (0..=settings.operations).map(fewer).find(fails)
}

/// Random small values: floats in −1.5..1.5, integers in −9..=9 (0..=9 where unsigned).
pub(crate) fn random_array(dtype: DType, shape: &[usize], rng: &mut Rng) -> Array {
    let n: usize = shape.iter().product();
    let low = if matches!(dtype, DType::U8 | DType::U32) { 0 } else { -9 };
    let values: Vec<f64> = match dtype {
        DType::Bool => (0..n).map(|_| rng.below(2) as f64).collect(),
        _ if dtype.is_float() => rng.floats(n, -1.5, 1.5),
        _ => (0..n).map(|_| rng.int(low, 9) as f64).collect(),
    };
    let made = dispatch!(dtype, T => {
        Array::of(shape.to_vec(), values.iter().map(|&v| ironlearn_ir::prim::cast::from_f64::<T>(v)).collect())
    });
    made.unwrap_or_else(|_| Array::zeros(dtype, shape.to_vec()))
}

/// The elements as `f64`.
pub(crate) fn numbers(a: &Array) -> Vec<f64> {
    use ironlearn_ir::prim::Primitive;
    let ty = TensorType::new(DType::F64, a.shape().clone());
    let wide = ironlearn_ir::prim::Cast(DType::F64).eval(&[a], &ty);
    wide.ok().and_then(|w| w.as_slice::<f64>().map(<[f64]>::to_vec)).unwrap_or_default()
}

/// State and inputs: `f32` always, three other types each.
fn surroundings(rng: &mut Rng) -> (Store, Vec<Array>) {
    let rows = if rng.one_in(25) { 0 } else { rng.pick(&[1, 2, 3, 5, 8, 17, 33]) };
    let width = rng.pick(&[1, 2, 3, 4, 7, 16, 19]);
    let types = &DType::ALL[..11];
    let mut inputs =
        vec![random_array(DType::F32, &[rows, width], rng), random_array(DType::F32, &[width], rng)];
    let shapes = [vec![rows, width], vec![rows, 1], vec![width], vec![]];
    for _ in 0..3 {
        let shape = &shapes[rng.below(4)];
        inputs.push(random_array(rng.pick(types), shape, rng));
    }
    let mut store = Store::new();
    let mut add = |name: &str, role, value| store.add(name, role, value).map(|_| ());
    let hidden = rng.pick(&[1, 3, 6]);
    let made = add("weight", Role::Parameter, random_array(DType::F32, &[width, hidden], rng))
        .and_then(|()| add("bias", Role::Parameter, random_array(DType::F32, &[width], rng)))
        .and_then(|()| add("count", Role::Progress, Array::scalar(3i64)));
    let floats = [DType::F16, DType::Bf16, DType::F64];
    let made = made
        .and_then(|()| add("other", Role::Parameter, random_array(rng.pick(&floats), &[width], rng)))
        .and_then(|()| add("state", Role::Statistic, random_array(rng.pick(types), &[rows, width], rng)));
    debug_assert!(made.is_ok());
    (store, inputs)
}

/// Draws the graph.
fn trace(store: &Store, inputs: &[Array], rng: &mut Rng, settings: &Settings) -> Result<Graph, String> {
    let env = Env::new(inputs.to_vec(), store, control(0));
    let tape = Tape::with_shadow(Mode::Train, env);
    let mut draw = Draw::new(&tape, rng, &settings.without);
    for a in inputs {
        draw.keep(tape.input_of(TensorType::new(a.dtype(), a.shape().clone())));
    }
    let slots: Vec<(SlotId, Dyn<'_>)> = store.ids().map(|id| (id, tape.slot(id, store.ty(id)))).collect();
    slots.iter().for_each(|&(_, value)| draw.keep(value));
    for _ in 0..settings.operations {
        draw.operation();
    }
    let loss = loss(&tape, &draw.pool);
    tape.output("loss", loss);
    for i in 0..5 {
        let value = draw.any();
        tape.output(&format!("y{i}"), value);
    }
    update(&tape, &mut draw, loss, &slots);
    tape.finish().map(|(graph, _)| graph).map_err(|e| e.to_string())
}

/// A scalar that depends on every float of the pool.
fn loss<'g>(tape: &'g Tape, pool: &[Dyn<'g>]) -> Dyn<'g> {
    let mut loss = tape.scalar_of(DType::F32, 0.0);
    for (i, x) in pool.iter().enumerate().filter(|(_, x)| x.dtype().is_float()) {
        let bounded = Var::<f32>::of(x.cast(DType::F32)).tanh().node();
        let weight = 1.0 / (1.0 + x.shape().elements() as f64 + (i % 3) as f64);
        loss = loss + bounded.sum(&(0..x.rank()).collect::<Vec<_>>()) * weight;
    }
    loss
}

/// Gradients for the parameters, and new values for all slots.
fn update<'g>(tape: &'g Tape, draw: &mut Draw<'_, 'g>, loss: Dyn<'g>, slots: &[(SlotId, Dyn<'g>)]) {
    let (floats, others): (Vec<_>, Vec<_>) =
        slots.iter().copied().partition(|(_, value)| value.dtype().is_float());
    let wrt: Vec<Dyn<'g>> = floats.iter().map(|f| f.1).chain([draw.pool[0]]).collect();
    let grads = tape.grad(loss, &wrt);
    tape.output("slope", grads[wrt.len() - 1]);
    tape.updating(|| {
        let rate = tape.control(Control::LearningRate);
        for (&(slot, value), g) in floats.iter().zip(&grads) {
            let g = Var::<f32>::of(g.cast(DType::F32)).tanh().node();
            tape.assign(slot, value - (g * rate.cast(DType::F32)).cast(value.dtype()));
        }
        for &(slot, value) in &others {
            let new = draw.of_type(&value.ty()).unwrap_or(value);
            let counts = value.dtype() != DType::Bool;
            tape.assign(slot, if counts { new + 1.0 } else { new });
        }
    });
}
