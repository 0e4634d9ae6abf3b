//! [`Report`]: how near a network of integers is to the floats that it was made of, layer by layer.

use super::quantizer::{Quantizer, numbers_of};
use super::rows::{part, quantized};
use super::trace::Plain;
use crate::quant::model::{IntegerModel, IntegerProgram};
use crate::{Error, Options};
use ironlearn_ir::{Array, Real};
use std::fmt;

/// The most rows that are looked at.
const ROWS: usize = 256;

/// How near each value is to its float.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// For each operation.
    pub layers: Vec<LayerReport>,
    /// Bytes of weights, biases, tables and scales.
    pub bytes: usize,
}

/// How near the result of an operation is to its float, over all rows.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerReport {
    /// The layer's path and the operation.
    pub name: String,
    /// `10·log₁₀(Σ x²/Σ (x − x̂)²)` in decibels; infinite where they are equal.
    pub signal_to_noise: f64,
    /// The largest difference, in units of the float.
    pub largest: f64,
    /// The share of floats that the codes do not reach, in 0..=1.
    pub clipped: f64,
    /// Different codes that occur, of those there are.
    pub occupied: usize,
    /// How many codes there are.
    pub codes: usize,
}

#[derive(Clone, Default)]
struct Sums {
    signal: f64,
    noise: f64,
    largest: f64,
    clipped: usize,
    count: usize,
}

impl Report {
    /// Compares both networks on up to 256 rows.
    pub(super) fn of<T: Real>(
        quantizer: &Quantizer<'_, T>,
        model: &IntegerModel,
        rows: &Array,
    ) -> Result<Report, Error> {
        let rows = part(rows, 0, rows.shape()[0].min(ROWS))?;
        let mut floats: Vec<Vec<f64>> = vec![Vec::new(); quantizer.float.values()];
        quantizer.run(&rows, &Plain, |value, batch| floats[value].extend(numbers_of(batch)))?;
        let codes = quantized(rows.view(), model.input.quantization)?;
        let mut program = IntegerProgram::with_values(model, &Options::default(), &[rows.shape()[0]])?;
        let mut layers = Vec::new();
        program.values(codes.view(), |value, batch| {
            let Some(edge) = model.edge(value).filter(|_| value > 0) else { return };
            let q = edge.quantization;
            let (low, high) = (q.value(q.code.low()), q.value(q.code.high()));
            let mut seen = vec![false; 1 << 16];
            let mut sums = Sums::default();
            for (x, code) in floats[value].iter().zip(numbers_of(batch)) {
                let difference = (x - q.value(code as i32)).abs();
                sums.signal += x * x;
                sums.noise += difference * difference;
                sums.largest = sums.largest.max(difference);
                sums.clipped += usize::from(*x < low - q.scale / 2.0 || *x > high + q.scale / 2.0);
                sums.count += 1;
                seen[(code as i32 - q.code.low()) as usize & 0xffff] = true;
            }
            layers.push(LayerReport {
                name: quantizer.float.describe(value),
                signal_to_noise: 10.0 * (sums.signal / sums.noise).log10(),
                largest: sums.largest,
                clipped: sums.clipped as f64 / sums.count.max(1) as f64,
                occupied: seen.iter().filter(|s| **s).count(),
                codes: (q.code.high() - q.code.low()) as usize + 1,
            });
        })?;
        Ok(Report { layers, bytes: model.parameter_bytes() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|l| l.name.len()).max().unwrap_or(0).max("operation".len());
        writeln!(f, "{:width$}  signal/noise  largest difference  clipped  codes in use", "operation")?;
        for l in &self.layers {
            let (occupied, codes) = (l.occupied, l.codes);
            let noise = if l.signal_to_noise.is_finite() {
                format!("{:.1} dB", l.signal_to_noise)
            } else {
                "exact".into()
            };
            writeln!(
                f,
                "{:width$}  {noise:>12}  {:>18.3e}  {:>6.2}%  {occupied:>5} of {codes}",
                l.name,
                l.largest,
                100.0 * l.clipped,
            )?;
        }
        write!(f, "{} bytes of weights, biases, tables and scales", self.bytes)
    }
}
