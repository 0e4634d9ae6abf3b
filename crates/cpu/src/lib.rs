//! The CPU executor of Iron Learn.
#![warn(missing_docs)]
