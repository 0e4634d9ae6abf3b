//! Machines, and how networks are compiled for them and run.

use ironlearn_testkit::machine_code::{self, Instructions, is_there, output_of};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Language {
    Rust,
    C,
}

/// A machine.
pub struct Target {
    /// What rustc calls it.
    pub triple: &'static str,
    /// Its C compiler, with what it has to be told.
    c: &'static [&'static str],
    /// What runs its programs, where that is not the machine itself.
    emulator: &'static [&'static str],
    objdump: &'static str,
    instructions: Instructions,
}

/// This machine, and small ones.
pub const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-unknown-linux-gnu",
        c: &["gcc"],
        emulator: &[],
        objdump: "objdump",
        instructions: Instructions::X86,
    },
    Target {
        triple: "thumbv7em-none-eabihf",
        c: &["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        // For programs, the emulator has no Cortex-M4, and this one has all its instructions.
        emulator: &["qemu-arm", "-cpu", "cortex-a7"],
        objdump: "arm-none-eabi-objdump",
        instructions: Instructions::Arm,
    },
    Target {
        triple: "riscv32imc-unknown-none-elf",
        c: &["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"],
        emulator: &["qemu-riscv32"],
        objdump: "riscv64-unknown-elf-objdump",
        instructions: Instructions::RiscV,
    },
];

/// A network compiled for a machine: by itself as an object, and as a program.
pub struct Built<'t> {
    target: &'t Target,
    folder: tempfile::TempDir,
    scratch_bytes: usize,
}

impl Target {
    /// The first of the tools that are needed and not there.
    pub fn missing(&self, language: Language) -> Option<String> {
        if self.emulator.is_empty() && !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Some("such machine here".to_owned());
        }
        let c = if language == Language::C { &self.c[..1] } else { &[] };
        let emulator = &self.emulator[..self.emulator.len().min(1)];
        let tools = [c, emulator, &[self.objdump, "readelf"]].concat();
        let tool = tools.into_iter().find(|tool| !is_there(tool));
        let library =
            || Command::new("rustc").args(["--print", "target-libdir", "--target", self.triple]).output();
        let there = |libraries: std::process::Output| {
            PathBuf::from(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir()
        };
        let target = (!library().is_ok_and(there)).then(|| format!("library of Rust for {}", self.triple));
        tool.map(str::to_owned).or(target)
    }

    /// Compiles a network's text as people do who want small programs.
    pub fn build(&self, text: &str, language: Language) -> Built<'_> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let rustc = |name: &str| {
            let mut rustc = Command::new("rustc");
            rustc.current_dir(folder.path()).args(["--edition=2024", "--target", self.triple, name]);
            rustc.args(["-C", "opt-level=s", "-C", "panic=abort", "-A", "unused_attributes"]);
            rustc
        };
        let scratch = text.split("Scratch: ").nth(1).and_then(|rest| rest.split(' ').next());
        let scratch_bytes: usize = scratch.and_then(|bytes| bytes.parse().ok()).unwrap();
        let ends = "const N: usize = 784;\nconst K: usize = 10;\n";
        let calls = match language {
            Language::Rust => {
                fs::write(path("network.rs"), text).unwrap();
                let mut object = rustc("network.rs");
                object.args(["--crate-type=lib", "--emit=obj", "-C", "codegen-units=1", "-D", "warnings"]);
                output_of(object.args(["-o", "network.o"]));
                include_str!("calls_of_rust.rs.txt").to_owned()
            }
            Language::C => {
                fs::write(path("network.c"), text).unwrap();
                let mut gcc = Command::new(self.c[0]);
                gcc.current_dir(folder.path()).args(&self.c[1..]);
                gcc.args(["-std=c99", "-Os", "-ffreestanding", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
                output_of(gcc.args(["-ffunction-sections", "-c", "network.c"]));
                include_str!("calls_of_c.rs.txt").replace("BYTES", &scratch_bytes.to_string())
            }
        };
        let harness = include_str!("harness.rs.txt");
        fs::write(path("main.rs"), format!("{harness}\n{ends}{calls}")).unwrap();
        let mut program = rustc("main.rs");
        if language == Language::C {
            program.args(["-C", "link-arg=network.o"]);
        }
        output_of(program.args(["-o", "main"]));
        Built { target: self, folder, scratch_bytes }
    }
}

impl Built<'_> {
    fn object(&self) -> PathBuf {
        self.folder.path().join("network.o")
    }

    /// What comes out for these codes.
    pub fn run(&self, codes: &[i8]) -> Vec<u8> {
        let input = self.folder.path().join("in");
        fs::write(&input, codes.iter().map(|&code| code as u8).collect::<Vec<u8>>()).unwrap();
        let program = self.folder.path().join("main");
        let mut command = match self.target.emulator {
            [] => Command::new(program),
            [emulator, args @ ..] => {
                let mut command = Command::new(emulator);
                command.args(args).arg(program);
                command
            }
        };
        output_of(command.stdin(File::open(input).unwrap()))
    }

    pub fn code_bytes(&self) -> usize {
        machine_code::section_bytes(&self.object(), &[".text"])
    }

    /// Weights, scales, tables, and the row of the self-test.
    pub fn constant_bytes(&self) -> usize {
        machine_code::section_bytes(&self.object(), &[".rodata", ".data", ".srodata", ".sdata"])
    }

    pub fn scratch_bytes(&self) -> usize {
        self.scratch_bytes
    }

    /// Instructions that compute with floats, and symbols of anything but integers and memory.
    pub fn floats(&self) -> Vec<String> {
        let mut found =
            machine_code::float_instructions(self.target.objdump, self.target.instructions, &self.object());
        found.extend(machine_code::foreign_symbols(&self.object()));
        found
    }
}
