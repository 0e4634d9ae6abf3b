//! Vocabularies of the original program.

use super::bytes::replaced;
use super::{Group, Reader, key, line};

const GOOD: &str = r#"{"vocab_size": 3, "stoi": {"b": 2, ".": 0, "a": 1},
"itos": {"2": "b", "0": ".", "1": "a"}, "multiplier": 4}"#;

pub fn cases() -> Group {
    let mut g = Group::new("vocabulary", Reader::Vocabulary, "json");
    g.good("three", GOOD);
    let mut bad = |name: &str, from: &str, to: &str, place: String, reason: &str| {
        g.bad(name, replaced(GOOD, from, to), place, reason);
    };
    bad("other-index", "\"b\": 2", "\"b\": 1", key("stoi.b"), "contradicts itself");
    bad("a-gap", "\"2\": \"b\"", "\"3\": \"b\"", key("itos.3"), "index 3 in place of 2");
    bad("other-size", ": 3", ": 4", key("stoi"), "3 symbols, 4 promised");
    bad("size-without-end", ": 3", ": 9223372036854775807", key("stoi"), "3 symbols");
    bad("a-symbol-less", ", \"1\": \"a\"", "", key("itos"), "2 symbols, 3 promised");
    bad("the-same-symbol", "\"1\": \"a\"", "\"1\": \"b\"", key("stoi.b"), "contradicts itself");
    bad("no-context", ": 4", ": 0", key("multiplier"), "a context of 0 symbols");
    bad("negative-context", ": 4", ": -4", line(2, 56), "invalid value");
    bad("index-is-no-number", "\"2\": \"b\"", "\"two\": \"b\"", line(2, 10), "a number in quotes");
    bad("index-below-0", "\"2\": \"b\"", "\"-2\": \"b\"", line(2, 12), "invalid value");
    bad("symbol-is-a-number", "\"2\": \"b\"", "\"2\": 7", line(2, 15), "invalid type");
    bad("no-stoi", "\"stoi\"", "\"STOI\"", line(2, 56), "missing field `stoi`");
    bad("no-itos", "\"itos\"", "\"ITOS\"", line(2, 56), "missing field `itos`");
    bad(
        "list-as-table",
        "{\"2\": \"b\", \"0\": \".\", \"1\": \"a\"}",
        "[\"a\"]",
        line(2, 8),
        "invalid type: sequence",
    );
    bad("colours", "\"2\": \"b\"", "\"2\": \"\\u001b[31m\"", key("stoi.\\u{1b}[31m"), "contradicts itself");
    g.bad("empty", "", line(1, 1), "EOF");
    g.bad("cut", &GOOD[..40], line(1, 40), "EOF");
    let letters: Vec<String> = (0..300_000).map(|i| format!("\"{i:x}\":0")).collect();
    let many = replaced(GOOD, "{\"b\": 2, \".\": 0, \"a\": 1}", &format!("{{{}}}", letters.join(",")));
    g.bad("symbols-without-end", many, key("stoi"), "300000 symbols, 3 promised");
    g
}
