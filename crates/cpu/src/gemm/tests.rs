//! Products of many shapes, layouts and types against the documented order of additions, bit by bit, and
//! against wider arithmetic.

use super::kernel::block;
use super::mac::Mac;
use super::select::{Kernel, select};
use super::*;
use crate::isa::{Isa, Level};
use crate::pool::Pool;
use ironlearn_ir::{Complex32, Complex64, Element, bf16, f16};

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
        // A margin that must stay as it is stands behind the scratch memory.
        let mut scratch = vec![[0x5a_u8; 64]; bytes / 64 + 2];
        let skip = scratch.as_ptr().cast::<u8>().align_offset(64);
        // SAFETY: the matrices and C have the planned shapes; the scratch memory is aligned, and as large as
        // the plan says.
        unsafe {
            let (a, b, c) = (self.a.pointer(), self.b.pointer(), c.as_mut_ptr().cast());
            let scratch = scratch.as_mut_ptr().cast::<u8>().add(skip);
            match pool {
                Some(pool) => plan.run(pool, a, b, c, scratch),
                None => plan.run_serial(a, b, c, scratch),
            }
        }
        let margin = &scratch.as_flattened()[skip + bytes..];
        assert!(margin.iter().all(|&x| x == 0x5a), "{:?}: scratch memory is overrun", self.spec);
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
        assert!(same(&case.run(&serial, None)), "{isa} serial {:?}", case.spec);
        for pool in pools {
            let plan = GemmPlan::new(isa, case.spec, pool.threads()).expect("a kernel");
            assert!(same(&case.run(&plan, Some(pool))), "{isa} {} threads {:?}", pool.threads(), case.spec);
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
    cases
}

macro_rules! float_test {
    ($name:ident, $t:ty, $bits:ty) => {
        #[test]
        fn $name() {
            let pools = [Pool::new(2)];
            for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(11, 20)) {
                let float = |seed| {
                    let mut random = Random(seed);
                    move || random.float() as $t
                };
                let values = (float(seed), float(seed + 1000), float(seed + 2000));
                let case = Case::new(shape, layouts, accumulate, values);
                let bits = |x: $t| u128::from(x.to_bits());
                let c = check(&case, &pools, |c, a: $t, b: $t| a.mul_add(b, c), |c, sum| c + sum, bits);
                bound(&case, &c, |x| x.into(), <$t>::EPSILON.into());
            }
        }
    };
}
float_test!(f32_has_the_documented_bits, f32, u32);
float_test!(f64_has_the_documented_bits, f64, u64);

/// The documented bound of the error, by sums in doubled `f64`.
fn bound<T: Element>(case: &Case<T, T, T>, c: &[T], to_f64: impl Fn(T) -> f64, epsilon: f64) {
    let GemmSpec { m, n, k, ldc, accumulate, .. } = case.spec;
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let start = if accumulate { to_f64(case.c[i * ldc + j]) } else { 0.0 };
        let (mut sum, mut low, mut size) = (start, 0.0, start.abs());
        for p in 0..k {
            let (a, b) = (to_f64(case.a.at(i, p)), to_f64(case.b.at(p, j)));
            let product = a * b;
            let next = sum + product;
            let part = next - sum;
            low += (sum - (next - part)) + (product - part) + a.mul_add(b, -product);
            (sum, size) = (next, size + product.abs());
        }
        let error = ((to_f64(c[i * ldc + j]) - sum) - low).abs();
        let most = (k.min(256) + k.div_ceil(256) + 1) as f64 * epsilon / 2.0 * size;
        assert!(error <= most, "{:?}: error {error:e} at ({i}, {j}), at most {most:e}", case.spec);
    }
}

#[test]
fn halves_are_summed_as_f32() {
    let pools = [Pool::new(2)];
    let bits = |x: f32| u128::from(x.to_bits());
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(12, 5)) {
        let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
        let values = (|| bf16::from_f64(x.float()), || bf16::from_f64(y.float()), || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        check(&case, &pools, |c, a, b| a.to_f32().mul_add(b.to_f32(), c), |c, sum| c + sum, bits);
        let values = (|| f16::from_f64(x.float()), || f16::from_f64(y.float()), || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        check(&case, &pools, |c, a, b| a.to_f32().mul_add(b.to_f32(), c), |c, sum| c + sum, bits);
    }
}

macro_rules! integer_test {
    ($name:ident, $a:ty, $b:ty => $c:ty) => {
        #[test]
        fn $name() {
            let pools = [Pool::new(2)];
            for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(13, 4)) {
                let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
                // The extremes are frequent, as they are where saturation and overflow would show.
                let a = || [<$a>::MIN, <$a>::MAX, x.next() as $a][x.below(3)];
                let b = || [<$b>::MIN, <$b>::MAX, y.next() as $b][y.below(3)];
                let case = Case::new(shape, layouts, accumulate, (a, b, || z.next() as $c));
                let step = |c: $c, a: $a, b: $b| c.wrapping_add((a as $c).wrapping_mul(b as $c));
                check(&case, &pools, step, <$c>::wrapping_add, |x| x as u128);
            }
        }
    };
}
integer_test!(i8_is_exact, i8, i8 => i32);
integer_test!(u8_by_i8_is_exact, u8, i8 => i32);
integer_test!(i8_by_u8_is_exact, i8, u8 => i32);
integer_test!(u8_is_exact, u8, u8 => i32);
integer_test!(i16_wraps, i16, i16 => i32);
integer_test!(i16_by_i8_is_exact, i16, i8 => i32);
integer_test!(i32_wraps, i32, i32 => i32);
integer_test!(u32_wraps, u32, u32 => u32);
integer_test!(i64_wraps, i64, i64 => i64);

#[test]
fn complex_has_the_documented_bits() {
    let pools = [Pool::new(2)];
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(14, 5)) {
        let single = |seed| {
            let mut random = Random(seed);
            move || Complex32::new(random.float() as f32, random.float() as f32)
        };
        let case = Case::new(shape, layouts, accumulate, (single(seed), single(seed + 1), single(seed + 2)));
        let bits = |x: Complex32| u128::from(x.re.to_bits()) << 32 | u128::from(x.im.to_bits());
        check(&case, &pools, |c, a: Complex32, b: Complex32| c + a * b, |c, sum| c + sum, bits);
        let double = |seed| {
            let mut random = Random(seed);
            move || Complex64::new(random.float(), random.float())
        };
        let case = Case::new(shape, layouts, accumulate, (double(seed), double(seed + 1), double(seed + 2)));
        let bits = |x: Complex64| u128::from(x.re.to_bits()) << 64 | u128::from(x.im.to_bits());
        check(&case, &pools, |c, a: Complex64, b: Complex64| c + a * b, |c, sum| c + sum, bits);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(7)];
    for (shape, layouts) in [
        ([200, 170, 100], [Layout::Rows, Layout::Rows]),
        ([150, 300, 70], [Layout::Columns, Layout::Padded]),
        ([2500, 20, 65], [Layout::Padded, Layout::Columns]),
        ([9, 1500, 290], [Layout::Rows, Layout::Rows]),
    ] {
        let float = |seed| {
            let mut random = Random(seed);
            move || random.float() as f32
        };
        let case = Case::new(shape, layouts, false, (float(1), float(2), float(3)));
        let tasks = GemmPlan::new(Isa::detect(), case.spec, 7).expect("a kernel").tasks();
        assert!(tasks > 2, "{:?} is meant to be shared among threads", case.spec);
        let bits = |x: f32| u128::from(x.to_bits());
        check(&case, &pools, |c, a: f32, b: f32| a.mul_add(b, c), |c, sum| c + sum, bits);
    }
}

#[test]
fn a_column_of_a_transposed_matrix_has_the_documented_bits() {
    for (m, accumulate) in [(69, false), (300, true), (3, true)] {
        let (mut x, mut y, mut z) = (Random(7), Random(8), Random(9));
        let values = (|| x.next() as u8, || y.next() as i8, || z.next() as i32);
        let case = Case::new([m, 1, 290], [Layout::Columns, Layout::Spread], accumulate, values);
        let step = |c: i32, a: u8, b: i8| c.wrapping_add(i32::from(a) * i32::from(b));
        check(&case, &[], step, i32::wrapping_add, |x| x as u128);
        let values = (|| x.float(), || y.float(), || z.float());
        let case = Case::new([m, 1, 290], [Layout::Columns, Layout::Spread], accumulate, values);
        let bits = |x: f64| u128::from(x.to_bits());
        check(&case, &[Pool::new(2)], |c, a: f64, b: f64| a.mul_add(b, c), |c, sum| c + sum, bits);
    }
}

/// Sixteen `f32` without an instruction set: the tiles of AVX-512 on any CPU.
#[derive(Clone, Copy)]
struct Sixteen([f32; 16]);

impl Mac for Sixteen {
    type Packed = f32;
    type Out = f32;
    type Operand = [f32; 16];
    const LANES: usize = 16;
    fn zero() -> Self {
        Sixteen([0.0; 16])
    }
    fn broadcast(x: f32) -> [f32; 16] {
        [x; 16]
    }
    unsafe fn load(p: *const f32) -> [f32; 16] {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[f32; 16]>().read() }
    }
    fn mac(self, a: [f32; 16], b: [f32; 16]) -> Self {
        Sixteen(std::array::from_fn(|i| a[i].mul_add(b[i], self.0[i])))
    }
    unsafe fn write(self, c: *mut f32, add: bool) {
        for (i, &sum) in self.0.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { *c.add(i) = if add { *c.add(i) + sum } else { sum } }
        }
    }
    fn sum(c: f32, sum: f32) -> f32 {
        c + sum
    }
}

#[test]
fn large_tiles_have_the_documented_bits() {
    let kernel = Kernel::of::<Sixteen, 14, 2>(block::<Sixteen, 14, 2>);
    let (_, a, b) = select(Level::Scalar, DType::F32, DType::F32).expect("a kernel");
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(15, 8)) {
        let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
        let values = (|| x.float() as f32, || y.float() as f32, || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        let expected = case.expected(|c, a: f32, b: f32| a.mul_add(b, c), |c, sum| c + sum);
        let c = case.run(&GemmPlan::with_kernel(kernel, a, b, case.spec, 1), None);
        assert_eq!(c, expected, "{:?}", case.spec);
    }
}

#[test]
fn what_cannot_be_planned_is_an_error() {
    let rows = Strides::row_major(4);
    let spec = GemmSpec {
        m: 4,
        n: 4,
        k: 4,
        a_dtype: DType::F32,
        b_dtype: DType::F64,
        a: rows,
        b: rows.transposed(),
        ldc: 4,
        accumulate: false,
    };
    let error = GemmPlan::new(Isa::SCALAR, spec, 1).err().expect("mixed types");
    assert_eq!(error, GemmError::Types { a: DType::F32, b: DType::F64 });
    assert!(error.to_string().contains("f32 by f64"));
    let spec = GemmSpec { b_dtype: DType::F32, ldc: 3, ..spec };
    let error = GemmPlan::new(Isa::SCALAR, spec, 1).err().expect("overlapping rows");
    assert_eq!(error, GemmError::Overlap { ldc: 3, n: 4 });
}
