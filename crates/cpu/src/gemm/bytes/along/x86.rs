//! Sums along k in AVX2 and AVX-512.

use super::{Along, few};
use crate::gemm::kernel::{Blocking, Part};
use std::arch::x86_64::*;

/// Sums of pairs in 256 bits.
#[derive(Clone, Copy)]
struct Pairs256(__m256i);
/// Sums of pairs in 512 bits.
#[derive(Clone, Copy)]
struct Pairs512(__m512i);
/// Sums of quads by AVX-VNNI.
#[derive(Clone, Copy)]
struct Quads256(__m256i);
/// Sums of quads by AVX-512 VNNI.
#[derive(Clone, Copy)]
struct Quads512(__m512i);

/// Those of [`Quads256`], by an instruction that CPUs with AVX-512 have.
#[cfg(test)]
#[derive(Clone, Copy)]
struct EncodedQuads256(__m256i);

/// The first `count` of up to `N` elements, and zeros.
///
/// # Safety
/// As for [`Along::left`].
#[inline(always)]
unsafe fn part<const N: usize>(p: *const i8, count: usize) -> [i8; N] {
    let mut elements = [0; N];
    // SAFETY: the caller's promise.
    unsafe { p.copy_to_nonoverlapping(elements.as_mut_ptr(), count) };
    elements
}

/// The sums of the lanes of four registers.
#[inline(always)]
unsafe fn totals(sums: [__m256i; 4]) -> [i32; 4] {
    // SAFETY: the caller vouches for the instruction set; a register has the bytes of four sums.
    unsafe {
        let pairs = [_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3])];
        let fours = _mm256_hadd_epi32(pairs[0], pairs[1]);
        let all = _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256::<1>(fours));
        std::mem::transmute::<__m128i, [i32; 4]>(all)
    }
}

/// The sum of the halves of a register.
#[inline(always)]
unsafe fn halves(x: __m512i) -> __m256i {
    // SAFETY: the caller vouches for the instruction set.
    unsafe { _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64::<1>(x)) }
}

/// A mask of the first `count` bytes.
#[inline(always)]
fn first(count: usize) -> u64 {
    u64::MAX >> (64 - count)
}

macro_rules! along {
    ($name:ident in $register:ty: $bytes:literal bytes raised by $raised:literal,
     zero $zero:expr, left $left:expr, right $right:expr, add $add:expr, total $total:expr) => {
        impl Along for $name {
            const BYTES: usize = $bytes;
            const RAISED: i32 = $raised;
            type Operand = $register;
            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: the type is named only in kernels of a plan, whose `Isa` proves that the CPU has the
                // instructions.
                $name(unsafe { $zero() })
            }
            #[inline(always)]
            unsafe fn left(p: *const i8, count: usize) -> $register {
                // SAFETY: as in `zero`; the caller's promise.
                unsafe { $left(p, count) }
            }
            #[inline(always)]
            unsafe fn right(p: *const i8, count: usize) -> $register {
                // SAFETY: as in `zero`; the caller's promise.
                unsafe { $right(p, count) }
            }
            #[inline(always)]
            fn add(self, left: $register, right: $register) -> Self {
                // SAFETY: as in `zero`.
                $name(unsafe { $add(self.0, left, right) })
            }
            #[inline(always)]
            fn totals(sums: [Self; 4]) -> [i32; 4] {
                // SAFETY: as in `zero`.
                unsafe {
                    totals([$total(sums[0].0), $total(sums[1].0), $total(sums[2].0), $total(sums[3].0)])
                }
            }
        }
    };
}

along!(Pairs256 in __m256i: 16 bytes raised by 0, zero _mm256_setzero_si256, left words256, right words256,
    add |sum, x, y| _mm256_add_epi32(sum, _mm256_madd_epi16(x, y)), total |x| x);
along!(Pairs512 in __m512i: 32 bytes raised by 0, zero _mm512_setzero_si512, left words512, right words512,
    add |sum, x, y| _mm512_add_epi32(sum, _mm512_madd_epi16(x, y)), total halves);
along!(Quads256 in __m256i: 32 bytes raised by 128, zero _mm256_setzero_si256, left bytes256, right
    |p, count| _mm256_xor_si256(bytes256(p, count), _mm256_set1_epi8(-128)),
    add |sum, x, y| _mm256_dpbusd_avx_epi32(sum, y, x), total |x| x);
#[cfg(test)]
along!(EncodedQuads256 in __m256i: 32 bytes raised by 128, zero _mm256_setzero_si256, left bytes256, right
    |p, count| _mm256_xor_si256(bytes256(p, count), _mm256_set1_epi8(-128)),
    add |sum, x, y| _mm256_dpbusd_epi32(sum, y, x), total |x| x);
along!(Quads512 in __m512i: 64 bytes raised by 128, zero _mm512_setzero_si512, left bytes512, right
    |p, count| _mm512_xor_si512(bytes512(p, count), _mm512_set1_epi8(-128)),
    add |sum, x, y| _mm512_dpbusd_epi32(sum, y, x), total halves);

#[inline(always)]
unsafe fn words256(p: *const i8, count: usize) -> __m256i {
    // SAFETY: as for [`Along::left`].
    unsafe {
        match count {
            16 => _mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast())),
            _ => _mm256_cvtepi8_epi16(_mm_loadu_si128(part::<16>(p, count).as_ptr().cast())),
        }
    }
}

#[inline(always)]
unsafe fn words512(p: *const i8, count: usize) -> __m512i {
    // SAFETY: as for [`Along::left`].
    unsafe { _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(first(count) as __mmask32, p)) }
}

#[inline(always)]
unsafe fn bytes256(p: *const i8, count: usize) -> __m256i {
    // SAFETY: as for [`Along::left`].
    unsafe {
        match count {
            32 => _mm256_loadu_si256(p.cast()),
            _ => _mm256_loadu_si256(part::<32>(p, count).as_ptr().cast()),
        }
    }
}

#[inline(always)]
unsafe fn bytes512(p: *const i8, count: usize) -> __m512i {
    // SAFETY: as for [`Along::left`].
    unsafe { _mm512_maskz_loadu_epi8(first(count), p) }
}

/// [`few`], compiled for AVX2.
///
/// # Safety
/// As for [`few`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn avx2(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<Pairs256, 2>(plan, part) }
}

/// [`few`], compiled for AVX2 with AVX-VNNI.
///
/// # Safety
/// As for [`few`].
#[target_feature(enable = "avx2,avxvnni,fma,f16c")]
pub(super) unsafe fn avx_vnni(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<Quads256, 2>(plan, part) }
}

/// [`few`], compiled for AVX-512.
///
/// # Safety
/// As for [`few`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(super) unsafe fn avx512(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<Pairs512, 4>(plan, part) }
}

/// [`few`], compiled for AVX-512 with VNNI.
///
/// # Safety
/// As for [`few`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn avx512_vnni(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<Quads512, 4>(plan, part) }
}

/// The kernel of AVX-VNNI, by instructions that CPUs with AVX-512 have.
///
/// # Safety
/// As for [`few`].
#[cfg(test)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(in crate::gemm) unsafe fn encoded_avx_vnni(plan: &Blocking, part: &Part) {
    // SAFETY: the caller's promise.
    unsafe { few::<EncodedQuads256, 2>(plan, part) }
}
