//! ONNX models: protocol buffers.

use super::bytes::{join, without_last};
use super::{Group, Reader, byte, key, whole};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [&varint(field << 3 | 2)[..], &varint(value.len() as u64), value].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    bytes(field, value.as_bytes())
}

/// Three floats of this name.
fn value(name: &str) -> Vec<u8> {
    let shape = bytes(1, &number(1, 3));
    let tensor = join(&[&number(1, 1), &bytes(2, &shape)]);
    join(&[&text(1, name), &bytes(2, &bytes(1, &tensor))])
}

fn node(op: &str, inputs: &[&str]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| text(1, name)).collect();
    bytes(1, &join(&[&inputs, &text(2, "y"), &text(4, op)]))
}

/// A constant `w`.
fn constant(length: i64, dtype: i64, more: &[u8]) -> Vec<u8> {
    bytes(5, &join(&[&number(1, length), &number(2, dtype), &text(8, "w"), more]))
}

fn model(graph: &[&[u8]]) -> Vec<u8> {
    let graph = join(&[&join(graph), &bytes(11, &value("x")), &bytes(12, &value("y"))]);
    join(&[&number(1, 8), &bytes(7, &graph), &bytes(8, &number(2, 18))])
}

pub fn cases() -> Group {
    let mut g = Group::new("onnx", Reader::Onnx, "onnx");
    let add = node("Add", &["x", "w"]);
    let relu = model(&[&node("Relu", &["x"])]);
    g.good("relu", relu.clone());
    g.good("constant", model(&[&add, &constant(3, 1, &bytes(9, &[0; 12]))]));
    g.good("unknown-field", join(&[&relu, &text(99, "of the future")]));
    g.bad("empty", b"", whole(), "no ONNX model");
    g.bad("text", "0,0,8,3\n", byte(0), "a field of another type");
    g.bad("a-byte-less", without_last(&relu, 1), byte(relu.len() - 3), "a length that goes beyond the end");
    g.bad("terabytes", join(&[&[0x3a], &varint(1 << 40)]), byte(1), "a length that goes beyond the end");
    g.bad("no-end", [&[0x08][..], &[0xff; 11]].concat(), byte(11), "a number of more than 64 bits");
    g.bad("group", [0x0b], byte(0), "a field of a kind that does not exist");
    g.bad("no-text", bytes(2, &[0xff]), byte(0), "a text that is not UTF-8");
    g.bad(
        "no-such-operator",
        model(&[&node("Nonsense", &["x"])]),
        whole(),
        "operators that are not supported",
    );
    g.bad("from-nowhere", model(&[&node("Relu", &["z"])]), whole(), "takes `z`");
    g.bad("twice", model(&[&node("Relu", &["x"]), &node("Tanh", &["x"])]), whole(), "is there already");
    g.bad("no-result", model(&[]), whole(), "is given by nothing");
    let raw = |n: usize| bytes(9, &vec![0; n]);
    let w = || key("w");
    g.bad("negative", model(&[&add, &constant(-3, 1, &raw(12))]), w(), "an array of the shape [-3]");
    g.bad("too-few", model(&[&add, &constant(3, 1, &raw(8))]), w(), "with 2 elements");
    g.bad("half-a-number", model(&[&add, &constant(3, 1, &raw(13))]), w(), "with 3 elements");
    g.bad("huge", model(&[&add, &constant(1 << 60, 11, &raw(8))]), w(), "shape");
    g.bad("texts", model(&[&add, &constant(3, 8, &raw(8))]), w(), "an array of string");
    let other =
        |place: &str| join(&[&bytes(13, &join(&[&text(1, "location"), &text(2, place)])), &number(14, 1)]);
    let outside = "weights in a file that is not in the same folder";
    g.bad("elsewhere", model(&[&add, &constant(3, 1, &other("../secret"))]), w(), outside);
    g.bad("absolute", model(&[&add, &constant(3, 1, &other("/etc/passwd"))]), w(), outside);
    g.bad("a-million-nodes", model(&[&[0x0a, 0].repeat(1 << 20)]), "-", "more parts than are read");
    g
}
