//! Rows of chunks, of values that are the same on all ranks.

use super::rules::Axis;
use super::{Split, with_length};
use crate::plan::is_elementwise;
use crate::prim::{Broadcast, Op, repeated_axes};
use crate::{NodeId, Shape, TensorType};

impl Split<'_> {
    /// The rows of each chunk, of a node that is the same on all ranks: repeated values, and what is computed from them
    /// element by element, are made for these rows alone. Of random numbers a part is what it is of the whole.
    pub(super) fn restrict(&mut self, id: NodeId, axis: Axis) -> Result<Vec<NodeId>, String> {
        if let Some(known) = self.restricted.get(&(id, axis.axis, axis.per)) {
            return Ok(known.clone());
        }
        let node = self.old.node(id);
        let is_repeated = |from: &Shape| repeated_axes(from, &node.ty.shape).contains(&axis.axis);
        let elementwise = is_elementwise(&node.op) && !node.inputs.is_empty();
        let operands: Option<Vec<Vec<NodeId>>> = match &node.op {
            Op::Broadcast(_) if is_repeated(&self.old.node(node.inputs[0]).ty.shape) => {
                let x = self.whole(node.inputs[0], node.site)?;
                Some(vec![vec![x; self.chunks.len()]])
            }
            _ if elementwise => {
                let each = node.inputs.iter().map(|&x| self.restrict(x, axis));
                Some(each.collect::<Result<_, _>>()?)
            }
            _ => None,
        };
        let mut parts = Vec::new();
        for (i, chunk) in self.chunks.clone().into_iter().enumerate() {
            let range = chunk.start * axis.per..chunk.end * axis.per;
            let shape = with_length(&node.ty.shape, axis.axis, range.len());
            let ty = TensorType::new(node.ty.dtype, shape.clone());
            parts.push(match (&node.op, &operands) {
                (Op::Broadcast(_), Some(x)) => {
                    self.push(Broadcast(shape).into(), vec![x[0][i]], ty, node.site)
                }
                (op, Some(x)) => self.push(op.clone(), x.iter().map(|x| x[i]).collect(), ty, node.site),
                _ => {
                    let whole = self.whole(id, node.site)?;
                    self.slice(whole, axis.axis, range, node.site)
                }
            });
        }
        self.restricted.insert((id, axis.axis, axis.per), parts.clone());
        Ok(parts)
    }
}
