//! The graph of Iron Learn: element types, primitives, tracing, derivatives, plans, reference interpreter.
#![forbid(unsafe_code)]

pub mod array;
pub mod dtype;
pub mod lanes;
pub mod math;
pub mod shape;

pub use array::{Array, ArrayView, Data, DataRef, Stored};
pub use dtype::{ComplexElement, DType, Element, Int, Kind, Num, Ordered, Real};
pub use half::{bf16, f16};
pub use num_complex::{Complex32, Complex64};
pub use shape::Shape;
