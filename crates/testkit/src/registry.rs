//! A random differentiable use of every operation, for the [gradient check](crate::gradcheck).
//!
//! Elementwise primitives need nothing: they are taken from their own registry, with inputs from their
//! domain. For the other operations [`case`] matches on every kind, so that a new one does not compile
//! without a case.

use crate::gradcheck::Case;
use crate::rng::Rng;
use ironlearn_ir::prim::*;
use ironlearn_ir::{Array, DType, Dyn, Shape, Tape, TensorType};

/// Most elements of an input.
const MOST: usize = 24;
/// Elementwise functions may have a kink where an input is 0 or two inputs are equal: inputs keep away by this.
const KINK: f64 = 0.02;

/// An array of `f64`.
pub fn array(shape: &[usize], values: Vec<f64>) -> Array {
    let zeros = Array::zeros(DType::F64, shape.to_vec());
    Array::of(shape.to_vec(), values).unwrap_or(zeros)
}

/// Random numbers of a shape.
fn random(rng: &mut Rng, shape: &[usize]) -> Array {
    let values = rng.floats(shape.iter().product(), -2.0, 2.0);
    array(shape, values)
}

/// An elementwise primitive on random inputs of its domain, away from kinks.
pub fn elementwise(map: MapRef, rng: &mut Rng) -> Case {
    let shape = rng.shape(MOST);
    let (n, arity, (low, high)) = (shape.iter().product(), map.0.arity(), map.0.domain());
    let mut inputs = vec![Vec::with_capacity(n); arity];
    for _ in 0..n {
        let lane = loop {
            let x = rng.floats(arity, low, high);
            let apart = |i: usize| x[i].abs() > KINK && x[..i].iter().all(|v| (v - x[i]).abs() > KINK);
            if (0..arity).all(apart) {
                break x;
            }
        };
        inputs.iter_mut().zip(lane).for_each(|(input, x)| input.push(x));
    }
    let inputs = inputs.into_iter().map(|v| array(&shape, v)).collect();
    Case::new(map.0.name(), inputs, move |tape, x| tape.push(Op::Map(map), x))
}

/// Every elementwise primitive with a derivative rule or a zero derivative on floats.
pub fn differentiable() -> impl Iterator<Item = MapRef> {
    let float = |m: &MapRef| m.0.types().has(DType::F64);
    elementwise::ALL
        .iter()
        .copied()
        .filter(float)
        .filter(|m| !matches!(m.0.derivative(), Derivative::None(_)))
}

/// A random use of an operation of this kind; `None` where the derivative is by definition not the one of
/// the function.
pub fn case(kind: OpKind, rng: &mut Rng) -> Option<Case> {
    let name = format!("{kind:?}");
    let shape = rng.shape(MOST);
    let x = random(rng, &shape);
    Some(match kind {
        OpKind::Map => {
            let maps: Vec<MapRef> = differentiable().collect();
            elementwise(rng.pick(&maps), rng)
        }
        OpKind::StopGradient | OpKind::AllReduceStart | OpKind::AllReduceDone => return None,
        OpKind::Source => {
            Case::new(name, vec![x], |tape, x| x[0] * tape.control(Control::LearningRate) + x[0])
        }
        OpKind::Constant => {
            let c = random(rng, &shape);
            Case::new(name, vec![x], move |tape, x| x[0] * tape.constant_of(c.clone()))
        }
        OpKind::Iota => {
            let (shape, x) = at_least_rank(1, rng);
            let axis = rng.below(shape.len());
            Case::new(name, vec![x], move |tape, x| {
                x[0] * tape.iota_of(TensorType::new(DType::F64, shape.clone()), axis)
            })
        }
        OpKind::RandomBits => Case::new(name, vec![x], |tape, x| {
            x[0] * tape.random_bits(x[0].shape()).cast::<f64>().node() * 2f64.powi(-32)
        }),
        OpKind::Compare => compare(name, rng),
        OpKind::Select => {
            let truth = (0..x.shape().elements()).map(|_| rng.one_in(2)).collect();
            let c = Array::of(shape.clone(), truth).ok()?;
            let y = random(rng, &shape);
            Case::new(name, vec![c, x, y], |_, x| x[0].select(x[1], x[2]))
        }
        // Only the conversion to itself has a finite difference at 1e-6; the others' types are tested apart.
        OpKind::Cast => Case::new(name, vec![x], |tape, x| tape.push(Cast(DType::F64), x)),
        OpKind::Reshape => {
            let n: usize = shape.iter().product();
            let to = if n.is_multiple_of(2) { vec![2, 1, n / 2] } else { vec![n] };
            Case::new(name, vec![x], move |tape, x| tape.push(Reshape(to.clone().into()), x))
        }
        OpKind::Permute => {
            let order = rng.order(shape.len());
            Case::new(name, vec![x], move |tape, x| tape.push(Permute(order.clone()), x))
        }
        OpKind::Broadcast => broadcast(name, rng),
        OpKind::Slice => {
            let ranges: Vec<Range> = shape.iter().map(|&n| range(n, rng)).collect();
            Case::new(name, vec![x], move |tape, x| tape.push(Slice(ranges.clone()), x))
        }
        OpKind::Pad => {
            let mut border = || shape.iter().map(|_| rng.below(3)).collect::<Vec<_>>();
            let (before, after) = (border(), border());
            let value = 0.5f64.to_bits();
            Case::new(name, vec![x], move |tape, x| {
                tape.push(Pad { before: before.clone(), after: after.clone(), value }, x)
            })
        }
        OpKind::Flip => {
            let axes = rng.subset(shape.len());
            Case::new(name, vec![x], move |tape, x| tape.push(Flip(axes.clone()), x))
        }
        OpKind::Concat => {
            let (mut shape, x) = at_least_rank(1, rng);
            let axis = rng.below(shape.len());
            let mut parts = vec![x];
            for _ in 0..rng.below(3) {
                shape[axis] = rng.below(4);
                parts.push(random(rng, &shape));
            }
            Case::new(name, parts, move |tape, x| tape.push(Concat(axis), x))
        }
        OpKind::Sum => {
            let axes = rng.subset(shape.len());
            Case::new(name, vec![x], move |tape, x| tape.push(Sum(axes.clone()), x))
        }
        OpKind::Max => {
            let (shape, x) = distinct(0, rng);
            let axes = rng.subset(shape.len());
            Case::new(name, vec![x], move |tape, x| tape.push(Max(axes.clone()), x))
        }
        OpKind::ArgMax => {
            let (shape, x) = distinct(1, rng);
            let axis = rng.below(shape.len());
            Case::new(name, vec![x], move |tape, x| tape.push(ArgMax(axis), x).cast(DType::F64))
        }
        OpKind::Dot => dot(name, rng),
        OpKind::Conv => conv(name, rng),
        OpKind::Pool => pool(name, rng),
        OpKind::Gather => {
            let (mut shape, _) = at_least_rank(1, rng);
            let axis = rng.below(shape.len());
            shape[axis] = 1 + rng.below(4);
            let rank = rng.below(3);
            let index = index(rng, &[2, 3][..rank], shape[axis]);
            Case::new(name, vec![random(rng, &shape), index], move |tape, x| tape.push(Gather { axis }, x))
        }
        OpKind::ScatterAdd => {
            let (shape, x) = (shape, x);
            let axis = rng.below(shape.len() + 1);
            let end = axis + rng.below(shape.len() - axis + 1);
            let len = 1 + rng.below(4);
            let index = index(rng, &shape[axis..end], len);
            Case::new(name, vec![x, index], move |tape, x| tape.push(ScatterAdd { axis, len }, x))
        }
        OpKind::Scan | OpKind::ScanOutput => recurrence(name, rng),
        OpKind::CustomGrad => Case::new(name, vec![x], |tape, x| {
            let x = x[0];
            tape.custom_grad(x * x * x, &[x], |g| vec![g * (x * x) * 3.0])
        }),
    })
}

/// A random array with at least so many axes, and its shape.
fn at_least_rank(rank: usize, rng: &mut Rng) -> (Vec<usize>, Array) {
    let rank = rank + rng.below(5 - rank);
    let shape = rng.shape_of_rank(rank, MOST);
    let x = random(rng, &shape);
    (shape, x)
}

/// A random array of distinct numbers, without empty axes, and its shape.
fn distinct(rank: usize, rng: &mut Rng) -> (Vec<usize>, Array) {
    let (mut shape, _) = at_least_rank(rank, rng);
    shape.iter_mut().for_each(|n| *n = (*n).max(1));
    let order = rng.order(shape.iter().product());
    let values = order.into_iter().map(|i| 0.3 * i as f64 - 2.0).collect();
    let x = array(&shape, values);
    (shape, x)
}

/// A random part of an axis.
fn range(n: usize, rng: &mut Rng) -> Range {
    let (start, step) = (rng.below(n), 1 + rng.below(3));
    let most = (n - start).div_ceil(step);
    Range { start, len: rng.below(most + 1), step }
}

/// Random indices below `n`, of a random index type.
fn index(rng: &mut Rng, shape: &[usize], n: usize) -> Array {
    let values: Vec<i64> = (0..shape.iter().product()).map(|_| rng.below(n) as i64).collect();
    let made = match rng.below(4) {
        0 => Array::of(shape.to_vec(), values.iter().map(|&v| v as u8).collect()),
        1 => Array::of(shape.to_vec(), values.iter().map(|&v| v as i32).collect()),
        2 => Array::of(shape.to_vec(), values.iter().map(|&v| v as u32).collect()),
        _ => Array::of(shape.to_vec(), values),
    };
    made.unwrap_or_else(|_| Array::zeros(DType::I64, shape.to_vec()))
}

fn compare(name: String, rng: &mut Rng) -> Case {
    let (shape, x) = distinct(0, rng);
    let shift = if rng.one_in(2) { 0.1 } else { -0.1 };
    let y = array(&shape, x.as_slice::<f64>().unwrap_or_default().iter().rev().map(|v| v + shift).collect());
    Case::new(name, vec![x, y], |tape, x| {
        let (less, equal) = (tape.push(Compare::Less, x), tape.push(Compare::Equal, x));
        less.select(x[0], x[1] * x[1]) + equal.select(x[0], x[1])
    })
}

fn broadcast(name: String, rng: &mut Rng) -> Case {
    let to = rng.shape(MOST);
    let kept = to[rng.below(to.len() + 1)..].iter();
    let from: Vec<usize> = kept.map(|&n| if rng.one_in(2) { 1 } else { n }).collect();
    Case::new(name, vec![random(rng, &from)], move |tape, x| tape.push(Broadcast(to.clone().into()), x))
}

/// A product with random batch, contracted and free axes in random order.
fn dot(name: String, rng: &mut Rng) -> Case {
    let mut length = |n: usize| (0..n).map(|_| rng.pick(&[0, 1, 1, 2, 3, 3])).collect::<Vec<usize>>();
    let (batch, inner) = (length(2), length(2));
    let (free_x, free_y) = (length(1), length(1));
    let (nb, nc) = (rng.below(3), rng.below(3));
    let (fx, fy) = (rng.below(2), rng.below(2));
    // Where the axes of a side go: position `p` holds the side's axis `order[p]`.
    let mut side = |free: &[usize]| {
        let lengths = [&batch[..nb], &inner[..nc], free].concat();
        let order = rng.order(lengths.len());
        let shape: Vec<usize> = order.iter().map(|&axis| lengths[axis]).collect();
        (shape, Permute(order).inverse().0)
    };
    let ((x, at_x), (y, at_y)) = (side(&free_x[..fx]), side(&free_y[..fy]));
    let pairs = |axes: std::ops::Range<usize>| axes.map(|a| (at_x[a], at_y[a])).collect::<Vec<_>>();
    let dot = Dot { batch: pairs(0..nb), contract: pairs(nb..nb + nc) };
    let inputs = vec![random(rng, &x), random(rng, &y)];
    Case::new(format!("{name} {dot:?}"), inputs, move |tape, x| tape.push(dot.clone(), x))
}

/// A convolution, or one of its gradients, with one or two spatial axes.
fn conv(name: String, rng: &mut Rng) -> Case {
    loop {
        let rank = 1 + rng.below(2);
        let mut each =
            |low: i64, high: i64| (0..rank).map(|_| rng.int(low, high) as usize).collect::<Vec<_>>();
        let (stride, dilation, before, after) = (each(1, 3), each(1, 2), each(0, 2), each(0, 2));
        let (space, window) = (each(0, 5), each(1, 3));
        let groups = 1 + rng.below(2);
        let (inputs, outputs) = (groups * (1 + rng.below(2)), groups * (1 + rng.below(2)));
        let x = Shape::from([&[1 + rng.below(2), inputs], &space[..]].concat());
        let w = Shape::from([&[outputs, inputs / groups], &window[..]].concat());
        let part = rng.pick(&[Part::Output, Part::GradInput, Part::GradKernel]);
        let conv = Conv { part, window: Window { stride, dilation, before, after, groups }, x, w };
        let Ok(y) = conv.output() else { continue };
        let (a, b) = match part {
            Part::Output => (&conv.x, &conv.w),
            Part::GradInput => (&y, &conv.w),
            Part::GradKernel => (&conv.x, &y),
        };
        let inputs = vec![random(rng, a), random(rng, b)];
        return Case::new(format!("{name} {conv:?}"), inputs, move |tape, x| tape.push(conv.clone(), x));
    }
}

/// Pooling, or a part of its derivatives, over one or two spatial axes.
fn pool(name: String, rng: &mut Rng) -> Case {
    let rank = 1 + rng.below(2);
    let mut each = |low: i64, high: i64| (0..rank).map(|_| rng.int(low, high) as usize).collect::<Vec<_>>();
    let (size, stride, more) = (each(1, 3), each(1, 3), each(0, 3));
    let space: Vec<usize> = size.iter().zip(more).map(|(s, m)| s + m).collect();
    let shape = Shape::from([&[1 + rng.below(2), 1 + rng.below(2)], &space[..]].concat());
    let order = rng.order(shape.elements());
    let x = array(&shape, order.into_iter().map(|i| 0.3 * i as f64 - 2.0).collect());
    let (kind, part) = rng.pick(&[
        (PoolKind::Sum, PoolPart::Output),
        (PoolKind::Sum, PoolPart::Spread),
        (PoolKind::Max, PoolPart::Output),
        (PoolKind::Max, PoolPart::Spread),
        (PoolKind::Max, PoolPart::Pick),
    ]);
    let pool = Pool { kind, part, size, stride, x: shape.clone() };
    let g = pool.output().map_or(x.clone(), |y| random(rng, &y));
    let v = random(rng, &shape);
    let inputs = match (kind, part) {
        (_, PoolPart::Output) => vec![x],
        (PoolKind::Sum, _) => vec![g],
        (_, PoolPart::Spread) => vec![x, g],
        _ => vec![x, v],
    };
    Case::new(format!("{name} {pool:?}"), inputs, move |tape, x| tape.push(pool.clone(), x))
}

/// A recurrent cell with a counter beside its state, run in either direction over 0 to 4 steps; results are
/// the last state and all outputs.
fn recurrence(name: String, rng: &mut Rng) -> Case {
    let (steps, batch, width) = (rng.below(5), 1 + rng.below(2), 1 + rng.below(2));
    let reverse = rng.one_in(2);
    let shapes: [&[usize]; 4] = [&[steps, batch, width], &[batch, width], &[width, width], &[width]];
    let inputs = shapes.iter().map(|s| random(rng, s)).collect();
    Case::many(format!("{name} of {steps} steps"), inputs, move |tape, x| {
        let count = tape.scalar_of(DType::I32, 0.0);
        let (last, ys) = recur(tape, &[x[1], count], x, reverse);
        vec![last[0], ys[0], ys[1]]
    })
}

/// [`cell`] run over a sequence; `x` holds the sequence, the state, the weight and the bias.
pub fn recur<'g>(
    tape: &'g Tape,
    init: &[Dyn<'g>],
    x: &[Dyn<'g>],
    reverse: bool,
) -> (Vec<Dyn<'g>>, Vec<Dyn<'g>>) {
    let body = |carry: &[Dyn<'g>], e: &[Dyn<'g>]| cell(carry, e[0], x[2], x[3]);
    if reverse { tape.scan_reverse(init, &x[..1], body) } else { tape.scan(init, &x[..1], body) }
}

/// `h ← tanh(x + h·w + b·n)` at step `n`; gives `h` and `x·h`.
pub fn cell<'g>(
    carry: &[Dyn<'g>],
    x: Dyn<'g>,
    weight: Dyn<'g>,
    bias: Dyn<'g>,
) -> (Vec<Dyn<'g>>, Vec<Dyn<'g>>) {
    let (h, n) = (carry[0], carry[1]);
    let n = n + 1.0;
    let product = h.dot(weight, &Dot::matmul(2));
    let next = (x + product + bias * n.cast(DType::F64)).unary::<elementwise::Tanh>();
    (vec![next, n], vec![next, x * next])
}
