use super::*;
use crate::io::npy;
use std::fs;

/// Files of rows of four numbers, some of them far from 0, and of targets.
struct Folder {
    dir: tempfile::TempDir,
}

fn number(i: usize) -> f64 {
    ((i * 37 % 101) as f64 - 50.0) * if i % 4 == 2 { 300.0 } else { 0.25 } + (i % 4 * 10) as f64
}

impl Folder {
    fn of(rows: usize) -> Folder {
        let folder = Folder { dir: tempfile::tempdir().unwrap() };
        let x: Vec<f32> = (0..rows * 4).map(|i| number(i) as f32).collect();
        let classes: Vec<u8> = (0..rows).map(|i| (i * 7 % 5 % 3) as u8).collect();
        let quantities: Vec<f64> = (0..rows).map(|i| 1e3 + number(i)).collect();
        let cut = rows / 3;
        folder.write("x", Array::of([rows, 2, 2], x.clone()).unwrap());
        folder.write("x-0", Array::of([cut, 2, 2], x[..cut * 4].to_vec()).unwrap());
        folder.write("x-1", Array::of([rows - cut, 2, 2], x[cut * 4..].to_vec()).unwrap());
        folder.write("classes", Array::of([rows], classes).unwrap());
        folder.write("quantities", Array::of([rows, 1], quantities).unwrap());
        folder
    }

    fn write(&self, name: &str, array: Array) {
        npy::write(&self.dir.path().join(format!("{name}.npy")), array.view()).unwrap();
    }

    /// The data of a job with more lines, whose paths are those of the folder.
    fn load(&self, lines: &str) -> Result<Data, Error> {
        let lines = lines.replace("DIR", &self.dir.path().display().to_string().replace('\\', "/"));
        Data::load(&Job::parse(&format!("data.kind = 'arrays'\n{lines}"), &[] as &[&str]).unwrap())
    }

    fn message(&self, lines: &str) -> String {
        self.load(lines).unwrap_err().to_string()
    }
}

/// All rows of a data set, as they are in its own order.
fn all(data: &Dataset) -> [Array; 2] {
    let [mut x, mut y] = crate::data::batch_of(&data.types(data.rows())).unwrap();
    data.read(0, &mut x, &mut y).unwrap();
    [x, y]
}

const CLASSES: &str = "data.x = 'DIR/x.npy'\ndata.y = 'DIR/classes.npy'\ndata.task = 'classes'\n\
                       loss.kind = 'cross_entropy'\n";
const QUANTITIES: &str = "data.x = ['DIR/x-0.npy', 'DIR/x-1.npy']\ndata.y = 'DIR/quantities.npy'\n\
                          data.targets = 'standardised'\n";

#[test]
fn rows_in_files_become_what_rows_in_memory_do() {
    // Of 1.6 MB of numbers, more than a portion.
    let folder = Folder::of(40_000);
    for lines in [
        CLASSES.to_owned() + "data.shape = [1, 2, 2]",
        CLASSES.to_owned() + "data.inputs = 'raw'\ntrain.dtype = 'f64'",
        QUANTITIES.into(),
        QUANTITIES.to_owned() + "data.inputs = 'standardised_as_one'\ntrain.dtype = 'f64'",
        CLASSES.to_owned() + "data.x_test = ['DIR/x-0.npy', 'DIR/x-1.npy']\ndata.y_test = 'DIR/classes.npy'",
    ] {
        let held = folder.load(&lines).unwrap();
        let filed = folder.load(&(lines.clone() + "\ndata.memory = 1")).unwrap();
        assert_eq!(filed.preparation, held.preparation, "{lines}");
        assert!(filed.train.arrays().is_none() && held.train.arrays().is_some());
        assert!(all(&filed.train) == all(&held.train), "{lines}");
        match (&filed.validation, &held.validation) {
            (None, None) => assert!(matches!(filed.truth, Truth::Loss)),
            (Some(filed_part), Some(part)) => {
                assert!(all(filed_part) == all(part), "{lines}");
                let (Truth::Filed(rows), Truth::Rows(x, y)) = (&filed.truth, &held.truth) else {
                    panic!("other truths")
                };
                assert!(all(rows) == [x.clone(), y.clone()]);
                assert_eq!(filed.truth.row(7, 4).unwrap(), held.truth.row(7, 4).unwrap());
            }
            _ => panic!("one of them has a validation part: {lines}"),
        }
    }
}

#[test]
fn blocks_are_set_apart_and_what_is_learned_of_rows_is_learned_of_the_others() {
    let folder = Folder::of(40_000);
    let data = folder.load(&(QUANTITIES.to_owned() + "data.memory = 1\ntrain.validation = 0.25")).unwrap();
    let validation = data.validation.unwrap();
    assert_eq!(data.train.rows() + validation.rows(), 40_000);
    assert!((8_000..12_000).contains(&validation.rows()), "{}", validation.rows());
    // Rows to learn from have the mean 0, and the others would not give it.
    let mean = |part: &Dataset| {
        let [x, _] = all(part);
        let values = x.as_slice::<f32>().unwrap();
        values.iter().step_by(4).map(|&x| f64::from(x)).sum::<f64>() / part.rows() as f64
    };
    assert!(mean(&data.train).abs() < 1e-6, "{}", mean(&data.train));
    assert!(mean(&validation).abs() > 1e-5, "{}", mean(&validation));
    let Truth::Filed(rows) = &data.truth else { panic!("another truth") };
    assert_eq!(rows.rows(), validation.rows());
    let scaling = data.preparation.target_scaling.unwrap();
    let (truth, prepared) = (all(rows), all(&validation));
    let (truth, prepared) = (truth[1].as_slice::<f64>().unwrap(), prepared[1].as_slice::<f32>().unwrap());
    let apply = |y: f64| {
        let mut row = [y];
        scaling.apply(&mut row);
        row[0] as f32
    };
    assert!(truth.iter().zip(prepared).all(|(&y, &p)| apply(y) == p));
}

#[test]
fn files_in_the_order_of_their_targets_are_told() {
    // A third of them is in memory at a time.
    const ROWS: usize = 40_000;
    let folder = Folder::of(ROWS);
    let said =
        |lines: &str| folder.load(&format!("{lines}\ndata.memory = 1\ntrain.batch = 100")).unwrap().cautions;
    assert_eq!(said(&format!("{CLASSES}train.validation = 0.1")), [""; 0]);
    assert_eq!(said(QUANTITIES), [""; 0]);
    let sorted = |rows: usize| (0..rows).map(|i| (i * 3 / rows) as u8).collect::<Vec<u8>>();
    folder.write("classes", Array::of([ROWS], sorted(ROWS)).unwrap());
    let told = said(&format!("{CLASSES}train.validation = 0.1"));
    assert!(
        told[0].contains("learned, or set apart for validation, together") && told.len() == 1,
        "{told:?}"
    );
    // All rows at a time are shuffled together, but blocks of them set apart.
    let at_once = |lines: &str| folder.load(&format!("{CLASSES}data.memory = 8\n{lines}")).unwrap().cautions;
    assert_eq!(at_once("train.batch = 100"), [""; 0]);
    assert!(at_once("train.validation = 0.1")[0].contains("rows are set apart for validation together"));
    let told = said(CLASSES);
    assert!(told[0].contains("blocks of neighbouring rows are learned together"), "{told:?}");
    folder.write("quantities", Array::of([ROWS], (0..ROWS).map(|i| i as f64 * 0.1).collect()).unwrap());
    assert!(said(QUANTITIES)[0].contains("in the order of their targets"));
    folder.write("quantities", Array::of([ROWS], vec![2.5f64; ROWS]).unwrap());
    let told = said(QUANTITIES);
    assert!(told[0].contains("targets of all 40000 rows are 2.5") && told.len() == 1, "{told:?}");
}

#[test]
fn what_cannot_be_is_said() {
    let folder = Folder::of(90);
    let with = |lines: &str| folder.message(&format!("{CLASSES}data.memory = 1\n{lines}"));
    for (lines, expected) in [
        ("train.arithmetic = 'integer'", "integer\" needs all rows in memory"),
        ("train.stratified = true\ntrain.validation = 0.1", "train.stratified needs all rows"),
        ("train.overfit_batches = 1\ntrain.batch = 8", "train.overfit_batches needs all rows"),
        ("data.x_test = 'DIR/x-0.npy'", "name both in the job: data.x_test and data.y_test"),
        (
            "data.x_test = 'DIR/x-0.npy'\ndata.y_test = 'DIR/classes.npy'",
            "30 rows of 4 numbers for 90 targets",
        ),
        ("train.find_duplicates = true\ntrain.validation = 0.1", "train.find_duplicates needs all rows"),
        ("optimizer.kind = 'lbfgs'", "lbfgs\" needs all rows"),
        ("data.shape = [3]", "room for 3 numbers, a row has 4"),
    ] {
        let found = with(lines);
        assert!(found.contains(expected), "{lines}: {found}");
    }
    let other = |name: &str, array: Array, expected: &str| {
        folder.write(name, array);
        let found = with("");
        assert!(found.contains(expected), "{expected}: {found}");
    };
    let mut x = vec![0.5f32; 90 * 4];
    x[4 * 71 + 3] = f32::NAN;
    other("x", Array::of([90, 4], x).unwrap(), "x.npy, key `x[71, 3]`: a value is no finite number");
    folder.write("x", Array::zeros(DType::F32, [90, 4]));
    let mut y = vec![0.0f32; 90];
    y[80] = 1.5;
    other("classes", Array::of([90], y).unwrap(), "target 80 is not a class below 2");
    other("classes", Array::zeros(DType::F32, [90, 2]), "the targets are not one number a row");
    // Of several files the one that has the row is named, and of which part it is.
    folder.write("x", Array::zeros(DType::F32, [90, 4]));
    folder.write("classes", Array::zeros(DType::U8, [90]));
    let mut shard = vec![0.0f32; 60 * 4];
    shard[4 * 11] = f32::INFINITY;
    folder.write("x-1", Array::of([60, 4], shard).unwrap());
    folder.write("x-0", Array::zeros(DType::F32, [30, 4]));
    let shards = "data.x_test = ['DIR/x-0.npy', 'DIR/x-1.npy']\ndata.y_test = 'DIR/classes.npy'";
    let data = folder.load(&format!("{CLASSES}data.memory = 1\n{shards}")).unwrap();
    let [mut x, mut y] = crate::data::batch_of(&data.train.types(90)).unwrap();
    let found = data.validation.unwrap().read(0, &mut x, &mut y).unwrap_err();
    assert!(found.to_string().contains("x-1.npy, key `x_test[11, 0]`") && found.exit_code() == 3, "{found}");
    fs::write(folder.dir.path().join("x.csv"), "1,2\n").unwrap();
    let csv = folder.message("data.x = 'DIR/x.csv'\ndata.y = 'DIR/x.npy'\ndata.memory = 1");
    assert!(csv.contains("x.csv") && csv.contains(".npy file (numpy.save)"), "{csv}");
}
