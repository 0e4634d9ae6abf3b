//! Denormal numbers as zeros, for speed, while a plan runs.

/// While this lives, the thread takes denormal inputs as zeros and flushes denormal results to zeros. The
/// mode that the thread had before comes back when it is dropped.
///
/// Does nothing on architectures other than x86-64 and AArch64.
#[must_use = "the mode ends when the guard is dropped"]
pub struct FlushDenormals {
    before: Mode,
    /// The mode belongs to a thread: the guard must not travel to another one.
    _thread: std::marker::PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Switches the mode on for the current thread.
    pub fn enter() -> FlushDenormals {
        let before = Mode::read();
        before.flushing().write();
        FlushDenormals { before, _thread: std::marker::PhantomData }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        self.before.write();
    }
}

/// MXCSR: bit 15 flushes results, bit 6 takes inputs as zeros. The low six bits are flags that record what
/// has happened; they are written back as they were, too.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[derive(Clone, Copy)]
struct Mode(u32);

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl Mode {
    fn read() -> Mode {
        let mut bits = 0_u32;
        // SAFETY: stores four bytes to a live local; every x86-64 CPU has SSE.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut bits, options(nostack, preserves_flags)) };
        Mode(bits)
    }

    fn flushing(self) -> Mode {
        Mode(self.0 | (1 << 15) | (1 << 6))
    }

    fn write(self) {
        // SAFETY: loads four bytes of a live local, whose bits come from `read` with defined ones added.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &self.0, options(nostack, preserves_flags)) };
    }
}

/// FPCR: bit 24 flushes inputs and results.
#[cfg(all(target_arch = "aarch64", not(miri)))]
#[derive(Clone, Copy)]
struct Mode(u64);

#[cfg(all(target_arch = "aarch64", not(miri)))]
impl Mode {
    fn read() -> Mode {
        let bits: u64;
        // SAFETY: reads a register of the thread.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) bits, options(nomem, nostack, preserves_flags)) };
        Mode(bits)
    }

    fn flushing(self) -> Mode {
        Mode(self.0 | (1 << 24))
    }

    fn write(self) {
        // SAFETY: sets a register of the thread to bits from `read` with a defined one added.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) self.0, options(nostack, preserves_flags)) };
    }
}

/// Miri runs no assembly, and keeps denormals.
#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[derive(Clone, Copy)]
struct Mode;

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
impl Mode {
    fn read() -> Mode {
        Mode
    }

    fn flushing(self) -> Mode {
        self
    }

    fn write(self) {}
}

#[cfg(all(test, not(miri), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn flushes_while_it_lives_and_restores_the_mode() {
        let halves = || (black_box(f32::MIN_POSITIVE) * 0.5, black_box(f64::MIN_POSITIVE) * 0.5);
        let denormal = f32::from_bits(1 << 20);
        let scaled = || black_box(denormal) * black_box(1e30);
        assert!(halves().0 > 0.0 && halves().1 > 0.0 && scaled() > 0.0);
        {
            let _outer = FlushDenormals::enter();
            assert_eq!((halves(), scaled()), ((0.0, 0.0), 0.0));
            drop(FlushDenormals::enter());
            assert_eq!((halves(), scaled()), ((0.0, 0.0), 0.0));
        }
        assert!(halves().0 > 0.0 && halves().1 > 0.0 && scaled() > 0.0);
    }
}
