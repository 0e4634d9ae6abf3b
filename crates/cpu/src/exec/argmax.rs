//! The index of the largest element.

use super::Run;
use super::memory::Shared;
use super::rows::{each_of, extents};
use crate::isa::{Isa, Kernel};
use ironlearn_ir::lanes::FloatLanes;
use ironlearn_ir::plan::View;
use ironlearn_ir::{DType, bf16, f16};

/// Index of the largest element along the middle axis; the first of equal ones, the first NaN if any.
pub struct ArgMax {
    pub isa: Isa,
    pub x: View,
    pub out: View,
    pub dtype: DType,
}

impl ArgMax {
    pub fn run(&self, run: &Run<'_>) {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(run),
            DType::F64 => self.run_as::<f64>(run),
            DType::F16 => self.run_as::<f16>(run),
            DType::Bf16 => self.run_as::<bf16>(run),
            DType::U8 => self.run_integers::<u8>(run),
            DType::I8 => self.run_integers::<i8>(run),
            DType::I16 => self.run_integers::<i16>(run),
            DType::I32 => self.run_integers::<i32>(run),
            DType::I64 => self.run_integers::<i64>(run),
            DType::U32 => self.run_integers::<u32>(run),
            other => run.fail(format!("`{other}` has no order")),
        }
    }

    /// [`ArgMax::run_as`], with vectors along rows.
    fn run_integers<T: Ord + Copy>(&self, run: &Run<'_>) {
        let [outer, len, inner] = extents(&self.x);
        if inner != 1 {
            return self.run_as::<T>(run);
        }
        let x = Shared(run.addresses.element(self.x.buffer, self.x.offset, self.dtype.size()));
        let out = Shared(run.addresses.element(self.out.buffer, self.out.offset, 8));
        each_of(run, outer, len, |o| {
            // SAFETY: the extents are those of the view; every task writes its own results.
            unsafe {
                let row = std::slice::from_raw_parts(x.at(0).cast::<T>().add(o * len), len);
                *out.at(0).cast::<i64>().add(o) = self.isa.run(FirstLargest(row)) as i64;
            }
        });
    }

    #[allow(clippy::eq_op)]
    fn run_as<T: PartialOrd + Copy>(&self, run: &Run<'_>) {
        let [outer, len, inner] = extents(&self.x);
        let x = Shared(run.addresses.element(self.x.buffer, self.x.offset, self.dtype.size()));
        let out = Shared(run.addresses.element(self.out.buffer, self.out.offset, 8));
        each_of(run, outer, len * inner, |o| {
            for i in 0..inner {
                // SAFETY: the extents are those of the view; every task writes its own results.
                let at = |k: usize| unsafe { *x.at(0).cast::<T>().add((o * len + k) * inner + i) };
                let mut best = 0;
                for k in 1..len {
                    let (a, b) = (at(k), at(best));
                    // A NaN is not equal to itself.
                    if a > b || (a != a && b == b) {
                        best = k;
                    }
                }
                // SAFETY: as above.
                unsafe { *out.at(0).cast::<i64>().add(o * inner + i) = best as i64 }
            }
        });
    }
}

/// Finds the largest element, then the first that is equal to it.
struct FirstLargest<'a, T>(&'a [T]);

/// Elements among which it is found whether one is the largest.
const BLOCK: usize = 64;

impl<T: Ord + Copy> Kernel for FirstLargest<'_, T> {
    type Out = usize;
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> usize {
        let mut largest = self.0[0];
        for &x in self.0 {
            largest = if x > largest { x } else { largest };
        }
        for (b, block) in self.0.chunks(BLOCK).enumerate() {
            let mut found = false;
            for &x in block {
                found |= x == largest;
            }
            if found {
                let before = block.iter().take_while(|&&x| x != largest).count();
                return b * BLOCK + before;
            }
        }
        0
    }
}
