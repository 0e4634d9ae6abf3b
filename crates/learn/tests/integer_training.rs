//! Integer training on MNIST and Fashion-MNIST, where `../shared/data` has them, and the same network in floats beside
//! it: the last 5,000 of the 60,000 pictures are left out of training, the last epoch counts, on the whole test set.
//!
//! `IRONLEARN_TIER=full cargo test --release -p ironlearn --test integer_training -- --ignored --nocapture
//! --test-threads=1` runs all seeds; without the tier one, that of IRONLEARN_SEED.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::Cpu;
use ironlearn::io::idx;
use ironlearn::prelude::*;
use ironlearn::quant::training::{IntegerInfer, IntegerNetwork, IntegerSgd, IntegerStep};
use ironlearn_ir::prim::philox;
use ironlearn_testkit::tier::{report, seed as first_seed, trials};
use std::path::Path;
use std::time::{Duration, Instant};

const BATCH: usize = 64;

struct Pictures {
    x: Vec<u8>,
    classes: Vec<u8>,
}

/// Training, validation and test part; `None` where there are no files.
fn pictures(name: &str) -> Option<[Pictures; 3]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let read = |part: &str, what: &str| {
        let array = idx::read(&folder.join(format!("{part}-{what}-ubyte.gz"))).unwrap();
        array.as_slice::<u8>().unwrap().to_vec()
    };
    let all = |part: &str| Pictures { x: read(part, "images-idx3"), classes: read(part, "labels-idx1") };
    if !folder.exists() {
        println!("SKIPPED: no {}", folder.display());
        return None;
    }
    let mut train = all("train");
    let validation =
        Pictures { x: train.x.split_off(55_000 * 784), classes: train.classes.split_off(55_000) };
    Some([train, validation, all("t10k")])
}

impl Pictures {
    fn rows(&self) -> usize {
        self.classes.len()
    }

    /// Fills a batch with the rows of these numbers.
    fn fill(&self, rows: impl Iterator<Item = usize>, [x, classes]: &mut [Array; 2]) {
        let (x, classes) = (x.as_slice_mut::<u8>().unwrap(), classes.as_slice_mut::<u8>().unwrap());
        for ((row, x), class) in rows.zip(x.chunks_exact_mut(784)).zip(classes) {
            x.copy_from_slice(&self.x[row * 784..(row + 1) * 784]);
            *class = self.classes[row];
        }
    }
}

fn linear(outputs: usize) -> LayerSpec {
    LayerSpec::Linear { outputs, bias: true, init: Init::HeUniform }
}

fn perceptron(widths: &[usize]) -> Vec<LayerSpec> {
    let relu = LayerSpec::Activation(Activation::Relu);
    let mut specs: Vec<LayerSpec> = widths.iter().flat_map(|&n| [linear(n), relu.clone()]).collect();
    specs.pop();
    specs
}

fn convolutions() -> Vec<LayerSpec> {
    let conv = |outputs| LayerSpec::Conv2d(outputs, ConvOptions::new([3, 3]).padding([1, 1]));
    let relu = LayerSpec::Activation(Activation::Relu);
    let pool = LayerSpec::MaxPool { size: [2, 2], stride: [2, 2] };
    let first = vec![conv(32), relu.clone(), pool.clone(), conv(64), relu.clone(), pool, LayerSpec::Flatten];
    [first, perceptron(&[128, 10])].concat()
}

/// What integers and floats have in common.
trait Model {
    fn train(&mut self, batch: &[Array; 2]);
    fn ready(&mut self, some: &[Array]);
    fn classes(&mut self, batch: &[Array; 2]) -> Vec<i64>;
}

struct Integers {
    network: IntegerNetwork,
    step: IntegerStep,
    infer: Option<IntegerInfer>,
}

impl Integers {
    fn new(specs: &[LayerSpec], shape: &[usize], seed: u64, steps: u64, train: &Pictures) -> Integers {
        Integers::with(&Options::default(), specs, shape, seed, steps, train)
    }

    fn with(
        options: &Options,
        specs: &[LayerSpec],
        shape: &[usize],
        seed: u64,
        steps: u64,
        train: &Pictures,
    ) -> Integers {
        let network = IntegerNetwork::from_specs(shape, specs, seed).unwrap();
        let rows = [&[train.rows()], shape].concat();
        network.centre(&Array::of(rows, train.x.clone()).unwrap(), false).unwrap();
        let step = IntegerStep::build(options, &network, IntegerSgd::new(steps).into(), BATCH);
        Integers { network, step: step.unwrap(), infer: None }
    }
}

impl Model for Integers {
    fn train(&mut self, [x, classes]: &[Array; 2]) {
        self.step.run(&(x, classes)).unwrap();
    }
    fn ready(&mut self, some: &[Array]) {
        let views: Vec<_> = some.iter().map(Array::view).collect();
        self.network.freeze(&Options::default(), &views).unwrap();
        self.infer = Some(IntegerInfer::build(&Options::default(), &self.network, BATCH).unwrap());
    }
    fn classes(&mut self, [x, _]: &[Array; 2]) -> Vec<i64> {
        let report = self.infer.as_mut().unwrap().run(x).unwrap();
        report.get("class").unwrap().as_slice::<i64>().unwrap().to_vec()
    }
}

struct Floats {
    step: Step,
    infer: Infer,
    steps: u64,
}

impl Floats {
    /// The same schedule: rate 0.05 to 0 along a line, momentum 7/8, decay 2⁻¹¹.
    fn new(specs: &[LayerSpec], shape: &[usize], seed: u64, steps: u64, train: &Pictures) -> Floats {
        Floats::with(&Options::default(), specs, shape, seed, steps, train)
    }

    fn with(
        options: &Options,
        specs: &[LayerSpec],
        shape: &[usize],
        seed: u64,
        steps: u64,
        train: &Pictures,
    ) -> Floats {
        let network = Network::<f32>::from_specs(shape, specs, seed).unwrap();
        let mean = train.x.iter().map(|&x| u64::from(x)).sum::<u64>() as f64 / train.x.len() as f64;
        let optimizer = Optimizer::new(Sgd::new(0.05).momentum(0.875)).weight_decay(2f64.powi(-11));
        let rows = [&[BATCH], shape].concat();
        let scope = network.scope();
        let step = Step::build(options, scope, optimizer, (u8s(rows.clone()), u8s([BATCH])), |_, (x, y)| {
            cross_entropy(network.forward((x.cast::<f32>() - mean) * (1.0 / 128.0)), y).into()
        });
        let infer = Infer::build(options, scope, (u8s(rows),), |_, (x,)| {
            Outputs::of("class", network.forward((x.cast::<f32>() - mean) * (1.0 / 128.0)).argmax(1))
        });
        Floats { step: step.unwrap(), infer: infer.unwrap(), steps }
    }
}

impl Model for Floats {
    fn train(&mut self, [x, classes]: &[Array; 2]) {
        self.step.run(&(x, classes)).unwrap();
        let left = (self.steps - self.step.steps()) as f64;
        self.step.scale_rate(left / (left + 1.0)).unwrap();
    }
    fn ready(&mut self, _: &[Array]) {}
    fn classes(&mut self, [x, _]: &[Array; 2]) -> Vec<i64> {
        let report = self.infer.run(x).unwrap();
        report.get("class").unwrap().as_slice::<i64>().unwrap().to_vec()
    }
}

fn empty(shape: &[usize]) -> [Array; 2] {
    [Array::zeros(DType::U8, [&[BATCH], shape].concat()), Array::zeros(DType::U8, [BATCH])]
}

/// The share of pictures whose class is found, in percent.
fn accuracy(model: &mut dyn Model, data: &Pictures, shape: &[usize]) -> f64 {
    let (mut batch, mut right) = (empty(shape), 0);
    for first in (0..data.rows()).step_by(BATCH) {
        // The last batch is filled up with its last row.
        data.fill((first..first + BATCH).map(|row| row.min(data.rows() - 1)), &mut batch);
        let found = model.classes(&batch);
        let pairs = found.iter().zip(&data.classes[first..]);
        right += pairs.filter(|(found, class)| **found == i64::from(**class)).count();
    }
    100.0 * right as f64 / data.rows() as f64
}

/// Trains for so many epochs; gives the time that steps took.
fn train(model: &mut dyn Model, data: &Pictures, shape: &[usize], seed: u64, epochs: u64) -> Duration {
    let (mut batch, mut spent) = (empty(shape), Duration::ZERO);
    let mut order: Vec<usize> = (0..data.rows()).collect();
    for epoch in 0..epochs {
        for i in (1..order.len()).rev() {
            let word = u64::from(philox(i as u64, epoch, seed)[0]);
            order.swap(i, ((word * (i as u64 + 1)) >> 32) as usize);
        }
        for rows in order.chunks_exact(BATCH) {
            data.fill(rows.iter().copied(), &mut batch);
            let begin = Instant::now();
            model.train(&batch);
            spent += begin.elapsed();
        }
    }
    spent
}

/// Mean accuracies on the test set over the seeds, of integers and of floats, which learn side by side.
fn compare(
    name: &str,
    data: &str,
    specs: &[LayerSpec],
    shape: &[usize],
    epochs: u64,
    seeds: u64,
) -> Option<[f64; 2]> {
    let parts = pictures(data)?;
    let training = &parts[0];
    let steps = epochs * (training.rows() / BATCH) as u64;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = || Options::default().cpu(Cpu::new((cores / 2).max(1)).unwrap());
    let mut found = [vec![], vec![]];
    for seed in first_seed()..first_seed() + seeds {
        let run = |kind: &str, model: &mut dyn Model| {
            let [accuracy, held_out, seconds] = learn(model, &parts, shape, seed, epochs);
            println!(
                "{name}, {kind}, seed {seed}: {accuracy:.2} % of the test set, {held_out:.2} % held out, \
                 {seconds:.2} s per epoch"
            );
            accuracy
        };
        let [integers, floats] = std::thread::scope(|scope| {
            let integers = scope.spawn(|| {
                run("integers", &mut Integers::with(&options(), specs, shape, seed, steps, training))
            });
            let floats = run("floats", &mut Floats::with(&options(), specs, shape, seed, steps, training));
            [integers.join().unwrap(), floats]
        });
        found[0].push(integers);
        found[1].push(floats);
    }
    let means = found.map(|of_seeds| of_seeds.iter().sum::<f64>() / seeds as f64);
    let [integers, floats] = means;
    report(
        name,
        format!("{integers:.2} % in integers, {floats:.2} % in floats, {epochs} epochs, {seeds} seeds"),
    );
    Some(means)
}

/// Trains; gives the accuracy on the test set and on the validation part, and the seconds of an epoch.
fn learn(
    model: &mut dyn Model,
    [training, validation, test]: &[Pictures; 3],
    shape: &[usize],
    seed: u64,
    epochs: u64,
) -> [f64; 3] {
    let spent = train(model, training, shape, seed, epochs).as_secs_f64() / epochs as f64;
    let mut some = empty(shape);
    let calibration: Vec<Array> = (0..10_000 / BATCH)
        .map(|i| {
            training.fill(i * BATCH..(i + 1) * BATCH, &mut some);
            some[0].clone()
        })
        .collect();
    model.ready(&calibration);
    let held_out = accuracy(model, validation, shape);
    [accuracy(model, test, shape), held_out, spent]
}

#[test]
#[ignore = "minutes; run it with --release"]
fn digits_by_a_perceptron() {
    let (specs, seeds) = (perceptron(&[100, 50, 10]), trials(1, 10) as u64);
    let Some([integers, _]) = compare("MNIST 784-100-50-10", "mnist", &specs, &[784], 20, seeds) else {
        return;
    };
    assert!(integers >= 98.1, "{integers}");
}

#[test]
#[ignore = "minutes; run it with --release"]
fn clothes_by_a_perceptron() {
    let (specs, seeds) = (perceptron(&[200, 100, 50, 10]), trials(1, 10) as u64);
    let name = "Fashion-MNIST 784-200-100-50-10";
    let Some([integers, floats]) = compare(name, "fashion-mnist", &specs, &[784], 20, seeds) else { return };
    assert!(integers >= 89.5 && integers >= floats - 0.2, "{integers} {floats}");
}

#[test]
#[ignore = "minutes; run it with --release"]
fn clothes_by_convolutions() {
    let (specs, seeds) = (convolutions(), trials(1, 3) as u64);
    let name = "Fashion-MNIST C32-P-C64-P-128-10";
    let Some([integers, floats]) = compare(name, "fashion-mnist", &specs, &[1, 28, 28], 10, seeds) else {
        return;
    };
    assert!(integers >= floats - 0.3, "{integers} {floats}");
}

/// Processor time of the process, in units of 10 ms; 0 where the system does not say.
fn processor_time() -> u64 {
    let words = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = words.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

#[test]
#[ignore = "needs a quiet machine; run it with --release"]
fn an_epoch_takes_no_longer_than_in_floats() {
    let Some([training, ..]) = pictures("fashion-mnist") else { return };
    let (specs, shape) = (perceptron(&[200, 100, 50, 10]), [784]);
    let mut integers = Integers::new(&specs, &shape, 1, 1 << 20, &training);
    let mut floats = Floats::new(&specs, &shape, 1, 1 << 20, &training);
    let (mut best, mut work) = ([Duration::MAX; 2], [u64::MAX; 2]);
    for round in 0..5 {
        let models: [&mut dyn Model; 2] = [&mut integers, &mut floats];
        for ((model, best), work) in models.into_iter().zip(&mut best).zip(&mut work) {
            let before = processor_time();
            *best = (*best).min(train(model, &training, &shape, round, 1));
            *work = (*work).min(processor_time() - before);
        }
    }
    let [a, b] = work;
    let figure =
        format!("{:.2?} in integers, {:.2?} in floats; processor {a}0 ms, {b}0 ms", best[0], best[1]);
    report("an epoch of 784-200-100-50-10", &figure);
    assert!(best[0] <= best[1], "{best:?}");
}

/// The steps of the plan that take the most time.
#[test]
#[ignore = "shows figures; run it with --release"]
fn where_the_time_of_a_step_goes() {
    let Some([training, ..]) = pictures("fashion-mnist") else { return };
    let options = Options::default().profile(true);
    let nets = [(perceptron(&[200, 100, 50, 10]), vec![784]), (convolutions(), vec![1, 28, 28])];
    for (specs, shape) in nets {
        let mut model = Integers::with(&options, &specs, &shape, 1, 1 << 20, &training);
        let mut batch = empty(&shape);
        for i in 0..50 {
            training.fill(i * BATCH..(i + 1) * BATCH, &mut batch);
            model.train(&batch);
        }
        let profile = model.step.profile();
        let mut steps = profile.steps.clone();
        steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        println!("{:.0} us in {} steps", 1e6 * profile.seconds() / 50.0, steps.len());
        for s in &steps[..20] {
            let (us, operations) = (1e6 * s.seconds / s.calls as f64, s.operations.join(" "));
            println!("{us:9.1} us, {:?}, layer {}: {operations}", s.phase, s.layers.join(" "));
        }
    }
}
