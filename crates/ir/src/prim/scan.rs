//! A loop over the leading axis of some tensors, so that recurrences do not unroll.
//!
//! With carries `c`, sequences `x` and values `k` that all steps share, step `t` computes
//! `(c, y[t]) = body(c, x[t], k)`. Results are the last carries and the stacked `y`.
//!
//! The derivative is a scan in the other direction. It needs the carries before each step: they are appended
//! to the results of the scan when it is first differentiated ([`Scan::history`]). Everything else of a step
//! is computed again. Gradients of shared values are summed as carries, in the type that sums are taken in.

use super::{Cost, Derivative, Grads, Misfit, Op, Primitive, Pullback};
use crate::memory;
use crate::scan::Loop;
use crate::{Array, Dyn, Env, Graph, NodeId, TensorType};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A loop; inputs are the first carries, the sequences, the shared values. A node of this operation has the
/// type of the first result and is read by [`ScanOutput`] alone.
#[derive(Clone)]
pub struct Scan {
    /// One step. Inputs: carries, elements of the sequences, shared values. Outputs: carries, elements of
    /// the stacked results. It has no state, no control fields and no random numbers.
    pub body: Arc<Graph>,
    /// The number of carries.
    pub carries: usize,
    /// The number of sequences.
    pub xs: usize,
    /// The number of shared values.
    pub captures: usize,
    /// The number of stacked results, the history included.
    pub ys: usize,
    /// True where the last stacked results are the carries before each step.
    pub history: bool,
    /// True where time runs from the last element to the first; results are stacked at their element's place.
    pub reverse: bool,
    /// The number of steps.
    pub length: usize,
}

/// Result `index` of a [`Scan`], which is the only input.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScanOutput {
    /// Which result: carries first, then stacked results.
    pub index: usize,
    /// Its type.
    pub ty: TensorType,
}

impl PartialEq for Scan {
    fn eq(&self, other: &Scan) -> bool {
        Arc::ptr_eq(&self.body, &other.body) && (self.reverse, self.length) == (other.reverse, other.length)
    }
}
impl Eq for Scan {}
impl Hash for Scan {
    fn hash<H: Hasher>(&self, h: &mut H) {
        (Arc::as_ptr(&self.body), self.reverse, self.length).hash(h);
    }
}
impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scan { body, carries, xs, captures, ys, reverse, length, .. } = self;
        let nodes = body.nodes.len();
        write!(f, "scan {length} steps of {nodes} nodes, {carries} carries, {xs} sequences, ")?;
        write!(f, "{captures} shared, {ys} stacked{}", if *reverse { ", reversed" } else { "" })
    }
}

/// The type of a sequence of `length` elements.
pub(crate) fn stacked(ty: &TensorType, length: usize) -> TensorType {
    TensorType::new(ty.dtype, [&[length], ty.shape.dims()].concat())
}

impl Scan {
    /// The types of all results: carries, then stacked results.
    pub fn results(&self) -> Vec<TensorType> {
        let types = self.body.outputs.iter().map(|(_, id)| &self.body.node(*id).ty);
        let result =
            |(i, ty)| if i < self.carries { TensorType::clone(ty) } else { stacked(ty, self.length) };
        types.enumerate().map(result).collect()
    }

    /// The types of all inputs.
    pub fn operands(&self) -> Vec<TensorType> {
        let sequence = self.carries..self.carries + self.xs;
        let operand =
            |(i, ty)| if sequence.contains(&i) { stacked(ty, self.length) } else { TensorType::clone(ty) };
        self.body.inputs.iter().enumerate().map(operand).collect()
    }

    /// The steps in the order of their time.
    pub fn times(&self) -> impl Iterator<Item = usize> + use<> {
        let (length, reverse) = (self.length, self.reverse);
        (0..length).map(move |t| if reverse { length - 1 - t } else { t })
    }

    /// All results, by the interpreter.
    pub fn run(&self, x: &[&Array]) -> Result<Vec<Array>, String> {
        self.run_with(x, |_, inputs| {
            let values = crate::interpret(&self.body, &Env { inputs, ..Env::default() })?;
            let outputs = self.body.outputs.iter();
            outputs.map(|(_, id)| values[id.index()].clone().ok_or("a result has no value".into())).collect()
        })
    }

    /// All results, where `step` gives the outputs of the body for the element of this time and these inputs.
    pub(crate) fn run_with(
        &self,
        x: &[&Array],
        mut step: impl FnMut(usize, Vec<Array>) -> Result<Vec<Array>, String>,
    ) -> Result<Vec<Array>, String> {
        let copy = |a: &Array| a.view().try_to_array("a scan");
        let zeros = |ty: TensorType| Array::try_zeros(ty.dtype, ty.shape, "the results of a scan");
        let mut carries = x[..self.carries].iter().map(|&a| copy(a)).collect::<Result<Vec<_>, _>>()?;
        let mut ys = self.results().drain(self.carries..).map(zeros).collect::<Result<Vec<_>, _>>()?;
        for t in self.times() {
            let mut inputs = std::mem::take(&mut carries);
            for (i, a) in x.iter().enumerate().skip(self.carries) {
                let sequence = i < self.carries + self.xs;
                inputs.push(if sequence { element(a, t, &self.body.inputs[i])? } else { copy(a)? });
            }
            let mut results = step(t, inputs)?.into_iter();
            carries = results.by_ref().take(self.carries).collect();
            for (y, value) in ys.iter_mut().zip(results) {
                put(y, t, &value)?;
            }
        }
        carries.extend(ys);
        Ok(carries)
    }

    /// The same loop with the carries before each step as further results.
    pub(crate) fn with_history(&self) -> Scan {
        if self.history {
            return self.clone();
        }
        let mut body = (*self.body).clone();
        // Extraction puts the inputs first, in order.
        body.outputs.extend((0..self.carries).map(|i| (format!("before{i}"), NodeId(i as u32))));
        Scan { body: Arc::new(body), ys: self.ys + self.carries, history: true, ..self.clone() }
    }
}

/// Element `t` along the leading axis.
fn element(a: &Array, t: usize, ty: &TensorType) -> Result<Array, String> {
    let n = ty.shape.elements();
    crate::dispatch!(ty.dtype, T => {
        let all = a.as_slice::<T>().ok_or("operand of another type")?;
        Array::of(ty.shape.clone(), memory::copied(&all[t * n..(t + 1) * n], ty)?)
    })
}

/// Writes element `t` along the leading axis.
fn put(a: &mut Array, t: usize, value: &Array) -> Result<(), String> {
    crate::dispatch!(value.dtype(), T => {
        let from = value.as_slice::<T>().ok_or("operand of another type")?;
        let to = a.as_slice_mut::<T>().ok_or("result of another type")?;
        to[t * from.len()..(t + 1) * from.len()].copy_from_slice(from);
        Ok(())
    })
}

impl Primitive for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }
    fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
        let operands = self.operands();
        if operands.len() != x.len() {
            return Err(Misfit::new(format!("needs {} operands, found {}", operands.len(), x.len())));
        }
        match operands.iter().zip(x).find(|(a, b)| a != *b) {
            Some((expected, found)) => Err(Misfit::new(format!("needs {expected}, found {found}"))),
            None => self.results().into_iter().next().ok_or_else(|| Misfit::new("has no result")),
        }
    }
    fn eval(&self, x: &[&Array], _out: &TensorType) -> Result<Array, String> {
        self.run(x)?.into_iter().next().ok_or_else(|| "has no result".into())
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(pull)
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        let live = self.body.live();
        let step: u64 = self.body.ids().filter(|id| live[id.index()]).map(|id| self.step_cost(id)).sum();
        Cost { flops: step * self.length as u64 }
    }
}

impl Scan {
    /// Work of one node of the body.
    fn step_cost(&self, id: NodeId) -> u64 {
        let node = self.body.node(id);
        let types: Vec<&TensorType> = node.inputs.iter().map(|&x| &self.body.node(x).ty).collect();
        node.op.primitive().cost(&types, &node.ty).flops
    }
}

impl Primitive for ScanOutput {
    fn name(&self) -> &'static str {
        "scan_output"
    }
    fn infer(&self, _x: &[&TensorType]) -> Result<TensorType, Misfit> {
        Ok(self.ty.clone())
    }
    fn eval(&self, _x: &[&Array], _out: &TensorType) -> Result<Array, String> {
        Err("is taken from its scan, not computed from its operand".into())
    }
    fn derivative(&self) -> Derivative {
        // The sweep hands the gradients of all results to the scan itself.
        Derivative::Rule(|_| vec![None])
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        Cost::default()
    }
}

/// The gradients of a scan's inputs, by a scan in the other direction.
fn pull<'g>(p: &Pullback<'_, 'g>) -> Grads<'g> {
    let (tape, Op::Scan(scan)) = (p.g.tape(), p.op) else { return vec![] };
    let scan = scan.with_history();
    tape.replace(p.y.id(), scan.clone().into());
    let (n, m) = (scan.carries, scan.xs);
    let float = |i: &usize| p.x[*i].dtype().is_float();
    let wanted = |range: std::ops::Range<usize>| -> Vec<usize> {
        range.filter(|&i| p.wanted[i]).filter(float).collect()
    };
    let carried: Vec<usize> = (0..n).filter(float).collect();
    let (sequences, shared) = (wanted(n..n + m), wanted(n + m..p.x.len()));
    let given = |i: usize| p.results.get(i).copied().flatten();
    let stacked: Vec<usize> = (n..n + scan.ys).filter(|&i| given(i).is_some()).collect();

    let zero_sum = |&i: &usize| p.x[i].cast(p.x[i].dtype().accumulator()).filled(0.0);
    let init: Vec<Dyn<'g>> = carried
        .iter()
        .map(|&i| given(i).unwrap_or_else(|| p.x[i].filled(0.0)))
        .chain(shared.iter().map(zero_sum))
        .collect();
    let before = (n + scan.ys - n..n + scan.ys).map(|i| tape.scan_output(p.y, &scan, i));
    let xs: Vec<Dyn<'g>> =
        before.chain(p.x[n..n + m].iter().copied()).chain(stacked.iter().filter_map(|&i| given(i))).collect();

    let back = Loop { init: &init, xs: &xs, shared: &p.x[n + m..], reverse: !scan.reverse };
    let (ends, steps) = tape.record_loop(back, |carry, x, k| {
        let inputs = [&x[..n + m], k].concat();
        let results = tape.inline(&scan.body, &inputs);
        let ends = carried.iter().map(|&i| results[i]).zip(carry.iter().copied());
        let seeds: Vec<_> =
            ends.chain(stacked.iter().map(|&i| results[i]).zip(x[n + m..].iter().copied())).collect();
        let wrt: Vec<Dyn<'g>> = carried.iter().chain(&sequences).chain(&shared).map(|&i| inputs[i]).collect();
        let shares = tape.vjp_of_many(&seeds, &wrt);
        let mut shares = shares.into_iter().zip(wrt).map(|(g, x)| g.unwrap_or_else(|| x.filled(0.0)));
        let mut next: Vec<Dyn<'g>> = shares.by_ref().take(carried.len()).collect();
        let steps = shares.by_ref().take(sequences.len()).collect();
        next.extend(carry[carried.len()..].iter().zip(shares).map(|(&sum, g)| sum + g.cast(sum.dtype())));
        (next, steps)
    });
    let mut grads = vec![None; p.x.len()];
    for (&i, g) in carried.iter().chain(&shared).zip(ends).chain(sequences.iter().zip(steps)) {
        grads[i] = p.wanted[i].then(|| g.cast(p.x[i].dtype()));
    }
    grads
}
