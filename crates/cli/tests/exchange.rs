//! From a trained model to other programs and back, as a user does it.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{folder, ironlearn, succeeds, text};
use ironlearn::io::npy;
use ironlearn::prelude::Array;
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
fn pictures_and_tables_have_the_same_answers_as_onnx() {
    let folder = folder();
    let at = folder.path();
    let levels = (0..3 * 36).map(|i| (i * 37 % 101) as f32 / 100.0).collect();
    npy::write(&at.join("pixels.npy"), Array::of([3, 36], levels).unwrap().view()).unwrap();
    // A row of the table: three colours, a size, two zones; of words the model takes what they have become.
    fs::write(at.join("row.csv"), "colour,size,zone\nred,0.25,101\n").unwrap();
    npy::write(
        &at.join("row.npy"),
        Array::of([1, 6], vec![0.0f32, 0.0, 1.0, 0.25, 0.0, 1.0]).unwrap().view(),
    )
    .unwrap();
    for (kind, rows, encoded) in [("images", "pixels.npy", "pixels.npy"), ("table", "row.csv", "row.npy")] {
        succeeds(at, &format!("train {kind}.toml --out {kind} --quiet"));
        succeeds(at, &format!("export {kind} --onnx --out {kind}.onnx"));
        let answers = |model: &str, rows: &str| {
            succeeds(at, &format!("predict {model} --input {rows} --out answers.npy"));
            npy::read(&at.join("answers.npy")).unwrap().as_slice::<f64>().unwrap().to_vec()
        };
        let (expected, found) = (answers(kind, rows), answers(&format!("{kind}.onnx"), encoded));
        assert_eq!(found.len(), expected.len());
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-5, "{kind}: {found:?} is not {expected:?}");
    }
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
