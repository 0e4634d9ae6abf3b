//! From a trained model to one of integers, as a user does it.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{KINDS, folder, ironlearn, succeeds, text};
use std::fs;

#[test]
fn every_kind_of_job_becomes_integers_that_answer_as_its_floats_do() {
    let folder = folder();
    let at = folder.path();
    for (name, _) in KINDS.iter().filter(|(name, _)| !["skips", "integers", "text"].contains(name)) {
        succeeds(at, &format!("train {name}.toml --out {name} --quiet"));
        let wide = ["picture", "colours", "wide"].contains(name);
        let activations = if wide { "--activations i16" } else { "" };
        let found = succeeds(at, &format!("quantize {name} {activations} --json"));
        assert!(found["layers"].as_array().unwrap().len() > 1, "{found}");
        let last = found["layers"].as_array().unwrap().last().unwrap();
        let noise = last["signal_to_noise"].as_f64().unwrap();
        assert!(noise > 20.0, "{name}: {noise} dB: {found}");
        let integers = format!("{name}/last.integers.safetensors");
        let (a, b) = match *name {
            "picture" | "colours" => {
                let data = if *name == "picture" { "grey.png" } else { "colours.png" };
                let psnr = |model: &str| {
                    let measured = succeeds(at, &format!("evaluate {model} --data {data} --json"));
                    measured["metrics"]["psnr"].as_f64().unwrap()
                };
                (psnr(name), psnr(&integers))
            }
            "regression" => {
                let r2 = |model: &str| {
                    let measured = succeeds(at, &format!("evaluate {model} --data numbers.json --json"));
                    measured["metrics"]["mae"].as_f64().unwrap_or_default()
                };
                (r2(name), r2(&integers))
            }
            _ => continue,
        };
        assert!((a - b).abs() <= 0.05 * a.abs(), "{name}: {a} of floats, {b} of integers");
    }
}

#[test]
fn integers_are_trained_for_and_draw_and_predict() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train classes.toml --out classes --quiet");
    succeeds(at, "quantize classes --qat 4 --out four.safetensors");
    succeeds(at, "quantize classes --powers-of-two --per-layer --percentile 99.9 --out plain.safetensors");
    assert_ne!(
        fs::read(at.join("four.safetensors")).unwrap(),
        fs::read(at.join("plain.safetensors")).unwrap()
    );
    succeeds(at, "predict four.safetensors --input x_test.npy --out answers.csv");
    let answers = fs::read_to_string(at.join("answers.csv")).unwrap();
    assert_eq!(answers.lines().count(), 1 + 20, "a header and a line for each row: {answers}");
    succeeds(at, "quantize classes --data x_test.npy --out rows.safetensors");
    succeeds(at, "inspect four.safetensors");
    succeeds(at, "train picture.toml --out picture --quiet");
    succeeds(at, "quantize picture --activations i16 --out drawing.safetensors");
    succeeds(at, "predict drawing.safetensors --grid 30x20 --out drawn.png");
    let output = ironlearn(at, "predict drawing.safetensors --grid 30x20 --out drawn.jpg");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("write --out drawn.png"), "{}", text(&output.stderr));
}

#[test]
fn what_learned_in_integers_is_used_as_it_is() {
    let folder = folder();
    let at = folder.path();
    for (name, more) in [("one", "--threads 1"), ("two", "--threads 2")] {
        succeeds(at, &format!("train integers.toml --out {name} --quiet {more}"));
    }
    let [one, two] = ["one", "two"].map(|run| fs::read(at.join(run).join("last.safetensors")).unwrap());
    assert!(one == two, "threads change bits");
    succeeds(at, "predict one --input x_test.npy --out answers.csv");
    assert_eq!(fs::read_to_string(at.join("answers.csv")).unwrap().lines().count(), 1 + 20);
    succeeds(at, "inspect one");
    succeeds(at, "export one --rust");
    let rust = fs::read_to_string(at.join("one/last.rs")).unwrap();
    assert!(rust.contains("#![no_std]") && !rust.contains("f32"));
    // What a job asks and integers cannot is said with what to write.
    let output =
        ironlearn(at, "train integers.toml --out no --set optimizer.momentum=0.9 --set train.dtype=f64");
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("0.875") && err.contains("train.dtype"), "{err}");
    assert!(!at.join("no").exists(), "{err}");
}

#[test]
fn integers_are_exported_as_source_code_and_onnx() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train classes.toml --out classes --quiet");
    succeeds(at, "quantize classes --out model.safetensors");
    for (form, file) in [("--rust", "model.rs"), ("--c", "model.c"), ("--onnx", "model.onnx")] {
        let found = succeeds(at, &format!("export model.safetensors {form} --json"));
        assert_eq!(found["out"], file);
    }
    let rust = fs::read_to_string(at.join("model.rs")).unwrap();
    assert!(rust.contains("#![no_std]") && !rust.contains("f32") && !rust.contains("f64"));
    assert!(fs::read_to_string(at.join("model.c")).unwrap().contains("model_infer"));
    succeeds(at, "export model.safetensors --onnx --profile qdq --out fast.onnx");
    assert_ne!(fs::read(at.join("model.onnx")).unwrap(), fs::read(at.join("fast.onnx")).unwrap());
    // Of floats there is one form.
    succeeds(at, "export classes --onnx --profile qdq --out floats.onnx");
    assert!(fs::read(at.join("floats.onnx")).unwrap().windows(7).any(|bytes| bytes == b"Softmax"));
    for (arguments, code, expected) in [
        ("export model.safetensors --rust", 2, "model.rs exists already"),
        ("export classes/last.safetensors --c --out a.c", 3, "no network of integers"),
        ("export model.safetensors", 2, "--rust"),
    ] {
        let output = ironlearn(at, arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {err}");
        assert!(err.contains(expected), "{arguments}: {err}");
    }
}

#[test]
fn what_cannot_be_quantized_is_refused_with_the_reason() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train classes.toml --out classes --quiet");
    succeeds(at, "quantize classes --out integers.safetensors");
    succeeds(at, "train integers.toml --out integers --quiet");
    for (arguments, code, expected) in [
        ("quantize integers.safetensors", 2, "is a network of integers already"),
        ("quantize integers", 2, "is a network of integers already"),
        ("quantize classes --percentile 20", 2, "a percentile of 20"),
        ("quantize classes --data y.npy", 3, "y.npy"),
        ("quantize missing.safetensors", 5, "missing.safetensors"),
    ] {
        let output = ironlearn(at, arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {err}");
        assert!(err.contains(expected), "{arguments}: {err}");
    }
    fs::copy(at.join("classes/last.safetensors"), at.join("last.integers.safetensors")).unwrap();
    fs::copy(at.join("classes/last.safetensors"), at.join("last.safetensors")).unwrap();
    let output = ironlearn(at, "quantize last.safetensors");
    assert!(text(&output.stderr).contains("exists already"), "{}", text(&output.stderr));
    // A damaged description is refused before anything is computed.
    let bytes = fs::read(at.join("integers.safetensors")).unwrap();
    let place = bytes.windows(10).position(|w| w == b"zero_point").unwrap();
    let mut damaged = bytes.clone();
    damaged[place] = b'Z';
    fs::write(at.join("damaged.safetensors"), damaged).unwrap();
    let output = ironlearn(at, "predict damaged.safetensors --input x_test.npy");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}
