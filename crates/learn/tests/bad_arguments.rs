//! Operations with arguments that do not fit, in random order: errors come of them, never a panic.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn::tensor::Slice;
use ironlearn::{Error, Tensor};
use ironlearn_ir::{Dyn, Mode, Tape, Var, concat};
use ironlearn_testkit::rng::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lengths and places as careless callers give them.
fn number(rng: &mut Rng) -> usize {
    if rng.one_in(8) { rng.pick(&[1 << 40, usize::MAX / 2, usize::MAX]) } else { rng.below(5) }
}

fn axis(rng: &mut Rng) -> isize {
    if rng.one_in(8) { rng.pick(&[isize::MIN, isize::MAX, 1 << 40]) } else { rng.int(-5, 5) as isize }
}

fn some<T>(rng: &mut Rng, mut draw: impl FnMut(&mut Rng) -> T) -> Vec<T> {
    (0..rng.below(5)).map(|_| draw(rng)).collect()
}

fn tensor(rng: &mut Rng) -> Tensor<f32> {
    let shape: Vec<usize> = some(rng, |rng| rng.below(4));
    let n = shape.iter().product();
    Tensor::new(shape, (0..n).map(|i| i as f32 - 2.0).collect()).unwrap()
}

type Made = Result<Tensor<f32>, Error>;

/// One operation on tensors, most of them with arguments that do not fit.
fn operation(kind: usize, rng: &mut Rng, pool: &[Tensor<f32>]) -> Made {
    let (x, y) = (&pool[rng.below(pool.len())], &pool[rng.below(pool.len())]);
    let parts: Vec<&Tensor<f32>> = some(rng, |rng| &pool[rng.below(pool.len())]);
    let (a, b) = (axis(rng), axis(rng));
    let index: Tensor<i64> = Tensor::new([2], vec![a as i64, b as i64])?;
    let (axes, dims) = (some(rng, axis), some(rng, axis));
    let lengths = some(rng, number);
    let slice = |rng: &mut Rng| match rng.below(3) {
        0 => Slice::Index(axis(rng)),
        1 => Slice::Range { start: Some(axis(rng)), end: Some(axis(rng)), step: axis(rng) },
        _ => Slice::Range { start: None, end: Some(axis(rng)), step: axis(rng) },
    };
    Ok(match kind {
        0 => x.add(y)?,
        1 => x.sub(y)?.neg(),
        2 => x.mul(2.0)?.div(y)?,
        3 => x.rem(y)?.pow(y)?,
        4 => x.matmul(y)?,
        5 => Tensor::concat(&parts, a)?,
        6 => Tensor::stack(&parts, a)?,
        7 => x.split(&lengths, a)?.into_iter().next().unwrap_or_else(|| x.clone()),
        8 => x.reshape(&dims)?,
        9 => x.permute(&lengths)?,
        10 => x.transpose()?,
        11 => x.broadcast_to(lengths)?,
        12 => x.flip(&axes)?,
        13 => x.pad(&some(rng, |rng| (number(rng), number(rng))), 1.0)?,
        14 => x.unsqueeze(a)?,
        15 => x.squeeze(a)?,
        16 => x.sum(&axes)?,
        17 => x.mean_keep(&axes)?,
        18 => x.max(&axes)?,
        19 => Tensor::full([1], x.min_all()?)?,
        20 => x.argmax(a)?.cast(),
        21 => x.argmin(a)?.cast(),
        22 => x.gather(&index, a)?,
        23 => x.take(&axes, a)?,
        24 => x.scatter_add(&index, a, number(rng))?,
        25 => x.slice(&some(rng, slice)[..])?,
        26 => x.sort(a)?,
        27 => x.argsort(a)?.cast(),
        28 => x.cumsum(a)?,
        29 => x.cumprod(a)?,
        30 => x.lt(y)?.select(x, y)?,
        31 => Tensor::full([1], f32::from(u8::from(x.allclose(y, 0.1, 0.1)?)))?,
        32 => x.try_cast::<i8>()?.cast(),
        33 => Tensor::full([1], x.item()?)?,
        34 => Tensor::full([1], x.get(&lengths).unwrap_or(0.0))?,
        35 => Tensor::zeros(lengths)?,
        36 => Tensor::eye(number(rng))?,
        37 => Tensor::arange(a as f32, b as f32, rng.pick(&[0.0, -1.0, 0.5, 1e-30, f32::NAN]))?,
        38 => Tensor::linspace(a as f32, b as f32, number(rng))?,
        39 => Tensor::uniform(lengths, a as f32, b as f32, 1)?,
        40 => Tensor::normal(lengths, a as f32, b as f32, 1)?,
        41 => Tensor::new(lengths, vec![1.0; 4])?,
        42 => x.var(&axes, number(rng))?,
        43 => x.cast::<i32>().div(y.cast::<i32>())?.cast(),
        44 => x.cast::<i8>().shl(y.cast::<i8>())?.cast(),
        _ => x.exp().sqrt().log().tanh().abs(),
    })
}

const KINDS: usize = 46;

/// Runs `f`; a panic becomes the name of what was done.
fn calmly<R>(what: &str, f: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| panic!("{what} has panicked"))
}

#[test]
fn tensors_answer_with_errors() {
    let (mut good, mut bad) = ([0; KINDS], [0; KINDS]);
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut pool: Vec<Tensor<f32>> = (0..4).map(|_| tensor(&mut rng)).collect();
        for i in 0..40 {
            let kind = rng.below(KINDS);
            let made = calmly(&format!("operation {kind}, number {i} of seed {seed}"), || {
                operation(kind, &mut rng, &pool)
            });
            match made {
                Ok(x) => {
                    good[kind] += 1;
                    assert_eq!(x.len(), x.as_slice().len());
                    // Every result can be printed.
                    assert!(!format!("{x}{x:?}").is_empty());
                    if x.len() < 1000 {
                        pool.push(x);
                    }
                }
                Err(error) => {
                    bad[kind] += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    let never = |counts: &[i32]| (0..KINDS).filter(|&k| counts[k] == 0).collect::<Vec<_>>();
    assert!(never(&good).is_empty(), "never well: {:?}", never(&good));
    // `get` answers with `Option`, and elementwise functions take everything.
    assert_eq!(never(&bad), [34, 45], "never badly");
}

/// One operation of a trace.
fn traced<'g>(kind: usize, rng: &mut Rng, tape: &'g Tape, pool: &[Var<'g, f32>]) -> Var<'g, f32> {
    let (x, y) = (pool[rng.below(pool.len())], pool[rng.below(pool.len())]);
    let (a, axes, dims) = (axis(rng), some(rng, axis), some(rng, axis));
    let parts = some(rng, |rng| pool[rng.below(pool.len())]);
    match kind {
        0 => x + y,
        1 => (x * 2.0 - y).tanh(),
        2 => x.dot(y),
        3 => concat(tape, &parts, a),
        4 => x.reshape(dims),
        5 => x.permute(some(rng, number)),
        6 => x.transpose(),
        7 => x.broadcast_to(some(rng, number)),
        8 => x.narrow(a, number(rng), number(rng)),
        9 => x.stride(a, number(rng), number(rng), number(rng)),
        10 => x.pad(a, number(rng), number(rng), 0.5),
        11 => x.flip(axes),
        12 => x.sum(axes),
        13 => x.mean_keep(axes),
        14 => x.max_keep(axes),
        15 => x.argmax(a).cast(),
        16 => x.gather(y.cast::<i32>(), a),
        17 => x.scatter_add(y.cast::<i32>(), a, number(rng)),
        18 => x.less(y).select(x, y),
        19 => x.log_softmax(a),
        20 => x.log_sum_exp_keep(a),
        21 => x.mean_all().grad(&parts).pop().unwrap_or(x),
        22 => x.grad(&[y])[0],
        23 => Var::<f32>::of(x.node()).cast::<i8>().cast(),
        _ => {
            let nodes: Vec<Dyn<'g>> = parts.iter().map(|p| p.node()).collect();
            let (last, ys) = tape.scan(&nodes, &[x.node()], |c, e| (c.to_vec(), e.to_vec()));
            last.into_iter().chain(ys).next().map_or(x, Var::of)
        }
    }
}

#[test]
fn traces_collect_mistakes() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let tape = Tape::new(Mode::Train);
        {
            let mut pool: Vec<Var<'_, f32>> =
                (0..4).map(|_| tape.input::<f32>(some(&mut rng, |rng| rng.below(4)))).collect();
            for i in 0..1 + rng.below(6) {
                let kind = rng.below(25);
                let made = calmly(&format!("operation {kind}, number {i} of seed {seed}"), || {
                    traced(kind, &mut rng, &tape, &pool)
                });
                pool.push(made);
            }
            tape.output("y", pool[pool.len() - 1].node());
        }
        match calmly(&format!("the end of seed {seed}"), || tape.finish()) {
            Ok(_) => good += 1,
            Err(mistakes) => {
                bad += 1;
                assert!(mistakes.to_string().contains("bad_arguments.rs"), "{mistakes}");
            }
        }
    }
    assert!(good > 100 && bad > 1000, "{good} good, {bad} bad traces");
}
