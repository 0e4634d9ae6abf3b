//! [`Data`]: what a job learns, loaded and prepared.

pub(super) mod arrays;
pub(super) mod canvas;
mod cautions;
pub(super) mod identity;
pub(super) mod images;
mod making;
mod named;
pub(super) mod preparation;
mod raw;
pub(super) mod reading;
pub(super) mod scaling;
mod streamed;
pub(super) mod texts;
pub(super) mod without_network;

use crate::data::{Apart, Dataset, batch_of};
use crate::error::{Error, FileError, Place};
use crate::io::original::DataSet;
use crate::job::{self, Batch, Colour, Dtype, Inputs, Job, Layer, Targets, Task};
use crate::picture::Picture;
use crate::table::{Draft, Encoding};
use crate::task::data::canvas::{Canvas, Style};
use crate::task::recipe::integers;
use arrays::Arrays;
use ironlearn_ir::{Array, DType, memory};
use making::Making;
pub(in crate::task) use making::check_indices;
use preparation::{Preparation, rows_of};
use raw::Raw;
pub(in crate::task) use raw::targets_within;
use reading::Reading;
use scaling::Scaling;
use std::path::Path;

/// What a job learns.
#[derive(Clone, Debug)]
pub struct Data {
    /// How rows became inputs.
    pub preparation: Preparation,
    /// What the network is trained on.
    pub train: Dataset,
    /// What it is judged by, where a part is set apart.
    pub validation: Option<Dataset>,
    /// What its answers are compared with.
    pub truth: Truth,
    /// What is to be said of them before they are learned.
    pub cautions: Vec<String>,
}

/// What answers are compared with.
#[derive(Clone, Debug)]
pub enum Truth {
    /// The picture that is learned.
    Picture(Picture),
    /// Raw rows and targets, both `f64`: of the validation part, or of all where there is none.
    Rows(Array, Array),
    /// Raw rows and targets of the validation part, both `f64`, that stay in their files.
    Filed(Dataset),
    /// Nothing: the loss says all, as it does of texts.
    Loss,
}

impl Truth {
    /// A raw row of so many numbers; nothing where answers are not compared with rows.
    pub(in crate::task) fn row(&self, row: usize, columns: usize) -> Result<Vec<f64>, Error> {
        match self {
            Truth::Rows(rows, _) => {
                let rows = rows.as_slice::<f64>().unwrap_or_default();
                Ok(rows.get(row * columns..(row + 1) * columns).unwrap_or_default().to_vec())
            }
            Truth::Filed(part) => {
                let [mut x, mut y] = batch_of(&part.types(1))?;
                part.read(row, &mut x, &mut y)?;
                Ok(x.as_slice::<f64>().unwrap_or_default().to_vec())
            }
            Truth::Picture(_) | Truth::Loss => Ok(Vec::new()),
        }
    }
}

impl Data {
    /// Loads the data of a job.
    ///
    /// # Errors
    /// [`Error::File`] naming file, place and what was found where a file does not hold what it should;
    /// [`Error::Io`]; [`Error::Usage`] where data, task and loss do not go together.
    pub fn load(job: &Job) -> Result<Data, Error> {
        let mut data = Data::read(job).map_err(job::without_data_folder)?;
        data.cautions.extend(cautions::unused(job));
        Ok(data)
    }

    /// How many rows there are, and of what.
    pub(in crate::task) fn sizes(&self) -> String {
        let axes = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let rows = self.train.rows();
        let validation = match &self.validation {
            Some(part) => format!(", {} for validation", part.rows()),
            None => String::new(),
        };
        format!("{rows} rows to learn from{validation}, inputs {}", axes(&self.preparation.input_shape()))
    }

    fn read(job: &Job) -> Result<Data, Error> {
        without_network::check(job)?;
        if let job::Data::Picture { picture, .. } = &job.data {
            let source = load_picture(&job.data, picture)?;
            return of_picture(job, source, Style::Square);
        }
        if let job::Data::Text { .. } = &job.data {
            return texts::load(job);
        }
        let reading = Reading::of(job)?;
        if let Some(memory) = job.data.memory() {
            return streamed::load(job, reading, memory);
        }
        let raw = match &job.data {
            _ if !job.model.is_network() => without_network::load(job, reading)?,
            job::Data::Table { .. } => named::load(&job.data, reading)?,
            job::Data::Images { .. } => images::load(&job.data)?,
            data => {
                let arrays = Arrays::open(data)?;
                if data.is_picture() {
                    let path = arrays.path().to_owned();
                    return of_picture(job, drawn(&path, &arrays.whole()?)?, Style::Ink);
                }
                arrays.raw(reading, data.shape())?
            }
        };
        of_rows(job, reading, raw)
    }
}

/// The picture of a file, or the built-in one where the path is empty, in the size and colours of the job.
pub(in crate::task) fn load_picture(data: &job::Data, path: &Path) -> Result<Picture, Error> {
    let picture = if path.as_os_str().is_empty() { Picture::builtin() } else { Picture::read(path)? };
    let job::Data::Picture { resize, colour, .. } = data else { return Ok(picture) };
    let picture = match colour {
        Colour::Auto => picture,
        Colour::Grey => picture.with_channels(1)?,
        Colour::Rgb => picture.with_channels(3)?,
    };
    match *resize {
        Some([width, height]) => picture.resized(width, height),
        None => Ok(picture),
    }
}

fn of_picture(job: &Job, source: Picture, style: Style) -> Result<Data, Error> {
    if job.train.overfit_batches > 0 {
        return Err(Error::usage(
            "train.overfit_batches is for rows, and a picture is drawn as a whole",
            "leave it out",
        ));
    }
    let (width, height, channels) = (source.width(), source.height(), source.channels());
    let canvas = Canvas { width, height, channels, style };
    let preparation =
        Preparation { canvas: Some(canvas), ..Preparation::new(2, channels, Reading::of(job)?) };
    let inputs = rows_of(dtype(job), canvas.area(), canvas.inputs(), |i, row| canvas.write_input(i, row))?;
    let targets = rows_of(dtype(job), canvas.area(), channels, |i, row| {
        let levels = &source.pixels()[i * channels..];
        row.iter_mut().zip(levels).for_each(|(x, &level)| *x = canvas.output(level));
    })?;
    let (train, validation) = set_apart(job, Dataset::new(inputs, targets)?)?;
    Ok(Data { preparation, train, validation, truth: Truth::Picture(source), cautions: vec![] })
}

/// The picture in a data set whose rows are positions, (x, y) each, and whose targets are ink.
pub(in crate::task) fn drawn(path: &Path, data: &DataSet) -> Result<Picture, Error> {
    let wrong = |problem: &str, key: &str| FileError::new(path, problem).at(Place::Key(key.into()));
    let (Some(x), Some(y)) = (data.x.as_slice::<f64>(), data.y.as_slice::<f64>()) else {
        return Err(wrong("no numbers", "x").into());
    };
    if data.x.shape()[1] != 2 {
        return Err(wrong("positions in a picture have two columns", "n")
            .found(format!("{} columns", data.x.shape()[1]))
            .hint("set data.inputs = \"standardised\" for other data")
            .into());
    }
    let side = |axis: usize| x.iter().skip(axis).step_by(2).copied().fold(0.0, f64::max) as usize + 1;
    let (width, height) = (side(0), side(1));
    let canvas = Canvas { width, height, channels: 1, style: Style::Ink };
    canvas.check_positions(path, x)?;
    if width.checked_mul(height) != Some(y.len()) {
        return Err(wrong("the positions do not fill a picture", "m")
            .found(format!("{} rows for {width}×{height} pixels", y.len()))
            .hint("give each pixel of the picture once")
            .into());
    }
    let mut levels = memory::filled(None, y.len(), "a picture")?;
    for (i, (at, &ink)) in x.chunks_exact(2).zip(y).enumerate() {
        if !(0.0..=1.0).contains(&ink) {
            let problem = format!("target {i} is not within 0 and 1");
            return Err(wrong(&problem, &format!("y[{i}]")).found(ink.to_string()).into());
        }
        levels[at[1] as usize * width + at[0] as usize] = Some(canvas.level(ink));
    }
    match levels.iter().position(Option::is_none) {
        Some(pixel) => Err(wrong("a pixel is missing, as another is there twice", "x")
            .found(format!("no row for ({}, {})", pixel % width, pixel / width))
            .hint("give each pixel of the picture once")
            .into()),
        None => {
            let mut pixels = memory::room(levels.len(), "a picture")?;
            pixels.extend(levels.into_iter().flatten());
            canvas.picture(pixels)
        }
    }
}

fn of_rows(job: &Job, reading: Reading, raw: Raw) -> Result<Data, Error> {
    let cautions = if job.model.is_network() { cautions::of(&raw) } else { vec![] };
    let Raw { x, y, test, form } = raw;
    let columns = x.shape()[1];
    let (mut train, mut validation) = set_apart(job, Dataset::new(x, y)?)?;
    let mut test = test;
    if let Some(rows) = by_heart(job)? {
        (train, validation, test) = (train.beginning(rows)?, None, None);
    }
    let mut encoding = None;
    if let Some(draft) = &form.draft {
        let learned = draft.fit(held(&train)?.0.as_slice().unwrap_or_default())?;
        train = recoded(draft, &learned, train)?;
        validation = validation.map(|part| recoded(draft, &learned, part)).transpose()?;
        encoding = Some(learned);
    }
    if let (None, Some((x, y))) = (&validation, test) {
        validation = Some(Dataset::new(x, y)?);
    }
    let (x, y) = held(&train)?;
    let mut preparation = Preparation {
        encoding,
        names: job.data.array_names().unwrap_or_default().to_vec(),
        labels: form.labels,
        target: form.target,
        shape: form.shape,
        images: form.images,
        ..Preparation::new(columns, form.outputs, reading)
    };
    preparation.input_scaling = input_scaling(job, &preparation, x.as_slice().unwrap_or_default());
    if job.data.preparation().1 == Targets::Standardised {
        preparation.target_scaling = Some(Scaling::of(y.as_slice().unwrap_or_default(), 1));
    }
    if integers::asked(job) {
        train.check_finite()?;
        validation.as_ref().map_or(Ok(()), Dataset::check_finite)?;
        if !takes_whole_numbers(job) {
            preparation.input_exponent = Some(exponent(&preparation, x.as_slice().unwrap_or_default()));
        }
    }
    let (x, y) = held(validation.as_ref().unwrap_or(&train))?;
    let copy = |a: &Array| a.view().try_to_array("the rows that answers are compared with");
    let truth = Truth::Rows(copy(x)?, copy(y)?);
    let making = Making::of(job, &preparation);
    let whole = if validation.is_some() { "the rows to learn from" } else { "the rows" };
    let of_validation = |part: &Dataset| made(&making, part, "the rows for validation");
    let (train, validation) =
        (made(&making, &train, whole)?, validation.as_ref().map(of_validation).transpose()?);
    Ok(Data { preparation, train, validation, truth, cautions })
}

/// The rows of a draft with the words and the filling that were learned.
fn recoded(draft: &Draft, encoding: &Encoding, part: Dataset) -> Result<Dataset, Error> {
    let (x, y) = held(&part)?;
    let copy = |a: &Array| a.view().try_to_array("the rows as numbers");
    let (mut x, y) = (copy(x)?, copy(y)?);
    draft.recode(encoding, x.as_slice_mut().unwrap_or_default())?;
    Dataset::new(x, y)
}

/// What raw rows for training say about the scaling of inputs; inputs of words are left as they are.
fn input_scaling(job: &Job, preparation: &Preparation, x: &[f64]) -> Option<Scaling> {
    let columns = preparation.columns;
    match job.data.preparation().0 {
        _ if takes_whole_numbers(job) => None,
        Inputs::Raw | Inputs::Coordinates => None,
        Inputs::StandardisedAsOne => Some(Scaling::of(x, 1).repeated(columns)),
        Inputs::Standardised => {
            let scaling = Scaling::of(x, columns);
            match &preparation.encoding {
                None => Some(scaling),
                Some(encoding) => Some(scaling.picked(&encoding.numbers())),
            }
        }
    }
}

/// A part of a data set as the network sees it; `what` it is, for messages.
fn made(making: &Making, part: &Dataset, what: &str) -> Result<Dataset, Error> {
    let (x, y) = held(part)?;
    let [x, y] = [x, y].map(|a| a.as_slice::<f64>().unwrap_or_default());
    let [inputs, targets] = making.make(0, x, y).map_err(|error| match error {
        Error::Usage { problem, hint } => Error::usage(format!("of {what}, {problem}"), hint),
        other => other,
    })?;
    Dataset::new(inputs, targets)
}

/// The exponent for inputs in integers, by as many rows as make a good sample.
fn exponent(preparation: &Preparation, x: &[f64]) -> i32 {
    let columns = preparation.columns.max(1);
    let rows = x.len() / columns;
    let distance = (x.len() / integers::SAMPLE).max(1);
    let inputs = preparation.inputs();
    let mut sample = vec![0.0; rows.div_ceil(distance) * inputs];
    for (row, out) in (0..rows).step_by(distance).zip(sample.chunks_exact_mut(inputs)) {
        preparation.write_input(&x[row * columns..(row + 1) * columns], out);
    }
    integers::exponent_of(&sample)
}

fn held(data: &Dataset) -> Result<(&Array, &Array), Error> {
    data.arrays().ok_or_else(|| Error::usage("a table is read whole", "load it with Dataset::new"))
}

/// How many rows a job learns by heart, where it does.
pub(in crate::task) fn by_heart(job: &Job) -> Result<Option<usize>, Error> {
    match (job.train.overfit_batches, job.train.batch) {
        (0, _) => Ok(None),
        (count, Batch::Rows(rows)) => Ok(Some(rows.saturating_mul(count))),
        (_, Batch::Full) => Err(Error::usage(
            "train.overfit_batches counts batches, and with train.batch = \"full\" there is one",
            "set train.batch to a number of rows, such as 32",
        )),
    }
}

/// The rows that a job sets apart, where it does, and how it says so.
fn asked_apart(job: &Job) -> Result<Option<(Apart, String)>, Error> {
    let job::Training { validation: share, folds, fold, .. } = job.train;
    match folds {
        0 if share == 0.0 => Ok(None),
        0 => Ok(Some((Apart::Share(share), format!("train.validation = {share}")))),
        _ if share > 0.0 => {
            Err(Error::usage("train.validation and train.folds both set rows apart", "leave one of them out"))
        }
        folds if fold > folds => {
            let problem = format!("train.fold = {fold}, and there are {folds}");
            Err(Error::usage(problem, format!("give a number from 1 to {folds}")))
        }
        folds => Ok(Some((Apart::Fold { number: fold - 1, of: folds }, format!("train.folds = {folds}")))),
    }
}

/// The validation part of the job, where it has one.
fn set_apart(job: &Job, data: Dataset) -> Result<(Dataset, Option<Dataset>), Error> {
    let Some((apart, key)) = asked_apart(job)? else { return Ok((data, None)) };
    let parts = match job.train.stratified {
        false => data.split(apart, job.train.seed)?,
        true if job.data.task() == Task::Regression => {
            return Err(Error::usage(
                "train.stratified is for classes, and the targets of the job are quantities",
                "leave it out",
            ));
        }
        true => data.split_stratified(apart, job.train.seed)?,
    };
    match parts {
        Some((train, validation)) => Ok((train, Some(validation))),
        None if data.arrays().is_none() => Err(Error::usage(
            format!("{key} leaves nothing of {} rows to learn, or to judge by", data.rows()),
            "rows that stay in their files are set apart in blocks: use other shares, more data, or leave out data.memory",
        )),
        None => Err(Error::usage(
            format!("{key} leaves nothing of {} rows to learn, or to judge by", data.rows()),
            "set a smaller part apart, or use more data",
        )),
    }
}

pub(in crate::task) fn takes_whole_numbers(job: &Job) -> bool {
    matches!(job.network.layers.first(), Some(Layer::Embedding { .. }))
}

/// The element type of weights, inputs and targets.
pub(in crate::task) fn dtype(job: &Job) -> DType {
    match job.train.dtype {
        _ if !job.model.is_network() => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
    }
}
