//! What looks like a mistake is told once, with the layer or the rows; a strict run ends there.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::prelude::*;
use ironlearn::train::{Control, EpochReport, Watch};
use ironlearn_testkit::rng::Rng;

type Build = fn() -> Network<f32>;

#[derive(Default)]
struct Log(Vec<String>);

impl Watch for Log {
    fn warn(&mut self, warning: &str) {
        self.0.push(warning.into());
    }
    fn after_epoch(&mut self, _: &EpochReport) -> Control {
        Control::Continue
    }
}

fn data() -> Dataset {
    let x: Vec<f32> = Rng::new(3).floats(80, -1.0, 1.0).into_iter().map(|x| x as f32).collect();
    let y = x.chunks(2).map(|x| x[0] * x[1]).collect();
    Dataset::new(Array::of([40, 2], x).unwrap(), Array::of([40, 1], y).unwrap()).unwrap()
}

/// All warnings of a run, and how a strict one ends.
fn warned(network: Build, training: fn() -> Training) -> (Vec<String>, Result<(), String>) {
    let (data, mut log) = (data(), Log::default());
    let mut trainer = training().build(&network(), &data, None).unwrap();
    let outcome = trainer.run(&mut log, &mut |_, _| Ok(())).unwrap();
    assert_eq!(outcome.warnings, log.0);
    let strict = training().strict(true).build(&network(), &data, None);
    let ended = strict.and_then(|mut strict| strict.run(&mut Silent, &mut |_, _| Ok(())).map(drop));
    (log.0, ended.map_err(|e| e.to_string()))
}

/// A network of two layers, its first bias at this value.
fn shifted(activation: fn(NetworkBuilder<f32>) -> NetworkBuilder<f32>, bias: f32) -> Network<f32> {
    let network = activation(Network::<f32>::builder([2]).linear(8)).linear(1).build(1).unwrap();
    let mut store = network.scope().store_mut();
    let id = store.find("0.bias").unwrap();
    store.slot_mut(id).value_mut().as_slice_mut::<f32>().unwrap().fill(bias);
    drop(store);
    network
}

fn plain() -> Training {
    Training::new(Loss::Mse, Sgd::new(1e-3)).batch(10).epochs(3)
}

#[test]
fn dead_and_saturated_layers_are_named_once() {
    let cases: [(Build, &str); 3] = [
        (|| shifted(|b| b.relu(), -9.0), "100 % of the units of layer `1` are 0 for every row"),
        (|| shifted(|b| b.tanh(), 9.0), "100 % of the values of layer `1` are within 0.01 of tanh's ends"),
        (
            || shifted(|b| b.sigmoid(), 12.0),
            "100 % of the values of layer `1` are within 0.005 of sigmoid's ends",
        ),
    ];
    for (network, expected) in cases {
        let (warnings, strict) = warned(network, plain);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(expected), "{warnings:?}");
        assert!(strict.unwrap_err().contains(expected));
    }
}

#[test]
fn healthy_layers_gates_and_sure_answers_are_no_matter() {
    let healthy: [Build; 4] = [
        || shifted(|b| b.relu(), 0.0),
        || shifted(|b| b.silu(), 12.0),
        || shifted(|b| b.tanh(), 0.1),
        // The last sigmoid gives the prediction.
        || Network::<f32>::builder([2]).linear(1).sigmoid().build(1).unwrap(),
    ];
    for network in healthy {
        assert_eq!(warned(network, plain), (vec![], Ok(())));
    }
}

#[test]
fn a_rate_that_makes_the_loss_rise_is_named() {
    let training = || Training::new(Loss::Mse, Sgd::new(40.0)).batch(10).epochs(2);
    let (warnings, strict) = warned(|| Network::<f32>::builder([2]).linear(1).build(1).unwrap(), training);
    assert!(
        warnings.len() == 1 && warnings[0].contains("the learning rate 40 is likely too high"),
        "{warnings:?}"
    );
    assert!(strict.unwrap_err().contains("likely too high"));
}

#[test]
fn a_parameter_without_a_gradient_ends_a_strict_run_before_its_first_step() {
    let scope = Scope::root(1);
    let _unused = Linear::<f32>::new(&scope.at("unused"), 2, 2);
    let used = Linear::<f32>::new(&scope.at("used"), 2, 1);
    struct Used(Scope, Linear<f32>);
    impl Model<f32> for Used {
        fn scope(&self) -> &Scope {
            &self.0
        }
        fn predict<'g>(&self, x: Dyn<'g>) -> Var<'g, f32> {
            self.1.apply(Var::of(x))
        }
    }
    let model = Used(scope, used);
    let data = data();
    assert!(plain().build(&model, &data, None).is_ok());
    let error = plain().strict(true).build(&model, &data, None).err().unwrap().to_string();
    assert!(error.contains("the loss does not depend on the parameter `unused.weight`"), "{error}");
}

#[test]
fn rows_that_are_trained_on_and_tested_with_are_found() {
    let all = data();
    let (x, y) = all.arrays().unwrap();
    let pick = |rows: &[usize]| {
        let of = |a: &Array, width: usize| {
            let values = a.as_slice::<f32>().unwrap();
            let picked = rows.iter().flat_map(|r| values[r * width..(r + 1) * width].to_vec()).collect();
            Array::of([rows.len(), width], picked).unwrap()
        };
        Dataset::new(of(x, 2), of(y, 1)).unwrap()
    };
    let (train, test) = (pick(&[0, 1, 2, 3, 4]), pick(&[9, 3, 8, 0]));
    assert_eq!(train.common_rows(&test), [(3, 1), (0, 3)]);
    assert_eq!(train.common_rows(&pick(&[20, 21])), []);
}
