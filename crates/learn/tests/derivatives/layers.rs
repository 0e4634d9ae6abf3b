use super::{activations, apart, check, kinds};
use ironlearn::nn::{Augmentation, AvgPool1d, ConvOptions, MaxPool1d, MultiHeadAttention};
use ironlearn::{Activation, Init, Layer, LayerSpec, Network, Scope};
use ironlearn_ir::{Array, Dyn, Shape, SlotId, Tape, Var};
use ironlearn_testkit::gradcheck::Case;
use ironlearn_testkit::registry::array;
use ironlearn_testkit::rng::Rng;

kinds! {
    LayerSpec:
    Linear, Fourier, Siren, Activation, Dropout, Augment, LayerNorm, RmsNorm, BatchNorm, Conv1d, Conv2d,
    ConvTranspose2d, MaxPool, AvgPool, Flatten, Embedding, Attention, Gru, Lstm, Residual, Sequential,
}

/// Lengths of `rank` axes, 1 to `most`.
fn dims(rng: &mut Rng, rank: usize, most: usize) -> Vec<usize> {
    (0..rank).map(|_| 1 + rng.below(most)).collect()
}

fn two(rng: &mut Rng, most: usize) -> [usize; 2] {
    [1 + rng.below(most), 1 + rng.below(most)]
}

/// A convolution with random options, and its channels `(in, out)`.
fn conv<const D: usize>(rng: &mut Rng) -> (ConvOptions<D>, usize, usize) {
    let mut each = |low: usize, n: usize| std::array::from_fn(|_| low + rng.below(n));
    let (kernel, stride, padding, dilation) = (each(1, 3), each(1, 2), each(0, 2), each(1, 2));
    let groups = 1 + rng.below(2);
    let options = ConvOptions::new(kernel).stride(stride).padding(padding).dilation(dilation);
    let options = options.groups(groups).bias(!rng.one_in(3));
    (options, groups * (1 + rng.below(2)), groups * (1 + rng.below(2)))
}

fn linear(outputs: usize, bias: bool) -> LayerSpec {
    LayerSpec::Linear { outputs, bias, init: Init::XavierUniform }
}

/// The shape of a row, and a layer for it. Not every draw fits.
fn draw(kind: Kind, rng: &mut Rng) -> (Vec<usize>, LayerSpec) {
    let rank = 1 + rng.below(3);
    let units = 1 + rng.below(3);
    let row = dims(rng, rank, 3);
    let sequence = vec![1 + rng.below(4), 1 + rng.below(3)];
    let epsilon = rng.float(0.05, 1.0);
    match kind {
        Kind::Linear => (row, linear(units, rng.one_in(2))),
        Kind::Fourier => (row, LayerSpec::Fourier { features: units, scale: 0.2 }),
        Kind::Siren => (row, LayerSpec::Siren { outputs: units, omega: rng.float(0.5, 3.0) }),
        Kind::Activation => {
            let one = rng.pick(activations::Kind::ALL);
            (row, LayerSpec::Activation(activations::draw(one, rng)))
        }
        Kind::Dropout => (row, LayerSpec::Dropout(rng.float(0.0, 0.9))),
        Kind::Augment => {
            let row = dims(rng, 3, 4);
            let by = match rng.below(3) {
                0 => Augmentation::Flip,
                1 => Augmentation::Shift([rng.below(row[1]), rng.below(row[2])]),
                _ => Augmentation::Crop([1 + rng.below(row[1]), 1 + rng.below(row[2])]),
            };
            (row, LayerSpec::Augment(by))
        }
        Kind::LayerNorm => (row, LayerSpec::LayerNorm(epsilon)),
        Kind::RmsNorm => (row, LayerSpec::RmsNorm(epsilon)),
        Kind::BatchNorm => (row, LayerSpec::BatchNorm { momentum: 0.1, epsilon }),
        Kind::Conv1d => {
            let (options, inputs, outputs) = conv(rng);
            (vec![inputs, 1 + rng.below(6)], LayerSpec::Conv1d(outputs, options))
        }
        Kind::Conv2d => {
            let (options, inputs, outputs) = conv(rng);
            (vec![inputs, 1 + rng.below(4), 1 + rng.below(4)], LayerSpec::Conv2d(outputs, options))
        }
        Kind::ConvTranspose2d => {
            let (options, inputs, outputs) = conv(rng);
            (vec![inputs, 1 + rng.below(3), 1 + rng.below(3)], LayerSpec::ConvTranspose2d(outputs, options))
        }
        Kind::MaxPool => (dims(rng, 3, 4), LayerSpec::MaxPool { size: two(rng, 3), stride: two(rng, 3) }),
        Kind::AvgPool => (dims(rng, 3, 4), LayerSpec::AvgPool { size: two(rng, 3), stride: two(rng, 3) }),
        Kind::Flatten => (row, LayerSpec::Flatten),
        Kind::Embedding => {
            (dims(rng, 1, 4), LayerSpec::Embedding { vocabulary: units + 1, dimension: units })
        }
        Kind::Attention => {
            let (heads, rotary) = (1 + rng.below(2), rng.one_in(2));
            let each = if rotary { 2 } else { 1 + rng.below(2) };
            let spec = LayerSpec::Attention { heads, causal: rng.one_in(2), rotary };
            (vec![sequence[0], heads * each], spec)
        }
        Kind::Gru => (sequence, LayerSpec::Gru { units, last: rng.one_in(2) }),
        Kind::Lstm => (sequence, LayerSpec::Lstm { units, last: rng.one_in(2) }),
        Kind::Residual => {
            let inner = vec![linear(row[rank - 1], true), LayerSpec::Activation(Activation::Tanh)];
            (row, LayerSpec::Residual(inner))
        }
        Kind::Sequential => {
            let inner = vec![linear(units, true), LayerSpec::Activation(Activation::Silu)];
            (row, LayerSpec::Sequential(inner, 2))
        }
    }
}

/// Inputs away from kinks, for a kind that has some.
fn numbers(kind: Kind, rng: &mut Rng, n: usize) -> Vec<f64> {
    match kind {
        Kind::Activation | Kind::MaxPool => apart(rng, n),
        _ => rng.floats(n, -2.0, 2.0),
    }
}

/// Whole numbers below `most`, of any type that can be an index.
fn whole(rng: &mut Rng, shape: &[usize], most: usize) -> Array {
    let n: usize = shape.iter().product();
    let values: Vec<usize> = (0..n).map(|_| rng.below(most)).collect();
    let made = match rng.below(2) {
        0 => Array::of(shape.to_vec(), values.iter().map(|&v| v as u8).collect()),
        _ => Array::of(shape.to_vec(), values.iter().map(|&v| v as i64).collect()),
    };
    made.unwrap()
}

/// The state of a scope, with random values, as further inputs.
fn with_state(scope: &Scope, mut inputs: Vec<Array>, rng: &mut Rng) -> (Vec<Array>, Vec<SlotId>) {
    let store = scope.store();
    for id in store.ids() {
        let shape = store.ty(id).shape;
        inputs.push(array(&shape, rng.floats(shape.elements(), -1.0, 1.0)));
    }
    (inputs, store.ids().collect())
}

/// Gives a scope's slots the values of the inputs.
fn bind<'g>(tape: &'g Tape, slots: &[SlotId], values: &[Dyn<'g>]) {
    slots.iter().zip(values).for_each(|(&slot, &value)| tape.stand_for(slot, value));
}

fn case(kind: Kind, rng: &mut Rng) -> Case {
    let (network, name, spec) = loop {
        let (row, spec) = draw(kind, rng);
        assert_eq!(Kind::of(&spec), kind);
        let name = format!("{spec:?} on {row:?}");
        if let Ok(network) = Network::<f64>::from_specs(row, std::slice::from_ref(&spec), 1) {
            break (network, name, spec);
        }
    };
    let shape: Shape = [&[1 + rng.below(3)], &network.inputs()[..]].concat().into();
    let x = match spec {
        LayerSpec::Embedding { vocabulary, .. } => whole(rng, &shape, vocabulary),
        _ => array(&shape, numbers(kind, rng, shape.elements())),
    };
    let (inputs, slots) = with_state(network.scope(), vec![x], rng);
    Case::new(name, inputs, move |tape, x| {
        bind(tape, &slots, &x[1..]);
        network.forward_node(x[0]).node()
    })
}

#[test]
fn layers_without_loops_have_right_derivatives() {
    for &kind in Kind::ALL.iter().filter(|k| !slow(**k)) {
        check(&format!("{kind:?}"), |rng| case(kind, rng));
    }
}

/// Layers of many operations, in a test of their own for the sake of time.
fn slow(kind: Kind) -> bool {
    matches!(kind, Kind::Gru | Kind::Lstm | Kind::Attention)
}

#[test]
fn recurrent_layers_and_attention_have_right_derivatives() {
    for &kind in Kind::ALL.iter().filter(|k| slow(**k)) {
        check(&format!("{kind:?}"), |rng| case(kind, rng));
    }
}

#[test]
fn masked_attention_has_right_derivatives() {
    check("masked attention", |rng| {
        let (rows, len, heads) = (1 + rng.below(2), 1 + rng.below(3), 1 + rng.below(2));
        let scope = Scope::root(1);
        let layer = MultiHeadAttention::<f64>::new(&scope, 2 * heads, heads);
        let layer = if rng.one_in(2) { layer.causal() } else { layer };
        let x = array(&[rows, len, 2 * heads], rng.floats(rows * len * 2 * heads, -2.0, 2.0));
        let present = (0..rows * len).map(|_| !rng.one_in(3)).collect();
        let inputs = vec![Array::of([rows, len], present).unwrap(), x];
        let (inputs, slots) = with_state(&scope, inputs, rng);
        Case::new(format!("{layer:?}"), inputs, move |tape, x| {
            bind(tape, &slots, &x[2..]);
            layer.apply_masked(Var::of(x[1]), Var::of(x[0])).node()
        })
    });
}

#[test]
fn pooling_along_sequences_has_right_derivatives() {
    for max in [true, false] {
        check("pooling", |rng| {
            let (size, stride) = ([1 + rng.below(3)], [1 + rng.below(3)]);
            let shape = [1 + rng.below(2), 1 + rng.below(2), size[0] + rng.below(4)];
            let x = array(&shape, apart(rng, shape.iter().product()));
            Case::new(format!("{size:?} {stride:?}"), vec![x], move |_, x| {
                let x = Var::<f64>::of(x[0]);
                match max {
                    true => MaxPool1d::new(size, stride).apply(x).node(),
                    false => AvgPool1d::new(size, stride).apply(x).node(),
                }
            })
        });
    }
}
