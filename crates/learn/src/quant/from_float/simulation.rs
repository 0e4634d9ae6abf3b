//! [`Simulated`]: a network of floats that computes with the numbers that integers can hold, to be trained further.
//!
//! A value or weight becomes the nearest number that has a code; its gradient passes where the code is inside of the
//! range and is 0 outside (a straight-through estimator; Bengio, Léonard and Courville 2013, and Jacob et al. 2018).

use super::codes::Codes;
use super::quantizer::{Quantizer, numbers_of};
use super::trace::Simulation;
use crate::quant::arithmetic::{Code, Quantization};
use crate::quant::model::IntegerModel;
use crate::train::Model;
use crate::{Error, Scope};
use ironlearn_ir::{Array, Dyn, Real, Role, SlotId, Store, Tape, Var};

/// A network of floats that simulates integers. Its codes stand in slots, so that they can be moved between epochs.
pub struct Simulated<'q, 'n, T> {
    pub(super) quantizer: &'q Quantizer<'n, T>,
    /// Of each value, `[scale, zero point]`.
    values: Vec<SlotId>,
    /// Of each node's weights, `[outputs]`.
    weights: Vec<SlotId>,
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
        drop(store);
        let types = codes.values.iter().map(|q| q.code).collect();
        let simulated = Simulated { quantizer, values, weights, codes: types };
        simulated.set(codes);
        Ok(simulated)
    }

    /// Goes on with these codes.
    pub fn set(&self, codes: &Codes) {
        let mut store = self.quantizer.network.scope().store_mut();
        for (&slot, q) in self.values.iter().zip(&codes.values) {
            write::<T>(&mut store, slot, &[q.scale, f64::from(q.zero_point)]);
        }
        for (&slot, scales) in self.weights.iter().zip(&codes.weights) {
            write::<T>(&mut store, slot, scales);
        }
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

fn write<T: Real>(store: &mut Store, slot: SlotId, values: &[f64]) {
    if let Some(to) = store.slot_mut(slot).value_mut().as_slice_mut::<T>() {
        to.iter_mut().zip(values).for_each(|(to, &x)| *to = T::from_f64(x));
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

    fn weight<'g, T: Real>(&self, node: usize, weight: Var<'g, T>, outputs: usize) -> Var<'g, T> {
        let scales = self.read::<T>(weight.tape(), self.weights[node]);
        let wide: Vec<isize> = (0..weight.rank()).map(|axis| if axis == outputs { -1 } else { 1 }).collect();
        nearest(weight, scales.reshape(wide), None, (-127.0, 127.0))
    }

    fn high<'g, T: Real>(&self, node: usize, weight: Var<'g, T>) -> Var<'g, T> {
        self.weight(node, weight, 1)
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
