//! [`Cache`]: what layers keep of a sequence that comes piece by piece.

use crate::Scope;
use crate::optim::find_or_zero;
use crate::scope::Param;
use ironlearn_ir::{DType, Real, Role, Shape, Tape, TensorType, Var};

/// What layers keep of a sequence that comes piece by piece, so that no place is computed twice: the keys and values
/// of attention, the states of recurrent layers. They are slots of a scope's store, `cache/PATH.NAME`, which a run
/// moves on.
pub struct Cache<'g> {
    scope: Scope,
    capacity: usize,
    start: Var<'g, i32>,
    places: Var<'g, i32>,
}

impl<'g> Cache<'g> {
    /// For the `count` next places of sequences of at most `capacity`; `start`, a scalar, is the first of them. At 0
    /// a sequence begins anew. A place beyond the capacity is an error when it runs.
    #[track_caller]
    pub fn new(scope: &Scope, start: Var<'g, i32>, count: usize, capacity: usize) -> Self {
        let tape = start.tape();
        let places = iota(tape, capacity).gather(iota(tape, count) + start, 0);
        Cache { scope: scope.clone(), capacity, start, places }
    }

    /// The most places of a sequence.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The places that come now, `[count]`.
    pub fn places(&self) -> Var<'g, i32> {
        self.places
    }

    /// Whether a sequence begins with these places; a scalar.
    #[track_caller]
    pub fn is_start(&self) -> Var<'g, bool> {
        self.start.equal(0)
    }

    /// A state of this layer, as it was left; zeros at the start of a sequence.
    #[track_caller]
    pub fn state<T: Real>(&self, layer: &str, name: &str, shape: impl Into<Shape>) -> State<'g, T> {
        let shape = shape.into();
        let kept = self.kept(layer, name, &shape);
        let before =
            self.is_start().select(self.start.tape().scalar::<T>(0.0).broadcast_to(shape), kept.before);
        State { before, ..kept }
    }

    /// The rows `[B, .., places, width]` of this layer with those of the places before them, `[B, .., capacity,
    /// width]`, which are kept. What stands at later places is finite, and means nothing.
    #[track_caller]
    pub fn extended<T: Real>(&self, layer: &str, name: &str, rows: Var<'g, T>) -> Var<'g, T> {
        let (tape, axis) = (rows.tape(), rows.rank() - 2);
        let mut shape = rows.shape().to_vec();
        let count = std::mem::replace(&mut shape[axis], self.capacity) as i32;
        let kept = self.kept(layer, name, &shape.into());
        // For each place of the whole sequence the row that comes for it, if one does.
        let row = iota(tape, self.capacity) - self.start;
        let comes = (!row.less(0)).select(row.less(count), tape.constant(Shape::scalar(), vec![false]));
        let spread = rows.gather(row.maximum(0).minimum(count - 1), axis as isize);
        let all = comes.reshape([-1, 1]).select(spread, kept.before);
        kept.leave(all);
        all
    }

    #[track_caller]
    fn kept<T: Real>(&self, layer: &str, name: &str, shape: &Shape) -> State<'g, T> {
        let (tape, ty) = (self.start.tape(), TensorType::new(T::DTYPE, shape.clone()));
        let slot = format!("cache/{layer}.{name}");
        let found = find_or_zero(&mut self.scope.store_mut(), &slot, Role::Progress, &ty);
        match found {
            Ok(id) => {
                let slot = Param::of(id, ty, &slot);
                State { before: slot.read(tape), slot: Some(slot) }
            }
            Err(problem) => {
                problem.report(tape);
                State { before: Var::of(tape.stand_in(ty)), slot: None }
            }
        }
    }
}

/// A state that a layer carries from one run to the next.
pub struct State<'g, T> {
    /// What it is before these places.
    pub before: Var<'g, T>,
    slot: Option<Param<T>>,
}

impl<'g, T: Real> State<'g, T> {
    /// Sets what it is after these places.
    #[track_caller]
    pub fn leave(&self, after: Var<'g, T>) {
        if let Some(slot) = &self.slot {
            slot.assign(after);
        }
    }
}

/// The whole numbers from 0 below `count`.
#[track_caller]
pub(super) fn iota(tape: &Tape, count: usize) -> Var<'_, i32> {
    Var::of(tape.iota_of(TensorType::new(DType::I32, [count]), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, LayerSpec, Network};
    use crate::{Error, Infer, Init, Options, Outputs};
    use ironlearn_ir::Array;

    const PLACES: usize = 12;

    fn linear(outputs: usize) -> LayerSpec {
        LayerSpec::Linear { outputs, bias: true, init: Init::XavierUniform }
    }

    fn network(middle: LayerSpec) -> Network<f32> {
        let specs = [
            LayerSpec::Embedding { vocabulary: 7, dimension: 16 },
            LayerSpec::Sequential(vec![LayerSpec::Residual(vec![LayerSpec::LayerNorm(1e-5), middle])], 2),
            LayerSpec::RmsNorm(1e-5),
            LayerSpec::Dropout(0.5),
            linear(24),
            LayerSpec::Activation(Activation::Gelu),
            linear(7),
        ];
        Network::from_specs([PLACES], &specs, 3).unwrap()
    }

    /// The result for all places at once, and for pieces of these lengths one after the other.
    fn whole_and_pieces(network: &Network<f32>, text: &[i64], pieces: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let options = Options::default();
        let row = |tokens: &[i64]| Array::of([1, tokens.len()], tokens.to_vec()).unwrap();
        let numbers = |y: &Array| y.as_slice::<f32>().unwrap().to_vec();
        let types = |length| vec![TensorType::new(DType::I64, [1, length])];
        let mut infer = Infer::build(&options, network.scope(), types(PLACES), |_, x| {
            Outputs::of("y", network.forward_node(x[0]))
        })
        .unwrap();
        let whole = numbers(&infer.run(&(&row(text),)).unwrap().get("y").unwrap().to_array());
        let signatures: Vec<_> = [1, 2, 3, 6]
            .map(|length| [types(length), vec![TensorType::new(DType::I32, Shape::scalar())]].concat())
            .into();
        let mut infer = Infer::build_all(&options, network.scope(), &signatures, |_, x| {
            let cache = Cache::new(network.scope(), Var::of(x[1]), x[0].shape()[1], PLACES);
            Outputs::of("y", network.forward_next(x[0], &cache).unwrap())
        })
        .unwrap();
        let mut parts = Vec::new();
        let mut start = 0;
        for &length in pieces {
            let batch = (&row(&text[start..start + length]), &Array::scalar(start as i32));
            parts.extend(numbers(&infer.run(&batch).unwrap().get("y").unwrap().to_array()));
            start += length;
        }
        (whole, parts)
    }

    fn layers() -> [LayerSpec; 5] {
        let attention = |causal, rotary| LayerSpec::Attention { heads: 2, causal, rotary };
        [
            attention(true, true),
            attention(true, false),
            LayerSpec::Gru { units: 16, last: false },
            LayerSpec::Lstm { units: 16, last: false },
            LayerSpec::Siren { outputs: 16, omega: 3.0 },
        ]
    }

    #[test]
    fn pieces_have_the_bits_of_the_whole_and_a_sequence_begins_anew_at_0() {
        let text: Vec<i64> = (0..PLACES as i64).map(|i| (i * i + 2 * i) % 7).collect();
        let other: Vec<i64> = text.iter().map(|t| 6 - t).collect();
        for layer in layers() {
            let network = network(layer);
            for text in [&text, &other, &text] {
                for pieces in [&[1; PLACES][..], &[6, 1, 1, 3, 1], &[2, 3, 6, 1]] {
                    let (whole, parts) = whole_and_pieces(&network, text, pieces);
                    assert_eq!(whole, parts, "{network} in {pieces:?}");
                }
            }
        }
    }

    #[test]
    fn what_looks_ahead_goes_on_from_no_cache() {
        let others = [
            LayerSpec::Attention { heads: 2, causal: false, rotary: true },
            LayerSpec::BatchNorm { momentum: 0.1, epsilon: 1e-5 },
            LayerSpec::Residual(vec![LayerSpec::Conv1d(PLACES, crate::nn::ConvOptions::new([1]))]),
        ];
        for layer in others {
            let network = network(layer);
            let tape = Tape::new(ironlearn_ir::Mode::Infer);
            let cache = Cache::new(network.scope(), tape.input(Shape::scalar()), 1, PLACES);
            let x = tape.input::<i64>([1, 1]);
            assert!(network.forward_next(x.node(), &cache).is_none(), "{network}");
        }
    }

    #[test]
    fn a_place_beyond_the_capacity_is_an_error() {
        let network = network(layers()[0].clone());
        let types = vec![TensorType::new(DType::I64, [1, 1]), TensorType::new(DType::I32, Shape::scalar())];
        let mut infer = Infer::build(&Options::default(), network.scope(), types, |_, x| {
            let cache = Cache::new(network.scope(), Var::of(x[1]), 1, PLACES);
            Outputs::of("y", network.forward_next(x[0], &cache).unwrap())
        })
        .unwrap();
        let token = Array::of([1, 1], vec![2i64]).unwrap();
        let mut at = |place: i32| infer.run(&(&token, &Array::scalar(place))).map(|_| ());
        at(PLACES as i32 - 1).unwrap();
        for place in [PLACES as i32, -1] {
            let found: Error = at(place).unwrap_err();
            assert!(found.to_string().contains("index"), "{found}");
        }
    }
}
