//! Checkpoints that are kept for their loss (`train.keep_best`). That kills change nothing about them, `kills.rs` shows.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{folder, succeeds};
use ironlearn::io::checkpoint::Checkpoint;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Epochs of the best evaluations of a run, the best first.
fn best_epochs(run: &Path, count: usize) -> Vec<u64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut losses: Vec<(f64, u64)> =
        rows.map(|row| (row["validation_loss"].as_f64().unwrap(), row["epoch"].as_u64().unwrap())).collect();
    losses.sort_by(|a, b| a.0.total_cmp(&b.0));
    losses.iter().take(count).map(|(_, epoch)| *epoch).collect()
}

fn kept(at: &Path) -> Vec<(u64, PathBuf)> {
    let found = succeeds(at, "inspect run --json");
    let kept = found["kept"].as_array().unwrap().iter();
    kept.map(|kept| (kept["epoch"].as_u64().unwrap(), PathBuf::from(kept["path"].as_str().unwrap())))
        .collect()
}

#[test]
fn the_states_of_the_best_evaluations_are_kept_through_a_break_and_can_be_used() {
    let folder = folder();
    let at = folder.path();
    let job = "table.toml --set train.keep_best=3 --set optimizer.rate=0.05 --set train.epochs=12";
    succeeds(at, &format!("train {job} --out run --quiet --max-steps 17"));
    succeeds(at, "resume run --quiet");
    let run = at.join("run");
    let found = kept(at);
    assert_eq!(found.iter().map(|kept| kept.0).collect::<Vec<_>>(), best_epochs(&run, 3));
    assert_eq!(fs::read_dir(run.join("best")).unwrap().count(), 3);
    // The state is that of the evaluation: a run that ends there has the same parameters.
    let (epoch, path) = &found[1];
    let shorter = format!("train {job} --out shorter --quiet --set train.epochs={epoch}");
    succeeds(at, &shorter);
    let [kept, last] =
        [at.join(path), at.join("shorter/last.safetensors")].map(|p| Checkpoint::load(&p).unwrap());
    assert!(kept.verified);
    // Parameters and moments; where the run stands is another matter.
    let state = |checkpoint: &Checkpoint| -> Vec<(String, String)> {
        let tensors = checkpoint.tensors.iter().filter(|(name, _)| !name.starts_with("progress"));
        tensors.map(|(name, value)| (name.clone(), format!("{value:?}"))).collect()
    };
    assert!(state(&last).len() > 4);
    assert_eq!(state(&kept), state(&last));
    let compared = common::text(&common::ironlearn(at, "compare run").stdout);
    assert!(compared.contains(&format!("best/epoch-{epoch:06}-loss-")), "{compared}");
    succeeds(at, &format!("predict {} --input table.csv --out answers.csv", path.display()));
    assert_eq!(fs::read_to_string(at.join("answers.csv")).unwrap().lines().count(), 41);
}

#[test]
fn without_the_setting_there_is_no_folder() {
    let folder = folder();
    succeeds(folder.path(), "train table.toml --out run --quiet");
    assert!(!folder.path().join("run/best").exists());
    assert_eq!(kept(folder.path()), []);
}
