//! Vectors of floats that implement [`ironlearn_ir::lanes`] for each instruction set.
//!
//! A value of one of these types exists only on a CPU that has its instruction set: only [`crate::isa::Isa`]
//! names the types to the code that makes them. Most loops over integers need no types of their own:
//! those over scalar lanes are vectorised by the compiler where [`crate::isa::Isa::run`] compiles them. [`ints`] are
//! for loops that keep several vectors in registers while they look at what to do next.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod ints;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

/// Declares one vector type and implements the traits of lanes for it with the given intrinsics.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! float_vector {
    (
        $(#[$doc:meta])*
        $name:ident: $elem:ident x $width:literal in $register:ty, masks $mask:ty, digits $digits:literal;
        splat: $splat:expr, load: $load:expr, store: $store:expr,
        load_part: $load_part:expr, store_part: $store_part:expr,
        load_mask: $load_mask:expr, store_mask: $store_mask:expr, select: $select:expr, any: $any:expr,
        add: $add:expr, sub: $sub:expr, mul: $mul:expr, div: $div:expr, neg: $neg:expr,
        equal: $equal:expr, less: $less:expr, max: $max:expr, min: $min:expr,
        abs: $abs:expr, copysign: $copysign:expr, fma: $fma:expr, sqrt: $sqrt:expr,
        floor: $floor:expr, round: $round:expr, exp2_int: $exp2_int:expr, split: $split:expr $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name(pub(crate) $register);

        impl $name {
            #[inline(always)]
            fn to_array(self) -> [$elem; $width] {
                let mut lanes = [0.0; $width];
                self.store(&mut lanes);
                lanes
            }
        }

        impl ironlearn_ir::lanes::Lanes for $name {
            type Elem = $elem;
            type Mask = $mask;
            const WIDTH: usize = $width;
            #[inline(always)]
            fn splat(x: $elem) -> Self {
                // SAFETY: named only under `Isa::run`, so the CPU has the instructions.
                Self(unsafe { $splat(x) })
            }
            #[inline(always)]
            fn load(src: &[$elem]) -> Self {
                assert!(src.len() >= $width);
                // SAFETY: as in `splat`; the slice was checked to hold the lanes; no alignment is needed.
                Self(unsafe { $load(src.as_ptr()) })
            }
            #[inline(always)]
            fn store(self, dst: &mut [$elem]) {
                assert!(dst.len() >= $width);
                // SAFETY: as in `load`.
                unsafe { $store(dst.as_mut_ptr(), self.0) }
            }
            #[inline(always)]
            fn load_part(src: &[$elem]) -> Self {
                assert!(src.len() <= $width);
                // SAFETY: as in `splat`; only the elements of the slice are read.
                Self(unsafe { $load_part(src.as_ptr(), src.len()) })
            }
            #[inline(always)]
            fn store_part(self, dst: &mut [$elem]) {
                assert!(dst.len() <= $width);
                // SAFETY: as in `splat`; only the elements of the slice are written.
                unsafe { $store_part(dst.as_mut_ptr(), dst.len(), self.0) }
            }
            #[inline(always)]
            fn load_mask(src: &[bool]) -> $mask {
                assert!(src.len() >= $width);
                // SAFETY: as in `load`; a `bool` may be read as a `u8`.
                unsafe { $load_mask(src.as_ptr().cast()) }
            }
            #[inline(always)]
            fn store_mask(mask: $mask, dst: &mut [bool]) {
                assert!(dst.len() >= $width);
                // SAFETY: as in `load`; only the bytes 0 and 1 are written.
                unsafe { $store_mask(dst.as_mut_ptr().cast(), mask) }
            }
            #[inline(always)]
            fn select(mask: $mask, a: Self, b: Self) -> Self {
                // SAFETY: a value of this type proves that the CPU has the instructions.
                Self(unsafe { $select(mask, a.0, b.0) })
            }
        }

        impl ironlearn_ir::lanes::NumLanes for $name {
            #[inline(always)]
            fn plus(self, b: Self) -> Self {
                // SAFETY: a value of this type proves that the CPU has the instructions.
                Self(unsafe { $add(self.0, b.0) })
            }
            #[inline(always)]
            fn minus(self, b: Self) -> Self {
                // SAFETY: as in `plus`.
                Self(unsafe { $sub(self.0, b.0) })
            }
            #[inline(always)]
            fn times(self, b: Self) -> Self {
                // SAFETY: as in `plus`.
                Self(unsafe { $mul(self.0, b.0) })
            }
            #[inline(always)]
            fn over(self, b: Self) -> Self {
                // SAFETY: as in `plus`.
                Self(unsafe { $div(self.0, b.0) })
            }
            #[inline(always)]
            fn negated(self) -> Self {
                // SAFETY: as in `plus`.
                Self(unsafe { $neg(self.0) })
            }
            #[inline(always)]
            fn equal(self, b: Self) -> $mask {
                // SAFETY: as in `plus`.
                unsafe { $equal(self.0, b.0) }
            }
        }

        impl ironlearn_ir::lanes::OrdLanes for $name {
            #[inline(always)]
            fn less(self, b: Self) -> $mask {
                // SAFETY: a value of this type proves that the CPU has the instructions.
                unsafe { $less(self.0, b.0) }
            }
            #[inline(always)]
            fn raw_max(self, b: Self) -> Self {
                // SAFETY: as in `less`.
                Self(unsafe { $max(self.0, b.0) })
            }
            #[inline(always)]
            fn raw_min(self, b: Self) -> Self {
                // SAFETY: as in `less`.
                Self(unsafe { $min(self.0, b.0) })
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                // SAFETY: as in `less`.
                Self(unsafe { $abs(self.0) })
            }
            #[inline(always)]
            fn remainder(self, b: Self) -> Self {
                let (mut x, y) = (self.to_array(), b.to_array());
                for (x, y) in x.iter_mut().zip(y) {
                    *x %= y;
                }
                Self::load(&x)
            }
        }

        impl ironlearn_ir::lanes::FloatLanes for $name {
            const DIGITS: u32 = $digits;
            #[inline(always)]
            fn of(x: f64) -> Self {
                Self::splat(x as $elem)
            }
            #[inline(always)]
            fn fma(self, b: Self, c: Self) -> Self {
                // SAFETY: a value of this type proves that the CPU has the instructions.
                Self(unsafe { $fma(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn root(self) -> Self {
                // SAFETY: as in `fma`.
                Self(unsafe { $sqrt(self.0) })
            }
            #[inline(always)]
            fn floored(self) -> Self {
                // SAFETY: as in `fma`.
                Self(unsafe { $floor(self.0) })
            }
            #[inline(always)]
            fn rounded(self) -> Self {
                // SAFETY: as in `fma`.
                Self(unsafe { $round(self.0) })
            }
            #[inline(always)]
            fn with_sign(self, sign: Self) -> Self {
                // SAFETY: as in `fma`.
                Self(unsafe { $copysign(self.0, sign.0) })
            }
            #[inline(always)]
            fn exp2_int(self) -> Self {
                // SAFETY: as in `fma`.
                Self(unsafe { $exp2_int(self.0) })
            }
            #[inline(always)]
            fn split(self) -> (Self, Self) {
                // SAFETY: as in `fma`.
                let (significand, exponent) = unsafe { $split(self.0) };
                (Self(significand), Self(exponent))
            }
            #[inline(always)]
            fn each(self, f: impl Fn($elem) -> $elem) -> Self {
                let mut lanes = self.to_array();
                for x in &mut lanes {
                    *x = f(*x);
                }
                Self::load(&lanes)
            }
            #[inline(always)]
            fn any(mask: $mask) -> bool {
                // SAFETY: masks come from values of this type, see `fma`.
                unsafe { $any(mask) }
            }
        }

        float_vector!(@operators $name, Add add plus, Sub sub minus, Mul mul times, Div div over);

        impl std::ops::Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.negated()
            }
        }
    };
    (@operators $name:ident, $($operator:ident $method:ident $lanes:ident),*) => {$(
        impl std::ops::$operator for $name {
            type Output = Self;
            #[inline(always)]
            fn $method(self, b: Self) -> Self {
                self.$lanes(b)
            }
        }
    )*};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use float_vector;
