//! Iron Learn: neural networks in floats and in integers.
#![forbid(unsafe_code)]
