//! [`Generator`]: a network that goes on with a text.

mod logits;
mod window;

use crate::job;
use crate::task::data::dtype;
use crate::task::data::texts::TextForm;
use crate::task::model::file::{ModelFile, model_path};
use crate::task::model::trained::described;
use crate::task::recipe;
use crate::text::{Decoder, Sampling};
use crate::{Error, Network, Options};
use ironlearn_ir::{DType, Real};
use logits::Logits;
use std::path::{Path, PathBuf};

/// A network that has learned a text, ready to write.
pub struct Generator {
    logits: Logits,
    form: TextForm,
    /// The token that ends a line.
    end: u32,
    /// What has been written, the prompt included.
    tokens: Vec<u32>,
    prompt: usize,
    decoder: Decoder,
    /// The text that was learned.
    source: PathBuf,
}

impl Generator {
    /// Loads a model file, or the last one of a run directory. With a cache nothing of a token is computed twice,
    /// where the layers can go on from one; the text is the same without.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has learned no text; those of reading a model.
    pub fn load(path: &Path, options: &Options, is_cached: bool) -> Result<Generator, Error> {
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
            DType::F64 => Generator::of::<f64>(&file, form, options, is_cached),
            _ => Generator::of::<f32>(&file, form, options, is_cached),
        }
    }

    fn of<T: Real>(
        file: &ModelFile,
        form: TextForm,
        options: &Options,
        is_cached: bool,
    ) -> Result<Generator, Error> {
        let network = described::<T>(file.path(), &file.job, &file.preparation, file.bytes())?;
        file.restore(&mut network.scope().store_mut())?;
        let options = recipe::options(&file.job, options).averaged(true);
        let source = match &file.job.data {
            job::Data::Text { path, .. } => path.clone(),
            _ => PathBuf::new(),
        };
        Generator::of_network(&network, form, &options, is_cached, source)
    }

    /// Of a network whose weights are in place.
    pub(super) fn of_network<T: Real>(
        network: &Network<T>,
        form: TextForm,
        options: &Options,
        is_cached: bool,
        source: PathBuf,
    ) -> Result<Generator, Error> {
        let logits = Logits::of(network, &form, options, is_cached)?;
        let end = form.vocabulary.number("\n").unwrap_or(0) as u32;
        Ok(Generator {
            logits,
            form,
            end,
            tokens: Vec::new(),
            prompt: 0,
            decoder: Decoder::default(),
            source,
        })
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
        // Where nothing is before it, a text begins as a line does.
        if self.form.every && self.tokens.is_empty() {
            self.tokens.insert(0, self.end);
        }
        self.prompt = self.tokens.len();
        self.decoder = Decoder::after(&self.tokens);
        self.logits.forget();
        Ok(())
    }

    /// The text that the next token completes; empty where it is a part of a character.
    ///
    /// # Errors
    /// [`Error::Usage`] where it cannot be drawn so; those of running the network.
    pub fn next(&mut self, sampling: &Sampling) -> Result<String, Error> {
        sampling.check()?;
        let end = self.end;
        // The beginning of the line, where lines were texts of their own.
        let line = match self.form.lines {
            true => self.tokens.iter().rposition(|&token| token == end).map_or(0, |at| at + 1),
            false => 0,
        };
        let logits = self.logits.after(&self.tokens[line..], &self.form, end)?;
        let token = sampling.draw(&logits, (self.tokens.len() - self.prompt) as u64);
        self.tokens.push(token as u32);
        self.decoder.push(&self.form.vocabulary, token as u32)
    }

    /// What is left when no further token follows: the beginning of a character, as U+FFFD.
    ///
    /// # Errors
    /// [`Error::Usage`] where it cannot be decoded.
    pub fn rest(&mut self) -> Result<String, Error> {
        self.decoder.finish(&self.form.vocabulary)
    }
}
