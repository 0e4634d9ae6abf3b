//! [`Agreement`]: the integer kernels against their simulation, operation by operation.

use super::quantizer::numbers_of;
use super::rows::{part, quantized};
use super::simulation::Simulated;
use crate::quant::arithmetic::Code;
use crate::quant::model::{IntegerProgram, Node, Op};
use crate::{Error, Infer, Options, Outputs};
use ironlearn_ir::{Array, Real, TensorType, Var};

/// The most rows that are looked at.
const ROWS: usize = 64;

/// How far the operations of a network of integers are from their simulations, each on the same operands: those
/// that it has in the network of integers.
#[derive(Clone, PartialEq, Debug)]
pub struct Agreement {
    /// The operation that differs most.
    pub name: String,
    /// The share of its codes that differ by more than roundings explain: by more than a step of 8 bits, or 4 of 16; of
    /// a norm of 16 bits by a step more than half a unit of its deviations, which have 15 bits.
    pub share: f64,
    /// The largest difference of any operation, in steps of its codes.
    pub steps: i64,
}

impl<T: Real> Simulated<'_, '_, T> {
    /// Runs rows through the integers, and each operation's operands through its simulation.
    ///
    /// # Errors
    /// As [`Quantizer::quantize`](super::Quantizer::quantize).
    pub fn agreement(&self, rows: &Array) -> Result<Agreement, Error> {
        let (model, float) = (self.compile()?, self.quantizer.float());
        let count = rows.shape()[0].min(ROWS);
        let rows = part(rows, 0, count)?;
        let codes = quantized(rows.view(), model.input.quantization)?;
        let mut integers: Vec<Vec<i32>> = vec![Vec::new(); float.values()];
        IntegerProgram::with_values(&model, &Options::default(), &[count])?
            .values(codes.view(), |value, batch| {
                integers[value].extend(numbers_of(batch).map(|c| c as i32))
            })?;
        let mut batch = vec![rows];
        for (value, codes) in integers.iter().enumerate() {
            let Some(edge) = model.edge(value) else { continue };
            let numbers = codes.iter().map(|&c| T::from_f64(edge.quantization.value(c))).collect();
            batch.push(Array::of(edge.batch(count), numbers).map_err(|e| Error::usage(e, "quantize again"))?);
        }
        let types: Vec<TensorType> =
            batch.iter().map(|x| TensorType::new(x.dtype(), x.shape().clone())).collect();
        let scope = self.quantizer.network.scope();
        let mut infer = Infer::build(&self.quantizer.options, scope, types, |_tape, x| {
            let values: Vec<Var<'_, T>> = x[1..].iter().map(|&v| Var::of(v)).collect();
            let mut outputs = Outputs::default();
            for node in 0..model.nodes.len() {
                let y = float.trace_node(node, x[0], &values, &scope.store(), self);
                outputs = outputs.and(&node.to_string(), y.node());
            }
            outputs
        })?;
        let views: Vec<_> = batch.iter().map(Array::view).collect();
        let report = infer.run(&&views[..])?;
        let mut worst = Agreement { name: float.describe(0), share: 0.0, steps: 0 };
        for (i, node) in model.nodes.iter().enumerate() {
            let Some(simulated) = report.get(&i.to_string()) else { continue };
            let q = node.output.quantization;
            let explained = explained(node);
            let pairs = numbers_of(simulated).zip(&integers[i + 1]);
            let steps: Vec<i64> =
                pairs.map(|(x, &c)| (i64::from(q.quantize(x)) - i64::from(c)).abs()).collect();
            let share = steps.iter().filter(|&&s| s > explained).count() as f64 / steps.len().max(1) as f64;
            worst.steps = worst.steps.max(steps.into_iter().max().unwrap_or_default());
            if share > worst.share {
                (worst.name, worst.share) = (float.describe(i + 1), share);
            }
        }
        Ok(worst)
    }
}

/// By how many steps of its codes an operation may be from its simulation by roundings alone.
fn explained(node: &Node) -> i64 {
    match &node.op {
        _ if node.output.quantization.code == Code::I8 => 1,
        // A deviation is rounded before the gain: half of its units, and a step.
        Op::Norm(norm) => {
            let gain = norm.gain.iter().map(|g| g.unsigned_abs()).max().unwrap_or_default();
            let step = norm.requantize.by.iter().map(|by| by.value()).fold(0.0, f64::max);
            1 + (0.5 * f64::from(gain) * step).ceil() as i64
        }
        // The kernel rounds once; sums of floats of 32 bits are off by a few 2⁻²⁴ of their terms, which are 2⁻⁹ of a
        // step each where they are as large as the result.
        _ => 4,
    }
}
