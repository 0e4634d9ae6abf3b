//! [`range_test`]: the learning rates with which a job can learn.

use super::train::{room, training};
use crate::Options;
use crate::error::Error;
use crate::job::Job;
use crate::task::data::{Data, dtype};
use crate::task::model::trained::network;
use crate::task::recipe::integers;
use crate::task::unsupervised::network_only;
use crate::train::{RangeTest, RateRange};
use ironlearn_ir::{DType, Real};

/// Trains the network of a job on its data with a learning rate that grows from step to step. Of the job count its data,
/// network, loss, optimizer (but for its rate) and `[train]`; its schedule does not. Nothing is written.
///
/// # Errors
/// Those of the data and of the job; [`Error::Usage`] where the job learns in integers.
pub fn range_test(job: &Job, options: &Options, test: &RangeTest) -> Result<RateRange, Error> {
    network_only(job, "learning rates are those of networks")?;
    if integers::asked(job) {
        let problem = "learning rates are tried with networks of floats, and this job learns in integers";
        return Err(Error::usage(problem, "add --set train.arithmetic=float, and an optimizer for floats"));
    }
    match dtype(job) {
        DType::F64 => range_test_as::<f64>(job, options, test),
        _ => range_test_as::<f32>(job, options, test),
    }
}

fn range_test_as<T: Real>(job: &Job, options: &Options, test: &RangeTest) -> Result<RateRange, Error> {
    let data = Data::load(job)?;
    let network = network::<T>(job, &data.preparation, room())?;
    training(job, options, &data)?.range_test(&network, &data.train, test)
}
