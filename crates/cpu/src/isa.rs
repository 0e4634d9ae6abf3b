//! Instruction sets, chosen at run time, and the dispatch of kernels to them.
//!
//! ```
//! use ironlearn_cpu::isa::{Isa, Kernel};
//! use ironlearn_ir::lanes::FloatLanes;
//!
//! struct Double<'a>(&'a mut [f32]);
//!
//! impl Kernel for Double<'_> {
//!     type Out = ();
//!     #[inline(always)]
//!     fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
//!         let mut chunks = self.0.chunks_exact_mut(F32::WIDTH);
//!         for x in &mut chunks {
//!             let lanes = F32::load(x);
//!             (lanes + lanes).store(x);
//!         }
//!         for x in chunks.into_remainder() {
//!             *x += *x;
//!         }
//!     }
//! }
//!
//! let mut x = [1.0; 37];
//! Isa::detect().run(Double(&mut x));
//! assert_eq!(x, [2.0; 37]);
//! ```

use ironlearn_ir::lanes::FloatLanes;
use std::fmt;

#[cfg(target_arch = "aarch64")]
use crate::simd::neon::{F32x4, F64x2};
#[cfg(target_arch = "x86_64")]
use crate::simd::{
    avx2::{F32x8, F64x4},
    avx512::{F32x16, F64x8},
};

/// The environment variable that [`Isa::from_env`] reads.
pub const ISA_VARIABLE: &str = "IRONLEARN_ISA";

/// The instruction sets that kernels are compiled for, from the narrowest to the widest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// One element at a time, with the features of the target alone.
    Scalar,
    /// Every AArch64 CPU: 4 `f32` or 2 `f64`.
    Neon,
    /// AVX2, FMA and F16C: 8 `f32` or 4 `f64`.
    Avx2,
    /// AVX-512 F, BW, DQ and VL besides what [`Level::Avx2`] has: 16 `f32` or 8 `f64`.
    Avx512,
}

impl Level {
    const ALL: [Level; 4] = [Level::Scalar, Level::Neon, Level::Avx2, Level::Avx512];

    /// `scalar`, `neon`, `avx2` or `avx512`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    fn on_this_cpu(self) -> bool {
        match self {
            Level::Scalar => true,
            Level::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2.on_this_cpu()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Level::Avx2 | Level::Avx512 => false,
        }
    }
}

/// An instruction set that this CPU has: a value of this type is the proof.
///
/// Beside its level it may have dot products of pairs, which change the speed of some matrix products, but no bit of
/// their results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isa {
    level: Level,
    vnni: bool,
    bf16: bool,
}

/// The name by which `IRONLEARN_ISA` asks for AVX-512 without VNNI and BF16.
const PLAIN_AVX512: &str = "avx512f";

impl Isa {
    /// One element at a time: what every CPU has.
    pub const SCALAR: Isa = Isa::plain(Level::Scalar);

    const fn plain(level: Level) -> Isa {
        Isa { level, vnni: false, bf16: false }
    }

    /// A level of this CPU with the dot products that this CPU has.
    fn whole(level: Level) -> Isa {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            let (vnni, bf16) =
                (is_x86_feature_detected!("avx512vnni"), is_x86_feature_detected!("avx512bf16"));
            return Isa { level, vnni, bf16 };
        }
        Isa::plain(level)
    }

    /// The widest instruction set of this CPU.
    pub fn detect() -> Isa {
        let widest = Level::ALL.into_iter().rev().find(|level| level.on_this_cpu());
        Isa::whole(widest.unwrap_or(Level::Scalar))
    }

    /// Every instruction set of this CPU, the scalar one first and the widest last; those with dot products after
    /// the same without.
    pub fn available() -> Vec<Isa> {
        let levels = Level::ALL.into_iter().filter(|level| level.on_this_cpu());
        let mut all: Vec<Isa> = levels.flat_map(|level| [Isa::plain(level), Isa::whole(level)]).collect();
        all.dedup();
        all
    }

    /// The instruction set named by the environment variable `IRONLEARN_ISA` (`scalar`, `neon`, `avx2`,
    /// `avx512`, or `avx512f` for AVX-512 without VNNI and BF16), or the widest one where it is unset or empty.
    ///
    /// # Errors
    /// Where the name is unknown, or the CPU has no such instruction set.
    pub fn from_env() -> Result<Isa, String> {
        match std::env::var_os(ISA_VARIABLE) {
            None => Ok(Isa::detect()),
            Some(name) if name.is_empty() => Ok(Isa::detect()),
            Some(name) => Isa::named(&name.to_string_lossy()),
        }
    }

    fn named(name: &str) -> Result<Isa, String> {
        let wanted = if name == PLAIN_AVX512 { Level::Avx512.name() } else { name };
        let level = Level::ALL.into_iter().find(|level| level.name() == wanted);
        let what = match level {
            Some(level) if level.on_this_cpu() && name == PLAIN_AVX512 => return Ok(Isa::plain(level)),
            Some(level) if level.on_this_cpu() => return Ok(Isa::whole(level)),
            Some(_) => "this CPU has no such instruction set",
            None => "there is no instruction set of that name",
        };
        let available = Level::ALL.into_iter().filter(|level| level.on_this_cpu());
        let names = available.map(Level::name).collect::<Vec<_>>().join(", ");
        Err(format!("{ISA_VARIABLE}={name}: {what}; unset it or choose one of: {names}"))
    }

    /// Which level this is.
    pub fn level(self) -> Level {
        self.level
    }

    /// Bytes of its vectors; 1 where there are none.
    pub fn vector_bytes(self) -> usize {
        match self.level {
            Level::Scalar => 1,
            Level::Neon => 16,
            Level::Avx2 => 32,
            Level::Avx512 => 64,
        }
    }

    /// It has the dot products of AVX-512 VNNI.
    pub fn has_vnni(self) -> bool {
        self.vnni
    }

    /// It has the dot products of AVX-512 BF16.
    pub fn has_bf16(self) -> bool {
        self.bf16
    }

    /// The name of its level, `scalar`, `neon`, `avx2` or `avx512`: dot products change no bits.
    pub fn name(self) -> &'static str {
        self.level.name()
    }

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

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.level == Level::Avx512 && !self.vnni && !self.bf16;
        f.write_str(if plain { PLAIN_AVX512 } else { self.name() })
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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

    #[test]
    fn names_that_cannot_be_had_are_errors() {
        assert_eq!(Isa::named("scalar"), Ok(Isa::SCALAR));
        assert_eq!(Isa::named(Isa::detect().name()), Ok(Isa::detect()));
        assert!(
            Isa::named(PLAIN_AVX512).is_ok_and(|isa| !isa.has_vnni() && !isa.has_bf16())
                == Level::Avx512.on_this_cpu()
        );
        let unknown = Isa::named("sse9").expect_err("no such set");
        assert!(unknown.contains("sse9") && unknown.contains("of that name"), "{unknown}");
        for level in Level::ALL.into_iter().filter(|level| !level.on_this_cpu()) {
            let missing = Isa::named(level.name()).expect_err("not on this CPU");
            assert!(missing.contains("this CPU has no") && missing.contains("scalar"), "{missing}");
        }
    }
}
