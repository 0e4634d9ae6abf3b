//! [`Arrays`]: the rows and targets of a data set, read one after the other, so that targets can be checked before
//! the rows, which are larger, take memory.

use super::raw::{self, Form, Raw};
use super::reading::Reading;
use crate::data::{check_alike, copy_range};
use crate::error::{Error, FileError, Place};
use crate::io::original::DataSet;
use crate::io::{csv, idx, npy, npz::Npz, read};
use crate::job;
use crate::number::number_at;
use ironlearn_ir::{Array, Kind};
use std::path::{Path, PathBuf};

/// A data set of a job.
pub(in crate::task) enum Arrays {
    /// A file of the original program, and what it holds.
    Original(PathBuf, [Option<Array>; 4]),
    /// Arrays: inputs and targets for training, inputs and targets for validation.
    Arrays([Option<Part>; 4]),
}

/// The parts of a data set, by the names that they have in a job and, where nothing else is said, in an `.npz` file.
const PARTS: [&str; 4] = ["x", "y", "x_test", "y_test"];

/// Where an array stands: its file or files, and its name in them where they are archives.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::task) struct Part {
    paths: Vec<PathBuf>,
    name: String,
}

impl Arrays {
    /// The data set of a job.
    ///
    /// # Errors
    /// Those of reading its file, where it is one of the original program; [`Error::Usage`] where the job names no
    /// targets, or is on a picture.
    pub fn open(data: &job::Data) -> Result<Arrays, Error> {
        match data {
            job::Data::Original { path, .. } => Arrays::original(path),
            job::Data::Arrays { x, y, x_test, y_test, names, .. } => {
                let arrays = Arrays::of_files(x, [y, x_test, y_test], names.as_deref().unwrap_or_default())?;
                arrays.check_names()?;
                Ok(arrays)
            }
            other => Err(Error::usage(format!("{} are no arrays", other.word()), "set data.kind")),
        }
    }

    /// A file of the original program.
    pub fn original(path: &Path) -> Result<Arrays, Error> {
        let DataSet { x, y, x_test, y_test } = DataSet::read(path)?;
        Ok(Arrays::Original(path.to_owned(), [Some(x), Some(y), x_test, y_test]))
    }

    /// A data set that a model is measured on: one file, as an archive of the job has its arrays where it is one, or rows and
    /// their targets.
    pub fn of_examples(path: &Path, targets: Option<&Path>, names: &[String]) -> Result<Arrays, Error> {
        let x = [path.to_owned()];
        match (targets, extension(path).as_str()) {
            (Some(targets), _) => Arrays::of_files(&x, [&[targets.to_owned()], &[], &[]], &[]),
            (None, "json") => Arrays::original(path),
            (None, "npz") => {
                let has = |name: &String| archive_has(path, name);
                let names = if names.first().is_some_and(has) { names } else { &[] };
                let two = names.get(2).is_some_and(|name| !has(name));
                Arrays::of_files(&x, [&[]; 3], if two { &names[..2] } else { names })
            }
            _ => Err(unknown(
                path,
                "a data set: .npz, or .json of the original program; or name the file of the targets, too",
            )?),
        }
    }

    /// The rows and targets. Targets are read first: they are small, and where they are wrong nothing else has to be
    /// read.
    ///
    /// # Errors
    /// Those of reading them, and where they are not those that `reading` compares with, or have other axes than
    /// `shape`.
    pub fn raw(mut self, reading: Reading, shape: Option<&[usize]>) -> Result<Raw, Error> {
        let nothing = || Error::usage("the data set has no rows", "name another file");
        let y = self.targets(false)?.ok_or_else(nothing)?;
        let outputs =
            y.iter().map(|(_, y)| raw::outputs(reading, y.as_slice().unwrap_or_default())).max().unwrap_or(1);
        let checked = |shards: Vec<(PathBuf, Array)>| {
            shards.iter().try_for_each(|(path, y)| reading.check_targets(path, y, outputs))?;
            joined(shards)
        };
        let y = checked(y)?;
        let y_test = self.targets(true)?.map(checked).transpose()?;
        let x = self.inputs(false, y.shape()[0])?.ok_or_else(nothing)?;
        let shape = shape.unwrap_or_default().to_vec();
        check_shape(&shape, x.shape()[1])?;
        let test = match y_test {
            Some(y) => self.inputs(true, y.shape()[0])?.map(|x| (x, y)),
            None => None,
        };
        Ok(Raw { x, y, test, form: Form { outputs, shape, ..Form::default() } })
    }

    /// Whether there are inputs and targets for validation.
    pub fn has_test(&self) -> bool {
        match self {
            Arrays::Original(_, parts) => parts[2].is_some() && parts[3].is_some(),
            Arrays::Arrays(parts) => parts[2].is_some() && parts[3].is_some(),
        }
    }

    /// All of it as one data set.
    pub fn whole(mut self) -> Result<DataSet, Error> {
        let nothing = || Error::usage("the data set has no rows", "name another file");
        let y = joined(self.targets(false)?.ok_or_else(nothing)?)?;
        let x = self.inputs(false, y.shape()[0])?.ok_or_else(nothing)?;
        Ok(DataSet { x, y, x_test: None, y_test: None })
    }

    /// Arrays in files. What is not named is in the archive of `x`, or for validation in that of `x_test`. `names` are
    /// those of arrays in archives, two or four or none; an archive for validation alone may have those for training.
    pub fn of_files(
        x: &[PathBuf],
        [y, x_test, y_test]: [&[PathBuf]; 3],
        names: &[String],
    ) -> Result<Arrays, Error> {
        let name = |part: usize| match names {
            [] => Some(PARTS[part]),
            names => names.get(part).map(String::as_str),
        };
        // Several archives have arrays of the same names.
        let archive = |paths: &[PathBuf]| paths.first().filter(|path| is_archive(path)).cloned();
        let has = |paths: &[PathBuf], name: &str| {
            archive(paths).map_or(Ok::<_, Error>(false), |path| Ok(Npz::open(&path)?.has(name)))
        };
        let of = |paths: &[PathBuf], part: usize| {
            // A file of its own for validation may have the names of those for training.
            let mut inside = name(part).or(name(part % 2)).unwrap_or(PARTS[part]);
            if let (2.., Some(other)) = (part, name(part % 2))
                && !has(paths, inside)?
                && has(paths, other)?
            {
                inside = other;
            }
            let name = if archive(paths).is_some() { inside } else { PARTS[part] };
            Ok::<_, Error>(Part { paths: paths.to_vec(), name: name.to_owned() })
        };
        let in_x = |part: usize| match name(part) {
            // What the job names has to be there, what it leaves to the names as they are may be missing.
            Some(name) if archive(x).is_some() && (part == 1 || !names.is_empty() || has(x, name)?) => {
                Ok(Some(Part { paths: x.to_vec(), name: name.to_owned() }))
            }
            _ => Ok::<_, Error>(None),
        };
        let [y, x_test, y_test] = [y, x_test, y_test].map(|paths| (!paths.is_empty()).then_some(paths));
        let parts = [
            Some(of(x, 0)?),
            y.map_or_else(|| in_x(1), |y| of(y, 1).map(Some))?,
            x_test.map_or_else(|| in_x(2), |x| of(x, 2).map(Some))?,
            match (y_test, x_test.filter(|x| archive(x).is_some())) {
                (Some(y), _) => Some(of(y, 3)?),
                (None, Some(archives)) => Some(of(archives, 3)?),
                (None, None) => in_x(3)?,
            },
        ];
        if parts[0].is_some() != parts[1].is_some() || parts[2].is_some() != parts[3].is_some() {
            let x = x.first().map_or(Path::new(""), PathBuf::as_path);
            let problem = format!("{}: inputs without targets, or targets without inputs", x.display());
            return Err(Error::usage(
                problem,
                "name both in the job: data.x and data.y, data.x_test and data.y_test",
            ));
        }
        Ok(Arrays::Arrays(parts))
    }

    /// Checks that archives have the arrays that the job asks for.
    fn check_names(&self) -> Result<(), Error> {
        let Arrays::Arrays(parts) = self else { return Ok(()) };
        let all = parts
            .iter()
            .flatten()
            .flat_map(|Part { paths, name }| paths.iter().map(move |path| (path, name)));
        for (path, name) in all.filter(|(path, _)| is_archive(path)) {
            let archive = Npz::open(path)?;
            if !archive.has(name) {
                let names: Vec<String> = archive.names().into_iter().take(20).collect();
                return Err(FileError::new(path, format!("there is no array `{name}`"))
                    .at(Place::Key(name.clone()))
                    .found(format!("the arrays {names:?}"))
                    .hint("say which are inputs and targets: data.names = [\"x_train\", \"y_train\"], or with the two \
                           of the validation part")
                    .into());
            }
        }
        Ok(())
    }

    /// The file of the inputs for training.
    pub fn path(&self) -> &Path {
        match self {
            Arrays::Original(path, _) => path,
            Arrays::Arrays(parts) => {
                let first = parts[0].as_ref().and_then(|part| part.paths.first());
                first.map_or(Path::new(""), PathBuf::as_path)
            }
        }
    }

    /// Targets, `[rows, 1]` of `f64`, of each file and this file; for training or for validation.
    pub fn targets(&mut self, test: bool) -> Result<Option<Vec<(PathBuf, Array)>>, Error> {
        let part = 1 + 2 * usize::from(test);
        let part = match self {
            Arrays::Original(path, parts) => return Ok(parts[part].take().map(|y| vec![(path.clone(), y)])),
            Arrays::Arrays(parts) => parts[part].clone(),
        };
        let Some(part) = part else { return Ok(None) };
        let one = |(path, y): (PathBuf, Array)| {
            let rows = y.shape().first().copied().unwrap_or(0);
            if y.shape().elements() != rows || rows == 0 {
                return Err(FileError::new(&path, "the targets are not one number a row")
                    .at(Place::Key(part.name.clone()))
                    .found(format!("the shape {}", y.shape()))
                    .hint("give an array of as many numbers as there are rows, at least one")
                    .into());
            }
            let y = wide(&path, &part.name, y)?;
            Ok((path, y))
        };
        part.shards()?.into_iter().map(one).collect::<Result<_, Error>>().map(Some)
    }

    /// Inputs, `[rows, columns]` of `f64`, for so many targets.
    pub fn inputs(&mut self, test: bool, targets: usize) -> Result<Option<Array>, Error> {
        let part = 2 * usize::from(test);
        let part = match self {
            Arrays::Original(_, parts) => return Ok(parts[part].take()),
            Arrays::Arrays(parts) => parts[part].clone(),
        };
        let Some(part) = part else { return Ok(None) };
        let shards = part.shards()?;
        let Some((path, first)) = shards.first() else { return Ok(None) };
        let rows: usize = shards.iter().map(|(_, x)| x.shape().first().copied().unwrap_or(0)).sum();
        let is_empty = |(_, x): &(PathBuf, Array)| x.shape().rank() == 0 || x.shape().elements() == 0;
        if rows != targets || shards.iter().any(is_empty) {
            let found = match shards.len() {
                1 => format!("the shape {} for {targets} targets", first.shape()),
                count => format!("{rows} rows in {count} files for {targets} targets"),
            };
            return Err(FileError::new(path, "the inputs do not fit the targets")
                .at(Place::Key(part.name))
                .found(found)
                .hint("give both the same number of rows, the first axis, and at least one number a row")
                .into());
        }
        all_wide(shards, &part.name).map(Some)
    }
}

impl Part {
    /// The arrays of its files, whose rows are alike.
    fn shards(&self) -> Result<Vec<(PathBuf, Array)>, Error> {
        let mut shards: Vec<(PathBuf, Array)> = Vec::new();
        for path in &self.paths {
            let rows = array(path, &self.name)?;
            if let Some((first, as_first)) = shards.first() {
                let types = [rows.dtype(), as_first.dtype()];
                check_alike([path, first], types, [rows.shape(), as_first.shape()])?;
            }
            shards.push((path.clone(), rows));
        }
        Ok(shards)
    }
}

/// Checks that the axes of a row, where the job says them, have room for its numbers.
pub(super) fn check_shape(shape: &[usize], columns: usize) -> Result<(), Error> {
    let product: usize = shape.iter().product();
    if shape.is_empty() || product == columns {
        return Ok(());
    }
    Err(Error::usage(
        format!("data.shape = {shape:?} has room for {product} numbers, a row has {columns}"),
        "give the axes of a row: their product is the length of a row",
    ))
}

/// The rows of some files as `f64`, `[rows, all further axes]`; of archives those of this name.
pub(in crate::task) fn rows_of_files(paths: &[PathBuf], name: &str) -> Result<Array, Error> {
    all_wide(Part { paths: paths.to_vec(), name: name.to_owned() }.shards()?, name)
}

fn all_wide(shards: Vec<(PathBuf, Array)>, name: &str) -> Result<Array, Error> {
    let one = |(path, rows): (PathBuf, Array)| {
        let rows = wide(&path, name, rows)?;
        Ok((path, rows))
    };
    joined(shards.into_iter().map(one).collect::<Result<_, Error>>()?)
}

/// Rows of several files as one array; those of one as they are.
pub(in crate::task) fn joined(mut shards: Vec<(PathBuf, Array)>) -> Result<Array, Error> {
    let Some((_, first)) = shards.first() else { return Err(Error::usage("no file of rows", "name one")) };
    if shards.len() == 1 {
        return Ok(shards.remove(0).1);
    }
    let mut axes = first.shape().to_vec();
    axes[0] = shards.iter().map(|(_, rows)| rows.shape()[0]).sum();
    let mut all = Array::try_zeros(first.dtype(), axes, "the rows of all files")?;
    let mut to = 0;
    for (_, rows) in &shards {
        let count = rows.shape()[0];
        copy_range(rows, 0..count, &mut all, to);
        to += count;
    }
    Ok(all)
}

/// The array of a file; of an archive that of this name.
pub(in crate::task) fn array(path: &Path, name: &str) -> Result<Array, Error> {
    match extension(path).as_str() {
        "npy" => npy::read(path),
        "npz" => Npz::open(path)?.read(name),
        "csv" => csv::read(path),
        _ if idx::is_named_so(path) => idx::read(path),
        _ => {
            Err(unknown(path, "an array: .npy, .npz, .csv or IDX, whose names end with -ubyte, .idx or .gz")?)
        }
    }
}

/// Whether the name of a file says that it holds arrays.
pub(in crate::task) fn is_array(path: &Path) -> bool {
    matches!(extension(path).as_str(), "npy" | "npz" | "csv" | "json") || idx::is_named_so(path)
}

fn is_archive(path: &Path) -> bool {
    extension(path) == "npz"
}

/// Whether an archive can be opened and has an array of this name.
pub(in crate::task) fn archive_has(path: &Path, name: &str) -> bool {
    Npz::open(path).is_ok_and(|archive| archive.has(name))
}

pub(in crate::task) fn extension(path: &Path) -> String {
    path.extension().map_or(String::new(), |e| e.to_string_lossy().to_lowercase())
}

/// The error for a file of a kind that cannot be read here.
pub(in crate::task) fn unknown(path: &Path, expected: &str) -> Result<Error, Error> {
    // Opened first, so that a file that is missing or no file is reported as that.
    read::Source::open(path)?;
    Ok(FileError::new(path, "not a kind of file that is read here").hint(format!("give {expected}")).into())
}

/// The same finite numbers as `f64`, `[rows, all further axes]`.
pub(in crate::task) fn wide(path: &Path, name: &str, array: Array) -> Result<Array, Error> {
    let wrong = |problem: String, place: String| FileError::new(path, problem).at(Place::Key(place));
    if array.dtype().kind() == Kind::Complex {
        return Err(wrong(format!("{} where real numbers are needed", array.dtype()), name.into())
            .hint("save real and imaginary parts as columns of their own")
            .into());
    }
    let rows = array.shape().first().copied().unwrap_or(1);
    let width = array.shape().iter().skip(1).product::<usize>();
    let mut values: Vec<f64> = Vec::new();
    read::reserve(&mut values, array.shape().elements() as u64, "the data as f64")?;
    values.extend((0..array.shape().elements()).map(|i| number_at(array.view(), i)));
    if let Some(i) = values.iter().position(|x| !x.is_finite()) {
        let (row, column) = (i / width.max(1), i % width.max(1));
        return Err(wrong("a value is no finite number".into(), format!("{name}[{row}, {column}]"))
            .found(values[i].to_string())
            .hint("replace or leave out such rows before training or predicting")
            .into());
    }
    Array::of([rows, width], values).map_err(|e| wrong(e, name.into()).into())
}

#[cfg(test)]
mod tests;
