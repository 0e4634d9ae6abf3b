//! [`Ints`]: vectors of `i32`, for chains of integer instructions that stay in registers.

/// `WIDTH` whole numbers of 32 bits; narrower ones are widened where they are loaded.
pub trait Ints: Copy {
    /// The number of lanes.
    const WIDTH: usize;
    /// The same number in every lane.
    fn splat(x: i32) -> Self;
    /// `WIDTH` numbers.
    ///
    /// # Safety
    /// There are as many behind the pointer.
    unsafe fn load_i32(src: *const i32) -> Self;
    /// As [`Ints::load_i32`].
    ///
    /// # Safety
    /// As there.
    unsafe fn load_i16(src: *const i16) -> Self;
    /// As [`Ints::load_i32`].
    ///
    /// # Safety
    /// As there.
    unsafe fn load_i8(src: *const i8) -> Self;
    /// As [`Ints::load_i32`].
    ///
    /// # Safety
    /// As there.
    unsafe fn load_u8(src: *const u8) -> Self;
    /// Writes the lanes, saturated as in all that follow.
    ///
    /// # Safety
    /// There is room for `WIDTH` numbers.
    unsafe fn store_i32(self, dst: *mut i32);
    /// As [`Ints::store_i32`].
    ///
    /// # Safety
    /// As there.
    unsafe fn store_i16(self, dst: *mut i16);
    /// As [`Ints::store_i32`].
    ///
    /// # Safety
    /// As there.
    unsafe fn store_i8(self, dst: *mut i8);
    /// As [`Ints::store_i32`].
    ///
    /// # Safety
    /// As there.
    unsafe fn store_u8(self, dst: *mut u8);
    /// `self + b`, wrapping as all that follow.
    fn plus(self, b: Self) -> Self;
    /// `self − b`
    fn minus(self, b: Self) -> Self;
    /// `self · b`
    fn times(self, b: Self) -> Self;
    /// Bitwise and.
    fn and(self, b: Self) -> Self;
    /// Bitwise or.
    fn or(self, b: Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(self, b: Self) -> Self;
    /// The larger one.
    fn larger(self, b: Self) -> Self;
    /// The smaller one.
    fn smaller(self, b: Self) -> Self;
    /// The smaller one of numbers without a sign.
    fn smaller_unsigned(self, b: Self) -> Self;
    /// Shift left; 0 where `b` is not in 0..32.
    fn shift_left(self, b: Self) -> Self;
    /// Arithmetic shift right; all bits the sign where `b` is not in 0..32.
    fn shift_right(self, b: Self) -> Self;
    /// Logical shift right; 0 where `b` is not in 0..32.
    fn shift_right_unsigned(self, b: Self) -> Self;
    /// The magnitude.
    fn magnitude(self) -> Self;
}

/// Loads and stores of one number.
macro_rules! one_number {
    ($($load:ident $store:ident $t:ty),*) => {$(
        #[inline(always)]
        unsafe fn $load(src: *const $t) -> i32 {
            // SAFETY: as the caller promises.
            unsafe { src.read().into() }
        }
        #[inline(always)]
        unsafe fn $store(self, dst: *mut $t) {
            // SAFETY: as the caller promises.
            unsafe { dst.write(self.clamp(<$t>::MIN.into(), <$t>::MAX.into()) as $t) }
        }
    )*};
}
/// One number at a time: what is left at the end of vectors.
impl Ints for i32 {
    const WIDTH: usize = 1;
    #[inline(always)]
    fn splat(x: i32) -> i32 {
        x
    }
    one_number! { load_i32 store_i32 i32, load_i16 store_i16 i16, load_i8 store_i8 i8, load_u8 store_u8 u8 }
    #[inline(always)]
    fn plus(self, b: i32) -> i32 {
        self.wrapping_add(b)
    }
    #[inline(always)]
    fn minus(self, b: i32) -> i32 {
        self.wrapping_sub(b)
    }
    #[inline(always)]
    fn times(self, b: i32) -> i32 {
        self.wrapping_mul(b)
    }
    #[inline(always)]
    fn and(self, b: i32) -> i32 {
        self & b
    }
    #[inline(always)]
    fn or(self, b: i32) -> i32 {
        self | b
    }
    #[inline(always)]
    fn xor(self, b: i32) -> i32 {
        self ^ b
    }
    #[inline(always)]
    fn larger(self, b: i32) -> i32 {
        self.max(b)
    }
    #[inline(always)]
    fn smaller(self, b: i32) -> i32 {
        self.min(b)
    }
    #[inline(always)]
    fn smaller_unsigned(self, b: i32) -> i32 {
        (self as u32).min(b as u32) as i32
    }
    #[inline(always)]
    fn shift_left(self, b: i32) -> i32 {
        self.checked_shl(b as u32).unwrap_or(0)
    }
    #[inline(always)]
    fn shift_right(self, b: i32) -> i32 {
        self >> (b as u32).min(31)
    }
    #[inline(always)]
    fn shift_right_unsigned(self, b: i32) -> i32 {
        (self as u32).checked_shr(b as u32).unwrap_or(0) as i32
    }
    #[inline(always)]
    fn magnitude(self) -> i32 {
        self.wrapping_abs()
    }
}

/// Declares one vector type and implements [`Ints`] for it with the given intrinsics.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! int_vector {
    (
        $(#[$doc:meta])*
        $name:ident: $width:literal in $register:ty;
        splat: $splat:expr, magnitude: $magnitude:expr,
        loads: $($load:ident $source:ty: $load_by:expr),*;
        stores: $($store:ident $target:ty: $store_by:expr),*;
        $($method:ident: $by:expr),* $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name($register);

        impl $crate::simd::ints::Ints for $name {
            const WIDTH: usize = $width;
            #[inline(always)]
            fn splat(x: i32) -> Self {
                // SAFETY: named only by `Isa::entry_of_ints`, so the CPU has the instructions.
                Self(unsafe { $splat(x) })
            }
            $(#[inline(always)]
            unsafe fn $load(src: *const $source) -> Self {
                // SAFETY: as in `splat`, and as the caller promises.
                Self(unsafe { $load_by(src) })
            })*
            $(#[inline(always)]
            unsafe fn $store(self, dst: *mut $target) {
                // SAFETY: as in `splat`, and as the caller promises.
                unsafe { $store_by(dst, self.0) }
            })*
            $(#[inline(always)]
            fn $method(self, b: Self) -> Self {
                // SAFETY: a value of this type proves that the CPU has the instructions.
                Self(unsafe { $by(self.0, b.0) })
            })*
            #[inline(always)]
            fn magnitude(self) -> Self {
                // SAFETY: as in `plus`.
                Self(unsafe { $magnitude(self.0) })
            }
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use int_vector;
