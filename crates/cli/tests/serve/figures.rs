//! Requests a second, and how long they take: a network of the size that MNIST's digits need. Ignored: the figures mean
//! something of an optimised program on a machine that does nothing else.

use crate::client::{Server, infer};
use crate::common::{folder, succeeds};
use ironlearn::io::npy;
use ironlearn_ir::Array;
use ironlearn_testkit::tier::report;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const COLUMNS: usize = 784;
const LASTS: Duration = Duration::from_secs(6);

const JOB: &str = r#"data = { kind = "arrays", x = "x.npy", y = "y.npy", task = "classes" }
    network.layers = [{ linear = 128 }, "relu", { linear = "targets" }]
    loss.kind = "cross_entropy"
    train.epochs = 1"#;

fn pixel(i: usize) -> f32 {
    (i * 37 % 256) as f32 / 255.0
}

fn model(at: &Path) {
    let x: Vec<f32> = (0..512 * COLUMNS).map(pixel).collect();
    npy::write(&at.join("x.npy"), Array::of([512, COLUMNS], x).unwrap().view()).unwrap();
    let y: Vec<u8> = (0..512).map(|i| (i % 10) as u8).collect();
    npy::write(&at.join("y.npy"), Array::of([512], y).unwrap().view()).unwrap();
    fs::write(at.join("digits.toml"), JOB).unwrap();
    succeeds(at, "train digits.toml --out digits --quiet");
}

/// A request with so many rows, in bytes or in JSON; only the probabilities are wanted.
fn request(server: &Server, rows: usize, binary: bool) -> Vec<u8> {
    let values: Vec<f32> = (0..rows * COLUMNS).map(pixel).collect();
    let mut input = json!({ "name": "input", "shape": [rows, COLUMNS], "datatype": "FP32" });
    let outputs = json!([{ "name": "probabilities", "parameters": { "binary_data": binary } }]);
    if !binary {
        input["data"] = json!(values);
        return infer(&server.infer(), &json!({ "inputs": [input], "outputs": outputs }), &[]);
    }
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    input["parameters"] = json!({ "binary_data_size": bytes.len() });
    infer(&server.infer(), &json!({ "inputs": [input], "outputs": outputs }), &bytes)
}

/// The seconds that requests take, by so many clients, each of which asks when it has its answer, or at a pace.
fn times(server: &Server, asked: &[u8], clients: usize, pause: Duration) -> Vec<f64> {
    let began = Instant::now();
    let client = |first: usize| {
        let mut connection = server.connect();
        let mut times = Vec::new();
        let mut next = began + pause.mul_f64(first as f64 / clients as f64);
        while began.elapsed() < LASTS {
            sleep(next.saturating_duration_since(Instant::now()));
            // At a pace, the time that a request waits for its client counts.
            let due = if pause.is_zero() { Instant::now() } else { next };
            next += pause;
            assert_eq!(connection.reply(asked).unwrap().status, 200);
            times.push(due.elapsed().as_secs_f64());
        }
        times
    };
    let mut all: Vec<f64> = scope(|scope| {
        let client = &client;
        let all: Vec<_> = (0..clients).map(|first| scope.spawn(move || client(first))).collect();
        all.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    all.sort_by(f64::total_cmp);
    all
}

fn line(title: &str, times: &[f64], rows: usize) -> f64 {
    let at = |share: f64| 1e3 * times[((times.len() - 1) as f64 * share) as usize];
    let rate = times.len() as f64 / LASTS.as_secs_f64();
    report(
        "serve",
        format!(
            "{title}: {rate:.0} requests/s, {:.0} rows/s, {:.2} ms in the median, {:.2} ms at 99 %",
            rate * rows as f64,
            at(0.5),
            at(0.99)
        ),
    );
    rate
}

#[test]
#[ignore = "figures of an optimised program"]
fn requests_a_second_and_their_times() {
    let folder = folder();
    model(folder.path());
    for options in ["", " --max-wait 2"] {
        let mut server = Server::start(folder.path(), &format!("digits{options}"));
        let mut most: f64 = 0.0;
        for (clients, rows, binary) in [
            (1, 1, true),
            (1, 1, false),
            (8, 1, true),
            (32, 1, true),
            (8, 1, false),
            (1, 64, true),
            (4, 64, true),
        ] {
            let form = if binary { "bytes" } else { "JSON" };
            let times = times(&server, &request(&server, rows, binary), clients, Duration::ZERO);
            let rate = line(&format!("{clients} clients, {rows} rows in {form}{options}"), &times, rows);
            most = most.max(if rows == 1 && binary { rate } else { 0.0 });
        }
        let clients = 32;
        let pause = Duration::from_secs_f64(4.0 * clients as f64 / most);
        let times = times(&server, &request(&server, 1, true), clients, pause);
        line(&format!("a quarter of the most, 1 row in bytes{options}"), &times, 1);
        let rows = server.metric("ironlearn_batch_rows_sum") / server.metric("ironlearn_batch_rows_count");
        report("serve", format!("{rows:.1} rows in a batch in the mean"));
        server.stop();
    }
}
