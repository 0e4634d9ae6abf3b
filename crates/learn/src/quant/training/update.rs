//! How parameters follow their gradients.
//!
//! Gradients and momentum have the exponent [`MOMENTUM_EXPONENT`]. A gradient is held within 2ˢ⁻²⁶ of what momentum
//! can be, so that momentum `1 − 2⁻ˢ` never passes 2²⁶ units.

use super::backward::Gradients;
use super::forward::Value;
use super::layer::Weights;
use super::network::IntegerNetwork;
use super::optimizer::{IntegerOptimizer, IntegerSgd};
use super::rate::{Rate, bits_of_step, of_step};
use super::rounding::{bit_length, largest, number, random_below, wide};
use crate::optim::{NoSlot, find_or_zero};
use ironlearn_ir::{DType, Role, Shape, SlotId, Store, Tape, TensorType, Var};

/// The exponent of biases.
pub const BIAS_EXPONENT: i32 = -20;
/// The exponent of momentum.
const MOMENTUM_EXPONENT: i32 = -22;
/// Bits of the largest momentum, and of gradients times 2ˢ.
const MOMENTUM_BITS: i32 = 26;
/// The largest weight.
const LARGEST: i32 = 32_767;

impl IntegerNetwork {
    /// Sets the next value of all parameters.
    #[track_caller]
    pub(super) fn update(
        &self,
        tape: &Tape,
        optimizer: &IntegerOptimizer,
        batch: usize,
        found: Vec<Gradients<'_>>,
    ) -> Result<(), NoSlot> {
        let mut store = self.scope.store_mut();
        let rate = match optimizer {
            IntegerOptimizer::Sgd(sgd) => Some((sgd, of_step(tape, sgd, batch))),
            IntegerOptimizer::Niti { .. } => None,
        };
        for gradients in found {
            let layer = &self.layers[gradients.layer];
            let Some(weights) = layer.kind.weights() else { continue };
            let _layer = tape.enter(&layer.path);
            let weight = Weight::of(tape, weights);
            let change = match (optimizer, &rate) {
                (IntegerOptimizer::Niti { bits, .. }, _) => {
                    normalized(Var::of(gradients.weight.q), bits_of_step(tape, *bits, optimizer))
                }
                (_, Some((sgd, rate))) => {
                    let batch = Batch { sgd, rate: *rate, size: batch };
                    if let (Some(slot), Some(gradient)) = (weights.bias, gradients.bias) {
                        batch.bias(tape, &mut store, slot, gradient)?;
                    }
                    batch.weight(tape, &mut store, weights, &weight, gradients.weight)?
                }
                _ => continue,
            };
            let next = (weight.halved - change).maximum(-LARGEST).cast::<i16>();
            tape.assign(weights.weight, next.node());
            tape.assign(weights.exponent, weight.exponent.node());
        }
        Ok(())
    }
}

/// Weights in a step: where one has reached the largest number, all are halved.
struct Weight<'g> {
    halved: Var<'g, i32>,
    exponent: Var<'g, i32>,
}

impl<'g> Weight<'g> {
    #[track_caller]
    fn of(tape: &'g Tape, weights: &Weights) -> Weight<'g> {
        let w = Var::<i16>::of(tape.slot(weights.weight, TensorType::new(DType::I16, weights.shape.clone())));
        let scalar = TensorType::new(DType::I32, Shape::scalar());
        let exponent = Var::<i32>::of(tape.slot(weights.exponent, scalar));
        let top = w.abs().max((0..w.rank() as isize).collect::<Vec<_>>()).cast::<i32>();
        let full = number(tape, LARGEST - 1).less(top);
        // In 16 bits: what reads the weights on the way forward widens them too, and then a copy of 32 would be kept.
        let bit = full.cast::<i16>();
        let halved = (w >> bit).cast::<i32>() + (w & bit).cast::<i32>();
        Weight { halved, exponent: exponent + full.cast::<i32>() }
    }
}

/// What all parameters of a step have in common.
struct Batch<'a, 'g> {
    sgd: &'a IntegerSgd,
    rate: Rate<'g>,
    size: usize,
}

impl<'g> Batch<'_, 'g> {
    /// What is taken from the weights.
    #[track_caller]
    fn weight(
        &self,
        tape: &'g Tape,
        store: &mut Store,
        weights: &Weights,
        weight: &Weight<'g>,
        gradient: Value<'g>,
    ) -> Result<Var<'g, i32>, NoSlot> {
        let decay = self.sgd.decay.map(|decay| {
            let shift = weight.exponent + (self.sgd.momentum as i32 - decay as i32 - MOMENTUM_EXPONENT);
            (weight.halved << shift.maximum(0).minimum(8)) >> (-shift).maximum(0).minimum(31)
        });
        let v = self.momentum(tape, store, weights.weight, gradient, decay)?;
        Ok(self.change(v, weight.exponent))
    }

    /// Sets the next value of a bias.
    #[track_caller]
    fn bias(
        &self,
        tape: &'g Tape,
        store: &mut Store,
        slot: SlotId,
        gradient: Value<'g>,
    ) -> Result<(), NoSlot> {
        let v = self.momentum(tape, store, slot, gradient, None)?;
        let bias = Var::<i32>::of(tape.slot(slot, gradient.q.ty()));
        let next = bias - self.change(v, number(tape, BIAS_EXPONENT));
        tape.assign(slot, next.maximum(-(1 << 28)).minimum(1 << 28).node());
        Ok(())
    }

    /// The next momentum: `v + ((2ˢ·gradient + 2ˢ·decay − v) >> s)`, rounded to nearest.
    #[track_caller]
    fn momentum(
        &self,
        tape: &'g Tape,
        store: &mut Store,
        slot: SlotId,
        gradient: Value<'g>,
        decay: Option<Var<'g, i32>>,
    ) -> Result<Var<'g, i32>, NoSlot> {
        let s = self.sgd.momentum as i32;
        let name = format!("{}/momentum", store.slot(slot).name);
        let v = find_or_zero(store, &name, Role::Optimizer, &gradient.q.ty())?;
        let old = Var::<i32>::of(tape.slot(v, gradient.q.ty()));
        let shift = gradient.exponent + (s - self.size.ilog2() as i32 - MOMENTUM_EXPONENT);
        let (up, down) = (shift.maximum(0).minimum(MOMENTUM_BITS), (-shift).maximum(0).minimum(27));
        let half = (number(tape, 1) << down) >> number(tape, 1);
        let half = half + (number(tape, (1 << s) >> 1) << down);
        let bound = wide(tape, 1 << MOMENTUM_BITS);
        let bound = (bound >> up.cast::<i64>()) << down.cast::<i64>();
        let bound = bound.minimum(wide(tape, i32::MAX.into()) - half.cast::<i64>()).cast::<i32>();
        let g = Var::<i32>::of(gradient.q).minimum(bound).maximum(-bound);
        let g = ((g << up) + half) >> down;
        let g = decay.map_or(g, |decay| g + decay);
        let next = if s == 0 { g } else { old + ((g - old) >> number(tape, s)) };
        tape.assign(v, next.node());
        Ok(next)
    }

    /// The rate times momentum, in the unit of a parameter, rounded at random.
    #[track_caller]
    fn change(&self, v: Var<'g, i32>, exponent: Var<'g, i32>) -> Var<'g, i32> {
        let tape = v.tape();
        let shift = exponent + (24 - MOMENTUM_EXPONENT) - self.rate.shift;
        // Of a rate that is next to nothing bits are left out, so that the sum below fits.
        let past = (shift - 29).maximum(0).minimum(31);
        let multiplier = self.rate.multiplier >> past;
        let shift = shift.maximum(0).minimum(29);
        (v * multiplier + random_below(tape, v.shape(), shift)) >> shift
    }
}

/// The upper bits of gradients, by their largest, rounded at random, in the unit of weights.
#[track_caller]
fn normalized<'g>(g: Var<'g, i32>, bits: Var<'g, i32>) -> Var<'g, i32> {
    let shift = bit_length(largest(g)) - bits - 8;
    let (down, up) = (shift.maximum(0), (-shift).maximum(0).minimum(15));
    ((g << up) + random_below(g.tape(), g.shape(), down)) >> down
}
