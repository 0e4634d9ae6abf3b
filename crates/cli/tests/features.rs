//! What the program reads beyond what it is always built with: Parquet files and the tokenizers of Hugging Face.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;

use common::{folder, ironlearn, text};
use std::fs;
use std::path::Path;

/// The tables and tokenizers of the library's tests.
fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../learn/tests").join(name)
}

const RENT: &str = r#"
    [data]
    kind = "table"
    path = "rent.parquet"
    target = "rent [€]"
    targets = "standardised"
    missing = "mean"
    [network]
    layers = [{ linear = 8 }, "tanh", { linear = "targets" }]
    [optimizer]
    rate = 0.02
    [train]
    epochs = 300
    validation = 0.25
"#;

/// A folder with a job on a Parquet file.
fn with_rents() -> tempfile::TempDir {
    let folder = folder();
    fs::copy(fixture("parquet/rent.parquet"), folder.path().join("rent.parquet")).unwrap();
    fs::write(folder.path().join("rent.toml"), RENT).unwrap();
    folder
}

#[test]
fn the_doctor_says_what_is_built_in() {
    let folder = folder();
    let said = common::succeeds(folder.path(), "doctor --json");
    let parts: Vec<&str> =
        said["features"].as_array().unwrap().iter().filter_map(|part| part.as_str()).collect();
    for (part, built) in [
        ("cuda", cfg!(feature = "cuda")),
        ("mpi", cfg!(feature = "mpi")),
        ("parquet", cfg!(feature = "parquet")),
        ("tokenizers", cfg!(feature = "tokenizers")),
    ] {
        assert_eq!(parts.contains(&part), built, "{part}: {parts:?}");
    }
}

#[test]
#[cfg(feature = "parquet")]
fn a_parquet_file_is_a_table() {
    let folder = with_rents();
    let at = folder.path();
    let shown = common::says(at, "inspect rent.parquet");
    for expected in ["40 rows", "size [m²]", "3 different: north, south, west", "2 different: false, true"] {
        assert!(shown.contains(expected), "{shown}");
    }
    common::succeeds(at, "train rent.toml --out run --quiet");
    let measured = common::succeeds(at, "evaluate run --data rent.parquet --json");
    assert!(measured["metrics"]["r2"].as_f64().unwrap() > 0.9, "{measured}");
    // The same rows in another format have the same answers.
    fs::write(at.join("rent.csv"), "town,new,size [m²]\nnorth,true,10\nwest,false,31\nsouth,false,13\n")
        .unwrap();
    let [parquet, csv] =
        ["parquet", "csv"].map(|format| common::says(at, &format!("predict run --input rent.{format}")));
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.lines().zip(parquet.lines()).all(|(a, b)| a == b), "{csv}{parquet}");
    let report = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(report.contains("All 10 rows of the validation part") && report.contains("predicted rent [€]"));
    fs::write(at.join("rent.parquet"), "PAR1 and no more PAR1").unwrap();
    let output = ironlearn(at, "train rent.toml --out no");
    let err = text(&output.stderr);
    assert!(output.status.code() == Some(3) && err.contains("the Parquet file cannot be read"), "{err}");
}

#[test]
#[cfg(not(feature = "parquet"))]
fn a_parquet_file_is_refused_with_how_to_have_it_read() {
    let folder = with_rents();
    let output = ironlearn(folder.path(), "train rent.toml --out run");
    let err = text(&output.stderr);
    assert!(output.status.code() == Some(3) && err.contains("--features parquet"), "{err}");
}

/// A folder with a job on a text in the tokens of a file.
fn with_tokenizer() -> tempfile::TempDir {
    let folder = folder();
    fs::copy(fixture("tokenizers/bytes.json"), folder.path().join("tokenizer.json")).unwrap();
    let poem = "the oak and the elm 🌳\nকি আছে? שלום\n".repeat(30);
    fs::write(folder.path().join("poem.txt"), poem).unwrap();
    folder
}

const TOKENS: &str = "--set data.tokenizer=tokenizer.json --set network.layers=[{embedding=16},{gru=32},{linear='targets'}] \
     --set train.epochs=40 --set optimizer.rate=0.02 --set train.validation=0.2";

#[test]
#[cfg(feature = "tokenizers")]
fn a_text_is_learned_and_written_in_the_tokens_of_a_file() {
    let folder = with_tokenizer();
    let at = folder.path();
    let trained = common::succeeds(at, &format!("train text.toml --out run --quiet --json {TOKENS}"));
    let value = |name: &str| trained["metrics"][name].as_f64().unwrap();
    let loss = trained["validation_loss"].as_f64().unwrap();
    assert!((value("perplexity") - loss.exp()).abs() < 1e-9 && value("perplexity") < 3.0, "{trained}");
    // Of the last fifth of the text, by the characters, so many bytes a token.
    let poem = fs::read_to_string(at.join("poem.txt")).unwrap();
    let characters = poem.chars().count();
    let apart = (0.2 * characters as f64).round() as usize;
    let part: String = poem.chars().skip(characters - apart).collect();
    let vocabulary = ironlearn::text::Vocabulary::of_tokenizer(&at.join("tokenizer.json")).unwrap();
    let bytes_per_token = part.len() as f64 / vocabulary.count(&part).unwrap() as f64;
    assert!(bytes_per_token > 2.0, "{bytes_per_token}");
    let bits = loss / std::f64::consts::LN_2 / bytes_per_token;
    assert!((value("bits_per_byte") - bits).abs() < 1e-9, "{trained}: {bits}");
    // The model needs no other file.
    fs::remove_file(at.join("tokenizer.json")).unwrap();
    let measured = common::succeeds(at, "evaluate run --data poem.txt --json");
    assert!(measured["metrics"]["perplexity"].as_f64().unwrap() < 3.0, "{measured}");
    let likeliest = common::says(at, "generate run --prompt the --temperature 0 --length 40");
    assert!(likeliest.contains("oak and the elm 🌳\n") && likeliest.contains("কি আছে? שלום"), "{likeliest}");
    assert!(!likeliest.trim_end().trim_end_matches('\u{fffd}').contains('\u{fffd}'), "{likeliest}");
    let lines = ironlearn(at, "generate run --lines 3 --temperature 0");
    let (out, err) = (text(&lines.stdout), text(&lines.stderr));
    assert!(out.lines().count() == 3 && err.contains("3 lines: "), "{out}{err}");
    let whole = common::says(at, "generate run --length 30 --seed 3 --no-cache");
    assert_eq!(whole, common::says(at, "generate run --length 30 --seed 3"));
    let report = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(report.matches("class=\"sample\"").count() == 3, "{report}");
    for (more, expected) in [
        ("--set data.lines=true", "leave out one of them"),
        ("--set data.tokenizer=poem.txt", "describes no tokenizer"),
    ] {
        fs::copy(fixture("tokenizers/bytes.json"), at.join("tokenizer.json")).unwrap();
        let err = text(&ironlearn(at, &format!("train text.toml --out no {TOKENS} {more}")).stderr);
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
#[cfg(not(feature = "tokenizers"))]
fn a_tokenizer_is_refused_with_how_to_have_it_read() {
    let folder = with_tokenizer();
    let output = ironlearn(folder.path(), &format!("train text.toml --out run {TOKENS}"));
    let err = text(&output.stderr);
    assert!(output.status.code() == Some(2) && err.contains("--features tokenizers"), "{err}");
}
