//! A run that needs more memory than there is ends before its first step, with the numbers.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::process::{Command, Output};

/// Batch norm sees all rows at once: activations of all of them are kept.
const LAYERS: &str = r#"network.layers=[{ linear = 256 }, "batch_norm", "tanh", { linear = "targets" }]"#;

fn train(folder: &std::path::Path, limit: &str, batch: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ironlearn"));
    command.env("IRONLEARN_MEMORY", limit).current_dir(folder);
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/../../jobs/picture.toml");
    command.args(["train", job, "--out", "run", "--quiet", "--set", "train.epochs=1", "--set", LAYERS]);
    command.args(["--set", "picture.frames=0", "--set", &format!("train.batch={batch}")]);
    command.args(more);
    command.output().unwrap()
}

fn refused(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(6), "{text}");
    text
}

#[test]
fn a_batch_that_does_not_fit_is_refused_with_the_largest_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(&train(folder.path(), "32MiB", "30000", &[]));
    assert!(text.contains("and on f32[30000, 2]") && text.contains("32.0 MiB may be used"), "{text}");
    assert!(!folder.path().join("run").exists(), "nothing is left of it");
    let most: usize =
        text.split("a batch of at most ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1_000..30_000).contains(&most), "{text}");
    refused(&train(folder.path(), "32MiB", &(most + 1).to_string(), &[]));
    let fits = train(folder.path(), "32MiB", &most.to_string(), &[]);
    assert!(fits.status.success(), "{}", String::from_utf8_lossy(&fits.stderr));
}

#[test]
fn a_network_that_does_not_fit_at_all_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let wide =
        r#"network.layers=[{ linear = 3000 }, "tanh", { linear = 3000 }, "tanh", { linear = "targets" }]"#;
    let text = refused(&train(folder.path(), "20MiB", "1000", &["--set", wide]));
    assert!(text.contains("not even one row fits"), "{text}");
    let wrong = train(folder.path(), "plenty", "1000", &[]);
    let text = String::from_utf8_lossy(&wrong.stderr);
    assert!(wrong.status.code() == Some(2) && text.contains("IRONLEARN_MEMORY=plenty is no size"), "{text}");
}
