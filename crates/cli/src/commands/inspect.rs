//! `ironlearn inspect`: what a file or a run directory holds.

use crate::args::InspectOptions;
use crate::console::Console;
use crate::progress::short;
use ironlearn::io::arrays::{Summary, summaries};
use ironlearn::io::checkpoint::load_header;
use ironlearn::io::original::{DataSet, Model};
use ironlearn::io::{idx, read};
use ironlearn::job::Job;
use ironlearn::table::{Field, FieldKind, Table};
use ironlearn::task;
use ironlearn::{Error, FileError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::path::Path;

/// What is shown: a text for people and an object for programs.
struct Shown {
    text: String,
    object: Value,
}

pub fn run(options: &InspectOptions, console: &Console) -> Result<u8, Error> {
    let shown = look(&options.file)?;
    console.say(shown.text.trim_end());
    console.object(&shown.object);
    Ok(0)
}

fn look(path: &Path) -> Result<Shown, Error> {
    if path.is_dir() {
        return run_directory(path);
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_lowercase().as_str() {
        "toml" => job(path),
        "safetensors" => checkpoint(path),
        "json" => original(path),
        "csv" | "parquet" => table(path),
        "npy" | "npz" => arrays(path),
        _ if idx::is_named_so(path) => arrays(path),
        _ => {
            // Opened first, so that a file that is missing or no file is reported as that.
            read::Source::open(path)?;
            let known = "ironlearn inspects .toml, .safetensors, .json, .csv, .parquet, .npy, .npz and IDX files and \
                         run directories";
            Err(FileError::new(path, "not a kind of file that can be inspected").hint(known).into())
        }
    }
}

fn job(path: &Path) -> Result<Shown, Error> {
    let job = Job::load(path, &[] as &[&str])?;
    Ok(Shown { text: job.to_toml(), object: json!({ "kind": "job", "job": job.to_json() }) })
}

/// The job of a run, the last row of its metrics, and its checkpoints.
fn run_directory(path: &Path) -> Result<Shown, Error> {
    let job_file = path.join("job.toml");
    if !read::exists(&job_file)? {
        let problem = format!("{} is no run directory: it holds no job.toml", path.display());
        return Err(Error::usage(problem, "name a file, or the directory that `ironlearn train` made"));
    }
    let job = job(&job_file)?;
    let rows = path.join("metrics.jsonl");
    let rows = if read::exists(&rows)? { read::text(&rows)? } else { String::new() };
    let last: Option<Value> = rows.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let mut checkpoints = Vec::new();
    for name in ["last.safetensors", "best.safetensors"] {
        if read::exists(&path.join(name))? {
            checkpoints.push(name);
        }
    }
    let shown = last.as_ref().map_or("none".to_owned(), Value::to_string);
    let mut text = format!("{}\nlast evaluation: {shown}\ncheckpoints: {}", job.text, checkpoints.join(", "));
    let kept = task::kept_checkpoints(path)?;
    for (number, kept) in (1..).zip(&kept) {
        let shown = kept.path.strip_prefix(path).unwrap_or(&kept.path).display();
        text.push_str(&format!("\nbest {number}: epoch {}, loss {}, {shown}", kept.epoch, short(kept.loss)));
    }
    let object_of = |kept: &task::KeptCheckpoint| {
        let path = kept.path.to_string_lossy();
        json!({ "epoch": kept.epoch, "loss": kept.loss, "path": path })
    };
    let object = json!({
        "kind": "run",
        "job": job.object["job"],
        "last_evaluation": last,
        "checkpoints": checkpoints,
        "kept": kept.iter().map(object_of).collect::<Vec<_>>(),
    });
    Ok(Shown { text, object })
}

/// The columns of a table, and what each of them holds.
fn table(path: &Path) -> Result<Shown, Error> {
    let table = Table::read(path)?;
    let mut text = format!("{} rows\n{:<24} {:<18} {:>8}\n", table.rows(), "column", "holds", "missing");
    let mut columns = Vec::new();
    for column in (0..table.names().len()).map(|column| table.look_at(column)) {
        let holds = column.contents.to_string();
        let range = column.range.map_or(String::new(), |[least, mean, most]| {
            format!("{} to {}, mean {}", short(least), short(most), short(mean))
        });
        let words = match column.words.len() {
            0 => String::new(),
            n => format!("{n} different: {}", beginning(&column.words.join(", "))),
        };
        let line = format!("{:<24} {holds:<18} {:>8}  {range}{words}", column.name, column.missing);
        text.push_str(&format!("{}\n", line.trim_end()));
        columns.push(json!({
            "name": column.name,
            "holds": holds,
            "missing": column.missing,
            "range": column.range,
            "different_words": column.words.len(),
        }));
    }
    Ok(Shown { text, object: json!({ "kind": "table", "rows": table.rows(), "columns": columns }) })
}

/// The arrays of a file, and what they hold.
fn arrays(path: &Path) -> Result<Shown, Error> {
    let mut text = format!("{:<24} {:<5} {:<20} holds\n", "array", "type", "shape");
    let mut arrays = Vec::new();
    for Summary { name, dtype, shape, range, not_finite } in summaries(path)? {
        let mut holds = range.map_or("nothing".to_owned(), |[least, mean, most]| {
            format!("{} to {}, mean {}", short(least), short(most), short(mean))
        });
        if not_finite > 0 {
            holds.push_str(&format!(", and {not_finite} that are no finite numbers"));
        }
        let shown = if name.is_empty() { "-" } else { &name };
        text.push_str(&format!(
            "{shown:<24} {:<5} {:<20} {holds}\n",
            dtype.to_string(),
            format!("{shape:?}")
        ));
        arrays.push(json!({
            "name": name,
            "dtype": dtype.to_string(),
            "shape": shape,
            "range": range,
            "not_finite": not_finite,
        }));
    }
    Ok(Shown { text, object: json!({ "kind": "arrays", "arrays": arrays }) })
}

fn checkpoint(path: &Path) -> Result<Shown, Error> {
    let header = load_header(path)?;
    let summary = task::summary(path, &header.meta)?;
    let table = summary.as_ref().map_or(String::new(), |summary| format!("{summary}\n"));
    let mut text = table + &format!("{} tensors, {} bytes\n", header.tensors.len(), header.file_bytes);
    let columns = task::columns(path, &header.meta)?;
    if !columns.is_empty() {
        text.push_str("takes tables with these columns:\n");
    }
    for Field { name, kind } in &columns {
        text.push_str(&format!("  {name:<38} {}\n", beginning(&wanted(kind))));
    }
    let mut tensors = Vec::new();
    for tensor in &header.tensors {
        let shape: Vec<usize> = tensor.shape.dims().to_vec();
        text.push_str(&format!("{:<40} {:<5} {shape:?}\n", tensor.name, tensor.stored));
        tensors.push(json!({ "name": tensor.name, "dtype": tensor.stored, "shape": shape }));
    }
    for (key, value) in &header.meta {
        text.push_str(&format!("{key}: {}\n", beginning(value)));
    }
    let object = json!({
        "kind": "checkpoint",
        "parameters": summary.map(|summary| summary.parameters()),
        "bytes": header.file_bytes,
        "tensors": tensors,
        "columns": columns,
        "texts": header.meta,
    });
    Ok(Shown { text, object })
}

/// What a column of a table has to hold for a model.
fn wanted(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Number { fill: None } => "a number".into(),
        FieldKind::Number { fill: Some(fill) } => {
            format!("a number, or nothing, which counts as {}", short(*fill))
        }
        FieldKind::Words { words, fill: None } => format!("a word: {}", words.join(", ")),
        FieldKind::Words { words, fill: Some(fill) } => {
            let fill = words.get(*fill).map_or("none", String::as_str);
            format!("a word, or nothing, which counts as {fill}: {}", words.join(", "))
        }
    }
}

/// What tells the files of the original program apart.
#[derive(Deserialize)]
struct Kind {
    layers: Option<IgnoredAny>,
}

/// A JSON file of the original program: a model if it has layers, else a data set.
fn original(path: &Path) -> Result<Shown, Error> {
    let text = read::whole(path, read::MAX_TEXT_BYTES)?;
    let kind: Kind = serde_json::from_slice(&text).map_err(|error| FileError::json(path, &error))?;
    if kind.layers.is_some() {
        let model = Model::parse(path, &text)?;
        let (layers, parameters) = (model.layers.len(), model.parameters());
        let epoch = model.epoch.map_or("unknown".to_owned(), |epoch| epoch.to_string());
        let object = json!({
            "kind": "original_model",
            "layers": layers,
            "parameters": parameters,
            "epoch": model.epoch,
            "learning_rate": model.learning_rate,
        });
        let text = format!(
            "a model of the original Iron Learn\nlayers     {layers}\nparameters {parameters}\nepoch      {epoch}"
        );
        return Ok(Shown { text, object });
    }
    let data = DataSet::parse(path, &text)?;
    let (rows, columns) = (data.x.shape()[0], data.x.shape()[1]);
    let test = data.x_test.map_or(0, |x| x.shape()[0]);
    let object = json!({ "kind": "original_data", "rows": rows, "columns": columns, "test_rows": test });
    let text = format!(
        "a data set of the original Iron Learn\nrows       {rows}\ncolumns    {columns}\ntest rows  {test}"
    );
    Ok(Shown { text, object })
}

/// The first line of a text, cut to a readable length.
fn beginning(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(100).collect();
    if cut.len() < text.len() { format!("{cut} …") } else { cut }
}
