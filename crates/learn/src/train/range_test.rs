//! [`RangeTest`]: which learning rates a model can learn with (L. N. Smith, "Cyclical learning rates for training
//! neural networks", 2017).

use super::course::Course;
use super::floats::Floats;
use super::guard::NotFinite;
use super::model::Model;
use super::training::Training;
use crate::{Dataset, Error, Schedule};
use ironlearn_ir::Real;

/// Share of the average that the next loss leaves as it is.
const MEMORY: f64 = 0.9;

/// A run of a few steps in which the learning rate grows by the same factor from each step to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeTest {
    /// The rate of the first step.
    pub from: f64,
    /// The rate of the last step, if the run comes so far.
    pub to: f64,
    /// Steps; two at least.
    pub steps: u64,
    /// It ends where the average loss is so many times the smallest.
    pub limit: f64,
}

impl Default for RangeTest {
    fn default() -> RangeTest {
        RangeTest { from: 1e-7, to: 10.0, steps: 200, limit: 4.0 }
    }
}

/// A step of a range test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePoint {
    /// The learning rate of the step.
    pub rate: f64,
    /// The mean loss of its rows, before it.
    pub loss: f64,
    /// The average of this loss and of those before, each with nine tenths of the weight of the next one.
    pub average: f64,
}

/// What a range test has found.
#[derive(Clone, Debug, PartialEq)]
pub struct RateRange {
    /// Its steps, but for one whose numbers were not finite.
    pub points: Vec<RatePoint>,
    /// The loss rose beyond the limit, or was not finite: larger rates are of no use.
    pub diverged: bool,
}

impl RateRange {
    /// The rate at which the average loss was smallest: already too high to train with.
    pub fn smallest_loss(&self) -> Option<f64> {
        self.lowest().map(|at| self.points[at].rate)
    }

    /// The rate at which the average loss fell fastest, for a growth of the rate by the same factor; none where it never
    /// fell.
    pub fn steepest(&self) -> Option<f64> {
        let lowest = self.lowest()?;
        // Differences over several steps: single ones are noise.
        let reach = (self.points.len() / 20).max(1);
        let fall = |at: usize| {
            let (from, to) = (at.saturating_sub(reach), (at + reach).min(lowest));
            let size = (self.points[to].rate / self.points[from].rate).ln();
            (self.points[from].average - self.points[to].average) / size
        };
        let steepest = (0..lowest).max_by(|&a, &b| fall(a).total_cmp(&fall(b)))?;
        (fall(steepest) > 0.0).then(|| self.points[steepest].rate)
    }

    /// A tenth of [`RateRange::smallest_loss`], where the loss fell at all.
    pub fn tenth_of_smallest_loss(&self) -> Option<f64> {
        self.lowest().filter(|&at| at > 0).map(|at| self.points[at].rate / 10.0)
    }

    /// A rate to train with: the smaller one of [`RateRange::steepest`] and [`RateRange::tenth_of_smallest_loss`]. None
    /// where the loss never fell.
    pub fn suggested(&self) -> Option<f64> {
        Some(self.steepest()?.min(self.tenth_of_smallest_loss()?))
    }

    fn lowest(&self) -> Option<usize> {
        let by_average = |a: &usize, b: &usize| self.points[*a].average.total_cmp(&self.points[*b].average);
        (0..self.points.len()).min_by(by_average)
    }
}

impl Training {
    /// Tries learning rates on a model, whose parameters are of no use afterwards. The optimizer's own rate and schedule
    /// do not count, nor do epochs, validation and what is done about steps that are not finite.
    ///
    /// ```
    /// use ironlearn::prelude::*;
    /// use ironlearn::train::RangeTest;
    ///
    /// let x = Array::of([4, 2], vec![0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).unwrap();
    /// let y = Array::of([4, 1], vec![0.0f32, 1.0, 1.0, 0.0]).unwrap();
    /// let data = Dataset::new(x, y)?;
    /// let network = Network::<f32>::builder([2]).linear(8).tanh().linear(1).build(1)?;
    /// let training = Training::new(Loss::BinaryCrossEntropy(1.0), Adam::new(1.0));
    /// let range = training.range_test(&network, &data, &RangeTest::default())?;
    /// assert!(range.suggested().is_some_and(|rate| (1e-4..1.0).contains(&rate)));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Training::build`]; [`Error::Usage`] where the rates do not grow; what a first step fails with.
    #[track_caller]
    pub fn range_test<T: Real>(
        mut self,
        model: &impl Model<T>,
        data: &Dataset,
        test: &RangeTest,
    ) -> Result<RateRange, Error> {
        let grows = test.from > 0.0 && test.from < test.to && test.to.is_finite() && test.steps >= 2;
        if !grows {
            let problem =
                format!("rates from {} to {} in {} steps do not grow", test.from, test.to, test.steps);
            return Err(Error::usage(
                problem,
                "take a first rate above 0, a larger last one, and two steps or more",
            ));
        }
        data.check_finite()?;
        self.optimizer = self.optimizer.schedule(Schedule::Constant);
        self.not_finite = NotFinite::Stop;
        let mut floats = Floats::build(self, model, data, None)?;
        floats.scale_rate(test.from / floats.learning_rate())?;
        let growth = (test.to / test.from).powf(1.0 / (test.steps - 1) as f64);
        let mut range = RateRange { points: Vec::new(), diverged: false };
        let (mut epoch, mut start) = (0, 0);
        let (mut sum, mut weight, mut smallest) = (0.0, 0.0, f64::INFINITY);
        for _ in 0..test.steps {
            let end = (start + floats.batch()).min(floats.rows());
            let rate = floats.learning_rate();
            let loss = match floats.step(epoch, start, end) {
                Ok(loss) => loss.map_or(f64::NAN, |sum| sum / (end - start) as f64),
                Err(Error::Diverged { .. }) if !range.points.is_empty() => f64::NAN,
                Err(error) => return Err(error),
            };
            if !loss.is_finite() {
                range.diverged = true;
                break;
            }
            // Divided by the sum of weights, so that the first losses count in full.
            (sum, weight) = (MEMORY * sum + loss, MEMORY * weight + 1.0);
            let average = sum / weight;
            range.points.push(RatePoint { rate, loss, average });
            smallest = f64::min(smallest, average);
            if average > test.limit * smallest {
                range.diverged = true;
                break;
            }
            floats.scale_rate(growth)?;
            (epoch, start) = if end < floats.rows() { (epoch, end) } else { (epoch + 1, 0) };
        }
        Ok(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Loss, Network, optim};
    use ironlearn_ir::Array;

    fn of(averages: &[f64]) -> RateRange {
        let point =
            |(i, &average): (usize, &f64)| RatePoint { rate: 10f64.powi(i as i32), loss: average, average };
        RateRange { points: averages.iter().enumerate().map(point).collect(), diverged: true }
    }

    #[test]
    fn the_rate_is_that_of_the_steepest_fall_or_a_tenth_of_that_of_the_smallest_loss() {
        let range = of(&[5.0, 5.0, 4.9, 3.0, 2.0, 1.9, 1.8, 9.0]);
        assert_eq!(range.smallest_loss(), Some(1e6));
        assert_eq!(range.steepest(), Some(1e3));
        assert_eq!((range.tenth_of_smallest_loss(), range.suggested()), (Some(1e5), Some(1e3)));
        // The fall goes on up to the end: the tenth is the smaller one.
        let range = of(&[5.0, 5.0, 5.0, 4.0, 1.0]);
        assert_eq!((range.steepest(), range.suggested()), (Some(1e3), Some(1e3)));
        let range = of(&[5.0, 4.9, 4.8, 4.7, 1.0, 7.0]);
        assert_eq!((range.steepest(), range.tenth_of_smallest_loss()), (Some(1e3), Some(1e3)));
        for none in [&[][..], &[1.0], &[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0]] {
            assert_eq!(of(none).suggested(), None, "{none:?}");
        }
    }

    /// The loss (w - 3)² of gradient descent falls for rates below 1, and rises beyond.
    #[test]
    fn the_limit_of_gradient_descent_is_found() {
        let data =
            Dataset::new(Array::of([1, 1], vec![1.0f64]).unwrap(), Array::of([1, 1], vec![3.0f64]).unwrap())
                .unwrap();
        let layer = crate::LayerSpec::Linear { outputs: 1, bias: false, init: crate::Init::Zeros };
        let network = Network::<f64>::from_specs([1], &[layer], 0).unwrap();
        let test = RangeTest { from: 1e-3, to: 1e3, steps: 61, ..RangeTest::default() };
        let range =
            Training::new(Loss::Mse, optim::Sgd::new(0.5)).range_test(&network, &data, &test).unwrap();
        let rates: Vec<f64> = range.points.iter().map(|point| point.rate).collect();
        assert!((rates[0] - 1e-3).abs() < 1e-15 && (rates[10] - 1e-2).abs() < 1e-12, "{rates:?}");
        // Each loss is the one before its step, by the factor |1 - 2 rate| of the distance before.
        for pair in range.points.windows(2) {
            let factor = (1.0 - 2.0 * pair[0].rate).abs();
            let (next, expected) = (pair[1].loss.sqrt(), pair[0].loss.sqrt() * factor);
            assert!((next - expected).abs() < 1e-14, "{pair:?}");
        }
        let largest = *rates.last().unwrap();
        assert!(range.diverged && (1.0..100.0).contains(&largest), "{largest}");
        let suggested = range.suggested().unwrap();
        assert!((0.01..1.0).contains(&suggested), "{suggested}");
    }

    #[test]
    fn rates_that_do_not_grow_are_refused() {
        let data =
            Dataset::new(Array::of([1, 1], vec![1.0f32]).unwrap(), Array::of([1, 1], vec![3.0f32]).unwrap());
        let data = data.unwrap();
        let network = Network::<f32>::builder([1]).linear(1).build(0).unwrap();
        for (from, to, steps) in [(0.0, 1.0, 9), (1.0, 1.0, 9), (1.0, f64::INFINITY, 9), (0.1, 1.0, 1)] {
            let test = RangeTest { from, to, steps, ..RangeTest::default() };
            let tried = Training::new(Loss::Mse, optim::Sgd::new(0.5)).range_test(&network, &data, &test);
            assert_eq!(tried.unwrap_err().exit_code(), 2);
        }
    }
}
