//! From a network of floats to one of integers: after its training, or with more training that knows of the integers.
//!
//! ```
//! use ironlearn::prelude::*;
//! use ironlearn::quant::from_float::{Quantizer, Settings};
//!
//! let network = Network::<f32>::builder([2]).linear(8).relu().linear(1).build(7)?;
//! let rows = Array::of([4, 2], vec![0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).unwrap();
//! let quantizer = Quantizer::new(&network, Settings::default())?;
//! let quantized = quantizer.quantize(&rows)?;
//! println!("{}", quantized.report);
//! assert!(quantized.report.layers.last().unwrap().signal_to_noise > 30.0);
//! # Ok::<(), Error>(())
//! ```

mod agreement;
mod codes;
mod compile;
mod digits;
mod function;
mod lower;
mod network;
mod observer;
mod parameters;
mod quantizer;
mod report;
mod rows;
mod settings;
mod simulation;
#[cfg(test)]
mod tests;
mod trace;
mod training;

pub use agreement::Agreement;
pub use codes::Codes;
pub use function::Function;
pub use network::{Bound, Digit, FloatModel, FloatNode, FloatOp, Folded, Weights};
pub use observer::Observer;
pub use quantizer::{Quantized, Quantizer};
pub use report::{LayerReport, Report};
pub use settings::Settings;
pub use simulation::Simulated;
