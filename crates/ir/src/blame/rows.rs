//! Which rows of the batch the elements of a value belong to.

use crate::plan::is_elementwise;
use crate::prim::{Op, Part, Scan, Source};
use crate::{Graph, NodeId, Shape};
use std::collections::HashMap;

/// The values that hold something for each row of the batch.
pub(super) struct Rows {
    /// Rows of the batch; 0 where there is none.
    batch: usize,
    /// For each value that is by row, how many elements come after each other until the row changes: element `e`
    /// belongs to row `e / period % batch`.
    periods: Vec<Option<usize>>,
    /// The same of the bodies of loops.
    bodies: HashMap<NodeId, Rows>,
    /// And of the results of loops.
    results: HashMap<NodeId, Vec<Option<usize>>>,
}

/// Where the rows are: an axis, and how many of its indices belong to one row before the next begins.
type Place = (usize, usize);

impl Rows {
    /// Of a graph whose first input begins with the axis of the rows.
    pub fn of(graph: &Graph) -> Rows {
        let batch = graph.inputs.first().and_then(|ty| ty.shape.first()).copied().unwrap_or(0);
        let inputs = graph.inputs.iter().map(|ty| {
            let is_by_row = batch > 0 && ty.shape.first() == Some(&batch);
            is_by_row.then(|| ty.shape.elements() / batch)
        });
        Rows::with_inputs(graph, batch, &inputs.collect::<Vec<_>>())
    }

    fn with_inputs(graph: &Graph, batch: usize, inputs: &[Option<usize>]) -> Rows {
        let periods = vec![None; graph.nodes.len()];
        let mut rows = Rows { batch, periods, bodies: HashMap::new(), results: HashMap::new() };
        for id in graph.ids().filter(|_| batch > 0) {
            rows.periods[id.index()] = rows.period(graph, id, inputs);
        }
        rows
    }

    /// The rows of the body of a loop.
    pub fn of_body(&self, scan: NodeId) -> Option<&Rows> {
        self.bodies.get(&scan)
    }

    /// The rows of these elements of a value, in order and each once; none where it is not by row.
    pub fn of_elements(&self, id: NodeId, elements: impl Iterator<Item = usize>) -> Vec<usize> {
        let Some(period) = self.periods[id.index()] else { return vec![] };
        let mut rows: Vec<usize> = elements.map(|element| element / period % self.batch).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn period(&mut self, graph: &Graph, id: NodeId, inputs: &[Option<usize>]) -> Option<usize> {
        let node = graph.node(id);
        let of = |k: usize| self.periods[node.inputs[k].index()];
        let shape = |k: usize| &graph.node(node.inputs[k]).ty.shape;
        // The axis of the rows of operand k, where it is one of this operation's.
        let at = |k: usize| place(shape(k), of(k)?, self.batch);
        let to = |(axis, each): Place, new: usize| {
            let same = |k: usize| shape(k).get(axis) == node.ty.shape.get(new);
            (0..node.inputs.len()).any(same).then(|| each * stride(&node.ty.shape, new))
        };
        match &node.op {
            Op::Source(Source::Input(i)) => inputs.get(*i as usize).copied().flatten(),
            op if is_elementwise(op) => (0..node.inputs.len()).find_map(of),
            Op::Reshape(_) | Op::StopGradient(_) | Op::CustomGrad(_) => of(0),
            Op::Permute(permute) => at(0).and_then(|p| to(p, permute.0.iter().position(|&a| a == p.0)?)),
            Op::Broadcast(_) => at(0).and_then(|p| to(p, p.0 + node.ty.shape.rank() - shape(0).rank())),
            Op::Flip(flip) => at(0).filter(|p| !flip.0.contains(&p.0)).and_then(|p| to(p, p.0)),
            Op::Slice(_) | Op::Pad(_) | Op::Pool(_) => at(0).and_then(|p| to(p, p.0)),
            Op::Concat(concat) => (0..node.inputs.len())
                .find_map(|k| at(k).filter(|p| p.0 != concat.0).and_then(|p| to(p, p.0))),
            Op::Sum(sum) => at(0).and_then(|p| to(p, without(&sum.0, p.0)?)),
            Op::Max(max) => at(0).and_then(|p| to(p, without(&max.0, p.0)?)),
            Op::ArgMax(argmax) => at(0).and_then(|p| to(p, without(&[argmax.0], p.0)?)),
            Op::Dot(dot) => {
                let (x, y) = (dot.free_x(shape(0).rank()), dot.free_y(shape(1).rank()));
                let in_batch = |axis: usize, of_x: bool| {
                    dot.batch.iter().position(|b| if of_x { b.0 == axis } else { b.1 == axis })
                };
                let first = dot.batch.len();
                let of_x =
                    |axis| in_batch(axis, true).or_else(|| Some(first + x.iter().position(|&a| a == axis)?));
                let of_y = |axis| {
                    in_batch(axis, false)
                        .or_else(|| Some(first + x.len() + y.iter().position(|&a| a == axis)?))
                };
                at(0).and_then(|p| to(p, of_x(p.0)?)).or_else(|| at(1).and_then(|p| to(p, of_y(p.0)?)))
            }
            Op::Conv(conv) if conv.part != Part::GradKernel => {
                at(0).filter(|p| p.0 == 0).and_then(|p| to(p, 0))
            }
            Op::Gather(gather) => {
                let rank = shape(1).rank();
                let of_x = |p: Place| match p.0.cmp(&gather.axis) {
                    std::cmp::Ordering::Less => to(p, p.0),
                    std::cmp::Ordering::Equal => None,
                    std::cmp::Ordering::Greater => to(p, p.0 + rank - 1),
                };
                at(1).and_then(|p| to(p, gather.axis + p.0)).or_else(|| at(0).and_then(of_x))
            }
            Op::ScatterAdd(scatter) => {
                let end = scatter.axis + shape(1).rank();
                at(0).and_then(|p| match p.0 {
                    axis if axis < scatter.axis => to(p, axis),
                    axis if axis >= end => to(p, axis + scatter.axis + 1 - end),
                    _ => None,
                })
            }
            Op::Scan(scan) => {
                let operands: Vec<Option<usize>> = (0..node.inputs.len()).map(of).collect();
                self.looped(graph, id, scan, operands);
                None
            }
            Op::ScanOutput(output) => self.results.get(&node.inputs[0])?.get(output.index).copied().flatten(),
            _ => None,
        }
    }

    /// Follows the rows through the body of a loop. A carry that begins without rows may get them on the way.
    fn looped(&mut self, graph: &Graph, id: NodeId, scan: &Scan, mut operands: Vec<Option<usize>>) {
        let sequence = scan.carries..scan.carries + scan.xs;
        for i in sequence {
            // An element of the sequence, so long as its rows are not along the axis of time.
            let shape = &graph.node(graph.node(id).inputs[i]).ty.shape;
            let inside = |&period: &usize| place(shape, period, self.batch).is_some_and(|p| p.0 > 0);
            operands[i] = operands[i].filter(inside);
        }
        let body = &scan.body;
        let out = |rows: &Rows| -> Vec<Option<usize>> {
            body.outputs.iter().map(|(_, id)| rows.periods[id.index()]).collect()
        };
        let mut rows = Rows::with_inputs(body, self.batch, &operands);
        for _ in 0..scan.carries {
            let results = out(&rows);
            let gains = |i: &usize| operands[*i].is_none() && results[*i].is_some();
            let Some(gained) = (0..scan.carries).find(gains) else { break };
            operands[gained] = results[gained];
            rows = Rows::with_inputs(body, self.batch, &operands);
        }
        // Stacked results have the axis of time before all others, which does not change a period.
        self.results.insert(id, out(&rows));
        self.bodies.insert(id, rows);
    }
}

/// Elements from one index of an axis to the next.
fn stride(shape: &Shape, axis: usize) -> usize {
    shape[axis + 1..].iter().product()
}

/// The axis that the rows are along, where they are along a single one.
fn place(shape: &Shape, period: usize, batch: usize) -> Option<Place> {
    let holds = |&axis: &usize| {
        let stride = stride(shape, axis);
        stride > 0 && period.is_multiple_of(stride) && (shape[axis] * stride).is_multiple_of(period * batch)
    };
    let axis = (0..shape.rank()).find(holds)?;
    Some((axis, period / stride(shape, axis)))
}

/// What an axis becomes when others are taken away; none where it is one of them.
fn without(axes: &[usize], axis: usize) -> Option<usize> {
    (!axes.contains(&axis)).then(|| axis - axes.iter().filter(|&&a| a < axis).count())
}
