//! [`Predictor`]: a network applied to any number of rows, in portions of one size.

use crate::number::number_at;
use crate::quant::training::{IntegerInfer, IntegerNetwork};
use crate::quant::{Code, IntegerModel, IntegerProgram, Quantization};
use crate::task::data::check_indices;
use crate::task::data::preparation::Preparation;
use crate::train::Model;
use crate::{Error, Infer, Options, Outputs};
use ironlearn_ir::{Array, ArrayView, DType, Real, TensorType};

/// Rows of a portion.
const PORTION: usize = 1024;

/// A network ready to answer. It reads the parameters where they stand, so it follows the training.
pub struct Predictor {
    network: Computing,
    batch: Array,
    width: usize,
    rows: usize,
    /// Answer of a row.
    answer: Vec<f64>,
    preparation: Preparation,
}

/// What computes.
enum Computing {
    Floats(Infer),
    /// A network that learns in integers, with what its mantissas stand for.
    Learning(IntegerInfer, Quantization),
    /// With what the codes that go in and come out stand for.
    Integers(IntegerProgram, Quantization, Quantization),
}

/// Mantissas with this exponent.
fn mantissas(code: Code, exponent: i32) -> Quantization {
    Quantization { code, scale: 2f64.powi(exponent), zero_point: 0 }
}

impl Computing {
    /// The answers for a batch, and what a number of theirs is worth.
    fn run(&mut self, batch: &Array) -> Result<(Option<ArrayView<'_>>, Option<Quantization>), Error> {
        match self {
            Computing::Floats(infer) => Ok((infer.run(&(batch,))?.get("answer"), None)),
            Computing::Learning(infer, _) => {
                let report = infer.run(batch)?;
                let exponents = report.get("exponents").and_then(|all| all.as_slice::<i32>());
                let exponent = exponents.and_then(|all| all.last()).copied().unwrap_or(0);
                Ok((report.get("logits"), Some(mantissas(Code::I16, exponent))))
            }
            Computing::Integers(program, _, answers) => {
                Ok((Some(program.run(batch.view())?), Some(*answers)))
            }
        }
    }
}

impl Predictor {
    /// A predictor for about so many rows at a time, which takes inputs of this type.
    ///
    /// # Errors
    /// [`Error::Usage`] with every mistake of the model, or where it does not give one row of
    /// [`Preparation::outputs`] numbers for each row.
    #[track_caller]
    pub fn build<T: Real>(
        options: &Options,
        model: &impl Model<T>,
        preparation: &Preparation,
        inputs: DType,
        rows: usize,
    ) -> Result<Predictor, Error> {
        let (rows, width) = (rows.clamp(1, PORTION), preparation.inputs());
        let shape = [&[rows], &preparation.input_shape()[..]].concat();
        let signature = vec![TensorType::new(inputs, shape.clone())];
        let options = options.clone().averaged(true);
        let infer = Infer::build(&options, model.scope(), signature, |_tape, x| {
            Outputs::of("answer", model.predict(x[0]))
        })?;
        let batch = Array::try_zeros(inputs, shape, "a batch of inputs")?;
        let answer = vec![0.0; preparation.outputs];
        let network = Computing::Floats(infer);
        Ok(Predictor { network, batch, width, rows, answer, preparation: preparation.clone() })
    }

    /// A predictor that computes in integers.
    ///
    /// # Errors
    /// [`Error::Usage`] where the network is damaged, [`Error::Memory`].
    pub fn of_integers(
        options: &Options,
        model: &IntegerModel,
        preparation: &Preparation,
        rows: usize,
    ) -> Result<Predictor, Error> {
        let (rows, width) = (rows.clamp(1, PORTION), preparation.inputs());
        let (codes, answers) = (model.input.quantization, model.output().quantization);
        let program = IntegerProgram::build(model, options, &[rows])?;
        let batch = Array::try_zeros(codes.code.dtype(), model.input.batch(rows), "a batch of inputs")?;
        let answer = vec![0.0; preparation.outputs];
        let network = Computing::Integers(program, codes, answers);
        Ok(Predictor { network, batch, width, rows, answer, preparation: preparation.clone() })
    }

    /// A predictor that follows a network while it learns in integers. It uses the exponents that
    /// [`IntegerNetwork::freeze`] has found last.
    ///
    /// # Errors
    /// [`Error::Usage`] where they have not been found.
    pub fn of_learning(
        options: &Options,
        network: &IntegerNetwork,
        preparation: &Preparation,
        rows: usize,
    ) -> Result<Predictor, Error> {
        let (rows, width) = (rows.clamp(1, PORTION), preparation.inputs());
        let infer = IntegerInfer::build(options, network, rows)?;
        let ty = network.signature(rows).swap_remove(0);
        let batch = Array::try_zeros(ty.dtype, ty.shape, "a batch of inputs")?;
        let answer = vec![0.0; preparation.outputs];
        let codes = preparation.input_exponent.map_or(Quantization::INDEX, |e| mantissas(Code::I8, e));
        let network = Computing::Learning(infer, codes);
        Ok(Predictor { network, batch, width, rows, answer, preparation: preparation.clone() })
    }

    /// Rows of a portion.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The type of the inputs as the network takes them.
    pub fn input_dtype(&self) -> DType {
        self.batch.dtype()
    }

    /// Answers so many rows: `input` writes the inputs of a row, `take` gets its answer. False where it was stopped
    /// between two portions.
    fn run(
        &mut self,
        rows: usize,
        mut input: impl FnMut(usize, &mut [f64]) -> Result<(), Error>,
        mut take: impl FnMut(usize, &[f64]),
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let mut buffer = vec![0.0; self.width];
        for start in (0..rows).step_by(self.rows) {
            if stop() {
                return Ok(false);
            }
            let here = self.rows.min(rows - start);
            for i in 0..here {
                input(start + i, &mut buffer)?;
                if matches!(self.batch.dtype(), DType::U8 | DType::I32 | DType::I64) {
                    check_indices(&buffer, start + i, self.width, self.batch.dtype())?;
                }
                self.write(i, &buffer);
            }
            let (Some(outputs), scale) = self.network.run(&self.batch)? else { continue };
            let number = |i: usize| {
                let x = number_at(outputs, i);
                scale.map_or(x, |q| q.value(x as i32))
            };
            let outputs_of_row = self.answer.len();
            if outputs.shape().elements() != self.rows * outputs_of_row {
                return Err(Error::usage(
                    format!(
                        "the network gives {} for {} rows, and {outputs_of_row} numbers a row are needed",
                        outputs.shape(),
                        self.rows
                    ),
                    "end the network with { linear = \"targets\" }",
                ));
            }
            for i in 0..here {
                let row = &mut self.answer;
                (0..outputs_of_row).for_each(|c| row[c] = number(i * outputs_of_row + c));
                self.preparation.answer(row);
                take(start + i, row);
            }
        }
        Ok(true)
    }

    /// Writes a row of the portion.
    fn write(&mut self, row: usize, values: &[f64]) {
        let range = row * self.width..(row + 1) * self.width;
        let code = |x: f64| match self.network {
            Computing::Integers(_, codes, _) | Computing::Learning(_, codes) => codes.quantize(x),
            Computing::Floats(_) => x as i32,
        };
        if let Some(batch) = self.batch.as_slice_mut::<f32>() {
            batch[range].iter_mut().zip(values).for_each(|(to, &x)| *to = x as f32);
        } else if let Some(batch) = self.batch.as_slice_mut::<f64>() {
            batch[range].copy_from_slice(values);
        } else if let Some(batch) = self.batch.as_slice_mut::<i64>() {
            batch[range].iter_mut().zip(values).for_each(|(to, &x)| *to = x as i64);
        } else if let Some(batch) = self.batch.as_slice_mut::<u8>() {
            batch[range].iter_mut().zip(values).for_each(|(to, &x)| *to = x as u8);
        } else if let Some(batch) = self.batch.as_slice_mut::<i8>() {
            batch[range].iter_mut().zip(values).for_each(|(to, &x)| *to = code(x) as i8);
        } else if let Some(batch) = self.batch.as_slice_mut::<i16>() {
            batch[range].iter_mut().zip(values).for_each(|(to, &x)| *to = code(x) as i16);
        } else if let Some(batch) = self.batch.as_slice_mut::<i32>() {
            batch[range].iter_mut().zip(values).for_each(|(to, &x)| *to = code(x));
        }
    }

    /// The answers for raw rows `[rows, columns]`, `[rows, outputs]`, both `f64`.
    pub fn answers(&mut self, raw: &Array) -> Result<Array, Error> {
        let mut answers = Vec::new();
        self.add_answers(raw, &mut answers, &|| false)?;
        self.table(answers)
    }

    /// As [`Predictor::answers`]; none where it was stopped.
    pub fn answers_unless(&mut self, raw: &Array, stop: &dyn Fn() -> bool) -> Result<Option<Array>, Error> {
        let mut answers = Vec::new();
        let whole = self.add_answers(raw, &mut answers, stop)?;
        whole.then(|| self.table(answers)).transpose()
    }

    fn add_answers(
        &mut self,
        raw: &Array,
        answers: &mut Vec<f64>,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let (values, columns) = (raw.as_slice::<f64>().unwrap_or_default(), self.preparation.columns);
        let rows = values.len() / columns.max(1);
        let preparation = self.preparation.clone();
        let narrow = self.batch.dtype() == DType::F32;
        crate::io::read::reserve(answers, (rows * self.answer.len()) as u64, "the answers")?;
        self.run(
            rows,
            |i, row| {
                let raw = &values[i * columns..(i + 1) * columns];
                preparation.write_input(raw, row);
                if narrow { check_range(i, raw, row) } else { Ok(()) }
            },
            |_, answer| answers.extend_from_slice(answer),
            stop,
        )
    }

    fn table(&self, answers: Vec<f64>) -> Result<Array, Error> {
        let outputs = self.answer.len();
        let rows = answers.len() / outputs.max(1);
        Array::of([rows, outputs], answers).map_err(|e| Error::usage(e, "give fewer rows"))
    }

    /// The 8-bit levels of the canvas at this size; none where no picture was learned.
    pub fn levels(&mut self, width: usize, height: usize) -> Result<Vec<u8>, Error> {
        let mut levels = Vec::new();
        self.add_levels(width, height, &mut levels, &|| false)?;
        Ok(levels)
    }

    /// As [`Predictor::levels`]; `None` where it was stopped.
    pub fn levels_unless(
        &mut self,
        width: usize,
        height: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut levels = Vec::new();
        let whole = self.add_levels(width, height, &mut levels, stop)?;
        Ok(whole.then_some(levels))
    }

    fn add_levels(
        &mut self,
        width: usize,
        height: usize,
        levels: &mut Vec<u8>,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let Some(canvas) = self.preparation.canvas else { return Ok(true) };
        let canvas = canvas.sized(width, height);
        crate::io::read::reserve(levels, (canvas.area() * canvas.channels) as u64, "a drawing")?;
        self.run(
            canvas.area(),
            |i, row| {
                canvas.write_input(i, row);
                Ok(())
            },
            |_, answer| levels.extend(answer.iter().map(|&x| canvas.level(x))),
            stop,
        )
    }
}

/// An error where a number of a raw row is none any more as a network of `f32` takes it.
fn check_range(row: usize, raw: &[f64], prepared: &[f64]) -> Result<(), Error> {
    if prepared.iter().all(|&x| (x as f32).is_finite()) {
        return Ok(());
    }
    let largest = raw.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
    let problem = format!("row {row}: {largest:e} is too large for f32");
    Err(Error::usage(problem, "correct it, or leave the row out"))
}
