//! [`IntegerProgram`]: a network of integers, ready to answer batches.

use super::IntegerModel;
use super::trace::Slots;
use crate::{Error, Infer, Options, Outputs, Scope};
use ironlearn_ir::{Array, ArrayView, TensorType};

/// The name of what comes out.
const CODES: &str = "codes";

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
        IntegerProgram::with(model, options, rows, false)
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
        IntegerProgram::with(model, options, rows, true)
    }

    fn with(
        model: &IntegerModel,
        options: &Options,
        rows: &[usize],
        all: bool,
    ) -> Result<IntegerProgram, Error> {
        model.check()?;
        let scope = Scope::root(0);
        let broken = |problem: String| Error::usage(problem, "make the network of integers again");
        let slots = Slots::new(model, &mut scope.store_mut()).map_err(broken)?;
        let dtype = model.input.quantization.code.dtype();
        let signatures: Vec<Vec<TensorType>> =
            rows.iter().map(|&rows| vec![TensorType::new(dtype, model.input.batch(rows))]).collect();
        let infer = Infer::build_all(options, &scope, &signatures, |_tape, x| {
            let values = model.trace(x[0], &slots, &scope.store());
            let mut outputs = Outputs::of(CODES, values[values.len() - 1]);
            if all {
                for (i, value) in values.into_iter().enumerate() {
                    outputs = outputs.and(&i.to_string(), value);
                }
            }
            outputs
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
            .get("codes")
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

    /// Bytes of working memory beside the weights.
    pub fn memory_bytes(&self) -> usize {
        self.infer.memory_bytes()
    }
}
