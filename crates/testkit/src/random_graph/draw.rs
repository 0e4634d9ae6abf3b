//! Drawing of operations on operands that are there, guarded so that values stay tame.

use super::{numbers, random_array};
use crate::rng::Rng;
use ironlearn_ir::prim::*;
use ironlearn_ir::{Array, DType, Dyn, Shape, Tape, TensorType, Var};

/// Most elements of a value.
const MOST: usize = 1500;
/// Largest magnitude of a float.
const LARGEST: f64 = 30.0;

/// Values drawn so far, and how to go on.
pub(super) struct Draw<'a, 'g> {
    tape: &'g Tape,
    rng: &'a mut Rng,
    without: &'a [OpKind],
    /// Values to choose operands from.
    pub pool: Vec<Dyn<'g>>,
}

impl<'a, 'g> Draw<'a, 'g> {
    pub fn new(tape: &'g Tape, rng: &'a mut Rng, without: &'a [OpKind]) -> Draw<'a, 'g> {
        Draw { tape, rng, without, pool: Vec::new() }
    }

    /// Adds a value to the pool where it is tame.
    pub fn keep(&mut self, x: Dyn<'g>) {
        if x.shape().elements() <= MOST && tame(x) {
            self.pool.push(x);
        }
    }

    /// Some value.
    pub fn any(&mut self) -> Dyn<'g> {
        // Late values depend on more.
        let n = self.pool.len();
        let low = if self.rng.one_in(2) { n / 2 } else { 0 };
        self.pool[low + self.rng.below(n - low)]
    }

    /// Some value that satisfies a condition.
    fn such(&mut self, fits: impl Fn(Dyn<'g>) -> bool) -> Option<Dyn<'g>> {
        let fitting: Vec<Dyn<'g>> = self.pool.iter().copied().filter(|&x| fits(x)).collect();
        (!fitting.is_empty()).then(|| self.rng.pick(&fitting))
    }

    /// Some value of a type.
    pub fn of_type(&mut self, ty: &TensorType) -> Option<Dyn<'g>> {
        self.such(|x| x.ty() == *ty)
    }

    /// Some float, mostly `f32`.
    fn float(&mut self) -> Option<Dyn<'g>> {
        let mostly = !self.rng.one_in(4);
        self.such(|x| if mostly { x.dtype() == DType::F32 } else { x.dtype().is_float() })
    }

    /// Draws one operation; gives up after some operands that do not fit.
    pub fn operation(&mut self) {
        let kinds: Vec<OpKind> = OpKind::ALL
            .iter()
            .copied()
            .filter(|k| {
                !self.without.contains(k)
                    && !matches!(
                        k,
                        OpKind::Map | OpKind::ScanOutput | OpKind::AllReduceStart | OpKind::AllReduceDone
                    )
            })
            .collect();
        let kind = if self.rng.one_in(2) { OpKind::Map } else { self.rng.pick(&kinds) };
        let map = self.rng.pick(elementwise::ALL);
        for _ in 0..6 {
            let before = self.pool.len();
            let drawn = if kind == OpKind::Map { self.elementwise(map) } else { self.structural(kind) };
            if let Some(x) = drawn {
                self.keep(x);
            }
            if self.pool.len() > before {
                return;
            }
        }
    }

    /// An elementwise primitive on operands that are broadcast to one shape.
    fn elementwise(&mut self, map: MapRef) -> Option<Dyn<'g>> {
        let (types, arity) = (map.0.types(), map.0.arity());
        let mostly = types.has(DType::F32) && !self.rng.one_in(3);
        let first = self.such(|x| if mostly { x.dtype() == DType::F32 } else { types.has(x.dtype()) })?;
        let mut operands = vec![first];
        while operands.len() < arity {
            let shape = operands[0].shape();
            let fits = |x: Dyn<'g>| x.dtype() == first.dtype() && x.shape().broadcast(&shape).is_some();
            let next = self.such(fits)?;
            let common = next.shape().broadcast(&shape)?;
            operands.push(next);
            operands.iter_mut().for_each(|x| *x = x.broadcast_to(&common));
        }
        if first.dtype().is_float() {
            operands.iter_mut().for_each(|x| *x = within(*x, map.0.domain()));
        }
        Some(self.tape.push(Op::Map(map), &operands))
    }

    /// An operation of a kind on operands that fit it.
    fn structural(&mut self, kind: OpKind) -> Option<Dyn<'g>> {
        let tape = self.tape;
        Some(match kind {
            // Ranks share a graph that is there already.
            OpKind::Map | OpKind::AllReduceStart | OpKind::AllReduceDone => return None,
            OpKind::Source => {
                let fields = [Control::LearningRate, Control::Number(1), Control::Step, Control::FirstRow];
                let field = tape.control(self.rng.pick(&fields));
                if field.dtype() == DType::F64 { field.cast(DType::F32) } else { field }
            }
            OpKind::Constant => {
                let (dtype, shape) = (self.rng.pick(&DType::ALL[..11]), self.any().shape());
                tape.constant_of(random_array(dtype, &shape, self.rng))
            }
            OpKind::Iota => {
                let dtype = self.rng.pick(&[DType::F32, DType::I32, DType::I64, DType::U8, DType::F64]);
                let shape = self.such(|x| x.rank() > 0)?.shape();
                tape.iota_of(TensorType::new(dtype, shape.clone()), self.rng.below(shape.rank()))
            }
            OpKind::RandomBits => {
                let shape = self.any().shape();
                let bits = tape.random_bits(shape);
                (bits >> tape.constant::<u32>([0; 0], vec![8])).cast::<f32>().node() * 2f64.powi(-23) - 1.0
            }
            OpKind::Compare => {
                let x = self.any();
                let ordered = x.dtype() != DType::Bool;
                let y = self.such(|y| y.ty() == x.ty() && (y.id() != x.id() || !ordered))?;
                if ordered && !self.rng.one_in(3) { x.less(y) } else { x.equal(y) }
            }
            OpKind::Select => {
                let c = self.such(|x| x.dtype() == DType::Bool)?;
                let x = self.such(|x| x.shape().broadcast(&c.shape()).is_some())?;
                let y = self.such(|y| y.ty() == x.ty())?;
                c.select(x, y)
            }
            OpKind::Cast => {
                let to = self.rng.pick(&DType::ALL[..11]);
                self.any().cast(to)
            }
            OpKind::StopGradient => self.float()?.stop_gradient(),
            OpKind::CustomGrad => {
                let x = self.float()?;
                let value = Var::<f32>::of(x.cast(DType::F32)).tanh().node();
                tape.custom_grad(value, &[x], |g| vec![g.cast(x.dtype()) * 0.5 + x * 0.25])
            }
            OpKind::Scan | OpKind::ScanOutput => self.scan()?,
            OpKind::Dot => self.dot()?,
            OpKind::Conv => self.conv()?,
            OpKind::Pool => self.pool()?,
            OpKind::Gather => {
                let x = self.such(|x| x.rank() > 0 && !x.shape().contains(&0))?;
                let axis = self.rng.below(x.rank());
                let index = self.index(x.shape()[axis], |i| i.rank() < 3)?;
                x.gather(index, axis)
            }
            OpKind::ScatterAdd => {
                let x = self.such(|x| x.rank() > 0 && x.dtype() != DType::Bool)?;
                let (axis, len) = (self.rng.below(x.rank()), 1 + self.rng.below(5));
                let index = self.index(len, |i| x.shape()[axis..].starts_with(&i.shape()))?;
                x.scatter_add(index, axis, len)
            }
            OpKind::Reshape
            | OpKind::Permute
            | OpKind::Broadcast
            | OpKind::Slice
            | OpKind::Pad
            | OpKind::Flip
            | OpKind::Concat => self.movement(kind)?,
            OpKind::Sum | OpKind::Max | OpKind::ArgMax => self.reduction(kind)?,
        })
    }

    fn movement(&mut self, kind: OpKind) -> Option<Dyn<'g>> {
        let x = self.such(|x| x.rank() > 0)?;
        let (shape, rng) = (x.shape(), &mut *self.rng);
        let axis = rng.below(shape.rank());
        Some(match kind {
            OpKind::Reshape => {
                let n = shape.elements();
                let split = [2, 3, 5].into_iter().find(|d| n.is_multiple_of(*d));
                let to = [vec![n], vec![split?, n / split?], vec![1, n, 1]];
                x.reshape(&to[rng.below(3)].clone().into())
            }
            OpKind::Permute => x.permute(&rng.order(shape.rank())),
            OpKind::Broadcast => {
                let mut dims = shape.iter().map(|&n| if n == 1 { 3 } else { n }).collect::<Vec<_>>();
                dims.insert(0, 1 + rng.below(3));
                x.broadcast_to(&dims.into())
            }
            OpKind::Slice => {
                let range = |&n: &usize| {
                    let (start, step) = (rng.below(n), 1 + rng.below(2));
                    Range { start, len: 1.min(n) + rng.below((n - start).div_ceil(step)), step }
                };
                let mut ranges: Vec<Range> = shape.iter().map(range).collect();
                for (r, &n) in ranges.iter_mut().zip(shape.iter()) {
                    r.len = r.len.min((n - r.start).div_ceil(r.step));
                }
                x.slice(&ranges)
            }
            OpKind::Pad => {
                let mut border = || (0..shape.rank()).map(|_| rng.below(3)).collect::<Vec<_>>();
                let (before, after) = (border(), border());
                x.pad(&before, &after, rng.pick(&[0.0, 1.0, 2.0]))
            }
            OpKind::Flip => x.flip(&[axis]),
            _ => {
                let beside = |y: Dyn<'g>| {
                    y.dtype() == x.dtype()
                        && y.rank() == x.rank()
                        && y.shape().without(&[axis]) == shape.without(&[axis])
                };
                let (y, z) = (self.such(beside)?, self.such(beside)?);
                Dyn::concat(&[x, y, z][..2 + self.rng.below(2)], axis)?
            }
        })
    }

    fn reduction(&mut self, kind: OpKind) -> Option<Dyn<'g>> {
        let summed = kind == OpKind::Sum;
        let x =
            self.such(|x| x.rank() > 0 && x.dtype() != DType::Bool && (summed || !x.shape().contains(&0)))?;
        let axis = self.rng.below(x.rank());
        let mut axes = self.rng.subset(x.rank());
        if axes.is_empty() {
            axes.push(axis);
        }
        Some(match kind {
            OpKind::Sum if x.dtype().is_float() => {
                let n = x.shape().elements().max(1) as f64;
                x.sum(&axes) * (1.0 / n.sqrt())
            }
            OpKind::Sum => x.sum(&axes),
            OpKind::Max => x.max(&axes),
            _ => x.argmax(axis),
        })
    }

    /// A product along one axis, scaled by the root of its length.
    fn dot(&mut self) -> Option<Dyn<'g>> {
        let x = self.such(|x| x.rank() > 0 && x.rank() < 4 && x.dtype() != DType::Bool)?;
        let a = self.rng.below(x.rank());
        let n = x.shape()[a];
        let y = self.such(|y| y.dtype() == x.dtype() && y.rank() < 4 && y.shape().contains(&n))?;
        let b = y.shape().iter().position(|&m| m == n)?;
        let mut dims = Dot { batch: vec![], contract: vec![(a, b)] };
        let other = |p: usize, d: Dyn<'g>, i: usize| (0..d.rank()).find(|&q| q != p && d.shape()[q] == i);
        if let Some(p) = (0..x.rank()).find(|&p| p != a)
            && let Some(q) = other(b, y, x.shape()[p])
            && self.rng.one_in(2)
        {
            dims.batch.push((p, q));
        }
        let size = x.shape().elements() / n.max(1) * (y.shape().elements() / n.max(1));
        if size > MOST {
            return None;
        }
        let z = x.dot(y, &dims);
        Some(if z.dtype().is_float() { z * (1.0 / (n.max(1) as f64).sqrt()) } else { z })
    }

    /// A convolution of some elements, or one of its gradients.
    fn conv(&mut self) -> Option<Dyn<'g>> {
        let dtype = self.rng.pick(&[DType::F32, DType::F32, DType::F64, DType::I32, DType::I8, DType::I16]);
        let x = self.such(|x| x.dtype() == dtype && x.shape().elements() >= 4)?;
        let n = x.shape().elements().min(160);
        let flat = x.reshape(&[x.shape().elements()].into());
        let flat = flat.slice(&[Range { start: 0, len: n / 4 * 4, step: 1 }]);
        let planar = self.rng.one_in(2);
        let x = flat.reshape(&if planar { [1, 2, 2, n / 4].into() } else { [1, 4, n / 4].into() });
        let rank = if planar { 2 } else { 1 };
        let groups = 1 + self.rng.below(2);
        let mut each = |low, high| (0..rank).map(|_| self.rng.int(low, high) as usize).collect::<Vec<_>>();
        let (stride, dilation, before, after) = (each(1, 2), each(1, 2), each(1, 2), each(1, 2));
        let window = each(1, 3);
        let channels = x.shape()[1];
        let w = Shape::from([&[4, channels / groups], &window[..]].concat());
        let window = Window { stride, dilation, before, after, groups };
        let conv = Conv { part: Part::Output, window, x: x.shape(), w: w.clone() };
        let y = conv.output().ok()?;
        let mut constant = |shape: &Shape| self.tape.constant_of(random_array(dtype, shape, self.rng));
        let (w, g) = (constant(&w), constant(&y));
        let z = match self.rng.below(3) {
            0 => x.conv(w, conv),
            1 => g.conv(w, conv.with_part(Part::GradInput)),
            _ => x.conv(g, conv.with_part(Part::GradKernel)),
        };
        Some(if dtype.is_float() { z * 0.25 } else { z })
    }

    /// The pooling of some elements, and what goes back from it.
    fn pool(&mut self) -> Option<Dyn<'g>> {
        let dtype = self.rng.pick(&[DType::F32, DType::F32, DType::F64, DType::I32, DType::I8]);
        let x = self.such(|x| x.dtype() == dtype && x.shape().elements() >= 4)?;
        let n = x.shape().elements().min(160);
        let flat = x.reshape(&[x.shape().elements()].into());
        let flat = flat.slice(&[Range { start: 0, len: n / 4 * 4, step: 1 }]);
        let planar = self.rng.one_in(2);
        let x = flat.reshape(&if planar { [1, 1, 4, n / 4].into() } else { [2, 1, n / 4 * 2].into() });
        let rank = if planar { 2 } else { 1 };
        let mut each = |low, high| (0..rank).map(|_| self.rng.int(low, high) as usize).collect::<Vec<_>>();
        let (size, stride) = (each(1, 3), each(1, 3));
        let kind = self.rng.pick(&[PoolKind::Sum, PoolKind::Max]);
        let kind = if dtype == DType::I8 { PoolKind::Max } else { kind };
        let pool = Pool { kind, part: PoolPart::Output, size, stride, x: x.shape() };
        let g = random_array(dtype, &pool.output().ok()?, self.rng);
        let g = self.tape.constant_of(g);
        let (back, operands) = (pool.with_part(PoolPart::Spread), [x, g]);
        let z = match self.rng.below(3) {
            0 | 1 if kind == PoolKind::Sum && self.rng.one_in(2) => self.tape.push(back, &operands[1..]),
            0 if kind == PoolKind::Max => self.tape.push(back, &operands),
            1 if kind == PoolKind::Max => self.tape.push(pool.with_part(PoolPart::Pick), &[x, x * x]),
            _ => self.tape.push(pool, &[x]),
        };
        Some(if dtype.is_float() { z * 0.25 } else { z })
    }

    /// A recurrence over a leading axis, with a value from outside.
    fn scan(&mut self) -> Option<Dyn<'g>> {
        let x = self.such(|x| x.dtype() == DType::F32 && x.rank() > 0 && x.shape()[0] <= 8)?;
        let k = self.such(|k| k.dtype() == DType::F32 && k.rank() == 0)?;
        let element = Shape::from(&x.shape()[1..]);
        let init = k.broadcast_to(&element);
        let k = within(k, (-1.0, 1.0));
        let body = |c: &[Dyn<'g>], e: &[Dyn<'g>]| {
            let next = Var::<f32>::of(c[0] * k + e[0]).tanh().node();
            (vec![next], vec![next * e[0]])
        };
        let reverse = self.rng.one_in(2);
        let (last, ys) = match reverse {
            true => self.tape.scan_reverse(&[init], &[x], body),
            false => self.tape.scan(&[init], &[x], body),
        };
        self.keep(last[0]);
        Some(ys[0])
    }

    /// Indices below `n`, whatever the state may become.
    fn index(&mut self, n: usize, fits: impl Fn(Dyn<'g>) -> bool) -> Option<Dyn<'g>> {
        let i = self.such(|i| is_index(i.dtype()) && fits(i))?;
        let n = self.tape.scalar_of(i.dtype(), n as f64);
        Some(i.binary::<elementwise::Rem>(n).unary::<elementwise::Abs>())
    }
}

/// True where every float is finite and small.
fn tame(x: Dyn<'_>) -> bool {
    let value: Option<Array> = x.peek();
    value.is_some_and(|a| !x.dtype().is_float() || numbers(&a).iter().all(|v| v.abs() <= LARGEST))
}

/// The value itself where it lies within a range, else bent into it.
fn within(x: Dyn<'_>, (low, high): (f64, f64)) -> Dyn<'_> {
    let inside = |a: Array| numbers(&a).iter().all(|v| (low..=high).contains(v));
    if x.peek().is_some_and(inside) {
        return x;
    }
    x.unary::<elementwise::Tanh>() * (0.45 * (high - low)) + 0.5 * (low + high)
}
