//! What both languages write alike: numbers in lines, scales as fractions.

use super::program::Program;
use crate::quant::model::Edge;
use std::fmt::Write;

/// Numbers with commas, in lines of at most 100 characters.
pub fn numbers(numbers: impl Iterator<Item = String>) -> String {
    let (mut all, mut column) = (String::new(), 0);
    for number in numbers {
        let width = number.len() + 2;
        if column + width > 100 || column == 0 {
            all += if all.is_empty() { "    " } else { "\n    " };
            column = 4;
        } else {
            all.push(' ');
        }
        column += width;
        all += &number;
        all.push(',');
    }
    all
}

/// What the network is, in lines without marks of comments.
pub fn description(program: &Program<'_>) -> Vec<String> {
    let mut lines = vec![
        format!(
            "The network `{}` in integers, written by Iron Learn: the same codes on every machine.",
            program.name
        ),
        String::new(),
    ];
    lines.extend(value("Input", &program.model.input));
    lines.push(
        "    To get the code of a value: divide it by the scale, round to the nearest integer (ties to even),".into(),
    );
    lines.push("    add the zero point, and keep what is beyond the ends of the type at the end.".into());
    lines.extend(value("Output", program.model.output()));
    lines.push(String::new());
    let (constants, scratch) = (program.data_bytes(), program.memory.bytes());
    lines.push(format!("Constants: {constants} bytes. Scratch: {scratch} bytes."));
    lines
}

/// What a code of the input or the output stands for.
fn value(name: &str, edge: &Edge) -> [String; 2] {
    let q = edge.quantization;
    let bits = 8 * q.code.dtype().size();
    let axes: Vec<String> = edge.shape.iter().map(usize::to_string).collect();
    let shape = if axes.is_empty() { "one".to_owned() } else { axes.join(" x ") };
    let (scale, zero) = (fraction(q.scale), q.zero_point);
    [
        format!("{name}: codes of {bits} bits, {shape}, in row-major order."),
        format!(
            "    A code stands for (code - zero point) * scale: the zero point is {zero}, the scale {scale}."
        ),
    ]
}

/// A positive number as the simplest fraction that is it, of those with terms in 64 bits.
pub fn fraction(number: f64) -> String {
    // Convergents of its continued fraction.
    let (mut before, mut last, mut rest) = ((0u64, 1u64), (1u64, 0u64), number);
    for _ in 0..64 {
        let whole = rest.floor();
        let next = |last: u64, before: u64| (whole as u64).checked_mul(last)?.checked_add(before);
        let (Some(p), Some(q)) = (next(last.0, before.0), next(last.1, before.1)) else { break };
        (before, last) = (last, (p, q));
        if p as f64 / q as f64 == number || rest == whole {
            break;
        }
        rest = 1.0 / (rest - whole);
    }
    match last {
        (0, _) | (_, 0) => format!("{number:e}"),
        (p, 1) => p.to_string(),
        (p, q) => format!("{p}/{q}"),
    }
}

/// Adds a line.
pub fn line(all: &mut String, line: impl AsRef<str>) {
    // Writing to a text does not fail.
    let _ = writeln!(all, "{}", line.as_ref());
}
