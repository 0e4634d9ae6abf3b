//! Products of so few multiplications that planning, packing and tiles would cost more than they do.

use crate::gemm::{GemmSpec, Strides};
use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;

/// The most multiplications.
const MOST: usize = 256;

/// A small product, ready to run.
pub struct Small {
    entry: Entry<Operands>,
    spec: GemmSpec,
}

struct Operands {
    a: *const u8,
    b: *const u8,
    c: *mut u8,
    m: usize,
    n: usize,
    k: usize,
    a_strides: Strides,
    b_strides: Strides,
}

impl Small {
    /// The product, where it is small and of floats.
    pub fn new(isa: Isa, spec: GemmSpec) -> Option<Small> {
        let entry = match (spec.a_dtype, spec.b_dtype) {
            (DType::F32, DType::F32) => isa.entry::<Product32>(),
            (DType::F64, DType::F64) => isa.entry::<Product64>(),
            _ => return None,
        };
        (spec.m * spec.n * spec.k <= MOST).then_some(Small { entry, spec })
    }

    /// Computes the product.
    ///
    /// # Safety
    /// `a` and `b` hold the operands of the planned shapes and strides, `c` has room for the result.
    pub unsafe fn run(&self, a: *const u8, b: *const u8, c: *mut u8) {
        let GemmSpec { m, n, k, a: a_strides, b: b_strides, .. } = self.spec;
        self.entry.call(&mut Operands { a, b, c, m, n, k, a_strides, b_strides });
    }
}

struct Product32;
struct Product64;

impl Routine for Product32 {
    type Args = Operands;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(x: &mut Operands) {
        product::<f32, F32>(x);
    }
}
impl Routine for Product64 {
    type Args = Operands;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(x: &mut Operands) {
        product::<f64, F64>(x);
    }
}

#[inline(always)]
fn product<T: FloatLanes<Elem = T>, L: FloatLanes<Elem = T>>(x: &mut Operands) {
    let (a, b, c) = (x.a.cast::<T>(), x.b.cast::<T>(), x.c.cast::<T>());
    for i in 0..x.m {
        let first = i as isize * x.a_strides.row;
        if x.b_strides.col == 1 && x.n > 1 {
            for j in (0..x.n).step_by(L::WIDTH) {
                let (n, mut p, mut q) = (L::WIDTH.min(x.n - j), first, j as isize);
                let mut sums = L::of(0.0);
                for _ in 0..x.k {
                    // SAFETY: `Small::run`'s caller vouches for the operands and the result.
                    let (left, row) = unsafe { (*a.offset(p), std::slice::from_raw_parts(b.offset(q), n)) };
                    sums = L::splat(left).fma(L::load_part(row), sums);
                    (p, q) = (p + x.a_strides.col, q + x.b_strides.row);
                }
                // SAFETY: as above.
                sums.store_part(unsafe { std::slice::from_raw_parts_mut(c.add(i * x.n + j), n) });
            }
            continue;
        }
        for j in 0..x.n {
            let (mut p, mut q) = (first, j as isize * x.b_strides.col);
            let mut sum = T::of(0.0);
            for _ in 0..x.k {
                // SAFETY: as above.
                sum = unsafe { (*a.offset(p)).fma(*b.offset(q), sum) };
                (p, q) = (p + x.a_strides.col, q + x.b_strides.row);
            }
            // SAFETY: as above.
            unsafe { *c.add(i * x.n + j) = sum };
        }
    }
}
