//! What the library and its codecs write, from which the corpus is made.

use image::{ExtendedColorType, ImageEncoder, codecs};
use ironlearn::Options;
use ironlearn::io::Checkpoint;
use ironlearn::job::Job;
use ironlearn::task;
use ironlearn_ir::Array;
use ironlearn_testkit::corpus::{self, Case, Samples};

pub fn all(seed: u64) -> Vec<Case> {
    let model = model();
    let with_texts = |texts: &[(&str, &str)]| {
        let mut model = model.clone();
        for (key, text) in texts {
            model.meta.remove(*key);
            if !text.is_empty() {
                model.meta.insert((*key).into(), (*text).into());
            }
        }
        bytes_of(&model)
    };
    let pixels: Vec<u8> = (0..24 * 16).map(|i| (i * 7 % 256) as u8).collect();
    let (mut jpeg, mut webp) = (Vec::new(), Vec::new());
    let encoder = codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90);
    encoder.write_image(&pixels, 24, 16, ExtendedColorType::L8).unwrap();
    let encoder = codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.write_image(&pixels, 24, 16, ExtendedColorType::L8).unwrap();
    corpus::all(seed, &Samples { checkpoint: checkpoint_sample(), model: &with_texts, jpeg, webp })
}

fn bytes_of(checkpoint: &Checkpoint) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    checkpoint.save(file.path()).unwrap();
    std::fs::read(file.path()).unwrap()
}

fn checkpoint_sample() -> Vec<u8> {
    let a = Array::of([2, 3], vec![1.0f32, -2.0, 0.5, 4.0, 0.0, 9.0]).unwrap();
    let b = Array::of([5], vec![1u8, 2, 3, 4, 5]).unwrap();
    let tensors = vec![("a".to_owned(), a), ("b".to_owned(), b)];
    let meta = [("note".to_owned(), "a note".to_owned())].into();
    bytes_of(&Checkpoint { tensors, meta, verified: true })
}

/// A model of three columns without a hidden layer.
fn model() -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.json");
    std::fs::write(&data, r#"{"m": 2, "n": 3, "x": [1, 2, 3, 4, 5, 7], "y": [0, 1]}"#).unwrap();
    let set = ["data.kind=original".into(), format!("data.path={}", data.display()), "train.epochs=1".into()];
    let job = Job::parse("", &set).unwrap();
    let last = folder.path().join("last.safetensors");
    let request = task::Request {
        job: &job,
        options: Options::default(),
        ranks: None,
        resume_from: None,
        directory: folder.path(),
        last: last.clone(),
        best: folder.path().join("best.safetensors"),
    };
    task::train(&request, &mut ironlearn::train::Silent).unwrap();
    Checkpoint::load(&last).unwrap()
}
