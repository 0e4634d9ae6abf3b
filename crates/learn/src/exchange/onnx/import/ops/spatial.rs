//! Convolutions and pooling over any number of axes.

use super::super::call::{Call, Found, one, shape_of};
use super::super::value::Value;
use super::Group;
use super::movement::part;
use super::norm::along_channels;
use ironlearn_ir::prim::elementwise::{Add, Maximum};
use ironlearn_ir::prim::{Conv, Part, PoolKind, Range, Window};
use ironlearn_ir::{Array, DType, Dyn, Shape, TensorType};

pub(super) const GROUP: Group = &[
    ("AveragePool", average_pool),
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("MaxPool", max_pool),
];

/// The most elements of a window that become an operation each, where windows have gaps or their places are asked for.
const MOST_OFFSETS: usize = 1 << 12;

/// The most windows of a plane whose means are taken.
const MOST_WINDOWS: usize = 1 << 26;

/// How windows move, for each spatial axis.
struct Windows {
    size: Vec<usize>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    /// What is added at the ends.
    before: Vec<usize>,
    after: Vec<usize>,
    /// What is added behind that, so that the last window is whole.
    beyond: Vec<usize>,
    /// How many windows there are.
    count: Vec<usize>,
}

/// An attribute with a number for each axis.
fn per_axis(c: &Call<'_, '_>, name: &str, axes: usize, otherwise: usize) -> Result<Vec<usize>, String> {
    let Some(list) = c.ints(name) else { return Ok(vec![otherwise; axes]) };
    let list = shape_of(list).map_err(|_| format!("its {name} are {list:?}"))?;
    if list.rank() != axes {
        return Err(format!("{} {name} for {axes} axes", list.rank()));
    }
    Ok(list.to_vec())
}

/// Elements from the first to the last of a window.
fn reach(size: usize, dilation: usize) -> Result<usize, String> {
    let reach = size.checked_sub(1).and_then(|n| n.checked_mul(dilation)).and_then(|n| n.checked_add(1));
    reach.ok_or_else(|| format!("windows of {size} elements {dilation} apart"))
}

impl Windows {
    fn of(c: &Call<'_, '_>, x: &Shape, size: Vec<usize>) -> Result<Windows, String> {
        let axes = x.rank().checked_sub(2).filter(|&n| n > 0 && n == size.len());
        let axes = axes.ok_or_else(|| format!("windows {size:?} for {x}"))?;
        let (stride, dilation) = (per_axis(c, "strides", axes, 1)?, per_axis(c, "dilations", axes, 1)?);
        let pads = per_axis(c, "pads", 2 * axes, 0)?;
        let auto = c.text("auto_pad", "NOTSET");
        let ceil = c.flag("ceil_mode");
        let mut w = Windows {
            size,
            stride,
            dilation,
            before: pads[..axes].to_vec(),
            after: pads[axes..].to_vec(),
            beyond: vec![0; axes],
            count: vec![0; axes],
        };
        for a in 0..axes {
            let (len, stride) = (x[a + 2], w.stride[a]);
            let reach = reach(w.size[a], w.dilation[a])?;
            if stride == 0 || w.dilation[a] == 0 {
                return Err("a stride or dilation of 0".into());
            }
            match auto.as_str() {
                "SAME_UPPER" | "SAME_LOWER" => {
                    let windows = len.div_ceil(stride);
                    let span = windows.saturating_sub(1).saturating_mul(stride).saturating_add(reach);
                    let total = span.saturating_sub(len);
                    let (less, more) = (total / 2, total - total / 2);
                    (w.before[a], w.after[a]) =
                        if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
                }
                "VALID" => (w.before[a], w.after[a]) = (0, 0),
                _ => {}
            }
            let whole = w.before[a].checked_add(len).and_then(|n| n.checked_add(w.after[a]));
            let room = whole.and_then(|n| n.checked_sub(reach));
            let room =
                room.ok_or_else(|| format!("windows of {reach} elements do not fit an axis of {len}"))?;
            w.count[a] = room / stride + 1;
            if ceil && room % stride != 0 && w.count[a].saturating_mul(stride) < w.before[a] + len {
                w.beyond[a] = w.count[a].saturating_mul(stride) - room;
                w.count[a] += 1;
            }
        }
        Ok(w)
    }

    /// With a border of this number.
    fn padded<'g>(&self, x: Dyn<'g>, value: f64) -> Dyn<'g> {
        let with_ends = |pads: Vec<usize>| [vec![0, 0], pads].concat();
        let after = self.after.iter().zip(&self.beyond).map(|(a, b)| a + b).collect();
        x.pad(&with_ends(self.before.clone()), &with_ends(after), value)
    }

    /// The offsets of the elements of a window, in order.
    fn offsets(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for &size in &self.size {
            all = all.iter().flat_map(|o| (0..size).map(move |k| [&o[..], &[k]].concat())).collect();
        }
        all
    }

    /// For each offset of a window, the elements of all windows there.
    fn slices<'g>(&self, padded: Dyn<'g>) -> Vec<Dyn<'g>> {
        let whole = |len| Range { start: 0, len, step: 1 };
        let shape = padded.shape();
        let at = |offset: &[usize]| {
            let along = offset.iter().enumerate().map(|(a, k)| Range {
                start: k * self.dilation[a],
                len: self.count[a],
                step: self.stride[a],
            });
            let ranges: Vec<Range> = [whole(shape[0]), whole(shape[1])].into_iter().chain(along).collect();
            padded.slice(&ranges)
        };
        self.offsets().iter().map(|offset| at(offset)).collect()
    }

    fn pooled<'g>(&self, padded: Dyn<'g>, kind: PoolKind) -> Result<Dyn<'g>, String> {
        if self.dilation.iter().all(|&d| d == 1) {
            return Ok(padded.pool(kind, &self.size, &self.stride));
        }
        let fold = |x: Dyn<'g>, y| match kind {
            PoolKind::Max => x.binary::<Maximum>(y),
            PoolKind::Sum => x.binary::<Add>(y),
        };
        // One axis after the other: a slice for each offset along it.
        let mut x = padded;
        for (a, &size) in self.size.iter().enumerate() {
            if size > MOST_OFFSETS {
                return Err(format!(
                    "windows of {size} elements with gaps, at most {MOST_OFFSETS} along an axis"
                ));
            }
            let range =
                |k: usize| Range { start: k * self.dilation[a], len: self.count[a], step: self.stride[a] };
            let folded = (0..size).map(|k| part(x, a + 2, range(k))).reduce(fold);
            x = folded.ok_or("windows without elements")?;
        }
        Ok(x)
    }

    /// How many elements each window has along an axis: of the input, or of its border too.
    fn covered(&self, a: usize, len: usize, border: bool) -> Vec<usize> {
        let inner = (self.before[a], self.before[a] + len);
        let (first, end) = if border { (0, inner.1 + self.after[a]) } else { inner };
        let up_to = |bound: usize, p: usize| {
            bound.saturating_sub(p * self.stride[a]).div_ceil(self.dilation[a].max(1)).min(self.size[a])
        };
        (0..self.count[a]).map(|p| up_to(end, p) - up_to(first, p)).collect()
    }

    /// Refuses so many windows of so many elements that each has to be written down.
    fn check_written(&self) -> Result<(), String> {
        let elements =
            self.size.iter().try_fold(1usize, |n, &k| n.checked_mul(k)).filter(|&n| n <= MOST_OFFSETS);
        elements
            .map(|_| ())
            .ok_or_else(|| format!("windows {:?} of more than {MOST_OFFSETS} elements", self.size))
    }
}

fn size_of(c: &Call<'_, '_>) -> Result<Vec<usize>, String> {
    let size = c.ints("kernel_shape").ok_or("its kernel_shape is missing")?;
    let size = shape_of(size)?;
    Ok(size.to_vec())
}

fn average_pool<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let given = c.x(0)?;
    let x = if matches!(given.dtype(), DType::F16 | DType::Bf16) { given.cast(DType::F32) } else { given };
    let w = Windows::of(c, &x.shape(), size_of(c)?)?;
    let border = c.flag("count_include_pad");
    let sums = w.pooled(w.padded(x, 0.0), PoolKind::Sum)?;
    if sums.is_poison()
        || w.count.iter().try_fold(1usize, |n, &k| n.checked_mul(k)).is_none_or(|n| n > MOST_WINDOWS)
    {
        return Err(format!("no plane of {:?} windows", w.count));
    }
    let mut counts = vec![1.0];
    for a in 0..w.size.len() {
        let along = w.covered(a, x.shape()[a + 2], border);
        counts = counts.iter().flat_map(|n| along.iter().map(move |&k| n * k as f64)).collect();
    }
    let dims: Vec<usize> = [1, 1].into_iter().chain(w.count.iter().copied()).collect();
    let counts = c.tape.constant_of(Array::of(Shape::new(&dims)?, counts)?);
    one((sums / counts.cast(x.dtype())).cast(given.dtype()))
}

fn max_pool<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let w = Windows::of(c, &x.shape(), size_of(c)?)?;
    let padded = w.padded(x, f64::NEG_INFINITY);
    let y = w.pooled(padded, PoolKind::Max)?;
    if !c.wants(1) {
        return one(y);
    }
    Ok(vec![y.into(), Value::from(places(c, x, &w, padded)?)])
}

/// The place of each window's largest element in the list of all elements of `x`.
fn places<'g>(c: &Call<'_, 'g>, x: Dyn<'g>, w: &Windows, padded: Dyn<'g>) -> Result<Dyn<'g>, String> {
    w.check_written()?;
    let shape = x.shape();
    let outer = |v: Dyn<'g>| Ok::<_, String>(v.reshape(&Shape::new(&[&v.shape()[..], &[1]].concat())?));
    let candidates = w.slices(padded).into_iter().map(outer).collect::<Result<Vec<_>, _>>()?;
    let last = shape.rank();
    let which = Dyn::concat(&candidates, last).ok_or("windows without elements")?.argmax(last);
    // Along each axis: the place of the window, and what its offset adds.
    let plane = Shape::from(&shape[2..]);
    let strides = if c.flag("storage_order") {
        // Columns first.
        let dims = plane.iter().rev().copied().collect::<Vec<_>>();
        Shape::new(&dims)?.strides().into_iter().rev().collect()
    } else {
        plane.strides()
    };
    let counts = which.shape();
    let along = |a: usize| c.tape.iota_of(TensorType::new(DType::I64, counts.clone()), a);
    let mut place = (along(0) * shape[1] as f64 + along(1)) * plane.elements() as f64;
    for (a, &stride) in strides.iter().enumerate() {
        let offset: Vec<i64> =
            w.offsets().iter().map(|o| (o[a] * w.dilation[a]) as i64 - w.before[a] as i64).collect();
        let offset = c.tape.constant_of(Array::of([offset.len()], offset)?).gather(which, 0);
        place = place + (along(a + 2) * w.stride[a] as f64 + offset) * stride as f64;
    }
    Ok(place)
}

fn groups(c: &Call<'_, '_>) -> usize {
    usize::try_from(c.int("group", 1)).unwrap_or(0)
}

fn with_bias<'g>(c: &Call<'_, 'g>, y: Dyn<'g>) -> Found<'g> {
    one(match c.maybe(2) {
        Some(bias) if !y.is_poison() => y + along_channels(bias, y.rank())?,
        _ => y,
    })
}

fn conv<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, kernel) = (c.x(0)?, c.x(1)?);
    let size = kernel.shape().get(2..).unwrap_or_default().to_vec();
    if c.ints("kernel_shape").is_some() && size_of(c)? != size {
        return Err(format!("its kernel_shape is {:?}, and its kernel {}", size_of(c)?, kernel.shape()));
    }
    let w = Windows::of(c, &x.shape(), size)?;
    let window = Window {
        stride: w.stride,
        dilation: w.dilation,
        before: w.before,
        after: w.after,
        groups: groups(c),
    };
    let conv = Conv { part: Part::Output, window, x: x.shape(), w: kernel.shape() };
    convolved(c, x, kernel, conv)
}

/// The convolution and its bias; narrow floats are computed in `f32`.
fn convolved<'g>(c: &Call<'_, 'g>, x: Dyn<'g>, kernel: Dyn<'g>, conv: Conv) -> Found<'g> {
    let dtype = x.dtype();
    let wide = |v: Dyn<'g>| if matches!(dtype, DType::F16 | DType::Bf16) { v.cast(DType::F32) } else { v };
    with_bias(c, wide(x).conv(wide(kernel), conv).cast(dtype))
}

fn conv_transpose<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, kernel) = (c.x(0)?, c.x(1)?);
    let (shape, size) = (x.shape(), kernel.shape());
    let axes = shape.rank().checked_sub(2).filter(|&n| n > 0 && size.rank() == n + 2);
    let axes = axes.ok_or_else(|| format!("the kernel {size} for {shape}"))?;
    let (stride, dilation) = (per_axis(c, "strides", axes, 1)?, per_axis(c, "dilations", axes, 1)?);
    let extra = per_axis(c, "output_padding", axes, 0)?;
    let pads = per_axis(c, "pads", 2 * axes, 0)?;
    let auto = c.text("auto_pad", "NOTSET");
    let same = auto.starts_with("SAME");
    let wanted = match c.ints("output_shape") {
        // Some give batch and channels too.
        Some(dims) => Some(shape_of(dims)?.iter().rev().take(axes).rev().copied().collect::<Vec<_>>()),
        None if same => Some((0..axes).map(|a| shape[a + 2].saturating_mul(stride[a])).collect()),
        None => None,
    };
    let groups = groups(c);
    let channels = size[1].checked_mul(groups).ok_or("more channels than memory can address")?;
    let (mut larger, mut before, mut after) = (vec![shape[0], channels], Vec::new(), Vec::new());
    for a in 0..axes {
        let spread = shape[a + 2].saturating_sub(1).checked_mul(stride[a]);
        let whole =
            spread.and_then(|n| n.checked_add(reach(size[a + 2], dilation[a]).ok()?)?.checked_add(extra[a]));
        let whole = whole.ok_or("more elements than memory can address")?;
        let (begin, end, length) = match &wanted {
            Some(wanted) => {
                let total = whole.saturating_sub(wanted[a]);
                let half = total / 2;
                let (begin, end) =
                    if auto == "SAME_UPPER" { (half, total - half) } else { (total - half, half) };
                (begin, end, wanted[a])
            }
            None if auto == "VALID" => (0, 0, whole),
            None => {
                let cut = pads[a] + pads[a + axes];
                let length =
                    whole.checked_sub(cut).ok_or_else(|| format!("pads of {cut} for {whole} elements"))?;
                (pads[a], pads[a + axes], length)
            }
        };
        larger.push(length);
        before.push(begin);
        after.push(end);
    }
    let window = Window { stride, dilation, before, after, groups };
    let conv = Conv { part: Part::GradInput, window, x: Shape::new(&larger)?, w: size };
    convolved(c, x, kernel, conv)
}
