//! Operators for rows of tables, as scikit-learn's exporter writes them (`ai.onnx.ml`).

use super::super::call::{Call, Found, one};
use super::super::value::Value;
use super::Group;
use super::activation::softmax;
use super::gather::gathered;
use ironlearn_ir::prim::elementwise::{Abs, Maximum, Sigmoid, Sqrt};
use ironlearn_ir::{Array, DType, Dyn, Shape};

/// Whose operators these are.
pub(super) const DOMAIN: &str = "ai.onnx.ml";

pub(super) const GROUP: Group = &[
    ("ArrayFeatureExtractor", |c| one(gathered(c.x(0)?, c.x(1)?)?)),
    ("Binarizer", |c| {
        let x = c.x(0)?;
        one(x.filled(c.float("threshold", 0.0)).less(x).cast(x.dtype()))
    }),
    ("LinearClassifier", linear_classifier),
    ("LinearRegressor", linear_regressor),
    ("Normalizer", normalizer),
    ("Scaler", scaler),
    // Probabilities by class name stay probabilities in the order of the classes.
    ("ZipMap", |c| Ok(vec![c.value(0)?.clone()])),
];

/// Numbers of an attribute, of the type of `like`.
fn numbers<'g>(c: &Call<'_, 'g>, values: Vec<f64>, dims: &[usize], dtype: DType) -> Result<Dyn<'g>, String> {
    Ok(c.tape.constant_of(Array::of(Shape::new(dims)?, values)?).cast(dtype))
}

/// `x·coefficientsᵀ + intercepts`, in `f32`.
fn scores<'g>(c: &Call<'_, 'g>, outputs: usize) -> Result<Dyn<'g>, String> {
    let x = c.x(0)?;
    let x = if x.rank() == 1 { x.reshape(&Shape::new(&[1, x.shape()[0]])?) } else { x };
    let x = if x.dtype() == DType::F64 { x } else { x.cast(DType::F32) };
    let coefficients = c.floats("coefficients");
    let columns = x.shape().last().copied().unwrap_or(0);
    if x.rank() != 2 || outputs == 0 || coefficients.len() != outputs * columns {
        return Err(format!("{} coefficients for {outputs} results of {}", coefficients.len(), x.shape()));
    }
    let weight = numbers(c, coefficients, &[outputs, columns], x.dtype())?;
    let dot = ironlearn_ir::prim::Dot { batch: Vec::new(), contract: vec![(1, 1)] };
    let y = x.dot(weight, &dot);
    let intercepts = c.floats("intercepts");
    match intercepts.len() {
        0 => Ok(y),
        n if n == outputs => Ok(y + numbers(c, intercepts, &[1, n], x.dtype())?),
        n => Err(format!("{n} intercepts for {outputs} results")),
    }
}

fn transformed<'g>(c: &Call<'_, 'g>, y: Dyn<'g>) -> Result<Dyn<'g>, String> {
    match c.text("post_transform", "NONE").as_str() {
        "NONE" => Ok(y),
        "LOGISTIC" => Ok(y.unary::<Sigmoid>()),
        "SOFTMAX" => Ok(softmax(y, 1)),
        other => Err(format!("its post_transform {other} is not supported; NONE, LOGISTIC and SOFTMAX are")),
    }
}

fn linear_regressor<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let targets = usize::try_from(c.int("targets", 1)).unwrap_or(0);
    one(transformed(c, scores(c, targets)?)?)
}

/// The class of each row, and a score for each class. Of one score for two classes the second is its complement.
fn linear_classifier<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let labels = c.ints("classlabels_ints").map(<[i64]>::to_vec);
    let named = c.attribute("classlabels_strings").map_or(0, |a| a.strings.len());
    // Names become places, as there are no arrays of texts.
    let labels = labels.filter(|l| !l.is_empty()).unwrap_or_else(|| (0..named as i64).collect());
    let columns = c.value(0)?.shape().last().copied().unwrap_or(0).max(1);
    let rows = c.floats("coefficients").len() / columns;
    let raw = scores(c, rows)?;
    let binary = rows == 1 && labels.len() == 2;
    let both = |y: Dyn<'g>, other: Dyn<'g>| Dyn::concat(&[other, y], 1).unwrap_or(y);
    let post = c.text("post_transform", "NONE");
    let (scores, bound) = match (binary, post.as_str()) {
        (true, "LOGISTIC") => {
            let y = raw.unary::<Sigmoid>();
            (both(y, -y + 1.0), 0.5)
        }
        (true, "NONE") => (both(raw, -raw), 0.0),
        (true, _) => (transformed(c, both(raw, -raw))?, 0.0),
        (false, _) => (transformed(c, raw)?, 0.0),
    };
    let place = if binary {
        let y = if bound == 0.5 { raw.unary::<Sigmoid>() } else { raw };
        y.filled(bound).less(y).cast(DType::I64).reshape(&Shape::new(&[y.shape()[0]])?)
    } else {
        raw.argmax(1)
    };
    let label = c.tape.constant_of(Array::of([labels.len()], labels)?).gather(place, 0);
    Ok(vec![Value::from(label), Value::from(scores.cast(DType::F32))])
}

fn scaler<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let x = if x.dtype() == DType::F64 { x } else { x.cast(DType::F32) };
    let columns = x.shape().last().copied().unwrap_or(0);
    let row = |name: &str, otherwise: f64| {
        let values = c.floats(name);
        match values.len() {
            0 => Ok(x.filled(otherwise)),
            1 => Ok(x.filled(values[0])),
            n if n == columns => numbers(c, values, &[1, n], x.dtype()),
            n => Err(format!("{n} numbers as its {name} for {columns} columns")),
        }
    };
    one((x - row("offset", 0.0)?) * row("scale", 1.0)?)
}

fn normalizer<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?.cast(DType::F32);
    let at = x.rank().checked_sub(1).ok_or("it needs rows")?;
    let length = match c.text("norm", "MAX").as_str() {
        "L1" => x.unary::<Abs>().sum(&[at]),
        "L2" => (x * x).sum(&[at]).unary::<Sqrt>(),
        "MAX" => x.unary::<Abs>().max(&[at]),
        other => return Err(format!("its norm {other} is not supported; MAX, L1 and L2 are")),
    };
    let length = length.reshape(&x.shape().with_ones(&[at]));
    let nothing = length.equal(length.filled(0.0));
    one(x / nothing.select(length.filled(1.0), length.binary::<Maximum>(length.filled(0.0))))
}
