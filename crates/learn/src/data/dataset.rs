//! [`Dataset`]: inputs and targets, row by row.

use super::filed::Filed;
use super::inspect::groups;
use super::order::{Apart, ascending, split, split_groups};
use super::preparing::Preparing;
use super::rows::{copy_range, copy_rows, type_of_rows};
use crate::Error;
use ironlearn_ir::prim::cast::convert;
use ironlearn_ir::prim::stream_of;
use ironlearn_ir::{Array, DType, TensorType, dispatch, memory};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Bytes of rows of files that are in memory at a time, where nothing else is said.
const MEMORY: usize = 64 << 20;
/// Bytes of rows that are looked at together.
const PORTION: usize = 1 << 20;

/// Inputs and targets with equally many rows, the first axis.
///
/// They are held in memory ([`Dataset::new`]) or stay in their files ([`Dataset::open`]), of which no more than some
/// blocks of rows are in memory at a time, however large they are.
#[derive(Clone, Debug)]
pub struct Dataset(Kept);

/// Where the rows are.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Held { inputs: Array, targets: Array },
    Filed(Filed),
}

impl Dataset {
    /// A data set of `inputs` `[rows, ..]` and `targets` `[rows, ..]`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the numbers of rows differ, are 0, or exceed `u32`.
    pub fn new(inputs: Array, targets: Array) -> Result<Dataset, Error> {
        let rows = |a: &Array| a.shape().first().copied();
        match (rows(&inputs), rows(&targets)) {
            (Some(n), Some(m)) if n == m && n > 0 && u32::try_from(n).is_ok() => {
                Ok(Dataset(Kept::Held { inputs, targets }))
            }
            _ => Err(Error::usage(
                format!("inputs {} and targets {} are no data set", inputs.shape(), targets.shape()),
                "give both the same number of rows, at least one, as the first axis",
            )),
        }
    }

    /// A data set of two `.npy` files, `inputs` `[rows, ..]` and `targets` `[rows, ..]`, stored row by row. Their
    /// rows are read as training needs them, while steps run, and 64 MiB of them are in memory at a time. The files
    /// must stay as they are meanwhile.
    ///
    /// Training takes blocks of neighbouring rows in an order of their own for each epoch, and shuffles the rows of
    /// all blocks that are in memory together. Where neighbours are alike, as in a file that is sorted by class,
    /// shuffle the file once.
    ///
    /// # Errors
    /// [`Error::File`] for anything but whole arrays, [`Error::Io`]; [`Error::Usage`] where the numbers of rows
    /// differ or are 0.
    pub fn open(inputs: impl AsRef<Path>, targets: impl AsRef<Path>) -> Result<Dataset, Error> {
        Dataset::open_within(inputs, targets, MEMORY)
    }

    /// [`Dataset::open`] with so many bytes of rows in memory: half of them in use, half for the rows that come
    /// next; a row of inputs and targets at least. The order of the rows follows from it, too. Of ranks that train
    /// together each holds its share.
    pub fn open_within(
        inputs: impl AsRef<Path>,
        targets: impl AsRef<Path>,
        memory: usize,
    ) -> Result<Dataset, Error> {
        Dataset::open_shards_within(&[inputs], &[targets], memory)
    }

    /// [`Dataset::open`] of inputs, and of targets, that are in several files: their rows follow one another in the order
    /// given. What is trained does not depend on where one file ends and the next begins. All files stay open.
    ///
    /// # Errors
    /// As [`Dataset::open`], and [`Error::File`] where the rows of a file have another element type or shape than those of
    /// the first; it names both.
    pub fn open_shards(inputs: &[impl AsRef<Path>], targets: &[impl AsRef<Path>]) -> Result<Dataset, Error> {
        Dataset::open_shards_within(inputs, targets, MEMORY)
    }

    /// [`Dataset::open_shards`] with so many bytes of rows in memory, as [`Dataset::open_within`].
    pub fn open_shards_within(
        inputs: &[impl AsRef<Path>],
        targets: &[impl AsRef<Path>],
        memory: usize,
    ) -> Result<Dataset, Error> {
        Dataset::open_shards_with(inputs, targets, memory, None)
    }

    /// [`Dataset::open_shards_within`], of rows that are prepared when they are read.
    pub(crate) fn open_shards_with(
        inputs: &[impl AsRef<Path>],
        targets: &[impl AsRef<Path>],
        memory: usize,
        preparing: Option<Arc<dyn Preparing>>,
    ) -> Result<Dataset, Error> {
        let inputs: Vec<&Path> = inputs.iter().map(AsRef::as_ref).collect();
        let targets: Vec<&Path> = targets.iter().map(AsRef::as_ref).collect();
        Ok(Dataset(Kept::Filed(Filed::open(&inputs, &targets, memory, preparing)?)))
    }

    /// The same rows of files, of which something else becomes when they are read; rows in memory stay as they are.
    pub(crate) fn prepared(&self, preparing: Arc<dyn Preparing>) -> Dataset {
        match &self.0 {
            Kept::Held { .. } => self.clone(),
            Kept::Filed(filed) => Dataset(Kept::Filed(filed.prepared(preparing))),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        match &self.0 {
            Kept::Held { inputs, .. } => inputs.shape()[0],
            Kept::Filed(filed) => filed.rows(),
        }
    }
    /// Whether the rows of an epoch are shuffled all together: they are held in memory, or there is room for all at a time.
    pub(crate) fn is_shuffled_whole(&self) -> bool {
        match &self.0 {
            Kept::Held { .. } => true,
            Kept::Filed(filed) => filed.is_one_window(),
        }
    }
    /// The inputs, `[rows, ..]`, and the targets, `[rows, ..]`, where they are held in memory.
    pub fn arrays(&self) -> Option<(&Array, &Array)> {
        match &self.0 {
            Kept::Held { inputs, targets } => Some((inputs, targets)),
            Kept::Filed(_) => None,
        }
    }
    pub(super) fn kept(&self) -> &Kept {
        &self.0
    }

    /// The same data with floats of this type; whole numbers stay as they are.
    ///
    /// # Errors
    /// [`Error::Usage`] where the data are in files and would have to be converted; [`Error::Memory`].
    pub fn with_floats(self, dtype: DType) -> Result<Dataset, Error> {
        let fits = |d: DType| d == dtype || !d.is_float();
        let convert = |a: Array| {
            if fits(a.dtype()) {
                return Ok(a);
            }
            dispatch!(a.dtype(), A => dispatch!(dtype, B => {
                let from = a.as_slice::<A>().unwrap_or_default();
                let mut values = memory::room(from.len(), format_args!("the data as {dtype}"))?;
                values.extend(from.iter().map(|&x| convert::<A, B>(x)));
                Array::of(a.shape().clone(), values).map_err(|e| Error::usage(e, "use another element type"))
            }))
        };
        match self.0 {
            Kept::Held { inputs, targets } => {
                Ok(Dataset(Kept::Held { inputs: convert(inputs)?, targets: convert(targets)? }))
            }
            Kept::Filed(filed) if filed.types(1).iter().all(|ty| fits(ty.dtype)) => {
                Ok(Dataset(Kept::Filed(filed)))
            }
            Kept::Filed(_) => Err(Error::usage(
                format!("the data's files do not hold {dtype}"),
                "save them with this element type, or let the model convert what it is given: x.cast()",
            )),
        }
    }

    /// Two parts: the second has the rows that are set apart, a share of all (`0.2`) or one of several folds, picked by
    /// the seed; where the rows are in files, whole blocks of them. Rows keep their order. `None` where nothing is left
    /// for the first.
    ///
    /// # Errors
    /// [`Error::Memory`]: what is held in memory is copied.
    pub fn split(&self, apart: impl Into<Apart>, seed: u64) -> Result<Option<(Dataset, Dataset)>, Error> {
        let apart = apart.into();
        let (inputs, targets) = match &self.0 {
            Kept::Held { inputs, targets } => (inputs, targets),
            Kept::Filed(filed) => {
                let parts = filed.split(apart, seed)?;
                return Ok(parts.map(|(a, b)| (Dataset(Kept::Filed(a)), Dataset(Kept::Filed(b)))));
            }
        };
        let rows = split(seed ^ stream_of("order of rows", 0), self.rows(), apart)?;
        rows.map(|rows| parts(inputs, targets, &rows)).transpose()
    }

    /// As [`Dataset::split`], with such a part of the rows of each class, which is their target. Classes that have too
    /// few rows for both parts stay in the first. `None` where nothing is left for the second.
    ///
    /// # Errors
    /// [`Error::Usage`] where the rows are in files; [`Error::Memory`].
    pub fn split_stratified(
        &self,
        apart: impl Into<Apart>,
        seed: u64,
    ) -> Result<Option<(Dataset, Dataset)>, Error> {
        let Kept::Held { inputs, targets } = &self.0 else {
            let problem = "rows that stay in files are set apart in blocks, not by their classes";
            return Err(Error::usage(problem, "use Dataset::split, or load the rows with Dataset::new"));
        };
        let groups = groups(targets);
        let rows = split_groups(seed ^ stream_of("order of rows", 0), &groups, apart.into())?;
        rows.map(|rows| parts(inputs, targets, &rows)).transpose()
    }

    /// The first rows, at most so many.
    ///
    /// # Errors
    /// [`Error::Usage`] where the rows are in files, or none is asked for; [`Error::Memory`].
    pub fn beginning(&self, rows: usize) -> Result<Dataset, Error> {
        let Kept::Held { inputs, targets } = &self.0 else {
            return Err(Error::usage("the rows stay in files", "load them with Dataset::new"));
        };
        let first = ascending(rows.min(self.rows()))?;
        let (inputs, targets) = picked(inputs, targets, &first)?;
        Dataset::new(inputs, targets)
    }

    /// Fills `x` and `y` with the rows from this one on, in the data's own order.
    ///
    /// # Errors
    /// Those of reading the files.
    pub(crate) fn read(&self, first: usize, x: &mut Array, y: &mut Array) -> Result<(), Error> {
        let rows = first..first + x.shape()[0];
        match &self.0 {
            Kept::Held { inputs, targets } => {
                copy_range(inputs, rows.clone(), x, 0);
                copy_range(targets, rows, y, 0);
                Ok(())
            }
            Kept::Filed(filed) => filed.read(rows, x, y),
        }
    }

    /// Calls `f` with the targets of all rows, as they are held or stand in the files: some at a time, with the number of
    /// the first.
    ///
    /// # Errors
    /// Those of reading the files, and of `f`.
    pub(crate) fn each_target(
        &self,
        mut f: impl FnMut(usize, &Array) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.0 {
            Kept::Held { targets, .. } => f(0, targets),
            Kept::Filed(filed) => self.portions().try_for_each(|rows| f(rows.start, &filed.targets(rows)?)),
        }
    }

    /// All rows, some at a time: as many as one needs little memory for.
    pub(crate) fn portions(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, bytes) = (self.rows(), self.types(1).iter().map(TensorType::bytes).sum::<usize>());
        let portion = (PORTION / bytes.max(1)).max(1);
        (0..rows).step_by(portion).map(move |first| first..rows.min(first + portion))
    }

    /// The type of `rows` rows of inputs and of targets.
    pub(crate) fn types(&self, rows: usize) -> Vec<TensorType> {
        let of = |a: &Array| type_of_rows(a.dtype(), a.shape(), rows);
        match &self.0 {
            Kept::Held { inputs, targets } => vec![of(inputs), of(targets)],
            Kept::Filed(filed) => filed.types(rows).into(),
        }
    }
}

/// The rows of both parts.
fn parts(inputs: &Array, targets: &Array, rows: &(Vec<u32>, Vec<u32>)) -> Result<(Dataset, Dataset), Error> {
    let part = |rows: &[u32]| {
        let (inputs, targets) = picked(inputs, targets, rows)?;
        Ok::<_, Error>(Dataset(Kept::Held { inputs, targets }))
    };
    Ok((part(&rows.0)?, part(&rows.1)?))
}

/// The inputs and targets of rows.
fn picked(inputs: &Array, targets: &Array, rows: &[u32]) -> Result<(Array, Array), Error> {
    let pick = |a: &Array| {
        let ty = type_of_rows(a.dtype(), a.shape(), rows.len());
        let mut out = Array::try_zeros(ty.dtype, ty.shape, "a part of the data")?;
        copy_rows(a, rows, &mut out, 0);
        Ok::<_, Error>(out)
    };
    Ok((pick(inputs)?, pick(targets)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(rows: usize) -> Dataset {
        let inputs = Array::of([rows, 2], (0..2 * rows).map(|x| x as f64).collect()).unwrap();
        let targets = Array::of([rows], (0..rows).map(|x| x as u8).collect()).unwrap();
        Dataset::new(inputs, targets).unwrap()
    }

    fn values(data: &Dataset) -> (&[f64], &[u8]) {
        let (x, y) = data.arrays().unwrap();
        (x.as_slice().unwrap(), y.as_slice().unwrap())
    }

    #[test]
    fn a_split_keeps_every_row_once() {
        let (train, validation) = data(10).split(0.3, 5).unwrap().unwrap();
        assert_eq!((train.rows(), validation.rows()), (7, 3));
        let mut all = [&train, &validation].map(|part| values(part).1.to_vec()).concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        for part in [&train, &validation] {
            let (x, y) = values(part);
            assert!(y.iter().enumerate().all(|(i, &y)| x[2 * i] == 2.0 * f64::from(y)));
        }
        assert_eq!(values(&data(10).beginning(3).unwrap()).1, [0, 1, 2]);
        assert_ne!(values(&data(10).split(0.3, 6).unwrap().unwrap().1), values(&validation));
        assert!(data(1).split(0.5, 0).unwrap().is_none());
    }

    #[test]
    fn a_stratified_split_has_the_share_of_each_class() {
        let inputs = Array::of([33, 1], (0..33).map(f64::from).collect()).unwrap();
        // 20 of one class, 10 of another, 2 of a third and 1 of a fourth.
        let class = |i: u8| [20, 30, 32].iter().filter(|&&end| i >= end).count() as u8;
        let targets = Array::of([33], (0..33).map(class).collect()).unwrap();
        let data = Dataset::new(inputs, targets).unwrap();
        let (train, validation) = data.split_stratified(0.2, 3).unwrap().unwrap();
        let count =
            |part: &Dataset| [0, 1, 2, 3].map(|class| values(part).1.iter().filter(|&&y| y == class).count());
        assert_eq!((count(&train), count(&validation)), ([16, 8, 1, 1], [4, 2, 1, 0]));
        let x = values(&validation).0;
        assert!(x.is_sorted() && values(&validation).1.iter().zip(x).all(|(&y, &x)| class(x as u8) == y));
        assert_ne!(x, values(&data.split_stratified(0.2, 4).unwrap().unwrap().1).0);
    }

    #[test]
    fn floats_change_type_and_classes_do_not() {
        let d = data(2).with_floats(DType::F32).unwrap();
        assert_eq!(d.types(1).iter().map(|ty| ty.dtype).collect::<Vec<_>>(), [DType::F32, DType::U8]);
    }

    #[test]
    fn rows_must_agree() {
        let a = |n| Array::zeros(DType::F32, [n, 2]);
        assert!(Dataset::new(a(3), a(4)).is_err());
        assert!(Dataset::new(a(0), a(0)).is_err());
        assert!(Dataset::new(Array::scalar(1.0f32), a(1)).is_err());
    }
}
