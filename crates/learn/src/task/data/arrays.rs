//! [`Arrays`]: the rows and targets of a data set, read one after the other, so that targets can be checked before
//! the rows, which are larger, take memory.

use super::raw::{self, Form, Raw};
use super::reading::Reading;
use crate::error::{Error, FileError, Place};
use crate::io::original::DataSet;
use crate::io::{csv, idx, npy, npz::Npz, read};
use crate::job;
use crate::step::number_at;
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

/// Where an array stands: its file, and its name in it where that is an archive.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::task) struct Part {
    path: PathBuf,
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

    /// The rows and targets. Targets are read first: they are small, and where they are wrong nothing else has to be
    /// read.
    ///
    /// # Errors
    /// Those of reading them, and where they are not those that `reading` compares with, or have other axes than
    /// `shape`.
    pub fn raw(mut self, reading: Reading, shape: Option<&[usize]>) -> Result<Raw, Error> {
        let nothing = || Error::usage("the data set has no rows", "name another file");
        let (path, y) = self.targets(false)?.ok_or_else(nothing)?;
        let outputs = raw::outputs(reading, &y);
        reading.check_targets(&path, &y, outputs)?;
        let y_test = self.targets(true)?;
        let check = |(path, y): (PathBuf, Array)| reading.check_targets(&path, &y, outputs).map(|()| y);
        let y_test = y_test.map(check).transpose()?;
        let x = self.inputs(false, y.shape()[0])?.ok_or_else(nothing)?;
        let shape = shape.unwrap_or_default().to_vec();
        let product: usize = shape.iter().product();
        if !shape.is_empty() && product != x.shape()[1] {
            return Err(Error::usage(
                format!("data.shape = {shape:?} has room for {product} numbers, a row has {}", x.shape()[1]),
                "give the axes of a row: their product is the length of a row",
            ));
        }
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
        let (_, y) = self.targets(false)?.ok_or_else(nothing)?;
        let x = self.inputs(false, y.shape()[0])?.ok_or_else(nothing)?;
        Ok(DataSet { x, y, x_test: None, y_test: None })
    }

    /// Arrays in files. What is not named is in the archive of `x`, or for validation in that of `x_test`. `names` are
    /// those of arrays in archives, two or four or none; an archive for validation alone may have those for training.
    pub fn of_files(x: &Path, [y, x_test, y_test]: [&Path; 3], names: &[String]) -> Result<Arrays, Error> {
        let name = |part: usize| match names {
            [] => Some(PARTS[part]),
            names => names.get(part).map(String::as_str),
        };
        let has = |path: &Path, name: &str| Ok::<_, Error>(is_archive(path) && Npz::open(path)?.has(name));
        let of = |path: &Path, part: usize| {
            // A file of its own for validation may have the names of those for training.
            let mut inside = name(part).or(name(part % 2)).unwrap_or(PARTS[part]);
            if let (2.., Some(other)) = (part, name(part % 2))
                && !has(path, inside)?
                && has(path, other)?
            {
                inside = other;
            }
            let name = if is_archive(path) { inside } else { PARTS[part] };
            Ok::<_, Error>(Part { path: path.to_owned(), name: name.to_owned() })
        };
        let in_x = |part: usize| match name(part) {
            // What the job names has to be there, what it leaves to the names as they are may be missing.
            Some(name) if is_archive(x) && (part == 1 || !names.is_empty() || has(x, name)?) => {
                Ok(Some(Part { path: x.to_owned(), name: name.to_owned() }))
            }
            _ => Ok::<_, Error>(None),
        };
        let [y, x_test, y_test] = [y, x_test, y_test].map(raw::given);
        let parts = [
            Some(of(x, 0)?),
            y.map_or_else(|| in_x(1), |y| of(y, 1).map(Some))?,
            x_test.map_or_else(|| in_x(2), |x| of(x, 2).map(Some))?,
            match (y_test, x_test.filter(|x| is_archive(x))) {
                (Some(y), _) => Some(of(y, 3)?),
                (None, Some(archive)) => Some(of(archive, 3)?),
                (None, None) => in_x(3)?,
            },
        ];
        if parts[0].is_some() != parts[1].is_some() || parts[2].is_some() != parts[3].is_some() {
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
        for Part { path, name } in parts.iter().flatten().filter(|part| is_archive(&part.path)) {
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
            Arrays::Arrays(parts) => parts[0].as_ref().map_or(Path::new(""), |part| &part.path),
        }
    }

    /// Targets, `[rows, 1]` of `f64`, and the file that they come from; for training or for validation.
    pub fn targets(&mut self, test: bool) -> Result<Option<(PathBuf, Array)>, Error> {
        let part = 1 + 2 * usize::from(test);
        let part = match self {
            Arrays::Original(path, parts) => return Ok(parts[part].take().map(|y| (path.clone(), y))),
            Arrays::Arrays(parts) => parts[part].clone(),
        };
        let Some(Part { path, name }) = part else { return Ok(None) };
        let y = array(&path, &name)?;
        let rows = y.shape().first().copied().unwrap_or(0);
        if y.shape().elements() != rows || rows == 0 {
            return Err(FileError::new(&path, "the targets are not one number a row")
                .at(Place::Key(name))
                .found(format!("the shape {}", y.shape()))
                .hint("give an array of as many numbers as there are rows, at least one")
                .into());
        }
        let y = wide(&path, &name, y)?;
        Ok(Some((path, y)))
    }

    /// Inputs, `[rows, columns]` of `f64`, for so many targets.
    pub fn inputs(&mut self, test: bool, targets: usize) -> Result<Option<Array>, Error> {
        let part = 2 * usize::from(test);
        let part = match self {
            Arrays::Original(_, parts) => return Ok(parts[part].take()),
            Arrays::Arrays(parts) => parts[part].clone(),
        };
        let Some(Part { path, name }) = part else { return Ok(None) };
        let x = array(&path, &name)?;
        if x.shape().first() != Some(&targets) || x.shape().elements() == 0 {
            return Err(FileError::new(&path, "the inputs do not fit the targets")
                .at(Place::Key(name))
                .found(format!("the shape {} for {targets} targets", x.shape()))
                .hint("give both the same number of rows, the first axis, and at least one number a row")
                .into());
        }
        wide(&path, &name, x).map(Some)
    }
}

/// The array of a file; of an archive that of this name.
pub(in crate::task) fn array(path: &Path, name: &str) -> Result<Array, Error> {
    match extension(path).as_str() {
        "npy" => npy::read(path),
        "npz" => Npz::open(path)?.read(name),
        "csv" => csv::read(path),
        extension if extension == "gz" || extension == "idx" || is_idx(path) => idx::read(path),
        _ => {
            Err(unknown(path, "an array: .npy, .npz, .csv or IDX, whose names end with -ubyte, .idx or .gz")?)
        }
    }
}

/// Whether the name of a file says that it holds arrays.
pub(in crate::task) fn is_array(path: &Path) -> bool {
    matches!(extension(path).as_str(), "npy" | "npz" | "csv" | "gz" | "idx" | "json") || is_idx(path)
}

fn is_archive(path: &Path) -> bool {
    extension(path) == "npz"
}

fn is_idx(path: &Path) -> bool {
    path.to_string_lossy().ends_with("ubyte")
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
mod tests {
    use super::super::{Data, Truth};
    use crate::io::npz;
    use crate::job::Job;
    use ironlearn_ir::Array;
    use std::fs;
    use std::path::Path;

    /// An IDX file of bytes.
    fn idx_of(lengths: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, lengths.len() as u8];
        lengths.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
        [&bytes, values].concat()
    }

    fn archive(path: &Path, arrays: &[(&str, Vec<f64>, usize)]) {
        let array = |(name, values, columns): &(&str, Vec<f64>, usize)| {
            let shape = [values.len() / columns, *columns];
            (
                name.to_string(),
                Array::of(&shape[..if *columns == 1 { 1 } else { 2 }], values.clone()).unwrap(),
            )
        };
        npz::write(path, &arrays.iter().map(array).collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn arrays_of_archives_have_the_names_that_the_job_gives() {
        let dir = tempfile::tempdir().unwrap();
        let [both, test] = ["both.npz", "test.npz"].map(|name| dir.path().join(name));
        let numbers = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<_>>();
        archive(
            &both,
            &[
                ("images", numbers(8), 2),
                ("labels", numbers(4), 1),
                ("other", numbers(6), 2),
                ("more", numbers(3), 1),
            ],
        );
        archive(&test, &[("images", numbers(4), 2), ("labels", numbers(2), 1)]);
        let load = |set: &[String]| {
            let mut all = vec!["data.kind=arrays".to_owned(), "data.inputs=raw".into()];
            all.push(format!("data.x={}", both.display()));
            all.extend(set.iter().cloned());
            Data::load(&Job::parse("", &all).unwrap())
        };
        let names = |names: &str| format!("data.names={names}");
        let rows = |data: Data| (data.train.rows(), data.validation.map(|part| part.rows()));
        let two = names("[\"images\", \"labels\"]");
        assert_eq!(rows(load(std::slice::from_ref(&two)).unwrap()), (4, None));
        let four = names("[\"images\", \"labels\", \"other\", \"more\"]");
        let data = load(&[four]).unwrap();
        let Truth::Rows(_, y) = &data.truth else { panic!("no rows") };
        assert_eq!(y.as_slice::<f64>().unwrap(), [0.0, 1.0, 2.0]);
        assert_eq!(data.preparation.names.len(), 4);
        // The archive for validation has the names of that for training, and its targets.
        let apart = format!("data.x_test={}", test.display());
        assert_eq!(rows(load(&[two, apart]).unwrap()), (4, Some(2)));
        let message = |set: &[String]| load(set).unwrap_err().to_string();
        let unnamed = message(&[]);
        assert!(unnamed.contains("no array `x`") && unnamed.contains("\"images\", \"labels\""), "{unnamed}");
        assert!(unnamed.contains("data.names = "), "{unnamed}");
        let wrong = message(&[names("[\"images\", \"labels\", \"other\", \"none\"]")]);
        assert!(wrong.contains("no array `none`"), "{wrong}");
        let short = message(&[names("[\"images\", \"more\"]")]);
        assert!(short.contains("key `images`: the inputs do not fit the targets"), "{short}");
        let three = Job::parse("", &["data.kind=arrays", "data.x=a.npz", "data.names=[\"x\"]"]);
        assert!(three.unwrap_err().to_string().contains("two names, or four"));
    }

    #[test]
    fn idx_files_are_a_data_set_and_their_mistakes_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let pictures: Vec<u8> = (0..4 * 6).collect();
        fs::write(at("x-ubyte"), idx_of(&[4, 2, 3], &pictures)).unwrap();
        fs::write(at("y-ubyte"), idx_of(&[4], &[0, 2, 1, 2])).unwrap();
        fs::write(at("y_test-ubyte"), idx_of(&[1], &[3])).unwrap();
        fs::write(at("x_test-ubyte"), idx_of(&[1, 2, 3], &[0; 6])).unwrap();
        let load = |more: &[&str]| {
            let file = |key: &str| format!("data.{key}={}-ubyte", at(key).display());
            let mut set = ["data.kind=arrays", "data.task=classes", "loss.kind=cross_entropy"]
                .map(String::from)
                .to_vec();
            set.extend(["data.inputs=raw".into(), file("x"), file("y")]);
            set.extend(more.iter().map(|key| file(key)));
            Data::load(&Job::parse("", &set).unwrap())
        };
        let data = load(&[]).unwrap();
        assert_eq!((data.preparation.columns, data.preparation.outputs, data.train.rows()), (6, 3, 4));
        let Truth::Rows(x, _) = &data.truth else { panic!("no rows") };
        assert_eq!(x.as_slice::<f64>().unwrap()[7], 7.0);
        assert!(data.validation.is_none());
        let wrong = load(&["x_test", "y_test"]).unwrap_err().to_string();
        assert!(wrong.contains("y_test-ubyte, key `y[0]`: target 0 is not a class below 3"), "{wrong}");
        assert!(load(&["x_test"]).unwrap_err().to_string().contains("inputs without targets"));
        fs::write(at("y-ubyte"), idx_of(&[3], &[0, 2, 1])).unwrap();
        let wrong = load(&[]).unwrap_err().to_string();
        assert!(wrong.contains("x-ubyte, key `x`: the inputs do not fit the targets"), "{wrong}");
    }
}
