//! Loss and metrics over a whole data set.

use super::model::Model;
use crate::data::batch_of;
use crate::metric::{Metric, Tally};
use crate::{Dataset, Error, Infer, Loss, Options, Outputs};
use ironlearn_ir::ranks::Ranks;
use ironlearn_ir::{Array, Real};
use std::sync::Arc;

/// Rows of a batch of evaluation: enough for the machine, not too much for its memory.
const BATCH: usize = 1024;

/// An inference over a data set, built once.
pub struct Evaluation {
    infer: Infer,
    batch: usize,
    buffers: Vec<[Array; 2]>,
    metrics: Vec<Metric>,
    ranks: Option<Arc<dyn Ranks>>,
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
    /// An evaluation of a model on data sets with the types of this one and as many rows. Where steps are shared, each
    /// rank computes some of the batches.
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
        let ranks = options.ranks();
        let options = &options.clone().shared(None);
        let infer = Infer::build_all(options, model.scope(), &signatures, |_tape, v| {
            let predicted = model.predict(v[0]);
            Outputs::loss(loss.apply(predicted, v[1])).and("prediction", predicted)
        })?;
        Ok(Evaluation {
            infer,
            batch,
            buffers: signatures.iter().map(|types| batch_of(types)).collect::<Result<_, _>>()?,
            metrics: metrics.to_vec(),
            ranks,
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
        let (rank, ranks) = self.ranks.as_ref().map_or((0, 1), |ranks| (ranks.rank(), ranks.count()));
        let batch = self.batch;
        for round in (0..data.rows()).step_by(batch * ranks) {
            let own = round + rank * batch;
            let found = if stop() {
                vec![]
            } else if own < data.rows() {
                self.numbers_of(data, own, &tally)?
            } else {
                vec![0.0]
            };
            for (i, numbers) in self.of_all_ranks(found)?.iter().enumerate() {
                let [loss, shares @ ..] = &numbers[..] else { return Ok(None) };
                let start = round + i * batch;
                if start < data.rows() {
                    total += loss * batch.min(data.rows() - start) as f64;
                    let pairs: Vec<(f64, f64)> = shares.chunks_exact(2).map(|s| (s[0], s[1])).collect();
                    tally.add_shares(&pairs);
                }
            }
        }
        Ok(Some(Evaluated { loss: total / data.rows() as f64, metrics: tally.values() }))
    }

    /// The loss of a batch, and what it adds to sum and count of each metric.
    fn numbers_of(&mut self, data: &Dataset, start: usize, tally: &Tally) -> Result<Vec<f64>, Error> {
        let rows = self.batch.min(data.rows() - start);
        let buffers = self.buffers.iter_mut().find(|[x, _]| x.shape()[0] == rows);
        let Some([x, y]) = buffers else { return Ok(vec![0.0]) };
        data.read(start, x, y)?;
        let report = self.infer.run(&(&*x, &*y))?;
        let mut numbers = vec![report.loss()];
        if let Some(predicted) = report.get("prediction") {
            numbers
                .extend(tally.shares(predicted, y.view())?.into_iter().flat_map(|(sum, count)| [sum, count]));
        }
        Ok(numbers)
    }

    /// The numbers that each rank has found, in order; none of one that has given up.
    fn of_all_ranks(&self, own: Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
        let Some(ranks) = &self.ranks else { return Ok(vec![own]) };
        let bytes = own.iter().flat_map(|number| number.to_le_bytes()).collect();
        let number = |bytes: &[u8]| bytes.try_into().map_or(f64::NAN, f64::from_le_bytes);
        let numbers = |bytes: Vec<u8>| bytes.chunks_exact(8).map(number).collect();
        Ok(ranks.gather(bytes).map_err(Error::device)?.into_iter().map(numbers).collect())
    }
}
