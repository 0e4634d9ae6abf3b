//! A network of integers as source code: one file of Rust without the standard library or of C99, for machines of
//! any size.
//!
//! The flow: the `Program` of a network says, for no language in particular, which arrays there are, where values
//! lie and which kernels are called; a language writes it down with its own kernels, of which a file has those that
//! its network calls. There are no floats in it: the codes are those of the network everywhere.

mod c;
mod calls;
mod kernels;
mod memory;
mod program;
mod rust;
#[cfg(test)]
mod tests;
mod text;
mod vector;

use super::super::model::IntegerModel;
use crate::Error;
use program::Program;

/// How a network becomes source code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// What the network is called: in comments, and before every public name in C.
    pub name: String,
    /// The row of the self-test; a row of random codes where there is none.
    pub example: Option<Vec<i32>>,
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions { name: "network".into(), example: None }
    }
}

/// A network as a file of Rust: `#![no_std]`, `#![forbid(unsafe_code)]`, without allocation, floats or panics.
///
/// It has `infer(input, output, scratch)`, a type `Scratch` for what lies between layers, and `self_test()`. It is a
/// crate as it stands, and a module where one says `mod name;`. Where a network takes numbers of tokens, `infer` is
/// false for one that is not of the vocabulary.
///
/// ```
/// use ironlearn::quant::export::{SourceOptions, rust};
/// use ironlearn::quant::model::{Edge, IntegerModel, Op};
/// use ironlearn::quant::{Code, Quantization};
///
/// let codes = Quantization { code: Code::I8, scale: 0.5, zero_point: 0 };
/// let mut model = IntegerModel::new(Edge::new([3], codes));
/// let square = (-128..128i32).map(|c| (c * c / 2).min(127)).collect();
/// model.push("square", Op::Table(square), &[0], Edge::new([3], codes));
/// let text = rust(&model, &SourceOptions { name: "square".into(), example: Some(vec![-4, 1, 100]) })?;
/// assert!(text.contains("pub fn infer(input: &[i8; 3], output: &mut [i8; 3], scratch: &mut Scratch)"));
/// # Ok::<(), ironlearn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Usage`] where the network is not whole, or has what integers cannot do: rounding as ONNX Runtime does,
/// windows over more than two axes.
pub fn rust(model: &IntegerModel, options: &SourceOptions) -> Result<String, Error> {
    let program = Program::of(model, options)?;
    Ok(rust::file(&program))
}

/// A network as a file of C99 that includes `stdint.h` and nothing else, without undefined behaviour.
///
/// It has `NAME_infer(input, output, scratch)`, a type `NAME_scratch`, and `NAME_self_test()`. Other files get the
/// declarations alone by `#define NAME_HEADER` before they include it. Where a network takes numbers of tokens,
/// `NAME_infer` is 0 for one that is not of the vocabulary.
///
/// # Errors
/// As [`rust`].
pub fn c(model: &IntegerModel, options: &SourceOptions) -> Result<String, Error> {
    let program = Program::of(model, options)?;
    Ok(c::file(&program))
}
