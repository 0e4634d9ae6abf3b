//! Every loss, each with a network of its own within one step.

use crate::twice::{Run, random, twice, whole};
use ironlearn::Loss;
use ironlearn::loss::CrossEntropy;
use ironlearn::prelude::*;

const ROWS: usize = 6;
const OUTPUTS: usize = 3;

/// All losses; one that is not listed does not compile.
fn losses() -> Vec<(&'static str, Loss)> {
    let weighted = CrossEntropy { label_smoothing: 0.1, class_weights: vec![0.5, 1.0, 2.0] };
    let all = vec![
        Loss::Mse,
        Loss::Mae,
        Loss::Huber(0.4),
        Loss::BinaryCrossEntropy(2.0),
        Loss::CrossEntropy(CrossEntropy::default()),
        Loss::CrossEntropy(weighted),
        Loss::Kl,
        Loss::Hinge,
    ];
    let name = |loss: &Loss| match loss {
        Loss::Mse => "mse",
        Loss::Mae => "mae",
        Loss::Huber(_) => "huber",
        Loss::BinaryCrossEntropy(_) => "bce",
        Loss::CrossEntropy(c) if c.class_weights.is_empty() => "cross entropy",
        Loss::CrossEntropy(_) => "weighted cross entropy",
        Loss::Kl => "kl",
        Loss::Hinge => "hinge",
    };
    all.into_iter().map(|loss| (name(&loss), loss)).collect()
}

#[test]
fn every_loss_trains_as_in_the_interpreter() {
    let (x, classes) = (random(1, &[ROWS, 2]), whole(2, &[ROWS], OUTPUTS));
    // Between 0 and 1, as some losses need, and 0 or 1.
    let shares = random(3, &[ROWS, OUTPUTS]);
    let shares: Vec<f32> = shares.as_slice::<f32>().unwrap().iter().map(|x| x.abs() * 0.9 + 0.05).collect();
    let sides = shares.iter().map(|x| x.round()).collect();
    let [shares, sides] = [shares, sides].map(|v: Vec<f32>| Array::of([ROWS, OUTPUTS], v).unwrap());
    twice("losses", |options| {
        let scope = Scope::root(7);
        let layers: Vec<_> =
            losses().iter().map(|(name, _)| Linear::<f32>::new(&scope.at(name), 2, OUTPUTS)).collect();
        let wide = f32s([ROWS, OUTPUTS]);
        let signature = (f32s([ROWS, 2]), i32s([ROWS]), wide.clone(), wide);
        let mut step =
            Step::build(&options, &scope, Adam::new(0.05), signature, |_, (x, classes, shares, sides)| {
                let each = losses().into_iter().zip(&layers).map(|((name, loss), layer)| {
                    let target = match &loss {
                        Loss::CrossEntropy(_) => classes.node(),
                        Loss::Hinge => sides.node(),
                        _ => shares.node(),
                    };
                    (name, loss.apply(layer.apply(x), target))
                });
                let each: Vec<_> = each.collect();
                let sum = each.iter().skip(1).fold(each[0].1, |sum, (_, loss)| sum + *loss);
                each.into_iter().fold(Outputs::loss(sum), |outputs, (name, loss)| outputs.and(name, loss))
            })
            .unwrap();
        let mut run = Run::default();
        for i in 0..4 {
            run.add(i, step.run(&(&x, &classes, &shares, &sides)).unwrap());
        }
        drop(step);
        run.end(&scope)
    });
}
