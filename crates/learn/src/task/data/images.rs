//! Jobs that learn pictures in folders: each class has a folder of its name.

use super::arrays::extension;
use super::preparation::ImageForm;
use super::raw::{Form, Raw, given, targets};
use crate::error::{Error, FileError};
use crate::job::{self, Colour};
use crate::picture::{MAX_PIXELS, Picture};
use crate::table::Labels;
use ironlearn_ir::{Array, memory};
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

/// The endings of the names of pictures.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The rows and targets of a job on pictures in folders.
///
/// # Errors
/// [`Error::File`] where folders or pictures are not as they should be; [`Error::Io`].
pub(in crate::task) fn load(data: &job::Data) -> Result<Raw, Error> {
    let job::Data::Images { path, test, size, colour, .. } = data else {
        return Err(Error::usage("the data are no pictures in folders", "set data.kind = \"images\""));
    };
    let classes = folders(path)?;
    let labels = Labels::new(classes.iter().map(|(name, _)| name.clone()).collect());
    let files = files_of(&classes)?;
    let form = form(&files[0].0, *size, *colour)?;
    let (x, y) = rows(&files, form)?;
    let test = given(test).map(|test| read_examples(test, form, &labels)).transpose()?;
    let shape = vec![form.channels, form.height, form.width];
    let outputs = labels.names().len();
    let form = Form { outputs, labels, shape, images: Some(form), ..Form::default() };
    Ok(Raw { x, y, test, form })
}

/// The pictures that a network learns, by the first of them and what the job says.
fn form(first: &Path, size: Option<[usize; 2]>, colour: Colour) -> Result<ImageForm, Error> {
    let picture = Picture::read(first)?;
    let [width, height] = size.unwrap_or([picture.width(), picture.height()]);
    let channels = match colour {
        Colour::Auto => picture.channels(),
        Colour::Grey => 1,
        Colour::Rgb => 3,
    };
    Ok(ImageForm { width, height, channels, scales: size.is_some() })
}

impl ImageForm {
    /// Whether its rows have so many numbers.
    pub(in crate::task) fn fits(&self, columns: usize) -> bool {
        let area = self.width.checked_mul(self.height).filter(|&area| area as u64 <= MAX_PIXELS);
        matches!(self.channels, 1 | 3)
            && area.and_then(|area| area.checked_mul(self.channels)) == Some(columns)
    }

    /// Reads a picture into a row of levels `[channels, height, width]`.
    fn read(self, path: &Path, row: &mut [f64]) -> Result<(), Error> {
        let picture = Picture::read(path)?.with_channels(self.channels)?;
        let size = (picture.width(), picture.height());
        let picture = match size == (self.width, self.height) {
            true => picture,
            false if self.scales => picture.resized(self.width, self.height)?,
            false => {
                return Err(FileError::new(path, "the picture has another size than the first")
                    .found(format!("{}×{}, not {}×{}", size.0, size.1, self.width, self.height))
                    .hint("set data.size = [width, height], to which all pictures are then scaled")
                    .into());
            }
        };
        for (channel, plane) in row.chunks_exact_mut((self.width * self.height).max(1)).enumerate() {
            let levels = picture.pixels().iter().skip(channel).step_by(self.channels);
            plane.iter_mut().zip(levels).for_each(|(to, &level)| *to = f64::from(level) / 255.0);
        }
        Ok(())
    }
}

/// The folders in a folder, by their names in order.
fn folders(path: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found: Vec<(String, PathBuf)> =
        entries(path)?.into_iter().filter(|(_, path)| path.is_dir()).collect();
    if found.len() < 2 {
        return Err(FileError::new(path, "a folder of pictures has a folder for each class, two at least")
            .found(format!("{} folders", found.len()))
            .hint("make a folder for each class, and put its pictures there")
            .into());
    }
    found.sort();
    Ok(found)
}

/// What a folder holds, but for hidden files.
fn entries(path: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io(path, "read"))? {
        let path = entry.map_err(Error::io(path, "read"))?.path();
        let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        if !name.starts_with('.') {
            found.push((name, path));
        }
    }
    Ok(found)
}

/// The pictures of a folder in the order of their names.
fn pictures(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_picture = |path: &PathBuf| ENDINGS.contains(&extension(path).as_str());
    let mut found: Vec<PathBuf> =
        entries(path)?.into_iter().map(|(_, path)| path).filter(is_picture).collect();
    if found.is_empty() {
        let hint = format!("put files there that end with .{}", ENDINGS.join(", ."));
        return Err(FileError::new(path, "the folder holds no pictures").hint(hint).into());
    }
    found.sort();
    Ok(found)
}

/// The pictures of classes, with the numbers of these.
fn files_of(classes: &[(String, PathBuf)]) -> Result<Vec<(PathBuf, f64)>, Error> {
    let mut files = Vec::new();
    for (class, (_, folder)) in classes.iter().enumerate() {
        files.extend(pictures(folder)?.into_iter().map(|file| (file, class as f64)));
    }
    Ok(files)
}

/// The rows of pictures, which as many threads decode as there are cores, and their classes.
fn rows(files: &[(PathBuf, f64)], form: ImageForm) -> Result<(Array, Array), Error> {
    let columns = form.width * form.height * form.channels;
    let mut values = memory::zeros::<f64>(files.len().saturating_mul(columns), "the pictures")?;
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(files.len().max(1));
    let each = files.len().div_ceil(threads).max(1);
    let read = |files: &[(PathBuf, f64)], rows: &mut [f64]| {
        files.iter().zip(rows.chunks_exact_mut(columns)).try_for_each(|((file, _), row)| form.read(file, row))
    };
    // The first error in the order of the files, whichever thread was first.
    thread::scope(|scope| -> Result<(), Error> {
        let mut parts = files.chunks(each).zip(values.chunks_mut(each * columns));
        let own = parts.next();
        let others: Vec<_> = parts
            .map(|(files, rows)| thread::Builder::new().spawn_scoped(scope, move || read(files, rows)))
            .collect();
        own.map_or(Ok(()), |(files, rows)| read(files, rows))?;
        let lost =
            |what: String| Error::usage(format!("no thread to read pictures with: {what}"), "try again");
        for thread in others {
            let thread = thread.map_err(|e| lost(e.to_string()))?;
            thread.join().unwrap_or_else(|_| Err(lost("it came to grief".into())))?;
        }
        Ok(())
    })?;
    let x = Array::of([files.len(), columns], values).map_err(|e| Error::usage(e, "use fewer pictures"))?;
    Ok((x, targets(files.iter().map(|(_, class)| *class).collect())?))
}

/// The raw rows of a picture, or of all pictures of a folder in the order of their names.
pub(in crate::task) fn read_rows(path: &Path, form: ImageForm) -> Result<Array, Error> {
    let files = if path.is_dir() { pictures(path)? } else { vec![path.to_owned()] };
    let files: Vec<(PathBuf, f64)> = files.into_iter().map(|file| (file, 0.0)).collect();
    Ok(rows(&files, form)?.0)
}

/// The names of the files whose rows [`read_rows`] reads of a folder; none where it is one file.
pub(in crate::task) fn names(path: &Path) -> Result<Vec<String>, Error> {
    let files = if path.is_dir() { pictures(path)? } else { Vec::new() };
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(files.iter().map(name).collect())
}

/// The raw rows and classes of a folder of pictures by class.
pub(in crate::task) fn read_examples(
    path: &Path,
    form: ImageForm,
    labels: &Labels,
) -> Result<(Array, Array), Error> {
    let mut classes = folders(path)?;
    if let Some((name, folder)) = classes.iter().find(|(name, _)| !labels.names().contains(name)) {
        return Err(FileError::new(folder, format!("{name:?} is none of the classes"))
            .hint(format!("known are {}", labels.names().join(", ")))
            .into());
    }
    let place = |name: &String| labels.names().iter().position(|label| label == name).unwrap_or(0);
    classes.sort_by_key(|(name, _)| place(name));
    let mut files = Vec::new();
    for (name, folder) in &classes {
        files.extend(pictures(folder)?.into_iter().map(|file| (file, place(name) as f64)));
    }
    rows(&files, form)
}

#[cfg(test)]
mod tests {
    use super::super::Data;
    use super::*;
    use crate::job::Job;

    fn picture(path: &Path, width: usize, level: u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Picture::new(width, 2, 1, vec![level; 2 * width]).unwrap().write_png(path).unwrap();
    }

    #[test]
    fn folders_are_classes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        picture(&at("train/dark/b.png"), 3, 10);
        picture(&at("train/dark/a.png"), 3, 0);
        picture(&at("train/light/a.png"), 3, 255);
        fs::write(at("train/light/notes.txt"), "no picture").unwrap();
        let load = |more: &[String]| {
            let mut set = vec!["data.kind=images".into(), "loss.kind=cross_entropy".into()];
            set.push(format!("data.path={}", at("train").display()));
            set.extend_from_slice(more);
            Data::load(&Job::parse("", &set).unwrap())
        };
        let raw = ["data.inputs=raw".to_owned()];
        let data = load(&raw).unwrap();
        let (x, y) = data.train.arrays().unwrap();
        assert_eq!((x.shape().dims(), y.as_slice::<i64>().unwrap()), (&[3, 1, 2, 3][..], &[0, 0, 1][..]));
        assert_eq!(x.as_slice::<f32>().unwrap()[6], 10.0 / 255.0);
        let p = &data.preparation;
        assert_eq!((p.labels.names(), p.outputs), (&["dark".to_owned(), "light".into()][..], 2));
        let rows = p.read_rows(&at("train/dark")).unwrap();
        assert_eq!(rows.as_slice::<f64>().unwrap()[..7], [[0.0; 6].as_slice(), &[10.0 / 255.0]].concat());
        let (_, y) = p.read_examples(&at("train"), None).unwrap();
        assert_eq!(y.as_slice::<f64>().unwrap(), [0.0, 0.0, 1.0]);
        picture(&at("train/light/wide.png"), 4, 255);
        let error = load(&raw).unwrap_err().to_string();
        assert!(error.contains("wide.png") && error.contains("4×2, not 3×2"), "{error}");
        let scaled = load(&["data.size=[6,4]".into()]).unwrap();
        assert_eq!(scaled.train.arrays().unwrap().0.shape().dims(), [4, 1, 4, 6]);
        fs::create_dir_all(at("train/empty")).unwrap();
        assert!(load(&raw).unwrap_err().to_string().contains("no pictures"));
        assert!(
            data.preparation
                .read_examples(&at("train"), None)
                .unwrap_err()
                .to_string()
                .contains("\"empty\" is none")
        );
    }
}
