//! Products of bytes on every instruction set, against sums in `i64`.
//!
//! The whole of it, every shape up to 40, takes minutes:
//! `IRONLEARN_TIER=full cargo test --release -p ironlearn-cpu --lib bytes_are_exact -- --nocapture`.

use super::*;
use crate::gemm::bytes::stand_ins;
use ironlearn_testkit::tier::{report, seed, skipped, trials};
use std::collections::BTreeMap;

/// Longest side of which every shape is tried, and sides beyond.
const SMALL: usize = 40;
const SIDES: [usize; 6] = [127, 128, 129, 255, 784, 1024];
/// Most multiplications of a shape with a side beyond.
const MOST: usize = 1 << 24;
/// Threads of the pools that products are shared by.
const THREADS: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Pattern {
    Least,
    Most,
    Alternating,
    Noise,
    Zero,
}
use Pattern::*;

const PATTERNS: [[Pattern; 2]; 9] = [
    [Least, Least],
    [Most, Most],
    [Least, Most],
    [Most, Least],
    [Alternating, Alternating],
    [Alternating, Least],
    [Noise, Noise],
    [Zero, Noise],
    [Noise, Zero],
];

impl Pattern {
    fn values(self, seed: u64) -> impl FnMut() -> i8 {
        let (mut random, mut count) = (Random(seed), 0);
        move || {
            count += 1;
            match self {
                Least => i8::MIN,
                Most => i8::MAX,
                Alternating => [i8::MIN, i8::MAX][count % 2],
                Noise => random.next() as i8,
                Zero => 0,
            }
        }
    }
}

/// Shapes up to [`SMALL`], some or all of them, then larger ones.
fn shapes(random: &mut Random) -> Vec<[usize; 3]> {
    let side = SMALL + 1;
    let all = (0..side * side * side).map(|i| [i / side / side, i / side % side, i % side]);
    let every = side * side * side / trials(200, side * side * side);
    let mut shapes: Vec<_> = all.skip(random.below(every.max(1))).step_by(every.max(1)).collect();
    while shapes.len() < trials(200, side * side * side) + trials(16, 400) {
        let mut side = || match random.below(3) {
            0 => SIDES[random.below(SIDES.len())],
            _ => SMALL + 1 + random.below(30),
        };
        let shape = [side(), side(), side()];
        if shape.iter().product::<usize>() <= MOST {
            shapes.push(shape);
        }
    }
    // A few rows and columns of large matrices.
    shapes.extend([[1, 784, 1024], [1024, 1, 784], [2, 255, 784], [16, 129, 1024], [255, 3, 1024]]);
    shapes
}

/// Sums in `i64`, of which the low 32 bits count.
fn expected(case: &Case<i8, i8, i32>) -> Vec<i32> {
    let GemmSpec { m, n, k, ldc, accumulate, .. } = case.spec;
    let mut c = case.c.clone();
    let columns: Vec<Vec<i64>> =
        (0..n).map(|j| (0..k).map(|p| i64::from(case.b.at(p, j))).collect()).collect();
    for i in 0..m {
        let row: Vec<i64> = (0..k).map(|p| i64::from(case.a.at(i, p))).collect();
        for (j, column) in columns.iter().enumerate() {
            let sum: i64 = row.iter().zip(column).map(|(x, y)| x * y).sum();
            let to = &mut c[i * ldc + j];
            *to = (sum + if accumulate { i64::from(*to) } else { 0 }) as i32;
        }
    }
    c
}

/// The matrix, its first element so many bytes further from where memory was aligned.
fn shifted(mut matrix: Matrix<i8>, bytes: usize) -> Matrix<i8> {
    matrix.data.splice(0..0, std::iter::repeat_n(0, bytes));
    matrix.origin += bytes;
    matrix
}

#[test]
fn bytes_are_exact() {
    let mut random = Random(seed());
    let pools: Vec<Pool> = (1..=THREADS).map(Pool::new).collect();
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    let shapes = shapes(&mut random);
    for &shape in &shapes {
        for [x, y] in PATTERNS {
            let layouts = [LAYOUTS[random.below(5)], LAYOUTS[random.below(5)]];
            let values = (x.values(random.next()), y.values(random.next()), || random.next() as i32);
            let mut case = Case::new(shape, layouts, shape[2] % 2 == 1, values);
            case.a = shifted(case.a, random.below(4));
            case.b = shifted(case.b, random.below(4));
            let expected = expected(&case);
            let mut check = |name: String, c: Vec<i32>| {
                assert!(c == expected, "{name}: {x:?} by {y:?}, {layouts:?}: {:?}", case.spec);
                *done.entry(name).or_default() += 1;
            };
            for isa in Isa::available() {
                for pool in &pools {
                    let plan = GemmPlan::new(isa, case.spec, pool.threads()).expect("a kernel");
                    if pool.threads() == 1 || plan.tasks() > 1 {
                        check(format!("{isa:?}"), case.run(&plan, Some(pool)));
                    }
                }
                let rows = 1 + random.below(shape[0] + 1);
                check(format!("{isa:?}"), packed::packed(&case, isa, rows));
            }
            for (name, kernel, a, b) in stand_ins::tiles() {
                check(name.into(), case.run(&GemmPlan::with_kernel(kernel, a, b, case.spec, 1), None));
            }
            for (name, kernel) in stand_ins::few_rows() {
                if let Some(plan) = GemmPlan::new(Isa::SCALAR, case.spec, 1).expect("a kernel").few(kernel) {
                    check(name.into(), case.run(&plan, None));
                }
            }
        }
    }
    let products: Vec<String> = done.iter().map(|(name, count)| format!("{name} {count}")).collect();
    report("exact products of bytes", format!("{} shapes: {}", shapes.len(), products.join(", ")));
    for name in Isa::missing() {
        skipped(&format!("products of bytes on {name}"), "this CPU has no such instruction set");
    }
}
