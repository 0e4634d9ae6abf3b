//! Files as other programs write them, without checksums.

use super::bytes::join;
use super::{Group, Reader, byte, tensor};

/// A file with this header and so many bytes of tensors.
fn file(header: &str, data: usize) -> Vec<u8> {
    of_bytes(header.as_bytes(), data)
}

fn of_bytes(header: &[u8], data: usize) -> Vec<u8> {
    join(&[&(header.len() as u64).to_le_bytes(), header, &vec![1; data]])
}

/// A tensor in a header.
fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

/// A file of one tensor.
fn one(dtype: &str, shape: &str, offsets: &str, data: usize) -> Vec<u8> {
    file(&format!("{{{}}}", entry("w", dtype, shape, offsets)), data)
}

/// A file of several.
fn several(entries: &[String], data: usize) -> Vec<u8> {
    file(&format!("{{{}}}", entries.join(",")), data)
}

/// Where the tensors of such a file start.
fn start(bytes: &[u8], data: usize) -> usize {
    bytes.len() - data
}

pub fn cases() -> Group {
    let mut g = Group::new("safetensors", Reader::Checkpoint, "safetensors");
    good(&mut g);
    lengths(&mut g);
    texts(&mut g);
    entries(&mut g);
    places(&mut g);
    sizes(&mut g);
    g
}

fn good(g: &mut Group) {
    g.good("one", one("F32", "[2,3]", "[0,24]", 24));
    g.good("nothing", file("{}", 0));
    g.good("padded", file("{}        ", 0));
    g.good("scalar", one("F64", "[]", "[0,8]", 8));
    g.good("no-elements", one("F64", "[0,7]", "[0,0]", 0));
    let two = [entry("b", "U8", "[3]", "[4,7]"), entry("a", "I32", "[1]", "[0,4]")];
    g.good("any-order", several(&two, 7));
    g.good("texts", file(r#"{"__metadata__":{"format":"pt"}}"#, 0));
    g.good("odd-names", several(&[entry("ä/\\u0000 \\\"", "U8", "[1]", "[0,1]")], 1));
}

fn lengths(g: &mut Group) {
    g.bad("empty", b"", byte(0), "the file ends within the length of a safetensors header");
    g.bad("seven-bytes", [0; 7], byte(0), "7 bytes left, 8 needed");
    g.bad("no-header", [0; 8], byte(8), "not a safetensors file");
    g.bad("all-ones", [255; 64], byte(0), "not a safetensors file");
    let length = |n: u64| join(&[&n.to_le_bytes(), b"{}"]);
    g.bad("header-beyond-the-file", length(3), byte(8), "2 bytes left, 3 needed");
    g.bad("header-of-a-gigabyte", length(1 << 30), byte(0), "not a safetensors file");
    g.bad("header-of-16-exabytes", length(u64::MAX), byte(0), "not a safetensors file");
    g.bad("header-too-short", length(1), byte(8), "the header is damaged");
    g.bad(
        "another-format",
        b"\x80\x02}q\x00(X\x01\x00\x00\x00wq\x01ctorch".to_vec(),
        byte(0),
        "not a safetensors",
    );
}

fn texts(g: &mut Group) {
    g.bad("list", file("[]", 0), byte(8), "`{` expected");
    g.bad("text", file("\"{}\"", 0), byte(8), "`{` expected");
    g.bad("byte-order-mark", file("\u{feff}{}", 0), byte(8), "the byte 0xef");
    g.bad("spaces", file("    ", 0), byte(8), "the byte 0x20");
    g.bad("cut-header", file(r#"{"w":{"dtype":"F32""#, 0), byte(26), "the header is damaged: ");
    g.bad("trailing-text", file("{}x", 0), byte(10), "trailing characters");
    g.bad("trailing-nul", file("{}\0", 0), byte(10), "trailing characters");
    g.bad("nul-in-a-name", file("{\"a\0\":1}", 0), byte(11), "control character");
    g.bad("bad-utf8", of_bytes(b"{\"\xff\xfe\":1}", 0), byte(10), "invalid unicode");
    g.bad("half-a-surrogate", file(r#"{"\ud800":1}"#, 0), byte(16), "unexpected end of hex escape");
    g.bad("no-colon", file(r#"{"w" 1}"#, 0), byte(13), "expected `:`");
    g.bad("deep-lists", file(&format!("{{\"w\":{}", "[".repeat(5000)), 0), byte(14), "`w`: expected value");
    let deep = format!(r#"{{"w":{{"x":{}"#, "[".repeat(5000));
    g.bad("deep-in-a-key", file(&deep, 0), byte(5017), "`w`: EOF");
}

fn entries(g: &mut Group) {
    let wrong = |text: &str| file(text, 4);
    let mut bad =
        |name: &str, text: &str, at: usize, reason: &str| g.bad(name, wrong(text), byte(at), reason);
    bad("number-as-tensor", r#"{"w":1}"#, 13, "`w`: invalid type");
    bad("null-as-tensor", r#"{"w":null}"#, 16, "`w`: invalid type");
    bad("no-type", r#"{"w":{"shape":[1],"data_offsets":[0,4]}}"#, 46, "`w`: missing field `dtype`");
    bad("no-shape", r#"{"w":{"dtype":"F32","data_offsets":[0,4]}}"#, 48, "missing field `shape`");
    bad("no-offsets", r#"{"w":{"dtype":"F32","shape":[1]}}"#, 39, "missing field `data_offsets`");
    bad(
        "unknown-type",
        r#"{"w":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
        26,
        "unknown variant `F99`",
    );
    bad(
        "type-is-a-number",
        r#"{"w":{"dtype":3,"shape":[1],"data_offsets":[0,4]}}"#,
        22,
        "`w`: expected value",
    );
    let shaped = |shape: &str| format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,4]}}}}"#);
    bad("negative-length", &shaped("[-1]"), 38, "invalid value: integer `-1`");
    bad("fractional-length", &shaped("[1.5]"), 39, "invalid type: floating point `1.5`");
    bad("length-1e400", &shaped("[1e400]"), 41, "number out of range");
    bad("length-beyond-64-bits", &shaped("[18446744073709551616]"), 56, "invalid type: floating point");
    bad("length-as-text", &shaped("[\"1\"]"), 39, "invalid type: string");
    bad("shape-is-a-number", &shaped("1"), 36, "invalid type: integer `1`");
    bad("too-many-axes", &shaped(&format!("[{}1]", "1,".repeat(64))), 166, "more than 64 axes");
    let offset = |offsets: &str| format!(r#"{{"w":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}}}"#);
    bad("one-offset", &offset("[0]"), 57, "invalid length 1");
    bad("three-offsets", &offset("[0,4,8]"), 60, "`w`: trailing characters");
    bad("negative-offset", &offset("[-4,0]"), 57, "integer `-4`");
    let texts = |texts: &str| file(&format!(r#"{{"__metadata__":{texts}}}"#), 0);
    g.bad("number-as-text", texts(r#"{"a":1}"#), byte(29), "`__metadata__`: invalid type: integer `1`");
    g.bad("list-as-texts", texts("[]"), byte(23), "`__metadata__`: invalid type: sequence");
}

fn places(g: &mut Group) {
    let mut one_bad = |name: &str, dtype: &str, shape: &str, offsets: &str, at: usize, reason: &str| {
        let bytes = one(dtype, shape, offsets, 8);
        let at = start(&bytes, 8) + at;
        g.bad(name, bytes, tensor("w", at), reason);
    };
    one_bad("hole-at-the-start", "F32", "[1]", "[4,8]", 4, "leaves a hole");
    one_bad("ends-before-it-begins", "F32", "[1]", "[8,4]", 8, "ends before it begins");
    one_bad("shape-does-not-fit", "F32", "[3]", "[0,8]", 0, "shape and type do not fit the offsets");
    one_bad("half-an-element", "F32", "[1]", "[0,6]", 0, "shape and type do not fit the offsets");
    one_bad("elements-overflow", "F32", "[9223372036854775807,4]", "[0,8]", 0, "do not fit the offsets");
    one_bad("bytes-overflow", "F64", "[2305843009213693952]", "[0,8]", 0, "do not fit the offsets");
    one_bad("beyond-the-file", "F32", "[4]", "[0,16]", 0, "the file ends within a tensor");
    let huge = format!("[0,{}]", 1u64 << 62);
    one_bad("exabytes", "U8", "[4611686018427387904]", &huge, 0, "the file ends within a tensor");
    one_bad(
        "zero-by-huge",
        "F32",
        "[0,18446744073709551615,18446744073709551615]",
        "[0,0]",
        0,
        "more elements than memory",
    );
    one_bad("type-not-read", "F8_E4M3", "[8]", "[0,8]", 0, "elements of a type that is not read");
    one_bad("part-of-a-byte", "F4", "[3]", "[0,8]", 0, "do not fit the offsets");
    let two = |b: &str| [entry("a", "U8", "[4]", "[0,4]"), entry("b", "U8", "[4]", b)];
    for (name, b) in [("overlap", "[2,6]"), ("the-same-bytes", "[0,4]"), ("hole", "[5,9]")] {
        let bytes = several(&two(b), 9);
        let at = start(&bytes, 9) + b[1..2].parse::<usize>().unwrap_or(0);
        g.bad(name, bytes, tensor("b", at), "the tensor overlaps the one before, leaves a hole");
    }
    let twice = [entry("a", "U8", "[4]", "[0,4]"), entry("a", "U8", "[4]", "[4,8]")];
    let bytes = several(&twice, 8);
    let at = start(&bytes, 4);
    g.bad("twice", bytes, tensor("a", at), "a tensor of this name stands there twice");
    let bytes = one("U8", "[4]", "[0,4]", 5);
    let at = start(&bytes, 1);
    g.bad("more-than-the-tensors", bytes, byte(at), "the tensors do not fill the file");
    let bytes = one("BOOL", "[2]", "[0,2]", 0);
    let at = bytes.len() + 1;
    g.bad("not-a-bool", join(&[&bytes, &[1, 2]]), byte(at), "not a bool");
}

/// Headers that cost more memory than they have bytes.
fn sizes(g: &mut Group) {
    let shape = format!("[{}1]", "1,".repeat(4_000_000));
    g.bad("shape-of-a-million", one("U8", &shape, "[0,1]", 1), byte(165), "more than 64 axes");
    let texts: Vec<String> = (0..400_000).map(|i| format!(r#""{i:x}":"""#)).collect();
    let texts = format!(r#"{{"__metadata__":{{{}}}}}"#, texts.join(","));
    g.bad("texts-without-end", file(&texts, 0), ", byte ", "more than 20000 texts");
    let many: Vec<String> = (0..100_000).map(|i| entry(&format!("{i:x}"), "U8", "[1]", "[1,2]")).collect();
    let bytes = several(&many, 2);
    let at = start(&bytes, 2) + 1;
    g.bad("tensors-without-end", bytes, tensor("0", at), "leaves a hole");
    let name = "n".repeat(3_000_000);
    let bytes = several(&[entry(&name, "U8", "[1]", "[1,2]")], 2);
    g.bad("a-name-of-megabytes", bytes, ", tensor `nnnnn", "leaves a hole");
    let escape = one("U8", "[1]", "[1,2]", 2);
    let header = String::from_utf8_lossy(&escape[8..escape.len() - 2]);
    let coloured = file(&header.replace("\"w\"", "\"\\u001b[31m\\r\\n\""), 2);
    g.bad("colours-in-a-name", coloured, ", tensor `\\u{1b}[31m\\r\\n`", "leaves a hole");
}
