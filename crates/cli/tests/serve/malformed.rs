//! Requests that cannot be answered: each is refused with a status and a reason, and does no harm to others.

use crate::client::{Server, get, infer, post, rows};
use crate::common::{folder, succeeds};
use serde_json::json;

/// Requests to a model of 3 columns, each with the status that it is answered with. An empty reason: the protocol below
/// refuses it, without words of ours.
pub fn requests(infer_path: &str, most_body: usize) -> Vec<(String, Vec<u8>, u16, &'static str)> {
    let json = |text: &str| post(infer_path, "", text.as_bytes());
    let input = |rest: &str| json(&format!(r#"{{"inputs": [{{"name": "input", {rest}}}]}}"#));
    let header = |line: &str| {
        let (request, _) = rows(&[1.0, 2.0, 3.0], 3, false);
        post(infer_path, &format!("{line}\r\n"), request.to_string().as_bytes())
    };
    let bytes = |size: usize, sent: usize| {
        let input = json!({
            "name": "input", "shape": [1, 3], "datatype": "FP64", "parameters": { "binary_data_size": size }
        });
        infer(infer_path, &json!({ "inputs": [input] }), &vec![0; sent])
    };
    let (mut odd_output, _) = rows(&[1.0, 2.0, 3.0], 3, false);
    odd_output["outputs"] = json!([{ "name": "logits" }]);
    let raw = |text: &str| text.as_bytes().to_vec();
    let cases: Vec<(&str, Vec<u8>, u16, &'static str)> = vec![
        ("nothing", json(""), 400, "no inference request in JSON"),
        ("no JSON", json("inputs=1"), 400, "no inference request in JSON"),
        ("half of it", json(r#"{"inputs": [{"name""#), 400, "no inference request in JSON"),
        ("other bytes", post(infer_path, "", &[255, 0, 128, 7]), 400, "no inference request in JSON"),
        ("deep arrays", json(&"[".repeat(50_000)), 400, "no inference request in JSON"),
        (
            "deep data",
            input(&format!(r#""shape": [1], "datatype": "FP32", "data": {}"#, "[".repeat(50_000))),
            400,
            "recursion limit",
        ),
        ("an array", json("[]"), 400, "no inference request in JSON"),
        ("no inputs", json("{}"), 400, "missing field `inputs`"),
        ("no input", json(r#"{"inputs": []}"#), 400, "the input \"input\" is missing"),
        (
            "another input",
            json(r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}"#),
            400,
            "no input \"x\"",
        ),
        ("no shape", input(r#""datatype": "FP32", "data": [1, 2, 3]"#), 400, "missing field `shape`"),
        ("no data", input(r#""shape": [1, 3], "datatype": "FP32""#), 400, "give one of them"),
        (
            "a shape below zero",
            input(r#""shape": [-1, 3], "datatype": "FP32", "data": [1, 2, 3]"#),
            400,
            "no inference request",
        ),
        (
            "a shape beyond all memory",
            input(r#""shape": [9007199254740993, 9007199254740993], "datatype": "FP32", "data": [1]"#),
            400,
            "too large",
        ),
        (
            "another shape",
            input(r#""shape": [3, 1], "datatype": "FP32", "data": [1, 2, 3]"#),
            400,
            "the shape [3, 1], and the model takes [-1, 3]",
        ),
        ("no rows", input(r#""shape": [0, 3], "datatype": "FP32", "data": []"#), 400, "has no rows"),
        (
            "fewer elements",
            input(r#""shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3]"#),
            400,
            "3 elements for the shape [2, 3]",
        ),
        (
            "another datatype",
            input(r#""shape": [1, 3], "datatype": "FP16", "data": [1, 2, 3]"#),
            400,
            "\"FP16\" is not taken",
        ),
        (
            "texts",
            input(r#""shape": [1, 3], "datatype": "BYTES", "data": ["a", "b", "c"]"#),
            400,
            "the model takes numbers",
        ),
        (
            "a text among numbers",
            input(r#""shape": [1, 3], "datatype": "FP32", "data": [1, "b", 3]"#),
            400,
            "texts, and FP32 are numbers",
        ),
        (
            "a number that is none",
            input(r#""shape": [1, 3], "datatype": "FP32", "data": [1, NaN, 3]"#),
            400,
            "no inference request",
        ),
        ("null", input(r#""shape": [1, 3], "datatype": "FP32", "data": [1, null, 3]"#), 400, "not finite"),
        (
            "a number beyond its type",
            input(r#""shape": [1, 3], "datatype": "FP32", "data": [1, 1e300, 3]"#),
            400,
            "no FP32",
        ),
        (
            "a fraction of a whole number",
            input(r#""shape": [1, 3], "datatype": "INT8", "data": [1, 1.5, 3]"#),
            400,
            "no INT8",
        ),
        (
            "an answer beyond all numbers",
            input(r#""shape": [1, 3], "datatype": "FP64", "data": [1.7e308, 1.7e308, -1.7e308]"#),
            422,
            "too large for the model",
        ),
        ("too few bytes", bytes(24, 16), 400, "binary_data_size is 24, and 16 bytes follow"),
        ("too many bytes", bytes(24, 32), 400, "8 bytes follow those of the last input"),
        ("bytes of another size", bytes(12, 12), 400, "12 bytes for 3 elements of FP64"),
        (
            "JSON longer than the request",
            header("Inference-Header-Content-Length: 99999"),
            400,
            "Inference-Header-Content-Length is 99999",
        ),
        (
            "a length that is none",
            header("Inference-Header-Content-Length: -1"),
            400,
            "is no Inference-Header-Content-Length",
        ),
        (
            "an output that is not there",
            infer(infer_path, &odd_output, &[]),
            400,
            "no output \"logits\": it has \"prediction\"",
        ),
        (
            "a parameter for other servers",
            json(r#"{"parameters": {"sequence_id": 3}, "inputs": []}"#),
            400,
            "\"sequence_id\" is not supported",
        ),
        ("gzip", header("Content-Encoding: gzip"), 415, "the encoding \"gzip\""),
        ("another model", post("/v2/models/nobody/infer", "", b"{}"), 404, "there is no model \"nobody\""),
        (
            "another version",
            post(&infer_path.replace("/infer", "/versions/7/infer"), "", b"{}"),
            404,
            "no version \"7\"",
        ),
        ("nowhere", get("/"), 404, "there is nothing at \"/\""),
        ("GET for POST", get(infer_path), 405, "GET is not for"),
        ("POST for GET", post("/v2/health/live", "", b""), 405, "POST is not for"),
        ("a body that is too large", post(infer_path, "", &vec![b' '; most_body + 1]), 413, "more than"),
        ("no HTTP", raw("hello\r\n\r\n"), 400, ""),
        ("TLS", vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], 400, ""),
        ("a header that is none", raw("GET /v2 HTTP/1.1\r\nHost test\r\n\r\n"), 400, ""),
        (
            "a length in words",
            raw(&format!("POST {infer_path} HTTP/1.1\r\nHost: t\r\nContent-Length: ten\r\n\r\n")),
            400,
            "",
        ),
        ("headers without end", raw(&format!("GET /v2 HTTP/1.1\r\nX: {}", "y".repeat(66_000))), 431, ""),
        ("two hundred headers", raw(&format!("GET /v2 HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200))), 431, ""),
    ];
    cases
        .into_iter()
        .map(|(title, request, status, part)| (title.to_owned(), request, status, part))
        .collect()
}

#[test]
fn malformed_requests_are_refused_with_a_reason() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train regression.toml --out run --set train.epochs=1 --quiet");
    let mut server = Server::start(at, "run --max-body 100KiB");
    let (good, _) = rows(&[1.0, 2.0, 3.0], 3, false);
    let good = infer(&server.infer(), &good, &[]);
    let expected = server.reply(&good).json();
    let mut wrong = Vec::new();
    for (title, request, status, part) in requests(&server.infer(), 100 << 10) {
        let mut connection = server.connect();
        // What is not to be read to its end may be cut off.
        let _ = connection.send(&request);
        let reply = connection.receive().unwrap_or_else(|e| panic!("{title}: {e}"));
        let error = if part.is_empty() { String::new() } else { reply.error() };
        if reply.status != status || !error.contains(part) {
            wrong.push(format!("{title}: {} {error}", reply.status));
        }
        assert_eq!(server.reply(&good).json(), expected, "after {title}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // By a connection that is kept: all but those that end it.
    let mut connection = server.connect();
    for (title, request, status, part) in requests(&server.infer(), 100 << 10) {
        if !part.is_empty() && status != 413 {
            assert_eq!(connection.reply(&request).unwrap().status, status, "{title}");
            assert_eq!(connection.reply(&good).unwrap().json(), expected, "after {title}");
        }
    }
    server.stop();
}
