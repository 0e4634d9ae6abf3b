//! New state that is put together from parts, as ranks do that divide an optimizer: each part is written to its place of
//! the whole as soon as it is there, so that no part waits beside the whole for the others.

use super::Lowering;
use crate::plan::View;
use crate::plan::group::{base, is_elementwise};
use crate::prim::Op;
use crate::{Graph, NodeId, SlotId};
use std::collections::HashMap;

/// The concatenations that are next values of slots, and whose operands lie one after the other in memory.
#[derive(Default)]
pub(super) struct Parts {
    /// The operands that are made in a step, by the node that is made: concatenation and operand.
    of: HashMap<NodeId, Vec<(NodeId, usize)>>,
    /// The places of operands, and whether each has been written; of those that have begun.
    begun: HashMap<NodeId, Vec<(View, bool)>>,
}

impl Parts {
    pub fn new(graph: &Graph, claimed: &HashMap<NodeId, SlotId>) -> Parts {
        let mut of: HashMap<_, Vec<_>> = HashMap::new();
        for id in graph.ids().filter(|id| claimed.contains_key(id)) {
            let node = graph.node(id);
            let Op::Concat(concat) = &node.op else { continue };
            let is_one_row = node.ty.shape[..concat.0].iter().all(|&len| len == 1);
            if !is_one_row || node.ty.shape.elements() == 0 {
                continue;
            }
            for (i, &x) in node.inputs.iter().enumerate() {
                of.entry(base(graph, x)).or_default().push((id, i));
            }
        }
        Parts { of, begun: HashMap::new() }
    }
}

impl Lowering<'_> {
    /// The places of the operands of a concatenation.
    fn places(&mut self, id: NodeId) -> &mut Vec<(View, bool)> {
        if !self.parts.begun.contains_key(&id) {
            let out = self.own_buffer(id);
            let Op::Concat(concat) = &self.graph.node(id).op else {
                return self.parts.begun.entry(id).or_default();
            };
            let mut start = 0;
            let mut place = |x: &NodeId| {
                let part = &self.graph.node(*x).ty.shape;
                let offset = start * out.strides[concat.0] as usize;
                start += part[concat.0];
                (View { dims: part.to_vec(), offset, ..out.clone() }, false)
            };
            let places = self.graph.node(id).inputs.iter().map(&mut place).collect();
            self.parts.begun.insert(id, places);
        }
        self.parts.begun.entry(id).or_default()
    }

    /// Writes the operands of a concatenation that have not been written.
    pub(super) fn concat(&mut self, id: NodeId) {
        for i in 0..self.graph.node(id).inputs.len() {
            self.part(id, i);
        }
    }

    fn part(&mut self, id: NodeId, i: usize) {
        let (to, is_written) = &mut self.places(id)[i];
        if !std::mem::replace(is_written, true) {
            let to = to.clone();
            let load = self.load(self.graph.node(id).inputs[i]);
            self.store(id, load, to);
        }
    }

    /// Writes what has just been made to the wholes of which it is a part.
    pub(super) fn parts_of(&mut self, made: NodeId) {
        for (id, i) in self.parts.of.get(&made).cloned().unwrap_or_default() {
            self.part(id, i);
        }
    }

    /// The memory of an elementwise result: its place in the whole that it is a part of, or a buffer of its own.
    pub(super) fn memory_of(&mut self, made: NodeId) -> View {
        let own = self.graph.node(made);
        let whole = self.parts.of.get(&made).and_then(|of| {
            let is_all = |&&(id, i): &&(NodeId, usize)| self.graph.node(id).inputs[i] == made;
            of.iter().find(is_all).copied()
        });
        let is_free = is_elementwise(&own.op) && !self.claimed.contains_key(&made);
        match whole.filter(|(id, _)| is_free && (self.checked[id.index()] || !self.checked[made.index()])) {
            Some((id, i)) => {
                let (to, is_written) = &mut self.places(id)[i];
                *is_written = true;
                let view = to.clone();
                self.placed[made.index()] = Some(view.clone());
                view
            }
            None => self.own_buffer(made),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{Home, Options, Regions, StepKind, plan};
    use crate::prim::Control;
    use crate::{Array, DType, Mode, Role, Store, Tape, Var, concat};

    #[test]
    fn parts_of_new_state_are_made_in_their_places() {
        let mut store = Store::new();
        let slot = store.add("w", Role::Parameter, Array::zeros(DType::F32, [4, 300])).unwrap();
        let tape = Tape::new(Mode::Train);
        let x = tape.input::<f32>([500]);
        tape.updating(|| {
            let rate = Var::<f64>::of(tape.control(Control::LearningRate)).cast::<f32>();
            let first = x.tanh() * rate;
            // Of the first part, and copied: another's reversed elements.
            let parts =
                [first, (first * 2.0).flip([0]), x.reshape([5, 100]).sum([0]) * rate, x.narrow(0, 0, 100)];
            let whole: Var<f32> = concat(&tape, &parts, 0);
            tape.assign(slot, whole.reshape([4, 300]).node());
        });
        let (graph, _) = tape.finish().unwrap();
        let options = Options { regions: Regions::None, ..Options::default() };
        let plan = plan(&graph, options).unwrap();
        let spare = |step: &crate::plan::PlanStep| {
            let to_spare = step.writes().iter().any(|v| plan.buffer(v.buffer).home == Home::Spare(slot));
            let StepKind::Fused { program, .. } = &step.kind else { return None };
            to_spare.then_some(program.instrs.len())
        };
        let written: Vec<usize> = plan.steps.iter().filter_map(spare).collect();
        assert!(written.contains(&0) && written.iter().any(|&n| n > 0), "copies and results: {written:?}");
        let copies = written.iter().filter(|&&n| n == 0).count();
        assert_eq!(copies, 2, "what is reversed, and what is given: {written:?}");
        // What is reversed, before it is copied; what is added up; the rate.
        assert!(plan.arena_bytes <= 4 * (512 + 112 + 16), "{} bytes", plan.arena_bytes);
    }
}
