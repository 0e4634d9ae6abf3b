//! Runs that stop on one device and go on, from their checkpoint, on the other.

use crate::common;
use crate::twice::{compare, floats};
use ironlearn::Options;
use ironlearn::io::checkpoint::Checkpoint;
use ironlearn::job::Job;
use ironlearn::task::{Outcome, Request, train};
use ironlearn::train::{Control, Watch};
use std::path::Path;

/// Dropout, moments and an average; 60 rows in batches of 25, the last one smaller: 3 steps an epoch.
const JOB: &str = r#"
    [data]
    resize = [10, 6]
    [network]
    layers = [{ siren = 8 }, { dropout = 0.1 }, { linear = "targets", init = { siren = 30 } }]
    [optimizer]
    average = 0.9
    [schedule]
    kind = "cosine"
    [train]
    epochs = 3
    batch = 25
    save_every = 1
    [picture]
    frames = 0
"#;

struct Stop(u64);

impl Watch for Stop {
    fn after_step(&mut self, step: u64) -> Control {
        if step == self.0 { Control::Stop } else { Control::Continue }
    }
}

fn run(directory: &Path, options: &Options, resume: bool, stop: u64) -> Outcome {
    let last = directory.join("last.safetensors");
    let job = Job::parse(JOB, &[] as &[&str]).unwrap();
    let request = Request {
        job: &job,
        options: options.clone(),
        ranks: None,
        resume_from: resume.then_some(last.as_path()),
        directory,
        last: last.clone(),
        best: directory.join("best.safetensors"),
    };
    train(&request, &mut Stop(stop)).unwrap()
}

/// What the file of a run holds, but for the progress.
pub fn values(directory: &Path) -> Vec<(String, Vec<f64>)> {
    let checkpoint = Checkpoint::load(&directory.join("last.safetensors")).unwrap();
    assert!(checkpoint.verified);
    let of = |(name, array)| (name, floats(&array));
    // Loss so far and best loss are of the whole run, and compared by what it reports.
    checkpoint.tensors.into_iter().filter(|(name, _)| !name.starts_with("progress/")).map(of).collect()
}

#[test]
fn a_run_that_stopped_on_one_device_goes_on_on_the_other() {
    let Some(cuda) = common::device() else { return };
    let [cpu, gpu] = [Options::default(), Options::default().cuda(cuda.clone())];
    let whole = tempfile::tempdir().unwrap();
    let expected = run(whole.path(), &cpu, false, 0);
    assert_eq!((expected.step, expected.epoch), (9, 3));
    // Within an epoch, and at its end.
    for (first, second, stop) in [(&gpu, &cpu, 4), (&cpu, &gpu, 4), (&gpu, &cpu, 6), (&gpu, &gpu, 5)] {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(run(directory.path(), first, false, stop).step, stop);
        let resumed = run(directory.path(), second, true, 0);
        assert_eq!((resumed.step, resumed.steps_here), (9, 9 - stop));
        compare("a resumed run", &values(directory.path()), &values(whole.path()));
        assert!((resumed.loss - expected.loss).abs() <= 1e-4 * expected.loss, "{resumed:?}\n{expected:?}");
    }
}
