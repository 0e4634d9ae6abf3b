//! Sweeps: a run for every point of a grid of settings, several at once, each a process of its own.

mod children;
mod grid;
mod point;

pub use children::{Children, Ended, Task};
pub use grid::Grid;
pub use point::{Point, State};
