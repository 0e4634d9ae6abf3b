//! Iron Learn: neural networks in floats and in integers.
#![forbid(unsafe_code)]

pub mod anomaly;
pub mod cluster;
pub mod data;
mod error;
pub mod exchange;
mod init;
pub mod io;
pub mod job;
pub mod linear_model;
pub mod loss;
pub mod memory;
pub mod metric;
pub mod nn;
mod number;
pub mod optim;
pub mod picture;
pub mod quant;
pub mod ranks;
pub mod report;
mod rows;
pub mod schedule;
mod scope;
pub mod step;
pub mod table;
pub mod task;
pub mod tensor;
pub mod text;
pub mod train;

pub use data::Dataset;
pub use error::{Error, FileError, Place};
pub use init::Init;
pub use ironlearn_cpu::Cpu;
#[cfg(feature = "cuda")]
pub use ironlearn_cuda::{Cuda, CudaError};
pub use ironlearn_ir::profile::{SharedWork, StepProfile};
pub use ironlearn_ir::{Blame, Phase};
pub use ironlearn_ir::{Element, Int, Num, Real, bf16, f16};
pub use loss::Loss;
pub use metric::Metric;
pub use nn::{Activation, Layer, LayerSpec, Network};
pub use optim::Optimizer;
pub use schedule::Schedule;
pub use scope::{Param, Scope};
pub use step::{Infer, Inputs, Micro, Options, Outputs, Precision, Profile, Signature, Step, StepReport};
pub use tensor::Tensor;
pub use train::{Trainer, Training};

/// What a program with a network needs: `use ironlearn::prelude::*;`.
pub mod prelude {
    pub use crate::data::Dataset;
    pub use crate::loss::*;
    pub use crate::metric::Metric;
    pub use crate::nn::*;
    pub use crate::optim::{Adam, AdamW, Group, Lion, Optimizer, RmsProp, Sgd};
    pub use crate::schedule::{Plateau, Schedule};
    pub use crate::step::signature::{bools, f32s, f64s, i8s, i16s, i32s, i64s, input_of, u8s, u32s};
    pub use crate::train::{Model, Silent, Trainer, Training};
    pub use crate::{
        Error, Infer, Init, Options, Outputs, Param, Precision, Scope, Step, StepReport, Tensor,
    };
    pub use ironlearn_ir::{Array, DType, Dyn, Mode, Real, Shape, Tape, Var, concat};
}

/// The programs in the pages for people run as tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/debugging.md")]
    mod debugging {}
    #[doc = include_str!("../../../docs/exchange.md")]
    mod exchange {}
    #[doc = include_str!("../../../docs/integer-training.md")]
    mod integer_training {}
    #[doc = include_str!("../../../docs/linear-models.md")]
    mod linear_models {}
}
