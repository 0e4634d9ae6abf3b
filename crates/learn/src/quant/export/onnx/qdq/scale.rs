//! Scales of 32 bits with which a runtime rounds as the network does: found among the neighbours of the nearest one, by
//! trying what there is to be rounded.

use crate::quant::arithmetic::{Multiplier, Rounding};

/// How many neighbours of the nearest scale are looked at.
const CANDIDATES: i32 = 256;

/// The scale with which runtimes round `sum·scale`, in 32-bit floats, as the network rounds `sum·by`: for all sums where
/// there is one among those next to `by`, else for as many as there can be. A short multiplier is its own.
pub(super) fn of_sums(by: Multiplier, rounding: Rounding) -> f32 {
    let nearest = by.value() as f32;
    if by.is_short() {
        return nearest;
    }
    let ties = Ties::of(by, rounding);
    search(nearest, |candidate| ties.differing(candidate))
}

/// Codes of two operands of 8 bits each, and those of what is made of them.
pub(super) struct Pairs {
    /// The operands' codes of 0.
    pub zeros: [i32; 2],
    /// The scale of the result.
    pub output: f32,
    /// The result's code of 0.
    pub zero_point: i32,
    /// Its smallest code.
    pub low: i32,
    /// Its largest code.
    pub high: i32,
}

impl Pairs {
    /// The scale with which floats give the codes that the network gives, for as many pairs as there can be. Both
    /// take codes less their zero points; the network gives steps of the result, floats give its value.
    pub fn scale(
        &self,
        nearest: f32,
        network: impl Fn(i64, i64) -> i64,
        floats: impl Fn(f32, f32, f32) -> f32,
    ) -> f32 {
        let [x, y] = self.zeros.map(|zero| -128 - zero..128 - zero);
        let pairs = || x.clone().flat_map(|a| y.clone().map(move |b| (a, b)));
        let (zero, low, high) = (self.zero_point.into(), self.low.into(), self.high.into());
        let code = |steps: i64| steps.saturating_add(zero).clamp(low, high);
        let right: Vec<i64> = pairs().map(|(a, b)| code(network(a.into(), b.into()))).collect();
        let found = |a: i32, b: i32, scale: f32| {
            code((floats(a as f32, b as f32, scale) / self.output).round_ties_even() as i64)
        };
        search(nearest, |scale| {
            pairs().zip(&right).filter(|&((a, b), &code)| found(a, b, scale) != code).count()
        })
    }
}

/// The neighbour of a scale with the fewest differences, the nearest of them.
fn search(nearest: f32, differing: impl Fn(f32) -> usize) -> f32 {
    let mut best = (usize::MAX, nearest);
    for i in 0..CANDIDATES {
        let away = if i % 2 == 0 { -i / 2 } else { (i + 1) / 2 };
        let candidate = f32::from_bits(nearest.to_bits().saturating_add_signed(away));
        let found = differing(candidate);
        if found < best.0 {
            best = (found, candidate);
        }
        if found == 0 {
            break;
        }
    }
    best.1
}

/// The sums on both sides of where codes change, each with its rounded product. Between them nothing can differ: the
/// products, and what they are rounded to, only rise with the sums.
struct Ties(Vec<(i32, i64)>);

impl Ties {
    fn of(by: Multiplier, rounding: Rounding) -> Ties {
        let mut sums = Vec::new();
        for step in -256..256 {
            let tie = (f64::from(step) + 0.5) / by.value();
            if tie.abs() < f64::from(i32::MAX - 2) {
                sums.extend((-1..=2).map(|near| tie.floor() as i32 + near));
            }
        }
        Ties(sums.into_iter().map(|sum| (sum, rounding.apply(sum, by))).collect())
    }

    /// How many of them have another code with this scale.
    fn differing(&self, scale: f32) -> usize {
        self.0.iter().filter(|&&(sum, code)| (sum as f32 * scale).round_ties_even() as i64 != code).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_with_which_all_codes_agree() {
        let mut random = ironlearn_testkit::rng::Rng::new(3);
        for _ in 0..20 {
            let by = Multiplier::of(random.float(0.002, 0.5)).unwrap();
            let scale = of_sums(by, Rounding::HalfEven);
            assert!((f64::from(scale) / by.value() - 1.0).abs() < 1e-5);
            let last = (256.0 / by.value()) as i32;
            for sum in -last..=last {
                let code = (sum as f32 * scale).round_ties_even() as i64;
                assert_eq!(code, Rounding::HalfEven.apply(sum, by), "{sum} with {by:?}");
            }
        }
    }

    #[test]
    fn short_multipliers_stay() {
        for value in [0.0, 2f64.powi(-9), 19.0 * 2f64.powi(-16)] {
            let by = Multiplier::of(value).unwrap();
            assert_eq!(f64::from(of_sums(by, Rounding::HalfEven)), value);
        }
    }
}
