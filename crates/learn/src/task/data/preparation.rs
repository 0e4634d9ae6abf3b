//! [`Preparation`]: how raw rows become inputs of a network and its outputs answers. Travels in the model file.

use super::arrays::{Arrays, array, extension, is_array, joined, wide};
use super::reading::Reading;
use super::scaling::Scaling;
use super::texts::TextForm;
use super::{images, raw, without_network};
use crate::error::{Error, FileError, Place};
use crate::io::original::DataSet;
use crate::io::{npz::Npz, read};
use crate::picture::MAX_PIXELS;
use crate::table::{Encoding, Labels, Table};
use crate::task::data::canvas::Canvas;
use crate::task::recipe::integers::{self, LEAST};
use ironlearn_ir::{Array, DType};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How raw rows become inputs, and outputs answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// Numbers of a raw row.
    pub columns: usize,
    /// Outputs of the network.
    pub outputs: usize,
    /// Which columns of a table are a raw row, and how it becomes inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// What the arrays of an archive are called, where the job says it: inputs, targets, and those for validation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub names: Vec<String>,
    /// The names of the classes, where they have any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: Labels,
    /// The name of the target, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Axes of a row as the network takes it; none: one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shape: Vec<usize>,
    /// What pictures rows are, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageForm>,
    /// The text that was learned, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextForm>,
    /// What is drawn, where a picture was learned. A raw row is then a position in pixels, (x, y).
    pub canvas: Option<Canvas>,
    /// Scaling of the inputs.
    pub input_scaling: Option<Scaling>,
    /// The exponent of the inputs' mantissas, where the network learned in integers from quantities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_exponent: Option<i32>,
    /// Scaling of the targets, which answers undo.
    pub target_scaling: Option<Scaling>,
    /// What an output means.
    pub reading: Reading,
}

/// Pictures that are rows: `[channels, height, width]` levels from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageForm {
    /// Pixels in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Whether pictures of other sizes are scaled to this one.
    pub scales: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Preparation {
    /// Rows of so many numbers that are taken as they are.
    pub fn new(columns: usize, outputs: usize, reading: Reading) -> Preparation {
        Preparation {
            columns,
            outputs,
            encoding: None,
            names: Vec::new(),
            labels: Labels::default(),
            target: None,
            shape: Vec::new(),
            images: None,
            text: None,
            canvas: None,
            input_scaling: None,
            input_exponent: None,
            target_scaling: None,
            reading,
        }
    }

    /// What in a preparation from a file contradicts itself, if anything does.
    pub(in crate::task) fn check(&self) -> Result<(), String> {
        if self.columns == 0 || self.outputs == 0 {
            return Err(format!("{} columns and {} outputs", self.columns, self.outputs));
        }
        if let Some(Canvas { width, height, channels, .. }) = self.canvas {
            let area = width.checked_mul(height).filter(|&area| area > 0 && area as u64 <= MAX_PIXELS);
            if area.is_none() || channels != self.outputs || !matches!(channels, 1 | 3) || self.columns != 2 {
                return Err(format!("a canvas of {width}×{height} pixels of {channels} values"));
            }
        }
        if let Some(e) = self.input_exponent.filter(|e| !(LEAST..=-LEAST).contains(e)) {
            return Err(format!("inputs with the exponent {e}"));
        }
        if let Some(encoding) = &self.encoding {
            encoding.check()?;
            if encoding.fields.len() != self.columns || self.canvas.is_some() {
                return Err(format!("{} encoded columns of {}", encoding.fields.len(), self.columns));
            }
        }
        if let Some(text) = &self.text {
            text.check(self.columns, self.outputs)?;
        }
        let is_network = !matches!(self.reading, Reading::Cluster | Reading::Anomaly);
        if !is_network && self.outputs != without_network::OUTPUTS {
            return Err(format!("{} answers of what is no network", self.outputs));
        }
        let named = self.labels.names().len();
        let can_be_named = match self.reading {
            Reading::Cluster => true,
            Reading::Anomaly => named == 2,
            _ => named == self.outputs || (named, self.outputs) == (2, 1),
        };
        if named != 0 && !can_be_named {
            return Err(format!("{named} names for {} outputs", self.outputs));
        }
        let axes = self.shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
        if !self.shape.is_empty() && axes != Some(self.inputs()) {
            return Err(format!("rows of {} numbers with the axes {:?}", self.inputs(), self.shape));
        }
        if let Some(form) = self.images.filter(|form| !form.fits(self.columns)) {
            return Err(format!("pictures of {}×{}×{}", form.width, form.height, form.channels));
        }
        let fits = |scaling: &Option<Scaling>, n| scaling.as_ref().is_none_or(|scaling| scaling.scales(n));
        if !fits(&self.input_scaling, self.inputs()) || !fits(&self.target_scaling, self.outputs) {
            return Err("a scaling of other columns, or by what is no positive number".into());
        }
        Ok(())
    }

    /// Numbers that the network takes for a row.
    pub fn inputs(&self) -> usize {
        let encoded = self.encoding.as_ref().map_or(self.columns, Encoding::inputs);
        self.canvas.map_or(encoded, |canvas| canvas.inputs())
    }

    /// Numbers that the network gives for a row.
    pub(in crate::task) fn outputs_of_row(&self) -> usize {
        match &self.text {
            Some(text) if text.every => self.outputs * text.context,
            _ => self.outputs,
        }
    }

    /// How many tokens a text has that was learned.
    pub(in crate::task) fn vocabulary(&self) -> Option<usize> {
        self.text.as_ref().map(|text| text.vocabulary.len())
    }

    /// The axes of a row as the network takes it.
    pub fn input_shape(&self) -> Vec<usize> {
        if self.shape.is_empty() { vec![self.inputs()] } else { self.shape.clone() }
    }

    /// The inputs for a raw row of [`Preparation::columns`] numbers.
    pub fn write_input(&self, raw: &[f64], out: &mut [f64]) {
        match self.canvas {
            Some(canvas) => canvas.write_input(raw[1] as usize * canvas.width + raw[0] as usize, out),
            None => {
                match &self.encoding {
                    Some(encoding) => encoding.write_input(raw, out),
                    None => out.copy_from_slice(raw),
                }
                if let Some(scaling) = &self.input_scaling {
                    scaling.apply(out);
                }
                if let Some(exponent) = self.input_exponent {
                    out.iter_mut().for_each(|x| *x = integers::mantissa(*x, exponent));
                }
            }
        }
    }

    /// Turns the outputs for one row into its answer: scaled back, probabilities for logits.
    pub fn answer(&self, row: &mut [f64]) {
        if let Some(scaling) = &self.target_scaling {
            scaling.undo(row);
        }
        self.reading.answer(row);
    }

    /// The raw rows of a file: for a model of a table another table, for one of pictures in folders a picture or a
    /// folder of them; else a data set of the original program or an `.npz` archive, whose test part is taken where
    /// it has one, or an array as NumPy's format, CSV or IDX.
    ///
    /// # Errors
    /// [`Error::File`] where the file holds no such rows; [`Error::Io`].
    pub fn read_rows(&self, path: &Path) -> Result<Array, Error> {
        if self.text.is_some() {
            return Err(Error::usage(
                "a model of a text takes no rows, it goes on with texts",
                "write `ironlearn generate MODEL --prompt TEXT`",
            ));
        }
        if let Some(encoding) = &self.encoding {
            return encoding.encode(&Table::read(path)?);
        }
        if let Some(form) = self.images
            && !is_array(path)
        {
            return images::read_rows(path, form);
        }
        let rows = match extension(path).as_str() {
            "json" => {
                let data = DataSet::read(path)?;
                data.x_test.unwrap_or(data.x)
            }
            "npz" => self.rows_of_file(path, &self.inputs_of_archive(&Npz::open(path)?))?,
            _ => self.rows_of_file(path, "x")?,
        };
        self.check_rows(path, &rows)?;
        Ok(rows)
    }

    /// What the rows of a file are called that [`read_rows`](Preparation::read_rows) reads: pictures of a folder by their
    /// files' names; empty where rows have no names.
    ///
    /// # Errors
    /// Those of reading the folder.
    pub fn row_names(&self, path: &Path) -> Result<Vec<String>, Error> {
        match self.images.is_some() && !is_array(path) {
            true => images::names(path),
            false => Ok(Vec::new()),
        }
    }

    /// The name of the inputs of an archive: the test part where it has one, by the names of the job or, where it has
    /// none of these, by the usual ones.
    fn inputs_of_archive(&self, archive: &Npz) -> String {
        let [test, all] = [2, 0].map(|part| self.names.get(part).map(String::as_str));
        let wanted = [test, all, Some("x_test"), Some("x")].into_iter().flatten();
        wanted.clone().find(|name| archive.has(name)).or(all).unwrap_or("x").to_owned()
    }

    /// The rows of an array, which become `f64` where they fit the model alone.
    fn rows_of_file(&self, path: &Path, name: &str) -> Result<Array, Error> {
        let rows = array(path, name)?;
        let columns: usize = rows.shape().iter().skip(1).product();
        if rows.shape().rank() < 2 || columns != self.columns {
            return Err(self.other_rows(path, &rows));
        }
        wide(path, name, rows)
    }

    /// Rows and their targets: the test part of a data set, or all of it where it has none; or the rows of an array, whose
    /// targets are another one.
    ///
    /// # Errors
    /// As [`Preparation::read_rows`].
    pub fn read_examples(&self, path: &Path, targets: Option<&Path>) -> Result<(Array, Array), Error> {
        if targets.is_some() && (self.encoding.is_some() || !is_array(path) || extension(path) == "json") {
            return Err(raw::targets_within(path));
        }
        if let Some(encoding) = &self.encoding {
            let table = Table::read(path)?;
            let goal = table.readable_column(self.target.as_deref().unwrap_or_default())?;
            let named = !self.labels.names().is_empty();
            let y = if named { self.labels.classes(&table, goal)? } else { table.numbers(goal)? };
            let y = raw::targets(y)?;
            self.reading.check_targets(path, &y, self.outputs)?;
            return Ok((encoding.encode(&table)?, y));
        }
        if let Some(form) = self.images
            && !is_array(path)
        {
            return images::read_examples(path, form, &self.labels);
        }
        let mut arrays = Arrays::of_examples(path, targets, &self.names)?;
        let wrong = || Error::from(FileError::new(path, "no rows with targets").hint("give a data set"));
        let test = arrays.has_test();
        let y = joined(arrays.targets(test)?.ok_or_else(wrong)?)?;
        self.reading.check_targets(path, &y, self.outputs)?;
        let x = arrays.inputs(test, y.shape()[0])?.ok_or_else(wrong)?;
        self.check_rows(path, &x)?;
        Ok((x, y))
    }

    fn other_rows(&self, path: &Path, rows: &Array) -> Error {
        FileError::new(path, "the rows are not those that the model takes")
            .found(format!("the shape {}", rows.shape()))
            .hint(format!("give rows of {} numbers", self.columns))
            .into()
    }

    fn check_rows(&self, path: &Path, rows: &Array) -> Result<(), Error> {
        let dims = rows.shape().dims();
        if dims.len() != 2 || dims[1] != self.columns {
            return Err(self.other_rows(path, rows));
        }
        let Some(canvas) = self.canvas else { return Ok(()) };
        canvas.check_positions(path, rows.as_slice::<f64>().unwrap_or_default())
    }

    /// Checks raw rows that come from a program: finite numbers, and positions within a picture.
    ///
    /// # Errors
    /// [`Error::Usage`] with the first row that cannot be answered.
    pub fn check_raw(&self, rows: &[f64]) -> Result<(), Error> {
        let columns = self.columns.max(1);
        if let Some(i) = rows.iter().position(|x| !x.is_finite()) {
            let problem = format!("row {}, number {}: {} is not finite", i / columns, i % columns, rows[i]);
            return Err(Error::usage(problem, "give finite numbers"));
        }
        let Some((canvas, i)) = self.canvas.and_then(|canvas| Some((canvas, canvas.outside(rows)?))) else {
            return Ok(());
        };
        let problem =
            format!("row {i}, ({}, {}), is no position in the picture", rows[2 * i], rows[2 * i + 1]);
        Err(Error::usage(problem, canvas.hint_on_positions()))
    }
}

impl Canvas {
    /// Checks that these rows are positions of pixels, (x, y) each.
    pub(in crate::task) fn check_positions(&self, path: &Path, rows: &[f64]) -> Result<(), Error> {
        match self.outside(rows) {
            None => Ok(()),
            Some(i) => Err(FileError::new(path, format!("row {i} is no position in the picture"))
                .at(Place::Key(format!("x[{}]", 2 * i)))
                .found(format!("({}, {})", rows[2 * i], rows[2 * i + 1]))
                .hint(self.hint_on_positions())
                .into()),
        }
    }

    /// The first of these rows that is no position of a pixel, (x, y).
    fn outside(&self, rows: &[f64]) -> Option<usize> {
        let fits = |row: &[f64]| {
            let within = |at: f64, side: usize| at >= 0.0 && at.fract() == 0.0 && at < side as f64;
            within(row[0], self.width) && within(row[1], self.height)
        };
        rows.chunks_exact(2).position(|row| !fits(row))
    }

    fn hint_on_positions(&self) -> String {
        format!("give whole numbers x below {} and y below {}", self.width, self.height)
    }
}

/// An array of this type and shape `[rows, width]` whose rows `fill` writes.
pub(in crate::task) fn rows_of(
    dtype: DType,
    rows: usize,
    width: usize,
    mut fill: impl FnMut(usize, &mut [f64]),
) -> Result<Array, Error> {
    let elements = (rows as u64).saturating_mul(width as u64);
    let mut buffer = vec![0.0; width];
    macro_rules! filled {
        ($t:ty) => {{
            let mut values: Vec<$t> = Vec::new();
            read::reserve(&mut values, elements, "the data")?;
            for row in 0..rows {
                fill(row, &mut buffer);
                values.extend(buffer.iter().map(|&x| x as $t));
            }
            Array::of([rows, width], values)
        }};
    }
    let array = match dtype {
        DType::F64 => filled!(f64),
        DType::I64 => filled!(i64),
        DType::I32 => filled!(i32),
        DType::I8 => filled!(i8),
        DType::U8 => filled!(u8),
        _ => filled!(f32),
    };
    array.map_err(|e| Error::usage(e, "use fewer rows"))
}
