//! Matrix products that are hardly any: with one, two or three terms. Written out they are computed together with what
//! stands around them.

use super::rewrite::Rewrite;
use crate::graph::Site;
use crate::prim::elementwise::{Add, MapRef, Mul};
use crate::prim::{Broadcast, Dot, Op, Permute, Range, Slice};
use crate::{DType, Graph, NodeId, Shape};

/// The most terms of a product that is written out.
const TERMS: usize = 3;

/// Writes thin products of `f32` matrices as multiplications and additions.
pub fn thin_products(graph: &Graph) -> Graph {
    let mut rewrite = Rewrite::new(graph);
    for id in graph.ids() {
        let node = graph.node(id);
        let of_floats = |x: &NodeId| graph.node(*x).ty.dtype == DType::F32;
        let made = match &node.op {
            Op::Dot(dot) if node.inputs.iter().all(of_floats) => thin(&mut rewrite, graph, id, dot),
            _ => None,
        };
        match made {
            Some(made) => rewrite.stands_for(id, made),
            None => rewrite.copy(id),
        }
    }
    rewrite.finish()
}

/// The product of two matrices in another way, where that is better.
fn thin(r: &mut Rewrite<'_>, graph: &Graph, id: NodeId, dot: &Dot) -> Option<NodeId> {
    let node = graph.node(id);
    let (x, y) = (node.inputs[0], node.inputs[1]);
    let (shape_x, shape_y) = (&graph.node(x).ty.shape, &graph.node(y).ty.shape);
    let [(cx, cy)] = dot.contract[..] else { return None };
    if !dot.batch.is_empty() || shape_x.rank() != 2 || shape_y.rank() != 2 {
        return None;
    }
    let (m, n, k) = (shape_x[1 - cx], shape_y[1 - cy], shape_x[cx]);
    if !(1..=TERMS).contains(&k) {
        return None;
    }
    let site = node.site;
    let (x, y) = (turned(r, x, cx == 0, site), turned(r, y, cy == 1, site));
    let whole = Shape::from([m, n]);
    let term = |r: &mut Rewrite<'_>, t: usize| {
        let column = part(r, x, [0..m, t..t + 1], site);
        let row = part(r, y, [t..t + 1, 0..n], site);
        let (column, row) = (spread(r, column, &whole, site), spread(r, row, &whole, site));
        r.push(Op::Map(MapRef::of::<Mul>()), vec![column, row], whole.clone(), site)
    };
    let first = term(r, 0);
    Some((1..k).fold(first, |sum, t| {
        let next = term(r, t);
        r.push(Op::Map(MapRef::of::<Add>()), vec![sum, next], whole.clone(), site)
    }))
}

/// The operand as `[rows, columns]` of the product.
fn turned(r: &mut Rewrite<'_>, id: NodeId, turn: bool, site: Site) -> NodeId {
    let new = r.new_id(id);
    if !turn {
        return new;
    }
    let shape = r.shape(new);
    r.push(Permute(vec![1, 0]).into(), vec![new], [shape[1], shape[0]].into(), site)
}

fn part(r: &mut Rewrite<'_>, id: NodeId, axes: [std::ops::Range<usize>; 2], site: Site) -> NodeId {
    let shape = Shape::from([axes[0].len(), axes[1].len()]);
    let ranges = axes.map(|a| Range { start: a.start, len: a.len(), step: 1 });
    r.push(Slice(ranges.into()).into(), vec![id], shape, site)
}

fn spread(r: &mut Rewrite<'_>, id: NodeId, shape: &Shape, site: Site) -> NodeId {
    r.push(Broadcast(shape.clone()).into(), vec![id], shape.clone(), site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Array, ControlBlock, Env, Mode, Store, Tape, interpret};

    #[test]
    fn thin_products_have_the_values_of_products() {
        for (m, k, n) in [(5, 2, 4), (5, 1, 4), (4, 3, 1), (1, 2, 1)] {
            for (tx, ty) in [(false, false), (true, false), (false, true), (true, true)] {
                let tape = Tape::new(Mode::Infer);
                let shape = |a, b, turn| if turn { [b, a] } else { [a, b] };
                let (sx, sy) = (shape(m, k, tx), shape(k, n, ty));
                let (x, y) = (tape.input::<f32>(sx), tape.input::<f32>(sy));
                let left = if tx { x.permute([1, 0]) } else { x };
                let right = if ty { y.permute([1, 0]) } else { y };
                tape.output("z", left.dot(right).node());
                let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
                let thin = thin_products(&graph);
                assert!(!thin.nodes.iter().any(|n| matches!(n.op, Op::Dot(_))), "{m} {k} {n}:\n{thin}");
                let numbers = |[a, b]: [usize; 2]| {
                    let values = (0..a * b).map(|i| ((i * 7 % 11) as f32 - 5.0) / 4.0).collect();
                    Array::of([a, b], values).unwrap_or_else(|e| panic!("{e}"))
                };
                let env = Env::new(vec![numbers(sx), numbers(sy)], &Store::new(), ControlBlock::default());
                let value = |graph: &Graph| {
                    let values = interpret(graph, &env).unwrap_or_else(|e| panic!("{e}"));
                    values[graph.outputs[0].1.index()].clone()
                };
                // Sums of few multiples of 1/16: exact in any order.
                assert_eq!(value(&thin), value(&graph), "{m} {k} {n} {tx} {ty}");
            }
        }
    }
}
