//! Tables, pictures in folders and texts: from their files to answers in their own words.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;

use common::{folder, ironlearn, says, succeeds, text};
use ironlearn::io::{npy, npz};
use ironlearn::picture::Picture;
use ironlearn::prelude::Array;
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn a_table_is_answered_in_its_own_words() {
    let folder = folder();
    let at = folder.path();
    let shown = says(at, "inspect table.csv");
    assert!(shown.contains("40 rows") && shown.contains("3 different: blue, dark, green, red"), "{shown}");
    succeeds(at, "train table.toml --out run --quiet");
    let wanted = says(at, "inspect run/best.safetensors");
    let wanted: Vec<_> =
        wanted.lines().skip_while(|line| !line.contains("these columns")).skip(1).take(3).collect();
    let held =
        wanted.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert!(
        held[0].starts_with("colour a word") && held[0].ends_with(": blue, dark, green, red"),
        "{held:?}"
    );
    assert!(held[1].starts_with("size a number, or nothing, which counts as "), "{held:?}");
    assert!(held[2].starts_with("zone a word"), "{held:?}");
    // Columns in another order, one that is not needed, a gap, and a word that was not there.
    fs::write(
        at.join("new.csv"),
        "zone,size,note,colour\n101,0.5,x,red\n100,,y,\"dark, green\"\n100,0.1,z,pink\n",
    )
    .unwrap();
    let answers = says(at, "predict run --input new.csv");
    let lines: Vec<&str> = answers.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "prediction,probability_elm,probability_oak"));
    assert!(lines[1..].iter().all(|line| line.starts_with("elm,") || line.starts_with("oak,")), "{answers}");
    fs::write(at.join("large.csv"), "zone,size,note,colour\n101,0.5,x,red\n101,1e300,x,red\n").unwrap();
    let err = told(at, "predict run --input large.csv");
    assert!(err.contains("row 1: 1e300 is too large for f32"), "{err}");
    let measured = succeeds(at, "evaluate run --data table.csv --json");
    assert!(measured["metrics"]["accuracy"].as_f64().unwrap() > 0.5, "{measured}");
    fs::write(at.join("new.csv"), "zone,size\n101,0.5\n").unwrap();
    let output = ironlearn(at, "predict run --input new.csv");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("there is no column \"colour\""), "{}", text(&output.stderr));
    let output = ironlearn(at, "predict run --input x.npy");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

/// Rows and targets in files of their own: what they are, and how well they are answered.
#[test]
fn arrays_are_inspected_and_measured_as_a_pair() {
    let folder = folder();
    let at = folder.path();
    let x = Array::of([40, 2], (0..80).map(|i| (i % 7) as f32 - 3.0).collect()).unwrap();
    let y = Array::of([40], (0..40).map(|i| ((2 * i) % 7) as f64 - 3.0).collect()).unwrap();
    npy::write(&at.join("x.npy"), x.view()).unwrap();
    npy::write(&at.join("y.npy"), y.view()).unwrap();
    npz::write(&at.join("both.npz"), &[("x".into(), x), ("y".into(), y)]).unwrap();
    let shown = says(at, "inspect both.npz");
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..7], ["x", "f32", "[40,", "2]", "-3.000", "to", "3.000,"], "{shown}");
    assert_eq!(lines[2][..6], ["y", "f64", "[40]", "-3.000", "to", "3.000,"], "{shown}");
    let told = succeeds(at, "inspect x.npy --json");
    assert_eq!(told["arrays"][0]["shape"], json!([40, 2]), "{told}");
    let job = "data = { kind = 'arrays', x = 'x.npy', y = 'y.npy' }\n[train]\nepochs = 3\n";
    fs::write(at.join("pair.toml"), job).unwrap();
    succeeds(at, "train pair.toml --out run --quiet");
    let pair = succeeds(at, "evaluate run --data x.npy --targets y.npy --json");
    assert_eq!(pair["metrics"], succeeds(at, "evaluate run --data both.npz --json")["metrics"]);
    for (arguments, code, expected) in [
        ("evaluate run --data x.npy", 3, "name the file of the targets, too"),
        ("evaluate run --data x.npy --targets x.npy", 3, "the targets are not one number a row"),
        ("evaluate run --data numbers.json --targets y.npy", 2, "leave out the file of the targets"),
    ] {
        let output = ironlearn(at, arguments);
        let err = text(&output.stderr);
        assert!(output.status.code() == Some(code) && err.contains(expected), "{arguments}: {err}");
    }
}

#[test]
fn a_run_does_not_go_on_with_a_table_that_has_changed() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train table.toml --out run --quiet");
    let table = fs::read_to_string(at.join("table.csv")).unwrap();
    // Its words would stand for others.
    fs::write(at.join("table.csv"), table.replace("blue", "azure")).unwrap();
    let output = ironlearn(at, "resume run --set train.epochs=99");
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("the data are not those that the run began with: their encoding would"), "{err}");
    // A text gains a line, and the table has two answers exchanged: what is learned of either means the same.
    let exchanged =
        table.replacen(",oak\n", ",?\n", 1).replacen(",elm\n", ",oak\n", 1).replace(",?\n", ",elm\n");
    fs::write(at.join("table.csv"), &exchanged).unwrap();
    let err = told(at, "resume run --set train.epochs=99");
    assert!(err.contains("with other numbers in "), "{err}");
    fs::write(at.join("table.csv"), table).unwrap();
    succeeds(at, "train text.toml --out poem --quiet");
    let poem = fs::read_to_string(at.join("poem.txt")).unwrap();
    fs::write(at.join("poem.txt"), format!("{poem}the elm, the oak\n")).unwrap();
    let err = told(at, "resume poem --set train.epochs=99");
    assert!(err.contains("rows to learn from, not ") && err.contains("in poem/last.safetensors"), "{err}");
    fs::write(at.join("poem.txt"), poem).unwrap();
    succeeds(at, "resume poem --set train.epochs=5 --quiet");
    succeeds(at, "resume run --set train.epochs=99 --quiet");
}

/// What a refused command says.
fn told(at: &Path, command: &str) -> String {
    let output = ironlearn(at, command);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    err
}

#[test]
fn answers_are_not_written_over_the_rows() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train table.toml --out run --quiet");
    let before = fs::read(at.join("table.csv")).unwrap();
    let output = ironlearn(at, "predict run --input table.csv --out ./table.csv");
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("./table.csv is the file with the rows"), "{err}");
    assert_eq!(fs::read(at.join("table.csv")).unwrap(), before);
    let output = ironlearn(at, "predict run --input table.csv --out answers.csv");
    assert!(text(&output.stderr).contains("written: answers.csv"), "{}", text(&output.stderr));
    assert_eq!(fs::read(at.join("table.csv")).unwrap(), before);
}

#[test]
fn a_table_is_brought_to_the_minimum_of_its_loss() {
    let folder = folder();
    let at = folder.path();
    let whole = "--set network.layers=[{linear='targets'}] --set optimizer.kind=lbfgs --set optimizer.weight_decay=0.01 --set train.batch=full --set train.dtype=f64";
    let output = ironlearn(at, &format!("train table.toml --out run {whole} --set train.epochs=200 --json"));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("\"steps\":"), "{out}{err}");
    assert!(!err.contains("not yet at the minimum"), "{err}");
    succeeds(at, "evaluate run --data table.csv --json");
    let output = ironlearn(at, &format!("train table.toml --out short {whole} --set train.epochs=2"));
    assert!(text(&output.stderr).contains("not yet at the minimum"), "{}", text(&output.stderr));
    let output = ironlearn(at, "train images.toml --set optimizer.kind=lbfgs --set optimizer.clip_norm=1");
    let err = text(&output.stderr);
    for key in ["train.dtype: set", "train.batch: set", "clip_norm", "leave out random_flip"] {
        assert!(output.status.code() == Some(2) && err.contains(key), "{key}: {err}");
    }
}

#[test]
fn pictures_are_told_apart_by_their_folders() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train images.toml --out run --quiet --set train.epochs=30");
    let one = says(at, "predict run --input shades/light/3.png");
    assert!(one.starts_with("prediction,probability_dark,probability_light\nlight,"), "{one}");
    let all = says(at, "predict run --input shades/dark");
    assert!(all.starts_with("file,prediction,probability_dark,probability_light\n0.png,dark,"), "{all}");
    assert_eq!(all.lines().filter(|line| line.contains(".png,dark,")).count(), 7, "{all}");
    let measured = succeeds(at, "evaluate run --data shades --json");
    assert_eq!(measured["metrics"]["accuracy"], 1.0);
    // Three kernels of 3×3, enlarged 16 times; and no mistakes to be shown.
    let sheet = Picture::read(&at.join("run/weights.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (3 * 54 + 6, 60));
    assert!(!at.join("run/mistakes.png").exists());
    succeeds(at, "train images.toml --out untrained --quiet --set train.epochs=1 --set optimizer.rate=1e-9");
    let wrong = succeeds(at, "evaluate untrained --data shades --json");
    assert!(wrong["metrics"]["accuracy"].as_f64().unwrap() < 1.0, "{wrong}");
    Picture::read(&at.join("untrained/mistakes.png")).unwrap();
    let report = fs::read_to_string(at.join("untrained/report.html")).unwrap();
    assert!(report.contains("the worst mistakes") && report.contains("weights of the first layer"));
}

#[test]
fn each_fold_judges_by_rows_of_its_own() {
    let folder = folder();
    let at = folder.path();
    let sizes = (1..=3).map(|fold| {
        let folds = "--set train.validation=0 --set train.folds=3 --set train.stratified=true";
        let output = ironlearn(at, &format!("train table.toml --dry-run 1 {folds} --set train.fold={fold}"));
        let err = text(&output.stderr);
        let line = err.lines().find(|line| line.contains("rows to learn from")).unwrap().to_owned();
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<usize>().ok()).take(2).collect()
    });
    let sizes: Vec<Vec<usize>> = sizes.collect();
    assert!(sizes.iter().all(|size| size[0] + size[1] == 40), "{sizes:?}");
    assert_eq!(sizes.iter().map(|size| size[1]).sum::<usize>(), 40, "{sizes:?}");
    for (keys, expected) in [
        ("train.folds=1", "0, or at least 2"),
        ("train.folds=3 --set train.fold=4 --set train.validation=0", "a number from 1 to 3"),
        ("train.folds=3 --set train.validation=0.5", "leave one of them out"),
        ("train.folds=99 --set train.validation=0", "leaves nothing of 40 rows"),
    ] {
        let output = ironlearn(at, &format!("train table.toml --dry-run 1 --set {keys}"));
        let err = text(&output.stderr);
        assert!(output.status.code() == Some(2) && err.contains(expected), "{keys}: {err}");
    }
}

#[test]
fn a_text_goes_on() {
    let folder = folder();
    let at = folder.path();
    let trained = succeeds(
        at,
        "train text.toml --out run --quiet --set train.epochs=60 --set optimizer.rate=0.02 --json",
    );
    let perplexity = trained["metrics"]["perplexity"].as_f64().unwrap();
    assert!((1.0..3.0).contains(&perplexity) && trained["metrics"]["bits_per_byte"].is_number(), "{trained}");
    let measured = succeeds(at, "evaluate run --data poem.txt --json");
    let found = measured["metrics"]["perplexity"].as_f64().unwrap();
    assert!((found - perplexity).abs() < 0.3 * perplexity, "{measured}");
    let write = |more: &str| says(at, &format!("generate run --length 40 {more}"));
    let likeliest = write("--prompt the --temperature 0");
    assert!(likeliest.starts_with("the ") && likeliest.len() == 44, "{likeliest}");
    assert!(["oak", "elm", "ash"].iter().any(|word| likeliest.contains(word)), "{likeliest}");
    assert_eq!(write("--seed 3"), write("--seed 3"));
    assert_ne!(write("--seed 3 --temperature 2"), write("--seed 4 --temperature 2"));
    assert_eq!(write("--top-k 1 --prompt the"), likeliest);
    let output = ironlearn(at, "generate run --lines 3 --seed 5");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.lines().count() == 3 && err.contains("3 lines: "), "{out}{err}");
    for (arguments, expected) in [
        ("generate run --prompt Q", "\"Q\", character 0 of the text"),
        ("generate run --temperature=-1", "a temperature of -1"),
        ("predict run --input table.csv", "ironlearn generate MODEL"),
    ] {
        let output = ironlearn(at, arguments);
        let err = text(&output.stderr);
        assert!(output.status.code() == Some(2) && err.contains(expected), "{arguments}: {err}");
    }
    succeeds(at, "train table.toml --out other --quiet");
    let output = ironlearn(at, "generate other");
    assert!(text(&output.stderr).contains("has learned no text"), "{}", text(&output.stderr));
}

#[test]
fn a_text_is_the_same_with_and_without_a_cache() {
    let folder = folder();
    let at = folder.path();
    for (name, lines, layer) in [
        ("rotary", false, "{ residual = [{ attention = 2, causal = true, rotary = true }] }"),
        ("bare", false, "{ residual = ['rms_norm', { attention = 1, causal = true }] }, 'gelu'"),
        ("gru", false, "{ gru = 8 }, 'tanh'"),
        ("lstm", false, "{ lstm = 8 }"),
        ("ahead", false, "{ attention = 2, rotary = true }"),
        ("window", true, "'flatten', { linear = 16 }, 'tanh'"),
        ("last", true, "{ gru = 8, last = true }"),
    ] {
        let layers = format!("[{{embedding=8}},{layer},{{linear='targets'}}]").replace(' ', "");
        let keys = format!("--set data.lines={lines} --set network.layers={layers}");
        succeeds(at, &format!("train text.toml --out {name} --quiet {keys}"));
        // Longer than the context, and within it.
        for more in ["--length 60 --seed 3", "--length 20 --prompt the --temperature 2", "--length 3"] {
            let cached = says(at, &format!("generate {name} {more}"));
            assert_eq!(cached, says(at, &format!("generate {name} {more} --no-cache")), "{name} {more}");
        }
    }
}

#[test]
fn a_run_is_tried_out_and_a_few_rows_are_learned_by_heart() {
    let folder = folder();
    let at = folder.path();
    let output = ironlearn(at, "train table.toml --dry-run 2 --json");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("\"steps\":2"), "{out}{err}");
    // What is about to be trained is said before.
    assert!(
        err.contains("30 rows to learn from, 10 for validation, inputs 6") && err.contains("linear"),
        "{err}"
    );
    assert!(err.contains("nothing was kept") && !at.join("runs").exists(), "{err}");
    assert!(!err.contains("run directory") && !out.contains("to go on"), "{out}{err}");
    let learned = succeeds(
        at,
        "train table.toml --overfit-batches 1 --out run --quiet --json --set train.epochs=400 --set optimizer.rate=0.02",
    );
    assert_eq!(learned["metrics"]["accuracy"], 1.0, "{learned}");
    let output = ironlearn(at, "train regression.toml --overfit-batches 1 --out no");
    assert!(text(&output.stderr).contains("set train.batch"), "{}", text(&output.stderr));
}
