//! The check for values that are not finite: all bits of the exponent set.

use ironlearn_ir::DType;

/// True where any of `n` elements is infinite or NaN. Integers and truth values never are.
pub fn any_not_finite(dtype: DType, data: *const u8, n: usize) -> bool {
    match dtype {
        DType::F32 => any::<u32>(data, n, |x| x & 0x7f80_0000 == 0x7f80_0000),
        DType::C64 => any::<u32>(data, 2 * n, |x| x & 0x7f80_0000 == 0x7f80_0000),
        DType::F64 => any::<u64>(data, n, |x| x & 0x7ff0_0000_0000_0000 == 0x7ff0_0000_0000_0000),
        DType::C128 => any::<u64>(data, 2 * n, |x| x & 0x7ff0_0000_0000_0000 == 0x7ff0_0000_0000_0000),
        DType::F16 => any::<u16>(data, n, |x| x & 0x7c00 == 0x7c00),
        DType::Bf16 => any::<u16>(data, n, |x| x & 0x7f80 == 0x7f80),
        _ => false,
    }
}

#[inline(always)]
fn any<T: Copy>(data: *const u8, n: usize, bad: impl Fn(T) -> bool) -> bool {
    // SAFETY: the caller gives `n` initialised elements of this size, aligned to it.
    let values = unsafe { std::slice::from_raw_parts(data.cast::<T>(), n) };
    values.iter().fold(false, |found, &x| found | bad(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_and_nan_are_found_wherever_they_are() {
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for at in 0..40 {
                let mut x = [f32::MAX; 40];
                assert!(!any_not_finite(DType::F32, x.as_ptr().cast(), 40));
                x[at] = bad;
                assert!(any_not_finite(DType::F32, x.as_ptr().cast(), 40));
            }
        }
    }
}
