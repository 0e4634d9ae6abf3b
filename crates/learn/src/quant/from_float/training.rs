//! Training with simulated integers (quantization-aware training; Jacob et al. 2018).

use super::quantizer::{Quantized, Quantizer};
use super::report::Report;
use super::simulation::Simulated;
use crate::train::{Control, EpochReport, Save, Start, Watch};
use crate::{Dataset, Error, Training};
use ironlearn_ir::{Array, Real, Role};

/// The part of the epochs in which codes still follow the weights; in the rest they stand.
const MOVING: f64 = 0.8;

/// The share of an operation's codes that may be further from its simulation than roundings explain.
const MOST_DIFFERENT: f64 = 0.001;

impl<T: Real> Quantizer<'_, T> {
    /// Trains the network further with integers simulated, and makes it one of integers.
    ///
    /// Codes follow the weights from epoch to epoch, by calibration with `rows`, and stand still for the last fifth.
    /// At every evaluation the integers themselves run on `rows`, and are compared with the simulation: the metric
    /// `integers_apart` is [`Agreement::share`](super::Agreement::share). Batch norm
    /// keeps its statistics. The network has to be a [`copy`](crate::Network::copy), without a training of its own.
    ///
    /// # Errors
    /// As [`Quantizer::quantize`] and [`Training::build`]; [`Error::Usage`] where integers and simulation part.
    pub fn train(
        &self,
        training: Training,
        data: &Dataset,
        validation: Option<&Dataset>,
        rows: &Array,
        watch: &mut dyn Watch,
    ) -> Result<Quantized, Error> {
        let store = self.network.scope().store();
        if store.ids().any(|id| matches!(store.slot(id).role, Role::Progress | Role::Optimizer)) {
            let hint = "give `Quantizer` its `Network::copy`";
            return Err(Error::usage(
                "the network has been trained, and would go on with that training",
                hint,
            ));
        }
        drop(store);
        let simulated = Simulated::new(self, &self.calibrate(rows)?)?;
        let moving = (training.pace.epochs as f64 * MOVING) as u64;
        let mut trainer = training.build(&simulated, data, validation)?;
        let mut watch = Following { quantizer: self, simulated: &simulated, rows, moving, watch };
        trainer.run(&mut watch, &mut |_, _| Ok(()))?;
        let model = simulated.compile()?;
        let report = Report::of(self, &model, rows)?;
        Ok(Quantized { model, report })
    }
}

/// Moves the codes after each evaluation, and compares the integers with their simulation.
struct Following<'a, 'n, T> {
    quantizer: &'a Quantizer<'n, T>,
    simulated: &'a Simulated<'a, 'n, T>,
    rows: &'a Array,
    moving: u64,
    watch: &'a mut dyn Watch,
}

impl<T: Real> Watch for Following<'_, '_, T> {
    fn begin(&mut self, start: &Start) -> Result<(), Error> {
        self.watch.begin(start)
    }
    fn after_step(&mut self, step: u64) -> Control {
        self.watch.after_step(step)
    }
    fn is_stopping(&self) -> bool {
        self.watch.is_stopping()
    }
    fn measure(&mut self, epoch: u64) -> Result<Option<Vec<(String, f64)>>, Error> {
        let agreement = self.simulated.agreement(self.rows)?;
        if agreement.share > MOST_DIFFERENT {
            let problem = format!(
                "after epoch {epoch} {:.1} % of the codes of {} are not those of their simulation, up to {} steps \
                 away from them",
                100.0 * agreement.share,
                agreement.name,
                agreement.steps
            );
            return Err(Error::usage(
                problem,
                "use scales that are powers of two, or a smaller learning rate",
            ));
        }
        if epoch < self.moving {
            self.simulated.set(&self.quantizer.calibrate(self.rows)?)?;
        }
        let Some(mut metrics) = self.watch.measure(epoch)? else { return Ok(None) };
        metrics.push(("integers_apart".into(), agreement.share));
        Ok(Some(metrics))
    }
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.watch.after_epoch(report)
    }
    fn warn(&mut self, warning: &str) {
        self.watch.warn(warning);
    }
    fn before_save(&mut self, which: Save) {
        self.watch.before_save(which);
    }
    fn saved(&mut self, which: Save) {
        self.watch.saved(which);
    }
    fn not_saved(&mut self, which: Save, error: Error) -> Result<(), Error> {
        self.watch.not_saved(which, error)
    }
}
