//! [`Trained`]: a model from a file, ready to answer, to draw and to be measured.

use super::file::{self, ModelFile, model_path};
use super::original;
use super::predictor::Predictor;
use crate::error::{Error, FileError, Place};
use crate::io::original::DataSet;
use crate::job::{self, Job, Layer};
use crate::loss::CrossEntropy;
use crate::nn::Summary;
use crate::picture::{Picture, SSIM_SIDE};
use crate::table::Field;
use crate::task::data::arrays::extension;
use crate::task::data::preparation::Preparation;
use crate::task::data::targets_within;
use crate::task::data::{drawn, dtype, load_picture};
use crate::task::recipe;
use crate::task::report::measures::Measures;
use crate::task::unsupervised::Fitted;
use crate::train::Evaluation;
use crate::{Dataset, Loss, Network, Options};
use ironlearn_ir::{Array, DType, Real};
use std::collections::BTreeMap;
use std::path::Path;

/// Rows for which a predictor from a file is made.
const ROWS: usize = 1024;

/// A trained model.
pub struct Trained {
    /// In ascending order of their rows.
    predictors: Vec<Predictor>,
    /// What answers in place of a network.
    fitted: Option<Fitted>,
    /// How rows become inputs and outputs answers.
    pub preparation: Preparation,
    /// The table of its layers.
    pub summary: Summary,
    /// The job that it was trained by; none for a model of the original program.
    pub job: Option<Job>,
    /// The loss of rows of a text, where it has learned one in floats.
    loss_of_text: Option<LossOfText>,
}

type LossOfText = Box<dyn Fn(&Dataset) -> Result<f64, Error>>;

impl Trained {
    /// Loads a model file, the last one of a run directory, or a model of the original program (`.json`).
    ///
    /// # Errors
    /// [`Error::File`] where the file is damaged or holds no model; [`Error::Io`]; [`Error::Memory`].
    pub fn load(path: &Path, options: &Options) -> Result<Trained, Error> {
        Trained::load_for(path, options, &[ROWS])
    }

    /// As [`Trained::load`], for so many rows at a time: answers are computed by the least of these numbers, given in
    /// ascending order, that holds the rows. More of them answer few rows sooner and take more memory; the bits of an
    /// answer do not depend on them.
    ///
    /// # Errors
    /// As [`Trained::load`].
    pub fn load_for(path: &Path, options: &Options, rows: &[usize]) -> Result<Trained, Error> {
        let path = model_path(path);
        if extension(&path) == "json" {
            return original::load(&path, options, rows);
        }
        let file = ModelFile::read(&path)?;
        if !file.job.model.is_network() {
            let fitted = Fitted::of(&file)?;
            let (summary, ModelFile { job, preparation, .. }) = (fitted.summary(), file);
            return Ok(Trained {
                predictors: Vec::new(),
                fitted: Some(fitted),
                preparation,
                summary,
                job: Some(job),
                loss_of_text: None,
            });
        }
        match dtype(&file.job) {
            DType::F64 => Trained::of::<f64>(file, options, rows),
            _ => Trained::of::<f32>(file, options, rows),
        }
    }

    fn of<T: Real>(file: ModelFile, options: &Options, rows: &[usize]) -> Result<Trained, Error> {
        let integers = file.integers()?;
        let room = if integers.is_some() { floats_of(file.bytes()) } else { file.bytes() };
        let network = described::<T>(file.path(), &file.job, &file.preparation, room)?;
        if let Some(model) = integers {
            let ModelFile { job, preparation, .. } = file;
            let of = |&rows: &usize| Predictor::of_integers(options, &model, &preparation, rows);
            let predictors = rows.iter().map(of).collect::<Result<_, _>>()?;
            return Ok(Trained {
                predictors,
                fitted: None,
                preparation,
                summary: network.summary().clone(),
                job: Some(job),
                loss_of_text: None,
            });
        }
        file.restore(&mut network.scope().store_mut())?;
        let ModelFile { job, preparation, .. } = file;
        let options = recipe::options(&job, options);
        let mut trained = Trained::new(&network, preparation, Some(job), &options, rows)?;
        if trained.preparation.text.is_some() {
            trained.loss_of_text = Some(Box::new(move |rows| {
                let loss = Loss::CrossEntropy(CrossEntropy::default());
                let options = options.clone().averaged(true);
                let mut evaluation = Evaluation::build(&options, &network, &loss, &[], rows)?;
                Ok(evaluation.run(rows)?.loss)
            }));
        }
        Ok(trained)
    }

    /// A model whose weights are in place.
    pub(in crate::task) fn new<T: Real>(
        network: &Network<T>,
        preparation: Preparation,
        job: Option<Job>,
        options: &Options,
        rows: &[usize],
    ) -> Result<Trained, Error> {
        // A model of a text goes on with texts, and answers no rows: no memory for many.
        let rows = if preparation.text.is_some() { &[1] } else { rows };
        let dtype = network.input_dtype();
        let of = |&rows: &usize| Predictor::build(options, network, &preparation, dtype, rows);
        let predictors = rows.iter().map(of).collect::<Result<_, _>>()?;
        let summary = network.summary().clone();
        Ok(Trained { predictors, fitted: None, preparation, summary, job, loss_of_text: None })
    }

    /// The predictor for so many rows.
    fn predictor(&mut self, rows: usize) -> Result<&mut Predictor, Error> {
        let last = self.predictors.len().saturating_sub(1);
        let place = self.predictors.iter().position(|predictor| predictor.rows() >= rows).unwrap_or(last);
        let none = || Error::usage("a model for no number of rows", "name one row at least");
        self.predictors.get_mut(place).ok_or_else(none)
    }

    /// The type of the inputs as the network takes them: whole numbers where it begins with an embedding, codes where
    /// it computes in integers.
    pub fn input_dtype(&self) -> DType {
        self.predictors.first().map_or(DType::F64, Predictor::input_dtype)
    }

    /// The answers for raw rows `[rows, columns]` of `f64`: `[rows, outputs]` of `f64`, scaled back, and
    /// probabilities for logits; what a model without a network answers is said at [`Reading`](crate::task::Reading).
    pub fn answers(&mut self, rows: &Array) -> Result<Array, Error> {
        if let Some(fitted) = &self.fitted {
            return fitted.answers(&self.preparation, rows);
        }
        let count = rows.shape().first().copied().unwrap_or(0);
        self.predictor(count)?.answers(rows)
    }

    /// What the model draws at this size.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has learned no picture; [`Error::Memory`].
    pub fn draw(&mut self, width: usize, height: usize) -> Result<Picture, Error> {
        match self.preparation.canvas {
            Some(canvas) => {
                let levels = self.predictor(width.saturating_mul(height))?.levels(width, height)?;
                canvas.sized(width, height).picture(levels)
            }
            None => Err(Error::usage(
                "the model has learned no picture, so it draws none",
                "give it rows instead: --input FILE",
            )),
        }
    }

    /// Measures of the model on a file: for a model that draws a picture, or the data set of one; for others a
    /// data set, of which the test part is taken where there is one.
    ///
    /// # Errors
    /// [`Error::File`] where the file does not hold what the model was trained on; [`Error::Io`].
    pub fn evaluate(&mut self, path: &Path) -> Result<Measures, Error> {
        self.evaluate_on(path, None)
    }

    /// The same; or on the rows of one file with the targets of another, such as two of NumPy's `.npy`.
    ///
    /// # Errors
    /// As [`Trained::evaluate`]; [`Error::Usage`] where the data have targets already.
    pub fn evaluate_on(&mut self, path: &Path, targets: Option<&Path>) -> Result<Measures, Error> {
        if let (Some(fitted), Some(job)) = (&self.fitted, &self.job) {
            return fitted.evaluate(job, &self.preparation, path, targets);
        }
        if targets.is_some() && (self.preparation.text.is_some() || self.preparation.canvas.is_some()) {
            return Err(targets_within(path));
        }
        if let (Some(text), Some(loss_of)) = (&self.preparation.text, &self.loss_of_text) {
            let (rows, bytes_per_token) = text.read(path)?;
            let loss = loss_of(&rows)?;
            let values = [vec![("loss".into(), loss)], text.measures_with(loss, bytes_per_token)].concat();
            return Ok(Measures { values, ..Measures::default() });
        }
        if self.preparation.text.is_some() {
            let problem = "a network of integers that has learned a text is not measured yet";
            return Err(Error::usage(problem, "name the model of floats that it was made of"));
        }
        let Some(canvas) = self.preparation.canvas else {
            let (rows, targets) = self.preparation.read_examples(path, targets)?;
            let answers = self.answers(&rows)?;
            let (answers, targets) = (answers.as_slice::<f64>(), targets.as_slice::<f64>());
            let (answers, targets) = (answers.unwrap_or_default(), targets.unwrap_or_default());
            return Measures::of(self.preparation.reading, self.preparation.labels.names(), answers, targets);
        };
        let source = match &self.job {
            _ if extension(path) == "json" => drawn(path, &DataSet::read(path)?)?,
            Some(job) => load_picture(&without_size(&job.data), path)?,
            None => Picture::read(path)?,
        };
        let source = source.with_channels(canvas.channels)?;
        let drawn = self.draw(source.width(), source.height())?;
        let mut measures = measures_of_drawing(&drawn, &source)?;
        // Not after each epoch: of a large picture it takes as long as many steps.
        if source.width().min(source.height()) >= SSIM_SIDE {
            measures.values.push(("ssim".into(), drawn.ssim(&source)?));
        }
        Ok(measures)
    }
}

/// The table of layers of the model in a checkpoint with these texts; none where they describe no model of
/// Iron Learn.
///
/// # Errors
/// As [`ModelFile::read`] for the texts.
pub fn summary(path: &Path, texts: &BTreeMap<String, String>) -> Result<Option<Summary>, Error> {
    let Some((job, preparation)) = file::description(path, texts)? else { return Ok(None) };
    if !job.model.is_network() {
        return Ok(Some(Fitted::of(&ModelFile::read(path)?)?.summary()));
    }
    let bytes = std::fs::metadata(path).map_err(Error::io(path, "open"))?.len();
    let integers = texts.contains_key(crate::quant::model::KEY);
    let room = if integers { floats_of(bytes) } else { bytes };
    let network = described::<f32>(path, &job, &preparation, room)?;
    Ok(Some(network.summary().clone()))
}

/// The columns that a model of a table takes, of a checkpoint with these texts; none of other models.
///
/// # Errors
/// As [`ModelFile::read`] for the texts.
pub fn columns(path: &Path, texts: &BTreeMap<String, String>) -> Result<Vec<Field>, Error> {
    let described = file::description(path, texts)?;
    Ok(described
        .and_then(|(_, preparation)| preparation.encoding)
        .map_or(Vec::new(), |encoding| encoding.fields))
}

/// The data of a job without their scaling to another size: a picture is compared in its own.
fn without_size(data: &job::Data) -> job::Data {
    match data.clone() {
        job::Data::Picture { picture, colour, .. } => job::Data::Picture { picture, colour, resize: None },
        other => other,
    }
}

/// PSNR in decibels, and the mean squared error with white at 1, both of 8-bit levels.
pub(in crate::task) fn measures_of_drawing(drawn: &Picture, source: &Picture) -> Result<Measures, Error> {
    let mse = drawn.mse(source)? / (255.0 * 255.0);
    let values = vec![("psnr".into(), drawn.psnr(source)?), ("mse".into(), mse)];
    Ok(Measures { values, ..Measures::default() })
}

/// The most bytes of the floats that so many bytes of integers were made of: each weight had up to eight, and batch
/// norms are in the weights.
fn floats_of(bytes: u64) -> u64 {
    bytes.saturating_mul(16).saturating_add(1 << 16)
}

/// The network that a model file describes, for the weights of which it has so many bytes.
pub(in crate::task) fn described<T: Real>(
    path: &Path,
    job: &Job,
    preparation: &Preparation,
    bytes: u64,
) -> Result<Network<T>, Error> {
    network(job, preparation, bytes).map_err(|e| match e {
        Error::Usage { problem, .. } => FileError::new(path, problem)
            .at(Place::Key("__metadata__.job".into()))
            .hint("the file was changed, or is from another version of Iron Learn: use another copy")
            .into(),
        other => other,
    })
}

/// The network of a job, of which weights and the like take no more than so many bytes.
pub(in crate::task) fn network<T: Real>(
    job: &Job,
    preparation: &Preparation,
    bytes: u64,
) -> Result<Network<T>, Error> {
    let specs = recipe::layers(&job.network.layers, preparation.outputs, preparation.vocabulary())?;
    let network = Network::from_specs_within(preparation.input_shape(), &specs, job.train.seed, bytes)?;
    let outputs = network.outputs().elements();
    if outputs != preparation.outputs_of_row() {
        return Err(Error::usage(
            format!("the network gives {outputs} numbers for a row, the data have {}", preparation.outputs),
            last_layer_hint(&job.network.layers),
        ));
    }
    Ok(network)
}

fn last_layer_hint(layers: &[Layer]) -> &'static str {
    match layers.last() {
        Some(Layer::Linear { .. }) => "make the last layer { linear = \"targets\" }",
        _ => "let the last layer with weights be { linear = \"targets\" }",
    }
}
