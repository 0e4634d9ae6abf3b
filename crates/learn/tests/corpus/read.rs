//! The library's readers, by their names in the corpus.

use ironlearn::exchange::onnx::OnnxModel;
use ironlearn::io::original::{DataSet, Model, Vocabulary};
use ironlearn::io::{Checkpoint, checkpoint, csv, idx, npy, npz::Npz, read};
use ironlearn::job::Job;
use ironlearn::picture::Picture;
use ironlearn::prelude::*;
use ironlearn::task::{self, Trained};
use ironlearn::{Error, Options};
use ironlearn_testkit::corpus::Reader;
use std::path::Path;

/// Four rows of inputs, for the readers of targets.
const INPUTS: &str = "x.npy";
const NONE: [&str; 0] = [];

/// What is set up once in a process, such as its threads, is no cost of the first file.
pub fn warm_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    std::fs::write(&path, "[data]\nresize = [2, 2]\n[train]\nepochs = 1\n").unwrap();
    let _ = run(&path);
}

pub fn read(reader: Reader, path: &Path, folder: &Path) -> Result<(), Error> {
    match reader {
        Reader::Checkpoint => {
            // Whoever reads the header alone sees every mistake in it.
            let header = checkpoint::load_header(path).map(drop);
            let all = Checkpoint::load(path).map(drop);
            assert!(header.is_ok() || all.is_err(), "the header is refused alone");
            all
        }
        Reader::ModelFile => Trained::load(path, &Options::default()).map(drop),
        Reader::Npy => npy::read(path).map(drop),
        Reader::Rows => Dataset::open(path, path).map(drop),
        Reader::Npz => Npz::open(path)?.read("x").map(drop),
        Reader::Idx => idx::read(path).map(drop),
        Reader::Onnx => OnnxModel::read(path).map(drop),
        Reader::Csv => csv::read(path).map(drop),
        Reader::Picture => Picture::read(path).map(drop),
        Reader::OriginalData => DataSet::read(path).map(drop),
        Reader::OriginalModel => {
            Model::read(path).and_then(|_| Trained::load(path, &Options::default())).map(drop)
        }
        Reader::Vocabulary => Vocabulary::read(path).map(drop),
        Reader::Job => Job::load(path, &NONE).map(drop),
        Reader::Run => run(path),
        Reader::Text => read::text(path).map(drop),
        Reader::Classes => targets("classes", "cross_entropy", path, folder),
        Reader::Binary => targets("binary", "bce", path, folder),
        Reader::Numbers => targets("regression", "mse", path, folder),
    }
}

/// Loads the data of a job in which the file has the targets.
fn targets(task: &str, loss: &str, path: &Path, folder: &Path) -> Result<(), Error> {
    let inputs = folder.join(INPUTS);
    if !inputs.exists() {
        npy::write(&inputs, Tensor::<f64>::zeros([4, 2])?.view())?;
    }
    let set = [
        "data.kind=arrays".to_owned(),
        format!("data.x={}", inputs.display()),
        format!("data.y={}", path.display()),
        format!("data.task={task}"),
        format!("loss.kind={loss}"),
    ];
    task::Data::load(&Job::parse("", &set)?).map(drop)
}

/// Carries a job out, in a folder of its own.
fn run(path: &Path) -> Result<(), Error> {
    let job = Job::load(path, &NONE)?;
    let folder = tempfile::tempdir().unwrap();
    let request = task::Request {
        job: &job,
        options: Options::default(),
        ranks: None,
        resume_from: None,
        directory: folder.path(),
        last: folder.path().join("last.safetensors"),
        best: folder.path().join("best.safetensors"),
    };
    let outcome = task::train(&request, &mut ironlearn::train::Silent)?;
    match outcome.save_failure {
        Some(failure) => Err(Error::usage(failure, "")),
        None => Ok(()),
    }
}
