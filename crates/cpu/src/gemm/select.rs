//! Which kernel and which packing serve which element types on which instruction set.

use super::integers::{Pair, Pairs1};
use super::kernel::{KernelFn, Shape, block};
use super::mac::{Cell, Fused, Mac, Packed, Plain};
use super::pack::{self, PackFn};
use crate::isa::{Isa, Level};
#[cfg(target_arch = "x86_64")]
use crate::{
    gemm::bytes::{self, ByteDots8, ByteDots16, Side, tiles},
    gemm::complex::{Complex32x4, Complex32x8, Complex64x2, Complex64x4},
    gemm::dots::{HalfDots16, HalfPair, WordDots16},
    gemm::integers::{Int32x8, Int32x16, Int64x4, Int64x8, Pairs8, Pairs16},
    gemm::kernel::{Blocking, Part},
    simd::avx2::{F32x8, F64x4},
    simd::avx512::{F32x16, F64x8},
};
#[cfg(target_arch = "aarch64")]
use crate::{
    gemm::bytes::{self, Dots4, Side, Widened4},
    simd::neon::{F32x4, F64x2},
};
use ironlearn_ir::{Complex32, Complex64, DType, bf16, f16};

/// A kernel and the shape of its tiles.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    pub run: KernelFn,
    pub shape: Shape,
}

impl Kernel {
    pub(crate) const fn of<M: Mac, const MR: usize, const NV: usize>(run: KernelFn) -> Kernel {
        let (cell, group) = (size_of::<M::Packed>(), M::Packed::GROUP);
        let (nr, lanes, head) = (NV * M::LANES, M::LANES, M::HEAD);
        Kernel { run, shape: Shape { mr: MR, nr, lanes, cell, group, head, block: M::block } }
    }
}

/// How one operand comes to the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    pub pack: PackFn,
    /// It can be read where it lies.
    pub same: bool,
}

impl Operand {
    fn of<P: Packed<X>, X: Copy>(level: Level) -> Operand {
        let pack: PackFn = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => pack::avx512::<P, X>,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => pack::avx2::<P, X>,
            _ => pack::pack::<P, X>,
        };
        Operand { pack, same: P::SAME }
    }
}

/// The kernel and the operands for a product of elements `a` and `b`.
pub(crate) fn select(isa: Isa, a: DType, b: DType) -> Option<(Kernel, Operand, Operand)> {
    use DType::*;
    let level = isa.level();
    let pair = |dtype| match dtype {
        U8 => Operand::of::<Pair, u8>(level),
        I8 => Operand::of::<Pair, i8>(level),
        _ => Operand::of::<Pair, i16>(level),
    };
    let (kernel, left, right) = match (a, b) {
        (F32, F32) => both(f32_kernel(level), Operand::of::<f32, f32>(level)),
        (F64, F64) => both(f64_kernel(level), Operand::of::<f64, f64>(level)),
        #[cfg(target_arch = "x86_64")]
        (Bf16, Bf16) if isa.has_bf16() => {
            let kernel = Kernel::of::<HalfDots16, 14, 2>(avx512_bf16::<HalfDots16, 14, 2>);
            both(kernel, Operand::of::<HalfPair, bf16>(level))
        }
        (Bf16, Bf16) => both(f32_kernel(level), Operand::of::<f32, bf16>(level)),
        (F16, F16) => both(f32_kernel(level), Operand::of::<f32, f16>(level)),
        #[cfg(target_arch = "x86_64")]
        (I8 | U8, I8 | U8) if isa.has_tiles() => tiles_of_bytes(a == I8, b == I8),
        #[cfg(target_arch = "x86_64")]
        (I8 | U8, I8) if isa.has_byte_dots() => byte_dots(level, a == I8),
        #[cfg(target_arch = "x86_64")]
        (U8 | I8 | I16, U8 | I8 | I16) if isa.has_byte_dots() && level == Level::Avx512 => {
            (Kernel::of::<WordDots16, 14, 2>(avx512_vnni::<WordDots16, 14, 2>), pair(a), pair(b))
        }
        #[cfg(target_arch = "aarch64")]
        (I8, I8) if level == Level::Neon => {
            let kernel = match isa.has_byte_dots() {
                true => Kernel::of::<Dots4, 8, 3>(block::<Dots4, 8, 3>),
                false => Kernel::of::<Widened4, 6, 2>(block::<Widened4, 6, 2>),
            };
            both(kernel, Operand { pack: bytes::portable::<{ Side::PLAIN }>, same: false })
        }
        (U8 | I8 | I16, U8 | I8 | I16) => (pair_kernel(level), pair(a), pair(b)),
        // The low 32 bits of sums and products do not depend on the signs.
        (I32, I32) | (U32, U32) => both(i32_kernel(level), Operand::of::<i32, i32>(level)),
        (I64, I64) => both(i64_kernel(level), Operand::of::<i64, i64>(level)),
        (C64, C64) => both(c64_kernel(level), Operand::of::<Complex32, Complex32>(level)),
        (C128, C128) => both(c128_kernel(level), Operand::of::<Complex64, Complex64>(level)),
        _ => return None,
    };
    Some((kernel, left, right))
}

/// The kernel and the operands for products of bytes by tiles.
#[cfg(target_arch = "x86_64")]
fn tiles_of_bytes(a_signed: bool, b_signed: bool) -> (Kernel, Operand, Operand) {
    let operand = |pack: PackFn| Operand { pack, same: false };
    let run: KernelFn = match (a_signed, b_signed) {
        (true, true) => tiles::amx::run::<true, true>,
        (true, false) => tiles::amx::run::<true, false>,
        (false, true) => tiles::amx::run::<false, true>,
        (false, false) => tiles::amx::run::<false, false>,
    };
    (tiles::kernel(run), operand(tiles::left::<true>), operand(tiles::right::<true>))
}

/// The kernel and the operands for products of an A of bytes by a B of `i8`.
#[cfg(target_arch = "x86_64")]
fn byte_dots(level: Level, signed: bool) -> (Kernel, Operand, Operand) {
    let operand = |pack: PackFn| Operand { pack, same: false };
    let [left, right]: [PackFn; 2] = match (level, signed) {
        (Level::Avx512, true) => [bytes::avx512::<{ Side::RAISED }>, bytes::avx512::<{ Side::AFTER_SUMS }>],
        (Level::Avx512, false) => [bytes::avx512::<{ Side::PLAIN }>, bytes::avx512::<{ Side::AFTER_ZEROS }>],
        (_, true) => [bytes::avx2::<{ Side::RAISED }>, bytes::avx2::<{ Side::AFTER_SUMS }>],
        (_, false) => [bytes::avx2::<{ Side::PLAIN }>, bytes::avx2::<{ Side::AFTER_ZEROS }>],
    };
    let kernel = match level {
        Level::Avx512 => Kernel::of::<ByteDots16, 14, 2>(avx512_vnni::<ByteDots16, 14, 2>),
        _ => Kernel::of::<ByteDots8, 6, 2>(avx_vnni::<ByteDots8, 6, 2>),
    };
    (kernel, operand(left), operand(right))
}

fn both(kernel: Kernel, operand: Operand) -> (Kernel, Operand, Operand) {
    (kernel, operand, operand)
}

/// [`block`], compiled for AVX2.
///
/// # Safety
/// As for [`block`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { block::<M, MR, NV>(plan, part) }
}

/// [`block`], compiled for AVX-512.
///
/// # Safety
/// As for [`block`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
unsafe fn avx512<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { block::<M, MR, NV>(plan, part) }
}

/// [`block`], compiled for AVX-512 with VNNI.
///
/// # Safety
/// As for [`block`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn avx512_vnni<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { block::<M, MR, NV>(plan, part) }
}

/// [`block`], compiled for AVX2 with AVX-VNNI.
///
/// # Safety
/// As for [`block`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avxvnni,fma,f16c")]
unsafe fn avx_vnni<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { block::<M, MR, NV>(plan, part) }
}

/// [`block`], compiled for AVX-512 with BF16.
///
/// # Safety
/// As for [`block`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")]
unsafe fn avx512_bf16<M: Mac, const MR: usize, const NV: usize>(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { block::<M, MR, NV>(plan, part) }
}

/// The kernels of one element type: tiles of rows × registers that fit the instruction set's registers.
macro_rules! kernels {
    ($name:ident, avx512 $z:ty, $zr:literal, avx2 $y:ty, $yr:literal, neon $q:ty, $qr:literal x $qv:literal, scalar $x:ty) => {
        fn $name(level: Level) -> Kernel {
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => Kernel::of::<$z, $zr, 2>(avx512::<$z, $zr, 2>),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => Kernel::of::<$y, $yr, 2>(avx2::<$y, $yr, 2>),
                #[cfg(target_arch = "aarch64")]
                Level::Neon => Kernel::of::<$q, $qr, $qv>(block::<$q, $qr, $qv>),
                _ => Kernel::of::<$x, 4, 4>(block::<$x, 4, 4>),
            }
        }
    };
}
kernels!(f32_kernel, avx512 Fused<F32x16>, 14, avx2 Fused<F32x8>, 6, neon Fused<F32x4>, 8 x 3, scalar Fused<f32>);
kernels!(f64_kernel, avx512 Fused<F64x8>, 14, avx2 Fused<F64x4>, 6, neon Fused<F64x2>, 8 x 3, scalar Fused<f64>);
kernels!(pair_kernel, avx512 Pairs16, 14, avx2 Pairs8, 6, neon Pairs1, 4 x 4, scalar Pairs1);
kernels!(i32_kernel, avx512 Int32x16, 14, avx2 Int32x8, 6, neon Plain<i32>, 4 x 4, scalar Plain<i32>);
kernels!(i64_kernel, avx512 Int64x8, 14, avx2 Int64x4, 6, neon Plain<i64>, 4 x 4, scalar Plain<i64>);
// A complex sum takes two registers of each operand.
kernels!(c64_kernel, avx512 Complex32x8, 12, avx2 Complex32x4, 4, neon Plain<Complex32>, 4 x 4, scalar Plain<Complex32>);
kernels!(c128_kernel, avx512 Complex64x4, 12, avx2 Complex64x2, 4, neon Plain<Complex64>, 4 x 4, scalar Plain<Complex64>);
