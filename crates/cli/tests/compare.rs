//! `ironlearn compare` and `ironlearn lr-find`.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{folder, ironlearn, succeeds, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The last row of a run's metrics.
fn last_row(run: &Path) -> Value {
    let rows = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    serde_json::from_str(rows.lines().last().unwrap()).unwrap()
}

/// What needs nothing but itself.
fn stands_alone(page: &str) {
    let addresses = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for bad in ["http", "<script", "<link", "@import", "url("] {
        assert!(!addresses.contains(bad), "{bad}");
    }
}

#[test]
fn runs_stand_side_by_side() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train table.toml --out a --quiet");
    succeeds(
        at,
        "train table.toml --out b --quiet --set optimizer.rate=0.05 --set network.layers.0.linear=9",
    );
    succeeds(at, "train table.toml --out c --quiet --max-steps 4");
    let output = ironlearn(at, "compare a b c --out page.html");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    for part in ["epochs", "loss", "validation", "accuracy", "best loss", "time", "parameters"] {
        assert!(line("run").contains(part), "{said}");
    }
    assert!(line("c").contains(" 1/6 "), "{said}");
    assert_eq!(said.matches('*').count(), 1, "one has the best loss: {said}");
    assert!(said.contains("optimizer.rate") && said.contains("network.layers.0.linear"), "{said}");
    assert!(!said.contains("train.seed"), "{said}");

    let found = succeeds(at, "compare a b c --json");
    for (number, name) in ["a", "b", "c"].iter().enumerate() {
        let row = last_row(&at.join(name));
        let run = &found["runs"][number];
        assert_eq!((&run["loss"], &run["validation_loss"]), (&row["loss"], &row["validation_loss"]));
        assert_eq!(run["metrics"], row["metrics"]);
    }
    assert_eq!(found["differences"]["optimizer.rate"], serde_json::json!(["0.001", "0.05", "0.001"]));
    assert!(found["runs"][1]["parameters"].as_u64() > found["runs"][0]["parameters"].as_u64());

    let page = fs::read_to_string(at.join("page.html")).unwrap();
    stands_alone(&page);
    assert!(page.contains("validation loss") && page.contains("optimizer.rate"));
    succeeds(at, "compare a b --out loss.svg --by accuracy");
    let svg = fs::read_to_string(at.join("loss.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains(">a<") && svg.contains(">b<"));
}

#[test]
fn what_cannot_be_compared_is_refused_with_advice() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train table.toml --out a --quiet");
    for (code, arguments, part) in [
        (2, "compare a shades", "no run directory"),
        (2, "compare a --by psnr", "accuracy"),
        (2, "compare a --out page.pdf", ".html or .svg"),
        (2, "compare", "Usage"),
        (2, "lr-find table.toml --from 1 --to 0.1", "do not grow"),
        (2, "lr-find integers.toml", "integers"),
        (2, "lr-find table.toml --out rates.png", ".html or .svg"),
    ] {
        let output = ironlearn(at, arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {said}");
        assert!(said.contains(part), "{arguments}: {said}");
    }
}

#[test]
fn a_learning_rate_is_found_with_which_the_job_learns_and_nothing_is_left() {
    let folder = folder();
    let at = folder.path();
    let before = fs::read_dir(at).unwrap().count();
    let found = succeeds(at, "lr-find table.toml --to 1000 --json");
    assert_eq!(found, succeeds(at, "lr-find table.toml --to 1000 --json --threads 1"), "the same bits");
    assert_eq!(fs::read_dir(at).unwrap().count(), before);
    let points = found["points"].as_array().unwrap();
    assert_eq!(found["diverged"], true, "a rate of 1000 is too large for it");
    assert!(points.windows(2).all(|pair| pair[0]["rate"].as_f64() < pair[1]["rate"].as_f64()));
    let rate = found["suggested"].as_f64().unwrap();
    let loss = |rate: &str, out: &str| {
        let found =
            succeeds(at, &format!("train table.toml --out {out} --quiet --json --set optimizer.rate={rate}"));
        found["loss"].as_f64().unwrap()
    };
    let (suggested, smaller) = (loss(&rate.to_string(), "a"), loss(&(rate / 30.0).to_string(), "b"));
    assert!(suggested < smaller, "{rate}: {suggested}, a thirtieth of it: {smaller}");

    let output = ironlearn(at, "lr-find regression.toml --out rates.html --steps 60");
    let said = text(&output.stdout);
    assert!(said.contains("--set optimizer.rate="), "{said}{}", text(&output.stderr));
    let page = fs::read_to_string(at.join("rates.html")).unwrap();
    stands_alone(&page);
    assert!(page.contains("suggested"));
}
