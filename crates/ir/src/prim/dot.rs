//! Product of tensors: sums of products along contracted axes, side by side along batch axes.
//!
//! Axes of the result: the batch axes, then the other axes of `x`, then those of `y`. Narrow types are
//! accumulated in, and give, their accumulator type.

use super::{Cost, Derivative, Misfit, Op, Primitive, Pullback, for_each_index};
use crate::lanes::NumLanes;
use crate::memory;
use crate::{Array, Dyn, Kind, Shape, TensorType};

/// Pairs of axes `(of x, of y)`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Dot {
    /// Axes that both have and the result keeps.
    pub batch: Vec<(usize, usize)>,
    /// Axes that are summed over.
    pub contract: Vec<(usize, usize)>,
}

impl Dot {
    /// Matrix product of the last two axes, all earlier axes batched.
    pub fn matmul(rank: usize) -> Dot {
        Dot { batch: (0..rank - 2).map(|a| (a, a)).collect(), contract: vec![(rank - 1, rank - 2)] }
    }

    /// The axes of `x` that are neither batched nor contracted.
    pub fn free_x(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|&a| !self.batch.iter().chain(&self.contract).any(|p| p.0 == a)).collect()
    }

    /// The axes of `y` that are neither batched nor contracted.
    pub fn free_y(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|&a| !self.batch.iter().chain(&self.contract).any(|p| p.1 == a)).collect()
    }

    /// Gradient of `x` from that of the result.
    fn grad_x<'g>(&self, p: &Pullback<'_, 'g>) -> Dyn<'g> {
        let (x, y) = (p.x0(), p.x1());
        let (nb, free_x, free_y) = (self.batch.len(), self.free_x(x.rank()), self.free_y(y.rank()));
        let back = Dot {
            batch: self.batch.iter().enumerate().map(|(i, b)| (i, b.1)).collect(),
            contract: free_y.iter().enumerate().map(|(i, &a)| (nb + free_x.len() + i, a)).collect(),
        };
        // Axes of the product: batch, free axes of x, then the contracted axes of y in ascending order.
        let mut contracted = self.contract.clone();
        contracted.sort_by_key(|c| c.1);
        let to: Vec<usize> =
            self.batch.iter().map(|b| b.0).chain(free_x).chain(contracted.iter().map(|c| c.0)).collect();
        p.g.cast(y.dtype()).dot(y, &back).cast(x.dtype()).permute(&super::Permute(to).inverse().0)
    }

    /// Gradient of `y` from that of the result.
    fn grad_y<'g>(&self, p: &Pullback<'_, 'g>) -> Dyn<'g> {
        let (x, y) = (p.x0(), p.x1());
        let (nb, free_x, free_y) = (self.batch.len(), self.free_x(x.rank()), self.free_y(y.rank()));
        let back = Dot {
            batch: self.batch.iter().enumerate().map(|(i, b)| (b.0, i)).collect(),
            contract: free_x.iter().enumerate().map(|(i, &a)| (a, nb + i)).collect(),
        };
        let mut contracted = self.contract.clone();
        contracted.sort_by_key(|c| c.0);
        let to: Vec<usize> =
            self.batch.iter().map(|b| b.1).chain(contracted.iter().map(|c| c.1)).chain(free_y).collect();
        x.dot(p.g.cast(x.dtype()), &back).cast(y.dtype()).permute(&super::Permute(to).inverse().0)
    }
}

impl Primitive for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn infer(&self, t: &[&TensorType]) -> Result<TensorType, Misfit> {
        let (x, y) = (t[0], t[1]);
        let mut seen = (vec![false; x.shape.rank()], vec![false; y.shape.rank()]);
        for &(a, b) in self.batch.iter().chain(&self.contract) {
            let fresh = |seen: &mut [bool], axis: usize| {
                seen.get_mut(axis).is_some_and(|s| !std::mem::replace(s, true))
            };
            if !fresh(&mut seen.0, a) || !fresh(&mut seen.1, b) {
                return Err(Misfit::new(format!(
                    "axes {a} of {} and {b} of {} cannot be paired",
                    x.shape, y.shape
                )));
            }
        }
        let batch = self.batch.iter().map(|b| x.shape[b.0]);
        let free_x = self.free_x(x.shape.rank()).into_iter().map(|a| x.shape[a]);
        let free_y = self.free_y(y.shape.rank()).into_iter().map(|a| y.shape[a]);
        let dims: Vec<usize> = batch.chain(free_x).chain(free_y).collect();
        let out = TensorType::new(x.dtype.accumulator(), Shape::new(&dims).map_err(Misfit::new)?);
        for (pairs, what) in [(&self.batch, "batch"), (&self.contract, "inner")] {
            if let Some(p) = pairs.iter().find(|p| x.shape[p.0] != y.shape[p.1]) {
                let message = format!(
                    "{what} sizes differ: {} and {} in {} · {}",
                    x.shape[p.0], y.shape[p.1], x.shape, y.shape
                );
                return Err(Misfit::with_guess(message, out));
            }
        }
        if x.dtype != y.dtype || x.dtype.kind() == Kind::Bool {
            return Err(Misfit::with_guess(format!("no product of `{}` and `{}`", x.dtype, y.dtype), out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let (xs, ys) = (x[0].shape(), x[1].shape());
        let (free_x, free_y) = (self.free_x(xs.rank()), self.free_y(ys.rank()));
        let (sx, sy) = (xs.strides(), ys.strides());
        let inner: Vec<usize> = self.contract.iter().map(|c| xs[c.0]).collect();
        let wide = out.dtype.widest();
        let widen = |a: &Array| super::Cast(wide).eval(&[a], &TensorType::new(wide, a.shape().clone()));
        let (a, b) = (widen(x[0])?, widen(x[1])?);
        let product = numbers!(wide, T => {
            let (a, b) = (a.as_slice::<T>().ok_or("operand of another type")?, b.as_slice::<T>().ok_or("operand of another type")?);
            let mut offsets = Vec::new();
            for_each_index(&inner, |k| {
                let at = |of: &dyn Fn(&(usize, usize)) -> usize, s: &[usize]| self.contract.iter().zip(k).map(|(c, i)| s[of(c)] * i).sum::<usize>();
                offsets.push((at(&|c| c.0, &sx), at(&|c| c.1, &sy)));
            });
            let mut values = memory::room(out.shape.elements(), out)?;
            for_each_index(&out.shape, |index| {
                let (batch, rest) = index.split_at(self.batch.len());
                let (ix, iy) = rest.split_at(free_x.len());
                let start_x: usize = self.batch.iter().zip(batch).map(|(p, i)| sx[p.0] * i).chain(free_x.iter().zip(ix).map(|(&a, i)| sx[a] * i)).sum();
                let start_y: usize = self.batch.iter().zip(batch).map(|(p, i)| sy[p.1] * i).chain(free_y.iter().zip(iy).map(|(&a, i)| sy[a] * i)).sum();
                values.push(offsets.iter().fold(T::default(), |sum, o| sum.plus(a[start_x + o.0].times(b[start_y + o.1]))));
            });
            Array::of(out.shape.clone(), values)
        })?;
        super::Cast(out.dtype).eval(&[&product], out)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Dot(dot) = p.op else { return vec![] };
            p.each(|i| if i == 0 { dot.grad_x(p) } else { dot.grad_y(p) })
        })
    }
    fn cost(&self, x: &[&TensorType], out: &TensorType) -> Cost {
        let inner: usize = self.contract.iter().map(|c| x[0].shape[c.0]).product();
        Cost { flops: 2 * (out.shape.elements() * inner) as u64 }
    }
}
