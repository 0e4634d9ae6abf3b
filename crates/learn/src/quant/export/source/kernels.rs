//! The kernels of a language: a text in sections, of which a file gets those that its network needs.
//!
//! A section begins with a line `// == name: others that it needs`. In its text `$X` stands for a type and `$x` for
//! the type's part in names; what stands between `$[` and `$]` is there once for each operand, `$i` being its
//! number; a line that begins with `?twice` is there where a scale is rounded twice.

use super::program::{Kernel, Program};

/// How a language calls the types.
pub type TypeName = fn(&str) -> &str;

/// The text of all kernels that a program calls, and of what they need.
pub fn text(program: &Program<'_>, library: &str, extra: &[&str], type_name: TypeName) -> String {
    let sections = sections(library);
    let mut needed: Vec<&str> = Vec::new();
    let called = program.calls.iter().map(|call| call.kernel.section);
    for name in called.chain(extra.iter().copied()) {
        need(name, &sections, program.twice, &mut needed);
    }
    let mut kernels: Vec<&Kernel> = Vec::new();
    for call in &program.calls {
        if !kernels.contains(&&call.kernel) {
            kernels.push(&call.kernel);
        }
    }
    let mut all = String::new();
    for section in sections.iter().filter(|s| needed.contains(&s.name)) {
        let of_section = || kernels.iter().filter(|k| k.section == section.name && !k.types.is_empty());
        let text = conditional(section.text, program.twice);
        for kernel in of_section() {
            all += &typed(&text, kernel, type_name);
        }
        if of_section().next().is_none() {
            all += &text;
        }
    }
    all
}

struct Section<'t> {
    name: &'t str,
    needs: Vec<&'t str>,
    text: &'t str,
}

fn sections(library: &str) -> Vec<Section<'_>> {
    let section = |part| {
        let (head, text) = str::split_once(part, '\n').unwrap_or((part, ""));
        let (name, needs) = head.split_once(": ").unwrap_or((head, ""));
        Section { name, needs: needs.split(", ").filter(|n| !n.is_empty()).collect(), text }
    };
    library.split("// == ").skip(1).map(section).collect()
}

/// Marks a section and all that it needs.
fn need<'t>(name: &'t str, sections: &[Section<'t>], twice: bool, needed: &mut Vec<&'t str>) {
    if needed.contains(&name) || (name == "twice" && !twice) {
        return;
    }
    needed.push(name);
    if let Some(section) = sections.iter().find(|s| s.name == name) {
        section.needs.iter().for_each(|other| need(other, sections, twice, needed));
    }
}

fn conditional(text: &str, twice: bool) -> String {
    let lines = text.lines().filter_map(|line| match line.strip_prefix("?twice") {
        Some(rest) => twice.then_some(rest),
        None => Some(line),
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A section's text for some types.
fn typed(text: &str, kernel: &Kernel, type_name: TypeName) -> String {
    let operands: Vec<&str> = kernel.types.iter().filter(|(letter, _)| *letter == 'X').map(|t| t.1).collect();
    let mut parts = text.split("$[");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (repeated, rest) = part.split_once("$]").unwrap_or((part, ""));
        for (i, ty) in operands.iter().enumerate() {
            all += &with_type(&repeated.replace("$i", &i.to_string()), 'X', ty, type_name);
        }
        all += rest;
    }
    kernel.types.iter().fold(all, |text, (letter, ty)| with_type(&text, *letter, ty, type_name))
}

fn with_type(text: &str, letter: char, ty: &str, type_name: TypeName) -> String {
    text.replace(&format!("${letter}"), type_name(ty))
        .replace(&format!("${}", letter.to_ascii_lowercase()), ty)
}
