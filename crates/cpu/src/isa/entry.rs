//! Functions compiled for an instruction set.

use super::{Isa, Level};
use crate::simd::ints::Ints;
use ironlearn_ir::lanes::FloatLanes;

#[cfg(target_arch = "aarch64")]
use crate::simd::neon::{F32x4, F64x2, I32x4};
#[cfg(target_arch = "x86_64")]
use crate::simd::{
    avx2::{F32x8, F64x4, I32x8},
    avx512::{F32x16, F64x8, I32x16},
};

impl Isa {
    /// Runs a kernel, compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `self` proves that the CPU has the features.
            Level::Avx512 => unsafe { run_avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `self` proves that the CPU has the features.
            Level::Avx2 => unsafe { run_avx2(kernel) },
            #[cfg(target_arch = "aarch64")]
            Level::Neon => kernel.run::<F32x4, F64x2>(),
            _ => kernel.run::<f32, f64>(),
        }
    }

    /// The function of a routine, compiled for this instruction set: for tables that are made once and
    /// called often.
    pub fn entry<R: Routine>(self) -> Entry<R::Args> {
        Entry(match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => call_avx512::<R>,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => call_avx2::<R>,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => R::call::<F32x4, F64x2>,
            _ => R::call::<f32, f64>,
        })
    }
}

impl Isa {
    /// The function of a routine over vectors of integers, where there are such vectors.
    pub(crate) fn entry_of_ints<R: IntRoutine>(self) -> Option<Entry<R::Args>> {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Some(Entry(ints_avx512::<R>)),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Some(Entry(ints_avx2::<R>)),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => Some(Entry(R::call::<I32x4>)),
            _ => None,
        }
    }
}

/// [`Routine`] over vectors of integers.
pub(crate) trait IntRoutine {
    /// What the routine reads and writes.
    type Args: ?Sized;
    /// Does the work with vectors of the given type.
    fn call<I: Ints>(args: &mut Self::Args);
}

/// Code compiled once for each instruction set, with the data that it works on.
///
/// `run` and all that it calls in its loops must be `#[inline(always)]`, closures included (write loops rather
/// than iterator chains of closures): what is not inlined is compiled without the instruction set. The result
/// is the same either way, only slower.
pub trait Kernel {
    /// What the kernel returns.
    type Out;
    /// Does the work with lanes of the given types; loops over scalar integers are vectorised as well.
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> Self::Out;
}

/// Code compiled once for each instruction set, without data: what [`Isa::entry`] makes pointers from.
///
/// The rule of inlining of [`Kernel`] holds here too.
pub trait Routine {
    /// What the routine reads and writes.
    type Args: ?Sized;
    /// Does the work with lanes of the given types.
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(args: &mut Self::Args);
}

/// A function compiled for an instruction set of this CPU; made by [`Isa::entry`].
pub struct Entry<A: ?Sized>(unsafe fn(&mut A));

impl<A: ?Sized> Entry<A> {
    /// Calls the function.
    #[inline(always)]
    pub fn call(self, args: &mut A) {
        // SAFETY: made by `Isa::entry` alone, from an `Isa` that proves the CPU's features.
        unsafe { (self.0)(args) }
    }
}

impl<A: ?Sized> Clone for Entry<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: ?Sized> Copy for Entry<A> {}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<F32x8, F64x4>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<F32x16, F64x8>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn call_avx2<R: Routine>(args: &mut R::Args) {
    R::call::<F32x8, F64x4>(args)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn call_avx512<R: Routine>(args: &mut R::Args) {
    R::call::<F32x16, F64x8>(args)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn ints_avx2<R: IntRoutine>(args: &mut R::Args) {
    R::call::<I32x8>(args)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn ints_avx512<R: IntRoutine>(args: &mut R::Args) {
    R::call::<I32x16>(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Width;
    impl Kernel for Width {
        type Out = (usize, usize);
        #[inline(always)]
        fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> (usize, usize) {
            (F32::WIDTH, F64::WIDTH)
        }
    }
    impl Routine for Width {
        type Args = [usize];
        #[inline(always)]
        fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(args: &mut [usize]) {
            args.fill(F32::WIDTH);
        }
    }

    #[test]
    fn dispatch_reaches_the_lanes_of_each_level() {
        for isa in Isa::available() {
            let wide = match isa.level() {
                Level::Scalar => (1, 1),
                Level::Neon => (4, 2),
                Level::Avx2 => (8, 4),
                Level::Avx512 => (16, 8),
            };
            assert_eq!(isa.run(Width), wide, "{isa}");
            let mut args = [0; 2];
            isa.entry::<Width>().call(&mut args);
            assert_eq!(args, [wide.0; 2], "{isa}");
        }
        assert_eq!(Isa::available().last(), Some(&Isa::detect()));
    }
}
