//! Losses between logits and classes or probabilities.

use super::same_shape;
use ironlearn_ir::prim::is_index;
use ironlearn_ir::{DType, Dyn, Int, Real, TensorType, Var};

/// Binary cross-entropy of logits `x` against targets `t` in 0..=1, over all elements: the mean of
/// `−(w·t·ln σ(x) + (1 − t)·ln(1 − σ(x)))`, with the weight `w` of positive targets (1: none is favoured).
#[track_caller]
pub fn binary_cross_entropy<'g, T: Real>(
    logits: Var<'g, T>,
    target: Var<'g, T>,
    positive_weight: f64,
) -> Var<'g, T> {
    let _line = logits.tape().enter("");
    if !same_shape(logits, target, "binary cross-entropy") {
        return Var::of(logits.tape().poisoned());
    }
    // −ln σ(x) = softplus(−x), and −ln(1 − σ(x)) = x + softplus(−x).
    let weight = target * (positive_weight - 1.0) + 1.0;
    ((1.0 - target) * logits + weight * (-logits).softplus()).mean_all()
}

/// Cross-entropy of logits `[.., classes]` against class numbers `[..]` (`u8`, `i32`, `u32`, `i64`): the mean
/// of `−ln softmax(x)[class]`. A class outside of the axis is an error when the step runs.
#[track_caller]
pub fn cross_entropy<'g, T: Real, I: Int>(logits: Var<'g, T>, classes: Var<'g, I>) -> Var<'g, T> {
    CrossEntropy::default().apply(logits, classes)
}

/// Options of [`cross_entropy`].
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CrossEntropy {
    /// Share of the target that is spread evenly over all classes (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// Weight of each class; the mean is then divided by the sum of the rows' weights. Empty: 1 each.
    pub class_weights: Vec<f64>,
}

impl CrossEntropy {
    /// The loss; see [`cross_entropy`].
    #[track_caller]
    pub fn apply<'g, T: Real, I: Int>(&self, logits: Var<'g, T>, classes: Var<'g, I>) -> Var<'g, T> {
        self.apply_node(logits, classes.node())
    }

    /// The same for classes whose element type is known at run time.
    #[track_caller]
    pub fn apply_node<'g, T: Real>(&self, logits: Var<'g, T>, classes: Dyn<'g>) -> Var<'g, T> {
        let tape = logits.tape();
        let _line = tape.enter("");
        let shape = logits.shape();
        let count = shape.last().copied().unwrap_or(0);
        if !is_index(classes.dtype())
            || classes.shape()[..] != shape[..shape.rank().saturating_sub(1)]
            || count == 0
        {
            if !logits.node().is_poison() && !classes.is_poison() {
                let message = format!(
                    "cross-entropy: logits {shape} need class numbers (u8, i32, u32, i64) of the shape without \
                     the last axis, found {}",
                    classes.ty()
                );
                tape.error(message, vec![logits.node().describe(), classes.describe()]);
            }
            return Var::of(tape.poisoned());
        }
        if !self.class_weights.is_empty() && self.class_weights.len() != count {
            let message =
                format!("cross-entropy: {} class weights for {count} classes", self.class_weights.len());
            tape.error(message, vec![logits.node().describe()]);
            return Var::of(tape.poisoned());
        }
        self.mean(logits, classes, count)
    }

    /// Weighted mean over the rows; operands fit each other.
    #[track_caller]
    fn mean<'g, T: Real>(&self, logits: Var<'g, T>, classes: Dyn<'g>, count: usize) -> Var<'g, T> {
        let tape = logits.tape();
        let weight = |i: usize| self.class_weights.get(i).copied().unwrap_or(1.0);
        let weights = tape.constant([count], (0..count).map(|i| T::from_f64(weight(i))).collect::<Vec<_>>());
        // Picked by class even where all are 1: it is here that a class outside of the axis is noticed.
        let row_weights: Var<'g, T> = Var::of(weights.node().gather(classes, 0));
        let log_p = logits.log_softmax(-1);
        let numbers = Var::<i64>::of(tape.iota_of(TensorType::new(DType::I64, [count]), 0));
        let mut column = classes.shape().to_vec();
        column.push(1);
        let column: Var<'g, i64> = Var::of(classes.cast(DType::I64).reshape(&column.into()));
        let picked = column.equal(numbers).select(log_p, 0.0).sum([-1]).cast::<T>();
        let mut total = (picked * row_weights).sum_all().cast::<T>() * (1.0 - self.label_smoothing);
        if self.label_smoothing > 0.0 {
            let spread = (log_p * weights).sum_all().cast::<T>();
            total = total + spread * (self.label_smoothing / count as f64);
        }
        -total / row_weights.sum_all().cast::<T>()
    }
}

/// Kullback-Leibler divergence of the softmax of logits `[.., classes]` from target probabilities of the same
/// shape, `Σ t·(ln t − ln softmax(x))` for each row, mean over rows. A target of 0 adds nothing.
#[track_caller]
pub fn kl_divergence<'g, T: Real>(logits: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    let tape = logits.tape();
    let _line = tape.enter("");
    if !same_shape(logits, target, "kl divergence") {
        return Var::of(tape.poisoned());
    }
    let positive = target.greater(0.0);
    let log_t = positive.select(target, 1.0).log();
    let each = target * (log_t - logits.log_softmax(-1));
    let rows = logits.shape().iter().rev().skip(1).product::<usize>();
    each.sum_all().cast::<T>() * (1.0 / rows as f64)
}

/// Hinge loss of scores `y` against targets 0 and 1, read as `t` = −1 and 1: `mean max(0, 1 − t·y)` over all
/// elements.
#[track_caller]
pub fn hinge<'g, T: Real>(scores: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    let _line = scores.tape().enter("");
    if !same_shape(scores, target, "hinge") {
        return Var::of(scores.tape().poisoned());
    }
    (1.0 - (target * 2.0 - 1.0) * scores).maximum(0.0).mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value_and_gradient;
    use crate::nn::tests::assert_close;

    const LOGITS: [f64; 6] = [1.0, 2.0, 0.5, -1.0, 0.0, 3.0];

    /// Softmax of each of the two rows.
    fn softmax() -> Vec<f64> {
        let rows = LOGITS.chunks(3).flat_map(|row| {
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(move |x| x.exp() / total)
        });
        rows.collect()
    }

    fn of_classes(options: &CrossEntropy, classes: [u8; 2]) -> (f64, Vec<f64>) {
        value_and_gradient(&[2, 3], &LOGITS, |x| options.apply(x, x.tape().constant([2], classes.to_vec())))
    }

    #[test]
    fn cross_entropy_by_hand() {
        let p = softmax();
        let (value, gradient) = of_classes(&CrossEntropy::default(), [1, 0]);
        assert_close(&[value], &[-(p[1].ln() + p[3].ln()) / 2.0]);
        let hot = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        assert_close(&gradient, &(0..6).map(|i| (p[i] - hot[i]) / 2.0).collect::<Vec<_>>());
    }

    #[test]
    fn smoothing_and_weights_by_hand() {
        let p = softmax();
        let w = [1.0, 2.0, 4.0];
        let options = CrossEntropy { label_smoothing: 0.3, class_weights: w.to_vec() };
        let (value, _) = of_classes(&options, [1, 2]);
        let spread: f64 = (0..6).map(|i| -w[i % 3] * p[i].ln()).sum();
        let picked = -w[1] * p[1].ln() - w[2] * p[5].ln();
        assert_close(&[value], &[(0.7 * picked + 0.1 * spread) / 6.0]);
    }

    #[test]
    fn huge_logits_stay_finite() {
        let (value, gradient) = value_and_gradient(&[1, 2], &[1e4, -1e4], |x| {
            cross_entropy(x, x.tape().constant([1], vec![1i64]))
        });
        assert_eq!((value, gradient), (2e4, vec![1.0, -1.0]));
        let (value, gradient) = value_and_gradient(&[2], &[1e4, -1e4], |x| {
            binary_cross_entropy(x, x.tape().constant([2], vec![0.0, 0.0]), 1.0)
        });
        assert_eq!((value, gradient), (5e3, vec![0.5, 0.0]));
    }

    #[test]
    fn binary_cross_entropy_by_hand() {
        let (x, t) = ([0.0, 2.0, -1.0], vec![1.0, 0.0, 0.25]);
        let (value, gradient) =
            value_and_gradient(&[3], &x, |x| binary_cross_entropy(x, x.tape().constant([3], t.clone()), 3.0));
        let p = x.map(|x| 1.0 / (1.0 + (-x).exp()));
        let each = |i: usize| -(3.0 * t[i] * p[i].ln() + (1.0 - t[i]) * (1.0 - p[i]).ln());
        assert_close(&[value], &[(0..3).map(each).sum::<f64>() / 3.0]);
        let slope = |i: usize| ((1.0 - t[i]) * p[i] - 3.0 * t[i] * (1.0 - p[i])) / 3.0;
        assert_close(&gradient, &[slope(0), slope(1), slope(2)]);
    }

    #[test]
    fn kl_and_hinge_by_hand() {
        let p = softmax();
        let t = vec![0.0, 0.5, 0.5, 1.0, 0.0, 0.0];
        let (value, gradient) =
            value_and_gradient(&[2, 3], &LOGITS, |x| kl_divergence(x, x.tape().constant([2, 3], t.clone())));
        let expected = 0.5 * (0.5 / p[1]).ln() + 0.5 * (0.5 / p[2]).ln() - p[3].ln();
        assert_close(&[value], &[expected / 2.0]);
        assert_close(&gradient, &(0..6).map(|i| (p[i] - t[i]) / 2.0).collect::<Vec<_>>());
        let (value, gradient) = value_and_gradient(&[3], &[0.5, -2.0, 3.0], |x| {
            hinge(x, x.tape().constant([3], vec![1.0, 1.0, 0.0]))
        });
        assert_close(&[value], &[(0.5 + 3.0 + 4.0) / 3.0]);
        assert_close(&gradient, &[-1.0 / 3.0, -1.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn a_class_that_is_not_there_is_an_error() {
        let tape = ironlearn_ir::Tape::new(ironlearn_ir::Mode::Train);
        tape.output("loss", cross_entropy(tape.input::<f32>([1, 3]), tape.constant([1], vec![3u8])).node());
        let (graph, _) = tape.finish().unwrap();
        let inputs = vec![ironlearn_ir::Array::zeros(DType::F32, [1, 3])];
        let e = ironlearn_ir::interpret(&graph, &ironlearn_ir::Env { inputs, ..Default::default() });
        assert!(e.unwrap_err().contains("index 3"));
    }
}
