//! Multi-head attention (Vaswani et al., "Attention is all you need", NeurIPS 2017).

use super::cache::iota;
use super::{Cache, Layer, Linear, has_length, has_rank, poisoned};
use crate::{Init, Scope};
use ironlearn_ir::{DType, Real, Tape, TensorType, Var, concat, math};
use std::rc::Rc;

/// Attention of a sequence `[B, L, width]` to itself, in `heads` heads of `width/heads` features:
/// `softmax(q·kᵀ/√(width/heads))·v`, with q, k, v and the result each through a linear layer.
#[derive(Clone, Debug)]
pub struct MultiHeadAttention<T = f32> {
    path: Rc<str>,
    query: Linear<T>,
    key: Linear<T>,
    value: Linear<T>,
    out: Linear<T>,
    heads: usize,
    width: usize,
    causal: bool,
    rotary: bool,
}

impl<T: Real> MultiHeadAttention<T> {
    /// Every place sees every other, positions are not told apart.
    #[track_caller]
    pub fn new(scope: &Scope, width: usize, heads: usize) -> Self {
        let linear = |name| Linear::with(&scope.at(name), width, width, true, &Init::XavierUniform);
        MultiHeadAttention {
            path: scope.path().clone(),
            query: linear("query"),
            key: linear("key"),
            value: linear("value"),
            out: linear("out"),
            heads,
            width,
            causal: false,
            rotary: false,
        }
    }

    /// Each place sees itself and those before it only.
    pub fn causal(self) -> Self {
        MultiHeadAttention { causal: true, ..self }
    }

    /// Rotary positions (Su et al. 2021): queries and keys are rotated by angles that grow with the place.
    pub fn rotary(self) -> Self {
        MultiHeadAttention { rotary: true, ..self }
    }

    /// Attention where places are padding: `present` `[B, L]` is false there, and no place sees them. A row
    /// without any present place gives the mean of its values.
    #[track_caller]
    pub fn apply_masked<'g>(&self, x: Var<'g, T>, present: Var<'g, bool>) -> Var<'g, T> {
        self.attend(x, Some(present))
    }

    #[track_caller]
    fn attend<'g>(&self, x: Var<'g, T>, present: Option<Var<'g, bool>>) -> Var<'g, T> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !self.fits(x) {
            return poisoned(x);
        }
        if let Some(present) = present.filter(|p| p.shape()[..] != x.shape()[..2]) {
            if !present.node().is_poison() {
                let message =
                    format!("attention: the mask is {}, not [B, L] of {}", present.shape(), x.shape());
                tape.error(message, vec![present.node().describe(), x.node().describe()]);
            }
            return x;
        }
        let [mut q, mut k, v] = [&self.query, &self.key, &self.value].map(|to| self.split(to.apply(x)));
        if self.rotary {
            (q, k) = (rotate(q), rotate(k));
        }
        let scores = self.scores(q, k);
        let scores = if self.causal { without_later(scores) } else { scores };
        let present = present.map(|present| {
            let (rows, len) = (scores.dim(0) as isize, scores.dim(-1) as isize);
            present.reshape([rows, 1, 1, len])
        });
        self.mixed(present.map_or(scores, |present| present.select(scores, hidden::<T>())), v)
    }

    /// Whether heads fit the features, and `x` the layer; a mistake is recorded where not.
    #[track_caller]
    fn fits(&self, x: Var<'_, T>) -> bool {
        let tape = x.tape();
        let per_head = self.width.checked_div(self.heads).unwrap_or(0);
        if per_head * self.heads != self.width || (self.rotary && !per_head.is_multiple_of(2)) {
            let even = if self.rotary { " of even size, as rotary positions need" } else { "" };
            tape.error(format!("attention: {} features in {} heads{even}", self.width, self.heads), vec![]);
            return false;
        }
        has_rank(x, 3, "attention", "[B, L, features]")
            && has_length(x, -1, self.width, "attention", "features")
    }

    /// `[B, L, width]` to `[B, heads, L, width/heads]`.
    #[track_caller]
    fn split<'g>(&self, y: Var<'g, T>) -> Var<'g, T> {
        let (rows, len, heads) = (y.dim(0) as isize, y.dim(1) as isize, self.heads as isize);
        y.reshape([rows, len, heads, (self.width / self.heads) as isize]).permute([0, 2, 1, 3])
    }

    /// How well each key `[B, heads, K, ..]` answers each query `[B, heads, L, ..]`: `[B, heads, L, K]`.
    #[track_caller]
    fn scores<'g>(&self, q: Var<'g, T>, k: Var<'g, T>) -> Var<'g, T> {
        let per_head = (self.width / self.heads) as f64;
        (q * (1.0 / per_head.sqrt())).dot(k.transpose()).cast::<T>()
    }

    /// The values `[B, heads, K, ..]` as the scores weigh them, through the last layer.
    #[track_caller]
    fn mixed<'g>(&self, scores: Var<'g, T>, v: Var<'g, T>) -> Var<'g, T> {
        let y = scores.softmax(-1).dot(v).cast::<T>();
        let (rows, len) = (y.dim(0) as isize, y.dim(2) as isize);
        self.out.apply(y.permute([0, 2, 1, 3]).reshape([rows, len, self.width as isize]))
    }
}

/// The score of a place that must not be seen.
fn hidden<T: Real>() -> f64 {
    if T::DTYPE == DType::F16 { -3e4 } else { -1e30 }
}

/// Scores `[.., L, L]` in which no place sees later ones.
#[track_caller]
pub(crate) fn without_later<T: Real>(scores: Var<'_, T>) -> Var<'_, T> {
    let (tape, len) = (scores.tape(), scores.dim(-1));
    let place = |axis| Var::<i32>::of(tape.iota_of(TensorType::new(DType::I32, [len, len]), axis));
    let later = place(0).less(place(1));
    (!later).select(scores, hidden::<T>())
}

/// Rotates each pair of features `(i, i + half)` of `[.., L, 2·half]` by `place·10000^(−i/half)`.
#[track_caller]
pub(crate) fn rotate<T: Real>(x: Var<'_, T>) -> Var<'_, T> {
    rotated(x, rotary_tables(x.tape(), x.dim(-2), x.dim(-1) / 2))
}

/// Cosine and sine of the angles by which pairs of features are rotated, `[places, half]`.
#[track_caller]
fn rotary_tables<T: Real>(tape: &Tape, places: usize, half: usize) -> [Var<'_, T>; 2] {
    [math::cos::<f64>, math::sin::<f64>].map(|f| {
        let values = rotary_angles(places, half).map(|angle| T::from_f64(f(angle)));
        tape.constant([places, half], values.collect::<Vec<_>>())
    })
}

#[track_caller]
fn rotated<'g, T: Real>(x: Var<'g, T>, [cos, sin]: [Var<'g, T>; 2]) -> Var<'g, T> {
    let half = x.dim(-1) / 2;
    let (a, b) = (x.narrow(-1, 0, half), x.narrow(-1, half, 2 * half));
    concat(x.tape(), &[a * cos - b * sin, a * sin + b * cos], -1)
}

/// The angles by which pairs of features are rotated, `[places, half]`.
pub(crate) fn rotary_angles(places: usize, half: usize) -> impl Iterator<Item = f64> {
    let angle = move |i: usize| (i / half) as f64 * math::pow(10_000.0, -((i % half) as f64) / half as f64);
    (0..places * half).map(angle)
}

impl<T: Real> Layer<T> for MultiHeadAttention<T> {
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.attend(x, None)
    }

    fn apply_next<'g>(&self, x: Var<'g, T>, cache: &Cache<'g>) -> Option<Var<'g, T>> {
        let tape = x.tape();
        let _layer = tape.enter(&self.path);
        if !self.causal {
            return None;
        }
        if !self.fits(x) {
            return Some(poisoned(x));
        }
        let [mut q, mut k, v] = [&self.query, &self.key, &self.value].map(|to| self.split(to.apply(x)));
        if self.rotary {
            let tables = rotary_tables(tape, cache.capacity(), self.width / self.heads / 2);
            let tables = tables.map(|table| table.gather(cache.places(), 0));
            (q, k) = (rotated(q, tables), rotated(k, tables));
        }
        let [k, v] = [("key", k), ("value", v)].map(|(name, rows)| cache.extended(&self.path, name, rows));
        let later = cache.places().reshape([-1, 1]).less(iota(tape, cache.capacity()));
        Some(self.mixed((!later).select(self.scores(q, k), hidden::<T>()), v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::tests::{assert_close, eval, numbers};
    use ironlearn_ir::Mode;

    const LEN: usize = 3;
    const WIDTH: usize = 4;

    fn layer(s: &Scope) -> MultiHeadAttention<f64> {
        MultiHeadAttention::new(s, WIDTH, 2)
    }

    fn apply(s: &Scope, layer: &MultiHeadAttention<f64>, x: &[f64]) -> Vec<f64> {
        eval(s, Mode::Infer, [1, LEN, WIDTH], x, |x| layer.apply(x)).as_slice::<f64>().unwrap().to_vec()
    }

    /// `x·W + b` by the plain formula.
    fn project(s: &Scope, name: &str, x: &[f64]) -> Vec<f64> {
        let store = s.store();
        let get = |n: &str| store.slot(store.find(&format!("{name}.{n}")).unwrap()).value().clone();
        let (w, b) = (get("weight"), get("bias"));
        let (w, b) = (w.as_slice::<f64>().unwrap(), b.as_slice::<f64>().unwrap());
        let at =
            |i: usize, j: usize| b[j] + (0..WIDTH).map(|k| x[i * WIDTH + k] * w[k * WIDTH + j]).sum::<f64>();
        (0..LEN * WIDTH).map(|i| at(i / WIDTH, i % WIDTH)).collect()
    }

    #[test]
    fn the_value_of_the_formula() {
        let s = Scope::root(1);
        let layer = layer(&s).causal();
        let x = numbers(LEN * WIDTH);
        let [q, k, v] = ["query", "key", "value"].map(|name| project(&s, name, &x));
        let mut joined = vec![0.0; LEN * WIDTH];
        for (head, i) in (0..2).flat_map(|h| (0..LEN).map(move |i| (h, i))) {
            let dot = |j: usize| {
                (0..2).map(|f| q[i * WIDTH + head * 2 + f] * k[j * WIDTH + head * 2 + f]).sum::<f64>()
            };
            let e: Vec<f64> = (0..=i).map(|j| (dot(j) / 2f64.sqrt()).exp()).collect();
            for f in 0..2 {
                let sum: f64 = (0..=i).map(|j| e[j] * v[j * WIDTH + head * 2 + f]).sum();
                joined[i * WIDTH + head * 2 + f] = sum / e.iter().sum::<f64>();
            }
        }
        assert_close(&apply(&s, &layer, &x), &project(&s, "out", &joined));
    }

    #[test]
    fn a_causal_place_does_not_see_later_ones_nor_anyone_the_padding() {
        let s = Scope::root(1);
        let (causal, plain) = (layer(&s.at("a")).causal(), layer(&s.at("b")));
        let mut x = numbers(LEN * WIDTH);
        let before = apply(&s, &causal, &x);
        let masked = |x: &[f64]| {
            let y = eval(&s, Mode::Infer, [1, LEN, WIDTH], x, |x| {
                let present = x.tape().constant([1, LEN], vec![true, true, false]);
                plain.apply_masked(x, present)
            });
            y.as_slice::<f64>().unwrap().to_vec()
        };
        let padded = masked(&x);
        x[2 * WIDTH + 1] += 1.0;
        assert_eq!(before[..2 * WIDTH], apply(&s, &causal, &x)[..2 * WIDTH]);
        assert_eq!(padded[..2 * WIDTH], masked(&x)[..2 * WIDTH]);
        assert_ne!(apply(&s, &plain, &x), before);
    }

    #[test]
    fn a_mask_of_another_shape_is_refused_though_its_elements_are_as_many() {
        let (s, tape) = (Scope::root(0), Tape::new(Mode::Infer));
        let layer = MultiHeadAttention::<f32>::new(&s, 4, 2);
        layer.apply_masked(tape.input([2, 3, 4]), tape.input([3, 2]));
        let found = tape.finish().unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        assert!(found.to_string().contains("the mask is [3, 2], not [B, L] of [2, 3, 4]"), "{found}");
    }

    #[test]
    fn a_row_without_anyone_present_stays_finite() {
        let s = Scope::root(1);
        let layer = layer(&s).causal();
        let y = eval(&s, Mode::Infer, [1, LEN, WIDTH], &numbers(LEN * WIDTH), |x| {
            layer.apply_masked(x, x.tape().constant([1, LEN], vec![false; LEN]))
        });
        assert!(y.as_slice::<f64>().unwrap().iter().all(|v| v.is_finite()));
    }

    #[test]
    fn rotary_scores_depend_on_distance_alone() {
        // The same vector everywhere: the product of rotated copies depends on how far apart they stand.
        let s = Scope::root(0);
        let x = [0.3, -0.8, 0.5, 0.9].repeat(4);
        let scores = eval(&s, Mode::Infer, [1, 1, 4, 4], &x, |x| rotate(x).dot(rotate(x).transpose()));
        let y = scores.as_slice::<f64>().unwrap();
        let norm: f64 = x[..4].iter().map(|v| v * v).sum();
        for i in 0..3 {
            assert!((y[i * 4 + i] - norm).abs() < 1e-12);
            assert!((y[i * 4 + i + 1] - y[1]).abs() < 1e-12);
        }
        assert!((y[1] - norm).abs() > 0.1);
    }

    #[test]
    fn heads_must_divide_the_features() {
        let s = Scope::root(0);
        let tape = Tape::new(Mode::Infer);
        MultiHeadAttention::<f32>::new(&s, 4, 3).apply(tape.input([1, 2, 4]));
        assert!(tape.finish().unwrap_err().to_string().contains("4 features in 3 heads"));
    }
}
