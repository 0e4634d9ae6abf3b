//! State that is on a device: what fetches it, what does not, and that what is lost is never saved.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::prelude::*;
use ironlearn_ir::{Role, Store};
use ironlearn_testkit::remote::Remote;

/// A step with a plateau, and the batch that it takes.
fn step() -> (Network<f32>, Step, Array) {
    let network = Network::<f32>::builder([1]).linear(3).tanh().linear(1).build(0).unwrap();
    let plateau = Plateau { patience: 0, factor: 0.7, threshold: 0.0, floor: 0.0 };
    let optimizer = Optimizer::new(Adam::new(0.1)).schedule(Schedule::Plateau(plateau));
    let signature = (f32s([2, 1]), f32s([2, 1]));
    let step = Step::build(&Options::default(), network.scope(), optimizer, signature, |_, (x, y)| {
        mse(network.forward(x), y).into()
    });
    (network, step.unwrap(), Array::of([2, 1], vec![1.0f32, 2.0]).unwrap())
}

/// The slots that are not [`Role::Progress`].
fn others(store: &Store) -> usize {
    store.ids().filter(|&id| store.slot(id).role != Role::Progress).count()
}

#[test]
fn counting_steps_and_their_rates_looks_at_progress_alone() {
    let (network, mut step, x) = step();
    step.run(&(&x, &x)).unwrap();
    let remote = Remote::take(&mut network.scope().store_mut());
    assert_eq!((step.steps(), step.learning_rate(), step.last_learning_rate()), (1, 0.1, 0.1));
    step.observe(1.0);
    step.scale_rate(0.5).unwrap();
    assert_eq!(step.learning_rate(), 0.05);
    assert!(step.needed_bytes() > 0);
    let store = network.scope().store();
    assert!(remote.fetches() <= store.len() - others(&store), "{} fetches", remote.fetches());
}

#[test]
fn a_step_on_the_cpu_goes_on_from_what_a_device_has() {
    let run = |away: bool| {
        let (network, mut step, x) = step();
        step.run_many(3, &(&x, &x)).unwrap();
        let remote = away.then(|| Remote::take(&mut network.scope().store_mut()));
        let loss = step.run_many(2, &(&x, &x)).unwrap().loss();
        let store = network.scope().store();
        assert!(remote.is_none_or(|r| r.fetches() >= others(&store)));
        (loss, store.ids().map(|id| store.slot(id).value().clone()).collect::<Vec<_>>())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn nothing_is_computed_from_what_is_lost() {
    for options in [Options::default(), Options::default().interpreted()] {
        let network = Network::<f32>::builder([1]).linear(1).build(0).unwrap();
        let signature = (f32s([2, 1]), f32s([2, 1]));
        let mut step = Step::build(&options, network.scope(), Sgd::new(0.1), signature, |_, (x, y)| {
            mse(network.forward(x), y).into()
        })
        .unwrap();
        Remote::take(&mut network.scope().store_mut()).break_down();
        let x = Array::of([2, 1], vec![1.0f32, 2.0]).unwrap();
        let error = step.run(&(&x, &x)).err().unwrap();
        assert!(matches!(&error, Error::Device { .. }) && error.exit_code() == 5, "{error:?}");
        assert!(error.to_string().contains("the remote does not answer"), "{error}");
        // Nor later, whatever the host has changed since.
        let mut store = network.scope().store_mut();
        store.ids().for_each(|id| store.slot_mut(id).value_mut().data_mut().fill_zero());
        drop(store);
        assert!(matches!(step.run(&(&x, &x)), Err(Error::Device { .. })));
    }
}

#[test]
#[cfg(feature = "cuda")]
fn a_store_goes_from_the_cpu_to_a_gpu_and_back() {
    if !ironlearn_testkit::standin::load() {
        return;
    }
    let cuda = ironlearn::Cuda::open(0).unwrap();
    let values = |network: &Network<f64>| -> Vec<f64> {
        let store = network.scope().store();
        let of = |id| store.slot(id).value().as_slice::<f64>().unwrap_or_default().to_vec();
        store.ids().flat_map(of).collect()
    };
    let run = |gpu: &[bool]| {
        let network = Network::<f64>::builder([1]).linear(3).tanh().linear(1).build(0).unwrap();
        let x = Array::of([2, 1], vec![1.0f64, 2.0]).unwrap();
        let build = |options: Options| {
            let signature = (f64s([2, 1]), f64s([2, 1]));
            Step::build(&options, network.scope(), Adam::new(0.1), signature, |_, (x, y)| {
                mse(network.forward(x), y).into()
            })
            .unwrap()
        };
        let mut steps = [build(Options::default()), build(Options::default().cuda(cuda.clone()))];
        for &gpu in gpu {
            steps[usize::from(gpu)].run_many(2, &(&x, &x)).unwrap();
            assert!(!gpu || network.scope().store().resident().is_some());
        }
        assert_eq!(steps[0].steps(), 2 * gpu.len() as u64);
        values(&network)
    };
    let expected = run(&[false; 5]);
    for gpu in [[true; 5], [false, true, true, false, true], [true, false, false, true, false]] {
        let found = run(&gpu);
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-9, "{gpu:?}: {a} and {b}");
        }
    }
}
