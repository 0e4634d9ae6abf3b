//! Targets of a data set of four rows.

use super::{Group, Reader, byte, idx, key, npy};

/// The message names the file of the inputs, which comes with those of the corpus.
fn other_file() -> String {
    "-".into()
}

const THREE_DIGITS: [u8; 3] = [0, 1, 0];

fn files(group: &mut Group) {
    group.bad(
        "a-row-less",
        npy::numbers(0, &[0.0, 1.0, 0.0]),
        other_file(),
        "the inputs do not fit the targets",
    );
    group.bad("none", npy::numbers(0, &[]), key("y"), "not one number a row");
    group.bad("two-a-row", npy::numbers(2, &[0.0; 8]), key("y"), "not one number a row");
    group.bad("cut", &npy::numbers(0, &[0.0; 4])[..60], byte(10), "the file ends within the header");
    group.bad("idx-under-the-name-of-npy", idx::file(8, &[3], &THREE_DIGITS), byte(0), "not a .npy file");
}

fn targets(group: &mut Group, name: &str, at: usize, value: f64, reason: &str) {
    let mut values = [0.0, 1.0, 1.0, 0.0];
    values[at] = value;
    let place = if value.is_finite() { format!("y[{at}]") } else { format!("y[{at}, 0]") };
    group.bad(name, npy::numbers(0, &values), key(&place), reason);
}

pub fn classes() -> Group {
    let mut g = Group::new("classes", Reader::Classes, "npy");
    g.good("classes", npy::numbers(0, &[0.0, 1.0, 2.0, 1.0]));
    g.good("as-a-column", npy::numbers(1, &[0.0, 1.0, 2.0, 1.0]));
    files(&mut g);
    targets(&mut g, "negative", 0, -1.0, "target 0 is not a class below");
    targets(&mut g, "between-two", 2, 0.5, "target 2 is not a class below");
    targets(&mut g, "too-many", 3, 1e6, "target 3 is not a class below 65536");
    targets(&mut g, "beyond-whole-numbers", 3, 1e300, "target 3 is not a class below 65536");
    targets(&mut g, "not-a-number", 1, f64::NAN, "a value is no finite number");
    targets(&mut g, "infinite", 1, f64::INFINITY, "a value is no finite number");
    g
}

pub fn binary() -> Group {
    let mut g = Group::new("binary", Reader::Binary, "npy");
    g.good("binary", npy::numbers(0, &[0.0, 1.0, 1.0, 0.0]));
    files(&mut g);
    targets(&mut g, "two", 0, 2.0, "target 0 is not 0 or 1");
    targets(&mut g, "minus-one", 3, -1.0, "target 3 is not 0 or 1");
    targets(&mut g, "half", 1, 0.5, "target 1 is not 0 or 1");
    targets(&mut g, "not-a-number", 1, f64::NAN, "a value is no finite number");
    g
}

pub fn numbers() -> Group {
    let mut g = Group::new("numbers", Reader::Numbers, "npy");
    g.good("numbers", npy::numbers(0, &[0.5, -1e38, 3.0, 1e-310]));
    files(&mut g);
    targets(&mut g, "not-a-number", 1, f64::NAN, "a value is no finite number");
    targets(&mut g, "infinite", 2, f64::NEG_INFINITY, "a value is no finite number");
    let complex = npy::file("{'descr': '<c8', 'fortran_order': False, 'shape': (4,), }", 32);
    g.bad("complex", complex, key("y"), "complex64 where real numbers are needed");
    g
}
