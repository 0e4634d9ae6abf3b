//! [`Reading`]: what the outputs of a network mean.

use crate::error::{Error, FileError, Place};
use crate::job::{self, Job, Task};
use ironlearn_ir::Array;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Numbers of classes with which clusters are compared are below this.
const MOST_CLASSES: f64 = 65_536.0;

/// What the outputs of a network mean, or of what learns without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Numbers.
    Value,
    /// The probability of a yes.
    Probability,
    /// Its logit.
    Logit,
    /// A yes above 0, a no below, without a probability.
    Margin,
    /// A logit for each class.
    ClassLogits,
    /// A probability for each class.
    ClassProbabilities,
    /// The number of the nearest cluster, and the distance from its centre.
    Cluster,
    /// 1 for an anomaly and 0 for what is ordinary, and the logarithm of the density.
    Anomaly,
}

impl Reading {
    /// The reading that follows from the task and the loss of a job.
    ///
    /// # Errors
    /// [`Error::Usage`] where the two do not go together.
    pub fn of(job: &Job) -> Result<Reading, Error> {
        match job.model {
            job::Model::Network => {}
            job::Model::KMeans { .. } => return Ok(Reading::Cluster),
            job::Model::GaussianAnomaly { .. } => return Ok(Reading::Anomaly),
        }
        let task = job.data.task();
        let wants_classes = matches!(job.loss, job::Loss::CrossEntropy { .. });
        match (task, &job.loss) {
            (Task::Classes, _) if wants_classes => Ok(Reading::ClassLogits),
            (Task::Classes, _) => Err(Error::usage(
                "data.task = \"classes\" goes with loss.kind = \"cross_entropy\" alone",
                "change the one or the other",
            )),
            (_, _) if wants_classes => Err(Error::usage(
                "loss.kind = \"cross_entropy\" needs class numbers as targets",
                "set data.task = \"classes\", or loss.kind = \"bce\" for targets of 0 and 1",
            )),
            (Task::Binary, job::Loss::Bce { .. }) => Ok(Reading::Logit),
            (Task::Binary, job::Loss::Hinge) => Ok(Reading::Margin),
            (Task::Binary, _) => Ok(Reading::Probability),
            (Task::Regression, _) => Ok(Reading::Value),
        }
    }

    /// Turns the outputs of one row into its answer, in place.
    pub(in crate::task) fn answer(self, row: &mut [f64]) {
        match self {
            Reading::Value | Reading::Probability | Reading::Margin | Reading::ClassProbabilities => {}
            Reading::Cluster | Reading::Anomaly => {}
            Reading::Logit => row.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp())),
            Reading::ClassLogits => {
                let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter_mut().for_each(|x| *x = (*x - largest).exp());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= sum);
            }
        }
    }

    /// Checks that targets are what the reading compares with.
    pub(in crate::task) fn check_targets(self, path: &Path, y: &Array, outputs: usize) -> Result<(), Error> {
        self.check_targets_from(0, path, y.as_slice::<f64>().unwrap_or_default(), outputs)
    }

    /// As [`Reading::check_targets`], of targets the first of which has this number.
    pub(in crate::task) fn check_targets_from(
        self,
        first: usize,
        path: &Path,
        values: &[f64],
        outputs: usize,
    ) -> Result<(), Error> {
        let (fits, expected): (&dyn Fn(f64) -> bool, String) = match self {
            Reading::Value => (&f64::is_finite, "a finite number".into()),
            Reading::Probability | Reading::Logit | Reading::Margin | Reading::Anomaly => {
                (&|y| y == 0.0 || y == 1.0, "0 or 1".into())
            }
            Reading::Cluster => (
                &|y| y >= 0.0 && y.fract() == 0.0 && y < MOST_CLASSES,
                format!("a class below {MOST_CLASSES}"),
            ),
            Reading::ClassLogits | Reading::ClassProbabilities => {
                (&|y| y >= 0.0 && y.fract() == 0.0 && y < outputs as f64, format!("a class below {outputs}"))
            }
        };
        match values.iter().position(|&y| !fits(y)) {
            None => Ok(()),
            Some(i) => Err(FileError::new(path, format!("target {} is not {expected}", first + i))
                .at(Place::Key(format!("y[{}]", first + i)))
                .found(values[i].to_string())
                .hint("correct the data, or set data.task to what they are")
                .into()),
        }
    }
}
