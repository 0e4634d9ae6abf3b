use super::*;

fn close(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within * expected.abs().max(1.0), "{found} is not {expected}");
}

fn matrix(rows: usize, values: Vec<f64>) -> Array {
    Array::of([rows, values.len() / rows], values).unwrap()
}

/// Numbers from −1 to 1 that look random.
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let key = ironlearn_ir::prim::stream_of("noise", seed);
    let draw = |i| f64::from(ironlearn_ir::prim::philox(i, seed, key)[0]) / f64::from(u32::MAX) * 2.0 - 1.0;
    (0..n as u64).map(draw).collect()
}

#[test]
fn lines_by_hand() {
    let rows = matrix(3, vec![0.0, 1.0, 2.0]);
    let line = LinearRegression::new().fit(&rows, &[1.0, 2.0, 6.0]).unwrap();
    close(line.coefficients[0], 2.5, 1e-14);
    close(line.intercept, 0.5, 1e-14);
    assert_eq!(line.rank, 1);
    // Around the means: Σ x·y = 5, Σ x² = 2; with a penalty of 3 the slope is 1, the intercept 3 − 1.
    let ridge = LinearRegression::new().penalty(3.0).fit(&rows, &[1.0, 2.0, 6.0]).unwrap();
    close(ridge.coefficients[0], 1.0, 1e-14);
    close(ridge.intercept, 2.0, 1e-14);
    // Through 0: Σ x·y / Σ x² = 14/5.
    let through = LinearRegression::new().intercept(false).fit(&rows, &[1.0, 2.0, 6.0]).unwrap();
    close(through.coefficients[0], 2.8, 1e-14);
    assert_eq!(through.intercept, 0.0);
    close(line.predict(&rows).unwrap()[2], 5.5, 1e-14);
}

#[test]
fn columns_that_follow_from_others_share_what_they_explain() {
    // The second column is the first plus 3.
    let rows = matrix(4, vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 4.0, 7.0]);
    let found = LinearRegression::new().fit(&rows, &[1.0, 3.0, 5.0, 9.0]).unwrap();
    assert_eq!(found.rank, 1);
    close(found.coefficients[0], 1.0, 1e-13);
    close(found.coefficients[1], 1.0, 1e-13);
    close(found.intercept, -2.0, 1e-13);
    // Fewer rows than columns: both are met.
    let rows = matrix(2, vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    let wide = LinearRegression::new().intercept(false).fit(&rows, &[2.0, 3.0]).unwrap();
    for (found, expected) in wide.coefficients.iter().zip([2.0, 1.5, 1.5]) {
        close(*found, expected, 1e-13);
    }
    // A constant column says nothing, a constant target needs nothing.
    let constant = matrix(3, vec![5.0, 1.0, 5.0, 2.0, 5.0, 4.0]);
    let found = LinearRegression::new().fit(&constant, &[0.1, 0.1, 0.1]).unwrap();
    assert!(found.coefficients.iter().all(|w| w.abs() < 1e-15), "{found:?}");
    close(found.intercept, 0.1, 1e-15);
}

#[test]
fn columns_that_are_nearly_alike_keep_their_digits() {
    // Condition 10⁴ after centring, and columns of very different size and far from 0.
    let (n, x, e) = (500, noise(500, 1), noise(500, 2));
    let values = (0..n).flat_map(|i| [1e6 + x[i], 1e-3 * (x[i] + 1e-4 * e[i]), 1e5 * e[n - 1 - i]]);
    let rows = matrix(n, values.collect());
    let truth = [2.0, -3000.0, 1e-5];
    let target = |row: &[f64]| row.iter().zip(truth).map(|(x, w)| x * w).sum::<f64>();
    let targets: Vec<f64> = rows.as_slice::<f64>().unwrap().chunks(3).map(target).collect();
    let found = LinearRegression::new().fit(&rows, &targets).unwrap();
    for (found, truth) in found.coefficients.iter().zip(truth) {
        // What rounding of a first column around a million leaves: 10⁻¹⁰, times the condition.
        assert!((found / truth - 1.0).abs() < 1e-5, "{found} is not {truth}");
    }
}

/// The gradient of a fitted model's own objective, by its definition; of sums, not of means.
fn largest_gradient(
    model: &LogisticModel,
    rows: &Array,
    classes: &[usize],
    weights: &[f64],
    penalty: f64,
) -> f64 {
    let p = model.probabilities(rows).unwrap();
    let (p, count) = (p.as_slice::<f64>().unwrap(), model.classes());
    let (width, outputs) = (rows.shape()[1], model.intercepts.len());
    let coefficients = model.coefficients.as_slice::<f64>().unwrap();
    let mut most = 0.0f64;
    for output in 0..outputs {
        let class = if outputs == 1 { 1 } else { output };
        for column in 0..=width {
            let mut sum = 0.0;
            for (i, row) in rows.as_slice::<f64>().unwrap().chunks(width).enumerate() {
                let x = row.get(column).copied().unwrap_or(1.0);
                sum += weights[classes[i]]
                    * (p[i * count + class] - f64::from(u8::from(classes[i] == class)))
                    * x;
            }
            sum += coefficients
                .get(output * width + column)
                .filter(|_| column < width)
                .map_or(0.0, |w| penalty * w);
            most = most.max(sum.abs());
        }
    }
    most
}

#[test]
fn logistic_regressions_end_where_their_gradient_is_nothing() {
    let (n, width) = (300, 4);
    let mut values = noise(n * width, 3);
    // Columns of different size, far from 0.
    values.chunks_mut(width).for_each(|row| (row[1], row[2]) = (1e3 * row[1] + 7e3, 1e-2 * row[2] - 0.3));
    let rows = matrix(n, values.clone());
    let hidden = noise(n, 4);
    let score = |i: usize| 2.0 * values[i * width] + values[i * width + 1] / 1e3 - 7.0 + hidden[i];
    for (classes, weights) in [
        ((0..n).map(|i| usize::from(score(i) > 0.3)).collect::<Vec<_>>(), vec![1.0, 2.5]),
        ((0..n).map(|i| (score(i) + 1.6).clamp(0.0, 3.0) as usize).collect(), vec![1.0, 0.5, 2.0, 1.0]),
    ] {
        for penalty in [0.0, 0.7] {
            let fit = LogisticRegression::new().penalty(penalty).class_weights(&weights);
            let model = fit.fit(&rows, &classes).unwrap();
            assert!(model.converged && model.iterations < 60, "{model:?}");
            assert_eq!(model.classes(), weights.len());
            let left = largest_gradient(&model, &rows, &classes, &weights, penalty);
            // Entries are sums over 300 rows of numbers up to 8,000.
            assert!(left < 1e-10 * 300.0 * 8e3, "{left}");
            let predicted = model.predict(&rows).unwrap();
            let right = predicted.iter().zip(&classes).filter(|(a, b)| a == b).count();
            assert!(right > n / 2, "{right}");
        }
    }
}

#[test]
fn two_classes_by_hand() {
    // At x = 0 one of four, at x = 1 three of four are of class 1: b = −ln 3, w = 2·ln 3.
    let rows = matrix(8, vec![0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    let classes = [0, 0, 0, 1, 1, 1, 1, 0];
    let model = LogisticRegression::new().penalty(0.0).fit(&rows, &classes).unwrap();
    let ln3 = 3f64.ln();
    close(model.coefficients.as_slice::<f64>().unwrap()[0], 2.0 * ln3, 1e-9);
    close(model.intercepts[0], -ln3, 1e-9);
    let p = model.probabilities(&rows).unwrap();
    close(p.as_slice::<f64>().unwrap()[1], 0.25, 1e-10);
    assert_eq!(model.predict(&rows).unwrap(), [0, 0, 0, 0, 1, 1, 1, 1]);
    // The rows of class 1 three times as heavy: even at x = 0.
    let heavy =
        LogisticRegression::new().penalty(0.0).class_weights(&[1.0, 3.0]).fit(&rows, &classes).unwrap();
    close(heavy.intercepts[0], 0.0, 1e-9);
    close(heavy.coefficients.as_slice::<f64>().unwrap()[0], 2.0 * ln3, 1e-9);
}

#[test]
fn classes_that_a_point_divides_have_no_optimum_without_a_penalty() {
    let rows = matrix(4, vec![0.0, 1.0, 2.0, 3.0]);
    let free = LogisticRegression::new().penalty(0.0).iterations(5).fit(&rows, &[0, 0, 1, 1]).unwrap();
    assert!(!free.converged && free.iterations <= 5, "{free:?}");
    assert!(LogisticRegression::new().penalty(1e-3).fit(&rows, &[0, 0, 1, 1]).unwrap().converged);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let rows = matrix(3, vec![1.0, 2.0, 3.0]);
    let linear = LinearRegression::new();
    let logistic = LogisticRegression::new();
    for (error, expected) in [
        (linear.fit(&rows, &[1.0]).unwrap_err(), "1 targets for 3 rows"),
        (linear.fit(&rows, &[1.0, f64::NAN, 2.0]).unwrap_err(), "target 1: NaN"),
        (linear.penalty(-1.0).fit(&rows, &[1.0; 3]).unwrap_err(), "a penalty of -1"),
        (linear.fit(&matrix(2, vec![1e200, -1e200]), &[1.0; 2]).unwrap_err(), "beyond the largest"),
        (logistic.fit(&rows, &[0, 1]).unwrap_err(), "2 classes for 3 rows"),
        (logistic.fit(&rows, &[0, 0, 0]).unwrap_err(), "all rows are of class 0"),
        (logistic.fit(&rows, &[0, 2, 2]).unwrap_err(), "no row is of class 1"),
        (logistic.fit(&rows, &[0, 1, 99]).unwrap_err(), "class 99 of 3 rows"),
        (logistic.clone().class_weights(&[1.0]).fit(&rows, &[0, 1, 1]).unwrap_err(), "weights [1.0] for 2"),
        (
            linear.fit(&rows, &[1.0, 2.0, 3.0]).unwrap().predict(&matrix(1, vec![1.0, 2.0])).unwrap_err(),
            "rows of 2",
        ),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
    }
}
