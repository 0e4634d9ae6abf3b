//! [`Sums`]: a register of running sums, of floats by fused multiply-adds or of wrapping integers.

use crate::isa::{Isa, Kernel};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;

/// Running sums of `LANES` neighbouring results.
pub trait Sums: Copy {
    /// Type of the elements.
    type Elem: Copy + Default + 'static;
    /// Sums in a register.
    const LANES: usize;
    /// The same in every lane.
    fn splat(x: Self::Elem) -> Self;
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load(p: *const Self::Elem) -> Self;
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store(self, p: *mut Self::Elem);
    /// `self + a·b`
    fn mac(self, a: Self, b: Self) -> Self;
    /// `self + b`
    fn plus(self, b: Self) -> Self;
}

/// Lanes of `f32` or `f64`.
#[derive(Clone, Copy)]
pub struct Floats<L>(L);

impl<L: FloatLanes> Sums for Floats<L>
where
    L::Elem: Default,
{
    type Elem = L::Elem;
    const LANES: usize = L::WIDTH;
    #[inline(always)]
    fn splat(x: L::Elem) -> Self {
        Floats(L::splat(x))
    }
    #[inline(always)]
    unsafe fn load(p: *const L::Elem) -> Self {
        // SAFETY: the caller's promise.
        Floats(L::load(unsafe { std::slice::from_raw_parts(p, L::WIDTH) }))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut L::Elem) {
        // SAFETY: the caller's promise.
        self.0.store(unsafe { std::slice::from_raw_parts_mut(p, L::WIDTH) });
    }
    #[inline(always)]
    fn mac(self, a: Self, b: Self) -> Self {
        Floats(a.0.fma(b.0, self.0))
    }
    #[inline(always)]
    fn plus(self, b: Self) -> Self {
        Floats(self.0.plus(b.0))
    }
}

/// Integers of an AVX2 register, which the compiler turns into what there is.
#[derive(Clone, Copy)]
pub struct Integers([i32; 8]);

impl Sums for Integers {
    type Elem = i32;
    const LANES: usize = 8;
    #[inline(always)]
    fn splat(x: i32) -> Self {
        Integers([x; 8])
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> Self {
        // SAFETY: the caller's promise.
        Integers(unsafe { p.cast::<[i32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[i32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn mac(mut self, a: Self, b: Self) -> Self {
        for i in 0..8 {
            self.0[i] = self.0[i].wrapping_add(a.0[i].wrapping_mul(b.0[i]));
        }
        self
    }
    #[inline(always)]
    fn plus(mut self, b: Self) -> Self {
        for i in 0..8 {
            self.0[i] = self.0[i].wrapping_add(b.0[i]);
        }
        self
    }
}

/// Lanes of a register of sums, and whether there are 32 registers of 64 bytes.
pub fn registers(isa: Isa, dtype: DType) -> (usize, bool) {
    struct Widths;
    impl Kernel for Widths {
        type Out = (usize, usize);
        #[inline(always)]
        fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> (usize, usize) {
            (F32::WIDTH, F64::WIDTH)
        }
    }
    let (f32, f64) = isa.run(Widths);
    let lanes = match dtype {
        DType::F32 => f32,
        DType::F64 => f64,
        _ => Integers::LANES,
    };
    (lanes, lanes * dtype.size() == 64)
}

/// True where a register of these sums has 64 bytes: then there are 32 of them.
pub const fn is_wide<S: Sums>() -> bool {
    S::LANES * size_of::<S::Elem>() == 64
}

/// Makes a task, whose `compute` is written over [`Sums`], a [`Kernel`] for each element type of the sums.
macro_rules! sums_kernel {
    ($task:ident) => {
        sums_kernel!($task: f32 Floats<F32>, f64 Floats<F64>, i32 Integers);
    };
    ($task:ident: $($elem:ident $sums:ty),*) => {$(
        impl crate::isa::Kernel for $task<'_, $elem> {
            type Out = ();
            #[inline(always)]
            fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
                use crate::exec::conv::sums::*;
                // SAFETY: who makes the task vouches for its pointers.
                unsafe { self.compute::<$sums>() }
            }
        }
    )*};
}
pub(super) use sums_kernel;
