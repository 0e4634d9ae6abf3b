//! What a report shows beside curves is what the program answers and writes.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;

use common::{folder, says, succeeds};
use std::fmt::Write;
use std::fs;

const RENT: &str = r#"
    [data]
    kind = "table"
    path = "rent.csv"
    test = "more.csv"
    target = "rent [€]"
    targets = "standardised"
    [network]
    layers = [{ linear = 8 }, "tanh", { linear = "targets" }]
    [optimizer]
    rate = 0.01
    [train]
    epochs = 20
"#;

/// So many rows of rents, and the rents.
fn rents(rows: usize, shift: usize) -> (String, Vec<f64>) {
    let (mut text, mut all) = ("size,town,rent [€]\n".to_owned(), Vec::new());
    for i in shift..shift + rows {
        let (size, town) = (20 + i * 7 % 61, ["north", "south", "west"][i * 5 % 3]);
        let rent = 9.5 * size as f64 + 40.0 * town.len() as f64 + (i as f64).sin();
        writeln!(text, "{size},{town},{rent}").unwrap();
        all.push(rent);
    }
    (text, all)
}

/// The path with a dot for each point, for axes over these numbers.
fn dots(points: &[(f64, f64)], xs: &[f64], ys: &[f64]) -> String {
    let place = |x: f64, all: &[f64]| {
        let (low, high) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
        (x - low) / (high - low)
    };
    let dot = |&(x, y): &(f64, f64)| {
        format!("M{:.1} {:.1}h0", 66.0 + 638.0 * place(x, xs), 256.0 - 226.0 * place(y, ys))
    };
    points.iter().map(dot).collect()
}

#[test]
fn points_of_a_report_are_the_answers_of_predict() {
    let folder = folder();
    let at = folder.path();
    let (more, truths) = rents(25, 300);
    fs::write(at.join("rent.toml"), RENT).unwrap();
    fs::write(at.join("rent.csv"), rents(200, 0).0).unwrap();
    fs::write(at.join("more.csv"), more).unwrap();
    succeeds(at, "train rent.toml --out run --quiet");
    let answers: Vec<f64> = says(at, "predict run --input more.csv")
        .lines()
        .filter_map(|line| line.split(',').next()?.parse().ok())
        .collect();
    assert_eq!(answers.len(), truths.len());
    let report = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(report.contains("All 25 rows of the validation part."));
    assert!(report.contains(">true rent [€]<") && report.contains("predicted rent [€]"));
    let both = [&answers[..], &truths].concat();
    let points: Vec<_> = truths.iter().copied().zip(answers.iter().copied()).collect();
    assert!(report.contains(&dots(&points, &both, &both)), "{report}");
    let residuals: Vec<f64> = points.iter().map(|(truth, answer)| answer - truth).collect();
    let points: Vec<_> = answers.iter().copied().zip(residuals.iter().copied()).collect();
    assert!(report.contains(&dots(&points, &answers, &[&residuals[..], &[0.0]].concat())), "{report}");
    // Of more rows than are shown the report says so; where nothing is set apart they are those that were learned.
    fs::write(at.join("rent.csv"), rents(2500, 0).0).unwrap();
    succeeds(at, "train rent.toml --out many --quiet --set data.test= --set train.epochs=1");
    let report = fs::read_to_string(at.join("many/report.html")).unwrap();
    assert!(report.contains("2000 of the 2500 rows of the training part: evenly many"));
    assert_eq!(report.matches("h0M").count() + 2, 2 * 2000);
    // Classes have no residuals.
    succeeds(at, "train table.toml --out classes --quiet");
    assert!(!fs::read_to_string(at.join("classes/report.html")).unwrap().contains("Predicted and true"));
}

#[test]
fn samples_of_a_report_are_what_generate_writes() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("poem.txt"), "<b>שלום</b> & কি আছে\n".repeat(20)).unwrap();
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let layers = "[{embedding=8},{gru=16},{linear='targets'}]";
    succeeds(
        at,
        &format!(
            "train text.toml --out run --quiet --set train.seed=7 --set network.layers={layers} --set train.epochs=3"
        ),
    );
    let report = fs::read_to_string(at.join("run/report.html")).unwrap();
    assert!(report.contains("200 tokens each") && report.contains("by the seeds from 7 on"));
    for seed in 7..10 {
        let written = says(at, &format!("generate run --length 200 --seed {seed}"));
        let sample = escaped(written.strip_suffix('\n').unwrap());
        assert!(report.contains(&format!("<div class=\"sample\" dir=\"auto\">{sample}</div>")), "{sample}");
    }
    assert!(report.matches("class=\"sample\"").count() == 3 && !report.contains("<b>"), "{report}");
    succeeds(at, "train text.toml --out none --quiet --set output.report=false");
}
