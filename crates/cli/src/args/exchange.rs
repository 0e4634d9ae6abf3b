//! The options of `export` and `import`.

use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct ExportOptions {
    /// A model, checkpoint or run directory; for --rust and --c a network of integers, as `ironlearn quantize` makes it
    pub model: PathBuf,
    #[command(flatten)]
    pub form: FormOptions,
    /// The operators of --onnx for a network of integers: integer for the same codes in every runtime, qdq for speed
    #[arg(long, value_name = "PROFILE", value_enum, default_value_t = OnnxProfile::Integer)]
    pub profile: OnnxProfile,
    /// Where it goes [default: <model> with the form's ending]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// What a network is exported as: one of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct FormOptions {
    /// One file of Rust without the standard library, allocation or floats
    #[arg(long)]
    pub rust: bool,
    /// One file of C99 with nothing but stdint.h
    #[arg(long)]
    pub c: bool,
    /// An ONNX model
    #[arg(long)]
    pub onnx: bool,
    /// The weights of a network of floats in PyTorch's layout and names
    #[arg(long)]
    pub safetensors: bool,
    /// The same arrays for NumPy
    #[arg(long)]
    pub npz: bool,
}

#[derive(Args)]
pub struct ImportOptions {
    /// An ONNX model (.onnx), or weights of PyTorch (.safetensors)
    pub file: PathBuf,
    /// The job whose network the weights belong to, and whose data say how rows are scaled
    #[arg(long, value_name = "JOB.toml")]
    pub job: Option<PathBuf>,
    /// Where the model goes [default: <file>.model.safetensors; an ONNX model is used as it is]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// End standard output with one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// A form of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Rust,
    C,
    Onnx,
    Safetensors,
    Npz,
}

impl FormOptions {
    /// The one that was chosen.
    pub fn chosen(&self) -> Form {
        match self {
            FormOptions { rust: true, .. } => Form::Rust,
            FormOptions { c: true, .. } => Form::C,
            FormOptions { safetensors: true, .. } => Form::Safetensors,
            FormOptions { npz: true, .. } => Form::Npz,
            _ => Form::Onnx,
        }
    }
}

impl Form {
    /// The ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Rust => "rs",
            Form::C => "c",
            Form::Onnx => "onnx",
            // A model file of Iron Learn has the shorter ending.
            Form::Safetensors => "torch.safetensors",
            Form::Npz => "npz",
        }
    }
}

/// Which operators an ONNX model has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum OnnxProfile {
    Integer,
    Qdq,
}
