//! The files that the original program left, where they are at hand.

use ironlearn::io::original::{Activation, DataSet, Layer, Model, Vocabulary};
use std::path::PathBuf;

/// A file of the test data, or a line that says what is skipped.
fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IRONLEARN_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("iron_learn").join(name);
    if path.is_file() {
        return Some(path);
    }
    ironlearn_testkit::tier::skipped(name, format!("{} is missing", path.display()));
    None
}

#[test]
fn the_picture_model_has_98_752_weights() {
    let Some(path) = data("simba-model.json") else { return };
    let model = Model::read(&path).unwrap();
    assert_eq!(model.parameters(), 98_752);
    assert_eq!((model.epoch, model.layers.len()), (Some(803_000), 16));
    let Layer::Linear { weights, .. } = &model.layers[0] else { panic!("{:?}", model.layers[0]) };
    assert_eq!(weights.shape().dims(), [3, 128]);
    assert_eq!(weights.as_slice::<f64>().unwrap()[0], -1.0303965);
    assert_eq!(model.layers[15], Layer::Activation { name: "Output".into(), function: Activation::Sigmoid });
}

#[test]
fn the_name_model_and_its_vocabulary_fit() {
    let (Some(model), Some(vocabulary)) = (data("4-gram-model.json"), data("4-gram-metadata.json")) else {
        return;
    };
    let (model, vocabulary) = (Model::read(&model).unwrap(), Vocabulary::read(&vocabulary).unwrap());
    assert_eq!((model.parameters(), vocabulary.symbols.len(), vocabulary.context), (17_820, 27, 3));
    let Layer::Linear { weights, .. } = &model.layers[0] else { panic!("{:?}", model.layers[0]) };
    assert_eq!(weights.shape()[0], vocabulary.symbols.len() * vocabulary.context);
}

#[test]
fn every_data_set_is_read() {
    for (name, shape, test_rows, has_targets) in [
        ("linear.json", [321, 6], 93, true),
        ("logistic.json", [3530, 19], 391, true),
        ("logistic_2.json", [90, 2], 10, true),
        ("neural_net.json", [4, 2], 4, true),
        ("neural_net_2.json", [25, 2], 6, true),
        ("image.json", [40_000, 2], 2500, false),
    ] {
        let Some(path) = data(name) else { continue };
        let d = DataSet::read(&path).unwrap();
        assert_eq!((d.x.shape().dims(), d.y.shape().dims()), (&shape[..], &[shape[0], 1][..]), "{name}");
        assert_eq!(d.x_test.unwrap().shape().dims(), [test_rows, shape[1]], "{name}");
        assert_eq!(d.y_test.map(|y| y.shape()[0]), has_targets.then_some(test_rows), "{name}");
    }
}
