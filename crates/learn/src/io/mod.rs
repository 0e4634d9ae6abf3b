//! Files: bounded reading, atomic writing, and the formats.
//!
//! | room | what |
//! |---|---|
//! | [`read`] | opening files safely, reading no more than is there |
//! | [`atomic`] | writing a file so that it is there whole or not at all |
//! | [`arrays`] | what arrays in files are: their types, shapes and ranges |
//! | [`csv`] | matrices of numbers as text |
//! | [`npy`] | NumPy's `.npy` |
//! | [`npz`] | several of them in one file |
//! | [`idx`], [`gz`] | the format of the MNIST files, compressed or not |
//! | [`checkpoint`] | safetensors with checksums |
//! | [`onnx`] | the messages of ONNX models |
//! | [`events`] | the event files that TensorBoard reads |
//! | [`original`] | the JSON files of the original Iron Learn program |

pub mod arrays;
pub mod atomic;
pub(crate) mod base64;
pub(crate) mod bytes;
pub mod checkpoint;
pub(crate) mod checksum;
mod crc32c;
pub mod csv;
pub mod events;
pub mod gz;
mod header;
pub mod idx;
pub mod npy;
pub mod npz;
pub mod onnx;
pub mod original;
pub mod read;

pub use checkpoint::Checkpoint;

#[cfg(test)]
pub(crate) mod damage;
