//! Products of many shapes, layouts and types against the documented order of additions, bit by bit, and
//! against wider arithmetic.

mod blocks;
mod bytes;
mod packed;
mod types;

use super::*;
use crate::isa::Isa;
use crate::pool::Pool;
use ironlearn_ir::Element;

/// A small generator of test values (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
    /// Uniform in [−1, 1).
    fn float(&mut self) -> f64 {
        (self.next() & 0xff_ffff) as f64 / f64::from(1 << 23) - 1.0
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Layout {
    Rows,
    Columns,
    /// Rows that are farther apart than their length.
    Padded,
    /// No unit stride.
    Spread,
    /// Both strides negative.
    Reversed,
}
const LAYOUTS: [Layout; 5] =
    [Layout::Rows, Layout::Columns, Layout::Padded, Layout::Spread, Layout::Reversed];

/// A matrix somewhere in memory.
struct Matrix<T> {
    data: Vec<T>,
    origin: usize,
    strides: Strides,
}

impl<T: Copy> Matrix<T> {
    fn new(rows: usize, cols: usize, layout: Layout, mut value: impl FnMut() -> T) -> Matrix<T> {
        let (row, col) = match layout {
            Layout::Rows => (cols as isize, 1),
            Layout::Columns => (1, rows as isize),
            Layout::Padded => (cols as isize + 3, 1),
            Layout::Spread => (2 * cols as isize + 1, 2),
            Layout::Reversed => (-(cols as isize), -1),
        };
        let span = |n: usize, stride: isize| n.saturating_sub(1) * stride.unsigned_abs();
        let last = span(rows, row) + span(cols, col);
        Matrix {
            data: (0..=last).map(|_| value()).collect(),
            origin: if layout == Layout::Reversed { last } else { 0 },
            strides: Strides { row, col },
        }
    }
    fn at(&self, i: usize, j: usize) -> T {
        let offset = i as isize * self.strides.row + j as isize * self.strides.col;
        self.data[self.origin.checked_add_signed(offset).expect("inside")]
    }
    fn pointer(&self) -> *const u8 {
        self.data[self.origin..].as_ptr().cast()
    }
}

/// Memory aligned to a cache line, with a margin behind it that must stay as it is.
struct Margin {
    memory: Vec<[u8; 64]>,
    skip: usize,
    bytes: usize,
}

impl Margin {
    fn new(bytes: usize) -> Margin {
        let memory = vec![[0x5a_u8; 64]; bytes / 64 + 2];
        let skip = memory.as_ptr().cast::<u8>().align_offset(64);
        Margin { memory, skip, bytes }
    }
    fn start(&mut self) -> *mut u8 {
        self.memory.as_flattened_mut()[self.skip..].as_mut_ptr()
    }
    fn is_whole(&self) -> bool {
        self.memory.as_flattened()[self.skip + self.bytes..].iter().all(|&x| x == 0x5a)
    }
}

/// A product under test, with C before it.
struct Case<A, B: Copy, C> {
    spec: GemmSpec,
    a: Matrix<A>,
    b: Matrix<B>,
    c: Vec<C>,
}

impl<A: Element, B: Element, C: Element> Case<A, B, C> {
    fn new(
        [m, n, k]: [usize; 3],
        [la, lb]: [Layout; 2],
        accumulate: bool,
        value: (impl FnMut() -> A, impl FnMut() -> B, impl FnMut() -> C),
    ) -> Case<A, B, C> {
        let (a, b) = (Matrix::new(m, k, la, value.0), Matrix::new(k, n, lb, value.1));
        let ldc = n + m % 3;
        let spec = GemmSpec {
            m,
            n,
            k,
            a_dtype: A::DTYPE,
            b_dtype: B::DTYPE,
            a: a.strides,
            b: b.strides,
            ldc,
            accumulate,
        };
        assert_eq!(spec.c_dtype(), C::DTYPE);
        let mut fill = value.2;
        Case { spec, a, b, c: (0..m * ldc + 5).map(|_| fill()).collect() }
    }

    /// C after the product with a plan.
    fn run(&self, plan: &GemmPlan, pool: Option<&Pool>) -> Vec<C> {
        let mut c = self.c.clone();
        let bytes = if pool.is_some() { plan.scratch_bytes() } else { plan.worker_bytes() };
        let mut scratch = Margin::new(bytes);
        // SAFETY: the matrices and C have the planned shapes; the scratch memory is aligned, and as large as
        // the plan says.
        unsafe {
            let (a, b, c) = (self.a.pointer(), self.b.pointer(), c.as_mut_ptr().cast());
            match pool {
                Some(pool) => plan.run(pool, a, b, c, scratch.start()),
                None => plan.run_serial(a, b, c, scratch.start()),
            }
        }
        assert!(scratch.is_whole(), "{:?}: scratch memory is overrun", self.spec);
        c
    }

    /// C after the product by definition: the documented order, with one step and the sum of two blocks.
    fn expected(&self, step: impl Fn(C, A, B) -> C, add: impl Fn(C, C) -> C) -> Vec<C> {
        let GemmSpec { m, n, k, ldc, accumulate, .. } = self.spec;
        let blocks = k.div_ceil(256).max(1);
        let length = k.div_ceil(blocks).next_multiple_of(32);
        let mut c = self.c.clone();
        for i in 0..m {
            for j in 0..n {
                let sum = |from: usize, to: usize| {
                    (from..to).fold(C::default(), |sum, p| step(sum, self.a.at(i, p), self.b.at(p, j)))
                };
                let mut total = accumulate.then_some(c[i * ldc + j]);
                for from in (0..k).step_by(length.max(1)) {
                    let block = sum(from, k.min(from + length));
                    total = Some(total.map_or(block, |total| add(total, block)));
                }
                c[i * ldc + j] = total.unwrap_or_default();
            }
        }
        c
    }
}

/// Runs a case on every instruction set, serially and in pools, against the definition.
fn check<A: Element, B: Element, C: Element>(
    case: &Case<A, B, C>,
    pools: &[Pool],
    step: impl Fn(C, A, B) -> C,
    add: impl Fn(C, C) -> C,
    bits: impl Fn(C) -> u128,
) -> Vec<C> {
    let expected = case.expected(step, add);
    let same = |c: &[C]| c.iter().zip(&expected).all(|(&x, &y)| bits(x) == bits(y));
    for isa in Isa::available() {
        let serial = GemmPlan::new(isa, case.spec, 1).expect("a kernel");
        assert!(same(&case.run(&serial, None)), "{isa:?} serial {:?}", case.spec);
        for pool in pools {
            let plan = GemmPlan::new(isa, case.spec, pool.threads()).expect("a kernel");
            assert!(same(&case.run(&plan, Some(pool))), "{isa:?} {} threads {:?}", pool.threads(), case.spec);
        }
    }
    expected
}

/// Shapes with every kind of edge, then random ones.
fn shapes(random: &mut Random, count: usize) -> Vec<[usize; 3]> {
    let mut shapes = vec![
        [0, 5, 3],
        [5, 0, 3],
        [4, 7, 0],
        [1, 1, 1],
        [1, 70, 33],
        [70, 1, 129],
        [3, 2, 300],
        [40, 33, 31],
        [6, 16, 256],
        [14, 32, 257],
        [29, 65, 64],
        [64, 32, 64],
        [13, 300, 5],
        [33, 17, 520],
    ];
    shapes.extend((0..count).map(|_| [1 + random.below(50), 1 + random.below(80), 1 + random.below(90)]));
    shapes
}

/// Cases of every shape in two random layouts, accumulating or not.
fn cases(seed: u64, count: usize) -> Vec<([usize; 3], [Layout; 2], bool)> {
    let mut random = Random(seed);
    let shapes = shapes(&mut random, count);
    let mut cases = Vec::new();
    for shape in shapes {
        for _ in 0..2 {
            let layouts = [LAYOUTS[random.below(5)], LAYOUTS[random.below(5)]];
            cases.push((shape, layouts, random.below(2) == 0));
        }
    }
    // Columns, summed along the rows of memory: parts of registers, and of blocks.
    cases.push(([41, 1, 30], [Layout::Rows, Layout::Rows], false));
    cases.push(([21, 1, 300], [Layout::Padded, Layout::Columns], true));
    cases
}
