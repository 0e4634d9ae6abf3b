//! Whether this CPU, and the system that runs here, offer AMX.
//!
//! Tiles of bytes are 8 KiB of state a thread, which Linux saves only for processes that have asked for it.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};
use std::sync::OnceLock;

/// The system call `arch_prctl`, what is asked of it, and for what: XTILEDATA.
const ARCH_PRCTL: i64 = 158;
const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
const XTILEDATA: i64 = 18;

/// True where the CPU has tiles of bytes, the system saves them, and this process may use them.
///
/// The permission is asked for once. It holds for the whole process: threads that begin later have it from the first
/// instruction.
pub(super) fn on_this_cpu() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| cfg!(target_os = "linux") && of_the_cpu() && of_the_system() && permitted())
}

/// AMX-TILE and AMX-INT8.
fn of_the_cpu() -> bool {
    cpuid(0).eax >= 7 && cpuid(7).edx >> 24 & 3 == 3
}

/// The system has switched on the state of tiles.
fn of_the_system() -> bool {
    let saves = cpuid(1).ecx & (1 << 27) != 0;
    // SAFETY: the system uses XSAVE, so that the register can be read.
    saves && unsafe { extended_states() } >> 17 & 3 == 3
}

fn cpuid(leaf: u32) -> CpuidResult {
    // SAFETY: every CPU of 64 bits has the instruction. Newer compilers know.
    #[allow(unused_unsafe)]
    unsafe {
        __cpuid_count(leaf, 0)
    }
}

/// The states that the system saves.
#[target_feature(enable = "xsave")]
fn extended_states() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}

/// Linux lets this process use tiles.
fn permitted() -> bool {
    let result: i64;
    // SAFETY: the call changes nothing but what the process may do; it writes the registers that are named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}
