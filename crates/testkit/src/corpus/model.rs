//! Model files: checkpoints that describe a network, and the models of the original program.

use super::bytes::replaced;
use super::{Group, ModelFile, Reader, key, line};

const PREPARATION: &str =
    r#"{"columns":3,"outputs":1,"canvas":null,"input_scaling":null,"target_scaling":null,"reading":"value"}"#;
const JOB: &str = "[network]\nlayers = [{ linear = \"targets\" }]\n";

/// Files whose checksums are right and whose texts are not.
pub fn files(model: &ModelFile<'_>) -> Group {
    let mut g = Group::new("model", Reader::ModelFile, "safetensors");
    let mut good = |name: &str, texts: &[(&str, &str)]| g.good(name, model(texts));
    good("sample", &[]);
    good("no-roles", &[("roles", "")]);
    let mut bad = |name: &str, texts: &[(&str, &str)], place: &str, reason: &str| {
        let place = if place.is_empty() { ": ".into() } else { key(&format!("__metadata__.{place}")) };
        g.bad(name, model(texts), place, reason);
    };
    bad("no-job", &[("job", "")], "", "no model file");
    bad("no-preparation", &[("preparation", "")], "", "no model file");
    bad("job-is-no-toml", &[("job", "[[")], "job", "not valid TOML");
    bad("job-with-another-key", &[("job", "[train]\nepoch = 3")], "job", "unknown key train.epoch");
    bad("job-of-nuls", &[("job", "\0\0\0")], "job", "not valid TOML");
    let deep = "[".repeat(100_000);
    bad("job-without-end", &[("job", &format!("a = {deep}"))], "job", "not valid TOML");
    bad("preparation-is-no-json", &[("preparation", "{")], "preparation", "EOF");
    bad("preparation-is-deep", &[("preparation", &deep)], "preparation", "invalid type");
    bad("roles-are-a-list", &[("roles", "[]")], "roles", "invalid type");
    let mut prepared = |name: &str, from: &str, to: &str, place: &str, reason: &str| {
        bad(name, &[("job", JOB), ("preparation", &replaced(PREPARATION, from, to))], place, reason);
    };
    let columns = r#""columns":3"#;
    prepared("other-columns", columns, r#""columns":4"#, "", "does not fit the network");
    prepared("no-columns", columns, r#""columns":0"#, "preparation", "0 columns");
    prepared(
        "columns-without-end",
        columns,
        r#""columns":1000000000000"#,
        "job",
        "no memory for [1000000000000, 1]",
    );
    prepared("columns-overflow", columns, r#""columns":18446744073709551615"#, "job", "no memory");
    prepared("no-outputs", r#""outputs":1"#, r#""outputs":0"#, "preparation", "0 outputs");
    prepared("outputs-without-end", r#""outputs":1"#, r#""outputs":1000000000000"#, "job", "no memory");
    prepared("negative-outputs", r#""outputs":1"#, r#""outputs":-1"#, "preparation", "invalid value");
    let canvas = |width: &str, channels: &str| {
        format!(r#""canvas":{{"width":{width},"height":2,"channels":{channels},"style":"ink"}}"#)
    };
    let none = r#""canvas":null"#;
    prepared("canvas-without-width", none, &canvas("0", "1"), "preparation", "a canvas of 0");
    prepared("canvas-without-end", none, &canvas("9223372036854775807", "1"), "preparation", "a canvas of");
    prepared("canvas-of-other-channels", none, &canvas("2", "3"), "preparation", "a canvas of");
    prepared(
        "canvas-of-no-style",
        none,
        r#""canvas":{"width":1,"height":1,"channels":1,"style":"x"}"#,
        "preparation",
        "unknown variant",
    );
    let scaling =
        |mean: &str, deviation: &str| format!(r#""input_scaling":{{"mean":{mean},"deviation":{deviation}}}"#);
    let none = r#""input_scaling":null"#;
    prepared(
        "scaling-of-other-columns",
        none,
        &scaling("[0,0]", "[1,1]"),
        "preparation",
        "a scaling of other columns",
    );
    prepared(
        "scaling-by-zero",
        none,
        &scaling("[0,0,0]", "[1,0,1]"),
        "preparation",
        "a scaling of other columns",
    );
    prepared("scaling-1e400", none, &scaling("[0,0,1e400]", "[1,1,1]"), "preparation", "number out of range");
    prepared("unknown-reading", r#""value""#, r#""vibes""#, "preparation", "unknown variant `vibes`");
    let mut layers = |name: &str, layers: &str, reason: &str| {
        let job = format!("[network]\nlayers = [{layers}, {{ linear = \"targets\" }}]\n");
        bad(name, &[("job", &job), ("preparation", PREPARATION)], "job", reason);
    };
    layers("a-layer-more", "{ linear = 7 }", "no memory for [7, 1]");
    layers("units-without-end", "{ linear = 1000000000000 }", "no memory for");
    layers(
        "repeated-without-end",
        "{ sequential = [\"tanh\"], repeat = 1000000000000 }",
        "stands for more than 10000",
    );
    layers("vocabulary-without-end", "{ embedding = 4, vocabulary = 1000000000000000 }", "no memory for");
    g
}

const ORIGINAL: &str = r#"{"name": "tiny", "parameter_count": 8, "layers": [
{"layer_type": "Linear", "name": "In", "index": 0, "weights": [1, 2, 3, 4, 5, 6], "shape": [3, 2]},
{"layer_type": "Tanh", "name": "A1", "index": 1, "weights": [], "shape": []},
{"layer_type": "Linear", "name": "Out", "index": 2, "weights": [0.5, -1.5], "shape": [2, 1]}
], "epoch": 7, "saved_lr": 0.25}"#;

/// Models of the original program.
pub fn original() -> Group {
    let mut g = Group::new("original-model", Reader::OriginalModel, "json");
    g.good("tiny", ORIGINAL);
    g.good("bare", r#"{"layers": [{"layer_type": "Linear", "weights": [1], "shape": [1, 1]}]}"#);
    let mut bad = |name: &str, from: &str, to: &str, place: String, reason: &str| {
        g.bad(name, replaced(ORIGINAL, from, to), place, reason);
    };
    bad("null-weight", "0.5, -1.5", "0.5, null", key("layers[2].weights[1]"), "value 1 is null");
    bad("text-weight", "0.5, -1.5", "0.5, \"x\"", line(4, 72), "invalid type: string");
    bad("weight-1e400", "0.5, -1.5", "0.5, 1e400", line(4, 74), "number out of range");
    bad("nan-weight", "0.5, -1.5", "0.5, NaN", line(4, 70), "expected value");
    bad("a-weight-less", "0.5, -1.5", "0.5", key("layers[2].weights"), "does not fit the shape");
    bad("layers-do-not-fit", "[2, 1]", "[1, 2]", key("layers[2].shape"), "does not fit the one before");
    bad("shape-of-three", "[2, 1]", "[2, 1, 1]", key("layers[2].shape"), "not [inputs, outputs]");
    bad("shape-with-zero", "[2, 1]", "[2, 0]", key("layers[2].shape"), "not [inputs, outputs]");
    bad(
        "shape-overflows",
        "[2, 1]",
        "[2, 9223372036854775809]",
        key("layers[2].weights"),
        "does not fit the shape",
    );
    bad("shape-negative", "[2, 1]", "[-2, 1]", line(4, 88), "invalid value: integer `-2`");
    bad("unknown-layer", "\"Tanh\"", "\"Transformer\"", key("layers[1].layer_type"), "cannot be read");
    bad("out-of-order", "\"index\": 2", "\"index\": 0", key("layers[2].index"), "out of order");
    bad("weights-of-tanh", "\"weights\": []", "\"weights\": [1]", key("layers[1].weights"), "has no weights");
    bad("wrong-count", ": 8", ": 9", key("parameter_count"), "the number of weights is wrong");
    bad("no-layers", "\"layers\"", "\"Layers\"", line(5, 32), "missing field `layers`");
    bad("epoch-below-0", ": 7", ": -7", line(5, 14), "invalid value: integer `-7`");
    bad("layers-are-text", ORIGINAL, r#"{"layers": "none"}"#, line(1, 17), "invalid type: string");
    bad("empty-layers", ORIGINAL, r#"{"layers": []}"#, key("layers"), "the model has no weights");
    bad(
        "only-functions",
        ORIGINAL,
        r#"{"layers": [{"layer_type": "Tanh"}]}"#,
        key("layers"),
        "has no weights",
    );
    bad("cut", "\"saved_lr\": 0.25}", "\"saved", line(5, 21), "EOF");
    g.bad("empty", "", line(1, 1), "EOF");
    let wide = "1,".repeat(1_000_000);
    let weights = replaced(ORIGINAL, "[1, 2, 3, 4, 5, 6]", &format!("[{wide}null]"));
    g.bad("a-million-weights", weights, key("layers[0].weights"), "does not fit the shape");
    let layers = format!(r#"{{"layers": [{}null]}}"#, r#"{"layer_type":""},"#.repeat(100_000));
    g.bad("layers-without-end", layers, line(1, 180_030), "at most 10000 elements");
    g
}
