//! Products of so few multiplications that planning, packing and tiles would cost more than they do.

use crate::gemm::{GemmSpec, Strides};
use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;
use std::marker::PhantomData;

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
            (DType::F32, DType::F32) => isa.entry::<Product<f32>>(),
            (DType::F64, DType::F64) => isa.entry::<Product<f64>>(),
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

struct Product<T>(PhantomData<T>);

impl<T: FloatLanes<Elem = T>> Routine for Product<T> {
    type Args = Operands;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(x: &mut Operands) {
        let (a, b, c) = (x.a.cast::<T>(), x.b.cast::<T>(), x.c.cast::<T>());
        for i in 0..x.m {
            for j in 0..x.n {
                let (mut p, mut q) = (i as isize * x.a_strides.row, j as isize * x.b_strides.col);
                let mut sum = T::of(0.0);
                for _ in 0..x.k {
                    // SAFETY: `Small::run`'s caller vouches for the operands and the result.
                    sum = unsafe { (*a.offset(p)).fma(*b.offset(q), sum) };
                    (p, q) = (p + x.a_strides.col, q + x.b_strides.row);
                }
                // SAFETY: as above.
                unsafe { *c.add(i * x.n + j) = sum };
            }
        }
    }
}
