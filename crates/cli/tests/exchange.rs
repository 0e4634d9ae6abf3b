//! From a trained model to other programs and back, as a user does it.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{folder, ironlearn, succeeds, text};
use ironlearn::io::npy;
use std::fs;
use std::path::Path;

/// The answers for the test rows.
fn answers(at: &Path, model: &str) -> Vec<f64> {
    // Of classes, tables of text say more than the numbers.
    succeeds(at, &format!("predict {model} --input x_test.npy --out answers.npy"));
    npy::read(&at.join("answers.npy")).unwrap().as_slice::<f64>().unwrap().to_vec()
}

#[test]
fn a_model_answers_the_same_as_onnx_and_with_weights_of_pytorch() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train classes.toml --out classes --quiet");
    let expected = answers(at, "classes");
    let found = succeeds(at, "export classes --onnx --out network.onnx --json");
    assert!(found["parameter_bytes"].as_u64().unwrap() > 0);
    let found = succeeds(at, "import network.onnx --json");
    assert!(found["nodes"].as_u64().unwrap() > 2 && found["parameters"].as_u64().unwrap() > 0, "{found}");
    let close = |found: Vec<f64>| {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} is not {b}"));
    };
    close(answers(at, "network.onnx"));
    succeeds(at, "export classes --safetensors --out weights.safetensors");
    succeeds(at, "import weights.safetensors --job classes.toml");
    close(answers(at, "weights.model.safetensors"));
    succeeds(at, "export classes --npz --out weights.npz");
    assert!(fs::read(at.join("weights.npz")).unwrap().windows(12).any(|name| name == b"0.weight.npy"));
}

#[test]
fn what_cannot_be_exchanged_is_refused_with_the_reason() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train classes.toml --out classes --quiet");
    succeeds(at, "export classes --safetensors --out weights.safetensors");
    succeeds(at, "export classes --onnx --out network.onnx");
    succeeds(at, "quantize classes --out integers.safetensors");
    for (arguments, code, expected) in [
        ("import weights.safetensors", 2, "--job"),
        ("import network.onnx --job classes.toml", 2, "leave out --job"),
        ("import network.onnx --out a.safetensors", 2, "ironlearn predict network.onnx"),
        ("import weights.safetensors --job regression.toml", 3, "torch.nn.Sequential"),
        ("import classes.toml", 3, ".onnx and .safetensors"),
        ("import nothing.onnx", 5, "nothing.onnx"),
        ("export integers.safetensors --safetensors --out a.safetensors", 2, "a network of integers"),
        ("predict network.onnx --grid 4x4 --out a.png", 2, "--input"),
        ("predict network.onnx --input integers.safetensors", 3, "integers.safetensors"),
    ] {
        let output = ironlearn(at, arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {err}");
        assert!(err.contains(expected), "{arguments}: {err}");
    }
}
