//! NumPy's `.npy`.

use super::bytes::{join, with, without_last};
use super::{Group, Reader, byte};

const SHAPED: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

/// A file of version 1 with this header and so many bytes of elements.
pub fn file(header: &str, data: usize) -> Vec<u8> {
    of_version(1, header, data)
}

fn of_version(version: u8, header: &str, data: usize) -> Vec<u8> {
    let length = (header.len() as u32).to_le_bytes();
    let length = if version == 1 { &length[..2] } else { &length[..] };
    join(&[b"\x93NUMPY", &[version, 0], length, header.as_bytes(), &vec![0; data]])
}

fn of_type(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
}

/// A file of these numbers in rows of so many, or in one row where there are no columns.
pub fn numbers(columns: usize, values: &[f64]) -> Vec<u8> {
    let shape = match values.len().checked_div(columns) {
        Some(rows) => format!("({rows}, {columns})"),
        None => format!("({},)", values.len()),
    };
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    join(&[&file(&of_type("<f8", &shape), 0), &bytes])
}

pub fn cases() -> Group {
    let mut g = Group::new("npy", Reader::Npy, "npy");
    g.good("matrix", file(SHAPED, 24));
    g.good("version-2", of_version(2, SHAPED, 24));
    g.good("version-3", of_version(3, SHAPED, 24));
    g.good("padded", file(&format!("{SHAPED:117}\n"), 24));
    g.good("other-quotes", file(&SHAPED.replace('\'', "\""), 24));
    g.good("big-endian", file(&of_type(">c16", "(1,)"), 16));
    g.good("scalar", file(&of_type("|b1", "()"), 1));
    g.good("no-elements", file(&of_type("<f2", "(0, 5)"), 0));
    g.good("columns", file(&SHAPED.replace("False", "True"), 24));
    starts(&mut g);
    headers(&mut g);
    shapes(&mut g);
    types(&mut g);
    elements(&mut g);
    g
}

fn starts(g: &mut Group) {
    let good = file(SHAPED, 24);
    g.bad("empty", b"", byte(0), "the file ends within the magic number");
    g.bad("five-bytes", &good[..5], byte(0), "5 bytes left, 8 needed");
    g.bad("wrong-magic", with(&good, 0, b'N'), byte(0), "not a .npy file");
    g.bad("text", "1.0 2.0 3.0\n", byte(0), "not a .npy file");
    g.bad("version-0", with(&good, 6, 0), byte(6), "a .npy version that is not known");
    g.bad("version-9", with(&good, 6, 9), byte(6), "a .npy version that is not known");
    g.bad("no-length", &good[..9], byte(8), "the file ends within the header's length");
    g.bad("no-header", &good[..10], byte(10), "the file ends within the header");
    g.bad("header-beyond-the-file", with(&good, 9, 0x7f), byte(10), "the file ends within the header");
    let huge = join(&[b"\x93NUMPY\x02\0", &u32::MAX.to_le_bytes(), SHAPED.as_bytes()]);
    g.bad("header-of-4-gigabytes", huge, byte(8), "the header is too long");
    g.bad("no-header-text", file("", 0), byte(10), "the header is damaged");
}

fn headers(g: &mut Group) {
    let mut bad = |name: &str, header: &str, at: usize, reason: &str| {
        g.bad(name, file(header, 24), byte(10 + at), &format!("the header is damaged: {reason}"));
    };
    bad("no-brace", &SHAPED[1..], 0, "expected `{`");
    bad("no-end", &SHAPED[..SHAPED.len() - 1], 58, "expected a string");
    bad("text-after-it", &format!("{SHAPED} import os"), 60, "text after the dictionary");
    bad("no-descr", "{'fortran_order': False, 'shape': (6,)}", 39, "no `descr`");
    bad("no-order", "{'descr': '<f4', 'shape': (6,)}", 31, "no `fortran_order`");
    bad("no-shape", "{'descr': '<f4', 'fortran_order': False}", 40, "no `shape`");
    bad("unknown-key", "{'descr': '<f4', 'order': False, 'shape': (6,)}", 25, "unknown key");
    bad("no-comma", "{'descr': '<f4' 'shape': (6,)}", 16, "expected `,` or `}`");
    bad("no-colon", "{'descr' '<f4'}", 9, "expected `{`, `(` or `:`");
    bad("key-is-a-number", "{1: 2}", 1, "expected a string");
    bad("string-without-end", "{'descr': '<f4, }", 10, "string without end");
    bad("truth-in-small-letters", &SHAPED.replace("False", "false"), 34, "expected True or False");
    bad("record-without-end", "{'descr': [('a', '<f4', }", 10, "record without end");
    bad("brackets-without-end", &format!("{{'descr': {}", "[".repeat(60_000)), 10, "record without end");
    bad("nul", &SHAPED.replace(' ', "\0"), 9, "expected a string");
    bad("colours", "\u{1b}[31m\u{7}", 0, "expected `{`");
}

fn shapes(g: &mut Group) {
    let mut bad = |name: &str, shape: &str, at: usize, reason: &str| {
        g.bad(name, file(&of_type("<f4", shape), 24), byte(10 + 50 + at), reason);
    };
    bad("shape-is-a-number", "6", 0, "expected `{`, `(` or `:`");
    bad("shape-is-a-list", "[6]", 0, "expected `{`, `(` or `:`");
    bad("negative-length", "(-6,)", 1, "expected a length");
    bad("fractional-length", "(6.5,)", 2, "expected `,` or `)`");
    bad("length-1e400", "(1e400,)", 2, "expected `,` or `)`");
    bad("length-beyond-64-bits", "(18446744073709551616,)", 1, "a length that no memory holds");
    bad("length-of-many-digits", &format!("({},)", "9".repeat(5000)), 1, "a length that no memory holds");
    bad("shape-without-end", "(2, 3", 7, "expected a length");
    bad("too-many-axes", &format!("({})", "1,".repeat(65)), 130, "too many axes");
    let mut large = |name: &str, shape: &str, at: usize, reason: &str| {
        g.bad(name, file(&of_type("<f4", shape), 24), byte(at), reason);
    };
    large("elements-overflow", "(4294967296, 4294967296)", 10, "more elements than memory can address");
    large("zero-by-huge", "(0, 18446744073709551615, 2)", 10, "more elements than memory can address");
    let at = 10 + of_type("<f4", "(4000000000,)").len();
    large("gigabytes", "(4000000000,)", at, "24 bytes left, 16000000000 needed");
}

fn types(g: &mut Group) {
    let mut bad = |name: &str, descr: &str, hint: &str| {
        g.bad(name, file(&of_type(descr, "(6,)"), 24), byte(10), hint);
    };
    bad("objects", "|O", "object arrays hold pickled Python, which is never run here");
    bad("bfloat16", "|V2", "save bfloat16 as numpy.float32");
    bad("text-elements", "<U4", "x.astype(numpy.float32)");
    bad("bytes-elements", "|S4", "x.astype(numpy.float32)");
    bad("times", "<M8[ns]", "x.astype(numpy.float32)");
    bad("u64", "<u8", "x.astype(numpy.float32)");
    bad("extended", "<f16", "x.astype(numpy.float32)");
    bad("no-type", "", "elements of a type that is not read");
    bad("a-long-type", &"f".repeat(30_000), "elements of a type that is not read");
    let record = "{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (3,), }";
    g.bad("record", file(record, 24), byte(10), "save each field of the record as an array of its own");
}

fn elements(g: &mut Group) {
    let good = file(SHAPED, 24);
    let start = good.len() - 24;
    g.bad("an-element-less", without_last(&good, 4), byte(start), "20 bytes left, 24 needed");
    g.bad("a-byte-less", without_last(&good, 1), byte(start), "the file ends within the elements");
    g.bad("a-byte-more", join(&[&good, &[0]]), byte(start + 24), "more bytes than the elements has");
    g.bad("another-array-after-it", good.repeat(2), byte(start + 24), "bytes more");
    let truths = file(&of_type("|b1", "(3,)"), 3);
    let at = truths.len() - 1;
    g.bad("not-a-bool", with(&truths, at, 2), byte(at), "not a bool");
}

/// Files whose rows are read where they stand.
pub fn rows() -> Group {
    let mut g = Group::new("npy-rows", Reader::Rows, "npy");
    g.good("rows", numbers(2, &[0.0; 8]));
    g.bad(
        "scalar",
        file(&of_type("<f4", "()"), 4),
        byte(10 + of_type("<f4", "()").len()),
        "a scalar has no rows",
    );
    let columns = SHAPED.replace("False", "True");
    g.bad(
        "columns",
        file(&columns, 24),
        byte(10 + columns.len()),
        "the rows are not stored one after another",
    );
    let cut = without_last(&numbers(2, &[0.0; 8]), 1);
    g.bad("cut", cut.as_slice(), byte(cut.len() - 63), "63 bytes left, 64 needed");
    let long = of_type("<f8", "(4611686018427387903, 2)");
    g.bad("rows-without-end", file(&long, 64), byte(10), "more elements than memory can address");
    g
}
