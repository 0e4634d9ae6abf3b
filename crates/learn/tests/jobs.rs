//! The job files of the project are right and stay so.

use ironlearn::job::{Job, Layer, Schedule, Units};
use std::path::Path;

#[test]
fn every_job_of_the_project_reads_and_is_written_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let job = Job::load(&path, &[] as &[&str]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(job.name, path.file_stem().unwrap().to_str().unwrap());
        assert_eq!(Job::parse(&job.to_toml(), &[] as &[&str]).unwrap(), job);
        count += 1;
    }
    assert!(count >= 5, "{count} job files");
}

#[test]
fn the_original_network_has_98752_weights() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs/simba-original.toml");
    let job = Job::load(&path, &[] as &[&str]).unwrap();
    let (mut inputs, mut weights) = (3, 0);
    for layer in &job.network.layers {
        if let Layer::Linear { units: Units::Count(units), bias: false, .. } = layer {
            weights += inputs * units;
            inputs = *units;
        }
    }
    assert_eq!(weights, 98_752);
    let Schedule::Cosine { epochs, .. } = job.schedule else { panic!("not a cosine") };
    assert_eq!(epochs, Some(3e6));
}

#[test]
fn the_page_on_the_job_file_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/job-file.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let advice = "renew it: cargo run -p ironlearn-cli -- help job > docs/job-file.md";
    assert_eq!(page, ironlearn::job::help(), "{advice}");
}
