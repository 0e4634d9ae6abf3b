//! [`Generator`]: a network that goes on with a text.

use super::data::dtype;
use super::data::texts::TextForm;
use super::model_file::{ModelFile, model_path};
use super::recipe;
use super::trained::described;
use crate::job;
use crate::step::number_at;
use crate::text::Sampling;
use crate::{Error, Infer, Options, Outputs};
use ironlearn_ir::{Array, DType, Real, TensorType};
use std::path::{Path, PathBuf};

/// A network that has learned a text, ready to write.
pub struct Generator {
    infer: Infer,
    form: TextForm,
    row: Array,
    /// What has been written, the prompt included.
    tokens: Vec<u32>,
    prompt: usize,
    /// The text that was learned.
    source: PathBuf,
}

impl Generator {
    /// Loads a model file, or the last one of a run directory.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has learned no text; those of reading a model.
    pub fn load(path: &Path, options: &Options) -> Result<Generator, Error> {
        let path = model_path(path);
        let file = ModelFile::read(&path)?;
        let Some(form) = file.preparation.text.clone() else {
            let problem = format!("{} has learned no text, so it writes none", path.display());
            return Err(Error::usage(problem, "train one with data.kind = \"text\""));
        };
        if file.integers()?.is_some() {
            let problem =
                format!("{} is a network of integers, which do not write texts yet", path.display());
            return Err(Error::usage(problem, "name the model of floats that it was made of"));
        }
        match dtype(&file.job) {
            DType::F64 => Generator::of::<f64>(&file, form, options),
            _ => Generator::of::<f32>(&file, form, options),
        }
    }

    fn of<T: Real>(file: &ModelFile, form: TextForm, options: &Options) -> Result<Generator, Error> {
        let network = described::<T>(file.path(), &file.job, &file.preparation, file.bytes())?;
        file.restore(&mut network.scope().store_mut())?;
        let options = recipe::options(&file.job, options).averaged(true);
        let types = vec![TensorType::new(DType::I64, [1, form.context])];
        let infer = Infer::build(&options, network.scope(), types, |_tape, x| {
            Outputs::of("logits", network.forward_node(x[0]))
        })?;
        let row = Array::try_zeros(DType::I64, [1, form.context], "the tokens that the network sees")?;
        let source = match &file.job.data {
            job::Data::Text { path, .. } => path.clone(),
            _ => PathBuf::new(),
        };
        Ok(Generator { infer, form, row, tokens: Vec::new(), prompt: 0, source })
    }

    /// The file of the text that was learned, which may be gone.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Begins anew with a prompt; where it is empty, and where texts were lines, at the beginning of a line.
    ///
    /// # Errors
    /// [`Error::Usage`] with the first character that was not learned.
    pub fn begin(&mut self, prompt: &str) -> Result<(), Error> {
        self.tokens = self.form.vocabulary.encode(prompt)?;
        self.prompt = self.tokens.len();
        Ok(())
    }

    /// The next token.
    ///
    /// # Errors
    /// [`Error::Usage`] where it cannot be drawn so; those of running the network.
    pub fn next(&mut self, sampling: &Sampling) -> Result<&str, Error> {
        sampling.check()?;
        let logits = self.logits()?;
        let token = sampling.draw(&logits, (self.tokens.len() - self.prompt) as u64);
        self.tokens.push(token as u32);
        Ok(self.form.vocabulary.token(token))
    }

    /// The logits of the token that comes next.
    fn logits(&mut self) -> Result<Vec<f64>, Error> {
        let context = self.form.context;
        let end = self.form.vocabulary.number("\n").unwrap_or(0) as u32;
        let line =
            self.tokens.iter().rposition(|&t| t == end).filter(|_| self.form.lines).map_or(0, |at| at + 1);
        let seen = &self.tokens[line.max(self.tokens.len().saturating_sub(context))..];
        // With nothing before it a text begins as a line does.
        let start = [end];
        let seen = if seen.is_empty() && self.form.every { &start[..] } else { seen };
        let row = self.row.as_slice_mut::<i64>().unwrap_or_default();
        row.fill(i64::from(end));
        // A network that says for each token what follows does not see those after it; others look back from the end.
        let first = if self.form.every { 0 } else { context - seen.len() };
        row[first..].iter_mut().zip(seen).for_each(|(to, &token)| *to = i64::from(token));
        let (place, count) = (seen.len().saturating_sub(1), self.form.vocabulary.len());
        let report = self.infer.run(&(&self.row,))?;
        let logits =
            report.get("logits").ok_or_else(|| Error::usage("the network gives nothing", "train it anew"))?;
        let at = if self.form.every { place * count } else { 0 };
        Ok((at..at + count).map(|i| number_at(logits, i)).collect())
    }
}
