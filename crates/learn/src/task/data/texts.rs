//! Jobs that learn a text: rows of tokens, and for each the token that follows.

use super::preparation::Preparation;
use super::raw::given;
use super::reading::Reading;
use super::{Data, Truth, by_heart, dtype};
use crate::data::picked;
use crate::error::{Error, FileError};
use crate::io::read;
use crate::job::{self, Job, Loss};
use crate::task::recipe::{self, integers};
use crate::task::run::train::room;
use crate::text::{Unit, Vocabulary};
use crate::{Dataset, Network};
use ironlearn_ir::{Array, DType, Real, memory};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A text that was learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextForm {
    /// Its tokens.
    pub vocabulary: Vocabulary,
    /// How many tokens the network sees.
    pub context: usize,
    /// Whether it says for each of them what follows, or for the last alone.
    pub every: bool,
    /// Whether each line was a text of its own.
    pub lines: bool,
    /// Bytes of UTF-8 of a token of the rows that losses are measured on, on average.
    pub bytes_per_token: f64,
}

impl TextForm {
    /// What in a form from a file contradicts itself, if anything does.
    pub(in crate::task) fn check(&self, columns: usize, outputs: usize) -> Result<(), String> {
        self.vocabulary.check()?;
        if (self.context, self.vocabulary.len()) != (columns, outputs) {
            return Err(format!("a text of {} tokens in rows of {}", self.vocabulary.len(), self.context));
        }
        Ok(())
    }

    /// The rows of another text, and its bytes of a token.
    ///
    /// # Errors
    /// [`Error::File`] where it is too short, or has a token that was not learned; [`Error::Io`].
    pub(in crate::task) fn read(&self, path: &Path) -> Result<(Dataset, f64), Error> {
        let text = read::text(path)?;
        let windows = Windows { context: self.context, every: self.every, lines: self.lines };
        let rows = windows.rows(path, &self.vocabulary, &text)?;
        let short = || FileError::new(path, "the text is too short").hint("give more than a context of it");
        Ok((rows.ok_or_else(short)?, text.len() as f64 / self.vocabulary.count(&text)?.max(1) as f64))
    }

    /// Perplexity and bits per byte for a mean cross-entropy in nats.
    pub(in crate::task) fn measures(&self, loss: f64) -> Vec<(String, f64)> {
        self.measures_with(loss, self.bytes_per_token)
    }

    /// The same for a text with so many bytes of a token.
    pub(in crate::task) fn measures_with(&self, loss: f64, bytes_per_token: f64) -> Vec<(String, f64)> {
        let bits = loss / std::f64::consts::LN_2 / bytes_per_token;
        vec![("perplexity".into(), loss.exp()), ("bits_per_byte".into(), bits)]
    }
}

/// The rows of a job on a text.
///
/// # Errors
/// [`Error::File`] where the text is too short; [`Error::Usage`] where network and text do not go together.
pub(in crate::task) fn load(job: &Job) -> Result<Data, Error> {
    let job::Data::Text { path, tokens, tokenizer, context, lines } = &job.data else {
        return Err(Error::usage("the data are no text", "set data.kind = \"text\""));
    };
    if !matches!(job.loss, Loss::CrossEntropy { .. }) {
        return Err(Error::usage(
            "a text is learned by the loss \"cross_entropy\"",
            "set loss.kind = \"cross_entropy\"",
        ));
    }
    let refused = |what: &str| Err(Error::usage(format!("{what} has no form for a text"), "leave it out"));
    if integers::asked(job) {
        return refused("train.arithmetic = \"integer\"");
    }
    if job.train.folds > 0 {
        return refused("train.folds");
    }
    if job.train.stratified {
        return refused("train.stratified");
    }
    if *lines && given(tokenizer).is_some() {
        return Err(Error::usage(
            "data.lines = true is for texts of letters: a token of data.tokenizer may go on beyond the end of a line",
            "leave out one of them",
        ));
    }
    let text = read::text(path)?;
    let vocabulary = match (given(tokenizer), tokens) {
        (Some(tokenizer), _) => Vocabulary::of_tokenizer(tokenizer)?,
        (None, job::Tokens::Characters) => Vocabulary::of(&text, Unit::Character),
        (None, job::Tokens::Graphemes) => Vocabulary::of(&text, Unit::Grapheme),
    };
    let every = is_every(job, *context, vocabulary.len())?;
    if every && *lines {
        return Err(Error::usage(
            "data.lines = true is for networks that say what follows the last token, this one says it for each",
            "set data.lines = false, or let the network end with \"flatten\" or { gru = …, last = true } and a linear layer",
        ));
    }
    let parts = if *lines { by_lines(job, &text)? } else { by_place(job, &text, *context) };
    let (train, validation) = parts;
    let short =
        |problem: &str| FileError::new(path, problem).hint("give a longer text, or a smaller data.context");
    let windows = Windows { context: *context, every, lines: *lines };
    let train = windows.rows(path, &vocabulary, &train)?.ok_or_else(|| short("the text is too short"))?;
    let measured = validation.as_deref().unwrap_or(&text);
    let bytes_per_token = measured.len() as f64 / vocabulary.count(measured)?.max(1) as f64;
    let validation = match validation {
        None => None,
        Some(text) => Some(
            windows
                .rows(path, &vocabulary, &text)?
                .ok_or_else(|| short("nothing is left of the text for validation"))?,
        ),
    };
    let (train, validation) = match by_heart(job)? {
        Some(rows) => (train.beginning(rows)?, None),
        None => (train, validation),
    };
    let outputs = vocabulary.len();
    let form = TextForm { vocabulary, context: *context, every, lines: *lines, bytes_per_token };
    let preparation =
        Preparation { text: Some(form), ..Preparation::new(*context, outputs, Reading::ClassLogits) };
    Ok(Data { preparation, train, validation, truth: Truth::Loss, cautions: vec![] })
}

/// Whether the network of a job says for each token what follows.
fn is_every(job: &Job, context: usize, vocabulary: usize) -> Result<bool, Error> {
    match dtype(job) {
        DType::F64 => is_every_as::<f64>(job, context, vocabulary),
        _ => is_every_as::<f32>(job, context, vocabulary),
    }
}

fn is_every_as<T: Real>(job: &Job, context: usize, vocabulary: usize) -> Result<bool, Error> {
    let specs = recipe::layers(&job.network.layers, vocabulary, Some(vocabulary))?;
    let network = Network::<T>::from_specs_within([context], &specs, job.train.seed, room())?;
    match network.outputs().dims() {
        [classes] if *classes == vocabulary => Ok(false),
        [places, classes] if (*places, *classes) == (context, vocabulary) => Ok(true),
        other => Err(Error::usage(
            format!(
                "the network gives {other:?} for a row, a text of {vocabulary} tokens wants [{vocabulary}] or [{context}, {vocabulary}]"
            ),
            "begin with { embedding = … } and end with { linear = \"targets\" }",
        )),
    }
}

/// Two parts of a text: the beginning, and the share for validation at its end.
fn by_place(job: &Job, text: &str, context: usize) -> (String, Option<String>) {
    let share = job.train.validation;
    if share == 0.0 {
        return (text.to_owned(), None);
    }
    let count = text.chars().count();
    let first = count - ((share * count as f64).round() as usize).max(context + 1).min(count);
    let at = text.char_indices().nth(first).map_or(text.len(), |(at, _)| at);
    (text[..at].to_owned(), Some(text[at..].to_owned()))
}

/// Two parts of a text: of its lines the share for validation is picked by the seed.
fn by_lines(job: &Job, text: &str) -> Result<(String, Option<String>), Error> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let all = |lines: &mut dyn Iterator<Item = &str>| lines.flat_map(|line| [line, "\n"]).collect::<String>();
    let share = job.train.validation;
    if share == 0.0 {
        return Ok((all(&mut lines.iter().copied()), None));
    }
    let is_picked = picked(job.train.seed, lines.len(), share)?;
    let part = |picked: bool| {
        let mut chosen = lines.iter().zip(&is_picked).filter(|(_, is)| **is == picked).map(|(line, _)| *line);
        all(&mut chosen)
    };
    Ok((part(false), Some(part(true))))
}

/// How rows are cut out of a text.
struct Windows {
    context: usize,
    every: bool,
    lines: bool,
}

impl Windows {
    /// Inputs `[rows, context]`, and targets of the same shape or `[rows]`; none where the text is too short.
    ///
    /// Where each token has a target rows follow each other without overlap. Where the last one has, each token of the
    /// text is a target once, and what is before a text is its line end.
    fn rows(&self, path: &Path, vocabulary: &Vocabulary, text: &str) -> Result<Option<Dataset>, Error> {
        let tokens = vocabulary.encode(text).map_err(|e| FileError::new(path, e.to_string()))?;
        let context = self.context;
        let rows = if self.every { tokens.len().saturating_sub(1) / context } else { tokens.len() };
        if rows == 0 {
            return Ok(None);
        }
        let mut inputs: Vec<i64> = memory::room(rows * context, "the text in rows")?;
        let mut targets: Vec<i64> =
            memory::room(if self.every { rows * context } else { rows }, "the text in rows")?;
        if self.every {
            inputs.extend(tokens[..rows * context].iter().map(|&t| i64::from(t)));
            targets.extend(tokens[1..=rows * context].iter().map(|&t| i64::from(t)));
        } else {
            let end = vocabulary.number("\n").unwrap_or(0) as i64;
            let mut line = 0;
            for (at, &token) in tokens.iter().enumerate() {
                let begin = if self.lines { line } else { 0 };
                let before = |back: usize| at.checked_sub(back).filter(|&i| i >= begin);
                inputs.extend(
                    (1..=context).rev().map(|back| before(back).map_or(end, |i| i64::from(tokens[i]))),
                );
                targets.push(i64::from(token));
                if i64::from(token) == end {
                    line = at + 1;
                }
            }
        }
        let shape: &[usize] = if self.every { &[rows, context] } else { &[rows] };
        let array = |shape: &[usize], values| {
            Array::of(shape, values).map_err(|e| Error::usage(e, "use a shorter text"))
        };
        Dataset::new(array(&[rows, context], inputs)?, array(shape, targets)?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load(text: &str, set: &[&str]) -> Result<Data, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, text).unwrap();
        let mut all = vec!["data.kind=text".into(), format!("data.path={}", path.display())];
        all.push("loss.kind=cross_entropy".into());
        all.extend(set.iter().map(|s| s.to_string()));
        super::load(&Job::parse("", &all).unwrap())
    }

    fn rows(data: &Dataset) -> (Vec<i64>, Vec<i64>) {
        let (x, y) = data.arrays().unwrap();
        (x.as_slice::<i64>().unwrap().to_vec(), y.as_slice::<i64>().unwrap().to_vec())
    }

    const LAST: &str = "network.layers=[{ embedding = 2 }, \"flatten\", { linear = \"targets\" }]";
    const EVERY: &str = "network.layers=[{ embedding = 2 }, { linear = \"targets\" }]";

    #[test]
    fn each_token_is_predicted_from_those_before_it() {
        let data = load("abcab", &["data.context=2", EVERY]).unwrap();
        assert_eq!(rows(&data.train), (vec![0, 1, 2, 0], vec![1, 2, 0, 1]));
        assert!(data.preparation.text.as_ref().unwrap().every);
        // Line ends are token 0, and stand before the beginning.
        let data = load("ab\nb\n", &["data.context=2", LAST, "data.lines=true"]).unwrap();
        let (x, y) = rows(&data.train);
        assert_eq!(x, [0, 0, 0, 1, 1, 2, 0, 0, 0, 2]);
        assert_eq!(y, [1, 2, 0, 2, 0]);
        let stream = load("ab\nb\n", &["data.context=2", LAST]).unwrap();
        assert_eq!(rows(&stream.train).0, [0, 0, 0, 1, 1, 2, 2, 0, 0, 2]);
    }

    #[test]
    fn the_end_or_some_lines_are_set_apart() {
        let text = "abcdefghij".repeat(10);
        let data = load(&text, &["data.context=4", EVERY, "train.validation=0.2"]).unwrap();
        assert_eq!((data.train.rows(), data.validation.unwrap().rows()), (19, 4));
        let names: String = (0..20).map(|i| format!("n{i}\n")).collect();
        let data =
            load(&names, &["data.context=4", LAST, "data.lines=true", "train.validation=0.1"]).unwrap();
        let tokens = data.train.rows() + data.validation.as_ref().unwrap().rows();
        assert_eq!(tokens, names.len());
        let ends = |part: &Dataset| rows(part).1.iter().filter(|&&t| t == 0).count();
        assert_eq!((ends(&data.train), ends(&data.validation.unwrap())), (18, 2));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (set, expected) in [
            (vec!["data.context=2", EVERY, "data.lines=true"], "data.lines = true is for networks"),
            (
                vec!["data.context=2", "network.layers=[{ embedding = 2 }, { linear = 5 }]"],
                "[2, 5] for a row",
            ),
            (vec!["data.context=20", EVERY], "too short"),
            (vec!["data.context=2", EVERY, "loss.kind=mse"], "cross_entropy"),
            (vec!["data.context=2", EVERY, "train.arithmetic=integer"], "no form for a text"),
            (vec!["data.context=2", EVERY, "train.stratified=true"], "train.stratified has no form"),
        ] {
            let error = load("ab\nb\n", &set).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
