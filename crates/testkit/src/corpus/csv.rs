//! Matrices of numbers as text.

use super::{Group, Reader, byte, line};

pub fn cases() -> Group {
    let mut g = Group::new("csv", Reader::Csv, "csv");
    g.good("numbers", "1,2\n3,4\n");
    g.good("names", "a,b\n1,2\n");
    g.good("byte-order-mark", "\u{feff}a,b\r\n1,2\r\n");
    g.good("no-last-line-end", "1,2\n3,4");
    g.good("spaces-and-empty-lines", "\n 1 , 2 \n\n-3e-4,+4.\n\n");
    g.good("one-column", "1\n2\n");
    g.good("quotes", "\"a, b\",c\n1,\"2\"\n");
    g.good("semicolons", "a;b\n1;2\n");
    g.good("old-line-ends", "1,2\r3,4\r");
    g.bad("empty", "", line(1, 1), "the file has no rows");
    g.bad("names-alone", "a,b\n", line(1, 1), "the file has no rows");
    g.bad("line-ends-alone", "\n".repeat(1000), line(1, 1), "the file has no rows");
    g.bad("byte-order-mark-alone", "\u{feff}", line(1, 1), "the file has no rows");
    rows(&mut g);
    cells(&mut g);
    bytes(&mut g);
    sizes(&mut g);
    g
}

fn rows(g: &mut Group) {
    let mut ragged = |name: &str, text: &str, row: usize| {
        g.bad(name, text, line(row, 1), "the row does not have 2 cells");
    };
    ragged("a-cell-less", "1,2\n3\n", 2);
    ragged("a-cell-more", "1,2\n3,4,5\n", 2);
    ragged("a-comma-more", "1,2\n3,4,\n", 2);
    ragged("names-do-not-fit", "a,b\n1,2,3\n", 2);
    ragged("other-separator", "1,2\n3;4\n", 2);
    ragged("tabs", "1,2\n3\t4\n", 2);
    ragged("cut-in-a-row", "1,2\n3,4\n5", 3);
    ragged("after-empty-lines", "1,2\n\n\n3\n", 4);
    ragged("after-thousands", &format!("{}7\n", "1,2\n".repeat(5000)), 5001);
}

fn cells(g: &mut Group) {
    let mut bad = |name: &str, cell: &str| {
        let reason = if cell.is_empty() { "a cell is empty" } else { "a cell is no finite number" };
        g.bad(name, format!("1,2\n3,{cell}\n"), line(2, 3), reason);
    };
    bad("a-word", "x");
    bad("empty-cell", "");
    bad("not-a-number", "nan");
    bad("infinite", "-inf");
    bad("infinity-in-full", "Infinity");
    bad("1e400", "1e400");
    bad("minus-1e400", "-1e400");
    bad("hexadecimal", "0x10");
    bad("underscores", "1_000");
    bad("two-numbers", "4 5");
    bad("two-points", "4.0.1");
    bad("a-date", "2026-01-31");
    bad("percent", "4%");
    bad("nul", "\0");
    bad("colours", "\u{1b}[31m4");
    bad("other-digits", "٤");
    bad("wide-digits", "４");
    bad("soft-hyphen", "\u{ad}4");
    bad("a-cell-of-a-megabyte", &"x".repeat(1 << 20));
    g.bad("first-cell", "1,2\nx,4\n", line(2, 1), "a cell is no finite number");
    g.bad("after-wide-letters", "1,2,3\n4,ä,5\n", line(2, 3), "found: `ä`");
    g.bad("names-with-a-number", "a,2\n1,2\n", line(1, 1), "a cell is no finite number");
    g.bad("names-twice", "a,b\na,b\n1,2\n", line(2, 1), "a cell is no finite number");
    g.bad("half-a-quote", "1,2\n3,\"4\n", line(2, 1), "a quote is not closed");
}

fn bytes(g: &mut Group) {
    g.bad("bad-utf8", b"1,2\n3,\xff\n", byte(6), "the text is not UTF-8");
    g.bad("latin-1", b"temp\xe9rature,b\n1,2\n", byte(4), "the text is not UTF-8");
    g.bad("cut-utf8", b"1,2\n3,\xe2\x82", byte(6), "the text is not UTF-8");
    g.bad("utf-16", b"\xff\xfe1\0,\x002\0\n\0", byte(0), "the text is not UTF-8");
    g.bad("compressed", b"\x1f\x8b\x08\0\0\0\0\0", byte(1), "the text is not UTF-8");
    g.bad("nuls", [0; 4096], line(1, 1), "the file has no rows");
}

/// Files that cost more memory than they have bytes.
fn sizes(g: &mut Group) {
    let commas = format!("1{}\n1\n", ",1".repeat(5_000_000));
    g.bad("a-row-of-millions", commas, line(1, 1), "the row has more than 1000000 cells");
    let rows = format!("{}x\n", "1\n".repeat(5_000_000));
    g.bad("millions-of-rows", rows, line(5_000_001, 1), "a cell is no finite number");
}
