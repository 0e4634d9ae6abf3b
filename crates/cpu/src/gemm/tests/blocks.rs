//! Blocks, tasks and tiles: what has to leave the bits alone.

use super::*;
use crate::gemm::kernel::block;
use crate::gemm::mac::Mac;
use crate::gemm::select::{Kernel, select};

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(7)];
    for (shape, layouts) in [
        ([200, 170, 100], [Layout::Rows, Layout::Rows]),
        ([150, 300, 70], [Layout::Columns, Layout::Padded]),
        ([2500, 20, 65], [Layout::Padded, Layout::Columns]),
        ([9, 1500, 290], [Layout::Rows, Layout::Rows]),
        ([1, 3001, 400], [Layout::Rows, Layout::Padded]),
        ([3001, 1, 400], [Layout::Padded, Layout::Rows]),
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

#[test]
fn a_row_has_the_documented_bits_whatever_its_width() {
    // 245 columns of `f32` take strips of 8, 4, 2 and 1 registers of sixteen, and a part of one.
    for (n, k, accumulate) in
        [(245, 290, false), (125, 290, true), (10, 33, true), (1, 700, false), (37, 0, false)]
    {
        let (mut x, mut y, mut z) = (Random(4), Random(5), Random(6));
        let layouts = [Layout::Reversed, Layout::Padded];
        let values = (|| x.float() as f32, || y.float() as f32, || z.float() as f32);
        let case = Case::new([1, n, k], layouts, accumulate, values);
        check(&case, &[], |c, a: f32, b: f32| a.mul_add(b, c), |c, sum| c + sum, |x| x.to_bits().into());
        let values = (|| x.float(), || y.float(), || z.float());
        let case = Case::new([1, n, k], layouts, accumulate, values);
        check(&case, &[], |c, a: f64, b: f64| a.mul_add(b, c), |c, sum| c + sum, |x| x.to_bits().into());
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
    let (_, a, b) = select(Isa::SCALAR, DType::F32, DType::F32).expect("a kernel");
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
