//! A network by hand: layers, a loss, a training step, an inference. It learns exclusive or.
//!
//! `cargo run --example 02_network`

use ironlearn::prelude::*;

/// Two layers with tanh between them.
struct Mlp {
    hidden: Linear,
    out: Linear,
}

impl Mlp {
    fn new(scope: &Scope) -> Mlp {
        Mlp { hidden: Linear::new(&scope.at("hidden"), 2, 8), out: Linear::new(&scope.at("out"), 8, 1) }
    }

    /// Logits `[B, 1]` of inputs `[B, 2]`. Traced once when the step is built; a step never calls it.
    fn forward<'g>(&self, x: Var<'g, f32>) -> Var<'g, f32> {
        self.out.apply(self.hidden.apply(x).tanh())
    }
}

fn main() -> Result<(), Error> {
    let x = Tensor::from([[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0f32], [1.0], [1.0], [0.0]]);

    // The scope names the parameters, makes them from the seed, and owns them.
    let scope = Scope::root(7);
    let model = Mlp::new(&scope);

    // Gradients and the optimizer's update become part of the step here. So does every mistake.
    let signature = (f32s([4, 2]), f32s([4, 1]));
    let mut step = Step::build(&Options::default(), &scope, Adam::new(0.05), signature, |_tape, (x, y)| {
        binary_cross_entropy(model.forward(x), y, 1.0).into()
    })?;
    for _ in 0..4 {
        let loss = step.run_many(75, &(&x, &y))?.loss();
        println!("step {:3}: loss {loss:.4}", step.steps());
    }

    // The inference reads the same parameters.
    let mut infer = Infer::build(&Options::default(), &scope, f32s([4, 2]), |_tape, x| {
        Outputs::of("probability", model.forward(x).sigmoid())
    })?;
    let report = infer.run(&x)?;
    let probability = report.get("probability").and_then(|v| v.as_slice::<f32>()).unwrap_or_default();
    println!("probabilities of 0⊕0, 0⊕1, 1⊕0, 1⊕1: {probability:.3?}\n");
    assert!(probability.iter().zip(y.iter()).all(|(p, y)| (p - y).abs() < 0.1));

    // Two mistakes are two messages, each with the line and the layer, and nothing has been run.
    let scope = Scope::root(7);
    let (narrow, wide) = (Linear::new(&scope.at("narrow"), 2, 3), Linear::new(&scope.at("wide"), 4, 1));
    let result = Step::build(&Options::default(), &scope, Sgd::new(0.1), f32s([4, 2]), |_tape, x| {
        let hidden = narrow.apply(x).relu();
        (wide.apply(hidden) + x.reshape([2, 4])).mean_all().into()
    });
    let mistakes = result.err().map(|e| e.to_string()).unwrap_or_default();
    println!("{mistakes}");
    assert_eq!(mistakes.matches("error:").count(), 2);
    Ok(())
}
