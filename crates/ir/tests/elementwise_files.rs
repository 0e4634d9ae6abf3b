//! What `docs/adding-a-primitive.md` promises about the files of elementwise primitives.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_file_has_at_most_forty_lines() {
    let folder = root().join("src/prim/elementwise");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("the folder can be read") {
        let path = entry.expect("its entries can be read").path();
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            continue;
        }
        let lines = fs::read_to_string(&path).expect("its files can be read").lines().count();
        assert!(lines <= 40, "{} has {lines} lines", path.display());
        seen += 1;
    }
    assert_eq!(seen, ironlearn_ir::prim::elementwise::ALL.len());
}

#[test]
fn the_page_shows_the_real_file() {
    let page = fs::read_to_string(root().join("../../docs/adding-a-primitive.md")).expect("the page exists");
    let file = fs::read_to_string(root().join("src/prim/elementwise/sigmoid.rs")).expect("the file exists");
    let shown = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(file.as_str()), "renew the file in docs/adding-a-primitive.md");
}
