//! [`Observer`]: which range of numbers the codes of a value cover.

use crate::Error;
use serde::{Deserialize, Serialize};

/// How the range of a value follows from what it was in calibration.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observer {
    /// From the smallest to the largest.
    MinMax,
    /// The smallest and largest of each batch, averaged over batches with this weight of what was before.
    MovingAverage(f64),
    /// So many percent of the numbers, the same share left out at both ends.
    Percentile(f64),
    /// The range with the smallest squared error of rounding and clipping together.
    SquaredError,
}

/// Buckets of a histogram.
const BUCKETS: usize = 2048;

/// What a value was in calibration. Batches are taken twice where a histogram is needed: first for its ends.
#[derive(Clone, Debug)]
pub struct Observed {
    observer: Observer,
    /// Of all numbers, or the moving averages.
    low: f64,
    high: f64,
    batches: usize,
    histogram: Vec<u64>,
}

impl Observer {
    /// True where batches have to be taken a second time.
    pub fn needs_histogram(self) -> bool {
        matches!(self, Observer::Percentile(_) | Observer::SquaredError)
    }

    /// Checks its number.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is out of range.
    pub fn check(self) -> Result<(), Error> {
        let problem = match self {
            Observer::MovingAverage(m) if !(0.0..1.0).contains(&m) => {
                format!("a moving average with weight {m}")
            }
            Observer::Percentile(p) if !(50.0..=100.0).contains(&p) => format!("a percentile of {p}"),
            _ => return Ok(()),
        };
        Err(Error::usage(problem, "use a weight in 0..1, a percentile in 50..=100"))
    }
}

impl Observed {
    /// Nothing seen yet.
    pub fn new(observer: Observer) -> Observed {
        Observed { observer, low: 0.0, high: 0.0, batches: 0, histogram: Vec::new() }
    }

    /// Sees a batch for the first time.
    pub fn see(&mut self, numbers: impl Iterator<Item = f64>) {
        let (low, high) = numbers.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        match self.observer {
            Observer::MovingAverage(weight) if self.batches > 0 => {
                self.low = weight * self.low + (1.0 - weight) * low;
                self.high = weight * self.high + (1.0 - weight) * high;
            }
            _ => (self.low, self.high) = (self.low.min(low), self.high.max(high)),
        }
        self.batches += 1;
    }

    /// Sees a batch for the second time.
    pub fn count(&mut self, numbers: impl Iterator<Item = f64>) {
        self.histogram.resize(BUCKETS, 0);
        let width = (self.high - self.low) / BUCKETS as f64;
        if width > 0.0 {
            numbers.for_each(|x| self.histogram[(((x - self.low) / width) as usize).min(BUCKETS - 1)] += 1);
        }
    }

    /// The range, with 0 in it, for codes of so many steps.
    pub fn range(&self, steps: f64) -> (f64, f64) {
        let total: u64 = self.histogram.iter().sum();
        if total == 0 {
            return (self.low, self.high);
        }
        let width = (self.high - self.low) / BUCKETS as f64;
        let (low, high) = match self.observer {
            Observer::Percentile(percent) => {
                let outside = (total as f64 * (1.0 - percent / 100.0) / 2.0) as u64;
                let cut = |counts: &mut dyn Iterator<Item = &u64>| {
                    let mut left = outside;
                    counts
                        .take_while(|&&n| {
                            let more = n <= left;
                            left = left.saturating_sub(n);
                            more
                        })
                        .count()
                };
                let below = cut(&mut self.histogram.iter());
                let above = cut(&mut self.histogram.iter().rev());
                (self.low + below as f64 * width, self.high - above as f64 * width)
            }
            _ => self.least_error(steps),
        };
        (low.min(0.0), high.max(0.0))
    }

    /// Both ends drawn in by the share, of a hundred, with the smallest squared error.
    fn least_error(&self, steps: f64) -> (f64, f64) {
        let width = (self.high - self.low) / BUCKETS as f64;
        let error = |share: f64| {
            let (low, high) = (self.low * share, self.high * share);
            let rounding = ((high - low) / steps).powi(2) / 12.0;
            let of = |(bucket, &count): (usize, &u64)| {
                let x = self.low + (bucket as f64 + 0.5) * width;
                let clipped = x - x.clamp(low, high);
                count as f64 * (clipped * clipped + if clipped == 0.0 { rounding } else { 0.0 })
            };
            self.histogram.iter().enumerate().map(of).sum::<f64>()
        };
        let shares = (1..=100).map(|i| f64::from(i) / 100.0);
        let best = shares.min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap_or(1.0);
        (self.low * best, self.high * best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mostly within 1 of 0, a few out at 100.
    fn numbers() -> Vec<f64> {
        (0..10_000).map(|i| if i % 2_500 == 0 { 100.0 } else { (f64::from(i) * 0.7).sin() }).collect()
    }

    fn range(observer: Observer) -> (f64, f64) {
        let mut observed = Observed::new(observer);
        observed.see(numbers().into_iter());
        if observer.needs_histogram() {
            observed.count(numbers().into_iter());
        }
        observed.range(255.0)
    }

    #[test]
    fn each_observer_sees_its_own_range() {
        assert_eq!(range(Observer::MinMax).1, 100.0);
        let (low, high) = range(Observer::Percentile(99.8));
        assert!((-1.0..-0.9).contains(&low) && (0.9..1.2).contains(&high), "{low} to {high}");
        let (_, high) = range(Observer::SquaredError);
        assert!(high > 50.0, "clipping 100 to {high} costs more than it saves");
        let mut average = Observed::new(Observer::MovingAverage(0.9));
        for x in [1.0, 2.0] {
            average.see([x].into_iter());
        }
        assert!((average.range(255.0).1 - 1.1).abs() < 1e-12);
    }

    #[test]
    fn the_squared_error_clips_rare_numbers_of_many() {
        // A normal distribution by twelve uniform numbers, wide enough that its tails are not worth their steps at 4 bits.
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let x: Vec<f64> = (0..20_000).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect();
        let mut observed = Observed::new(Observer::SquaredError);
        observed.see(x.iter().copied());
        observed.count(x.iter().copied());
        let (low, high) = observed.range(15.0);
        let most = x.iter().copied().fold(0.0, f64::max);
        assert!(high < 0.9 * most && high > 2.0 && low < -2.0, "{low} to {high} of {most}");
    }
}
