//! Data sets of the original program.

use super::bytes::replaced;
use super::{Group, Reader, key, line};

const GOOD: &str = r#"{"m": 2, "n": 2, "x": [1, 2.5, -3e2, 4], "y": [0, 1],
"m_test": 1, "x_test": [5, 6], "y_test": [1]}"#;

pub fn cases() -> Group {
    let mut g = Group::new("json", Reader::OriginalData, "json");
    g.good("whole", GOOD);
    g.good("without-test", r#"{"m": 1, "n": 1, "x": [1], "y": [2]}"#);
    g.good("unknown-keys", replaced(GOOD, r#""m": 2"#, r#""note": {"a": [[[]]]}, "m": 2"#));
    syntax(&mut g);
    values(&mut g);
    lengths(&mut g);
    sizes(&mut g);
    g
}

fn syntax(g: &mut Group) {
    g.bad("empty", "", line(1, 1), "EOF");
    g.bad("spaces", "   \n ", line(2, 1), "EOF");
    g.bad("text", "m = 2", line(1, 1), "expected value");
    g.bad("number", "42", line(1, 2), "invalid type: integer `42`");
    g.bad("null", "null", line(1, 4), "invalid type: null");
    g.bad("list", "[]", line(1, 2), "invalid length 0");
    g.bad("byte-order-mark", format!("\u{feff}{GOOD}"), line(1, 1), "expected value");
    g.bad("utf-16", b"{\0\"\0", line(1, 2), "key must be a string");
    g.bad("bad-utf8", b"{\"m\": 1, \"\xff\": 2}", line(1, 11), "invalid unicode");
    g.bad("nul", GOOD.replace(' ', "\0"), line(1, 6), "expected value");
    g.bad("comment", GOOD.replace("\"m\"", "// sizes\n\"m\""), line(1, 2), "key must be a string");
    g.bad("cut-in-a-list", &GOOD[..30], line(1, 30), "EOF");
    g.bad("cut-in-a-key", &GOOD[..12], line(1, 12), "EOF");
    g.bad("no-end", &GOOD[..GOOD.len() - 1], line(2, 44), "EOF");
    g.bad("text-after-it", format!("{GOOD}\n{{}}"), line(3, 1), "trailing characters");
    g.bad("a-comma-more", replaced(GOOD, "4]", "4,]"), line(1, 40), "trailing comma");
    g.bad("deep", "[".repeat(300_000), line(1, 1), "invalid type: sequence");
    g.bad("deep-in-a-key", format!("{{\"a\":{}", "{\"a\":".repeat(100_000)), line(1, 500_005), "EOF");
}

fn values(g: &mut Group) {
    let mut bad = |name: &str, from: &str, to: &str, place: String, reason: &str| {
        g.bad(name, replaced(GOOD, from, to), place, reason);
    };
    bad("value-1e400", "2.5", "1e400", line(1, 31), "number out of range");
    bad("value-nan", "2.5", "NaN", line(1, 27), "expected value");
    bad("value-infinite", "2.5", "-Infinity", line(1, 28), "invalid number");
    bad("value-null", "2.5", "null", key("x[1]"), "value 1 is null");
    bad("target-null", "[0, 1]", "[null, 1]", key("y[0]"), "value 0 is null");
    bad("value-true", "2.5", "true", line(1, 30), "invalid type: boolean `true`");
    bad("value-text", "2.5", "\"2.5\"", line(1, 31), "invalid type: string \"2.5\"");
    bad("value-list", "2.5", "[2.5]", line(1, 26), "invalid type: sequence");
    bad("value-hex", "2.5", "0x10", line(1, 28), "expected");
    bad("value-plus", "2.5", "+2.5", line(1, 27), "expected value");
    bad("value-comma", "2.5", "2,5", key("x"), "does not fit the shape");
    bad("value-escape", "2.5", "\"\\u001b[31m\"", line(1, 38), "invalid type: string");
    bad("x-is-text", "[1, 2.5, -3e2, 4]", "\"1 2\"", line(1, 27), "invalid type: string");
    bad("x-twice", r#""y""#, r#""x": [1], "y""#, line(1, 44), "duplicate field `x`");
    bad("m-negative", r#""m": 2"#, r#""m": -2"#, line(1, 8), "invalid value: integer `-2`");
    bad("m-fractional", r#""m": 2"#, r#""m": 2.5"#, line(1, 9), "invalid type: floating point");
    bad("m-1e400", r#""m": 2"#, r#""m": 1e400"#, line(1, 11), "number out of range");
    bad("m-text", r#""m": 2"#, r#""m": "2""#, line(1, 9), "invalid type: string");
    bad(
        "m-beyond-64-bits",
        r#""m": 2"#,
        r#""m": 18446744073709551616"#,
        line(1, 26),
        "invalid type: floating point",
    );
}

fn lengths(g: &mut Group) {
    let mut bad = |name: &str, from: &str, to: &str, place: String, reason: &str| {
        g.bad(name, replaced(GOOD, from, to), place, reason);
    };
    bad("no-m", r#""m": 2, "#, "", line(2, 45), "missing field `m`");
    bad("no-x", r#""x":"#, r#""z":"#, line(2, 45), "missing field `x`");
    bad("no-rows", r#""m": 2"#, r#""m": 0"#, key("m"), "the data set has no rows");
    bad("no-columns", r#""n": 2"#, r#""n": 0"#, key("n"), "the data set has no columns");
    bad("a-value-less", ", 4]", "]", key("x"), "3 values for the shape [2, 2]");
    bad("a-target-more", "[0, 1]", "[0, 1, 1]", key("y"), "3 values for the shape [2, 1]");
    bad("sizes-overflow", r#""n": 2"#, r#""n": 9223372036854775807"#, key("x"), "does not fit the shape");
    bad("m-too-large", r#""m": 2"#, r#""m": 1000000000000"#, key("x"), "does not fit the shape");
    bad("no-test-rows", r#""m_test": 1"#, r#""m_test": 0"#, key("x_test"), "does not fit the shape");
    bad("no-test-values", "[5, 6]", "[]", key("x_test"), "does not fit the shape");
    bad(
        "a-test-target-more",
        r#""y_test": [1]"#,
        r#""y_test": [1, 0]"#,
        key("y_test"),
        "does not fit the shape",
    );
}

/// Files that cost more memory than they have bytes.
fn sizes(g: &mut Group) {
    let many = "1,".repeat(6_000_000);
    let x = |end: &str| replaced(GOOD, "[1, 2.5, -3e2, 4]", &format!("[{many}{end}]"));
    g.bad("millions-of-values", x("1"), key("x"), "6000001 values for the shape [2, 2]");
    g.bad("millions-and-a-mistake", x("x"), line(1, 12_000_024), "expected value");
    let note = format!(r#""note": [{many}1], "m": 2, "n": 0"#);
    g.bad("millions-of-no-use", replaced(GOOD, r#""m": 2, "n": 2"#, &note), key("n"), "no columns");
}
