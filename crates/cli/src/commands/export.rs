//! `ironlearn export`.

use crate::args::{ExportOptions, Form, OnnxProfile};
use crate::console::Console;
use ironlearn::Error;
use ironlearn::io::atomic::write_atomically;
use ironlearn::io::read::exists;
use ironlearn::quant::export::{self, SourceOptions, onnx};
use ironlearn::task::{FloatNetwork, integer_model, model_path};
use serde_json::json;
use std::io::Write;
use std::path::Path;

pub fn run(options: &ExportOptions, console: &Console) -> Result<u8, Error> {
    let form = options.form.chosen();
    let path = model_path(&options.model);
    let out = options.out.clone().unwrap_or_else(|| path.with_extension(form.extension()));
    if options.out.is_none() && exists(&out)? {
        let problem = format!("{} exists already", out.display());
        return Err(Error::usage(problem, "say with --out where the export is to go"));
    }
    let floats = match form {
        Form::Rust | Form::C => None,
        Form::Onnx | Form::Safetensors | Form::Npz => FloatNetwork::load(&path)?,
    };
    let parameter_bytes = match (floats, form) {
        (Some(network), Form::Safetensors) => written(&network, network.save_torch(&out)),
        (Some(network), Form::Npz) => written(&network, network.save_npz(&out)),
        (Some(network), _) => written(&network, network.save_onnx(&out)),
        (None, Form::Safetensors | Form::Npz) => Err(Error::usage(
            format!(
                "{} is a network of integers, and only floats are written as such weights",
                path.display()
            ),
            "export it with --onnx, --rust or --c, or export the model that it was made of",
        )),
        (None, _) => integers(form, options, &path, &out),
    }?;
    console.say(&format!("written: {}", out.display()));
    console.object(&json!({ "out": out.display().to_string(), "parameter_bytes": parameter_bytes }));
    Ok(0)
}

/// The bytes of a network that has been written.
fn written(network: &FloatNetwork, result: Result<(), Error>) -> Result<usize, Error> {
    result.map(|()| network.parameter_bytes())
}

/// Writes a network of integers; the bytes of its parameters.
fn integers(form: Form, options: &ExportOptions, path: &Path, out: &Path) -> Result<usize, Error> {
    let model = integer_model(path)?;
    match form {
        Form::Rust => write(out, &export::rust(&model, &source(out))?)?,
        Form::C => write(out, &export::c(&model, &source(out))?)?,
        Form::Onnx | Form::Safetensors | Form::Npz => {
            let profile = match options.profile {
                OnnxProfile::Integer => onnx::Profile::Integer,
                OnnxProfile::Qdq => onnx::Profile::Qdq,
            };
            onnx::save(&model, profile, out)?;
        }
    }
    Ok(model.parameter_bytes())
}

/// The network is called as its file, in letters that a name may have.
fn source(out: &Path) -> SourceOptions {
    let stem = out.file_stem().map_or("network".into(), |stem| stem.to_string_lossy().into_owned());
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = stem.chars().map(letter).collect();
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let name = if starts { name } else { format!("network_{name}") };
    SourceOptions { name, ..SourceOptions::default() }
}

fn write(out: &Path, text: &str) -> Result<(), Error> {
    write_atomically(out, |file| file.write_all(text.as_bytes()))
}
