//! What is in compiled code: bytes, symbols of others, instructions that compute with floats. By `readelf` and
//! `objdump` of binutils.

use std::path::Path;
use std::process::{Command, Stdio};

/// A family of instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instructions {
    /// x86-64.
    X86,
    /// Thumb-2, with or without VFP.
    Arm,
    /// RISC-V.
    RiscV,
}

/// Symbols that integers need: memory is copied, filled and compared, and what a small machine cannot multiply,
/// divide or shift in one instruction is done by functions.
const INTEGER_SYMBOLS: &[&str] = &[
    "memcpy",
    "memset",
    "memmove",
    "memcmp",
    "bcmp",
    "__aeabi_memcpy",
    "__aeabi_memcpy4",
    "__aeabi_memcpy8",
    "__aeabi_memclr",
    "__aeabi_memclr4",
    "__aeabi_memclr8",
    "__aeabi_memset",
    "__aeabi_memset4",
    "__aeabi_memset8",
    "__aeabi_memmove",
    "__aeabi_memmove4",
    "__aeabi_lmul",
    "__aeabi_llsl",
    "__aeabi_llsr",
    "__aeabi_lasr",
    "__aeabi_uldivmod",
    "__aeabi_ldivmod",
    "__aeabi_uidiv",
    "__aeabi_uidivmod",
    "__aeabi_idiv",
    "__aeabi_idivmod",
    "__muldi3",
    "__udivdi3",
    "__divdi3",
    "__umoddi3",
    "__moddi3",
    "__ashldi3",
    "__lshrdi3",
    "__ashrdi3",
    "__clzsi2",
    "__clzdi2",
    "_GLOBAL_OFFSET_TABLE_",
    "__stack_chk_fail",
];

/// Whether a command can be run.
pub fn is_there(command: &str) -> bool {
    let mut command = Command::new(command);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a command to its end; gives what it wrote.
///
/// # Panics
/// Where it cannot be run, or fails.
pub fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn lines_of(command: &mut Command) -> Vec<String> {
    String::from_utf8_lossy(&output_of(command)).lines().map(str::to_owned).collect()
}

/// The bytes of all sections whose names begin so.
///
/// # Panics
/// Where there is no `readelf`, or the file is no object.
pub fn section_bytes(object: &Path, beginnings: &[&str]) -> usize {
    let lines = lines_of(Command::new("readelf").arg("-SW").arg(object));
    let bytes = |line: &String| {
        // `[ 1] .text PROGBITS 00000000 000034 000012 …`
        let fields: Vec<&str> = line.split_once(']')?.1.split_whitespace().collect();
        let counts =
            beginnings.iter().any(|begins| fields.first().is_some_and(|name| name.starts_with(begins)));
        counts.then(|| usize::from_str_radix(fields.get(4)?, 16).ok()).flatten()
    };
    lines.iter().filter_map(bytes).sum()
}

/// Symbols that an object takes from others, but for those that integers need.
///
/// # Panics
/// Where there is no `readelf`, or the file is no object.
pub fn foreign_symbols(object: &Path) -> Vec<String> {
    let lines = lines_of(Command::new("readelf").arg("-sW").arg(object));
    let undefined = |line: &String| {
        // `12: 00000000 0 NOTYPE GLOBAL DEFAULT UND memcpy`
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = *fields.get(7)?;
        (fields[6] == "UND" && !INTEGER_SYMBOLS.contains(&name)).then(|| name.to_owned())
    };
    lines.iter().filter_map(undefined).collect()
}

/// The lines of an object's listing that compute with floats; those that move and shuffle bits serve integers too.
///
/// # Panics
/// Where there is no such `objdump`, or the file is no object for it.
pub fn float_instructions(objdump: &str, instructions: Instructions, object: &Path) -> Vec<String> {
    let mut lines = lines_of(Command::new(objdump).arg("-d").arg(object));
    let mnemonic = |line: &str| {
        let code = line.split('\t').nth(2)?.split_whitespace().next()?;
        Some(code.to_owned())
    };
    lines.retain(|line| mnemonic(line).is_some_and(|name| computes_with_floats(instructions, &name)));
    lines
}

fn computes_with_floats(instructions: Instructions, name: &str) -> bool {
    match instructions {
        Instructions::X86 => {
            let name = name.strip_prefix('v').unwrap_or(name);
            let verbs = [
                "add", "sub", "mul", "div", "sqrt", "min", "max", "rcp", "rsqrt", "round", "comi", "ucomi",
                "fm", "fnm",
            ];
            let float = ["ss", "sd", "ps", "pd"].iter().any(|ty| name.ends_with(ty));
            let on_stack = ["fld", "fild", "fst", "fist", "fadd", "fmul", "fdiv", "fsub"];
            name.starts_with("cvt")
                || on_stack.iter().any(|verb| name.starts_with(verb))
                || (float && verbs.iter().any(|verb| name.starts_with(verb)))
        }
        Instructions::Arm => name.starts_with('v') && (name.contains(".f32") || name.contains(".f64")),
        Instructions::RiscV => name.starts_with('f') && !name.starts_with("fence"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_with_floats_are_known() {
        for name in ["addss", "vmulpd", "vfmadd231ps", "cvtsi2sd", "vcvtdq2ps", "ucomiss", "fldl", "sqrtsd"] {
            assert!(computes_with_floats(Instructions::X86, name), "{name}");
        }
        for name in ["paddd", "movaps", "xorps", "vpmuldq", "shufps", "movss", "add", "sub", "imul", "cmovns"]
        {
            assert!(!computes_with_floats(Instructions::X86, name), "{name}");
        }
        assert!(computes_with_floats(Instructions::Arm, "vadd.f32"));
        assert!(!computes_with_floats(Instructions::Arm, "vmov"));
        assert!(computes_with_floats(Instructions::RiscV, "fadd.s"));
        assert!(!computes_with_floats(Instructions::RiscV, "fence.i"));
    }
}
