//! A program as a file of Rust.

use super::kernels;
use super::memory::Place;
use super::program::{Arg, Data, Field, Program, What, type_of};
use super::text::{description, line, numbers};
use crate::quant::model::Edge;

const KERNELS: &str = include_str!("kernels.rs.txt");

pub fn file(program: &Program<'_>) -> String {
    let mut all = String::new();
    for text in description(program) {
        line(&mut all, format!("//! {text}").trim_end());
    }
    all += "#![no_std]\n#![forbid(unsafe_code)]\n\n";
    scratch(program, &mut all);
    infer(program, &mut all);
    self_test(program, &mut all);
    // A value in a longer buffer is its beginning.
    let extra: Vec<&str> =
        ["first", "first_mut"].into_iter().filter(|name| all.contains(&format!("{name}("))).collect();
    all.push('\n');
    all += kernels::text(program, KERNELS, &extra, type_name).trim_end();
    all += "\n\n";
    program.data.iter().for_each(|data| constant(program, data, &mut all));
    let (input, output) = &program.example;
    test_row("TEST_INPUT", &program.model.input, input, &mut all);
    test_row("TEST_OUTPUT", program.model.output(), output, &mut all);
    all
}

fn type_name(ty: &str) -> &str {
    if ty == "size" { "usize" } else { ty }
}

fn scratch(program: &Program<'_>, all: &mut String) {
    let buffers = || {
        let buffers = program.memory.buffers.iter().enumerate();
        buffers.map(|(i, b)| (format!("b{i}"), type_of(b.code), b.len))
    };
    line(all, format!("/// What lies between layers: {} bytes. Any one will do.", program.memory.bytes()));
    line(all, "pub struct Scratch {");
    buffers().for_each(|(name, ty, len)| line(all, format!("    {name}: [{ty}; {len}],")));
    line(all, "}\n\nimpl Scratch {");
    line(all, "    /// An empty one.\n    pub const fn new() -> Scratch {");
    let fields: Vec<String> = buffers().map(|(name, _, len)| format!("{name}: [0; {len}]")).collect();
    line(all, format!("        Scratch {{ {} }}", fields.join(", ")));
    line(all, "    }\n}\n\nimpl Default for Scratch {\n    fn default() -> Scratch {");
    line(all, "        Scratch::new()\n    }\n}\n");
}

fn infer(program: &Program<'_>, all: &mut String) {
    let (input, output) = (&program.model.input, program.model.output());
    let (x, y) = (type_of(input.quantization.code), type_of(output.quantization.code));
    let (n, m) = (input.elements(), output.elements());
    line(all, "/// The codes that come out for the codes that go in.");
    let result = if program.fallible() {
        line(
            all,
            "///\n/// False where a number goes in that is not of the vocabulary: then nothing comes out.",
        );
        line(all, "#[must_use]");
        " -> bool"
    } else {
        ""
    };
    let arguments = format!("input: &[{x}; {n}], output: &mut [{y}; {m}], scratch: &mut Scratch");
    line(all, format!("pub fn infer({arguments}){result} {{"));
    let names: Vec<String> = (0..program.memory.buffers.len()).map(|i| format!("b{i}")).collect();
    line(all, format!("    let Scratch {{ {} }} = scratch;", names.join(", ")));
    for call in &program.calls {
        line(all, format!("    // {}", call.comment));
        let args: Vec<String> = call.args.iter().filter_map(|arg| argument(program, arg)).collect();
        let text = format!("{}({})", call.kernel.name(), args.join(", "));
        line(
            all,
            if call.fallible {
                format!("    if !{text} {{\n        return false;\n    }}")
            } else {
                format!("    {text};")
            },
        );
    }
    line(all, if program.fallible() { "    true\n}" } else { "}" });
}

fn argument(program: &Program<'_>, arg: &Arg) -> Option<String> {
    let place = |value: usize, first: &str| {
        let len = program.model.edge(value)?.elements();
        Some(match program.memory.places[value]? {
            Place::Input => "input".to_owned(),
            Place::Output => "output".to_owned(),
            Place::Buffer(i) if program.memory.buffers[i].len == len => format!("b{i}"),
            Place::Buffer(i) => format!("{first}(b{i}, {len})"),
        })
    };
    match arg {
        Arg::Read(value) => place(*value, "first"),
        Arg::Write(value) => place(*value, "first_mut"),
        Arg::Data(data) => Some(format!("&{}", program.data[*data].name.to_uppercase())),
        Arg::Number(number) => Some(number.to_string()),
        Arg::Flag(flag) => Some(flag.to_string()),
        Arg::Length(_) => None,
    }
}

fn self_test(program: &Program<'_>, all: &mut String) {
    line(
        all,
        "\n/// Whether the codes of the row that is stored here are those that have to come out for it.",
    );
    line(all, "///\n/// The scratch for it is on the stack.");
    line(all, "pub fn self_test() -> bool {");
    line(all, format!("    let mut output = [0; {}];", program.model.output().elements()));
    let call = "infer(&TEST_INPUT, &mut output, &mut Scratch::new())";
    let after = if program.fallible() { " &&" } else { ";\n   " };
    line(all, format!("    {call}{after} output == TEST_OUTPUT\n}}"));
}

fn test_row(name: &str, edge: &Edge, codes: &[i32], all: &mut String) {
    let codes: Vec<i64> = codes.iter().map(|&code| code.into()).collect();
    array(name, type_of(edge.quantization.code), &codes, all);
}

fn array(name: &str, ty: &str, values: &[i64], all: &mut String) {
    let ty = type_name(ty);
    line(all, format!("static {name}: [{ty}; {}] = [", values.len()));
    line(all, numbers(values.iter().map(i64::to_string)));
    line(all, "];");
}

fn constant(program: &Program<'_>, data: &Data, all: &mut String) {
    let name = data.name.to_uppercase();
    match &data.what {
        What::Array(ty, values) => array(&name, ty, values, all),
        What::Record(ty, fields) => {
            let field = |(name, field): &(&str, Field)| {
                let value = match field {
                    Field::Number(number) => number.to_string(),
                    Field::Flag(flag) => flag.to_string(),
                    Field::Pair(pair) => format!("{pair:?}"),
                    Field::Zeros(pair) => format!("{pair:?}"),
                    Field::Data(other) => format!("&{}", program.data[*other].name.to_uppercase()),
                    Field::Length(_) => return None,
                };
                Some(format!("    {name}: {value},"))
            };
            let fields: Vec<String> = fields.iter().filter_map(field).collect();
            line(all, format!("static {name}: {ty} = {ty} {{\n{}\n}};", fields.join("\n")));
        }
    }
}
