//! Jobs carried out from their data to their files.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{data, job, run, value};
use ironlearn::Options;
use ironlearn::job::Job;
use ironlearn::picture::Picture;
use ironlearn::task::Trained;
use ironlearn::train::{Control, EpochReport, Silent, Watch};
use ironlearn_ir::Array;
use std::fs;
use std::path::{Path, PathBuf};

/// Stops after a number of steps and keeps the reports.
#[derive(Default)]
struct Stop {
    at: u64,
    reports: Vec<EpochReport>,
}

impl Watch for Stop {
    fn after_step(&mut self, step: u64) -> Control {
        if step == self.at { Control::Stop } else { Control::Continue }
    }
    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        self.reports.push(report.clone());
        Control::Continue
    }
}

const SMALL_PICTURE: &str = r#"
    [data]
    resize = [12, 10]
    [network]
    layers = [{ siren = 8 }, { dropout = 0.1 }, { linear = "targets", init = { siren = 30 } }]
    [optimizer]
    average = 0.9
    [schedule]
    kind = "cosine"
    [train]
    epochs = 4
    batch = 50
    save_every = 1
    patience = 3
    [picture]
    render = [20, 7]
"#;

const INTEGERS: &str = r#"
    loss.kind = "cross_entropy"
    optimizer = { kind = "sgd", rate = 0.05, momentum = 0.875 }
    schedule.kind = "linear"
    train.arithmetic = "integer"
"#;

#[test]
fn a_stopped_picture_run_goes_on_to_the_same_files() {
    let job = Job::parse(SMALL_PICTURE, &[] as &[&str]).unwrap();
    let parent = tempfile::tempdir().unwrap();
    let whole = parent.path().join("whole");
    let mut all = Stop::default();
    let outcome = run(&job, &whole, false, &mut all).unwrap();
    assert_eq!((outcome.step, outcome.epoch, outcome.save_failure), (12, 4, None));
    // 120 rows in batches of 50: 3 steps an epoch. Within an epoch, and at its end.
    for at in [1, 3, 5, 11] {
        let broken = parent.path().join(format!("broken-{at}"));
        let mut first = Stop { at, ..Stop::default() };
        assert_eq!(run(&job, &broken, false, &mut first).unwrap().step, at);
        let mut second = Stop::default();
        let resumed = run(&job, &broken, true, &mut second).unwrap();
        assert_eq!((resumed.step, resumed.steps_here), (12, 12 - at));
        assert_eq!(resumed.measures, outcome.measures);
        assert_eq!([first.reports, second.reports].concat(), all.reports);
        for name in ["last.safetensors", "best.safetensors", "reconstruction.png", "timelapse.gif"] {
            let [a, b] = [&whole, &broken].map(|folder| fs::read(folder.join(name)).unwrap());
            assert!(a == b, "{name} after a stop at {at}");
        }
    }
}

#[test]
fn the_pictures_of_a_run_are_those_of_the_job() {
    let job = Job::parse(SMALL_PICTURE, &["data.colour=rgb"]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let outcome = run(&job, directory.path(), false, &mut Silent).unwrap();
    let size = |name: &str| {
        let picture = Picture::read(&directory.path().join(name)).unwrap();
        (picture.width(), picture.height())
    };
    assert_eq!(size("reconstruction.png"), (12, 10));
    assert_eq!(size("render-20x7.png"), (20, 7));
    assert_eq!(size("error-map.png"), (12, 10));
    let read = |name: &str| Picture::read(&directory.path().join(name)).unwrap().with_channels(3).unwrap();
    let psnr = read("reconstruction.png").psnr(&read("source.png")).unwrap();
    assert_eq!(value(&outcome, "psnr"), psnr, "measured on the written file");
    let mut model = Trained::load(directory.path(), &Options::default()).unwrap();
    assert_eq!(model.draw(20, 7).unwrap().with_channels(3).unwrap(), read("render-20x7.png"));
    assert_eq!(model.evaluate(&directory.path().join("source.png")).unwrap().values[0].1, psnr);
    let refused = Trained::load(directory.path(), &Options::default()).unwrap().evaluate(Path::new("no.png"));
    assert_eq!(refused.unwrap_err().exit_code(), 5);
}

#[test]
fn a_save_that_fails_is_told_and_does_not_end_the_run() {
    let job = Job::parse(SMALL_PICTURE, &[] as &[&str]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("last.safetensors")).unwrap();
    let outcome = run(&job, directory.path(), false, &mut Silent).unwrap();
    assert_eq!(outcome.epoch, 4);
    assert!(outcome.save_failure.unwrap().contains("last.safetensors"));
}

/// y = 3 a - 2 b + 5 + noise, of which the last 4 rows are the test part.
fn table(folder: &Path) -> PathBuf {
    let row = |i: usize| ((i * 7 % 13) as f64, 100.0 + (i * 5 % 11) as f64);
    let y = |i: usize| 3.0 * row(i).0 - 2.0 * row(i).1 + 5.0 + 0.1 * (i as f64).sin();
    let x = |rows: std::ops::Range<usize>| -> Vec<f64> { rows.flat_map(|i| [row(i).0, row(i).1]).collect() };
    let text = format!(
        r#"{{"m":40,"n":2,"x":{:?},"y":{:?},"m_test":4,"x_test":{:?},"y_test":{:?}}}"#,
        x(0..40),
        (0..40).map(y).collect::<Vec<_>>(),
        x(40..44),
        (40..44).map(y).collect::<Vec<_>>()
    );
    let path = folder.join("table.json");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn answers_of_a_table_are_in_the_units_of_its_targets() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let overrides = [format!("data.path={}", path.display()), "train.epochs=400".into()];
    let outcome = run(&job("linear.toml", &overrides), folder.path(), false, &mut Silent).unwrap();
    assert!(value(&outcome, "mse") < 0.02, "{outcome:?}");
    let mut model = Trained::load(folder.path(), &Options::default()).unwrap();
    let rows = model.preparation.read_rows(&path).unwrap();
    let answers = model.answers(&rows).unwrap();
    let (x, y) = (rows.as_slice::<f64>().unwrap(), answers.as_slice::<f64>().unwrap());
    for (row, y) in x.chunks_exact(2).zip(y) {
        assert!((3.0 * row[0] - 2.0 * row[1] + 5.0 - y).abs() < 0.3, "{row:?}: {y}");
    }
    // Few rows by a small plan, with the same bits.
    let mut sizes = Trained::load_for(folder.path(), &Options::default(), &[1, 3]).unwrap();
    for (i, row) in x.chunks_exact(2).enumerate() {
        let row = Array::of([1, 2], row.to_vec()).unwrap();
        assert_eq!(sizes.answers(&row).unwrap().as_slice::<f64>().unwrap(), &y[i..=i]);
    }
    assert_eq!(sizes.answers(&rows).unwrap(), answers);
    model.preparation.check_raw(x).unwrap();
    let error = model.preparation.check_raw(&[1.0, 2.0, 3.0, f64::NAN]).unwrap_err().to_string();
    assert!(error.contains("row 1, number 1: NaN is not finite"), "{error}");
    // Measured from the file as at the end of the run.
    assert_eq!(model.evaluate(&path).unwrap().values, outcome.measures.values);
}

/// Which of three numbers is the largest, of 120 rows and a test part of 30.
fn largest_of_three(folder: &Path) -> PathBuf {
    let number = |i: usize, c: usize| ((i * 31 + c * 17 + i * c * 7) % 40) as f64 / 10.0 - 2.0;
    let rows = |range: std::ops::Range<usize>| -> (Vec<f64>, Vec<usize>) {
        let class = |i: usize| (0..3).max_by(|&a, &b| number(i, a).total_cmp(&number(i, b))).unwrap();
        (range.clone().flat_map(|i| (0..3).map(move |c| number(i, c))).collect(), range.map(class).collect())
    };
    let ((x, y), (x_test, y_test)) = (rows(0..120), rows(120..150));
    let text = format!(
        r#"{{"m":120,"n":3,"x":{x:?},"y":{y:?},"m_test":30,"x_test":{x_test:?},"y_test":{y_test:?}}}"#
    );
    let path = folder.join("largest.json");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_job_in_integers_learns_and_its_file_answers_as_the_run_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = largest_of_three(folder.path());
    let overrides = [
        "data.kind=original".to_string(),
        format!("data.path={}", path.display()),
        "data.task=classes".into(),
        "network.layers=[{ linear = 24 }, 'relu', { linear = 'targets' }]".into(),
        "train.epochs=60".into(),
        "train.batch=16".into(),
        "train.save_every=3".into(),
    ];
    let job = Job::parse(INTEGERS, &overrides).unwrap();
    let whole = folder.path().join("whole");
    let outcome = run(&job, &whole, false, &mut Silent).unwrap();
    assert!(value(&outcome, "accuracy") >= 0.9, "{outcome:?}");
    let mut model = Trained::load(&whole, &Options::default()).unwrap();
    assert_eq!(model.evaluate(&path).unwrap().values, outcome.measures.values);
    // Stopped within an epoch and resumed, the file has the same bits; what was saved then can be used as well.
    let broken = folder.path().join("broken");
    run(&job, &broken, false, &mut Stop { at: 13, ..Stop::default() }).unwrap();
    Trained::load(&broken, &Options::default()).unwrap().evaluate(&path).unwrap();
    run(&job, &broken, true, &mut Silent).unwrap();
    let [a, b] = [&whole, &broken].map(|run| fs::read(run.join("last.safetensors")).unwrap());
    assert!(a == b);
}

#[test]
fn a_file_of_another_network_says_what_matches() {
    let folder = tempfile::tempdir().unwrap();
    let small = Job::parse(SMALL_PICTURE, &[] as &[&str]).unwrap();
    run(&small, folder.path(), false, &mut Silent).unwrap();
    let wide = Job::parse(SMALL_PICTURE, &["network.layers.0.siren=9"]).unwrap();
    let error = run(&wide, folder.path(), true, &mut Silent).unwrap_err().to_string();
    assert!(
        error.contains("0.weight (f32[2, 8], not f32[2, 9])") && error.contains("slots match"),
        "{error}"
    );
}

#[test]
fn linear_regression_finds_the_least_squares_solution() {
    let Some(path) = data("iron_learn/linear.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let job = job("linear.toml", &[format!("data.path={}", path.display())]);
    let outcome = run(&job, folder.path(), false, &mut Silent).unwrap();
    assert!((value(&outcome, "mse") - 59.678).abs() < 0.001, "{:?}", outcome.measures);
}

#[test]
fn logistic_regression_finds_spam_and_says_what_never_spam_scores() {
    let Some(path) = data("iron_learn/logistic.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let job = job("logistic.toml", &[format!("data.path={}", path.display())]);
    let outcome = run(&job, folder.path(), false, &mut Silent).unwrap();
    assert!(value(&outcome, "accuracy") >= 362.0 / 391.0, "{:?}", outcome.measures);
    assert!(value(&outcome, "recall") >= 7.0 / 29.0 && value(&outcome, "roc_auc") >= 0.89);
    assert!(outcome.measures.warning.unwrap().contains("right for 362 of 391"));
}

#[test]
fn exclusive_or_is_solved_from_fifty_seeds() {
    let Some(path) = data("iron_learn/neural_net.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..50 {
        let overrides = [format!("data.path={}", path.display()), format!("train.seed={seed}")];
        let overrides = [&overrides[..], &["train.evaluate_every=500".into()]].concat();
        let outcome = run(&job("xor.toml", &overrides), folder.path(), false, &mut Silent).unwrap();
        assert_eq!(value(&outcome, "accuracy"), 1.0, "seed {seed}: {:?}", outcome.measures);
        assert!(outcome.loss < 0.05, "seed {seed}: loss {}", outcome.loss);
    }
}

#[test]
fn the_original_network_draws_what_the_original_program_drew() {
    let (Some(model), Some(source), Some(drawn)) = (
        data("iron_learn/simba-model.json"),
        data("pictures/simba-200.png"),
        data("pictures/simba-200-original-result.png"),
    ) else {
        return;
    };
    let mut model = Trained::load(&model, &Options::default()).unwrap();
    assert_eq!(model.summary.parameters(), 98_752);
    let picture = model.draw(200, 200).unwrap();
    let psnr = picture.psnr(&Picture::read(&source).unwrap()).unwrap();
    assert!((psnr - 28.06).abs() < 0.01, "{psnr}");
    let drawn = Picture::read(&drawn).unwrap();
    let furthest = picture.pixels().iter().zip(drawn.pixels()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(furthest <= Some(1), "{furthest:?}");
}

/// Slow: `cargo test --release -p ironlearn --test task -- --ignored --nocapture`.
#[test]
#[ignore = "a minute; run it with --release"]
fn the_picture_job_reaches_its_quality() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = ["picture.frames=0".to_owned(), "train.evaluate_every=1000".into()];
    let outcome = run(&job("picture.toml", &quiet), folder.path(), false, &mut Silent).unwrap();
    println!("built-in: {:.2} dB in {:?}", value(&outcome, "psnr"), outcome.train_time);
    assert!(value(&outcome, "psnr") >= 35.0);
    let Some(path) = data("pictures/simba-200.png") else { return };
    for seed in 0..5 {
        let own = [format!("data.picture={}", path.display()), format!("train.seed={seed}")];
        let job = job("picture.toml", &[&own[..], &quiet].concat());
        let outcome = run(&job, folder.path(), false, &mut Silent).unwrap();
        println!("simba, seed {seed}: {:.2} dB in {:?}", value(&outcome, "psnr"), outcome.train_time);
        assert!(value(&outcome, "psnr") >= 28.06, "seed {seed}");
    }
}

/// Slow: as above; seven minutes on two cores.
#[test]
#[ignore = "seven minutes; run it with --release"]
fn the_original_job_learns_as_the_original_did() {
    let Some(path) = data("iron_learn/image.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let job = job("simba-original.toml", &[format!("data.path={}", path.display())]);
    let outcome = run(&job, folder.path(), false, &mut Silent).unwrap();
    println!("loss {} after {:?}", outcome.loss, outcome.train_time);
    assert!(outcome.loss <= 0.042);
}
