//! How each operation takes operands that have rows, and what place its result has.

use crate::TensorType;
use crate::plan::Fold;
use crate::prim::{Conv, Dot, Op, Part, Range};

/// Where a value has rows: an axis with `per` elements for each row of the batch, all elements of a row side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axis {
    /// Which axis.
    pub axis: usize,
    /// Its length for one row.
    pub per: usize,
}

impl Axis {
    /// The same rows along another axis.
    pub fn at(self, axis: usize) -> Axis {
        Axis { axis, ..self }
    }
}

/// How an operand is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The same on all ranks.
    Whole,
    /// The rows of each chunk.
    Rows(Axis),
    /// The rows of each chunk, whose numbers are places along an axis of so many elements for each row: those of a chunk
    /// count from its first row.
    OwnPlaces(Axis, usize),
}

/// The place of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It has rows.
    Rows(Axis),
    /// It is a sum or maximum over rows.
    Parts(Fold),
}

/// How an operation takes its operands, of which those with `axes` have rows, and the place of its result; `None` where
/// chunks cannot compute it by themselves.
pub fn rule(
    op: &Op,
    types: &[&TensorType],
    out: &TensorType,
    axes: &[Option<Axis>],
    rows: usize,
) -> Option<(Vec<Taken>, Outcome)> {
    let first = axes.iter().flatten().next().copied()?;
    let one = |outcome: Outcome| Some((vec![Taken::Rows(first)], outcome));
    let all_alike = |outcome: Outcome| {
        let alike = axes.iter().flatten().all(|axis| *axis == first);
        alike.then(|| (vec![Taken::Rows(first); axes.len()], outcome))
    };
    let is_whole = |ranges: &[Range]| {
        let of = &ranges[first.axis];
        of.start == 0 && of.step == 1 && of.len == types[0].shape[first.axis]
    };
    match op {
        Op::Map(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_) => all_alike(Outcome::Rows(first)),
        Op::Reshape(_) => one(Outcome::Rows(reshaped(types[0], out, first, rows)?)),
        Op::Permute(order) => {
            one(Outcome::Rows(first.at(order.0.iter().position(|&axis| axis == first.axis)?)))
        }
        Op::Broadcast(_) => {
            one(Outcome::Rows(first.at(first.axis + out.shape.rank() - types[0].shape.rank())))
        }
        Op::Slice(slice) if is_whole(&slice.0) => one(Outcome::Rows(first)),
        Op::Pad(pad) if pad.before[first.axis] == 0 && pad.after[first.axis] == 0 => {
            one(Outcome::Rows(first))
        }
        Op::Flip(flip) if !flip.0.contains(&first.axis) => one(Outcome::Rows(first)),
        Op::Concat(concat) if concat.0 != first.axis => all_alike(Outcome::Rows(first)),
        Op::Sum(sum) => one(reduced(&sum.0, first, Fold::Sum)),
        Op::Max(max) => one(reduced(&max.0, first, Fold::Max)),
        Op::ArgMax(along) if along.0 != first.axis => one(reduced(&[along.0], first, Fold::Max)),
        Op::Dot(dot) => product(dot, types, axes),
        Op::Conv(conv) => convolution(conv, axes),
        Op::Pool(_) if first.axis == 0 => all_alike(Outcome::Rows(first)),
        Op::Gather(gather) => gathered(gather.axis, types, axes, rows),
        Op::ScatterAdd(scatter) => scattered(scatter.axis, types, axes),
        _ => None,
    }
}

/// Where the rows are under another shape.
fn reshaped(from: &TensorType, to: &TensorType, rows: Axis, batch: usize) -> Option<Axis> {
    let before = |shape: &[usize]| shape.iter().product::<usize>();
    let outer = before(&from.shape[..rows.axis]);
    let fits = |&axis: &usize| {
        before(&to.shape[..axis]) == outer && to.shape[axis] > 0 && to.shape[axis].is_multiple_of(batch)
    };
    let axis = (0..to.shape.rank()).find(fits)?;
    Some(Axis { axis, per: to.shape[axis] / batch })
}

/// What becomes of rows where axes vanish.
fn reduced(axes: &[usize], rows: Axis, fold: Fold) -> Outcome {
    if axes.contains(&rows.axis) {
        return Outcome::Parts(fold);
    }
    Outcome::Rows(rows.at(rows.axis - axes.iter().filter(|&&axis| axis < rows.axis).count()))
}

fn product(dot: &Dot, types: &[&TensorType], axes: &[Option<Axis>]) -> Option<(Vec<Taken>, Outcome)> {
    let (x, y) = (axes[0], axes[1]);
    let pair = |pairs: &[(usize, usize)]| {
        pairs.iter().position(|p| x.is_some_and(|x| x.axis == p.0) || y.is_some_and(|y| y.axis == p.1))
    };
    // Both have the rows of a pair of axes, or one of them is the same on all ranks.
    let both = |(of_x, of_y): (usize, usize)| {
        let per = x.or(y)?.per;
        let taken = [Axis { axis: of_x, per }, Axis { axis: of_y, per }];
        let fits = |axis: Option<Axis>, taken: Axis| axis.is_none_or(|axis| axis == taken);
        (fits(x, taken[0]) && fits(y, taken[1])).then(|| taken.map(Taken::Rows).to_vec())
    };
    if let Some(at) = pair(&dot.contract) {
        return Some((both(dot.contract[at])?, Outcome::Parts(Fold::Sum)));
    }
    if let Some(at) = pair(&dot.batch) {
        let rows = x.or(y)?;
        return Some((both(dot.batch[at])?, Outcome::Rows(rows.at(at))));
    }
    let (nb, free_x, free_y) =
        (dot.batch.len(), dot.free_x(types[0].shape.rank()), dot.free_y(types[1].shape.rank()));
    let place = |free: &[usize], rows: Axis| free.iter().position(|&axis| axis == rows.axis);
    match (x, y) {
        (Some(x), None) => {
            Some((vec![Taken::Rows(x), Taken::Whole], Outcome::Rows(x.at(nb + place(&free_x, x)?))))
        }
        (None, Some(y)) => {
            let at = nb + free_x.len() + place(&free_y, y)?;
            Some((vec![Taken::Whole, Taken::Rows(y)], Outcome::Rows(y.at(at))))
        }
        _ => None,
    }
}

fn convolution(conv: &Conv, axes: &[Option<Axis>]) -> Option<(Vec<Taken>, Outcome)> {
    let (x, y) = (axes[0], axes[1]);
    let rows = x.or(y)?;
    let images = |axis: Option<Axis>| axis.is_none_or(|axis| axis == rows.at(0));
    match conv.part {
        Part::GradKernel if images(x) && images(y) => {
            Some((vec![Taken::Rows(rows); 2], Outcome::Parts(Fold::Sum)))
        }
        Part::Output | Part::GradInput if images(x) && y.is_none() => {
            Some((vec![Taken::Rows(rows), Taken::Whole], Outcome::Rows(rows)))
        }
        _ => None,
    }
}

fn gathered(
    along: usize,
    types: &[&TensorType],
    axes: &[Option<Axis>],
    rows: usize,
) -> Option<(Vec<Taken>, Outcome)> {
    let rank = types[1].shape.rank();
    match (axes[0], axes[1]) {
        (None, Some(index)) => {
            Some((vec![Taken::Whole, Taken::Rows(index)], Outcome::Rows(index.at(along + index.axis))))
        }
        (Some(x), None) if x.axis != along => {
            let axis = if x.axis < along { x.axis } else { x.axis + rank - 1 };
            Some((vec![Taken::Rows(x), Taken::Whole], Outcome::Rows(x.at(axis))))
        }
        // Every row picks from what is its own: what is not is out of range when the step runs.
        (Some(x), index) if x.axis == along => {
            let first = types[1].shape.first().filter(|len| len.is_multiple_of(rows));
            let index = index.or(first.map(|len| Axis { axis: 0, per: len / rows }))?;
            let taken = vec![Taken::Rows(x), Taken::OwnPlaces(index, x.per)];
            Some((taken, Outcome::Rows(index.at(along + index.axis))))
        }
        _ => None,
    }
}

fn scattered(along: usize, types: &[&TensorType], axes: &[Option<Axis>]) -> Option<(Vec<Taken>, Outcome)> {
    let rank = types[1].shape.rank();
    match (axes[0], axes[1]) {
        (x, Some(index)) => {
            let rows = index.at(along + index.axis);
            let fits = x.is_none_or(|x| x == rows);
            fits.then(|| (vec![Taken::Rows(rows), Taken::Rows(index)], Outcome::Parts(Fold::Sum)))
        }
        (Some(x), None) if (along..along + rank).contains(&x.axis) => {
            let index = x.at(x.axis - along);
            Some((vec![Taken::Rows(x), Taken::Rows(index)], Outcome::Parts(Fold::Sum)))
        }
        (Some(x), None) => {
            let axis = if x.axis < along { x.axis } else { x.axis + 1 - rank };
            Some((vec![Taken::Rows(x), Taken::Whole], Outcome::Rows(x.at(axis))))
        }
        (None, None) => None,
    }
}
