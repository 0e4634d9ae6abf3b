//! Lists the folder `src/prim/elementwise`, so that a new elementwise primitive is one file and nothing else.
//!
//! `exp.rs` must define `pub struct Exp` with `impl Elementwise for Exp`; file names become type names by
//! writing the first letter of every word as a capital (`mul_shift_round` gives `MulShiftRound`).

use std::{env, fs, path::Path};

fn main() {
    let folder =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("src/prim/elementwise");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("src/prim/elementwise is a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".rs").map(String::from))
        .filter(|name| name != "mod")
        .collect();
    names.sort();
    let type_of =
        |name: &str| -> String { name.split('_').map(|w| w[..1].to_uppercase() + &w[1..]).collect() };
    let mut code = String::new();
    for name in &names {
        let path = folder.join(format!("{name}.rs"));
        let ty = type_of(name);
        code += &format!("#[path = {path:?}]\nmod {name};\npub use {name}::{ty};\n");
        // Never inlined, so that other crates call it instead of making the reference anew.
        code += &format!("impl Registered for {ty} {{\n    #[inline(never)]\n");
        code += &format!("    fn map_ref() -> MapRef {{\n        MapRef::new::<{ty}>()\n    }}\n}}\n");
    }
    code += "/// Every elementwise primitive, by name.\npub static ALL: &[MapRef] = &[";
    code += &names.iter().map(|n| format!("MapRef::new::<{}>()", type_of(n))).collect::<Vec<_>>().join(", ");
    code += "];\n/// Shows every elementwise primitive, as a type, to `v`.\n";
    code += "pub fn visit_all<V: Visitor>(v: &mut V) {\n";
    for name in &names {
        code += &format!("    v.visit::<{}>();\n", type_of(name));
    }
    code += "}\n";
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("elementwise.rs");
    fs::write(out, code).expect("OUT_DIR can be written");
}
