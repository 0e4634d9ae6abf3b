//! A server gives the answers of `ironlearn predict`, to the bit, however rows come together.

use crate::client::{Server, infer, rows};
use crate::common::{KINDS, folder, succeeds};
use ironlearn::Tensor;
use ironlearn::io::npy;
use ironlearn_ir::Array;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows as a data set would have them; positions where a picture was learned.
fn values(count: usize, columns: usize, picture: bool) -> Vec<f64> {
    let value = |i: usize| match picture {
        true => (i * 5 % 7) as f64,
        false => f64::from(((i * 37 % 101) as f32 / 50.0) - 1.0),
    };
    (0..count * columns).map(value).collect()
}

/// What `predict` answers to rows.
fn predicted(at: &Path, model: &str, values: &[f64], columns: usize) -> Vec<f64> {
    let rows = Array::of([values.len() / columns, columns], values.to_vec()).unwrap();
    npy::write(&at.join("rows.npy"), rows.view()).unwrap();
    let _ = std::fs::remove_file(at.join("answers.npy"));
    succeeds(at, &format!("predict {model} --input rows.npy --out answers.npy"));
    Tensor::<f64>::read_npy(at.join("answers.npy")).unwrap().to_vec()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// The numbers of the last output in JSON.
fn numbers_of(reply: &Value) -> Vec<f64> {
    let data = reply["outputs"].as_array().unwrap().last().unwrap()["data"].as_array().unwrap();
    data.iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Only the numbers, as bytes.
fn wanted(request: &mut Value, metadata: &Value) {
    let numbers = metadata["outputs"].as_array().unwrap().last().unwrap()["name"].clone();
    request["outputs"] = json!([{ "name": numbers, "parameters": { "binary_data": true } }]);
}

/// Compares a server with `predict`: all rows at once in JSON and in bytes, one by one, and by several clients at
/// once.
fn compare(at: &Path, model: &str, picture: bool) {
    let mut server = Server::start(at, &format!("{model} --max-batch 12 --max-wait 30"));
    let metadata = server.get(&format!("/v2/models/{}", server.name)).json();
    let input = &metadata["inputs"][0];
    let row = |shape: &Value| {
        shape.as_array().unwrap()[1..].iter().map(|n| n.as_u64().unwrap() as usize).product::<usize>()
    };
    let columns = row(&input["shape"]);
    let width = row(&metadata["outputs"].as_array().unwrap().last().unwrap()["shape"]);
    let values = values(21, columns, picture);
    let expected = bits(&predicted(at, model, &values, columns));
    assert_eq!(expected.len(), 21 * width, "{model}");
    let infer_path = server.infer();
    let request = |rows_of: &[f64], binary: bool| {
        let (mut request, bytes) = rows(rows_of, columns, binary);
        request["inputs"][0]["name"] = input["name"].clone();
        if binary {
            wanted(&mut request, &metadata);
        }
        infer(&infer_path, &request, &bytes)
    };
    let json = server.reply(&request(&values, false));
    assert_eq!(json.status, 200, "{model}: {}", json.error());
    assert_eq!(bits(&numbers_of(&json.json())), expected, "{model} in JSON");
    assert_eq!(bits(&server.reply(&request(&values, true)).numbers()), expected, "{model} in bytes");
    let mut connection = server.connect();
    for (i, row) in values.chunks_exact(columns).enumerate().take(5) {
        let answer = connection.reply(&request(row, true)).unwrap().numbers();
        assert_eq!(bits(&answer), expected[i * width..(i + 1) * width], "{model}, row {i} alone");
    }
    let batches = server.metric("ironlearn_batch_rows_count");
    std::thread::scope(|scope| {
        for (i, row) in values.chunks_exact(columns).enumerate() {
            let (server, request, expected) = (&server, &request, &expected);
            scope.spawn(move || {
                let answer = server.reply(&request(row, true)).numbers();
                assert_eq!(
                    bits(&answer),
                    expected[i * width..(i + 1) * width],
                    "{model}, row {i} among others"
                );
            });
        }
    });
    let gathered = server.metric("ironlearn_batch_rows_count") - batches;
    assert!(gathered < 21.0, "{model}: 21 rows in {gathered} batches");
    server.stop();
}

#[test]
fn answers_are_those_of_predict_to_the_bit() {
    let folder = folder();
    let at = folder.path();
    let few = "--set train.epochs=1 --quiet";
    for (name, _) in KINDS.iter().filter(|(name, _)| !["table", "text", "wide", "skips"].contains(name)) {
        succeeds(at, &format!("train {name}.toml --out {name} {few}"));
        compare(at, name, ["picture", "colours"].contains(name));
    }
    succeeds(at, "quantize classes --out codes.safetensors");
    compare(at, "codes.safetensors", false);
    succeeds(at, "export classes --onnx --out classes.onnx");
    compare(at, "classes.onnx", false);
}

#[test]
fn answers_without_a_network_are_those_of_predict_too() {
    let folder = folder();
    let at = folder.path();
    for kind in ["k-means", "gaussian-anomaly"] {
        let job = format!("data = {{ kind = \"arrays\", x = \"x.npy\" }}\nmodel.kind = \"{kind}\"\n");
        std::fs::write(at.join("job.toml"), job).unwrap();
        succeeds(at, &format!("train job.toml --out {kind} --quiet"));
        compare(at, kind, false);
    }
}

#[test]
fn a_table_takes_columns_by_name_and_answers_with_words() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train table.toml --out table --quiet");
    succeeds(at, "predict table --input table.csv --out answers.json");
    let answers = std::fs::read_to_string(at.join("answers.json")).unwrap();
    let expected: Value = serde_json::from_str(&answers).unwrap();
    let text = std::fs::read_to_string(at.join("table.csv")).unwrap();
    // Words with a comma in them stand in quotes.
    let cell = |line: &str, column: usize| {
        let line = line.replace("dark, green", "dark green");
        line.split(',').nth(column).unwrap().replace("dark green", "dark, green").replace('"', "")
    };
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let column = |place: usize| lines.iter().map(|line| cell(line, place)).collect::<Vec<_>>();
    let sizes: Vec<Option<f64>> = column(2).iter().map(|size| size.parse().ok()).collect();
    let zones: Vec<i64> = column(3).iter().map(|zone| zone.parse().unwrap()).collect();
    let input = |name: &str, datatype: &str, data: Value| json!({ "name": name, "shape": [lines.len(), 1], "datatype": datatype, "data": data });
    let mut server = Server::start(at, "table");
    let request = json!({ "id": "all", "inputs": [
        input("zone", "INT64", json!(zones)),
        input("size", "FP64", json!(sizes)),
        input("colour", "BYTES", json!(column(1))),
    ]});
    let reply = server.reply(&infer(&server.infer(), &request, &[]));
    assert_eq!(reply.status, 200, "{}", reply.error());
    let reply = reply.json();
    assert_eq!(
        (&reply["id"], &reply["model_name"], &reply["model_version"]),
        (&json!("all"), &json!("table"), &json!("1"))
    );
    let outputs = reply["outputs"].as_array().unwrap();
    let described: Vec<[&Value; 3]> =
        outputs.iter().map(|output| ["name", "datatype", "shape"].map(|key| &output[key])).collect();
    assert_eq!(json!(described), json!([["prediction", "BYTES", [40]], ["probabilities", "FP64", [40, 2]]]));
    for (i, row) in expected["predictions"].as_array().unwrap().iter().enumerate() {
        assert_eq!(outputs[0]["data"][i], row["prediction"], "row {i}");
        let both = [&row["probabilities"]["elm"], &row["probabilities"]["oak"]];
        assert_eq!([&outputs[1]["data"][2 * i], &outputs[1]["data"][2 * i + 1]], both, "row {i}");
    }
    let metadata = server.get("/v2/models/table/versions/1").json();
    assert_eq!(
        metadata["inputs"],
        json!([
            { "name": "colour", "datatype": "BYTES", "shape": [-1, 1] },
            { "name": "size", "datatype": "FP64", "shape": [-1, 1] },
            { "name": "zone", "datatype": "BYTES", "shape": [-1, 1] },
        ])
    );
    server.stop();
}

#[test]
fn health_and_metadata_are_those_of_the_protocol() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train regression.toml --out run --set train.epochs=1 --quiet");
    let mut server = Server::start(at, "run/last.safetensors --name prices");
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/prices/ready",
        "/v2/models/prices/versions/1/ready",
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let about = server.get("/v2").json();
    assert_eq!((&about["name"], &about["extensions"]), (&json!("ironlearn"), &json!(["binary_tensor_data"])));
    let metadata = server.get("/v2/models/prices");
    assert_eq!(metadata.header("content-type"), Some("application/json"));
    let expected = json!({
        "name": "prices",
        "versions": ["1"],
        "platform": "ironlearn",
        "inputs": [{ "name": "input", "datatype": "FP64", "shape": [-1, 3] }],
        "outputs": [{ "name": "prediction", "datatype": "FP64", "shape": [-1, 1] }],
    });
    assert_eq!(metadata.json(), expected);
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    // The connection of the request itself, once those of the others have ended.
    let began = Instant::now();
    while server.metric("ironlearn_connections") != 1.0 {
        assert!(began.elapsed() < Duration::from_secs(20), "connections are left");
    }
    server.stop();
}
