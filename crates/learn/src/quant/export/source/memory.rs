//! Where values lie: in the input, in the output, or in buffers that values of other times share.

use crate::quant::arithmetic::Code;
use crate::quant::model::{IntegerModel, Op};

/// Where a value lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Input,
    Output,
    /// In this buffer, from its beginning.
    Buffer(usize),
}

/// A part of the scratch.
pub struct Buffer {
    pub code: Code,
    pub len: usize,
    /// The node until which its value is needed.
    until: usize,
}

/// Where all values lie.
pub struct Memory {
    pub buffers: Vec<Buffer>,
    /// Of each value; `None` where nothing that comes out depends on it.
    pub places: Vec<Option<Place>>,
}

impl Memory {
    pub fn of(model: &IntegerModel) -> Memory {
        let roots = roots(model);
        let last_use = last_uses(model, &roots);
        let output = roots[model.nodes.len()];
        let mut memory = Memory { buffers: Vec::new(), places: vec![None; roots.len()] };
        memory.places[0] = Some(Place::Input);
        for (i, node) in model.nodes.iter().enumerate() {
            let value = i + 1;
            memory.places[value] = match last_use[value] {
                None => None,
                Some(_) if roots[value] != value => memory.places[roots[value]],
                Some(_) if value == output => Some(Place::Output),
                Some(until) => Some(Place::Buffer(memory.buffer(
                    i,
                    until,
                    node.output.quantization.code,
                    node.output.elements(),
                ))),
            };
        }
        memory
    }

    /// A buffer that is free at node `now`: the smallest that is long enough, or else the longest, longer.
    fn buffer(&mut self, now: usize, until: usize, code: Code, len: usize) -> usize {
        let free = self.buffers.iter().enumerate().filter(|(_, b)| b.code == code && b.until < now);
        let best = free.min_by_key(|(_, b)| if b.len >= len { (0, b.len) } else { (1, len - b.len) });
        let index = best.map_or(self.buffers.len(), |(index, _)| index);
        match self.buffers.get_mut(index) {
            Some(buffer) => (buffer.until, buffer.len) = (until, buffer.len.max(len)),
            None => self.buffers.push(Buffer { code, len, until }),
        }
        index
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(|b| b.len * b.code.dtype().size()).sum()
    }
}

/// For each value, that whose codes it has: itself, or what it is another shape of.
fn roots(model: &IntegerModel) -> Vec<usize> {
    let mut roots = vec![0];
    for (i, node) in model.nodes.iter().enumerate() {
        roots.push(if matches!(node.op, Op::Reshape) { roots[node.inputs[0]] } else { i + 1 });
    }
    roots
}

/// For each value, the last node that takes it or another shape of it, if what comes out depends on it.
fn last_uses(model: &IntegerModel, roots: &[usize]) -> Vec<Option<usize>> {
    let end = model.nodes.len();
    let mut last_use = vec![None; end + 1];
    (last_use[end], last_use[roots[end]]) = (Some(end), Some(end));
    for (i, node) in model.nodes.iter().enumerate().rev() {
        if last_use[i + 1].is_some() {
            for &input in &node.inputs {
                for value in [input, roots[input]] {
                    last_use[value] = last_use[value].max(Some(i));
                }
            }
        }
    }
    last_use
}
