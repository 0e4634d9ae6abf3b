//! [`IntegerProgram`]: a network of integers, ready to answer batches.

use super::IntegerModel;
use super::trace::Arrays;
use crate::quant::arithmetic::{Code, Quantization};
use crate::step::Profile;
use crate::{Error, Infer, Options, Outputs, Scope};
use ironlearn_ir::{Array, ArrayView, DType, Dyn, TensorType, Var};

/// The name of what comes out.
const ANSWERS: &str = "answers";

/// What goes in and comes out.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Codes,
    /// Codes, and those of every value in between.
    Values,
    Floats,
}

/// The codes of numbers, ties to even.
fn codes_of<'g>(x: Var<'g, f32>, q: Quantization) -> Dyn<'g> {
    let (zero, scale) = (f64::from(q.zero_point), q.scale);
    let nearest = (x / scale).round() + zero;
    let ends = [q.code.low(), q.code.high()].map(|end| x.tape().scalar::<f32>(f64::from(end)));
    nearest.maximum(ends[0]).minimum(ends[1]).node().cast(q.code.dtype())
}

/// The numbers of codes.
fn numbers_of(codes: Dyn<'_>, q: Quantization) -> Var<'_, f32> {
    (Var::<f32>::of(codes.cast(DType::F32)) - f64::from(q.zero_point)) * q.scale
}

/// A network of integers compiled for batches of given numbers of rows, on the device of its options.
///
/// ```
/// use ironlearn::quant::model::{Edge, IntegerModel, Op};
/// use ironlearn::quant::{Code, IntegerProgram, Quantization};
/// use ironlearn::Options;
/// use ironlearn::prelude::Array;
///
/// let codes = Quantization { code: Code::I8, scale: 0.5, zero_point: 0 };
/// let mut model = IntegerModel::new(Edge::new([3], codes));
/// let square = (-128..128i32).map(|c| (c * c / 2).min(127)).collect();
/// model.push("square", Op::Table(square), &[0], Edge::new([3], codes));
/// let mut program = IntegerProgram::build(&model, &Options::default(), &[2])?;
/// let x = Array::of([2, 3], vec![-4i8, 1, 100, 0, 2, 6]).unwrap();
/// assert_eq!(program.run(x.view())?.as_slice::<i8>(), Some(&[8i8, 0, 127, 0, 2, 18][..]));
/// # Ok::<(), ironlearn::Error>(())
/// ```
pub struct IntegerProgram {
    infer: Infer,
}

impl IntegerProgram {
    /// Compiles a network for batches of these numbers of rows.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network is not whole; [`Error::Memory`].
    pub fn build(model: &IntegerModel, options: &Options, rows: &[usize]) -> Result<IntegerProgram, Error> {
        IntegerProgram::with(model, options, rows, Ends::Codes)
    }

    /// The same, keeping the codes of every value: see [`IntegerProgram::values`].
    ///
    /// # Errors
    /// As [`IntegerProgram::build`].
    pub fn with_values(
        model: &IntegerModel,
        options: &Options,
        rows: &[usize],
    ) -> Result<IntegerProgram, Error> {
        IntegerProgram::with(model, options, rows, Ends::Values)
    }

    /// The same between `f32`: numbers become codes and codes numbers in the plan itself. Tokens stay `i32`.
    ///
    /// # Errors
    /// As [`IntegerProgram::build`].
    pub fn of_floats(
        model: &IntegerModel,
        options: &Options,
        rows: &[usize],
    ) -> Result<IntegerProgram, Error> {
        IntegerProgram::with(model, options, rows, Ends::Floats)
    }

    fn with(
        model: &IntegerModel,
        options: &Options,
        rows: &[usize],
        ends: Ends,
    ) -> Result<IntegerProgram, Error> {
        model.check()?;
        let scope = Scope::root(0);
        let broken = |problem: String| Error::usage(problem, "make the network of integers again");
        let arrays = Arrays::of(model).map_err(broken)?;
        let codes = model.input.quantization;
        let floats = ends == Ends::Floats && codes.code != Code::I32;
        let dtype = if floats { DType::F32 } else { codes.code.dtype() };
        let signatures: Vec<Vec<TensorType>> =
            rows.iter().map(|&rows| vec![TensorType::new(dtype, model.input.batch(rows))]).collect();
        let infer = Infer::build_all(options, &scope, &signatures, |_tape, x| {
            let x = if floats { codes_of(Var::of(x[0]), codes) } else { x[0] };
            let values = model.trace(x, &arrays);
            let last = values[values.len() - 1];
            match ends {
                Ends::Codes => Outputs::of(ANSWERS, last),
                Ends::Floats => Outputs::of(ANSWERS, numbers_of(last, model.output().quantization).node()),
                Ends::Values => {
                    let mut outputs = Outputs::of(ANSWERS, last);
                    for (i, value) in values.into_iter().enumerate() {
                        outputs = outputs.and(&i.to_string(), value);
                    }
                    outputs
                }
            }
        })?;
        Ok(IntegerProgram { infer })
    }

    /// The codes that come out for a batch of codes, `[rows, ..]` each.
    ///
    /// # Errors
    /// [`Error::Usage`] where the batch has another shape or type than the program was built for.
    pub fn run(&mut self, codes: ArrayView<'_>) -> Result<ArrayView<'_>, Error> {
        let report = self.infer.run(&(codes,))?;
        report
            .get(ANSWERS)
            .ok_or_else(|| Error::usage("the network gives nothing", "give it a node at least"))
    }

    /// As [`IntegerProgram::run`], as an array of its own.
    ///
    /// # Errors
    /// As [`IntegerProgram::run`].
    pub fn answer(&mut self, codes: &Array) -> Result<Array, Error> {
        Ok(self.run(codes.view())?.to_array())
    }

    /// Runs a batch and shows the codes of each value, by its number, where the program keeps them.
    ///
    /// # Errors
    /// As [`IntegerProgram::run`].
    pub fn values(
        &mut self,
        codes: ArrayView<'_>,
        mut show: impl FnMut(usize, ArrayView<'_>),
    ) -> Result<(), Error> {
        let names = self.infer.names().len();
        let report = self.infer.run(&(codes,))?;
        (0..names).for_each(|i| report.get(&i.to_string()).into_iter().for_each(|value| show(i, value)));
        Ok(())
    }

    /// What every step of the plans has cost so far; empty without [`Options::profile`].
    pub fn profile(&self) -> Profile {
        self.infer.profile()
    }

    /// Bytes of working memory beside the weights.
    pub fn memory_bytes(&self) -> usize {
        self.infer.memory_bytes()
    }
}
