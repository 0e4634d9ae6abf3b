//! Schedules: the learning rate in the course of training, as a factor of the optimizer's rate.
//!
//! All but [`Plateau`] are functions of the step alone; its state is three numbers that a checkpoint holds.

mod plateau;

pub use plateau::{Plateau, PlateauState};

use std::f64::consts::PI;

/// The factor of the learning rate at each step. Lengths are in optimizer steps, fractions allowed.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Schedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// Multiplied by `factor` after every so many steps.
    Step {
        /// Steps between changes.
        every: f64,
        /// The factor.
        factor: f64,
    },
    /// Multiplied by `factor` within so many steps, evenly.
    Exponential {
        /// Steps within which the factor applies once.
        every: f64,
        /// The factor.
        factor: f64,
    },
    /// A line up from 0 during `warmup` steps, then `restarts + 1` times half a cosine down to `floor`, all of
    /// equal length (Loshchilov and Hutter 2017).
    Cosine {
        /// Steps from the first to the end of the last cosine.
        steps: f64,
        /// Steps of the line up.
        warmup: f64,
        /// How many times the cosine begins anew.
        restarts: u64,
        /// Factor at the end.
        floor: f64,
    },
    /// A line down to `floor`.
    Linear {
        /// Steps of the line.
        steps: f64,
        /// Factor at its end and beyond.
        floor: f64,
    },
    /// Half a cosine up from `start` to 1 and another down to `floor` (Smith and Topin 2018).
    OneCycle {
        /// Steps of the cycle.
        steps: f64,
        /// Share of the cycle that goes up.
        rise: f64,
        /// Factor at the beginning.
        start: f64,
        /// Factor at the end.
        floor: f64,
    },
    /// Multiplied by a factor where the loss has not fallen for a while: see [`Plateau`].
    Plateau(Plateau),
}

impl Schedule {
    /// The factor of a step, counted from 0. Of [`Schedule::Plateau`] always 1: its factor stands in its
    /// [`PlateauState`].
    pub fn factor(&self, step: u64) -> f64 {
        let t = step as f64;
        match *self {
            Schedule::Constant | Schedule::Plateau(_) => 1.0,
            Schedule::Step { every, factor } => factor.powf((t / every).floor()),
            Schedule::Exponential { every, factor } => factor.powf(t / every),
            // The first step takes the first part of the line, not 0.
            Schedule::Cosine { warmup, .. } if t < warmup => (t + 1.0).min(warmup) / warmup,
            Schedule::Cosine { steps, warmup, restarts, floor } => {
                let length = (steps - warmup) / (restarts + 1) as f64;
                let cycles = (t - warmup) / length;
                let position = if t >= steps || !cycles.is_finite() { 1.0 } else { cycles.fract() };
                half_cosine(1.0, floor, position)
            }
            Schedule::Linear { steps, floor } => {
                let position = if t >= steps { 1.0 } else { t / steps };
                1.0 + (floor - 1.0) * position
            }
            Schedule::OneCycle { steps, rise, start, floor } => {
                let top = rise * steps;
                if t < top {
                    half_cosine(start, 1.0, t / top)
                } else {
                    half_cosine(1.0, floor, ((t - top) / (steps - top).max(1.0)).min(1.0))
                }
            }
        }
    }
}

/// From `a` at position 0 to `b` at 1 along half a cosine.
fn half_cosine(a: f64, b: f64, position: f64) -> f64 {
    b + (a - b) * 0.5 * (1.0 + (PI * position).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn steps_and_powers() {
        let step = Schedule::Step { every: 10.0, factor: 0.5 };
        assert_eq!([0, 9, 10, 25].map(|t| step.factor(t)), [1.0, 1.0, 0.5, 0.25]);
        let exponential = Schedule::Exponential { every: 4.0, factor: 0.81 };
        close(exponential.factor(2), 0.9);
        assert_eq!(Schedule::Constant.factor(1 << 40), 1.0);
    }

    #[test]
    fn a_cosine_warms_up_goes_down_and_restarts() {
        let s = Schedule::Cosine { steps: 24.0, warmup: 4.0, restarts: 1, floor: 0.2 };
        assert_eq!([0, 1, 3].map(|t| s.factor(t)), [0.25, 0.5, 1.0]);
        close(s.factor(4), 1.0);
        close(s.factor(9), 0.6);
        close(s.factor(14), 1.0);
        close(s.factor(19), 0.6);
        close(s.factor(24), 0.2);
        close(s.factor(1000), 0.2);
    }

    #[test]
    fn a_line_goes_down_to_its_floor() {
        let s = Schedule::Linear { steps: 8.0, floor: 0.2 };
        close(s.factor(0), 1.0);
        close(s.factor(4), 0.6);
        close(s.factor(8), 0.2);
        close(s.factor(99), 0.2);
    }

    #[test]
    fn one_cycle_goes_up_and_down() {
        let s = Schedule::OneCycle { steps: 20.0, rise: 0.2, start: 0.1, floor: 0.02 };
        close(s.factor(0), 0.1);
        close(s.factor(2), 0.55);
        close(s.factor(4), 1.0);
        close(s.factor(12), 0.51);
        close(s.factor(20), 0.02);
        close(s.factor(99), 0.02);
    }

    #[test]
    fn no_length_gives_no_nan() {
        for s in [
            Schedule::Cosine { steps: 0.0, warmup: 0.0, restarts: 3, floor: 0.1 },
            Schedule::Linear { steps: 0.0, floor: 0.5 },
            Schedule::OneCycle { steps: 0.0, rise: 0.3, start: 0.1, floor: 0.0 },
        ] {
            assert!(s.factor(0).is_finite() && s.factor(5).is_finite(), "{s:?}");
        }
    }
}
