//! Training in integers alone, from the first weight to the last step.
//!
//! A tensor is `i8` mantissas `q` with one exponent `e` for all of them, and stands for `q·2ᵉ`. Products are summed
//! in `i32`; every value is then shifted to 7 bits by its own largest element. Gradients are those of
//! back-propagation, rounded at random without bias by the counter-based generator; weights are kept in 16 bits,
//! momentum in 32. The step is a graph like any other, without a float in it, so that threads, instruction sets,
//! checkpoints and GPUs give the same bits. The arithmetic stands in `docs/integer-training.md`.
//!
//! ```
//! use ironlearn::prelude::*;
//! use ironlearn::quant::training::{IntegerNetwork, IntegerSgd, IntegerStep};
//!
//! let linear = |outputs| LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform };
//! let specs = [linear(8), LayerSpec::Activation(Activation::Relu), linear(2)];
//! let network = IntegerNetwork::from_specs([4], &specs, 1)?;
//! let mut step = IntegerStep::build(&Options::default(), &network, IntegerSgd::new(50).into(), 2)?;
//! let x = Array::of([2, 4], vec![200u8, 0, 200, 0, 0, 200, 0, 200]).unwrap();
//! let classes = Array::of([2], vec![0u8, 1]).unwrap();
//! for _ in 0..50 {
//!     step.run(&(&x, &classes))?;
//! }
//! assert_eq!(step.correct(), 2);
//! # Ok::<(), Error>(())
//! ```

mod backward;
mod forward;
mod infer;
mod initial;
mod layer;
mod loss;
mod model;
mod network;
mod optimizer;
mod rate;
mod rounding;
mod step;
mod tables;
#[cfg(test)]
mod tests;
mod trainer;
mod update;

pub use infer::IntegerInfer;
pub use network::{IntegerInput, IntegerNetwork};
pub use optimizer::{IntegerOptimizer, IntegerSchedule, IntegerSgd};
pub use step::IntegerStep;
pub use trainer::IntegerTraining;

/// The most products of two mantissas that are summed: `127²·2¹⁷` and a bias or a random number of 24 bits fit `i32`.
pub const MAX_TERMS: usize = 1 << 17;
