//! Event files for TensorBoard: they hold what `metrics.csv` does, also after a kill, and change nothing else.
//! `scripts/tensorboard-check.sh` reads them with TensorBoard itself.
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

mod common;

use common::{difference, files, folder, program, succeeds};
use ironlearn::io::events::{Event, PREFIX};
use ironlearn::io::onnx::{Message, Parts, Reader};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The whole records of the event files of a run, in the order in which TensorBoard reads them.
fn events(run: &Path) -> Vec<Event> {
    let entries = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(PREFIX)).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let bytes = fs::read(path).unwrap();
        let mut rest = &bytes[..];
        while let Some((head, after)) = rest.split_first_chunk::<12>() {
            let n = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            let Some((body, after)) = after.split_at_checked(n + 4) else { break };
            found.push(Event::read(Reader::new(&body[..n], &Parts::new(1 << 24))).unwrap());
            rest = after;
        }
    }
    found
}

/// The bits of a number: what is none equals nothing, and has many.
fn bits(value: f32) -> u32 {
    if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }
}

/// The curves (with the bits of their values) that are left where each beginning of a session takes back what came for its step and later ones.
fn curves(run: &Path) -> BTreeMap<String, Vec<(i64, u32)>> {
    let mut curves = BTreeMap::<String, Vec<(i64, u32)>>::new();
    for event in events(run) {
        let step = event.step.unwrap_or(0);
        if event.session_log.is_some() {
            curves.values_mut().for_each(|curve| curve.retain(|point| point.0 < step));
        }
        for entry in event.summary.iter().flat_map(|summary| &summary.value) {
            if let Some(value) = entry.simple_value {
                curves.entry(entry.tag.clone()).or_default().push((step, bits(value)));
            }
        }
    }
    curves
}

/// The same from `metrics.csv`; the speed is not there.
fn expected(run: &Path) -> BTreeMap<String, Vec<(i64, u32)>> {
    let text = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let tag = |name: &str| match name {
        "loss" => "loss/training".to_owned(),
        "validation_loss" => "loss/validation".into(),
        "learning_rate" | "epoch" => format!("progress/{name}"),
        name => format!("metric/{name}"),
    };
    let mut curves = BTreeMap::<String, Vec<_>>::new();
    for row in lines {
        for (name, text) in names.iter().zip(&row).filter(|(name, text)| **name != "step" && !text.is_empty())
        {
            let value = bits(text.parse::<f64>().unwrap() as f32);
            curves.entry(tag(name)).or_default().push((row[1].parse().unwrap(), value));
        }
    }
    curves
}

fn check(run: &Path) {
    let mut found = curves(run);
    let speed = found.remove("progress/samples_per_second").unwrap();
    assert!(speed.iter().all(|point| f32::from_bits(point.1) > 0.0), "{speed:?}");
    assert_eq!(found, expected(run));
}

#[test]
fn a_run_that_is_stopped_and_resumed_has_each_value_once() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train binary.toml --out run --tensorboard --max-steps 9 --quiet");
    succeeds(at, "resume run --quiet");
    let starts: Vec<_> =
        events(&at.join("run")).iter().filter(|e| e.session_log.is_some()).map(|e| e.step).collect();
    assert_eq!(starts, [Some(9)], "two epochs of four steps were reported before");
    check(&at.join("run"));
    succeeds(at, "train binary.toml --out without --quiet");
    let [mut with, mut without] = ["run", "without"].map(|run| files(&at.join(run)));
    with.retain(|name, _| !name.to_str().unwrap().starts_with(PREFIX));
    // These name the setting.
    for files in [&mut with, &mut without] {
        files.retain(|name, _| !["job.toml", "report.html"].contains(&name.to_str().unwrap()));
        files.retain(|name, _| name.extension().is_none_or(|extension| extension != "safetensors"));
    }
    assert_eq!(difference(&without, &with), None);
}

#[test]
fn after_a_kill_what_came_after_the_last_save_is_taken_back() {
    let folder = folder();
    let at = folder.path();
    let rows = || fs::read_to_string(at.join("run/metrics.csv")).map_or(0, |text| text.lines().count());
    let job = "regression.toml --set train.save_every=50 --set train.epochs=100000000";
    let mut command = program(at);
    command.args(format!("train {job} --out run --tensorboard --quiet").split_whitespace());
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    while rows() < 130 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = rows();
    succeeds(at, &format!("resume run --quiet --set train.epochs={}", before + 100));
    check(&at.join("run"));
}

#[test]
fn frames_of_a_picture_stand_in_it() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train picture.toml --out run --set output.tensorboard=true --quiet");
    check(&at.join("run"));
    let events = events(&at.join("run"));
    let images =
        events.iter().flat_map(|e| e.summary.iter().flat_map(|s| &s.value)).filter_map(|v| v.image.as_ref());
    let shown: Vec<_> = images.map(|image| image.encoded_image_string.clone()).collect();
    let frames = files(&at.join("run/frames"));
    // That of epoch 0 came before the first step.
    let drawn: Vec<_> = frames.into_values().skip(1).collect();
    assert!(shown.len() > 1 && shown == drawn, "{} and {}", shown.len(), drawn.len());
}

#[test]
fn a_run_of_which_nothing_came_leaves_no_directory() {
    let folder = folder();
    let at = folder.path();
    // The first step fails: nothing was told before.
    let job = "skips.toml --set train.not_finite=stop --set train.batch=full";
    let output = common::ironlearn(at, &format!("train {job} --out run --tensorboard"));
    assert_eq!(output.status.code(), Some(4), "{}", common::text(&output.stderr));
    assert!(!at.join("run").exists());
}
