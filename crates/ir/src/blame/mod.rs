//! Blame: the operation that made the first value that is not finite.
//!
//! The step is run again, node by node, with whichever kernels, and each value is looked at. Of the operations
//! that made a bad value from good ones, those count from which bad values lead to a root: a logarithm of 0
//! whose `exp` is 0 again is innocent. Infinities that are written in the graph, as masks and borders are, are
//! named only where nothing else can be. Of a loop, the operation in its body is named.

use crate::interpreter::{ControlBlock, Env, eval_node};
use crate::plan::{base, is_elementwise};
use crate::prim::Op;
use crate::prim::cast::{Convert, Wide};
use crate::{Array, Graph, NodeId, dispatch};
use rows::Rows;

mod report;
mod rows;

pub use report::{Blame, Unexplained, listed};

/// What computes a node when a step is run again.
pub trait Kernels {
    /// The value of a node from those of its inputs. Sources, constants and loops do not come here.
    fn eval(
        &mut self,
        graph: &Graph,
        id: NodeId,
        x: &[&Array],
        control: &ControlBlock,
    ) -> Result<Array, String>;
}

/// The interpreter's evaluation of each primitive.
pub struct Reference;

impl Kernels for Reference {
    fn eval(&mut self, graph: &Graph, id: NodeId, x: &[&Array], _: &ControlBlock) -> Result<Array, String> {
        let node = graph.node(id);
        node.op.primitive().eval(x, &node.ty).map_err(|what| graph.located(id, &what))
    }
}

/// Runs the graph again and names the operation that made a root not finite. `None` where all roots are finite.
pub fn blame(graph: &Graph, env: &Env, kernels: &mut dyn Kernels) -> Result<Option<Blame>, String> {
    let rows = Rows::of(graph);
    let mut run = Rerun::new(graph, env, Some(&rows), false);
    alone(graph, || run.all(kernels))?;
    Ok(run.culprit().map(|made| made.blame))
}

/// Runs a graph again without asking other ranks for what they have given already.
pub fn alone<T>(graph: &Graph, run: impl FnOnce() -> T) -> T {
    let replay = |again| graph.ranks().into_iter().for_each(|ranks| ranks.replay(again));
    replay(true);
    let done = run();
    replay(false);
    done
}

/// How far a value is from being finite.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Finite,
    Infinite,
    NotANumber,
}

/// What is known of a value that is not finite.
#[derive(Clone)]
struct Bad {
    worst: State,
    /// The inputs that it comes from.
    from: Vec<NodeId>,
    /// Set where the node made it from better values.
    made: Option<Made>,
}

#[derive(Clone)]
struct Made {
    blame: Blame,
    /// True where it stands so in the graph.
    on_purpose: bool,
}

struct Rerun<'a> {
    graph: &'a Graph,
    env: &'a Env,
    /// True for the body of a loop, whose inputs have been judged outside of it.
    inside: bool,
    /// Which values are by row; unknown in the bodies of some loops.
    rows: Option<&'a Rows>,
    /// Values that are needed still; a loop has several.
    values: Vec<Vec<Array>>,
    bad: Vec<Option<Bad>>,
}

impl<'a> Rerun<'a> {
    fn new(graph: &'a Graph, env: &'a Env, rows: Option<&'a Rows>, inside: bool) -> Rerun<'a> {
        let n = graph.nodes.len();
        Rerun { graph, env, inside, rows, values: vec![vec![]; n], bad: vec![None; n] }
    }

    /// Computes and judges every node.
    fn all(&mut self, kernels: &mut dyn Kernels) -> Result<(), String> {
        let (live, last) = (self.graph.live(), last_uses(self.graph));
        for id in self.graph.ids().filter(|id| live[id.index()]) {
            let (values, inner) = self.compute(id, kernels)?;
            self.bad[id.index()] = self.judge(id, &values, inner);
            self.values[id.index()] = values;
            let inputs = self.graph.node(id).inputs.iter().chain([&id]);
            for x in inputs.filter(|x| last[x.index()] == id.index()) {
                self.values[x.index()].clear();
            }
        }
        Ok(())
    }

    fn compute(&self, id: NodeId, kernels: &mut dyn Kernels) -> Result<(Vec<Array>, Option<Made>), String> {
        let node = self.graph.node(id);
        let one = |value| Ok((vec![value], None));
        match &node.op {
            Op::Source(_) | Op::Constant(_) => one(eval_node(self.graph, id, self.env, &[])?),
            Op::ScanOutput(output) => one(self.values[node.inputs[0].index()][output.index].clone()),
            Op::Scan(scan) => {
                let mut found: Option<Made> = None;
                let results = scan.run_with(&self.operands(id)?, |t, inputs| {
                    let env = Env { inputs, control: self.env.control.clone(), ..Env::default() };
                    let rows = self.rows.and_then(|rows| rows.of_body(id));
                    let mut body = Rerun::new(&scan.body, &env, rows, true);
                    body.all(kernels)?;
                    let mut new = body.culprit();
                    new.iter_mut().for_each(|made| made.blame.times.insert(0, t));
                    found = found.take().into_iter().chain(new).min_by_key(|made| made.on_purpose);
                    Ok(body.outputs())
                })?;
                Ok((results, found))
            }
            _ => one(kernels.eval(self.graph, id, &self.operands(id)?, &self.env.control)?),
        }
    }

    fn operands(&self, id: NodeId) -> Result<Vec<&Array>, String> {
        let x = self.graph.node(id).inputs.iter().map(|x| self.values[x.index()].first());
        x.collect::<Option<_>>().ok_or_else(|| self.graph.located(id, "an operand has no value"))
    }

    fn outputs(&self) -> Vec<Array> {
        self.graph.outputs.iter().filter_map(|(_, id)| self.values[id.index()].first().cloned()).collect()
    }

    /// What is to be said of the value of a node, where it is not finite. `inner` is what the body of a loop did.
    fn judge(&self, id: NodeId, values: &[Array], inner: Option<Made>) -> Option<Bad> {
        let node = self.graph.node(id);
        if let Op::AllReduceStart(start) = &node.op {
            return self.handed_on(&node.inputs[..start.pieces]);
        }
        let worst = values.iter().map(worst).max().filter(|&state| state != State::Finite)?;
        let of_input = |x: &NodeId| self.bad[x.index()].as_ref().map_or(State::Finite, |bad| bad.worst);
        let elementwise = is_elementwise(&node.op);
        let (mut from, mut element) = (vec![], None);
        // What was made here goes through a token that is finite; the rest came from another rank.
        let is_own = matches!(node.op, Op::AllReduceDone(_)) && of_input(&node.inputs[0]) != State::Finite;
        if elementwise {
            // Each element comes from those at its own place alone.
            let own = states(&values[0]);
            let mut before = vec![State::Finite; own.len()];
            for &x in node.inputs.iter().filter(|x| of_input(x) != State::Finite) {
                let states = states(&self.values[x.index()][0]);
                if own.iter().zip(&states).any(|(y, x)| *y.min(x) != State::Finite) {
                    from.push(x);
                }
                before.iter_mut().zip(states).for_each(|(b, s)| *b = s.max(*b));
            }
            element = own.iter().zip(&before).position(|(y, x)| y > x);
        } else if !is_own && node.inputs.iter().map(of_input).max().is_none_or(|x| x < worst) {
            element = states(&values[0]).iter().position(|&state| state == worst).or(Some(0));
        }
        if !elementwise {
            from = node.inputs.iter().copied().filter(|x| of_input(x) != State::Finite).collect();
        }
        let given = self.inside && matches!(node.op, Op::Source(_));
        let here = |element| Made {
            blame: self.here(id, &values[0], element),
            on_purpose: writes(&node.op) >= worst,
        };
        let made = inner.or_else(|| element.filter(|_| !given).map(here));
        Some(Bad { worst, from, made })
    }

    /// What is to be said of a token that stands for values which are given to all ranks.
    fn handed_on(&self, pieces: &[NodeId]) -> Option<Bad> {
        let bad = pieces.iter().filter_map(|x| Some((*x, self.bad[x.index()].as_ref()?.worst)));
        let (from, worst): (Vec<NodeId>, Vec<State>) = bad.unzip();
        Some(Bad { worst: worst.into_iter().max()?, from, made: None })
    }

    fn here(&self, id: NodeId, value: &Array, element: usize) -> Blame {
        let node = self.graph.node(id);
        let bad = states(value).into_iter().enumerate().filter(|(_, state)| *state != State::Finite);
        let rows = self.rows.map_or(vec![], |rows| rows.of_elements(id, bad.map(|b| b.0)));
        let ranges = node.inputs.iter().filter_map(|x| self.values[x.index()].first()).map(range);
        Blame {
            operation: node.op.name().to_string(),
            layer: self.graph.layer(id).to_string(),
            location: node.site.location.to_string(),
            phase: node.site.phase,
            step: self.env.control.step,
            element,
            rows,
            times: vec![],
            ranges: ranges.collect(),
        }
    }

    /// The first node that made a bad value from which bad values lead to a root.
    fn culprit(&self) -> Option<Made> {
        let mut reached = vec![false; self.graph.nodes.len()];
        for root in self.graph.roots() {
            // What a root is a view of is checked as a whole.
            reached[root.index()] = true;
            reached[base(self.graph, root).index()] = true;
        }
        for id in self.graph.ids().rev() {
            if let (true, Some(bad)) = (reached[id.index()], &self.bad[id.index()]) {
                bad.from.iter().for_each(|x| reached[x.index()] = true);
            }
        }
        let bad = self.bad.iter().zip(reached).filter(|(_, reached)| *reached);
        let made = bad.filter_map(|(bad, _)| bad.as_ref()?.made.clone());
        made.min_by_key(|made| made.on_purpose)
    }
}

/// The last node that needs each value.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    for id in graph.ids() {
        graph.node(id).inputs.iter().for_each(|x| last[x.index()] = id.index());
    }
    graph.outputs.iter().for_each(|(_, id)| last[id.index()] = usize::MAX);
    last
}

/// The worst that an operation writes because the graph says so.
fn writes(op: &Op) -> State {
    match op {
        Op::Constant(constant) => worst(&constant.0),
        Op::Pad(pad) => state(f64::from_bits(pad.value)),
        _ => State::Finite,
    }
}

fn state(x: f64) -> State {
    if x.is_finite() {
        State::Finite
    } else if x.is_infinite() {
        State::Infinite
    } else {
        State::NotANumber
    }
}

fn worst(array: &Array) -> State {
    numbers(array).into_iter().map(state).max().unwrap_or(State::Finite)
}

fn states(array: &Array) -> Vec<State> {
    numbers(array).into_iter().map(state).collect()
}

/// Smallest and largest element.
fn range(array: &Array) -> (f64, f64) {
    numbers(array).iter().fold((f64::INFINITY, f64::NEG_INFINITY), |r, &x| (r.0.min(x), r.1.max(x)))
}

/// The elements as `f64`; of complex ones the real part, or the imaginary one where that is not finite.
fn numbers(array: &Array) -> Vec<f64> {
    dispatch!(array.dtype(), T => {
        let values = array.as_slice::<T>().unwrap_or_default();
        values.iter().map(|v| match Convert::to_wide(*v) {
            Wide::Int(x) => x as f64,
            Wide::Float(x) => x,
            Wide::Complex(re, im) => if im.is_finite() { re } else { im },
        }).collect()
    })
}
