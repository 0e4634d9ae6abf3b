//! [`Sampling`]: how a token is drawn from the logits of all.

use crate::Error;
use ironlearn_ir::prim::philox;

/// How a token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: below 1 likely tokens become likelier, at 0 the likeliest is taken.
    pub temperature: f64,
    /// Only so many of the likeliest tokens; none: all.
    pub top_k: Option<usize>,
    /// Only the likeliest tokens that have this probability together (Holtzman et al. 2020); 1: all.
    pub top_p: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 1.0, top_k: None, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Nothing, where it can be drawn so.
    ///
    /// # Errors
    /// [`Error::Usage`] where a number is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |problem: String, hint: &str| Err(Error::usage(problem, hint));
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return wrong(
                format!("a temperature of {}", self.temperature),
                "give 0 or more, 1 for the probabilities as learned",
            );
        }
        if self.top_k == Some(0) {
            return wrong("none of the likeliest tokens to draw from".into(), "give a top-k of 1 or more");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong(format!("a top-p of {}", self.top_p), "give a number above 0, at most 1");
        }
        Ok(())
    }

    /// The token with this place in the text: its number.
    pub fn draw(&self, logits: &[f64], place: u64) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        // Ties by number, so that a draw does not depend on the sort.
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let Some(&best) = order.first() else { return 0 };
        if self.temperature == 0.0 {
            return best;
        }
        order.truncate(self.top_k.unwrap_or(usize::MAX));
        let weight = |i: &usize| ((logits[*i] - logits[best]) / self.temperature).exp();
        let mut weights: Vec<f64> = order.iter().map(weight).collect();
        let whole: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let needed = weights.iter().position(|weight| {
            sum += weight;
            sum >= self.top_p * whole
        });
        weights.truncate(needed.map_or(weights.len(), |last| last + 1));
        let total: f64 = weights.iter().sum();
        let words = philox(place, 0, self.seed);
        let bits = (u64::from(words[0]) << 32 | u64::from(words[1])) >> 11;
        let mut rest = total * (bits as f64 / (1u64 << 53) as f64);
        let drawn = weights.iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        order[drawn.unwrap_or(weights.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sampling: Sampling, logits: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        (0..20_000).for_each(|place| counts[sampling.draw(logits, place)] += 1.0 / 20_000.0);
        counts
    }

    fn near(found: &[f64], expected: &[f64]) {
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 0.015;
        assert!(found.iter().zip(expected).all(is_near), "{found:?}");
    }

    #[test]
    fn tokens_are_as_frequent_as_probable() {
        let logits = [0.1f64.ln(), 0.6f64.ln(), 0.3f64.ln()];
        let all = Sampling::default();
        near(&shares(all, &logits), &[0.1, 0.6, 0.3]);
        near(
            &shares(Sampling { temperature: 0.5, ..all }, &logits),
            &[0.01 / 0.46, 0.36 / 0.46, 0.09 / 0.46],
        );
        near(&shares(Sampling { top_k: Some(2), ..all }, &logits), &[0.0, 2.0 / 3.0, 1.0 / 3.0]);
        near(&shares(Sampling { top_p: 0.65, ..all }, &logits), &[0.0, 2.0 / 3.0, 1.0 / 3.0]);
        near(&shares(Sampling { top_p: 0.5, ..all }, &logits), &[0.0, 1.0, 0.0]);
        assert_eq!(shares(Sampling { temperature: 0.0, ..all }, &logits)[1].round(), 1.0);
        assert_ne!(
            (0..50).map(|i| all.draw(&logits, i)).collect::<Vec<_>>(),
            (0..50).map(|i| Sampling { seed: 1, ..all }.draw(&logits, i)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let all = Sampling::default();
        for wrong in [
            Sampling { temperature: -1.0, ..all },
            Sampling { temperature: f64::NAN, ..all },
            Sampling { top_k: Some(0), ..all },
            Sampling { top_p: 0.0, ..all },
            Sampling { top_p: 1.5, ..all },
        ] {
            assert_eq!(wrong.check().unwrap_err().exit_code(), 2);
        }
        all.check().unwrap();
    }
}
