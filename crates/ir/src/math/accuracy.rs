//! Sweeps of the arguments of a function, in search of its worst error.

use std::ops::Range;

/// Largest error allowed, in units of the last place of the exact result.
pub struct Bound(pub f64);

/// The worst error seen, and where.
#[derive(Default)]
pub struct Worst {
    ulp: f64,
    place: String,
}

impl Worst {
    pub fn see32(&mut self, found: f32, exact: f64, place: impl Fn() -> String) {
        if f64::from(exact as f32) != f64::from(found) {
            let exponent = exact.abs().log2().floor().max(-126.0);
            self.see((f64::from(found) - exact).abs() / (exponent - 23.0).exp2(), place);
        }
    }

    /// The oracle is rounded itself, so errors count in whole units.
    pub fn see64(&mut self, found: f64, exact: f64, place: impl Fn() -> String) {
        if exact != found {
            let exponent = exact.abs().log2().floor().max(-1022.0);
            self.see((found - exact).abs() / (exponent - 52.0).exp2(), place);
        }
    }

    fn see(&mut self, ulp: f64, place: impl Fn() -> String) {
        if ulp > self.ulp || ulp.is_nan() {
            (self.ulp, self.place) = (ulp, place());
        }
    }

    pub fn at_most(&self, name: &str, bound: f64) {
        println!("{name}: worst error {:.3} ulp at {}", self.ulp, self.place);
        assert!(self.ulp <= bound, "{name}: {:.3} ulp at {}, above {bound}", self.ulp, self.place);
    }
}

/// A fixed sequence of 64 well-mixed bits (SplitMix64).
pub fn mixed(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const STEPS: u32 = 200_000;

/// Sweeps `f32` arguments: evenly over the range, and evenly over its bit patterns.
pub fn check32(
    name: &str,
    bound: Bound,
    range: Range<f32>,
    f: impl Fn(f32) -> f32,
    oracle: impl Fn(f64) -> f64,
) {
    let mut worst = Worst::default();
    let mut see = |x: f32| worst.see32(f(x), oracle(x.into()), || format!("{x:e}"));
    let (low, high) = (f64::from(range.start), f64::from(range.end));
    for i in 0..STEPS {
        see((low + (high - low) * f64::from(i) / f64::from(STEPS)) as f32);
        let x = f32::from_bits(mixed(i.into()) as u32);
        if x != 0.0 && range.contains(&x) {
            see(x);
        }
    }
    worst.at_most(&format!("{name} f32 in {:e}..{:e}", range.start, range.end), bound.0);
}

/// As [`check32`] for `f64`.
pub fn check64(
    name: &str,
    bound: Bound,
    range: Range<f64>,
    f: impl Fn(f64) -> f64,
    oracle: impl Fn(f64) -> f64,
) {
    let mut worst = Worst::default();
    let mut see = |x: f64| worst.see64(f(x), oracle(x), || format!("{x:e}"));
    for i in 0..STEPS {
        let share = f64::from(i) / f64::from(STEPS);
        see(range.start * (1.0 - share) + range.end * share);
        let x = f64::from_bits(mixed(i.into()));
        if x != 0.0 && range.contains(&x) {
            see(x);
        }
    }
    worst.at_most(&format!("{name} f64 in {:e}..{:e}", range.start, range.end), bound.0);
}
