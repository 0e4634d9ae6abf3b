//! Operations against plain loops, on random shapes and on the smallest ones.

use crate::{Error, Tensor};
use ironlearn_ir::prim::philox;

/// Shapes that tend to be forgotten.
const CORNERS: [&[usize]; 7] = [&[], &[0], &[0, 3], &[3, 0], &[1], &[2, 3], &[2, 1, 3]];

/// The n-th random number below `below`.
fn random(n: usize, below: usize) -> usize {
    philox(n as u64, 0, 42)[0] as usize % below
}

/// A shape of rank 0 to 4 with lengths 0 to 4 (0 is rare).
fn random_shape(n: usize) -> Vec<usize> {
    (0..random(n, 5)).map(|axis| [1, 2, 3, 4, 1, 2, 3, 0][random(100 * n + axis + 1, 8)]).collect()
}

/// Small numbers, different at each position.
fn filled(shape: &[usize], seed: usize) -> Tensor<i32> {
    let value = |i| random(1_000_000 * seed + i, 2001) as i32 - 1000;
    Tensor::new(shape, (0..shape.iter().product()).map(value).collect()).unwrap()
}

fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |all, &n| {
        all.iter().flat_map(|head| (0..n).map(move |i| [&head[..], &[i]].concat())).collect()
    })
}

/// The element that a broadcast tensor has at an index.
fn at(x: &Tensor<i32>, index: &[usize]) -> i32 {
    let tail = &index[index.len() - x.rank()..];
    let own: Vec<usize> =
        tail.iter().zip(x.shape().iter()).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
    x.get(&own).unwrap()
}

#[test]
fn broadcasting_agrees_with_plain_loops() {
    for n in 0..200 {
        let whole = random_shape(n);
        // Drop leading axes and set lengths to 1, differently for both sides.
        let part = |salt: usize| -> Vec<usize> {
            let from = random(7 * n + salt, whole.len() + 1);
            whole[from..]
                .iter()
                .enumerate()
                .map(|(a, &d)| if random(n + 31 * a + salt, 3) == 0 { 1 } else { d })
                .collect()
        };
        let (x, y) = (filled(&part(1), 2 * n), filled(&part(2), 2 * n + 1));
        let shape = x.shape().broadcast(y.shape()).unwrap();
        let (sum, less) = (x.add(&y).unwrap(), x.lt(&y).unwrap());
        let chosen = less.select(&x, &y).unwrap();
        assert_eq!((sum.shape(), less.shape()), (&shape, &shape));
        for index in indices(&shape) {
            let (a, b) = (at(&x, &index), at(&y, &index));
            assert_eq!(sum.get(&index), Some(a + b));
            assert_eq!(chosen.get(&index), Some(a.min(b)));
        }
    }
}

#[test]
fn reductions_agree_with_plain_loops() {
    for n in 0..200 {
        let shape = random_shape(n);
        let x = filled(&shape, n);
        let axes: Vec<usize> = (0..shape.len()).filter(|a| random(n + 17 * a, 2) == 0).collect();
        let signed: Vec<isize> =
            axes.iter().map(|&a| a as isize - if n % 2 == 0 { shape.len() as isize } else { 0 }).collect();
        let kept: Vec<usize> =
            (0..shape.len()).map(|a| if axes.contains(&a) { 1 } else { shape[a] }).collect();
        let (sum, prod, max) = (x.sum_keep(&signed).unwrap(), x.prod(&signed).unwrap(), x.max_keep(&signed));
        assert_eq!(sum.shape().dims(), kept);
        assert_eq!(sum.to_vec(), x.sum(&signed).unwrap().to_vec());
        assert_eq!(max.is_err(), axes.iter().any(|&a| shape[a] == 0));
        for (flat, index) in indices(&kept).into_iter().enumerate() {
            let lane = || {
                let inside =
                    |i: &&Vec<usize>| (0..shape.len()).all(|a| axes.contains(&a) || i[a] == index[a]);
                indices(&shape).iter().filter(inside).map(|i| x.get(i).unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(sum.get(&index), Some(lane().iter().sum()));
            assert_eq!(prod.as_slice()[flat], lane().iter().fold(1, |p: i32, &v| p.wrapping_mul(v)));
            if let Ok(max) = &max {
                assert_eq!(max.get(&index), lane().into_iter().max());
            }
        }
    }
}

#[test]
fn slices_agree_with_plain_loops() {
    use crate::tensor::Slice;
    for n in 0..200 {
        let shape = random_shape(n);
        let x = filled(&shape, n);
        let pick = |a: usize, salt: usize| random(13 * n + 101 * a + salt, 13) as isize - 6;
        let bound = |a: usize, salt: usize| Some(pick(a, salt)).filter(|p| *p != 6);
        let slices: Vec<Slice> = (0..shape.len())
            .map(|a| Slice::Range {
                start: bound(a, 1),
                end: bound(a, 2),
                step: [-3, -2, -1, 1, 2, 3][random(n + a, 6)],
            })
            .collect();
        // Every position that Python's rule visits, one by one.
        let visited = |a: usize| {
            let Slice::Range { start, end, step } = slices[a] else { unreachable!() };
            let len = shape[a] as isize;
            let wrap = |p: isize| if p < 0 { p + len } else { p };
            let first = start.map(wrap).unwrap_or(if step > 0 { 0 } else { len - 1 });
            let first = if step > 0 { first.max(0) } else { first.min(len - 1) };
            let stop = end.map(wrap).unwrap_or(if step > 0 { len } else { -1 });
            let before = move |p: &isize| if step > 0 { *p < stop } else { *p > stop };
            let walk = std::iter::successors(Some(first), move |p| Some(p + step));
            walk.take_while(before)
                .take_while(|p| (0..len).contains(p))
                .map(|p| p as usize)
                .collect::<Vec<_>>()
        };
        let visits: Vec<Vec<usize>> = (0..shape.len()).map(visited).collect();
        let expected: Vec<i32> = indices(&visits.iter().map(Vec::len).collect::<Vec<_>>())
            .iter()
            .map(|i| x.get(&i.iter().zip(&visits).map(|(&i, v)| v[i]).collect::<Vec<_>>()).unwrap())
            .collect();
        assert_eq!(x.slice(&slices[..]).unwrap().to_vec(), expected, "{shape:?} {slices:?}");
    }
}

#[test]
fn every_operation_takes_the_smallest_shapes() -> Result<(), Error> {
    for shape in CORNERS {
        let x = Tensor::<f32>::normal(shape, 0.0, 1.0, 3)?;
        let rank = x.rank() as isize;
        let n = x.len() as isize;
        assert_eq!((&x + 1.0)?.sub(&x)?.shape(), x.shape());
        assert_eq!(x.exp().cast::<i8>().shape(), x.shape());
        assert!((x.sum_all()? - x.iter().sum::<f32>()).abs() < 1e-5);
        assert_eq!(x.reshape([n])?.reshape(shape.iter().map(|&d| d as isize).collect::<Vec<_>>())?, x);
        assert_eq!(x.permute((0..shape.len()).rev().collect::<Vec<_>>())?.len(), x.len());
        assert_eq!(x.slice(&[][..])?, x);
        assert_eq!(x.flip([])?, x);
        assert_eq!(x.pad(&vec![(0, 0); shape.len()], 1.0)?, x);
        assert_eq!(x.broadcast_to([&[2], shape].concat())?.len(), 2 * x.len());
        assert_eq!(Tensor::stack(&[&x, &x], -1)?.len(), 2 * x.len());
        assert_eq!(x.lt(0.0)?.select(&x, 0.0)?, x.minimum(0.0)?);
        assert_eq!(x.mean([])?, x);
        assert!(x.allclose(&x, 0.0, 0.0)?);
        assert_eq!(Tensor::<f32>::from_array(x.clone().into_array())?, x);
        assert!(!x.to_string().is_empty() && x.get(&[9; 9]).is_none());
        for axis in -rank..rank {
            let len = x.shape()[((axis + rank) % rank) as usize];
            assert_eq!(x.unsqueeze(axis)?.squeeze(axis)?, x);
            assert_eq!(Tensor::concat(&[&x, &x], axis)?.len(), 2 * x.len());
            assert_eq!(x.split(&[len, 0], axis)?[0], x);
            assert_eq!(x.sort(axis)?.argsort(axis)?.shape(), x.shape());
            assert_eq!(x.cumsum(axis)?.shape(), x.shape());
            assert_eq!(x.sum_keep([axis])?.rank(), x.rank());
            assert_eq!(x.prod([axis])?.rank() as isize, rank - 1);
            assert_eq!(x.var([axis], 0)?.rank() as isize, rank - 1);
            assert_eq!(x.lt(0.0)?.all([axis])?.rank() as isize, rank - 1);
            assert_eq!(x.gather(&Tensor::from(Vec::<i64>::new()), axis)?.len(), 0);
            let first = Tensor::<i64>::zeros([len])?;
            assert!(x.scatter_add(&first, axis, 1)?.allclose(&x.sum_keep([axis])?, 1e-6, 0.0)?);
        }
    }
    Ok(())
}

#[test]
fn elements_are_read_and_written() {
    let x = Tensor::from([[1, 2], [3, 4]]);
    assert_eq!((x.get(&[1, 1]), x.get(&[2, 0]), x.get(&[0])), (Some(4), None, None));
    assert_eq!((x.iter().len(), x.len(), x.rank(), x.is_empty()), (4, 4, 2, false));
    let mut y = x.clone();
    y.as_mut_slice()[3] = 9;
    assert_eq!((x.to_vec(), y.into_vec()), (vec![1, 2, 3, 4], vec![1, 2, 3, 9]));
    assert!(x.item().unwrap_err().to_string().contains("[2, 2] has 4 elements"));
    assert_eq!(Tensor::from([[7]]).item().unwrap(), 7);
}
