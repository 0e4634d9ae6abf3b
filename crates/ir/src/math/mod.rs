//! The transcendental functions, written once over [`FloatLanes`]: for `f32` and `f64`, at any width.
//!
//! Each is a formula of exactly rounded operations without branches on single lanes, so a lane's result
//! depends neither on its neighbours nor on the width: scalar, AVX2, AVX-512 and NEON give the same bits. Each is
//! `#[inline(always)]`, so that it takes on the instruction set of the kernel that calls it.
//!
//! The constants of the polynomials are minimax fits on the reduced range, rounded to the element type.

mod erf;
mod exp;
mod log;
mod pow;
mod tanh;
mod trig;

#[cfg(test)]
mod accuracy;

pub use erf::erf;
pub use exp::exp;
pub use log::log;
pub use pow::pow;
pub use tanh::{sigmoid, tanh};
pub use trig::{cos, sin};

use crate::lanes::FloatLanes;

/// The constant for `f32` lanes, or that for `f64` lanes.
#[inline(always)]
fn either<L: FloatLanes>(narrow: f64, wide: f64) -> L {
    L::of(if L::DIGITS == 24 { narrow } else { wide })
}

/// `c[0] + c[1]·x + c[2]·x² + …`, with the coefficients for `f32` or those for `f64`.
#[inline(always)]
fn polynomial<L: FloatLanes, const N: usize, const W: usize>(x: L, narrow: [f64; N], wide: [f64; W]) -> L {
    if L::DIGITS == 24 { horner(x, narrow) } else { horner(x, wide) }
}

#[inline(always)]
fn horner<L: FloatLanes, const N: usize>(x: L, coefficients: [f64; N]) -> L {
    let mut sum = L::of(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.fma(x, L::of(coefficients[i]));
    }
    sum
}
