//! Steps: what is reported before the first one, what a run gives, and that a failure moves nothing.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::Micro;
use ironlearn::prelude::*;

fn array<T: Real>(shape: impl Into<Shape>, values: &[f64]) -> Array {
    Array::of(shape, values.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>()).unwrap()
}

/// Trains exclusive or and gives the last loss. The element type is one word of the caller.
fn xor<T: Real>(seed: u64) -> f64 {
    let network = Network::<T>::builder([2]).linear(8).tanh().linear(1).build(seed).unwrap();
    let signature = (input_of::<T>([4, 2]), input_of::<T>([4, 1]));
    let mut step =
        Step::build(&Options::default(), network.scope(), Adam::new(0.05), signature, |_, (x, y)| {
            binary_cross_entropy(network.forward(x), y, 1.0).into()
        })
        .unwrap();
    let x = array::<T>([4, 2], &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    let y = array::<T>([4, 1], &[0.0, 1.0, 1.0, 0.0]);
    step.run_many(300, &(&x, &y)).unwrap().loss()
}

#[test]
fn exclusive_or_is_learned_in_either_precision() {
    for seed in 0..3 {
        let (narrow, wide) = (xor::<f32>(seed), xor::<f64>(seed));
        assert!(narrow < 0.01 && wide < 0.01, "seed {seed}: {narrow} and {wide}");
        assert!((narrow - wide).abs() < 1e-3 * wide.max(1e-3), "seed {seed}: {narrow} and {wide}");
    }
}

#[test]
fn every_mistake_is_reported_before_the_first_step() {
    let s = Scope::root(0);
    let hidden = Linear::<f32>::new(&s.at("hidden"), 3, 4);
    let again = Linear::<f32>::new(&s.at("out"), 5, 2);
    let result =
        Step::build(&Options::default(), &s, Sgd::new(0.1), (f32s([8, 3]), u8s([7])), |_, (x, y)| {
            let logits = again.apply(hidden.apply(x).relu()); // 4 is not 5
            cross_entropy(logits, y).into() // 7 is not 8
        });
    let text = result.err().unwrap().to_string();
    assert!(text.contains("in layer `out`") && text.contains("cross-entropy"), "{text}");
    assert!(text.matches("steps.rs:").count() >= 2, "{text}");
    let twice = Linear::<f32>::new(&s.at("hidden"), 3, 4);
    let result = Step::build(&Options::default(), &s, Sgd::new(0.1), f32s([8, 3]), |_, x| {
        twice.apply(x).mean_all().into()
    });
    assert!(result.err().unwrap().to_string().contains("`hidden.weight`"));
}

#[test]
fn a_loss_that_is_no_scalar_is_refused() {
    let s = Scope::root(0);
    let layer = Linear::<f32>::new(&s, 3, 4);
    let result =
        Step::build(&Options::default(), &s, Sgd::new(0.1), f32s([8, 3]), |_, x| layer.apply(x).into());
    assert!(result.err().unwrap().to_string().contains("the loss is f32[8, 4]"));
}

#[test]
fn a_parameter_without_a_gradient_is_noticed() {
    let s = Scope::root(0);
    let used = Linear::<f32>::new(&s.at("used"), 3, 1);
    let _unused = Linear::<f32>::new(&s.at("unused"), 3, 1);
    let build = || {
        let options = Options::default();
        Step::build(&options, &s, Sgd::new(0.1), f32s([8, 3]), |_, x| used.apply(x).mean_all().into())
            .unwrap()
    };
    let step = build();
    let names: Vec<_> = step.warnings().iter().map(|w| w.message.clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].contains("`unused.weight`"), "{names:?}");
    s.set_trainable(|name| name.starts_with("unused"), false);
    assert!(build().warnings().is_empty());
}

#[test]
fn a_number_that_is_not_finite_is_named_and_moves_nothing() {
    let s = Scope::root(0);
    let layer = Linear::<f32>::new(&s.at("hidden"), 2, 1);
    let norm = BatchNorm::<f32>::new(&s.at("norm"), 1);
    let mut step = Step::build(&Options::default(), &s, Adam::new(0.1), f32s([2, 2]), |_, x| {
        norm.apply(layer.apply(x)).log().mean_all().into()
    })
    .unwrap();
    let before = s.store().clone();
    let x = array::<f32>([2, 2], &[1.0, 2.0, 3.0, 5.0]);
    let error = step.run(&x).err().unwrap();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("`log`") && error.to_string().contains("steps.rs:"), "{error}");
    let after = s.store();
    for id in after.ids() {
        assert_eq!(after.slot(id).value(), before.slot(id).value(), "{}", after.slot(id).name);
    }
}

#[test]
fn a_batch_of_another_shape_says_what_was_built() {
    let s = Scope::root(0);
    let layer = Linear::<f32>::new(&s, 2, 1);
    let both = [f32s([4, 2]), f32s([3, 2])];
    let mut step = Step::build_all(&Options::default(), &s, Sgd::new(0.1), &both, |_, x| {
        layer.apply(x).mean_all().into()
    })
    .unwrap();
    assert!(step.run(&(&array::<f32>([3, 2], &[1.0; 6]),)).is_ok());
    let error = step.run(&(&array::<f32>([5, 2], &[1.0; 10]),)).err().unwrap().to_string();
    assert!(error.contains("f32[5, 2]") && error.contains("(f32[4, 2]) or (f32[3, 2])"), "{error}");
    assert_eq!(step.steps(), 1);
}

#[test]
fn micro_batches_of_unequal_size_make_the_same_step() {
    let x: Vec<f64> = (0..10).map(|i| (i as f64 * 1.7).sin()).collect();
    let y: Vec<f64> = (0..5).map(|i| (i as f64 * 0.9).cos()).collect();
    let run = |cuts: &[(usize, usize)]| {
        let network = Network::<f64>::builder([2]).linear(3).tanh().linear(1).build(4).unwrap();
        let signatures = [5, 3, 2].map(|n| (f64s([n, 2]), f64s([n, 1])));
        let mut step = Step::build_all(
            &Options::default().micro_batches(true),
            network.scope(),
            Adam::new(0.1),
            &signatures,
            |_, (x, y)| mse(network.forward(x), y).into(),
        )
        .unwrap();
        for _ in 0..3 {
            for &(start, end) in cuts {
                let n = end - start;
                let x = array::<f64>([n, 2], &x[2 * start..2 * end]);
                let y = array::<f64>([n, 1], &y[start..end]);
                step.run_micro(&(&x, &y), Micro { first_row: start, rows: 5, last: end == 5 }).unwrap();
            }
        }
        assert_eq!(step.steps(), 3);
        let store = network.scope().store();
        let values = store
            .trainable()
            .into_iter()
            .flat_map(|id| store.slot(id).value().as_slice::<f64>().unwrap().to_vec());
        values.collect::<Vec<_>>()
    };
    let (whole, parts) = (run(&[(0, 5)]), run(&[(0, 3), (3, 5)]));
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-12, "{whole:?} is not {parts:?}");
    }
}

#[test]
fn a_shadow_trace_shows_values_where_they_are_made() {
    let s = Scope::root(0);
    let layer = Linear::<f64>::with(&s, 2, 1, false, &Init::Ones);
    let seen = std::cell::RefCell::new(None);
    let options = Options::default().shadow(vec![array::<f64>([1, 2], &[3.0, 4.0])]);
    Step::build(&options, &s, Sgd::new(0.1), (f64s([1, 2]),), |_, (x,)| {
        let y = layer.apply(x);
        *seen.borrow_mut() = y.peek();
        y.mean_all().into()
    })
    .unwrap();
    assert_eq!(seen.borrow().as_ref().unwrap().as_slice::<f64>(), Some(&[7.0][..]));
}

#[test]
fn dropout_differs_from_step_to_step_and_not_from_run_to_run() {
    let losses = || {
        let network = Network::<f32>::builder([16]).dropout(0.5).linear(1).build(9).unwrap();
        let mut step =
            Step::build(&Options::default(), network.scope(), Sgd::new(0.0), f32s([2, 16]), |_, x| {
                network.forward(x).square().mean_all().into()
            })
            .unwrap();
        let x = array::<f32>([2, 16], &[1.0; 32]);
        [0, 1].map(|_| step.run(&x).unwrap().loss())
    };
    let first = losses();
    assert_ne!(first[0], first[1]);
    assert_eq!(first, losses());
}

#[test]
fn the_rate_falls_when_the_loss_stays() {
    let s = Scope::root(0);
    let layer = Linear::<f32>::new(&s, 2, 1);
    let plateau = Plateau { patience: 0, factor: 0.5, threshold: 0.0, floor: 0.0 };
    let optimizer = Optimizer::new(Sgd::new(0.1)).schedule(Schedule::Plateau(plateau));
    let mut step = Step::build(&Options::default(), &s, optimizer, f32s([1, 2]), |_, x| {
        layer.apply(x).mean_all().into()
    })
    .unwrap();
    let rates = [3.0, 3.0, 2.0, 2.5].map(|loss| {
        step.observe(loss);
        step.learning_rate()
    });
    assert_eq!(rates, [0.1, 0.05, 0.05, 0.025]);
}

#[test]
fn products_in_bf16_train_like_those_in_f32_and_leave_the_state_in_f32() {
    let rows = 6000; // Enough for blocks of rows.
    let x: Vec<f32> = (0..2 * rows).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
    let y: Vec<f32> = x.chunks(2).map(|x| (x[0] * 2.0).sin() * x[1]).collect();
    let (x, y) = (Array::of([rows, 2], x).unwrap(), Array::of([rows, 1], y).unwrap());
    let train = |precision| {
        let network = Network::<f32>::builder([2]).linear(32).tanh().linear(1).build(3).unwrap();
        let options = Options::default().precision(precision);
        let signature = (f32s([rows, 2]), f32s([rows, 1]));
        let mut step = Step::build(&options, network.scope(), Adam::new(0.01), signature, |_tape, (x, y)| {
            mse(network.forward(x), y).into()
        })
        .unwrap();
        let first = step.run(&(&x, &y)).unwrap().loss();
        let last = step.run_many(100, &(&x, &y)).unwrap().loss();
        let store = network.scope().store();
        for id in store.ids().filter(|&id| store.slot(id).role != ironlearn_ir::Role::Progress) {
            assert_eq!(store.ty(id).dtype, DType::F32, "{}", store.slot(id).name);
        }
        (first, last)
    };
    let (full, narrow) = (train(Precision::Full), train(Precision::Bf16));
    assert!(full.0 != narrow.0 && (full.0 - narrow.0).abs() < 1e-2 * full.0, "{full:?} {narrow:?}");
    assert!(narrow.1 < 0.2 * narrow.0 && (full.1 - narrow.1).abs() < 0.1 * full.1, "{full:?} {narrow:?}");
}

#[test]
fn tf32_is_refused_where_no_gpu_computes() {
    for options in [Options::default(), Options::default().interpreted()] {
        let network = Network::<f32>::builder([2]).linear(1).build(0).unwrap();
        let options = options.precision(Precision::Tf32);
        let signature = (f32s([4, 2]), f32s([4, 1]));
        let step = Step::build(&options, network.scope(), Sgd::new(0.1), signature, |_, (x, y)| {
            mse(network.forward(x), y).into()
        });
        let error = step.err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("help: use the precision full or bf16"), "{error}");
    }
}

#[test]
fn batches_of_two_sizes_share_their_memory_and_change_no_bit() {
    let numbers = |n: usize| (0..n).map(|i| (i * 37 % 101) as f64 / 101.0).collect::<Vec<f64>>();
    let batch =
        |rows: usize| (array::<f32>([rows, 3], &numbers(rows * 3)), array::<f32>([rows, 1], &numbers(rows)));
    let signature = |rows: usize| (f32s([rows, 3]), f32s([rows, 1]));
    let step = |network: &Network<f32>, rows: &[usize]| {
        let signatures: Vec<_> = rows.iter().map(|&rows| signature(rows)).collect();
        let options = Options::default().cpu(ironlearn::Cpu::new(1).unwrap());
        Step::build_all(&options, network.scope(), Adam::new(0.01), &signatures, |_, (x, y)| {
            let answer = network.forward(x);
            Outputs::from(mse(answer, y)).and("answer", answer)
        })
        .unwrap()
    };
    let network = || Network::<f32>::builder([3]).linear(64).tanh().linear(1).build(5).unwrap();
    let order = [600, 600, 90, 600, 90, 90, 600];
    let together = network();
    let mut both = step(&together, &[600, 90]);
    let apart = network();
    let (mut large, mut small) = (step(&apart, &[600]), step(&apart, &[90]));
    assert_eq!(both.memory_bytes(), large.memory_bytes().max(small.memory_bytes()));
    assert!(small.memory_bytes() * 2 < large.memory_bytes(), "{} bytes", small.memory_bytes());
    for rows in order {
        let (x, y) = batch(rows);
        let of = |step: &mut Step| {
            let report = step.run(&(&x, &y)).unwrap();
            (report.loss().to_bits(), report.get("answer").unwrap().try_to_array("an answer").unwrap())
        };
        let one = if rows == 600 { &mut large } else { &mut small };
        assert_eq!(of(&mut both), of(one), "{rows} rows");
    }
}
