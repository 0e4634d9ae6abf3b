//! Exports as programs: rows go in, codes come out.

use super::super::{SourceOptions, c, rust};
use crate::quant::arithmetic::Code;
use crate::quant::model::Op;
use crate::quant::model::random::Case;
use ironlearn_testkit::machine_code::output_of;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Language {
    Rust,
    C,
}

/// Exports of some networks, in a folder that goes with it.
pub struct Project<'c> {
    language: Language,
    cases: &'c [Case],
    folder: tempfile::TempDir,
}

fn bytes(code: Code, codes: &[i32]) -> Vec<u8> {
    let size = code.dtype().size();
    codes.iter().flat_map(|c| c.to_le_bytes().into_iter().take(size)).collect()
}

fn codes(code: Code, bytes: &[u8]) -> Vec<i32> {
    match code {
        Code::I8 => bytes.iter().map(|&b| i32::from(b as i8)).collect(),
        Code::I16 => bytes.chunks(2).map(|b| i16::from_le_bytes([b[0], b[1]]).into()).collect(),
        Code::I32 => bytes.chunks(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    }
}

impl<'c> Project<'c> {
    pub fn new(language: Language, cases: &'c [Case]) -> Project<'c> {
        let project = Project { language, cases, folder: tempfile::tempdir().unwrap() };
        for (i, case) in cases.iter().enumerate() {
            let name = format!("m{i}");
            let options = SourceOptions { name: name.clone(), example: case.rows.first().cloned() };
            match language {
                Language::Rust => project.write(&format!("{name}.rs"), &rust(&case.model, &options).unwrap()),
                Language::C => project.write(&format!("{name}.c"), &c(&case.model, &options).unwrap()),
            }
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Compiles the exports with a program that takes all rows of all networks, one after the other.
    pub fn compile(&self) {
        let models = self.cases.iter().enumerate();
        match self.language {
            Language::Rust => {
                let head: String = models.clone().map(|(i, _)| format!("mod m{i};\n")).collect();
                let runs: String = models.map(|(i, case)| rust_run(i, case)).collect();
                self.write("main.rs", &format!("{head}{RUST_MAIN}fn main() {{\n{runs}}}\n"));
                let mut rustc = self.rustc("main.rs");
                // Optimised, so that it is what people run, and with checks of overflow, which none may fail.
                output_of(
                    rustc
                        .args(["-C", "opt-level=1", "-C", "overflow-checks=on", "-o"])
                        .arg(self.path("main")),
                );
            }
            Language::C => {
                let head = |i| format!("#define M{i}_HEADER\n#include \"m{i}.c\"\n");
                let head: String = models.clone().map(|(i, _)| head(i)).collect();
                let runs: String = models.map(|(i, case)| c_run(i, case)).collect();
                self.write("main.c", &format!("{C_INCLUDES}{head}int main(void) {{\n{runs}return 0;\n}}\n"));
                let mut gcc = self.gcc();
                gcc.args(["-fsanitize=undefined", "-fno-sanitize-recover=all", "-o"]).arg(self.path("main"));
                gcc.arg("main.c").args((0..self.cases.len()).map(|i| format!("m{i}.c")));
                output_of(&mut gcc);
            }
        }
    }

    /// The codes that come out of each network for each row.
    pub fn run(&self) -> Vec<Vec<Vec<i32>>> {
        let rows = |case: &Case| {
            let code = case.model.input.quantization.code;
            case.rows.iter().flat_map(|row| bytes(code, row)).collect::<Vec<u8>>()
        };
        fs::write(self.path("in"), self.cases.iter().flat_map(rows).collect::<Vec<u8>>()).unwrap();
        let mut program = Command::new(self.path("main"));
        let output = program.stdin(File::open(self.path("in")).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut rest = &output.stdout[..];
        let mut next = |case: &Case| {
            let edge = case.model.output();
            let (row, after) = rest.split_at(edge.elements() * edge.quantization.code.dtype().size());
            rest = after;
            codes(edge.quantization.code, row)
        };
        let found = self.cases.iter().map(|case| case.rows.iter().map(|_| next(case)).collect()).collect();
        assert!(rest.is_empty());
        found
    }

    /// The exports alone, as they are compiled for use, in one object.
    pub fn object(&self) -> PathBuf {
        let models = 0..self.cases.len();
        match self.language {
            Language::Rust => {
                let modules: String = models.map(|i| format!("pub mod m{i};\n")).collect();
                self.write("all.rs", &format!("#![no_std]\n{modules}"));
                let mut rustc = self.rustc("all.rs");
                rustc.args([
                    "--crate-type=lib",
                    "--emit=obj",
                    "-C",
                    "opt-level=s",
                    "-C",
                    "codegen-units=1",
                    "-o",
                ]);
                output_of(rustc.arg(self.path("all.o")));
            }
            Language::C => {
                let mut gcc = self.gcc();
                gcc.arg("-c").args(models.clone().map(|i| format!("m{i}.c")));
                output_of(&mut gcc);
                let mut together = Command::new("ld");
                together.current_dir(self.folder.path()).args(["-r", "-o", "all.o"]);
                output_of(together.args(models.map(|i| format!("m{i}.o"))));
            }
        }
        self.path("all.o")
    }

    fn rustc(&self, file: &str) -> Command {
        let mut rustc = Command::new("rustc");
        // In a crate of its own a file says itself that it has no standard library.
        rustc.current_dir(self.folder.path()).args([
            "--edition=2024",
            "-D",
            "warnings",
            "-A",
            "unused_attributes",
        ]);
        rustc.arg(file);
        rustc
    }

    fn gcc(&self) -> Command {
        let mut gcc = Command::new("gcc");
        gcc.current_dir(self.folder.path());
        gcc.args(["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]);
        gcc
    }
}

/// A number that is no token, where a network takes tokens.
fn no_token(case: &Case) -> Option<usize> {
    case.model.nodes.iter().find_map(|node| match &node.op {
        Op::Embedding(e) => Some(e.table.len() / e.dimension),
        _ => None,
    })
}

const RUST_MAIN: &str = "
use std::io::{Read, Write};

macro_rules! rows {
    ($m:ident, $rows:expr, $x:ty, $n:expr, $y:ty, $k:expr, $check:expr) => {{
        assert!($m::self_test());
        let (mut scratch, mut x, mut y) = ($m::Scratch::new(), [0 as $x; $n], [0 as $y; $k]);
        for _ in 0..$rows {
            for x in &mut x {
                let mut bytes = [0; size_of::<$x>()];
                std::io::stdin().read_exact(&mut bytes).unwrap();
                *x = <$x>::from_le_bytes(bytes);
            }
            let _: () = $check($m::infer(&x, &mut y, &mut scratch));
            y.iter().for_each(|y| std::io::stdout().write_all(&y.to_le_bytes()).unwrap());
        }
    }};
}

";

fn types(case: &Case) -> (&'static str, usize, &'static str, usize) {
    let ty = |code| super::super::program::type_of(code);
    let (x, y) = (&case.model.input, case.model.output());
    (ty(x.quantization.code), x.elements(), ty(y.quantization.code), y.elements())
}

fn rust_run(i: usize, case: &Case) -> String {
    let (x, n, y, k) = types(case);
    let (check, wrong) = match no_token(case) {
        Some(token) => {
            let call = format!("m{i}::infer(&[{token}; {n}], &mut [0; {k}], &mut m{i}::Scratch::new())");
            ("|there: bool| assert!(there)", format!("assert!(!{call});\n"))
        }
        None => ("|()| ()", String::new()),
    };
    format!("rows!(m{i}, {}, {x}, {n}, {y}, {k}, {check});\n{wrong}", case.rows.len())
}

const C_INCLUDES: &str = "#include <stdio.h>\n#include <stdint.h>\n";

fn c_run(i: usize, case: &Case) -> String {
    let (x, n, y, k) = types(case);
    let call = format!("m{i}_infer(x, y, &scratch)");
    let (call, wrong) = match no_token(case) {
        Some(token) => (
            format!("if (!{call}) return 2;"),
            format!("for (int j = 0; j < {n}; j++) x[j] = {token};\nif ({call}) return 3;\n"),
        ),
        None => (format!("{call};"), String::new()),
    };
    format!(
        "{{\nstatic {x}_t x[{n}]; static {y}_t y[{k}]; static m{i}_scratch scratch;\n\
         if (!m{i}_self_test()) return 1;\n\
         for (int row = 0; row < {rows}; row++) {{\n\
         if (fread(x, sizeof x, 1, stdin) != 1) return 4;\n{call}\nfwrite(y, sizeof y, 1, stdout);\n}}\n{wrong}}}\n",
        x = x.replace('i', "int"),
        y = y.replace('i', "int"),
        rows = case.rows.len()
    )
}
