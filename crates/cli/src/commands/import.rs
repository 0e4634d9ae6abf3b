//! `ironlearn import`.

use crate::args::ImportOptions;
use crate::console::Console;
use ironlearn::exchange::onnx::OnnxModel;
use ironlearn::io::read::exists;
use ironlearn::job::Job;
use ironlearn::task::FloatNetwork;
use ironlearn::{Error, FileError};
use serde_json::json;
use std::path::Path;

pub fn run(options: &ImportOptions, console: &Console) -> Result<u8, Error> {
    let extension = options.file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match (extension.to_lowercase().as_str(), &options.job) {
        ("onnx", None) => onnx(options, console),
        ("onnx", Some(_)) => Err(Error::usage("an ONNX model brings its own network", "leave out --job")),
        ("safetensors", Some(job)) => weights(options, job, console),
        ("safetensors", None) => Err(Error::usage(
            "weights alone are no network",
            "name the job whose network they belong to with --job JOB.toml",
        )),
        _ => {
            // Opened first, so that a file that is missing is reported as that.
            ironlearn::io::read::Source::open(&options.file)?;
            let known = "ironlearn imports .onnx and .safetensors files";
            Err(FileError::new(&options.file, "not a kind of file that is imported").hint(known).into())
        }
    }
}

/// Shows what a model holds; it is used as it is.
fn onnx(options: &ImportOptions, console: &Console) -> Result<u8, Error> {
    if options.out.is_some() {
        let hint =
            format!("leave out --out, and apply the model: ironlearn predict {}", options.file.display());
        return Err(Error::usage("an ONNX model is used as it is, no other file is made of it", hint));
    }
    let model = OnnxModel::read(&options.file)?;
    for input in model.inputs() {
        console.say(&format!("input  {input}"));
    }
    for output in model.outputs() {
        console.say(&format!("output {output}"));
    }
    let store = model.scope().store();
    let parameters: usize = store.trainable().into_iter().map(|id| store.ty(id).shape.elements()).sum();
    console.say(&format!("{} nodes, {parameters} parameters; every operator is supported", model.nodes()));
    let inputs: Vec<String> = model.inputs().iter().map(ToString::to_string).collect();
    console.object(&json!({
        "inputs": inputs,
        "outputs": model.outputs(),
        "nodes": model.nodes(),
        "parameters": parameters,
    }));
    Ok(0)
}

/// Makes a model file of a job and weights.
fn weights(options: &ImportOptions, job: &Path, console: &Console) -> Result<u8, Error> {
    let out = options.out.clone().unwrap_or_else(|| options.file.with_extension("model.safetensors"));
    if options.out.is_none() && exists(&out)? {
        let problem = format!("{} exists already", out.display());
        return Err(Error::usage(problem, "say with --out where the model is to go"));
    }
    let job = Job::load(job, &[] as &[&str])?;
    let network = FloatNetwork::from_torch(&job, &options.file)?;
    network.save(&job, &out)?;
    console.say(&format!("written: {}", out.display()));
    console
        .object(&json!({ "out": out.display().to_string(), "parameter_bytes": network.parameter_bytes() }));
    Ok(0)
}
