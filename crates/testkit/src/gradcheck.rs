//! Derivatives against central finite differences in `f64`, first and second.
//!
//! The function's results are multiplied by fixed random weights and added up; the gradient of that sum is
//! compared, element by element, with `(f(x + h) − f(x − h)) / 2h`. With `h = 1e-5` the truncation error is
//! about `h²` and the rounding error about `1e-16 / h`, both near `1e-10` for values of order 1.

use crate::compare::interpreted;
use crate::rng::Rng;
use ironlearn_ir::{Array, DType, Dyn, Env, Graph, Mode, Tape, TensorType};

/// Largest relative error that passes.
pub const TOLERANCE: f64 = 1e-6;
/// Gradients below this are compared absolutely, as if they were as large.
const FLOOR: f64 = 1e-3;
/// Half the distance of the finite difference.
const STEP: f64 = 1e-5;
/// At most so many elements of each input are moved, unless the case says otherwise.
const PROBES: usize = 24;

/// Traces a function of some inputs.
pub type Build = dyn for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Vec<Dyn<'g>>;

/// A function and a point where it is differentiable. Inputs of type `f64` are differentiated.
pub struct Case {
    /// What is checked, for messages.
    pub name: String,
    /// The point.
    pub inputs: Vec<Array>,
    /// The function.
    pub build: Box<Build>,
    probes: usize,
}

/// What a check has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// Derivatives that were compared.
    pub compared: usize,
    /// Those of them that were not zero.
    pub nonzero: usize,
    /// The largest relative error.
    pub error: f64,
}

impl Checked {
    /// Both together.
    pub fn and(self, other: Checked) -> Checked {
        Checked {
            compared: self.compared + other.compared,
            nonzero: self.nonzero + other.nonzero,
            error: self.error.max(other.error),
        }
    }
}

impl Case {
    /// A function with one result.
    pub fn new(
        name: impl Into<String>,
        inputs: Vec<Array>,
        build: impl for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Dyn<'g> + 'static,
    ) -> Case {
        Case::many(name, inputs, move |tape, x| vec![build(tape, x)])
    }

    /// A function with several results.
    pub fn many(
        name: impl Into<String>,
        inputs: Vec<Array>,
        build: impl for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Vec<Dyn<'g>> + 'static,
    ) -> Case {
        Case { name: name.into(), inputs, build: Box::new(build), probes: PROBES }
    }

    /// The same with at most so many elements of each input moved, picked at random.
    pub fn probes(self, probes: usize) -> Case {
        Case { probes, ..self }
    }

    /// Checks the first derivative, then the derivative of the gradient.
    pub fn check(&self) -> Result<[Checked; 2], String> {
        let named = |order: &str, e: String| format!("{}: {order} derivative: {e}", self.name);
        let first = self.compare(|tape, x| (self.build)(tape, x), 1).map_err(|e| named("first", e))?;
        let second = self
            .compare(|tape, x| gradients(tape, x, (self.build)(tape, x), 1), 2)
            .map_err(|e| named("second", e))?;
        Ok([first, second])
    }

    /// Compares the gradient of the weighted results of `f` with finite differences of them.
    fn compare(
        &self,
        f: impl for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Vec<Dyn<'g>>,
        salt: u64,
    ) -> Result<Checked, String> {
        let values = trace(&self.inputs, &f)?;
        let slopes = trace(&self.inputs, |tape, x| gradients(tape, x, f(tape, x), salt))?;
        let analytic = run(&slopes, &self.inputs)?;
        let moved = (0..self.inputs.len()).filter(|&i| self.inputs[i].dtype() == DType::F64);
        let (mut seen, mut rng) = (Checked::default(), Rng::new(salt));
        for (input, gradient) in moved.zip(&analytic) {
            if gradient.shape() != self.inputs[input].shape() {
                return Err(format!("the gradient of input {input} is {}", gradient.shape()));
            }
            let gradient = floats(gradient)?;
            for element in rng.order(gradient.len()).into_iter().take(self.probes) {
                let numeric = self.difference(&values, input, element, salt)?;
                let exact = gradient[element];
                let error = (exact - numeric).abs() / exact.abs().max(numeric.abs()).max(FLOOR);
                // A NaN must not pass.
                if error.is_nan() || error > TOLERANCE {
                    return Err(format!(
                        "element {element} of input {input}: rule {exact:e}, finite difference {numeric:e}, \
                         relative error {error:e}\ninputs: {:?}",
                        self.inputs
                    ));
                }
                let nonzero = usize::from(exact != 0.0);
                seen = seen.and(Checked { compared: 1, nonzero, error });
            }
        }
        Ok(seen)
    }

    /// The central difference of the weighted results as one element moves.
    fn difference(&self, values: &Graph, input: usize, element: usize, salt: u64) -> Result<f64, String> {
        let at = |sign: f64| {
            let mut inputs = self.inputs.clone();
            let slice = inputs[input].as_slice_mut::<f64>().ok_or("an input of another type")?;
            slice[element] += sign * STEP;
            let x = slice[element];
            Ok::<_, String>((x, run(values, &inputs)?))
        };
        let ((right, above), (left, below)) = (at(1.0)?, at(-1.0)?);
        let mut sum = 0.0;
        for (i, (a, b)) in above.iter().zip(&below).enumerate() {
            let (a, b) = (floats(a)?, floats(b)?);
            let w = weights(a.len(), i, salt);
            sum += (0..a.len()).map(|k| w[k] * (a[k] - b[k])).sum::<f64>();
        }
        Ok(sum / (right - left))
    }
}

/// A graph of inputs with these types whose outputs are the results of `f`.
pub fn trace(
    inputs: &[Array],
    f: impl for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Vec<Dyn<'g>>,
) -> Result<Graph, String> {
    let tape = Tape::new(Mode::Train);
    let typed = |a: &Array| tape.input_of(TensorType::new(a.dtype(), a.shape().clone()));
    let x: Vec<Dyn<'_>> = inputs.iter().map(typed).collect();
    for (i, y) in f(&tape, &x).into_iter().enumerate() {
        tape.output(&format!("y{i}"), y);
    }
    tape.finish().map(|(graph, _)| graph).map_err(|e| e.to_string())
}

/// The outputs of a graph without state, by the interpreter.
pub fn run(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, String> {
    let env = Env { inputs: inputs.to_vec(), ..Env::default() };
    interpreted(graph, &env)
}

/// The gradients, with respect to the `f64` inputs, of the weighted sum of the `f64` results.
fn gradients<'g>(tape: &'g Tape, x: &[Dyn<'g>], y: Vec<Dyn<'g>>, salt: u64) -> Vec<Dyn<'g>> {
    let wrt: Vec<Dyn<'g>> = x.iter().copied().filter(|x| x.dtype() == DType::F64).collect();
    let mut sum = tape.scalar_of(DType::F64, 0.0);
    for (i, y) in y.into_iter().enumerate() {
        let w = weights(y.shape().elements(), i, salt);
        let w = tape.constant::<f64>(y.shape(), w).node();
        sum = sum + (y * w).sum(&(0..y.rank()).collect::<Vec<_>>());
    }
    tape.grad(sum, &wrt)
}

/// The weights of result `index`.
fn weights(n: usize, index: usize, salt: u64) -> Vec<f64> {
    Rng::new(salt.wrapping_mul(1000) + index as u64).floats(n, 0.5, 1.5)
}

fn floats(a: &Array) -> Result<&[f64], String> {
    a.as_slice::<f64>().ok_or_else(|| format!("a result is `{}`, not `f64`", a.dtype()))
}
