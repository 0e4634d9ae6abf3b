//! The jobs of the project, with their data: whole, or as small as a test wants them.

use ironlearn::io::original::DataSet;
use ironlearn::io::{idx, npy};
use ironlearn::job::Job;
use ironlearn_ir::{Array, Stored};
use ironlearn_testkit::tier;
use std::fs;
use std::path::{Path, PathBuf};

/// How much of the data sets that are large.
pub struct Size {
    /// Pictures of digits to train with, and to test with.
    pub digits: [usize; 2],
    /// Width and height of the original program's picture; all of it where there is none.
    pub side: Option<usize>,
}

/// Part of the tests, which also run where there is no source: the name and text of each job.
macro_rules! texts {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../../jobs/", $name, ".toml")))),*]
    };
}

/// The names and texts of all job files.
pub const JOBS: [(&str, &str); 14] = texts!(
    "fashion-cnn" "integers" "iris" "linear" "logistic" "mnist" "mnist-cnn" "names" "picture" "regression"
    "shakespeare" "shapes" "simba-original" "xor"
);

/// Job files that learn without a network, which is done on the processor alone: there is nothing to compare.
#[allow(dead_code, reason = "one of the tests that share this file asks")]
pub const WITHOUT_NETWORK: [(&str, &str); 2] = texts!("anomaly" "k-means");

/// The names of the files in the folder of jobs, where it is there.
#[allow(dead_code, reason = "one of the tests that share this file asks")]
pub fn files() -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs");
    let files = fs::read_dir(folder).ok()?.map(|file| file.unwrap().path());
    let mut names: Vec<String> = files.map(|f| f.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    Some(names)
}

/// A job of this name, whose data are cut to a size and written to `scratch` where they have to be; `None`, and a line
/// that says so, where there are no data.
pub fn job(name: &str, size: &Size, scratch: &Path, overrides: &[&str]) -> Option<Job> {
    let given = overrides.iter().map(|o| (*o).to_owned());
    let overrides: Vec<String> = data(name, size, scratch)?.into_iter().chain(given).collect();
    let text = JOBS.iter().find(|job| job.0 == name).unwrap().1;
    Some(Job::parse(text, &overrides).unwrap())
}

/// The overrides that name the data.
fn data(name: &str, size: &Size, scratch: &Path) -> Option<Vec<String>> {
    Some(match name {
        "picture" => Vec::new(),
        "mnist" | "mnist-cnn" | "fashion-cnn" | "integers" => digits(size.digits, scratch)?,
        "iris" | "regression" => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/iris.csv");
            if !path.is_file() {
                tier::skipped("a job", format!("{} is missing", path.display()));
                return None;
            }
            vec![format!("data.path={}", path.display())]
        }
        "shapes" => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/shapes");
            if !path.is_dir() {
                tier::skipped("a job", format!("{} is missing", path.display()));
                return None;
            }
            vec![format!("data.path={}", path.display())]
        }
        "names" | "shakespeare" => {
            let file = if name == "names" { "names" } else { "tinyshakespeare" };
            let text = fs::read_to_string(shared(&format!("text/{file}.txt"))?).unwrap();
            let end = text.char_indices().map(|(at, _)| at).nth(10 * size.digits[0]).unwrap_or(text.len());
            let path = scratch.join("text.txt");
            fs::write(&path, &text[..end]).unwrap();
            vec![format!("data.path={}", path.display())]
        }
        "simba-original" => {
            let whole = shared("iron_learn/image.json")?;
            let file = size.side.map_or(whole.clone(), |side| corner(&whole, side, scratch));
            vec![format!("data.path={}", file.display())]
        }
        _ => {
            let file = if name == "xor" { "neural_net" } else { name };
            vec![format!("data.path={}", shared(&format!("iron_learn/{file}.json"))?.display())]
        }
    })
}

/// A file of the shared data.
fn shared(name: &str) -> Option<PathBuf> {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("IRONLEARN_DATA").map_or_else(here, PathBuf::from).join(name);
    if path.is_file() {
        return Some(path);
    }
    tier::skipped("a job", format!("{} is missing", path.display()));
    None
}

/// The first pictures of the test part, the smaller file: some to train with, the next ones to test with.
fn digits([train, test]: [usize; 2], scratch: &Path) -> Option<Vec<String>> {
    let mut overrides = Vec::new();
    for (key, file) in [("x", "t10k-images-idx3-ubyte.gz"), ("y", "t10k-labels-idx1-ubyte.gz")] {
        let all = idx::read(&shared(&format!("mnist/{file}"))?).unwrap();
        for (suffix, start, rows) in [("", 0, train), ("_test", train, test)] {
            let path = scratch.join(format!("{key}{suffix}.npy"));
            npy::write(&path, rows_of::<u8>(&all, start, rows).view()).unwrap();
            overrides.push(format!("data.{key}{suffix}={}", path.display()));
        }
    }
    Some(overrides)
}

fn rows_of<T: Stored>(all: &Array, start: usize, rows: usize) -> Array {
    let width: usize = all.shape().iter().skip(1).product();
    let elements = all.as_slice::<T>().unwrap()[start * width..(start + rows) * width].to_vec();
    let shape: Vec<usize> = [rows].into_iter().chain(all.shape().iter().skip(1).copied()).collect();
    Array::of(shape, elements).unwrap()
}

/// The upper left corner of a picture that is a data set of positions and ink.
fn corner(whole: &Path, side: usize, scratch: &Path) -> PathBuf {
    let data = DataSet::read(whole).unwrap();
    let (x, y) = (data.x.as_slice::<f64>().unwrap(), data.y.as_slice::<f64>().unwrap());
    let within = |at: &[f64]| at.iter().all(|&c| c < side as f64);
    let rows: Vec<_> = x.chunks_exact(2).zip(y).filter(|(at, _)| within(at)).collect();
    let positions: Vec<f64> = rows.iter().flat_map(|(at, _)| at.iter().copied()).collect();
    let ink: Vec<f64> = rows.iter().map(|(_, ink)| **ink).collect();
    let path = scratch.join("corner.json");
    let text = format!(r#"{{"m":{},"n":2,"x":{positions:?},"y":{ink:?}}}"#, rows.len());
    fs::write(&path, text).unwrap();
    path
}
