//! Operators that move elements and compute nothing.

use super::super::call::{Call, Found, axis, border, broadcast, one, reshaped, shape_of, sorted_axes};
use super::super::value::Value;
use super::Group;
use ironlearn_ir::prim::Range;
use ironlearn_ir::{Array, DType, Dyn, Shape, TensorType};

pub(super) const GROUP: Group = &[
    ("Concat", concat),
    ("DepthToSpace", depth_to_space),
    ("Dropout", dropout),
    ("Expand", expand),
    ("Flatten", flatten),
    ("Identity", |c| Ok(vec![c.value(0)?.clone()])),
    ("Pad", pad),
    ("Reshape", reshape),
    ("Shape", shape),
    ("Size", |c| Ok(vec![Value::known(Array::scalar(c.value(0)?.shape().elements() as i64))])),
    ("Slice", slice),
    ("Split", split),
    ("Squeeze", squeeze),
    ("Tile", tile),
    ("Transpose", transpose),
    ("Unsqueeze", unsqueeze),
];

/// The longest axis that is padded with elements of its own.
const MOST_MIRRORED: i64 = 1 << 24;

/// A node of which the given axes are parts, others whole.
pub(super) fn part<'g>(x: Dyn<'g>, at: usize, range: Range) -> Dyn<'g> {
    let whole = |len| Range { start: 0, len, step: 1 };
    let ranges: Vec<Range> =
        x.shape().iter().enumerate().map(|(i, &len)| if i == at { range } else { whole(len) }).collect();
    x.slice(&ranges)
}

fn concat<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let parts = c.all()?;
    let rank = parts.first().map_or(0, |part| part.rank());
    let at = axis(c.int("axis", if c.opset < 4 { 1 } else { 0 }), rank)?;
    one(Dyn::concat(&parts, at).ok_or("it has no inputs")?)
}

fn dropout<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    // An input since opset 12, which PyTorch gives even where it is false.
    if c.known(2)?.is_some_and(|training| super::super::value::whole(training) != [0]) {
        return Err("it drops at random (training_mode): export the model for inference".into());
    }
    let mask = c.wants(1).then(|| c.tape.scalar_of(DType::Bool, 1.0).broadcast_to(&x.shape()));
    Ok([Some(x), mask].into_iter().flatten().map(Value::from).collect())
}

fn reshape<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let mut dims = c.numbers(1)?.ok_or("its shape is missing")?;
    if !c.flag("allowzero") {
        for (i, dim) in dims.iter_mut().enumerate().filter(|(_, dim)| **dim == 0) {
            let same = x.shape().get(i).copied();
            *dim = same.ok_or_else(|| format!("{} has no axis {i} to keep", x.shape()))? as i64;
        }
    }
    if dims.iter().filter(|&&dim| dim == -1).count() > 1 {
        return Err(format!("the shape {dims:?} leaves two lengths open"));
    }
    if let Some(open) = dims.iter().position(|&dim| dim == -1) {
        let others: i64 =
            dims.iter().filter(|&&dim| dim != -1).try_fold(1i64, |n, &d| n.checked_mul(d)).unwrap_or(0);
        if others <= 0 {
            return Err(format!("the shape {dims:?} leaves a length open that nothing determines"));
        }
        dims[open] = x.shape().elements() as i64 / others;
    }
    one(reshaped(x, &shape_of(&dims)?)?)
}

fn flatten<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let at = border(c.int("axis", 1), x.rank())?;
    let shape = x.shape();
    let sides = [shape[..at].iter().product(), shape[at..].iter().product()];
    one(x.reshape(&Shape::new(&sides)?))
}

fn transpose<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let Some(order) = c.ints("perm") else {
        return one(x.permute(&(0..x.rank()).rev().collect::<Vec<_>>()));
    };
    let order = order.iter().map(|&a| axis(a, x.rank())).collect::<Result<Vec<_>, _>>()?;
    one(x.permute(&order))
}

fn squeeze<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let shape = x.shape();
    let axes = match c.axes(1)? {
        Some(axes) => sorted_axes(&axes, x.rank())?,
        None => (0..x.rank()).filter(|&a| shape[a] == 1).collect(),
    };
    one(reshaped(x, &shape.without(&axes))?)
}

fn unsqueeze<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let axes = c.axes(1)?.ok_or("its axes are missing")?;
    let axes = sorted_axes(&axes, x.rank() + axes.len())?;
    let mut dims = x.shape().to_vec();
    axes.iter().for_each(|&at| dims.insert(at.min(dims.len()), 1));
    one(reshaped(x, &Shape::new(&dims)?)?)
}

fn expand<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let wanted = shape_of(&c.numbers(1)?.ok_or("its shape is missing")?)?;
    // Each may be the longer one.
    let shape = x.shape().broadcast(&wanted);
    one(broadcast(x, &shape.ok_or_else(|| format!("{} does not broadcast to {wanted}", x.shape()))?)?)
}

fn tile<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let times = c.numbers(1)?.ok_or("its repeats are missing")?;
    if times.len() != x.rank() {
        return Err(format!("{} repeats for {}", times.len(), x.shape()));
    }
    // [a, b] as [1, a, 1, b] to [times, a, times, b].
    let (mut apart, mut repeated, mut joined) = (Vec::new(), Vec::new(), Vec::new());
    for (&len, &n) in x.shape().iter().zip(&times) {
        let n = usize::try_from(n).map_err(|_| format!("{n} repeats"))?;
        apart.extend([1, len]);
        repeated.extend([n, len]);
        joined.push(n.checked_mul(len).ok_or("more elements than memory can address")?);
    }
    let joined = Shape::new(&joined)?;
    one(x.reshape(&Shape::new(&apart)?).broadcast_to(&Shape::new(&repeated)?).reshape(&joined))
}

fn shape<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let shape = c.value(0)?.shape();
    let bound = |name, otherwise: i64| {
        let at = c.int(name, otherwise);
        let at = if at < 0 { at + shape.rank() as i64 } else { at };
        at.clamp(0, shape.rank() as i64) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", shape.rank() as i64));
    let dims = shape.get(start..end.max(start)).unwrap_or_default();
    Ok(vec![Value::ints(dims.iter().map(|&n| n as i64).collect())])
}

fn slice<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let mut x = c.x(0)?;
    let (starts, ends, axes, steps) = if c.opset < 10 {
        let list = |name| c.ints(name).map(<[i64]>::to_vec);
        (list("starts"), list("ends"), list("axes"), None)
    } else {
        (c.numbers(1)?, c.numbers(2)?, c.numbers(3)?, c.numbers(4)?)
    };
    let (starts, ends) = (starts.ok_or("its starts are missing")?, ends.ok_or("its ends are missing")?);
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("its starts, ends, axes and steps are not as many".into());
    }
    for i in 0..starts.len() {
        let at = axis(axes[i], x.rank())?;
        let len = x.shape()[at] as i64;
        let from_start = |place: i64| if place < 0 { place.saturating_add(len) } else { place };
        let (start, end, step) = (from_start(starts[i]), from_start(ends[i]), steps[i]);
        // Backwards is forwards on what is reversed.
        let (start, end) = match step {
            0 => return Err("a step of 0".into()),
            1.. => (start.clamp(0, len), end.clamp(0, len)),
            _ => {
                x = x.flip(&[at]);
                (len - 1 - start.clamp(-1, len - 1), len - 1 - end.clamp(-1, len - 1))
            }
        };
        let step = usize::try_from(step.unsigned_abs()).map_err(|e| e.to_string())?;
        let count = (end.max(start) - start) as usize;
        x = part(x, at, Range { start: start as usize, len: count.div_ceil(step), step });
    }
    one(x)
}

fn split<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let at = axis(c.int("axis", 0), x.rank())?;
    let len = x.shape()[at];
    let given = match c.ints("split") {
        Some(parts) => Some(parts.to_vec()),
        None => c.numbers(1)?,
    };
    let parts: Vec<usize> = match given {
        Some(parts) => shape_of(&parts)?.to_vec(),
        None => {
            let count = c.node.output.len();
            let asked = c.int("num_outputs", count as i64);
            if asked != count as i64 || count == 0 {
                return Err(format!("{asked} parts for {count} outputs"));
            }
            let each = len.div_ceil(count);
            (0..count).map(|i| each.min(len.saturating_sub(i * each))).collect()
        }
    };
    if parts.iter().sum::<usize>() != len {
        return Err(format!("parts of {parts:?} for an axis of {len}"));
    }
    let mut start = 0;
    let piece = |len: usize| {
        let piece = part(x, at, Range { start, len, step: 1 });
        start += len;
        Value::from(piece)
    };
    Ok(parts.into_iter().map(piece).collect())
}

fn pad<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let pads = match c.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => c.numbers(1)?.ok_or("its pads are missing")?,
    };
    let value = match c.constant(2)? {
        Some(value) => value,
        None => c.float("value", 0.0),
    };
    let axes = match c.numbers(3)? {
        Some(axes) => axes.iter().map(|&a| axis(a, x.rank())).collect::<Result<Vec<_>, _>>()?,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let mode = c.text("mode", "constant");
    let mut x = x;
    for (i, &at) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        x = padded(x, at, before, after, &mode, value)?;
    }
    one(x)
}

/// Along one axis; negative numbers cut off.
fn padded<'g>(
    x: Dyn<'g>,
    at: usize,
    before: i64,
    after: i64,
    mode: &str,
    value: f64,
) -> Result<Dyn<'g>, String> {
    let len = x.shape()[at] as i64;
    let end = before.checked_add(len).and_then(|n| n.checked_add(after)).filter(|n| *n >= 0);
    let whole = end.ok_or_else(|| format!("pads of {before} and {after} for an axis of {len}"))?;
    if mode == "constant" {
        let cut = (-before).max(0).min(len);
        let kept = (len - cut - (-after).max(0)).max(0);
        let x = part(x, at, Range { start: cut as usize, len: kept as usize, step: 1 });
        let along =
            |n: i64| (0..x.rank()).map(|a| if a == at { n.max(0) as usize } else { 0 }).collect::<Vec<_>>();
        return Ok(x.pad(&along(before), &along(after), value));
    }
    if len == 0 {
        return Err(format!("the mode {mode} for an axis without elements"));
    }
    if whole > MOST_MIRRORED {
        return Err(format!("an axis of {whole} elements, at most {MOST_MIRRORED} in the mode {mode}"));
    }
    let period = 2 * (len - 1).max(1);
    let source = |i: i64| match mode {
        "edge" => Ok(i.clamp(0, len - 1)),
        "wrap" => Ok(i.rem_euclid(len)),
        "reflect" => {
            let i = i.rem_euclid(period);
            Ok(if len == 1 { 0 } else { i.min(period - i) })
        }
        _ => Err(format!("the mode {mode} is not supported; constant, reflect, edge and wrap are")),
    };
    let index = (0..whole).map(|i| source(i - before)).collect::<Result<Vec<i64>, _>>()?;
    let index = Array::of([index.len()], index)?;
    Ok(x.gather(x.tape().constant_of(index), at))
}

fn depth_to_space<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let size = usize::try_from(c.int("blocksize", 0)).map_err(|e| e.to_string())?;
    let &[n, channels, height, width] = &x.shape()[..] else {
        return Err(format!("it needs [N, C, H, W], found {}", x.shape()));
    };
    let square = size.checked_mul(size).filter(|square| *square > 0 && channels % square == 0);
    let depth = channels / square.ok_or_else(|| format!("blocks of {size} for {channels} channels"))?;
    let (apart, order) = match c.text("mode", "DCR").as_str() {
        "CRD" => ([n, depth, size, size, height, width], [0, 1, 4, 2, 5, 3]),
        _ => ([n, size, size, depth, height, width], [0, 3, 4, 1, 5, 2]),
    };
    let moved = x.reshape(&Shape::new(&apart)?).permute(&order);
    one(moved.reshape(&Shape::new(&[n, depth, height.saturating_mul(size), width.saturating_mul(size)])?))
}

/// A tensor of one number; for operators that have to give some.
pub(super) fn filled<'g>(c: &Call<'_, 'g>, ty: TensorType, x: f64) -> Dyn<'g> {
    c.tape.scalar_of(ty.dtype, x).broadcast_to(&ty.shape)
}
