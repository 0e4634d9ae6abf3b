//! [`Quantizer`]: a network of floats, its calibration, and the network of integers that comes of it.

use super::codes::Codes;
use super::network::FloatModel;
use super::observer::Observed;
use super::report::Report;
use super::rows::{part, portion_sizes, portions};
use super::settings::Settings;
use super::trace::{Plain, Simulation};
use crate::number::number_at;
use crate::quant::arithmetic::{Code, Rounding, short_scale};
use crate::quant::model::IntegerModel;
use crate::{Error, Infer, Network, Options, Outputs};
use ironlearn_ir::{Array, ArrayView, Real, TensorType};

/// Makes networks of integers of a network of floats.
pub struct Quantizer<'n, T> {
    pub(super) network: &'n Network<T>,
    pub(super) float: FloatModel,
    pub(super) settings: Settings,
    pub(super) options: Options,
}

/// A network of integers and how near it is to the floats that it was made of.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The network.
    pub model: IntegerModel,
    /// Layer by layer.
    pub report: Report,
}

impl<'n, T: Real> Quantizer<'n, T> {
    /// For a network, whose weights are read when they are needed.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the first layer that has no form in integers.
    pub fn new(network: &'n Network<T>, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let float = FloatModel::of(network)?;
        let float = if settings.has_digits() { float.in_digits() } else { float };
        Ok(Quantizer { network, float, settings, options: Options::default() })
    }

    /// How programs are built.
    pub fn options(self, options: Options) -> Self {
        Quantizer { options, ..self }
    }

    /// How floats become integers.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the network computes, operation by operation.
    pub fn float(&self) -> &FloatModel {
        &self.float
    }

    /// The network of integers after calibration with rows `[rows, ..]` like those that will come.
    ///
    /// # Errors
    /// [`Error::Usage`] where rows do not fit the network, or a layer's scales or sums are out of range.
    pub fn quantize(&self, rows: &Array) -> Result<Quantized, Error> {
        let codes = self.calibrate(rows)?;
        let model = self.compile(&codes)?;
        let report = Report::of(self, &model, rows)?;
        Ok(Quantized { model, report })
    }

    /// The network of integers with these codes and the weights as they are now.
    ///
    /// # Errors
    /// As [`Quantizer::quantize`].
    pub fn compile(&self, codes: &Codes) -> Result<IntegerModel, Error> {
        self.float.compile(codes, &self.network.scope().store(), Rounding::HalfEven)
    }

    /// The codes of all values and weights, from what the network of floats does with these rows.
    ///
    /// # Errors
    /// As [`Quantizer::quantize`].
    pub fn calibrate(&self, rows: &Array) -> Result<Codes, Error> {
        let mut observed = vec![Observed::new(self.settings.observer); self.float.values()];
        let watched = |value: usize| self.float.is_observed(value, self.float.code_of(value, &self.settings));
        self.run(rows, &Plain, |value, batch| {
            if watched(value) {
                observed[value].see(numbers_of(batch));
            }
        })?;
        if self.settings.observer.needs_histogram() {
            self.run(rows, &Plain, |value, batch| {
                if watched(value) {
                    observed[value].count(numbers_of(batch));
                }
            })?;
        }
        let steps = |value: usize| match self.float.code_of(value, &self.settings) {
            Code::I8 => 255.0,
            _ => 65_534.0,
        };
        let values = self.float.value_codes(&self.settings, |value| observed[value].range(steps(value)))?;
        let store = self.network.scope().store();
        let mut weights: Vec<Vec<f64>> = Vec::new();
        for (node, to) in self.float.nodes.iter().zip(&values[1..]) {
            let from = values[node.inputs[0]];
            let before = weights.last().map_or(&[][..], |scales| scales);
            let mut scales = self
                .float
                .effective(node, &store, before)
                .map_or_else(Vec::new, |effective| effective.scales(from.scale, &self.settings));
            if [from.code, to.code] == [Code::I8; 2] {
                let short = |scale: &f64| short_scale(from.scale * scale / to.scale) * to.scale / from.scale;
                scales = scales.iter().map(short).collect();
            }
            weights.push(scales);
        }
        Ok(Codes { weights, values })
    }

    /// Shows every value of the network of floats for these rows, in portions.
    pub(super) fn run(
        &self,
        rows: &Array,
        simulation: &impl Simulation,
        mut show: impl FnMut(usize, ArrayView<'_>),
    ) -> Result<(), Error> {
        let count = self.check_rows(rows)?;
        let signature = |portion: &usize| {
            vec![TensorType::new(rows.dtype(), [&[*portion], &self.float.input[..]].concat())]
        };
        let signatures: Vec<Vec<TensorType>> = portion_sizes(count).iter().map(signature).collect();
        let scope = self.network.scope();
        let mut infer = Infer::build_all(&self.options, scope, &signatures, |_tape, x| {
            let values = self.float.trace::<T>(x[0], &scope.store(), simulation);
            let mut outputs = Outputs::default();
            for (i, value) in values.into_iter().enumerate() {
                outputs = outputs.and(&i.to_string(), value.node());
            }
            outputs
        })?;
        let mut start = 0;
        for portion in portions(count) {
            let batch = part(rows, start, portion)?;
            start += portion;
            let report = infer.run(&(&batch,))?;
            (0..self.float.values())
                .for_each(|i| report.get(&i.to_string()).into_iter().for_each(|v| show(i, v)));
        }
        Ok(())
    }

    /// The number of rows, where they are rows of the network.
    fn check_rows(&self, rows: &Array) -> Result<usize, Error> {
        let shape = rows.shape();
        let fits = shape.rank() > 0 && shape[0] > 0 && shape[1..] == self.float.input[..];
        let dtype = self.network.input_dtype();
        if fits && (rows.dtype() == dtype || self.float.tokens) {
            return Ok(shape[0]);
        }
        let problem = format!(
            "{}{shape} for calibration, where the network takes {dtype}{:?} for each row",
            rows.dtype(),
            self.float.input
        );
        Err(Error::usage(problem, "give some hundred rows of the training part, prepared as for training"))
    }
}

/// All numbers of a value.
pub fn numbers_of(view: ArrayView<'_>) -> impl Iterator<Item = f64> {
    (0..view.shape().elements()).map(move |i| number_at(view, i))
}
