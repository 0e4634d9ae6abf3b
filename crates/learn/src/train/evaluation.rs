//! Loss and metrics over a whole data set.

use super::model::Model;
use crate::data::batch_of;
use crate::metric::{Metric, Tally};
use crate::{Dataset, Error, Infer, Loss, Options, Outputs};
use ironlearn_ir::{Array, Real};

/// Rows of a batch of evaluation: enough for the machine, not too much for its memory.
const BATCH: usize = 1024;

/// An inference over a data set, built once.
pub struct Evaluation {
    infer: Infer,
    batch: usize,
    buffers: Vec<[Array; 2]>,
    metrics: Vec<Metric>,
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Mean loss.
    pub loss: f64,
    /// Metrics by name.
    pub metrics: Vec<(String, f64)>,
}

impl Evaluation {
    /// An evaluation of a model on data sets with the types of this one and as many rows.
    ///
    /// # Errors
    /// [`Error::Usage`] with every mistake of the model, or where the targets do not fit the loss.
    #[track_caller]
    pub fn build<T: Real>(
        options: &Options,
        model: &impl Model<T>,
        loss: &Loss,
        metrics: &[Metric],
        data: &Dataset,
    ) -> Result<Evaluation, Error> {
        let batch = data.rows().min(BATCH);
        let mut sizes = vec![batch, data.rows() % batch];
        sizes.retain(|&n| n > 0);
        let signatures: Vec<_> = sizes.iter().map(|&n| data.types(n)).collect();
        let infer = Infer::build_all(options, model.scope(), &signatures, |_tape, v| {
            let predicted = model.predict(v[0]);
            Outputs::loss(loss.apply(predicted, v[1])).and("prediction", predicted)
        })?;
        Ok(Evaluation {
            infer,
            batch,
            buffers: signatures.iter().map(|types| batch_of(types)).collect::<Result<_, _>>()?,
            metrics: metrics.to_vec(),
        })
    }

    /// Loss and metrics with the parameters as they are.
    pub fn run(&mut self, data: &Dataset) -> Result<Evaluated, Error> {
        let whole = self.run_unless(data, &|| false)?;
        Ok(whole.unwrap_or(Evaluated { loss: f64::NAN, metrics: Vec::new() }))
    }

    /// As [`Evaluation::run`]; none where it was stopped between two batches.
    pub(super) fn run_unless(
        &mut self,
        data: &Dataset,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Evaluated>, Error> {
        let mut tally = Tally::new(&self.metrics);
        let mut total = 0.0;
        for start in (0..data.rows()).step_by(self.batch) {
            if stop() {
                return Ok(None);
            }
            let rows = self.batch.min(data.rows() - start);
            let buffers = self.buffers.iter_mut().find(|[x, _]| x.shape()[0] == rows);
            let Some([x, y]) = buffers else { continue };
            data.read(start, x, y)?;
            let report = self.infer.run(&(&*x, &*y))?;
            total += report.loss() * rows as f64;
            if let Some(predicted) = report.get("prediction") {
                tally.add(predicted, y.view())?;
            }
        }
        Ok(Some(Evaluated { loss: total / data.rows() as f64, metrics: tally.values() }))
    }
}
