use crate::io::{npy, npz};
use crate::job::Job;
use crate::task::data::{Data, Truth};
use ironlearn_ir::Array;
use std::fs;
use std::path::Path;

/// An IDX file of bytes.
fn idx_of(lengths: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, lengths.len() as u8];
    lengths.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
    [&bytes, values].concat()
}

fn archive(path: &Path, arrays: &[(&str, Vec<f64>, usize)]) {
    let array = |(name, values, columns): &(&str, Vec<f64>, usize)| {
        let shape = [values.len() / columns, *columns];
        (name.to_string(), Array::of(&shape[..if *columns == 1 { 1 } else { 2 }], values.clone()).unwrap())
    };
    npz::write(path, &arrays.iter().map(array).collect::<Vec<_>>()).unwrap();
}

#[test]
fn arrays_of_archives_have_the_names_that_the_job_gives() {
    let dir = tempfile::tempdir().unwrap();
    let [both, test] = ["both.npz", "test.npz"].map(|name| dir.path().join(name));
    let numbers = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<_>>();
    archive(
        &both,
        &[
            ("images", numbers(8), 2),
            ("labels", numbers(4), 1),
            ("other", numbers(6), 2),
            ("more", numbers(3), 1),
        ],
    );
    archive(&test, &[("images", numbers(4), 2), ("labels", numbers(2), 1)]);
    let load = |set: &[String]| {
        let mut all = vec!["data.kind=arrays".to_owned(), "data.inputs=raw".into()];
        all.push(format!("data.x={}", both.display()));
        all.extend(set.iter().cloned());
        Data::load(&Job::parse("", &all).unwrap())
    };
    let names = |names: &str| format!("data.names={names}");
    let rows = |data: Data| (data.train.rows(), data.validation.map(|part| part.rows()));
    let two = names("[\"images\", \"labels\"]");
    assert_eq!(rows(load(std::slice::from_ref(&two)).unwrap()), (4, None));
    let four = names("[\"images\", \"labels\", \"other\", \"more\"]");
    let data = load(&[four]).unwrap();
    let Truth::Rows(_, y) = &data.truth else { panic!("no rows") };
    assert_eq!(y.as_slice::<f64>().unwrap(), [0.0, 1.0, 2.0]);
    assert_eq!(data.preparation.names.len(), 4);
    // The archive for validation has the names of that for training, and its targets.
    let apart = format!("data.x_test={}", test.display());
    assert_eq!(rows(load(&[two, apart]).unwrap()), (4, Some(2)));
    let message = |set: &[String]| load(set).unwrap_err().to_string();
    let unnamed = message(&[]);
    assert!(unnamed.contains("no array `x`") && unnamed.contains("\"images\", \"labels\""), "{unnamed}");
    assert!(unnamed.contains("data.names = "), "{unnamed}");
    let wrong = message(&[names("[\"images\", \"labels\", \"other\", \"none\"]")]);
    assert!(wrong.contains("no array `none`"), "{wrong}");
    let short = message(&[names("[\"images\", \"more\"]")]);
    assert!(short.contains("key `images`: the inputs do not fit the targets"), "{short}");
    let three = Job::parse("", &["data.kind=arrays", "data.x=a.npz", "data.names=[\"x\"]"]);
    assert!(three.unwrap_err().to_string().contains("two names, or four"));
}

#[test]
fn idx_files_are_a_data_set_and_their_mistakes_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let pictures: Vec<u8> = (0..4 * 6).collect();
    fs::write(at("x-ubyte"), idx_of(&[4, 2, 3], &pictures)).unwrap();
    fs::write(at("y-ubyte"), idx_of(&[4], &[0, 2, 1, 2])).unwrap();
    fs::write(at("y_test-ubyte"), idx_of(&[1], &[3])).unwrap();
    fs::write(at("x_test-ubyte"), idx_of(&[1, 2, 3], &[0; 6])).unwrap();
    let load = |more: &[&str]| {
        let file = |key: &str| format!("data.{key}={}-ubyte", at(key).display());
        let mut set =
            ["data.kind=arrays", "data.task=classes", "loss.kind=cross_entropy"].map(String::from).to_vec();
        set.extend(["data.inputs=raw".into(), file("x"), file("y")]);
        set.extend(more.iter().map(|key| file(key)));
        Data::load(&Job::parse("", &set).unwrap())
    };
    let data = load(&[]).unwrap();
    assert_eq!((data.preparation.columns, data.preparation.outputs, data.train.rows()), (6, 3, 4));
    let Truth::Rows(x, _) = &data.truth else { panic!("no rows") };
    assert_eq!(x.as_slice::<f64>().unwrap()[7], 7.0);
    assert!(data.validation.is_none());
    let wrong = load(&["x_test", "y_test"]).unwrap_err().to_string();
    assert!(wrong.contains("y_test-ubyte, key `y[0]`: target 0 is not a class below 3"), "{wrong}");
    assert!(load(&["x_test"]).unwrap_err().to_string().contains("inputs without targets"));
    fs::write(at("y-ubyte"), idx_of(&[3], &[0, 2, 1])).unwrap();
    let wrong = load(&[]).unwrap_err().to_string();
    assert!(wrong.contains("x-ubyte, key `x`: the inputs do not fit the targets"), "{wrong}");
}

#[test]
fn files_of_a_list_are_one_data_set_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let put = |name: &str, shape: &[usize], first: usize| {
        let values = (0..shape.iter().product()).map(|i| ((first + i) % 3) as f32).collect();
        npy::write(&at(name), Array::of(shape, values).unwrap().view()).unwrap();
    };
    put("x.npy", &[7, 2, 2], 0);
    put("y.npy", &[7], 0);
    put("x-0.npy", &[3, 2, 2], 0);
    put("x-1.npy", &[4, 2, 2], 12);
    put("y-0.npy", &[5], 0);
    put("y-1.npy", &[2], 5);
    let load = |x: &[&str], y: &[&str]| {
        let files = |names: &[&str]| {
            let quoted: Vec<String> = names.iter().map(|name| format!("{:?}", at(name))).collect();
            if let [one] = &quoted[..] { one.clone() } else { format!("[{}]", quoted.join(", ")) }
        };
        let set = ["data.kind=arrays".into(), "data.task=classes".into(), "loss.kind=cross_entropy".into()];
        let named = [format!("data.x={}", files(x)), format!("data.y={}", files(y))];
        Data::load(&Job::parse("", &[&set[..], &named].concat()).unwrap())
    };
    let one = load(&["x.npy"], &["y.npy"]).unwrap();
    let several = load(&["x-0.npy", "x-1.npy"], &["y-0.npy", "y-1.npy"]).unwrap();
    assert_eq!(several.train.arrays(), one.train.arrays());
    let swapped = load(&["x-1.npy", "x-0.npy"], &["y.npy"]).unwrap();
    assert_ne!(swapped.train.arrays(), one.train.arrays());
    let refused = |x: &[&str], y: &[&str]| load(x, y).unwrap_err().to_string();
    let rows = refused(&["x-0.npy", "x-0.npy"], &["y.npy"]);
    assert!(rows.contains("x-0.npy, key `x`") && rows.contains("6 rows in 2 files for 7 targets"), "{rows}");
    put("x-1.npy", &[4, 4], 12);
    let shape = refused(&["x-0.npy", "x-1.npy"], &["y.npy"]);
    assert!(shape.contains("x-1.npy") && shape.contains("x-0.npy"), "{shape}");
    assert!(shape.contains("f32 [4, 4] after f32 [3, 2, 2]"), "{shape}");
    npy::write(&at("y-1.npy"), Array::of([2], vec![0.5f32, 1.0]).unwrap().view()).unwrap();
    let target = refused(&["x.npy"], &["y-0.npy", "y-1.npy"]);
    assert!(target.contains("y-1.npy, key `y[0]`"), "{target}");
}
