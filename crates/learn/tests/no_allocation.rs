//! Training steps allocate nothing after their first run. Alone in its file: other tests would be counted too.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::Inputs;
use ironlearn::prelude::*;
use ironlearn::quant::training::{IntegerNetwork, IntegerSgd, IntegerStep};
use ironlearn_cpu::Cpu;
use ironlearn_testkit::alloc::{Allocated, Counting, count};
use ironlearn_testkit::rng::Rng;

/// A kind of network and what its training step allocates.
type Kind = (&'static str, fn(&Options) -> Allocated);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn floats(shape: &[usize]) -> Array {
    let values = Rng::new(1).floats(shape.iter().product(), -1.0, 1.0);
    Array::of(shape, values.into_iter().map(|x| x as f32).collect()).unwrap()
}

fn whole(shape: &[usize], most: usize) -> Array {
    let n = shape.iter().product();
    Array::of(shape, (0..n).map(|i: usize| (i * 7 % most) as i64).collect()).unwrap()
}

/// What five steps allocate after the first one.
fn allocated(mut step: Step, batch: impl Inputs) -> Allocated {
    allocated_by(|| step.run(&batch).unwrap().loss())
}

/// The same of anything that gives a loss.
fn allocated_by(mut step: impl FnMut() -> f64) -> Allocated {
    let (before, first) = count(&mut step);
    assert_ne!(first, Allocated::default(), "the first step makes the buffers of the next state");
    // Threads set themselves up when they first run, which may be after the first step.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (last, allocated) = count(|| (0..5).map(|_| step()).last());
    assert!(last.is_some_and(|loss| loss < before), "{last:?} is not below {before}");
    allocated
}

fn adam() -> Optimizer {
    Optimizer::new(Adam::new(1e-3)).clip_norm(10.0)
}

fn perceptron(options: &Options) -> Allocated {
    let network = Network::<f32>::builder([20]).linear(256).relu().linear(128).tanh().linear(3).build(1);
    let network = network.unwrap();
    let signature = (f32s([64, 20]), f32s([64, 3]));
    let step = Step::build(options, network.scope(), adam(), signature, |_, (x, y)| {
        mse(network.forward(x), y).into()
    });
    allocated(step.unwrap(), (&floats(&[64, 20]), &floats(&[64, 3])))
}

fn convolutions(options: &Options) -> Allocated {
    let network = Network::<f32>::builder([1, 12, 12])
        .conv2d(8, ConvOptions::new([3, 3]).padding([1, 1]))
        .batch_norm()
        .relu()
        .max_pool([2, 2])
        .conv2d(16, ConvOptions::new([3, 3]).stride([2, 2]).groups(2))
        .silu()
        .flatten()
        .linear(10)
        .build(1)
        .unwrap();
    let signature = (f32s([16, 1, 12, 12]), i64s([16]));
    let step = Step::build(options, network.scope(), adam(), signature, |_, (x, y)| {
        cross_entropy(network.forward(x), y).into()
    });
    allocated(step.unwrap(), (&floats(&[16, 1, 12, 12]), &whole(&[16], 10)))
}

fn recurrence(options: &Options) -> Allocated {
    let network = Network::<f32>::builder([6, 8]).gru(64).linear(5).build(1).unwrap();
    let signature = (f32s([32, 6, 8]), f32s([32, 6, 5]));
    let step = Step::build(options, network.scope(), adam(), signature, |_, (x, y)| {
        mse(network.forward(x), y).into()
    });
    allocated(step.unwrap(), (&floats(&[32, 6, 8]), &floats(&[32, 6, 5])))
}

fn transformer(options: &Options) -> Allocated {
    let network = Network::<f32>::builder([16])
        .embedding(50, 32)
        .residual(|b| b.layer_norm().attention(4, true, true))
        .residual(|b| b.layer_norm().linear(128).gelu().linear(32))
        .layer_norm()
        .linear(50)
        .build(1)
        .unwrap();
    let signature = (i64s([8, 16]), i64s([8, 16]));
    let step = Step::build(options, network.scope(), adam(), signature, |_, (x, y)| {
        cross_entropy(network.forward(x), y).into()
    });
    allocated(step.unwrap(), (&whole(&[8, 16], 50), &whole(&[8, 16], 49)))
}

fn integers(options: &Options) -> Allocated {
    let linear = |outputs| LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform };
    let specs = [linear(256), LayerSpec::Activation(Activation::Relu), linear(10)];
    let network = IntegerNetwork::from_specs([64], &specs, 1).unwrap();
    let mut step = IntegerStep::build(options, &network, IntegerSgd::new(100).into(), 64).unwrap();
    let bytes = |n: usize, most: usize| (0..n).map(|i| (i * 7 % most) as u8).collect::<Vec<u8>>();
    let (x, classes) = (Array::of([64, 64], bytes(64 * 64, 251)), Array::of([64], bytes(64, 10)));
    let batch = (x.unwrap(), classes.unwrap());
    allocated_by(|| step.run(&batch).unwrap().loss())
}

#[test]
fn training_steps_allocate_nothing() {
    let mut found = Vec::new();
    for threads in [1, 2] {
        let options = Options::default().cpu(Cpu::new(threads).unwrap());
        let models: [Kind; 5] = [
            ("perceptron", perceptron),
            ("convolutions", convolutions),
            ("recurrence", recurrence),
            ("transformer", transformer),
            ("integers", integers),
        ];
        for (name, model) in models {
            let allocated = model(&options);
            if allocated != Allocated::default() {
                found.push(format!("{name} on {threads} threads: {allocated:?}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
