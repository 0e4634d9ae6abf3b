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

#[cfg(target_arch = "x86_64")]
mod amx;
mod entry;

pub(crate) use entry::IntRoutine;
pub use entry::{Entry, Kernel, Routine};
use std::fmt;

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
/// Beside its level it may have dot products of pairs or of bytes, which change the speed of some matrix products, but
/// no bit of their results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isa {
    level: Level,
    bytes: bool,
    bf16: bool,
    tiles: bool,
}

/// The names by which `IRONLEARN_ISA` asks for an instruction set, each with its level and the dot products that it
/// must have.
const NAMES: [(&str, Level, Dots); 8] = [
    ("scalar", Level::Scalar, Dots::None),
    ("neon", Level::Neon, Dots::None),
    ("dotprod", Level::Neon, Dots::Bytes),
    ("avx2", Level::Avx2, Dots::None),
    ("avxvnni", Level::Avx2, Dots::Bytes),
    ("avx512f", Level::Avx512, Dots::None),
    ("avx512", Level::Avx512, Dots::Any),
    ("amx", Level::Avx512, Dots::Tiles),
];

/// Which dot products a name asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dots {
    None,
    /// Those that the CPU has, but for tiles.
    Any,
    Bytes,
    Tiles,
}

impl Isa {
    /// One element at a time: what every CPU has.
    pub const SCALAR: Isa = Isa::plain(Level::Scalar);

    const fn plain(level: Level) -> Isa {
        Isa { level, bytes: false, bf16: false, tiles: false }
    }

    /// A level of this CPU with the dot products that this CPU has, but for tiles.
    fn dots(level: Level) -> Isa {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Isa {
                bytes: is_x86_feature_detected!("avx512vnni"),
                bf16: is_x86_feature_detected!("avx512bf16"),
                ..Isa::plain(level)
            },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Isa { bytes: is_x86_feature_detected!("avxvnni"), ..Isa::plain(level) },
            #[cfg(target_arch = "aarch64")]
            Level::Neon => {
                Isa { bytes: std::arch::is_aarch64_feature_detected!("dotprod"), ..Isa::plain(level) }
            }
            _ => Isa::plain(level),
        }
    }

    /// A level of this CPU with all that this CPU has.
    fn whole(level: Level) -> Isa {
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 {
            return Isa { tiles: amx::on_this_cpu(), ..Isa::dots(level) };
        }
        Isa::dots(level)
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
        let all = |level| [Isa::plain(level), Isa::dots(level), Isa::whole(level)];
        let mut all: Vec<Isa> = levels.flat_map(all).collect();
        all.dedup();
        all
    }

    /// The instruction set named by the environment variable `IRONLEARN_ISA`, or the widest one where it is unset or
    /// empty: `scalar`, `neon`, `avx2`, `avx512f` without dot products, `dotprod` and `avxvnni` with those of bytes,
    /// `avx512` with VNNI and BF16 where the CPU has them, `amx` with tiles too.
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
        let what = match NAMES.iter().find(|known| known.0 == name) {
            Some(&(_, level, dots)) => match Isa::with(level, dots) {
                Some(isa) => return Ok(isa),
                None => "this CPU has no such instruction set",
            },
            None => "there is no instruction set of that name",
        };
        let available = NAMES.iter().filter(|&&(_, level, dots)| Isa::with(level, dots).is_some());
        let names = available.map(|known| known.0).collect::<Vec<_>>().join(", ");
        Err(format!("{ISA_VARIABLE}={name}: {what}; unset it or choose one of: {names}"))
    }

    /// The names that this CPU has no instruction set for.
    #[cfg(test)]
    pub(crate) fn missing() -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(|&&(_, level, dots)| Isa::with(level, dots).is_none()).map(|known| known.0)
    }

    /// A level with some dot products, where this CPU has them.
    fn with(level: Level, dots: Dots) -> Option<Isa> {
        if !level.on_this_cpu() {
            return None;
        }
        match dots {
            Dots::None => Some(Isa::plain(level)),
            Dots::Any => Some(Isa::dots(level)),
            Dots::Bytes => Some(Isa::dots(level)).filter(|isa| isa.bytes),
            Dots::Tiles => Some(Isa::whole(level)).filter(|isa| isa.tiles),
        }
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

    /// It has dot products of bytes: those of AVX-512 VNNI, AVX-VNNI or NEON.
    pub fn has_byte_dots(self) -> bool {
        self.bytes
    }

    /// It has the products of tiles of bytes of AMX.
    pub fn has_tiles(self) -> bool {
        self.tiles
    }

    /// It has the dot products of AVX-512 BF16.
    pub fn has_bf16(self) -> bool {
        self.bf16
    }

    /// The name of its level, `scalar`, `neon`, `avx2` or `avx512`: dot products change no bits.
    pub fn name(self) -> &'static str {
        self.level.name()
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = *self == Isa::plain(self.level);
        let dots = match (plain, self.tiles) {
            (true, _) => Dots::None,
            (_, true) => Dots::Tiles,
            _ if self.level == Level::Avx512 => Dots::Any,
            _ => Dots::Bytes,
        };
        let name = NAMES.iter().find(|&&(_, level, known)| level == self.level && known == dots);
        f.write_str(name.map_or(self.name(), |known| known.0))
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_had_are_errors() {
        assert_eq!(Isa::named("scalar"), Ok(Isa::SCALAR));
        assert_eq!(Isa::named(Isa::detect().name()), Ok(Isa::detect()));
        let plain = |isa: Isa| !isa.has_byte_dots() && !isa.has_bf16() && !isa.has_tiles();
        assert!(Isa::named("avx512f").is_ok_and(plain) == Level::Avx512.on_this_cpu());
        for isa in Isa::available() {
            assert_eq!(Isa::named(&format!("{isa:?}")), Ok(isa));
        }
        let unknown = Isa::named("sse9").expect_err("no such set");
        assert!(unknown.contains("sse9") && unknown.contains("of that name"), "{unknown}");
        for name in Isa::missing() {
            let missing = Isa::named(name).expect_err("not on this CPU");
            assert!(missing.contains("this CPU has no") && missing.contains("scalar"), "{missing}");
        }
    }
}
