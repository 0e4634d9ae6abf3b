//! [`Reduction`]: what one rank knows of a sum, or a maximum, over the rows of all, or of a whole of which each has a
//! part; and [`reduce`].

use super::{Shares, Transport};
use crate::array::Stored;
use crate::lanes::{NumLanes, OrdLanes};
use crate::plan::Fold;
use crate::prim::is_same;
use crate::{Array, DType, Data, TensorType};
use std::ops::Range;

/// What becomes of what all ranks give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// A sum or maximum over the rows, along the tree of chunks.
    Fold(Fold),
    /// One part after the other, in the order of ranks: an all-gather. Each gives one piece, of its own length.
    Append,
    /// The same; of the whole nothing is made but next values of slots. So a step that is run again does not need it,
    /// unless it was not finite, and nobody keeps it.
    AppendState,
}

/// A sum, or a maximum, over chunks of rows, of which each rank has computed its own; or parts of a whole.
#[derive(Clone, Debug)]
pub struct Reduction {
    /// What becomes of it.
    pub join: Join,
    /// Who owns which chunk.
    pub shares: Shares,
    /// Rows of the batch: a chunk without rows gives nothing.
    pub rows: usize,
    /// The type of the result.
    pub ty: TensorType,
    /// This rank's results for its [`Shares::pieces`], in order, or its part.
    pub pieces: Vec<Array>,
}

impl Reduction {
    /// True where arrays of the type can be reduced.
    pub fn takes(dtype: DType, fold: Fold) -> bool {
        let is_number = !matches!(dtype, DType::Bool | DType::F16 | DType::Bf16);
        is_number && (fold == Fold::Sum || !matches!(dtype, DType::C64 | DType::C128))
    }
}

/// Bytes that are reduced at a time: messages, and copies of them, take a few times as many.
const AT_ONCE: usize = 8 << 20;

/// Reduces what all ranks know. Each rank folds one part of the elements, along the tree, and gives it to all: every rank
/// sends and receives about twice the bytes of the result, whatever the number of ranks.
///
/// # Errors
/// Those of the transport.
pub fn reduce(transport: &mut dyn Transport, mine: Reduction) -> Result<Array, String> {
    reduce_in_blocks(transport, mine, AT_ONCE)
}

/// As [`reduce`], so many bytes at a time.
fn reduce_in_blocks(transport: &mut dyn Transport, mine: Reduction, bytes: usize) -> Result<Array, String> {
    let dtype = mine.ty.dtype;
    let fold = match mine.join {
        Join::Append | Join::AppendState => return append(transport, &mine),
        Join::Fold(fold) => fold,
    };
    if !Reduction::takes(dtype, fold) {
        return Err(format!("ranks cannot reduce `{dtype}`"));
    }
    match fold {
        Fold::Sum => match dtype {
            DType::F32 => {
                reduce_by(transport, mine, bytes, |a: f32, b: f32| flushed(a + b, f32::MIN_POSITIVE))
            }
            DType::F64 => {
                reduce_by(transport, mine, bytes, |a: f64, b: f64| flushed(a + b, f64::MIN_POSITIVE))
            }
            _ => numbers!(dtype, T => reduce_by(transport, mine, bytes, |a: T, b: T| a.plus(b))),
        },
        // A NaN is not equal to itself: it replaces, and is never replaced, as in a maximum over rows.
        Fold::Max => ordered!(dtype, T => reduce_by(transport, mine, bytes, |a: T, b: T| {
            let replaces = b > a || (!is_same(b, b) && is_same(a, a));
            if replaces { b } else { a }
        })),
    }
}

/// Denormal sums as zeros, as the executors have them.
fn flushed<T: OrdLanes + PartialOrd + Default>(sum: T, least: T) -> T {
    if sum.magnitude() < least { sum.times(T::default()) } else { sum }
}

fn reduce_by<T: Stored + Default + bytemuck::Pod>(
    transport: &mut dyn Transport,
    mine: Reduction,
    bytes: usize,
    fold: impl Fn(T, T) -> T,
) -> Result<Array, String> {
    let (rank, n) = (transport.rank(), mine.ty.shape.elements());
    let own = mine.shares.pieces(rank, mine.rows);
    if own.len() != mine.pieces.len() {
        return Err(format!(
            "rank {rank} has {} subtrees of chunks, and gives {}",
            own.len(),
            mine.pieces.len()
        ));
    }
    let mut all = vec![T::default(); n];
    let most = (bytes / size_of::<T>()).max(1);
    for from in (0..n).step_by(most) {
        let block = from..(from + most).min(n);
        let sum = own_sum(transport, &mine, block.clone(), &fold)?;
        joined(transport, &sum, &mut all[block])?;
    }
    Array::of(mine.ty.shape, all)
}

/// The part of a block of elements that this rank folds, of what all ranks give.
fn own_sum<T: Stored + Default + bytemuck::Pod>(
    transport: &mut dyn Transport,
    mine: &Reduction,
    block: Range<usize>,
    fold: impl Fn(T, T) -> T,
) -> Result<Vec<T>, String> {
    let Reduction { shares, rows, ref pieces, .. } = *mine;
    let (ranks, rank) = (transport.count(), transport.rank());
    let part = |rank: usize| {
        let of_block = shares.elements(rank, block.len());
        block.start + of_block.start..block.start + of_block.end
    };
    // Bytes are copied by the slice: one at a time they took longer than a network of 1 Gbit/s.
    let to = (0..ranks).map(|to| {
        let mut bytes = Vec::with_capacity(pieces.len() * part(to).len() * size_of::<T>());
        for piece in pieces {
            let slice = piece.as_slice::<T>().unwrap_or_default().get(part(to));
            bytes.extend_from_slice(bytemuck::cast_slice(slice.unwrap_or_default()));
        }
        bytes
    });
    let to = to.collect();
    let received = transport.exchange(to)?;
    let width = part(rank).len();
    let mut known: Vec<(Range<usize>, Vec<T>)> = Vec::new();
    for (from, bytes) in received.iter().enumerate() {
        let theirs = shares.pieces(from, rows);
        let expected = theirs.len() * width * size_of::<T>();
        if bytes.len() != expected {
            return Err(format!("rank {from} has sent {} bytes of a sum, not {expected}", bytes.len()));
        }
        let size = width * size_of::<T>();
        let values = |i: usize| bytemuck::pod_collect_to_vec::<u8, T>(&bytes[i * size..(i + 1) * size]);
        known.extend(theirs.into_iter().enumerate().map(|(i, piece)| (piece, values(i))));
    }
    let find = &mut |node: &Range<usize>| {
        let at = known.iter().position(|(piece, _)| piece == node)?;
        Some(std::mem::take(&mut known[at].1))
    };
    let sum = shares.fold(rows, find, &mut |mut a: Vec<T>, b: Vec<T>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = fold(*a, b));
        a
    });
    Ok(sum.unwrap_or_else(|| vec![T::default(); width]))
}

/// The parts of all ranks, one after the other.
fn append(transport: &mut dyn Transport, mine: &Reduction) -> Result<Array, String> {
    let ty = &mine.ty;
    let [piece] = &mine.pieces[..] else {
        return Err(format!("a rank gives {} parts of {ty}, and not one", mine.pieces.len()));
    };
    let mut all = Data::zeros(ty.dtype, ty.shape.elements());
    numbers!(ty.dtype, T => {
        joined::<T>(transport, piece.as_slice().unwrap_or_default(), T::slice_mut(&mut all).unwrap_or_default())
    }, half H => {
        joined::<H>(transport, piece.as_slice().unwrap_or_default(), H::slice_mut(&mut all).unwrap_or_default())
    })?;
    Array::new(ty.shape.clone(), all)
}

/// Writes what all ranks give to `all`, one after the other.
fn joined<T: bytemuck::Pod>(transport: &mut dyn Transport, mine: &[T], all: &mut [T]) -> Result<(), String> {
    let bytes = bytemuck::cast_slice::<T, u8>(mine).to_vec();
    let parts = transport.exchange(vec![bytes; transport.count()])?;
    let found: usize = parts.iter().map(Vec::len).sum();
    let mut room = bytemuck::cast_slice_mut::<T, u8>(all);
    if found != room.len() {
        return Err(format!("ranks have given {found} bytes of what has {}", room.len()));
    }
    for part in parts {
        let (these, rest) = room.split_at_mut(part.len());
        these.copy_from_slice(&part);
        room = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::{Local, Ranks};
    use std::thread;

    /// The sums of a rank's subtrees, of values that each chunk has.
    fn pieces<T: crate::Element>(
        (shares, rank, rows, n): (Shares, usize, usize, usize),
        value: fn(usize, usize) -> T,
        add: fn(T, T) -> T,
    ) -> Vec<Array> {
        let leaf = |chunk: usize| (0..n).map(|i| value(chunk, i)).collect::<Vec<T>>();
        let piece = |piece| {
            let leaf = &mut |node: &Range<usize>| (node.len() == 1).then(|| leaf(node.start));
            let add = &mut |a: Vec<T>, b: Vec<T>| a.into_iter().zip(b).map(|(a, b)| add(a, b)).collect();
            Array::of([n], shares.fold_below(piece, rows, leaf, add).unwrap()).unwrap()
        };
        shares.pieces(rank, rows).into_iter().map(piece).collect()
    }

    /// What each of some ranks gets, of values that each chunk has.
    fn reduced<T: crate::Element>(
        ranks: usize,
        rows: usize,
        fold: Fold,
        n: usize,
        value: fn(usize, usize) -> T,
        add: fn(T, T) -> T,
    ) -> Vec<Array> {
        let of = |group: crate::ranks::Group| {
            let shares = Shares::new(8, ranks);
            let ty = TensorType::new(T::DTYPE, [n]);
            let pieces = pieces((shares, group.rank(), rows, n), value, add);
            group.begin(3, Reduction { join: Join::Fold(fold), shares, rows, ty, pieces }).unwrap();
            assert!(
                group
                    .gather(vec![group.rank() as u8; 2])
                    .unwrap()
                    .iter()
                    .enumerate()
                    .all(|(i, b)| *b == [i as u8; 2])
            );
            group.finish(3).unwrap().as_ref().clone()
        };
        thread::scope(|scope| {
            let threads: Vec<_> =
                Local::groups(ranks).into_iter().map(|group| scope.spawn(move || of(group))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    #[test]
    fn any_number_of_ranks_gives_the_same_bits() {
        // Sums of these depend on their order.
        let value =
            |chunk: usize, i: usize| ((chunk * 37 + i * 11) % 101) as f32 * 1.1e-3 + (chunk as f32).exp();
        for (rows, n) in [(100, 1), (100, 13), (8, 5), (5, 7), (1, 2), (0, 3), (64, 0)] {
            let alone = reduced(1, rows, Fold::Sum, n, value, |a, b| a + b);
            for ranks in 2..=8 {
                for found in reduced(ranks, rows, Fold::Sum, n, value, |a, b| a + b) {
                    assert_eq!(found, alone[0], "{ranks} ranks, {rows} rows, {n} elements");
                }
            }
        }
    }

    #[test]
    fn blocks_give_the_bits_of_the_whole() {
        let value =
            |chunk: usize, i: usize| ((chunk * 37 + i * 11) % 101) as f32 * 1.1e-3 + (chunk as f32).exp();
        let whole = |n| reduced(3, 50, Fold::Sum, n, value, |a, b| a + b).swap_remove(0);
        let shares = Shares::new(8, 3);
        for (n, bytes) in [(1, 1), (13, 1), (13, 12), (13, 16), (25, 48), (24, 48), (0, 4)] {
            let of = |mut local: Local| {
                let pieces = pieces((shares, local.rank(), 50, n), value, |a, b| a + b);
                let ty = TensorType::new(DType::F32, [n]);
                let mine = Reduction { join: Join::Fold(Fold::Sum), shares, rows: 50, ty, pieces };
                reduce_in_blocks(&mut local, mine, bytes).unwrap()
            };
            let found: Vec<Array> = thread::scope(|scope| {
                let ranks: Vec<_> = Local::ranks(3).into_iter().map(|l| scope.spawn(move || of(l))).collect();
                ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
            });
            assert!(found.iter().all(|found| *found == whole(n)), "{n} elements, {bytes} bytes");
        }
    }

    #[test]
    fn a_maximum_keeps_what_is_no_number() {
        let value =
            |chunk: usize, i: usize| if (chunk, i) == (5, 1) { f32::NAN } else { (chunk * 7 % 5) as f32 };
        for found in reduced(3, 80, Fold::Max, 3, value, f32::max) {
            let found = found.as_slice::<f32>().unwrap();
            assert!(found[1].is_nan() && found[0] == 4.0, "{found:?}");
        }
        let found = reduced(4, 80, Fold::Sum, 2, |chunk, i| (chunk + i) as i32, |a, b| a + b);
        assert_eq!(found[3].as_slice::<i32>(), Some(&[28, 36][..]));
    }
}
