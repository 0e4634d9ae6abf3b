use super::{check, kinds};
use ironlearn::Loss;
use ironlearn::loss::CrossEntropy;
use ironlearn_ir::{Array, Var};
use ironlearn_testkit::gradcheck::Case;
use ironlearn_testkit::registry::array;
use ironlearn_testkit::rng::Rng;

kinds! { Loss: Mse, Mae, Huber, BinaryCrossEntropy, CrossEntropy, Kl, Hinge }

fn draw(kind: Kind, classes: usize, rng: &mut Rng) -> Loss {
    match kind {
        Kind::Mse => Loss::Mse,
        Kind::Mae => Loss::Mae,
        Kind::Huber => Loss::Huber(rng.float(0.3, 2.0)),
        Kind::BinaryCrossEntropy => Loss::BinaryCrossEntropy(rng.float(0.5, 3.0)),
        Kind::CrossEntropy => Loss::CrossEntropy(CrossEntropy {
            label_smoothing: if rng.one_in(2) { 0.0 } else { rng.float(0.05, 0.5) },
            class_weights: if rng.one_in(2) { vec![] } else { rng.floats(classes, 0.5, 2.0) },
        }),
        Kind::Kl => Loss::Kl,
        Kind::Hinge => Loss::Hinge,
    }
}

/// True where the loss has a kink near this prediction and target.
fn near_kink(loss: &Loss, y: f64, t: f64) -> bool {
    let distance = match loss {
        Loss::Mae => y - t,
        Loss::Huber(delta) => (y - t).abs().min(((y - t).abs() - delta).abs()),
        Loss::Hinge => 1.0 - (2.0 * t - 1.0) * y,
        Loss::BinaryCrossEntropy(_) => y,
        Loss::Mse | Loss::Kl | Loss::CrossEntropy(_) => 1.0,
    };
    distance.abs() < 0.02
}

fn target(loss: &Loss, rng: &mut Rng) -> f64 {
    match loss {
        Loss::Hinge => rng.below(2) as f64,
        Loss::Kl | Loss::BinaryCrossEntropy(_) => rng.float(0.05, 0.95),
        _ => rng.float(-2.0, 2.0),
    }
}

#[test]
fn losses_have_right_derivatives() {
    for &kind in Kind::ALL {
        check(&format!("{kind:?}"), |rng| {
            let rank = 1 + rng.below(2);
            let rows: Vec<usize> = (0..rank).map(|_| 1 + rng.below(3)).collect();
            let classes = 1 + rng.below(4);
            let shape = [&rows[..], &[classes]].concat();
            let loss = draw(kind, classes, rng);
            assert_eq!(Kind::of(&loss), kind);
            let pairs = (0..shape.iter().product()).map(|_| {
                loop {
                    let (y, t) = (rng.float(-3.0, 3.0), target(&loss, rng));
                    if !near_kink(&loss, y, t) {
                        break (y, t);
                    }
                }
            });
            let (y, t): (Vec<f64>, Vec<f64>) = pairs.unzip();
            let targets = if loss.takes_classes() {
                let n: usize = rows.iter().product();
                Array::of(rows, (0..n).map(|_| rng.below(classes) as i32).collect()).unwrap()
            } else {
                array(&shape, t)
            };
            Case::new(format!("{loss:?}"), vec![array(&shape, y), targets], move |_, x| {
                loss.apply(Var::<f64>::of(x[0]), x[1]).node()
            })
        });
    }
}
