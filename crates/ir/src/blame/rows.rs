//! Which rows of the batch the elements of a value belong to.

use crate::plan::is_elementwise;
use crate::prim::{Op, Part, Source};
use crate::{Graph, NodeId, Shape};

/// The values that hold something for each row of the batch, one row after the other.
pub(super) struct Rows {
    /// Rows of the batch; 0 where there is none.
    batch: usize,
    by_row: Vec<bool>,
}

impl Rows {
    /// Of a graph whose first input begins with the axis of the rows.
    pub fn of(graph: &Graph) -> Rows {
        let batch = graph.inputs.first().and_then(|ty| ty.shape.first()).copied().unwrap_or(0);
        let mut rows = Rows { batch, by_row: vec![false; graph.nodes.len()] };
        for id in graph.ids().filter(|_| batch > 0) {
            rows.by_row[id.index()] = rows.carries(graph, id);
        }
        rows
    }

    /// The rows of these elements of a value, in order and each once; none where it is not by row.
    pub fn of_elements(
        &self,
        graph: &Graph,
        id: NodeId,
        elements: impl Iterator<Item = usize>,
    ) -> Vec<usize> {
        if !self.by_row[id.index()] {
            return vec![];
        }
        let width = (graph.node(id).ty.shape.elements() / self.batch).max(1);
        let mut rows: Vec<usize> = elements.map(|element| element / width).collect();
        rows.dedup();
        rows
    }

    /// True where the first axis is that of the rows, or goes through several elements of each.
    fn leads(&self, shape: &Shape) -> bool {
        shape.first().is_some_and(|&len| len > 0 && len.is_multiple_of(self.batch))
    }

    fn carries(&self, graph: &Graph, id: NodeId) -> bool {
        let node = graph.node(id);
        let is = |k: usize| node.inputs.get(k).is_some_and(|x| self.by_row[x.index()]);
        let shape = |k: usize| &graph.node(node.inputs[k]).ty.shape;
        let keeps = |k: usize| is(k) && self.leads(shape(k)) && shape(k).first() == node.ty.shape.first();
        match &node.op {
            Op::Source(Source::Input(_)) => node.ty.shape.first() == Some(&self.batch),
            op if is_elementwise(op) => (0..node.inputs.len()).any(is),
            Op::Reshape(_) | Op::StopGradient(_) | Op::CustomGrad(_) => is(0),
            Op::Permute(permute) => permute.0.first() == Some(&0) && keeps(0),
            Op::Broadcast(_) => shape(0).rank() == node.ty.shape.rank() && keeps(0),
            Op::Flip(flip) => !flip.0.contains(&0) && keeps(0),
            Op::Slice(_) | Op::Pad(_) => keeps(0),
            Op::Concat(concat) => concat.0 > 0 && (0..node.inputs.len()).any(keeps),
            Op::Sum(sum) => !sum.0.contains(&0) && keeps(0),
            Op::Max(max) => !max.0.contains(&0) && keeps(0),
            Op::ArgMax(argmax) => argmax.0 > 0 && keeps(0),
            Op::Dot(dot) => {
                let first = dot.batch.first().is_none_or(|axes| axes.0 == 0);
                first && dot.contract.iter().all(|axes| axes.0 > 0) && keeps(0)
            }
            Op::Conv(conv) => conv.part != Part::GradKernel && keeps(0),
            Op::Pool(_) => keeps(0),
            Op::Gather(gather) if gather.axis == 0 => is(1) && self.leads(&node.ty.shape),
            Op::Gather(_) => keeps(0),
            Op::ScatterAdd(scatter) => scatter.axis > 0 && keeps(0),
            _ => false,
        }
    }
}
