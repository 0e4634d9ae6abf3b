//! What the tests of runs share: jobs of every kind with their data, the program, and the files that a run leaves.
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod faults;

use ironlearn::io::checkpoint::Checkpoint;
use ironlearn::io::npy;
use ironlearn::picture::Picture;
use ironlearn_ir::Array;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Jobs of every kind, by name. Together they have every optimizer, schedule, loss and element type, and all that a
/// checkpoint can hold: dropout, batch norm, moments, averages, plateaus, patience, skipped steps.
pub const KINDS: [(&str, &str); 14] = [
    (
        "picture",
        r#"data = { picture = "grey.png" }
        network.layers = [{ siren = 8 }, { dropout = 0.1 }, { linear = "targets", init = { siren = 30 } }]
        optimizer = { kind = "adam", average = 0.9 }
        schedule = { kind = "cosine", warmup = 1, restarts = 1 }
        train = { epochs = 4, batch = 30, seed = 3 }
        picture = { frames = 3, render = [13, 9] }"#,
    ),
    (
        "colours",
        r#"data = { picture = "colours.png" }
        network.layers = [{ fourier = 6 }, { linear = 9 }, "gelu", { residual = [{ linear = 9 }] }, { linear = "targets" }]
        optimizer = { kind = "adamw", weight_decay = 0.01, clip_norm = 0.5 }
        schedule = { kind = "one_cycle" }
        loss.kind = "huber"
        train = { epochs = 5, batch = 24, accumulate = 3, evaluate_every = 2, divide_optimizer = true }
        picture.frames = 0"#,
    ),
    (
        "regression",
        r#"data = { kind = "original", path = "numbers.json", targets = "standardised" }
        network.layers = [{ linear = 7 }, "tanh", { linear = "targets" }]
        optimizer = { kind = "sgd", rate = 0.05, momentum = 0.9, nesterov = true }
        schedule = { kind = "step", every = 4, factor = 0.5 }
        loss.kind = "mae"
        train = { epochs = 12, dtype = "f64" }"#,
    ),
    (
        "binary",
        r#"data = { kind = "original", path = "binary.json", task = "binary" }
        network.layers = [{ linear = 6 }, { leaky_relu = 0.1 }, { linear = "targets" }]
        optimizer = { kind = "rmsprop", momentum = 0.5, clip_value = 0.3 }
        schedule = { kind = "plateau", patience = 0, factor = 0.7 }
        loss = { kind = "bce", positive_weight = 2 }
        train = { epochs = 9, batch = 10, validation = 0.2, patience = 3 }"#,
    ),
    (
        "table",
        r#"data = { kind = "table", path = "table.csv", target = "kind", ignore = ["id"], words = ["zone"], missing = "median", unseen = "zeros", task = "classes" }
        network.layers = [{ linear = 8 }, "silu", { linear = "targets" }]
        loss.kind = "cross_entropy"
        train = { epochs = 6, batch = 12, validation = 0.25 }"#,
    ),
    (
        "images",
        r#"data = { kind = "images", path = "shades", size = [6, 6] }
        network.layers = ["random_flip", { random_shift = 1 }, { conv2d = 3, padding = 1 }, "batch_norm", "relu", { max_pool = 2 }, "flatten", { linear = "targets" }]
        loss = { kind = "cross_entropy", class_weights = "balanced" }
        train = { epochs = 4, batch = 4 }"#,
    ),
    (
        "text",
        r#"data = { kind = "text", path = "poem.txt", context = 6 }
        network.layers = [{ embedding = 5 }, { gru = 8 }, { linear = "targets" }]
        loss.kind = "cross_entropy"
        train = { epochs = 4, batch = 8, validation = 0.2, divide_optimizer = true }"#,
    ),
    (
        "classes",
        r#"data = { kind = "arrays", x = "x.npy", y = "y.npy", x_test = "x_test.npy", y_test = "y_test.npy", task = "classes" }
        network.layers = [{ linear = 12 }, "batch_norm", "relu", { dropout = 0.2 }, { linear = "targets" }]
        optimizer = { kind = "lion", rate = 0.003, average = 0.8 }
        schedule = { kind = "exponential", factor = 0.9 }
        loss = { kind = "cross_entropy", label_smoothing = 0.1 }
        train = { epochs = 5, batch = 16 }"#,
    ),
    (
        "halves",
        r#"data = { kind = "arrays", x = ["x-0.npy", "x-1.npy"], y = "y.npy", task = "classes" }
        network.layers = [{ linear = 16 }, "layer_norm", "silu", { sequential = [{ linear = 16 }, "rms_norm"], repeat = 2 }, { linear = "targets" }]
        optimizer = { kind = "adam", rate = 0.01 }
        loss.kind = "cross_entropy"
        train = { epochs = 4, batch = 20, precision = "bf16", validation = 0.25 }"#,
    ),
    (
        "filed",
        r#"data = { kind = "arrays", x = ["x-0.npy", "x-1.npy"], y = "y.npy", x_test = "x_test.npy", y_test = "y_test.npy", task = "classes", memory = 1, inputs = "standardised_as_one" }
        network.layers = [{ linear = 12 }, "tanh", { linear = "targets" }]
        loss = { kind = "cross_entropy", class_weights = "balanced" }
        train = { epochs = 4, batch = 16, divide_optimizer = true }"#,
    ),
    (
        "integers",
        r#"data = { kind = "arrays", x = "x.npy", y = "y.npy", x_test = "x_test.npy", y_test = "y_test.npy", task = "classes" }
        network.layers = [{ linear = 12 }, "relu", { linear = "targets" }]
        optimizer = { kind = "sgd", rate = 0.05, momentum = 0.75, weight_decay = 0.0009765625 }
        schedule.kind = "linear"
        loss.kind = "cross_entropy"
        train = { arithmetic = "integer", epochs = 5, batch = 14, patience = 3 }"#,
    ),
    (
        "skips",
        r#"data = { kind = "original", path = "outliers.json", inputs = "raw" }
        network.layers = [{ linear = "targets" }]
        optimizer = { kind = "sgd", rate = 0.01 }
        train = { epochs = 6, batch = 5, not_finite = "lower-rate" }"#,
    ),
    (
        "wide",
        r#"data = { picture = "", resize = [60, 50] }
        network.layers = [{ siren = 160 }, { siren = 160 }, { linear = "targets" }]
        train = { epochs = 2, batch = 1400 }
        picture.frames = 2"#,
    ),
    (
        "margin",
        r#"data = { kind = "original", path = "binary.json", task = "binary" }
        network.layers = [{ linear = 5, init = "orthogonal" }, "softplus", { linear = "targets" }]
        loss.kind = "hinge"
        optimizer = { kind = "sgd", rate = 0.05, average = 0.95 }
        train = { epochs = 3, batch = 7, accumulate = 2, dtype = "f64", not_finite = "skip" }"#,
    ),
];

/// A folder with the jobs of [`KINDS`], each in `NAME.toml`, and their data.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let put = |name: &str, text: &str| fs::write(at.join(name), text).unwrap();
    KINDS.iter().for_each(|(name, job)| put(&format!("{name}.toml"), job));
    let wave = |i: usize| ((i * 37 % 101) as f64 / 50.0) - 1.0;
    let table = |rows: usize, y: &dyn Fn(usize) -> f64| {
        let x: Vec<f64> = (0..rows * 3).map(wave).collect();
        let y: Vec<f64> = (0..rows).map(y).collect();
        json!({ "m": rows, "n": 3, "x": x, "y": y, "m_test": 2, "x_test": x[..6], "y_test": y[..2] })
    };
    put("numbers.json", &table(31, &|i| 100.0 + 7.0 * wave(3 * i) * wave(3 * i + 1)).to_string());
    let kind = |i: usize| f64::from(u8::from(wave(3 * i) > wave(3 * i + 2)));
    put("binary.json", &table(45, &kind).to_string());
    // The squares of two rows are beyond f32.
    let mut outliers = table(23, &wave);
    [10, 40].iter().for_each(|&i| outliers["x"][i] = json!(3e30));
    put("outliers.json", &outliers.to_string());
    let picture = |channels: usize| {
        let levels = (0..80 * channels).map(|i| (i * 37 % 251) as u8).collect();
        Picture::new(10, 8, channels, levels).unwrap()
    };
    picture(1).write_png(&at.join("grey.png")).unwrap();
    picture(3).write_png(&at.join("colours.png")).unwrap();
    let mut cells = String::from("id,colour,size,zone,kind\n");
    for i in 0..40 {
        let colour = ["red", "blue", "\"dark, green\""][i * 7 % 5 % 3];
        let size = if i % 9 == 4 { String::new() } else { format!("{:.3}", wave(i)) };
        let kind = ["oak", "elm"][i * 7 % 5 / 3];
        cells += &format!("{i},{colour},{size},{},{kind}\n", 100 + i * i % 3);
    }
    put("table.csv", &cells);
    put("poem.txt", &"the oak, the elm\nthe ash, the oak\n".repeat(12));
    for (class, level) in [("dark", 40), ("light", 200)] {
        fs::create_dir_all(at.join("shades").join(class)).unwrap();
        for i in 0..7 {
            let levels = (0..64).map(|p| (level + (p * 13 + i * 29) % 50) as u8).collect();
            let file = at.join("shades").join(class).join(format!("{i}.png"));
            Picture::new(8, 8, 1, levels).unwrap().write_png(&file).unwrap();
        }
    }
    for (suffix, rows) in [("", 70), ("_test", 20)] {
        let x = (0..rows * 6).map(|i| wave(i * 3 + rows) as f32).collect();
        let x: Array = Array::of([rows, 2, 3], x).unwrap();
        npy::write(&at.join(format!("x{suffix}.npy")), x.view()).unwrap();
        let y: Vec<u8> = (0..rows).map(|i| (i * 7 % 5 % 3) as u8).collect();
        // The same rows in two files.
        for (i, range) in [0..30 * 6, 30 * 6..70 * 6].into_iter().enumerate().filter(|_| suffix.is_empty()) {
            let part = x.as_slice::<f32>().unwrap()[range].to_vec();
            let part = Array::of([part.len() / 6, 2, 3], part).unwrap();
            npy::write(&at.join(format!("x-{i}.npy")), part.view()).unwrap();
        }
        npy::write(&at.join(format!("y{suffix}.npy")), Array::of([rows], y).unwrap().view()).unwrap();
    }
    folder
}

/// The program, to be run in a folder.
pub fn program(folder: &Path) -> Command {
    in_folder(Command::new(env!("CARGO_BIN_EXE_ironlearn")), folder)
}

/// A command that runs the program in a folder.
pub fn in_folder(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env("NO_COLOR", "1").env_remove("IRONLEARN_DATA");
    // The same bits and words where there is a GPU.
    command.env("CUDA_VISIBLE_DEVICES", "");
    command
}

/// Runs the program with arguments that hold no spaces.
pub fn ironlearn(folder: &Path, arguments: &str) -> Output {
    program(folder).args(arguments.split_whitespace()).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the program, which must succeed; the object that it prints with `--json`, else null.
pub fn succeeds(folder: &Path, arguments: &str) -> Value {
    let output = ironlearn(folder, arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "ironlearn {arguments}: {:?}\n{out}{err}", output.status);
    out.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

/// Runs the program, which must succeed; what it writes to standard output.
pub fn says(folder: &Path, arguments: &str) -> String {
    let output = ironlearn(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Files by their names in a run directory.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The files below a run directory, but for those of which two equal runs have different ones: the times,
/// and the lock.
pub fn files(run: &Path) -> Files {
    let mut found = BTreeMap::new();
    add_files(run, Path::new(""), &mut found);
    found.remove(Path::new("times.csv"));
    found.remove(Path::new("lock"));
    found
}

fn add_files(run: &Path, below: &Path, found: &mut Files) {
    for entry in fs::read_dir(run.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            add_files(run, &name, found);
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// The files but for those that belong to a moment that is over, and which the program has said to be missing: they
/// are so for good.
pub fn still_possible(files: &Files, said: &str) -> Files {
    let mut files = files.clone();
    let best = Path::new("best.safetensors");
    files.retain(|name, _| {
        let of_frames = name.starts_with("frames") || name.ends_with("timelapse.gif");
        let is_kept = name.starts_with("best") && said.contains("best/");
        !(of_frames && said.contains("frames")
            || name == best && said.contains("best.safetensors")
            || is_kept)
    });
    files
}

/// What is different between the files of two runs; none where they are the same.
pub fn difference(expected: &Files, found: &Files) -> Option<String> {
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    if names(expected) != names(found) {
        return Some(format!("files {:?}, not {:?}", names(found), names(expected)));
    }
    let other = expected.iter().find(|(name, bytes)| found[*name] != **bytes)?;
    Some(format!("{} has other bytes", other.0.display()))
}

/// The checkpoints that stand in a run directory are whole: what is wrong with one that is not.
pub fn damaged(run: &Path) -> Option<String> {
    ["last.safetensors", "best.safetensors"]
        .iter()
        .map(|name| run.join(name))
        .filter(|path| path.exists())
        .find_map(|path| match Checkpoint::load(&path) {
            Ok(checkpoint) if checkpoint.verified => None,
            Ok(_) => Some(format!("{} has no checksums", path.display())),
            Err(error) => Some(error.to_string()),
        })
}
