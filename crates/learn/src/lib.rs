//! Iron Learn: neural networks in floats and in integers.
#![forbid(unsafe_code)]

mod error;
mod init;
pub mod io;
pub mod nn;
mod scope;

pub use error::{Error, FileError, Place};
pub use init::Init;
pub use nn::{Activation, Layer, LayerSpec, Network};
pub use scope::{Param, Scope};

/// What a program with a network needs: `use ironlearn::prelude::*;`.
pub mod prelude {
    pub use crate::nn::*;
    pub use crate::{Error, Init, Param, Scope};
    pub use ironlearn_ir::{Array, DType, Dyn, Mode, Real, Shape, Tape, Var, concat};
}
