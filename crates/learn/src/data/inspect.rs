//! What is found in rows that are held in memory: numbers that are not finite, equal rows, classes.

use crate::{Dataset, Error};
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{Array, DataRef, dispatch};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

impl Dataset {
    /// Nothing, where all numbers that are held in memory are finite.
    ///
    /// # Errors
    /// [`Error::Usage`] with the row and the place in it of the first that is not.
    pub fn check_finite(&self) -> Result<(), Error> {
        let Some((inputs, targets)) = self.arrays() else { return Ok(()) };
        for (name, array) in [("inputs", inputs), ("targets", targets)] {
            if let Some((at, value)) = first_not_finite(array) {
                let width = array.shape().iter().skip(1).product::<usize>().max(1);
                let problem =
                    format!("row {} of the {name} holds {value} in column {}", at / width, at % width);
                return Err(Error::usage(
                    problem,
                    "clean the data, or leave the row out; rows and columns are counted from 0",
                ));
            }
        }
        Ok(())
    }

    /// Pairs of a row of this and a row of another data set whose inputs are equal, bit by bit: rows that are trained
    /// on and tested with. Of data in files, none.
    pub fn common_rows(&self, other: &Dataset) -> Vec<(usize, usize)> {
        let (Some((own, _)), Some((others, _))) = (self.arrays(), other.arrays()) else { return vec![] };
        if own.dtype() != others.dtype() || own.shape()[1..] != others.shape()[1..] {
            return vec![];
        }
        dispatch!(own.dtype(), T => {
            let width = own.shape().iter().skip(1).product::<usize>().max(1);
            let (own, others) = (own.as_slice::<T>(), others.as_slice::<T>());
            equal_rows(own.unwrap_or_default(), others.unwrap_or_default(), width)
        })
    }
}

/// Rows with the same target, group by group.
pub(super) fn groups(targets: &Array) -> Vec<Vec<u32>> {
    let mut groups: BTreeMap<Vec<u64>, Vec<u32>> = BTreeMap::new();
    let width = targets.shape().iter().skip(1).product::<usize>().max(1);
    dispatch!(targets.dtype(), T => {
        for (row, values) in targets.as_slice::<T>().unwrap_or_default().chunks_exact(width).enumerate() {
            groups.entry(values.iter().map(bits).collect()).or_default().push(row as u32);
        }
    });
    groups.into_values().collect()
}

/// The bits of a number.
fn bits<T: Convert>(x: &T) -> u64 {
    match x.to_wide() {
        Wide::Int(x) => x as u64,
        Wide::Float(x) | Wide::Complex(x, _) => x.to_bits(),
    }
}

/// The first number of an array that is infinite or none, and its place.
fn first_not_finite(array: &Array) -> Option<(usize, f64)> {
    fn look<T: Copy>(values: &[T], wide: impl Fn(T) -> f64) -> Option<(usize, f64)> {
        values.iter().map(|&x| wide(x)).enumerate().find(|(_, x)| !x.is_finite())
    }
    match array.data().view() {
        DataRef::F32(values) => look(values, f64::from),
        DataRef::F64(values) => look(values, |x| x),
        DataRef::F16(values) => look(values, f64::from),
        DataRef::Bf16(values) => look(values, f64::from),
        _ => None,
    }
}

/// Pairs of equal rows of this width.
fn equal_rows<T: Convert>(own: &[T], others: &[T], width: usize) -> Vec<(usize, usize)> {
    let hash = |row: &[T]| {
        let mut hasher = DefaultHasher::new();
        row.iter().for_each(|x| bits(x).hash(&mut hasher));
        hasher.finish()
    };
    let mut known: HashMap<u64, usize> = HashMap::new();
    for (row, values) in own.chunks_exact(width).enumerate() {
        known.entry(hash(values)).or_insert(row);
    }
    let twin = |(row, values): (usize, &[T])| {
        let first = *known.get(&hash(values))?;
        let equal = own[first * width..(first + 1) * width].iter().map(bits).eq(values.iter().map(bits));
        equal.then_some((first, row))
    };
    others.chunks_exact(width).enumerate().filter_map(twin).collect()
}
