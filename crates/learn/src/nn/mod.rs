//! Layers: structs that hold their parameters and turn a variable into another. One file each.
//!
//! The first axis counts the rows of a batch. Features stand in the last axis, `[B, .., features]`, but for
//! convolution, pooling and batch norm, where channels come second: `[B, C, L]`, `[B, C, H, W]`.

mod activation;
mod attention;
mod augment;
mod batch_norm;
mod builder;
mod cache;
mod conv;
mod conv_transpose;
mod dropout;
mod embedding;
mod flatten;
mod fourier;
mod gru;
mod layer_norm;
mod linear;
mod lstm;
mod placed;
mod pool;
mod recurrence;
mod residual;
mod rms_norm;
mod sequential;
mod siren;
mod spec;
mod summary;

pub use activation::Activation;
pub use attention::MultiHeadAttention;
pub(crate) use attention::{rotary_angles, rotate, without_later};
pub use augment::{Augment, Augmentation};
pub use batch_norm::BatchNorm;
pub use builder::{Network, NetworkBuilder};
pub use cache::{Cache, State};
pub use conv::{Conv, Conv1d, Conv2d, ConvOptions};
pub use conv_transpose::ConvTranspose2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use fourier::FourierFeatures;
pub use gru::Gru;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use lstm::Lstm;
pub use pool::{AvgPool, AvgPool1d, AvgPool2d, MaxPool, MaxPool1d, MaxPool2d};
pub use recurrence::over_time;
pub use residual::Residual;
pub use rms_norm::RmsNorm;
pub use sequential::Sequential;
pub use siren::Siren;
pub use spec::LayerSpec;
pub use summary::{Summary, SummaryRow};

use ironlearn_ir::Var;

/// What turns a variable into another: a layer, an activation, a container of layers.
pub trait Layer<T> {
    /// The result for `x`. Mistakes are recorded on the tape of `x`, at the caller's line.
    #[track_caller]
    fn apply<'g>(&self, x: Var<'g, T>) -> Var<'g, T>;

    /// The result for the next places of a sequence, `[B, places, ..]`: what [`Layer::apply`] gives for them in the
    /// whole sequence, where the cache has what came before. None where the layer cannot go on so, as one that looks
    /// at later places; this is the default.
    #[track_caller]
    fn apply_next<'g>(&self, _x: Var<'g, T>, _cache: &Cache<'g>) -> Option<Var<'g, T>> {
        None
    }
}

/// True where `x` has this many axes; a mistake is recorded where not. `axes` names them, as in `[B, C, L]`.
#[track_caller]
fn has_rank<T>(x: Var<'_, T>, rank: usize, what: &str, axes: &str) -> bool {
    if x.rank() == rank {
        return true;
    }
    if !x.node().is_poison() {
        let message = format!("{what}: needs {axes}, found {}", x.shape());
        x.tape().error(message, vec![x.node().describe()]);
    }
    false
}

/// True where `axis` (from the end where negative) of `x` has this length; a mistake is recorded where not, as in
/// "conv of 3 channels, found [8, 1, 5]".
#[track_caller]
fn has_length<T>(x: Var<'_, T>, axis: isize, length: usize, what: &str, unit: &str) -> bool {
    let at = if axis < 0 { x.rank().checked_add_signed(axis) } else { Some(axis as usize) };
    if at.and_then(|a| x.shape().get(a).copied()) == Some(length) {
        return true;
    }
    if !x.node().is_poison() {
        let place = if axis == 1 { "second" } else { "last" };
        let note = format!("{unit} are the {place} axis");
        x.tape().error(
            format!("{what} of {length} {unit}, found {}", x.shape()),
            vec![x.node().describe(), note],
        );
    }
    false
}

/// A value to go on with after a mistake has been recorded.
#[track_caller]
fn poisoned<'g, T: ironlearn_ir::Element>(x: Var<'g, T>) -> Var<'g, T> {
    Var::of(x.tape().poisoned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Layer;
    use crate::Scope;
    use ironlearn_ir::{Array, Env, Mode, Shape, Tape, Var, interpret};

    /// The value of `f` at `x`, through the interpreter.
    pub fn eval(
        scope: &Scope,
        mode: Mode,
        shape: impl Into<Shape>,
        x: &[f64],
        f: impl for<'g> Fn(Var<'g, f64>) -> Var<'g, f64>,
    ) -> Array {
        let shape = shape.into();
        let tape = Tape::new(mode);
        tape.output("y", f(tape.input::<f64>(shape.clone())).node());
        let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{e}"));
        let inputs = vec![Array::of(shape, x.to_vec()).unwrap()];
        let env = Env::new(inputs, &scope.store(), Default::default());
        let values = interpret(&graph, &env).unwrap();
        for (slot, id) in &graph.updates {
            scope.store_mut().set(*slot, values[id.index()].clone().unwrap()).unwrap();
        }
        values[graph.outputs[0].1.index()].clone().unwrap()
    }

    /// What an inference gives.
    pub fn values_in(scope: &Scope, layer: &impl Layer<f64>, shape: impl Into<Shape>, x: &[f64]) -> Vec<f64> {
        eval(scope, Mode::Infer, shape, x, |x| layer.apply(x)).as_slice::<f64>().unwrap().to_vec()
    }

    /// What an inference gives for a layer without parameters.
    pub fn values_of(layer: &impl Layer<f64>, shape: impl Into<Shape>, x: &[f64]) -> Vec<f64> {
        values_in(&Scope::root(0), layer, shape, x)
    }

    /// Sets a parameter.
    pub fn set(scope: &Scope, name: &str, values: &[f64]) {
        let mut store = scope.store_mut();
        let id = store.find(name).unwrap_or_else(|| panic!("no slot `{name}`"));
        let shape = store.ty(id).shape;
        store.set(id, Array::of(shape, values.to_vec()).unwrap()).unwrap();
    }

    /// `n` numbers without a pattern, within 1 of 0.
    pub fn numbers(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * i + 3 * i) as f64 * 0.7 + 0.3).sin()).collect()
    }

    /// Fails unless both are equal up to rounding.
    pub fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{found:?} is not {expected:?}");
        }
    }
}
