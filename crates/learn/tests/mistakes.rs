//! What a user reads whose model is wrong in several places: every mistake, each at the line where it was made.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::prelude::*;

/// A message with `FILE:+n` for the lines of this file after `base`.
fn normalised(text: &str, base: u32) -> String {
    let mut parts = text.split(file!());
    let mut result = parts.next().unwrap().to_string();
    for part in parts {
        let mut numbers = part[1..].splitn(2, ':');
        let line: u32 = numbers.next().unwrap().parse().unwrap();
        let rest = numbers.next().unwrap();
        let column_ends = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
        result += &format!("FILE:+{}{}", line - base, &rest[column_ends..]);
    }
    result
}

#[test]
fn three_mistakes_are_reported_each_at_its_line() {
    let s = Scope::root(0);
    let encoder = Linear::<f32>::new(&s.at("encoder"), 12, 8);
    let norm = BatchNorm::<f32>::new(&s.at("norm"), 6);
    let head = Linear::<f32>::new(&s.at("head"), 5, 3);
    let signature = (f32s([32, 10]), u8s([32]));
    let base = line!();
    let result = Step::build(&Options::default(), &s, Adam::new(1e-3), signature, |_, (x, y)| {
        let hidden = encoder.apply(x).relu();
        let even = norm.apply(hidden);
        let logits = head.apply(even);
        cross_entropy(logits, y).into()
    });
    let text = normalised(&result.err().unwrap().to_string(), base);
    let expected = "\
error: dot: inner sizes differ: 10 and 12 in [32, 10] · [12, 8]
  --> FILE:+2 in layer `encoder`
  note: f32[32, 10] made by input at FILE:+1
  note: f32[12, 8] made by slot at FILE:+2

error: batch norm of 6 channels, found [32, 8]
  --> FILE:+3 in layer `norm`
  note: f32[32, 8] made by maximum at FILE:+2
  note: channels are the second axis

error: dot: inner sizes differ: 8 and 5 in [32, 8] · [5, 3]
  --> FILE:+4 in layer `head`
  note: f32[32, 8] made by maximum at FILE:+2
  note: f32[5, 3] made by slot at FILE:+4
  help: correct these 3 findings; nothing has been run";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn mistakes_in_names_and_in_shapes_are_reported_together() {
    let s = Scope::root(0);
    let base = line!();
    let first = Linear::<f32>::with(&s.at("layer"), 2, 8, false, &Init::HeNormal);
    let second = Linear::<f32>::with(&s.at("layer"), 8, 4, false, &Init::HeNormal);
    let result = Step::build(&Options::default(), &s, Sgd::new(0.1), f32s([5, 3]), |_, x| {
        second.apply(first.apply(x)).mean_all().into()
    });
    let text = normalised(&result.err().unwrap().to_string(), base);
    let expected = "\
error: the name `layer.weight` is taken by a f32[2, 8]
  --> FILE:+2
  note: give each layer a name of its own, as in `Linear::new(&scope.at(\"out\"), 3, 1)`

error: dot: inner sizes differ: 3 and 2 in [5, 3] · [2, 8]
  --> FILE:+4 in layer `layer`
  note: f32[5, 3] made by input at FILE:+3
  note: f32[2, 8] made by slot at FILE:+4
  help: correct these 2 findings; nothing has been run";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn a_warning_stands_at_the_line_that_builds_the_step() {
    let s = Scope::root(0);
    let _unused = Linear::<f32>::with(&s.at("unused"), 3, 1, false, &Init::Ones);
    let line = line!() + 1;
    let step = Step::build(&Options::default(), &s, Sgd::new(0.1), f32s([8, 3]), |_, x| x.mean_all().into());
    let warnings: Vec<_> = step.unwrap().warnings().iter().map(|w| w.location).collect();
    assert_eq!(warnings.iter().map(|at| (at.file(), at.line())).collect::<Vec<_>>(), [(file!(), line)]);
}

/// Found when the step runs, by either executor.
#[test]
fn an_index_outside_of_the_vocabulary_names_layer_and_line() {
    for options in [Options::default(), Options::default().interpreted()] {
        let s = Scope::root(0);
        let tokens = Embedding::<f32>::new(&s.at("tokens"), 4, 2);
        let base = line!();
        let mut step =
            Step::build(&options, &s, Sgd::new(0.1), i64s([3]), |_, x| tokens.apply(x).mean_all().into())
                .unwrap();
        let before = s.store().slot(tokens.weight().slot()).value().clone();
        let error = step.run(&Array::of([3], vec![1i64, 7, 2]).unwrap()).err().unwrap();
        assert_eq!(
            normalised(&error.to_string(), base),
            "gather: index 7 at position 1 is outside of 0..4\n  --> FILE:+2 in layer `tokens`\n  help: check the \
             data of this step"
        );
        assert_eq!(*s.store().slot(tokens.weight().slot()).value(), before);
        assert_eq!(step.steps(), 0);
    }
}
