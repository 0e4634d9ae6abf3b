//! [`Simulated`]: a network of floats that computes with the numbers that integers can hold, to be trained further.
//!
//! A value or weight becomes the nearest number that has a code; its gradient passes where the code is inside of the
//! range and is 0 outside (a straight-through estimator; Bengio, Léonard and Courville 2013, and Jacob et al. 2018).

use super::codes::Codes;
use super::network::FloatOp;
use super::quantizer::{Quantizer, numbers_of};
use super::trace::Simulation;
use crate::quant::arithmetic::{Code, Interpolation, Quantization};
use crate::quant::model::IntegerModel;
use crate::train::Model;
use crate::{Error, Scope};
use ironlearn_ir::{Array, Dyn, Real, Role, SlotId, Store, Tape, Var};

/// The number of codes of 16 bits.
const TABLE: usize = 1 << 16;

/// A network of floats that simulates integers. Its codes stand in slots, so that they can be moved between epochs.
pub struct Simulated<'q, 'n, T> {
    pub(super) quantizer: &'q Quantizer<'n, T>,
    /// Of each value, `[scale, zero point]`.
    values: Vec<SlotId>,
    /// Of each node's weights, `[outputs]`.
    weights: Vec<SlotId>,
    /// Of each node that is a function of codes of 16 bits, the result for every code, −32768 first: the kernels draw
    /// lines between a function's values, which a steep one leaves by more than a step.
    tables: Vec<Option<SlotId>>,
    codes: Vec<Code>,
}

impl<'q, 'n, T: Real> Simulated<'q, 'n, T> {
    /// A simulation that begins with these codes.
    ///
    /// # Errors
    /// [`Error::Usage`] where the store has slots of another simulation.
    pub fn new(quantizer: &'q Quantizer<'n, T>, codes: &Codes) -> Result<Self, Error> {
        let mut store = quantizer.network.scope().store_mut();
        let mut slot = |name: String, length: usize| -> Result<SlotId, Error> {
            let value = Array::zeros(T::DTYPE, [length]);
            let found = store.find(&name).filter(|&id| store.ty(id).shape[..] == [length]);
            let added = found.map_or_else(|| store.add(&name, Role::Statistic, value), Ok);
            added.map_err(|e| Error::usage(e, "take a fresh copy of the network"))
        };
        let values = (0..codes.values.len()).map(|i| slot(format!("quantization.value.{i}"), 2));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let weights = codes.weights.iter().enumerate();
        let weights = weights.map(|(i, w)| slot(format!("quantization.weight.{i}"), w.len()));
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        let tables = quantizer.float.nodes.iter().enumerate().map(|(i, node)| {
            let wide = codes.values[node.inputs[0]].code == Code::I16;
            let table = matches!(node.op, FloatOp::Function(_)) && wide;
            table.then(|| slot(format!("quantization.table.{i}"), TABLE)).transpose()
        });
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        drop(store);
        let types = codes.values.iter().map(|q| q.code).collect();
        let simulated = Simulated { quantizer, values, weights, tables, codes: types };
        simulated.set(codes)?;
        Ok(simulated)
    }

    /// Goes on with these codes.
    ///
    /// # Errors
    /// [`Error::Usage`] where the codes have other types than those that it began with.
    pub fn set(&self, codes: &Codes) -> Result<(), Error> {
        let mut store = self.quantizer.network.scope().store_mut();
        for (&slot, q) in self.values.iter().zip(&codes.values) {
            write::<T>(&mut store, slot, [q.scale, f64::from(q.zero_point)]);
        }
        for (&slot, scales) in self.weights.iter().zip(&codes.weights) {
            write::<T>(&mut store, slot, scales.iter().copied());
        }
        drop(store);
        // Of the codes as the network of integers will have them.
        let codes = self.codes();
        for (i, node) in self.quantizer.float.nodes.iter().enumerate() {
            let (FloatOp::Function(function), Some(slot)) = (&node.op, self.tables[i]) else { continue };
            let (from, to) = (codes.values[node.inputs[0]], codes.values[i + 1]);
            let table = Interpolation::of(|x| function.value(x), from, to)?;
            let mut store = self.quantizer.network.scope().store_mut();
            write::<T>(&mut store, slot, (-32_768..=32_767).map(|code| to.value(table.apply(code))));
        }
        Ok(())
    }

    /// The codes as the simulation has them, in the precision of its element type.
    pub fn codes(&self) -> Codes {
        let store = self.quantizer.network.scope().store();
        let read = |slot: SlotId| numbers_of(store.slot(slot).value().view()).collect::<Vec<f64>>();
        let value = |(&slot, &code): (&SlotId, &Code)| {
            let numbers = read(slot);
            Quantization { code, scale: numbers[0], zero_point: numbers[1] as i32 }
        };
        Codes {
            values: self.values.iter().zip(&self.codes).map(value).collect(),
            weights: self.weights.iter().map(|&slot| read(slot)).collect(),
        }
    }

    /// The network of integers as it is now.
    ///
    /// # Errors
    /// As [`Quantizer::quantize`].
    pub fn compile(&self) -> Result<IntegerModel, Error> {
        self.quantizer.compile(&self.codes())
    }
}

fn write<T: Real>(store: &mut Store, slot: SlotId, values: impl IntoIterator<Item = f64>) {
    if let Some(to) = store.slot_mut(slot).value_mut().as_slice_mut::<T>() {
        to.iter_mut().zip(values).for_each(|(to, x)| *to = T::from_f64(x));
    }
}

impl<T: Real> Model<T> for Simulated<'_, '_, T> {
    fn scope(&self) -> &Scope {
        self.quantizer.network.scope()
    }

    fn predict<'g>(&self, x: Dyn<'g>) -> Var<'g, T> {
        let _line = x.tape().enter("");
        let values = self.quantizer.float.trace(x, &self.scope().store(), self);
        values.into_iter().next_back().unwrap_or_else(|| Var::of(x))
    }
}

impl<S: Real> Simulation for Simulated<'_, '_, S> {
    fn value<'g, T: Real>(&self, value: usize, x: Var<'g, T>) -> Var<'g, T> {
        let code = self.codes[value];
        let slot = self.read::<T>(x.tape(), self.values[value]);
        let part = |i: usize| slot.narrow(0, i, i + 1).reshape(Vec::<isize>::new());
        nearest(x, part(0), Some(part(1)), (code.low().into(), code.high().into()))
    }

    fn weight<'g>(&self, node: usize, weight: Var<'g, f64>, outputs: usize) -> Var<'g, f64> {
        let scales = self.read::<f64>(weight.tape(), self.weights[node]);
        let wide: Vec<isize> = (0..weight.rank()).map(|axis| if axis == outputs { -1 } else { 1 }).collect();
        nearest(weight, scales.reshape(wide), None, (-127.0, 127.0))
    }

    fn high<'g>(&self, node: usize, weight: Var<'g, f64>) -> Var<'g, f64> {
        self.weight(node, weight, 1)
    }

    fn function<'g, T: Real>(&self, node: usize, x: Var<'g, T>, y: Var<'g, T>) -> Var<'g, T> {
        let Some(slot) = self.tables[node] else { return y };
        let (tape, value) = (x.tape(), self.quantizer.float.nodes[node].inputs[0]);
        let scale = self.read::<T>(tape, self.values[value]).narrow(0, 0, 1).reshape(Vec::<isize>::new());
        let place = (x / scale).round() + 32_768.0;
        let place = place.maximum(tape.scalar(0.0)).minimum(tape.scalar(65_535.0)).cast::<i32>();
        let table = self.read::<T>(tape, slot).gather(place, 0);
        // The gradient is the function's.
        y + (table - y).stop_gradient()
    }
}

impl<S: Real> Simulated<'_, '_, S> {
    fn read<'g, T: Real>(&self, tape: &'g Tape, slot: SlotId) -> Var<'g, T> {
        let ty = self.scope().store().ty(slot);
        Var::<S>::of(tape.slot(slot, ty)).cast::<T>()
    }
}

/// The nearest number with a code in `low..=high`; its gradient passes inside of the range.
fn nearest<'g, T: Real>(
    x: Var<'g, T>,
    scale: Var<'g, T>,
    zero: Option<Var<'g, T>>,
    (low, high): (f64, f64),
) -> Var<'g, T> {
    let scalar = |x: f64| scale.tape().scalar::<T>(x);
    let ends = |end: f64| match zero {
        Some(zero) => (scalar(end) - zero) * scale,
        None => scalar(end) * scale,
    };
    let inside = x.maximum(ends(low)).minimum(ends(high));
    let code = (inside / scale).round() * scale;
    inside + (code - inside).stop_gradient()
}
