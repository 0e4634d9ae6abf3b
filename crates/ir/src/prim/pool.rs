//! Pooling: the largest element, or the sum, of each window of a plane, and what a derivative needs of it.
//!
//! `x` is `[N, C, spatial…]`, `y` `[N, C, spatial…]` with `y[n, c, p] = fold over k of x[n, c, p·stride + k]`,
//! windows in row-major order. Elements at the end that fill no window are left out. Of equal elements the
//! first is the largest, and of a window with NaNs the first NaN. Every part but the maximum itself is linear
//! in its last operand, and the derivative of each is another part.

use super::elementwise::{Add, Maximum, Minimum};
use super::{Cost, Derivative, MapRef, Misfit, Op, Primitive, Pullback, for_each_index};
use crate::lanes::NumLanes;
use crate::memory;
use crate::{Array, DType, Dyn, NodeId, Shape, TensorType};

/// How the elements of a window become one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PoolKind {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
}

/// Which part of pooling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PoolPart {
    /// `y` from `x`.
    Output,
    /// The gradient of `x`: from `g`, of a sum; from `x` and `g`, of a maximum, whose largest elements get it.
    Spread,
    /// Of a maximum, from `x` and `v` of its shape: `v` at the place of each window's largest element.
    Pick,
}

/// Pooling or a part of its derivatives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pool {
    /// How the elements of a window become one.
    pub kind: PoolKind,
    /// Which part.
    pub part: PoolPart,
    /// Elements of a window along each spatial axis.
    pub size: Vec<usize>,
    /// Distance between windows.
    pub stride: Vec<usize>,
    /// Shape of `x`.
    pub x: Shape,
}

impl Pool {
    /// The shape of `y`, or why there is none.
    pub fn output(&self) -> Result<Shape, String> {
        let (x, spatial) = (&self.x, self.x.rank().saturating_sub(2));
        let lists = self.size.len() == spatial && self.stride.len() == spatial;
        let fits = |a: usize| (1..=x[a + 2]).contains(&self.size[a]) && self.stride[a] > 0;
        if spatial == 0 || !lists || !(0..spatial).all(fits) {
            return Err(format!("{x} has no windows {:?} at stride {:?}", self.size, self.stride));
        }
        let windows = (0..spatial).map(|a| (x[a + 2] - self.size[a]) / self.stride[a] + 1);
        Shape::new(&x[..2].iter().copied().chain(windows).collect::<Vec<_>>())
    }

    /// The same windows, another part.
    pub fn with_part(&self, part: PoolPart) -> Pool {
        Pool { part, ..self.clone() }
    }

    /// The number of operands.
    pub fn arity(&self) -> usize {
        if self.kind == PoolKind::Sum || self.part == PoolPart::Output { 1 } else { 2 }
    }

    /// The shapes of the operands, and that of the result.
    fn shapes(&self) -> Result<(Vec<Shape>, Shape), String> {
        let (x, y) = (self.x.clone(), self.output()?);
        match (self.kind, self.part) {
            (_, PoolPart::Output) => Ok((vec![x], y)),
            (PoolKind::Sum, PoolPart::Spread) => Ok((vec![y], x)),
            (PoolKind::Max, PoolPart::Spread) => Ok((vec![x.clone(), y], x)),
            (PoolKind::Max, PoolPart::Pick) => Ok((vec![x.clone(), x], y)),
            (PoolKind::Sum, PoolPart::Pick) => Err("a sum has no largest element to pick".into()),
        }
    }

    fn pull<'g>(&self, p: &Pullback<'_, 'g>) -> Vec<Option<Dyn<'g>>> {
        let make = |part, x: &[Dyn<'g>]| p.g.tape().push(self.with_part(part), x);
        match (self.kind, self.part) {
            (PoolKind::Sum, PoolPart::Output) => vec![Some(make(PoolPart::Spread, &[p.g]))],
            (PoolKind::Sum, _) => vec![Some(make(PoolPart::Output, &[p.g]))],
            (PoolKind::Max, PoolPart::Output) => vec![Some(make(PoolPart::Spread, &[p.x0(), p.g]))],
            // Which element is the largest does not change with x, almost everywhere.
            (PoolKind::Max, PoolPart::Spread) => vec![None, Some(make(PoolPart::Pick, &[p.x0(), p.g]))],
            (PoolKind::Max, PoolPart::Pick) => vec![None, Some(make(PoolPart::Spread, &[p.x0(), p.g]))],
        }
    }

    /// Calls `f(element of y, elements of its window)` for each window, in order.
    fn for_each_window(&self, y: &Shape, mut f: impl FnMut(usize, &[usize])) {
        let strides = self.x.strides();
        let (mut to, mut window) = (0, Vec::new());
        for_each_index(y, |p| {
            window.clear();
            for_each_index(&self.size, |k| {
                let spatial = (0..k.len()).map(|d| (p[d + 2] * self.stride[d] + k[d]) * strides[d + 2]);
                window.push(p[0] * strides[0] + p[1] * strides[1] + spatial.sum::<usize>());
            });
            f(to, &window);
            to += 1;
        });
    }
}

impl Primitive for Pool {
    fn name(&self) -> &'static str {
        match (self.kind, self.part) {
            (PoolKind::Sum, PoolPart::Output) => "pool_sum",
            (PoolKind::Sum, _) => "pool_sum_spread",
            (PoolKind::Max, PoolPart::Output) => "pool_max",
            (PoolKind::Max, PoolPart::Spread) => "pool_max_spread",
            (PoolKind::Max, PoolPart::Pick) => "pool_max_pick",
        }
    }
    fn infer(&self, t: &[&TensorType]) -> Result<TensorType, Misfit> {
        let (operands, out) = self.shapes().map_err(Misfit::new)?;
        let out = TensorType::new(t[0].dtype, out);
        let fit = t.iter().zip(&operands).all(|(t, shape)| t.shape == *shape && t.dtype == out.dtype);
        if t.len() != operands.len() || !fit {
            return Err(Misfit::with_guess(format!("needs {operands:?} of one type, found {t:?}"), out));
        }
        let bytes = out.dtype == DType::I8 && self.kind == PoolKind::Max;
        if !matches!(out.dtype, DType::F32 | DType::F64 | DType::I32) && !bytes {
            let message = format!("no pooling of `{}`: use f32, f64 or i32, for maxima also i8", out.dtype);
            return Err(Misfit::with_guess(message, out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        match out.dtype {
            DType::F64 => self.eval_as::<f64>(x, out),
            DType::I32 => self.eval_as::<i32>(x, out),
            DType::I8 => self.eval_as::<i8>(x, out),
            _ => {
                let wide = |a: &Array| {
                    super::Cast(DType::F64).eval(&[a], &TensorType::new(DType::F64, a.shape().clone()))
                };
                let x = x.iter().map(|a| wide(a)).collect::<Result<Vec<_>, _>>()?;
                let y = self.eval_as::<f64>(&x.iter().collect::<Vec<_>>(), out)?;
                super::Cast(out.dtype).eval(&[&y], out)
            }
        }
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Pool(pool) = p.op else { return vec![] };
            pool.pull(p)
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        let window: usize = self.size.iter().product();
        Cost { flops: self.output().map_or(0, |y| (y.elements() * window) as u64) }
    }
}

impl Pool {
    fn eval_as<T: crate::Element + NumLanes + PartialOrd + Default>(
        &self,
        x: &[&Array],
        out: &TensorType,
    ) -> Result<Array, String> {
        let operand = |i: usize| x.get(i).and_then(|a| a.as_slice::<T>()).ok_or("operand of another type");
        let (first, last) = (operand(0)?, operand(x.len() - 1)?);
        let mut values = memory::filled(T::default(), out.shape.elements(), out)?;
        self.for_each_window(&self.output()?, |y, window| match (self.kind, self.part) {
            (PoolKind::Sum, PoolPart::Output) => {
                values[y] = window.iter().fold(T::default(), |sum, &i| sum.plus(first[i]));
            }
            (PoolKind::Sum, _) => window.iter().for_each(|&i| values[i] = values[i].plus(first[y])),
            (PoolKind::Max, PoolPart::Spread) => {
                let best = largest(first, window);
                values[best] = values[best].plus(last[y]);
            }
            (PoolKind::Max, _) => values[y] = last[largest(first, window)],
        });
        Array::of(out.shape.clone(), values)
    }
}

/// The first of the largest elements of a window; the first NaN if there is one.
fn largest<T: PartialOrd + Copy>(x: &[T], window: &[usize]) -> usize {
    let is_nan = |v: T| v.partial_cmp(&v).is_none();
    let better = |best: usize, i: &usize| x[*i] > x[best] || (is_nan(x[*i]) && !is_nan(x[best]));
    window.iter().fold(window[0], |best, i| if better(best, i) { *i } else { best })
}

impl<'g> Dyn<'g> {
    /// The largest element, or the sum, of windows of `[N, C, spatial…]`. Half types are summed in `f32`.
    ///
    /// Where a bias or a rectifier comes before, the largest element is looked for first: it has the largest
    /// result, and then only that one has to be computed.
    #[track_caller]
    pub fn pool(self, kind: PoolKind, size: &[usize], stride: &[usize]) -> Dyn<'g> {
        let own = self.dtype();
        let wide = if kind == PoolKind::Max && own == DType::I8 { own } else { own.accumulator() };
        let (sizes, strides) = (size.to_vec(), stride.to_vec());
        let pool = Pool { kind, part: PoolPart::Output, size: sizes, stride: strides, x: self.shape() };
        if kind == PoolKind::Max
            && pool.output().is_ok()
            && let Some((map, mut x, plane)) = self.increasing()
        {
            x[1 - plane] = x[1 - plane].pool(kind, size, stride);
            x[plane] = x[plane].broadcast_to(&x[1 - plane].shape());
            return self.tape().push(Op::Map(map), &x);
        }
        self.tape().push(pool, &[self.cast(wide)]).cast(own)
    }

    /// The function and its operands where this is a function of two floats that decreases with neither, and one
    /// of them, whose place is given and which stands there before it was broadcast, is the same all over a plane.
    fn increasing(self) -> Option<(MapRef, [Dyn<'g>; 2], usize)> {
        let maps = [MapRef::of::<Add>(), MapRef::of::<Maximum>(), MapRef::of::<Minimum>()];
        let found = self.tape().with_graph(|graph| {
            let node = graph.node(self.id());
            let (Op::Map(map), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
            let known = node.ty.dtype.is_float() && maps.contains(map);
            let spatial = node.ty.shape.rank().checked_sub(2)?;
            let of_plane = |x: NodeId| {
                let before = *graph.node(x).inputs.first()?;
                let shape = &graph.node(before).ty.shape;
                let same = shape.iter().rev().take(spatial).all(|&n| n == 1);
                (matches!(graph.node(x).op, Op::Broadcast(_)) && same).then_some(before)
            };
            match (of_plane(a), of_plane(b)) {
                (_, Some(b)) if known => Some((*map, [a, b], 1)),
                (Some(a), None) if known => Some((*map, [a, b], 0)),
                _ => None,
            }
        });
        found.map(|(map, x, plane)| (map, x.map(|x| self.with_id(x)), plane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ControlBlock, Env, Mode, Store, Tape, Var, interpret};

    fn pool(kind: PoolKind, part: PoolPart, size: &[usize], stride: &[usize], x: &[usize]) -> Pool {
        Pool { kind, part, size: size.to_vec(), stride: stride.to_vec(), x: x.into() }
    }

    fn eval(pool: &Pool, x: &[&[f64]]) -> Vec<f64> {
        let (shapes, out) = pool.shapes().expect("windows");
        let array = |(s, v): (&Shape, &&[f64])| Array::of(s.clone(), v.to_vec()).expect("as many elements");
        let operands: Vec<Array> = shapes.iter().zip(x).map(array).collect();
        let operands: Vec<&Array> = operands.iter().collect();
        let found = pool.eval(&operands, &TensorType::new(DType::F64, out)).expect("a value");
        found.as_slice::<f64>().expect("f64").to_vec()
    }

    #[test]
    fn the_first_of_equal_elements_gets_the_gradient() {
        let make = |part| pool(PoolKind::Max, part, &[1, 2], &[1, 1], &[1, 1, 1, 4]);
        let x = [3.0, 3.0, 1.0, 5.0];
        assert_eq!(eval(&make(PoolPart::Output), &[&x]), [3.0, 3.0, 5.0]);
        assert_eq!(eval(&make(PoolPart::Spread), &[&x, &[1.0, 10.0, 100.0]]), [1.0, 10.0, 0.0, 100.0]);
        assert_eq!(eval(&make(PoolPart::Pick), &[&x, &[1.0, 2.0, 3.0, 4.0]]), [1.0, 2.0, 4.0]);
    }

    #[test]
    fn a_nan_is_the_largest() {
        let make = |part| pool(PoolKind::Max, part, &[3], &[3], &[1, 1, 3]);
        let x = [3.0, f64::NAN, 9.0];
        assert!(eval(&make(PoolPart::Output), &[&x])[0].is_nan());
        assert_eq!(eval(&make(PoolPart::Spread), &[&x, &[1.0]]), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_sum_spreads_its_gradient_over_overlapping_windows() {
        let make = |part| pool(PoolKind::Sum, part, &[3], &[2], &[1, 1, 6]);
        assert_eq!(eval(&make(PoolPart::Output), &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), [6.0, 12.0]);
        assert_eq!(eval(&make(PoolPart::Spread), &[&[1.0, 10.0]]), [1.0, 1.0, 11.0, 10.0, 10.0, 0.0]);
    }

    /// The bits of a pooled rectifier with a bias and of its gradient, and the shapes of its elementwise functions.
    fn rectified(commuted: bool) -> (Vec<u32>, Vec<Shape>) {
        let tape = Tape::new(Mode::Train);
        let (x, bias) = (tape.input::<f32>([2, 3, 4, 5]), tape.input::<f32>([3]));
        let r = (x + bias.reshape([1, 3, 1, 1])).maximum(0.0);
        // What goes through a cast to its own type and back is not seen through.
        let r = if commuted { r } else { r.cast::<f64>().cast::<f32>() };
        let y = Var::<f32>::of(r.node().pool(PoolKind::Max, &[2, 2], &[2, 1]));
        let loss = (y * y).sum_all();
        let grads = loss.grad(&[x, bias]);
        [y, grads[0], grads[1]].iter().zip(["y", "x", "b"]).for_each(|(v, name)| tape.output(name, v.node()));
        let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
        let numbers = |n: usize| (0..n).map(|i| ((i * 37 % 61) as f32 - 30.3) * 0.1).collect();
        let inputs = [(&[2, 3, 4, 5][..], 120), (&[3][..], 3)];
        let inputs = inputs.map(|(shape, n)| Array::of(shape, numbers(n)).expect("as many"));
        let env = Env::new(inputs.to_vec(), &Store::new(), ControlBlock::default());
        let values = interpret(&graph, &env).expect("values");
        let all = graph.outputs.iter().flat_map(|(_, id)| {
            let value = values[id.index()].as_ref().and_then(|a| a.as_slice::<f32>()).expect("floats");
            value.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        });
        let live = graph.live();
        let maps = graph.ids().filter(|id| live[id.index()] && matches!(graph.node(*id).op, Op::Map(_)));
        (all.collect(), maps.map(|id| graph.node(id).ty.shape.clone()).collect())
    }

    #[test]
    fn a_bias_and_a_rectifier_are_computed_after_the_largest_is_found() {
        let ((bits, shapes), (plain, before)) = (rectified(true), rectified(false));
        assert_eq!(bits, plain);
        let whole = Shape::from([2, 3, 4, 5]);
        assert!(before.contains(&whole) && !shapes.contains(&whole), "{shapes:?}");
    }
}
