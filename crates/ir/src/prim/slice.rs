//! A regular part: along each axis `start, start + step, …`, `len` of them.

use super::{Cost, Derivative, Misfit, Op, Primitive, move_elements};
use crate::{Array, Shape, TensorType};

/// The part of one axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Range {
    /// First index.
    pub start: usize,
    /// Number of elements.
    pub len: usize,
    /// Distance between elements, at least 1.
    pub step: usize,
}

/// One range for each axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slice(pub Vec<Range>);

impl Primitive for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        if self.0.len() != x[0].shape.rank() {
            return Err(Misfit::new(format!(
                "{} ranges for the {} axes of {}",
                self.0.len(),
                x[0].shape.rank(),
                x[0].shape
            )));
        }
        let out = TensorType::new(x[0].dtype, self.0.iter().map(|r| r.len).collect::<Vec<_>>());
        for (axis, (r, &n)) in self.0.iter().zip(x[0].shape.iter()).enumerate() {
            let last = r.len.saturating_sub(1).saturating_mul(r.step).saturating_add(r.start);
            if r.step == 0 || (r.len > 0 && last >= n) {
                let message = format!(
                    "axis {axis} of {} has no elements {}, step {}, {} of them",
                    x[0].shape, r.start, r.step, r.len
                );
                return Err(Misfit::with_guess(message, out));
            }
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let strides = x[0].shape().strides();
        move_elements(x[0], out, 0.0, |index| {
            Some((0..index.len()).map(|a| (self.0[a].start + index[a] * self.0[a].step) * strides[a]).sum())
        })
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Slice(slice) = p.op else { return vec![None] };
            p.all([spread(p.g, &slice.0, &p.x0().shape())])
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}

/// `g` put where the ranges took their elements from, zeros elsewhere.
fn spread<'g>(g: crate::Dyn<'g>, ranges: &[Range], to: &Shape) -> crate::Dyn<'g> {
    let mut g = g;
    for (axis, r) in ranges.iter().enumerate().filter(|(_, r)| r.step > 1 && r.len > 0) {
        // Put `step − 1` zeros after each element by padding a new axis of length 1.
        let mut dims = g.shape().to_vec();
        dims.insert(axis + 1, 1);
        let mut after = vec![0; dims.len()];
        after[axis + 1] = r.step - 1;
        let padded = g.reshape(&dims.clone().into()).pad(&vec![0; dims.len()], &after, 0.0);
        dims.remove(axis + 1);
        dims[axis] = r.len * r.step;
        let merged = padded.reshape(&dims.clone().into());
        dims[axis] = (r.len - 1) * r.step + 1;
        g = merged.slice(&dims.iter().map(|&len| Range { start: 0, len, step: 1 }).collect::<Vec<_>>());
    }
    let before: Vec<usize> = ranges.iter().map(|r| if r.len == 0 { 0 } else { r.start }).collect();
    let after: Vec<usize> = (0..to.rank()).map(|a| to[a] - before[a] - g.shape()[a]).collect();
    g.pad(&before, &after, 0.0)
}
