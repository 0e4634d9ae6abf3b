//! A program as a file of C99.

use super::kernels;
use super::memory::Place;
use super::program::{Arg, Data, Field, Program, What, type_of};
use super::text::{description, line, numbers};
use crate::quant::model::Edge;

const KERNELS: &str = include_str!("kernels.c.txt");

pub fn file(program: &Program<'_>) -> String {
    let mut all = String::from("/*\n");
    for text in description(program) {
        line(&mut all, format!(" * {text}").trim_end());
    }
    let (name, upper) = (program.name, program.name.to_uppercase());
    line(&mut all, " */");
    line(&mut all, format!("#ifndef {upper}_DECLARED\n#define {upper}_DECLARED\n\n#include <stdint.h>\n"));
    scratch(program, &mut all);
    line(&mut all, "/* The codes that come out for the codes that go in. */");
    if program.fallible() {
        line(
            &mut all,
            "/* 0 where a number goes in that is not of the vocabulary: then nothing comes out. */",
        );
    }
    line(&mut all, format!("{};\n", infer(program)));
    line(
        &mut all,
        "/* Whether the codes of the row that is stored here are those that have to come out for it, with a scratch on the stack. */",
    );
    line(&mut all, format!("int {name}_self_test(void);\n\n#endif\n\n#ifndef {upper}_HEADER\n"));
    all += kernels::text(program, KERNELS, &[], type_name).trim_end();
    all += "\n\n";
    program.data.iter().for_each(|data| constant(program, data, &mut all));
    body(program, &mut all);
    self_test(program, &mut all);
    all += "\n#endif\n";
    all
}

fn type_name(ty: &str) -> &str {
    match ty {
        "i8" => "int8_t",
        "i16" => "int16_t",
        "u8" => "uint8_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        // Lengths too: none is negative or has more than 31 bits.
        _ => "int32_t",
    }
}

fn scratch(program: &Program<'_>, all: &mut String) {
    line(all, format!("/* What lies between layers: {} bytes. Any one will do. */", program.memory.bytes()));
    line(all, "typedef struct {");
    for (i, buffer) in program.memory.buffers.iter().enumerate() {
        line(all, format!("    {} b{i}[{}];", type_name(type_of(buffer.code)), buffer.len));
    }
    if program.memory.buffers.is_empty() {
        line(all, "    int8_t none;");
    }
    line(all, format!("}} {}_scratch;\n", program.name));
}

/// The declaration of the function.
fn infer(program: &Program<'_>) -> String {
    let (input, output) = (&program.model.input, program.model.output());
    let ty = |edge: &Edge| type_name(type_of(edge.quantization.code));
    let (x, n, y, m) = (ty(input), input.elements(), ty(output), output.elements());
    let (name, result) = (program.name, if program.fallible() { "int" } else { "void" });
    format!("{result} {name}_infer(const {x} input[{n}], {y} output[{m}], {name}_scratch *scratch)")
}

fn body(program: &Program<'_>, all: &mut String) {
    line(all, format!("\n{} {{", infer(program)));
    if program.memory.buffers.is_empty() {
        line(all, "    (void)scratch;");
    }
    for call in &program.calls {
        line(all, format!("    /* {} */", call.comment));
        let args: Vec<String> = call.args.iter().filter_map(|arg| argument(program, arg)).collect();
        let text = format!("{}({})", call.kernel.name(), args.join(", "));
        let text = if call.fallible {
            format!("    if (!{text}) {{\n        return 0;\n    }}")
        } else {
            format!("    {text};")
        };
        line(all, text);
    }
    line(all, if program.fallible() { "    return 1;\n}" } else { "}" });
}

fn argument(program: &Program<'_>, arg: &Arg) -> Option<String> {
    match arg {
        Arg::Read(value) | Arg::Write(value) => Some(match program.memory.places[*value]? {
            Place::Input => "input".to_owned(),
            Place::Output => "output".to_owned(),
            Place::Buffer(i) => format!("scratch->b{i}"),
        }),
        Arg::Data(data) => {
            let Data { name, what } = &program.data[*data];
            Some(if matches!(what, What::Array(..)) { name.clone() } else { format!("&{name}") })
        }
        Arg::Number(number) => Some(literal(*number)),
        Arg::Flag(flag) => Some(i32::from(*flag).to_string()),
        Arg::Length(length) => Some(length.to_string()),
    }
}

/// A number; the smallest of 32 bits has no literal in C.
fn literal(number: i64) -> String {
    if number == i64::from(i32::MIN) { "(-2147483647 - 1)".into() } else { number.to_string() }
}

fn self_test(program: &Program<'_>, all: &mut String) {
    let (name, output) = (program.name, program.model.output());
    let (ty, n) = (type_name(type_of(output.quantization.code)), output.elements());
    line(all, format!("\nint {name}_self_test(void) {{"));
    let (input, expected) = &program.example;
    let codes = |codes: &[i32]| numbers(codes.iter().map(|x| literal(i64::from(*x))));
    let from = type_name(type_of(program.model.input.quantization.code));
    line(all, format!("    static const {from} input[{}] = {{\n{}\n    }};", input.len(), codes(input)));
    line(all, format!("    static const {ty} expected[{n}] = {{\n{}\n    }};", codes(expected)));
    line(all, format!("    {ty} output[{n}];\n    {name}_scratch scratch;\n    int32_t i;"));
    let call = format!("{name}_infer(input, output, &scratch)");
    let text = if program.fallible() {
        format!("    if (!{call}) {{\n        return 0;\n    }}")
    } else {
        format!("    {call};")
    };
    line(all, text);
    line(all, format!("    for (i = 0; i < {n}; i++) {{\n        if (output[i] != expected[i]) {{"));
    line(all, "            return 0;\n        }\n    }\n    return 1;\n}");
}

fn constant(program: &Program<'_>, data: &Data, all: &mut String) {
    let name = &data.name;
    match &data.what {
        What::Array(ty, values) => {
            let (ty, n) = (type_name(ty), values.len());
            let values = numbers(values.iter().map(|x| literal(*x)));
            line(all, format!("static const {ty} {name}[{n}] = {{\n{values}\n}};"));
        }
        What::Record(ty, fields) => {
            let field = |(name, field): &(&str, Field)| {
                let value = match field {
                    Field::Number(number) => literal(*number),
                    Field::Flag(flag) => i32::from(*flag).to_string(),
                    Field::Pair([a, b]) => format!("{{{a}, {b}}}"),
                    Field::Zeros([a, b]) => format!("{{{a}, {b}}}"),
                    Field::Data(other) => argument(program, &Arg::Data(*other)).unwrap_or_default(),
                    Field::Length(length) => length.to_string(),
                };
                format!("    .{name} = {value},")
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            line(all, format!("static const {ty} {name} = {{\n{}\n}};", fields.join("\n")));
        }
    }
}
