//! Training on files takes no more memory the larger they are. Alone in its file: the process is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use ironlearn::job::Job;
use ironlearn::prelude::*;
use ironlearn::task::{Request, train};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The largest resident size of this process so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// A file of so many rows of zeros, which takes no room on the disk.
fn zeros(path: &Path, rows: usize, width: usize) {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    header = format!("{header:117}\n");
    let mut file = File::create(path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(128 + (rows * width * 8) as u64).unwrap();
}

/// What an epoch over so many rows adds to the largest size of the process.
fn growth(rows: usize) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let (x, y) = (dir.path().join("x.npy"), dir.path().join("y.npy"));
    zeros(&x, rows, 31);
    zeros(&y, rows, 1);
    let before = peak();
    let data = Dataset::open_within(&x, &y, 2 << 20).unwrap();
    let network = Network::<f64>::builder([31]).linear(1).build(1).unwrap();
    let training = Training::new(Loss::Mse, Sgd::new(0.01)).batch(512).epochs(1);
    let mut trainer = training.build(&network, &data, None).unwrap();
    let outcome = trainer.run(&mut Silent, &mut |_, _| Ok(())).unwrap();
    assert_eq!(outcome.step, rows.div_ceil(512) as u64);
    peak() - before
}

/// What a job of an epoch over so many rows adds, a quarter of them for validation.
fn growth_of_job(rows: usize) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    zeros(&dir.path().join("x.npy"), rows, 31);
    zeros(&dir.path().join("y.npy"), rows, 1);
    let job = format!(
        "data = {{ kind = 'arrays', x = '{0}/x.npy', y = '{0}/y.npy', memory = 2, targets = 'standardised' }}
        network.layers = [{{ linear = 'targets' }}]
        train = {{ epochs = 1, batch = 512, validation = 0.25 }}
        output.report = false",
        dir.path().display()
    );
    let before = peak();
    let job = Job::parse(&job, &[] as &[&str]).unwrap();
    let request = Request {
        job: &job,
        options: Options::default(),
        ranks: None,
        resume_from: None,
        directory: dir.path(),
        last: dir.path().join("last.safetensors"),
        best: dir.path().join("best.safetensors"),
    };
    let outcome = train(&request, &mut Silent).unwrap();
    assert!(outcome.step >= rows as u64 / 700, "{}", outcome.step);
    peak() - before
}

#[test]
fn memory_does_not_grow_with_the_files() {
    // 2 MiB of rows, then 96.
    growth(8 << 10);
    let more = growth(384 << 10);
    assert!(more < 8 << 20, "{more} bytes more for 96 MiB of rows");
    growth_of_job(8 << 10);
    // Answers and targets of the validation part take 16 bytes a row, and their order some more.
    let more = growth_of_job(384 << 10);
    assert!(more < 16 << 20, "{more} bytes more for 96 MiB of rows of a job");
}
