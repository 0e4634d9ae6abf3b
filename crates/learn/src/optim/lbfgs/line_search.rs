//! How far to go along a direction.

use super::dot;
use crate::Error;
use ironlearn_ir::memory;
use std::cell::Cell;

/// The share of the first slope by which the function has to fall, on average.
const FALL: f64 = 1e-4;
/// The share of the first slope that may be left.
const FLAT: f64 = 0.9;
/// Evaluations along one direction.
const MOST: usize = 40;
/// The share of a value within which differences of values are rounding.
const ROUNDING: f64 = 64.0 * f64::EPSILON;

/// A place with the function's value and gradient.
pub struct Point {
    pub place: Vec<f64>,
    pub gradient: Vec<f64>,
    pub value: f64,
}

/// What a search found; the place is in its `next`.
pub struct Found {
    pub descends: bool,
    pub evaluations: usize,
}

/// A step along the direction: its length, the value and the slope there.
#[derive(Clone, Copy)]
struct Step {
    length: f64,
    value: f64,
    slope: f64,
}

impl Point {
    pub fn at(place: &[f64]) -> Result<Point, Error> {
        let gradient = memory::zeros(place.len(), "a gradient")?;
        Ok(Point { place: memory::copied(place, "a place")?, gradient, value: f64::NAN })
    }

    pub fn compute(
        &mut self,
        f: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, Error>,
    ) -> Result<(), Error> {
        self.value = f(&self.place, &mut self.gradient)?;
        Ok(())
    }

    pub fn is_finite(&self) -> bool {
        self.value.is_finite() && self.gradient.iter().all(|g| g.is_finite())
    }
}

/// A step that fulfils the strong conditions of Wolfe, from `now` along `direction`, beginning with the length `first`.
///
/// Near a minimum the function changes by less than it is rounded to. There the slope stands in for the value, as in the
/// approximate conditions of W. W. Hager and H. Zhang (SIAM Journal on Optimization 16(1), 2005).
pub fn search(
    now: &Point,
    direction: &[f64],
    first: f64,
    next: &mut Point,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, Error>,
) -> Result<Found, Error> {
    let start = Step { length: 0.0, value: now.value, slope: dot(&now.gradient, direction) };
    let rounding = ROUNDING * now.value.abs();
    let evaluations = Cell::new(0);
    let found = |descends| Found { descends, evaluations: evaluations.get() };
    let mut at = |length: f64, next: &mut Point| -> Result<Step, Error> {
        evaluations.set(evaluations.get() + 1);
        let places = now.place.iter().zip(direction);
        next.place.iter_mut().zip(places).for_each(|(to, (x, d))| *to = x + length * d);
        next.compute(f)?;
        let slope = dot(&next.gradient, direction);
        let finite = next.is_finite() && slope.is_finite();
        Ok(Step { length, value: if finite { next.value } else { f64::INFINITY }, slope })
    };
    // Where values say nothing, a slope that rises steeply says that the step is too long.
    let higher = |step: Step, than: f64| {
        if (step.value - start.value).abs() <= rounding {
            step.slope > (1.0 - 2.0 * FALL) * -start.slope
        } else {
            step.value > than
        }
    };
    let too_high = |step: Step| higher(step, start.value + FALL * step.length * start.slope);
    let flat = |step: Step| step.slope.abs() <= -FLAT * start.slope;

    let (mut low, mut length) = (start, first);
    let mut high = loop {
        let step = at(length, next)?;
        if too_high(step) || (low.length > 0.0 && higher(step, low.value)) {
            break step;
        }
        if flat(step) {
            return Ok(found(true));
        }
        if step.slope >= 0.0 {
            break std::mem::replace(&mut low, step);
        }
        if step.length >= 1e10 * first {
            // A function that falls for ever.
            return Ok(found(true));
        }
        (low, length) = (step, 4.0 * length);
    };
    for _ in 0..MOST {
        let step = at(between(low, high), next)?;
        if too_high(step) || higher(step, low.value) {
            high = step;
        } else {
            if flat(step) {
                return Ok(found(true));
            }
            if step.slope * (high.length - low.length) >= 0.0 {
                high = low;
            }
            low = step;
        }
        if (high.length - low.length).abs() <= f64::EPSILON * high.length.max(low.length) {
            break;
        }
    }
    // The best that was found is better than nothing, where it is better.
    let better = low.length > 0.0 && low.value < start.value;
    if better {
        at(low.length, next)?;
    }
    Ok(found(better))
}

/// A length between two steps: the minimum of the cubic through both values and slopes (Nocedal and Wright, 3.59), kept
/// away from the ends.
fn between(low: Step, high: Step) -> f64 {
    let width = high.length - low.length;
    let middle = low.length + 0.5 * width;
    if !high.value.is_finite() {
        return low.length + 0.1 * width;
    }
    let a = low.slope + high.slope - 3.0 * (low.value - high.value) / (low.length - high.length);
    let square = a * a - low.slope * high.slope;
    let b = square.sqrt().copysign(width);
    let cubic = high.length - width * (high.slope + b - a) / (high.slope - low.slope + 2.0 * b);
    let share = (cubic - low.length) / width;
    if share.is_finite() { low.length + share.clamp(0.1, 0.9) * width } else { middle }
}
